//! What a customer's identity provider says of groups.

use indexmap::IndexSet;
use serde::Deserialize;
use serde_json::{Map, json};

use crate::changes::directory_users;
use crate::changes::previous::with_previous_attributes;
use crate::ids;
use crate::objects::directory::DirectoryGroupObject;
use crate::refusal::Refusal;
use crate::state::Memory;

/// A new group in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDirectoryGroup {
    /// `directory_group_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// Where.
    #[serde(default)]
    pub directory: String,
    /// What people call it. It is the `idp_id` too, as with Okta (WorkOS's documentation).
    pub name: String,
}

pub(super) fn create(memory: &mut Memory, new: NewDirectoryGroup) -> Result<String, Refusal> {
    let directory = memory.registry.directories.get(&new.directory);
    let directory = directory.ok_or_else(|| Refusal::not_found("directory", &new.directory))?;
    let now = memory.clock.timestamp();
    let group = DirectoryGroupObject {
        id: new.id.unwrap_or_else(|| ids::id("directory_group_", now)),
        idp_id: new.name.clone(),
        directory_id: directory.id.clone(),
        organization_id: directory.organization_id.clone(),
        name: new.name,
        raw_attributes: Map::new(),
        created_at: now,
        updated_at: now,
        members: IndexSet::new(),
    };
    memory.emit("dsync.group.created", json!(group));
    let id = group.id.clone();
    memory.registry.directory_groups.insert(id.clone(), group);
    Ok(id)
}

pub(super) fn rename(memory: &mut Memory, id: &str, name: String) -> Result<String, Refusal> {
    let now = memory.clock.timestamp();
    let group = find_mut(memory, id)?;
    let before = json!(group);
    group.name = name;
    group.updated_at = now;
    let after = json!(group);
    memory.emit("dsync.group.updated", with_previous_attributes(after, Some(before)));
    Ok(id.to_owned())
}

/// `dsync.group.deleted` comes alone, without a word of the members (WorkOS's documentation).
pub(super) fn delete(memory: &mut Memory, id: &str) -> Result<String, Refusal> {
    let found = memory.registry.directory_groups.shift_remove(id);
    let group = found.ok_or_else(|| Refusal::not_found("directory_group", id))?;
    memory.emit("dsync.group.deleted", json!(group));
    Ok(group.id)
}

/// "`updated_at` of the user does not change" (WorkOS's documentation, as a known issue).
pub(super) fn add(memory: &mut Memory, id: &str, user: &str) -> Result<String, Refusal> {
    directory_users::find(memory, user)?;
    let is_new = find_mut(memory, id)?.members.insert(user.to_owned());
    tell(memory, "dsync.group.user_added", id, user, is_new)
}

/// The user's `updated_at` does not change here either.
pub(super) fn remove(memory: &mut Memory, id: &str, user: &str) -> Result<String, Refusal> {
    let was_there = find_mut(memory, id)?.members.shift_remove(user);
    tell(memory, "dsync.group.user_removed", id, user, was_there)
}

/// A group by id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a DirectoryGroupObject, Refusal> {
    memory.registry.directory_groups.get(id).ok_or_else(|| Refusal::not_found("directory_group", id))
}

fn find_mut<'a>(memory: &'a mut Memory, id: &str) -> Result<&'a mut DirectoryGroupObject, Refusal> {
    memory.registry.directory_groups.get_mut(id).ok_or_else(|| Refusal::not_found("directory_group", id))
}

fn tell(memory: &mut Memory, event: &str, id: &str, user: &str, happened: bool) -> Result<String, Refusal> {
    if happened {
        let user = directory_users::find(memory, user)?.json();
        let group = find(memory, id)?;
        let data = json!({ "directory_id": group.directory_id, "user": user, "group": group });
        memory.emit(event, data);
    }
    Ok(id.to_owned())
}
