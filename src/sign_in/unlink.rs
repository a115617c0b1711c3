//! Unlinks an identity from the account of somebody who is signed in.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::accounts::{KnownIdentity, identities};
use workos_auth_core::{Error, ErrorCode, Result};

use super::{account, link};
use crate::audit::audit_as;
use crate::current_session::{self, Verified};
use crate::store::{Subject, accounts, sessions, users};

/// Removes one of the person's identities, with the sessions that it opened and, if no other leads to its organization, with the
/// membership and every session there. The session that asks goes on as that of another identity of the same organization, if there is
/// one: nobody is signed out by tidying up.
///
/// # Errors
/// `identity_not_found`, `single_identity_not_deletable`; `insufficient_privilege` for who acts as somebody else.
pub fn unlink(session: &Verified, identity_id: Option<Uuid>) -> Result<()> {
    let identity_id = identity_id.ok_or_else(|| Error::null("identity_id"))?;
    let user_id = session.user_id;
    let session_id = link::required_session(session)?;
    link::refuse_actor(session_id)?;

    let not_found = || Error::new(ErrorCode::IdentityNotFound);
    // No row is locked before the lock is taken: a sign-in that holds it may be waiting for the user's.
    let own = accounts::candidate(user_id)?.ok_or_else(not_found)?.identities;
    let identity = own.iter().find(|identity| identity.id == identity_id).ok_or_else(not_found)?;
    // A sign-in by this identity comes before or after. That of an address is not taken: the caller may keep the transaction open, and
    // the address may be that of another customer's people too.
    account::lock_identity(&identity.provider, &identity.provider_id);
    // Written, not only locked, so that of two unlinkings at once the second sees that there is one identity less, or fails with 40001.
    if !users::lock_by_update(user_id)? {
        return Err(not_found());
    }

    let user = accounts::lock_candidate(user_id)?.ok_or_else(not_found)?;
    let decided = identities::unlink(&user, identity_id)?;
    let stays = user
        .identities
        .iter()
        .find(|other| other.id != identity_id && other.organization_id == identity.organization_id);
    if let Some(other) = stays {
        sessions::hand_over(session_id, identity_id, other.id)?;
    }
    let mut ended = sessions::end_of_identity(identity_id)?;
    users::delete_identity(identity_id)?;
    if let Some(organization) = &decided.leaves {
        ended += sessions::end_in_organization(user_id, organization)?;
        users::delete_membership(organization, user_id)?;
    }
    account::change_email(user_id, &decided.email)?;
    write_audit(session, identity, ended)?;
    current_session::recheck_on_next_read();
    Ok(())
}

fn write_audit(session: &Verified, identity: &KnownIdentity, ended: u64) -> Result<()> {
    let subject = Subject {
        organization_id: identity.organization_id.as_deref(),
        connection_id: identity.connection_id.as_deref(),
        ..session.audit_subject()
    };
    let payload = json!({
        "provider": identity.provider, "provider_id": identity.provider_id, "identity_id": identity.id, "sessions": ended,
    });
    audit_as(Some(session), "identity_unlinked", &subject, payload)
}
