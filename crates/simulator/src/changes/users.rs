//! People of AuthKit come, change and go.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;

use crate::ids;
use crate::objects::user::UserObject;
use crate::refusal::Refusal;
use crate::state::Memory;

/// A new person.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// `user_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// The address.
    pub email: String,
    /// Whether the address is still to be verified.
    #[serde(default)]
    pub email_unverified: bool,
    /// Given name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// The application's own id of the person.
    #[serde(default)]
    pub external_id: Option<String>,
}

/// What of a person changes; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserPatch {
    /// Who.
    pub id: String,
    /// The address.
    #[serde(default)]
    pub email: Option<String>,
    /// Given name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default)]
    pub last_name: Option<String>,
}

pub(super) fn create(memory: &mut Memory, new: NewUser) -> Result<String, Refusal> {
    if memory.registry.users.values().any(|user| user.email.eq_ignore_ascii_case(&new.email)) {
        return Err(Refusal::bad_request("email_not_available", "The address is another user's."));
    }
    let now = memory.clock.timestamp();
    let mut user = UserObject {
        id: new.id.unwrap_or_else(|| ids::id("user_", now)),
        email: new.email,
        email_verified: !new.email_unverified,
        first_name: new.first_name,
        last_name: new.last_name,
        name: None,
        profile_picture_url: None,
        external_id: new.external_id,
        metadata: BTreeMap::new(),
        last_sign_in_at: None,
        locale: None,
        created_at: now,
        updated_at: now,
    };
    user.name = full_name(&user);
    Ok(store(memory, "user.created", user))
}

pub(super) fn update(memory: &mut Memory, patch: UserPatch) -> Result<String, Refusal> {
    let mut user = find(memory, &patch.id)?.clone();
    user.email = patch.email.unwrap_or(user.email);
    user.first_name = patch.first_name.or(user.first_name);
    user.last_name = patch.last_name.or(user.last_name);
    user.name = full_name(&user);
    user.updated_at = memory.clock.timestamp();
    Ok(store(memory, "user.updated", user))
}

/// Memberships and sessions go too, and `user.deleted` comes alone: WorkOS does not document more.
pub(super) fn delete(memory: &mut Memory, id: &str) -> Result<String, Refusal> {
    let user = find(memory, id)?.clone();
    let registry = &mut memory.registry;
    registry.users.shift_remove(id);
    registry.memberships.retain(|_, membership| membership.user_id != id);
    registry.sessions.retain(|_, session| session.user_id != id);
    memory.emit("user.deleted", json!(user));
    Ok(user.id)
}

/// A person by id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a UserObject, Refusal> {
    memory.registry.users.get(id).ok_or_else(|| Refusal::not_found("user", id))
}

fn full_name(user: &UserObject) -> Option<String> {
    let parts: Vec<_> = [&user.first_name, &user.last_name].into_iter().flatten().map(String::as_str).collect();
    (!parts.is_empty()).then(|| parts.join(" "))
}

fn store(memory: &mut Memory, event: &str, user: UserObject) -> String {
    let id = user.id.clone();
    memory.emit(event, json!(user));
    memory.registry.users.insert(id.clone(), user);
    id
}
