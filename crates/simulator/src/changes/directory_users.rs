//! What a customer's identity provider says of people.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::changes::memberships::{self, DEFAULT_ROLE};
use crate::changes::previous::with_previous_attributes;
use crate::ids;
use crate::objects::directory::{DirectoryUserObject, DirectoryUserState};
use crate::objects::user::{MembershipObject, MembershipStatus};
use crate::refusal::Refusal;
use crate::state::Memory;

/// A new person in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDirectoryUser {
    /// `directory_user_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// Where.
    #[serde(default)]
    pub directory: String,
    /// The identity provider's own id of the person.
    pub idp_id: String,
    /// The address, if there is one.
    #[serde(default)]
    pub email: Option<String>,
    /// Given name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// The slug of a role, by a group mapping.
    #[serde(default)]
    pub role: Option<String>,
    /// Whatever else the identity provider says.
    #[serde(default)]
    pub custom_attributes: BTreeMap<String, Value>,
}

/// What of a directory user changes; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryUserPatch {
    /// Who.
    pub id: String,
    /// The address. AuthKit's user of it keeps the old one.
    #[serde(default)]
    pub email: Option<String>,
    /// Given name.
    #[serde(default)]
    pub first_name: Option<String>,
    /// Family name.
    #[serde(default)]
    pub last_name: Option<String>,
    /// `suspended` has no other way in.
    #[serde(default)]
    pub state: Option<DirectoryUserState>,
    /// The slug of a role, by a group mapping.
    #[serde(default)]
    pub role: Option<String>,
    /// All of them.
    #[serde(default)]
    pub custom_attributes: Option<BTreeMap<String, Value>>,
}

/// What an environment does with somebody who is unassigned or deactivated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Departure {
    /// `dsync.user.deleted`: environments made since 2023-10-19 (WorkOS's documentation).
    #[default]
    Deleted,
    /// `dsync.user.updated` with the state `inactive`: older ones, and those that opted out.
    Inactive,
}

pub(super) fn create(memory: &mut Memory, new: NewDirectoryUser) -> Result<String, Refusal> {
    let directory = memory.registry.directories.get(&new.directory);
    let directory = directory.ok_or_else(|| Refusal::not_found("directory", &new.directory))?;
    let now = memory.clock.timestamp();
    let user = DirectoryUserObject {
        id: new.id.unwrap_or_else(|| ids::id("directory_user_", now)),
        directory_id: directory.id.clone(),
        organization_id: directory.organization_id.clone(),
        idp_id: new.idp_id,
        username: new.email.clone(),
        email: new.email,
        first_name: new.first_name,
        last_name: new.last_name,
        job_title: None,
        state: DirectoryUserState::Active,
        role: new.role,
        custom_attributes: new.custom_attributes,
        created_at: now,
        updated_at: now,
    };
    Ok(join(memory, user))
}

pub(super) fn update(memory: &mut Memory, patch: DirectoryUserPatch) -> Result<String, Refusal> {
    let mut user = find(memory, &patch.id)?.clone();
    user.email = patch.email.or(user.email);
    user.first_name = patch.first_name.or(user.first_name);
    user.last_name = patch.last_name.or(user.last_name);
    user.state = patch.state.unwrap_or(user.state);
    user.role = patch.role.or(user.role);
    user.custom_attributes = patch.custom_attributes.unwrap_or(user.custom_attributes);
    Ok(change(memory, user))
}

/// Somebody is unassigned or deactivated. Groups lose them without a word.
pub(super) fn depart(memory: &mut Memory, id: &str, departure: Departure) -> Result<String, Refusal> {
    let mut user = find(memory, id)?.clone();
    user.state = DirectoryUserState::Inactive;
    match departure {
        Departure::Inactive => {
            change(memory, user.clone());
        }
        Departure::Deleted => {
            let registry = &mut memory.registry;
            registry.directory_users.shift_remove(id);
            for group in registry.directory_groups.values_mut() {
                group.members.shift_remove(id);
            }
            user.updated_at = memory.clock.timestamp();
            memory.emit("dsync.user.deleted", user.json());
            let key = (user.directory_id.clone(), user.idp_id.clone());
            memory.registry.departed.insert(key, user.clone());
        }
    }
    for membership in managed(memory, &user) {
        deactivate(memory, membership)?;
    }
    Ok(user.id)
}

