//! Directories come, change and go.

use std::collections::HashMap;

use serde::Deserialize;

use crate::changes::directory_groups::{self, NewDirectoryGroup};
use crate::changes::directory_users::{self, NewDirectoryUser};
use crate::changes::organizations;
use crate::ids;
use crate::objects::directory::{DirectoryObject, DirectoryState};
use crate::refusal::Refusal;
use crate::state::Memory;

/// A new directory, and whom the first sync finds in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDirectory {
    /// `directory_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// Whose.
    pub organization: String,
    /// What people call it.
    pub name: String,
    /// `okta scim v2.0`, …; that of Okta where none is given.
    #[serde(default)]
    pub kind: Option<String>,
    /// The people; `directory` of each is ignored.
    #[serde(default)]
    pub users: Vec<NewDirectoryUser>,
    /// The groups, and the `idp_id` of each member.
    #[serde(default)]
    pub groups: Vec<(NewDirectoryGroup, Vec<String>)>,
}

/// "The first sync: `dsync.user.created` for everyone, then the groups, then their members" (WorkOS's documentation).
pub(super) fn create(memory: &mut Memory, new: NewDirectory) -> Result<String, Refusal> {
    organizations::find(memory, &new.organization)?;
    let now = memory.clock.timestamp();
    let directory = DirectoryObject {
        id: new.id.unwrap_or_else(|| ids::id("directory_", now)),
        organization_id: new.organization,
        kind: new.kind.unwrap_or_else(|| "okta scim v2.0".to_owned()),
        name: new.name,
        state: DirectoryState::Linked,
        created_at: now,
        updated_at: now,
    };
    let id = directory.id.clone();
    let organization = memory.registry.organizations.get(&directory.organization_id);
    memory.emit("dsync.activated", directory.activated_json(organization));
    memory.registry.directories.insert(id.clone(), directory);
    let mut users = HashMap::new();
    for user in new.users {
        let idp_id = user.idp_id.clone();
        users.insert(idp_id, directory_users::create(memory, NewDirectoryUser { directory: id.clone(), ..user })?);
    }
    let mut members = Vec::new();
    for (group, idp_ids) in new.groups {
        let group = directory_groups::create(memory, NewDirectoryGroup { directory: id.clone(), ..group })?;
        members.extend(idp_ids.into_iter().map(|idp_id| (group.clone(), idp_id)));
    }
    for (group, idp_id) in members {
        let user = users.get(&idp_id).ok_or_else(|| Refusal::not_found("directory_user", &idp_id))?;
        directory_groups::add(memory, &group, user)?;
    }
    Ok(id)
}

/// No event tells of it.
pub(super) fn set_state(memory: &mut Memory, id: &str, state: DirectoryState) -> Result<String, Refusal> {
    let now = memory.clock.timestamp();
    let found = memory.registry.directories.get_mut(id);
    let directory = found.ok_or_else(|| Refusal::not_found("directory", id))?;
    directory.state = state;
    directory.updated_at = now;
    Ok(id.to_owned())
}

/// `dsync.deleted` comes alone: "no events for its users and groups", and memberships stay as they are, "on purpose" (WorkOS's
/// documentation).
pub(crate) fn delete(memory: &mut Memory, id: &str) -> Result<String, Refusal> {
    let directory = find(memory, id)?.clone();
    let registry = &mut memory.registry;
    registry.directories.shift_remove(id);
    registry.directory_users.retain(|_, user| user.directory_id != id);
    registry.directory_groups.retain(|_, group| group.directory_id != id);
    registry.departed.retain(|(directory, _), _| directory != id);
    memory.emit("dsync.deleted", directory.deleted_json());
    Ok(directory.id)
}

/// A directory by id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a DirectoryObject, Refusal> {
    memory.registry.directories.get(id).ok_or_else(|| Refusal::not_found("directory", id))
}
