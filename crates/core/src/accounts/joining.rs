//! What administrators do to accounts: they move an identity to another organization, and make two accounts one.
//!
//! An administrator says that it is the same person, which no organization's word shows. Whether an account may be of several
//! organizations is not theirs to say: `workos_auth.link_across_organizations` is a superuser's, and binds them as it binds people.

use uuid::Uuid;

use super::identities::{Unlinking, apart, is_elsewhere, without};
use super::{Candidate, KnownIdentity};
use crate::error::{Error, ErrorCode, Result};

/// Decides whether an identity may be moved to another organization, and what follows: the account leaves the old organization where no
/// other identity leads there, and gives up an address that the old organization alone has vouched for. The next sign-in brings one.
/// `None` where the identity is of that organization already. `across` is `workos_auth.link_across_organizations`.
///
/// # Errors
/// `identity_not_found`, `cross_organization_link_disabled`.
pub fn relocate(user: &Candidate, identity_id: Uuid, organization_id: &str, across: bool) -> Result<Option<Unlinking>> {
    let (moved, left) = apart(user, identity_id)?;
    if moved.organization_id.as_deref() == Some(organization_id) {
        return Ok(None);
    }
    let moving = without(user, moved, &left);
    let left: Vec<KnownIdentity> = left.into_iter().cloned().collect();
    let memberships: Vec<String> =
        user.memberships.iter().filter(|id| Some(*id) != moving.leaves.as_ref()).cloned().collect();
    if !across && is_elsewhere(Some(organization_id), &left, &memberships) {
        return Err(crossing("Something else leads into the account from another organization."));
    }
    Ok(Some(moving))
}

/// Decides whether one account may become part of another.
///
/// # Errors
/// `user_deleted`, `cross_organization_link_disabled`.
pub fn merge(from: &Candidate, into: &Candidate, across: bool) -> Result<()> {
    for (user, argument) in [(from, "from_user"), (into, "into_user")] {
        if user.deleted {
            let detail = format!("auth.users.deleted_at of {argument} is set.");
            return Err(Error::with_detail(ErrorCode::UserDeleted, detail));
        }
    }
    let identities = from.identities.iter().map(|identity| identity.organization_id.as_deref());
    let memberships = from.memberships.iter().map(|id| Some(id.as_str()));
    let mut organizations = identities.chain(memberships);
    if !across && organizations.any(|id| is_elsewhere(id, &into.identities, &into.memberships)) {
        return Err(crossing("The user from_user belongs to an organization that into_user does not belong to."));
    }
    Ok(())
}

fn crossing(what: &str) -> Error {
    let detail = format!("{what} workos_auth.link_across_organizations is off.");
    Error::with_detail(ErrorCode::CrossOrganizationLinkDisabled, detail)
        .hint("If the account may be of both organizations, a superuser sets workos_auth.link_across_organizations = on for this transaction.")
}