/// Somebody is assigned again: who was deleted gets a new id, and who was inactive keeps it (WorkOS's documentation).
pub(super) fn come_back(memory: &mut Memory, directory: &str, idp_id: &str) -> Result<String, Refusal> {
    let user = match memory.registry.departed.remove(&(directory.to_owned(), idp_id.to_owned())) {
        Some(mut user) => {
            let now = memory.clock.timestamp();
            user.id = ids::id("directory_user_", now);
            (user.created_at, user.updated_at) = (now, now);
            user.state = DirectoryUserState::Active;
            join(memory, user.clone());
            user
        }
        None => {
            let id = by_idp_id(memory, directory, idp_id)?;
            let user = DirectoryUserObject { state: DirectoryUserState::Active, ..find(memory, &id)?.clone() };
            change(memory, user.clone());
            user
        }
    };
    for mut membership in managed(memory, &user) {
        if membership.status == MembershipStatus::Inactive {
            membership.status = MembershipStatus::Active;
            membership.roles = membership.earlier_roles.take().unwrap_or(membership.roles);
            memberships::change(memory, membership);
        }
    }
    Ok(user.id)
}

/// A directory user by id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a DirectoryUserObject, Refusal> {
    memory.registry.directory_users.get(id).ok_or_else(|| Refusal::not_found("directory_user", id))
}

/// The id of somebody in a directory.
fn by_idp_id(memory: &Memory, directory: &str, idp_id: &str) -> Result<String, Refusal> {
    let mut all = memory.registry.directory_users.values();
    let found = all.find(|user| user.directory_id == directory && user.idp_id == idp_id);
    found.map(|user| user.id.clone()).ok_or_else(|| Refusal::not_found("directory_user", idp_id))
}

fn join(memory: &mut Memory, user: DirectoryUserObject) -> String {
    let id = user.id.clone();
    memory.emit("dsync.user.created", user.json());
    memory.registry.directory_users.insert(id.clone(), user);
    id
}

fn change(memory: &mut Memory, mut user: DirectoryUserObject) -> String {
    user.updated_at = memory.clock.timestamp();
    let id = user.id.clone();
    let after = user.json();
    let before = memory.registry.directory_users.insert(id.clone(), user).map(|before| before.json());
    memory.emit("dsync.user.updated", with_previous_attributes(after, before));
    id
}

/// The memberships that follow somebody of a directory (Directory Provisioning): those of the same address in the same organization.
fn managed(memory: &Memory, user: &DirectoryUserObject) -> Vec<MembershipObject> {
    let registry = &memory.registry;
    let same = |membership: &&MembershipObject| {
        membership.directory_managed
            && membership.organization_id == user.organization_id
            && registry
                .users
                .get(&membership.user_id)
                .is_some_and(|own| user.email.as_ref().is_some_and(|email| own.email.eq_ignore_ascii_case(email)))
    };
    registry.memberships.values().filter(same).cloned().collect()
}

/// "The membership becomes inactive, its sessions are revoked, and its role is reset"; a pending one is deleted (WorkOS's documentation).
fn deactivate(memory: &mut Memory, mut membership: MembershipObject) -> Result<(), Refusal> {
    match membership.status {
        MembershipStatus::Pending => drop(memberships::delete(memory, &membership.id)?),
        MembershipStatus::Inactive => {}
        MembershipStatus::Active => {
            membership.status = MembershipStatus::Inactive;
            membership.earlier_roles = Some(std::mem::replace(&mut membership.roles, vec![DEFAULT_ROLE.to_owned()]));
            memberships::change(memory, membership);
        }
    }
    Ok(())
}
