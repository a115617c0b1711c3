//! What becomes of somebody who has left, as `workos_auth.deprovision` says.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::accounts::AUTHKIT;

use crate::audit::audit;
use crate::members;
use crate::settings::{self, Deprovision};
use crate::store::mirror::people;
use crate::store::sessions::{self, Scope};
use crate::store::{Subject, accounts, ended_sessions, operating, users};

/// Whether nothing follows from what WorkOS tells.
pub(super) fn is_off() -> bool {
    settings::deprovision() == Deprovision::Off
}

/// Takes somebody out of an organization, and ends their sessions there.
pub(super) fn leave(user_id: Uuid, organization: &str) -> Result<()> {
    // A sign-in under way holds the user's row, so its session is there to be ended afterwards.
    if is_off() || !users::lock(user_id)? {
        return Ok(());
    }
    let is_elsewhere = is_elsewhere(user_id, organization)?;
    let left = members::remove(user_id, organization)?;
    let mut sessions = left.sessions;
    // One customer's directory bans nobody from another's organization.
    let banned = settings::deprovision() == Deprovision::Ban && !is_elsewhere && operating::ban_for_ever(user_id)?;
    if banned {
        sessions += sessions::end(user_id, Scope::Global)? + ended_sessions::end_of_user(user_id, None)?;
    }
    if left.memberships + sessions > 0 || banned {
        let subject = Subject { user_id: Some(user_id), organization_id: Some(organization), ..Subject::default() };
        audit("member_removed", &subject, json!({ "sessions": sessions, "by": "workos", "banned": banned }))?;
    }
    Ok(())
}

fn is_elsewhere(user_id: Uuid, organization: &str) -> Result<bool> {
    if people::is_member_elsewhere(user_id, organization)? {
        return Ok(true);
    }
    let candidate = accounts::candidate(user_id)?;
    Ok(candidate.is_some_and(|user| {
        user.memberships.iter().any(|id| id != organization)
            || user
                .identities
                .iter()
                // Where somebody of AuthKit, or of an issuer, is at home, their memberships say.
                .filter(|identity| !identity.is_of_issuer() && identity.provider != AUTHKIT)
                .any(|identity| identity.organization_id.as_deref() != Some(organization))
    }))
}

/// Ends all that somebody has begun, whom WorkOS has deleted, and takes them out of these organizations.
pub(super) fn leave_everywhere(user_id: Uuid, organizations: &[String]) -> Result<()> {
    if is_off() || !users::lock(user_id)? {
        return Ok(());
    }
    let mut ended = sessions::end(user_id, Scope::Global)? + ended_sessions::end_of_user(user_id, None)?;
    for organization in organizations {
        ended += members::remove(user_id, organization)?.sessions;
    }
    let banned = settings::deprovision() == Deprovision::Ban && operating::ban_for_ever(user_id)?;
    let subject = Subject { user_id: Some(user_id), ..Subject::default() };
    audit("workos_user_deleted", &subject, json!({ "sessions": ended, "banned": banned }))
}

/// Ends what a person of AuthKit has begun there, in an organization alone if one is given; also of a person who is not known here.
pub(super) fn end_at_authkit(workos_user_id: &str, organization: Option<&str>) -> Result<()> {
    if is_off() {
        return Ok(());
    }
    for issuer in people::authkit_issuers()? {
        ended_sessions::end_of_subject_in(&issuer, workos_user_id, organization)?;
    }
    Ok(())
}

/// Ends the sessions of an organization; says how many.
pub(super) fn end_organization(organization: &str) -> Result<u64> {
    match is_off() {
        true => Ok(0),
        false => Ok(sessions::end_of_organization(organization)? + ended_sessions::end_of_organization(organization)?),
    }
}
