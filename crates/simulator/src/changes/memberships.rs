//! Memberships come, change and go.

use serde::Deserialize;

use crate::changes::{organizations, sessions, users};
use crate::ids;
use crate::objects::user::{MembershipObject, MembershipStatus};
use crate::refusal::Refusal;
use crate::state::Memory;

/// The role of whoever has no other: WorkOS's default.
pub(super) const DEFAULT_ROLE: &str = "member";

/// A new membership.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewMembership {
    /// `om_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// Whose.
    pub user: String,
    /// Where.
    pub organization: String,
    /// Slugs; `member` where none is given.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether it counts.
    #[serde(default)]
    pub status: MembershipStatus,
    /// Whether it follows a directory (Directory Provisioning).
    #[serde(default)]
    pub directory_managed: bool,
}

/// What of a membership changes; `None` stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MembershipPatch {
    /// Which.
    pub id: String,
    /// Slugs.
    #[serde(default)]
    pub roles: Option<Vec<String>>,
    /// Whether it counts. Without it, the person's sessions in the organization are revoked, and no event says so: WorkOS documents
    /// `organization_membership.updated` alone.
    #[serde(default)]
    pub status: Option<MembershipStatus>,
}

pub(super) fn create(memory: &mut Memory, new: NewMembership) -> Result<String, Refusal> {
    users::find(memory, &new.user)?;
    organizations::find(memory, &new.organization)?;
    let same = |other: &MembershipObject| other.user_id == new.user && other.organization_id == new.organization;
    if memory.registry.memberships.values().any(same) {
        return Err(Refusal::conflict("user_already_organization_member", "The user is a member already."));
    }
    let now = memory.clock.timestamp();
    let membership = MembershipObject {
        id: new.id.unwrap_or_else(|| ids::id("om_", now)),
        user_id: new.user,
        organization_id: new.organization,
        status: new.status,
        directory_managed: new.directory_managed,
        roles: roles(new.roles),
        earlier_roles: None,
        created_at: now,
        updated_at: now,
    };
    Ok(store(memory, "organization_membership.created", membership))
}

pub(super) fn update(memory: &mut Memory, patch: MembershipPatch) -> Result<String, Refusal> {
    let mut membership = find(memory, &patch.id)?.clone();
    membership.roles = patch.roles.map_or(membership.roles, roles);
    membership.status = patch.status.unwrap_or(membership.status);
    Ok(change(memory, membership))
}

pub(super) fn delete(memory: &mut Memory, id: &str) -> Result<String, Refusal> {
    let membership = find(memory, id)?.clone();
    memory.registry.memberships.shift_remove(id);
    sessions::end_silently(memory, &membership.user_id, &membership.organization_id);
    memory.emit("organization_membership.deleted", membership.event_json());
    Ok(membership.id)
}

/// Writes a changed membership down, and ends the sessions of one that no longer counts.
pub(super) fn change(memory: &mut Memory, mut membership: MembershipObject) -> String {
    if membership.status != MembershipStatus::Active {
        sessions::end_silently(memory, &membership.user_id, &membership.organization_id);
    }
    membership.updated_at = memory.clock.timestamp();
    store(memory, "organization_membership.updated", membership)
}

/// A membership by id.
pub(crate) fn find<'a>(memory: &'a Memory, id: &str) -> Result<&'a MembershipObject, Refusal> {
    memory.registry.memberships.get(id).ok_or_else(|| Refusal::not_found("organization_membership", id))
}

fn roles(roles: Vec<String>) -> Vec<String> {
    if roles.is_empty() { vec![DEFAULT_ROLE.to_owned()] } else { roles }
}

fn store(memory: &mut Memory, event: &str, membership: MembershipObject) -> String {
    let id = membership.id.clone();
    memory.emit(event, membership.event_json());
    memory.registry.memberships.insert(id.clone(), membership);
    id
}
