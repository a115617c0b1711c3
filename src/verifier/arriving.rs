//! What arrives from the issuers, each by a subscription of its own.

use workos_auth_core::{Error, ErrorCode, Result};

use crate::postgres::replication;
use crate::store::{scan, verifier as store};

/// A session was here, and has ended at the issuer.
pub fn has_ended(session: pgrx::Uuid) -> Result<()> {
    store::note_ended(&session.to_string())
}

/// Every session was copied, or has ended at the issuer. Where no subscription writes, nothing is known of any issuer.
pub fn all_known(is_copy: bool) -> Result<()> {
    let Some(subscription) = replication::subscription() else { return Ok(()) };
    match is_copy {
        true => store::note_copy(subscription),
        false => store::note_emptied(subscription),
    }
}

/// Whether this process makes the first copy of `auth.heartbeat`.
pub fn is_copying_heartbeat() -> bool {
    replication::subscription().is_some_and(scan::is_copying_heartbeat)
}

/// Refuses a change of a row that another subscription has brought, or that was written here.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_own(brought_by: Option<pgrx::pg_sys::Oid>) -> Result<()> {
    match replication::subscription() {
        Some(subscription) if brought_by != Some(subscription) => {
            let detail = "The row is not one that this subscription has brought.";
            Err(Error::with_detail(ErrorCode::ChangedByAnotherFeed, detail))
        }
        _ => Ok(()),
    }
}

/// Refuses that one of several subscriptions empties a table.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_alone() -> Result<()> {
    match replication::subscription().is_some_and(scan::has_another_feed) {
        true => {
            let detail = "TRUNCATE at one issuer would remove what the others have brought.";
            Err(Error::with_detail(ErrorCode::ChangedByAnotherFeed, detail))
        }
        false => Ok(()),
    }
}

/// Refuses the heartbeat of an issuer that signs as one whose tokens this database trusts by keys of its own.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_not_trusted(issuer: &str) -> Result<()> {
    match replication::subscription().is_some() && scan::trusts_issuer(issuer) {
        true => {
            let detail = format!("auth.trusted_issuers has {issuer}, which the subscription speaks for.");
            Err(Error::with_detail(ErrorCode::ChangedByAnotherFeed, detail)
                .hint("Choose one: auth.distrust_issuer(…), or DROP SUBSCRIPTION."))
        }
        false => Ok(()),
    }
}
