//! What follows from a change of a membership or the end of an identity, by whoever's hand: a token says what its person was allowed when it was made.

use uuid::Uuid;
use workos_auth_core::Result;

use crate::current_session;
use crate::store::{ended_sessions, sessions, users};

/// Who is a member of what.
#[derive(PartialEq, Eq)]
pub struct Member {
    /// WorkOS's organization
    pub organization_id: String,
    /// `users.id`
    pub user_id: Uuid,
}

/// Ends what somebody began at a trusted issuer whose identity there goes: so that no token from before makes the person known again.
pub fn identity_left(issuer: &str, subject: &str) -> Result<()> {
    ended_sessions::end_of_subject(issuer, subject)?;
    current_session::recheck_on_next_read();
    Ok(())
}

/// What somebody had who has left.
pub struct Left {
    /// how many memberships
    pub memberships: u64,
    /// how many sessions
    pub sessions: u64,
}

/// Takes somebody out of an organization, whose row of `auth.users` is locked.
pub fn remove(user_id: Uuid, organization_id: &str) -> Result<Left> {
    let sessions = sessions::end_in_organization(user_id, organization_id)?;
    let memberships = users::delete_membership(organization_id, user_id)?;
    // Where there is no row, too: a token from before would make one.
    ended_sessions::end_of_user(user_id, Some(organization_id))?;
    Ok(Left { memberships, sessions })
}

/// Ends the sessions of whoever left an organization, and has the tokens of whoever stays refreshed, whose rights there have changed; without
/// either row, the table was emptied.
pub fn changed(old: Option<&Member>, new: Option<&Member>) -> Result<()> {
    match (old, new) {
        (None, None) => drop(sessions::end_of_organizations()?),
        (Some(old), Some(new)) if old == new => {
            sessions::raise_claims_version(new.user_id, &new.organization_id)?;
        }
        (Some(old), _) => {
            sessions::end_in_organization(old.user_id, &old.organization_id)?;
            // So that no token from before makes a member of the person again.
            ended_sessions::end_of_user(old.user_id, Some(&old.organization_id))?;
        }
        (None, Some(_)) => {}
    }
    current_session::recheck_on_next_read();
    Ok(())
}
