//! Roles and their permissions.

use serde::Deserialize;

use crate::changes::memberships::{self, DEFAULT_ROLE};
use crate::ids;
use crate::objects::role::RoleObject;
use crate::objects::user::MembershipObject;
use crate::refusal::Refusal;
use crate::state::Memory;

/// A role: the environment's, or an organization's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// Whose; none for the environment's.
    #[serde(default)]
    pub organization: Option<String>,
    /// Its name in tokens.
    pub slug: String,
    /// What it allows.
    #[serde(default)]
    pub permissions: Vec<String>,
}

pub(super) fn create(memory: &mut Memory, role: Role) -> Result<String, Refusal> {
    let key = (role.organization, role.slug);
    if memory.registry.roles.contains_key(&key) {
        return Err(Refusal::conflict("role_slug_conflict", "There is such a role already."));
    }
    let now = memory.clock.timestamp();
    let role = RoleObject {
        id: ids::id("role_", now),
        organization_id: key.0.clone(),
        slug: key.1.clone(),
        name: key.1.clone(),
        permissions: role.permissions,
        created_at: now,
        updated_at: now,
    };
    tell(memory, &role, "created");
    let id = role.id.clone();
    memory.registry.roles.insert(key, role);
    Ok(id)
}

/// Everybody with the role has other permissions from now on, and no event names them.
pub(super) fn set_permissions(memory: &mut Memory, role: Role) -> Result<String, Refusal> {
    let now = memory.clock.timestamp();
    let found = memory.registry.roles.get_mut(&(role.organization, role.slug.clone()));
    let changed = found.ok_or_else(|| Refusal::not_found("role", &role.slug))?;
    changed.permissions = role.permissions;
    changed.updated_at = now;
    let changed = changed.clone();
    tell(memory, &changed, "updated");
    Ok(changed.id)
}

/// "Memberships are reassigned asynchronously" (WorkOS's documentation): their events come after the role's.
pub(super) fn delete(memory: &mut Memory, organization: Option<String>, slug: &str) -> Result<String, Refusal> {
    let found = memory.registry.roles.shift_remove(&(organization, slug.to_owned()));
    let role = found.ok_or_else(|| Refusal::not_found("role", slug))?;
    tell(memory, &role, "deleted");
    let has = |membership: &&MembershipObject| {
        membership.roles.contains(&role.slug)
            && role.organization_id.as_ref().is_none_or(|own| membership.organization_id == *own)
    };
    let members: Vec<_> = memory.registry.memberships.values().filter(has).cloned().collect();
    for mut membership in members {
        membership.roles.retain(|slug| *slug != role.slug);
        if membership.roles.is_empty() {
            membership.roles.push(DEFAULT_ROLE.to_owned());
        }
        memberships::change(memory, membership);
    }
    Ok(role.id)
}

fn tell(memory: &mut Memory, role: &RoleObject, what: &str) {
    memory.emit(&format!("{}.{what}", role.kind()), role.event_json());
}
