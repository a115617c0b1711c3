//! What arrives from the issuers, each by a subscription of its own.

use std::cell::Cell;

use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::postgres::replication;
use crate::postgres::roles::as_owner;
use crate::store::{scan, verifier as store};

thread_local! {
    /// Whether this process writes on its own account, and not what a subscription brings.
    static IS_NOTING: Cell<bool> = const { Cell::new(false) };
}

/// Writes down what follows from what has arrived. After an error the process ends.
fn noting(write: impl FnOnce() -> Result<()>) -> Result<()> {
    let before = IS_NOTING.replace(true);
    let outcome = as_owner(write);
    IS_NOTING.set(before);
    outcome
}

/// Whether the row that is written is not one that a subscription brings.
pub fn is_noting() -> bool {
    IS_NOTING.get()
}

/// A session was here, and has ended at the issuer.
pub fn has_ended(session: pgrx::Uuid) -> Result<()> {
    noting(|| store::note_ended(&session.to_string()))
}

/// Every session was copied, or has ended at the issuer. Where no subscription writes, nothing is known of any issuer.
pub fn all_known(is_copy: bool) -> Result<()> {
    let Some(subscription) = replication::subscription() else { return Ok(()) };
    noting(|| match is_copy {
        true => store::note_copy(subscription),
        false => store::note_emptied(subscription),
    })
}

/// Whether this process makes the first copy of `auth.heartbeat`.
pub fn is_copying_heartbeat() -> bool {
    replication::subscription().is_some_and(scan::is_copying_heartbeat)
}

/// What becomes of a row that a subscription brings, changes or removes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is taken.
    Taken,
    /// It is left out.
    LeftOut,
}

/// Refuses a change of a row that another subscription has brought, or that was written here.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_own(brought_by: Option<pg_sys::Oid>) -> Result<()> {
    match replication::subscription() {
        Some(subscription) if brought_by != Some(subscription) => {
            Err(changed("The row is not one that this subscription has brought."))
        }
        _ => Ok(()),
    }
}

/// An organization arrives. It is the first subscription's that brings it, also while that is copied anew; the others go on without it.
pub fn organization(id: &str, issuer: Option<&str>, feed: &str) -> Result<Fate> {
    match scan::feed_of_organization(id) {
        None => return Ok(Fate::Taken),
        Some(Some(its)) if its == feed => noting(|| store::keep_organization(id, issuer))?,
        Some(_) => {
            crate::error::warn(
                PgSqlErrorCode::ERRCODE_WARNING,
                "two issuers have one organization",
                &format!("The subscription {feed} brings {id}, which is here already."),
                "auth.check() says what to do.",
            );
            noting(|| store::note_contested(id, feed))?;
        }
    }
    Ok(Fate::LeftOut)
}

/// An organization changes or goes at an issuer.
pub fn organization_changes(brought_by: Option<&str>, feed: &str) -> Fate {
    match brought_by == Some(feed) || IS_NOTING.get() {
        true => Fate::Taken,
        false => Fate::LeftOut,
    }
}

/// What this process's subscription is called, in a database that only verifies.
pub fn feed() -> Option<String> {
    scan::subscription_name(replication::subscription()?)
}

/// Refuses what a subscription brings into a table that says whom a verifier believes.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_no_feed() -> Result<()> {
    match replication::subscription().is_some() && !IS_NOTING.get() && scan::verifier().is_some() {
        true => Err(changed("A verifier says itself whom it believes: no subscription may feed this table.")),
        false => Ok(()),
    }
}

/// Refuses a heartbeat of somebody else than before.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_same_issuer(is_same: bool) -> Result<()> {
    match replication::subscription().is_some() && !is_same {
        true => Err(changed("The issuer is another installation than at the copy, or signs under another name.")),
        false => Ok(()),
    }
}

fn changed(detail: &str) -> Error {
    Error::with_detail(ErrorCode::ChangedByAnotherFeed, detail)
}

/// Refuses that one of several subscriptions empties a table.
///
/// # Errors
/// `changed_by_another_feed`
pub fn require_alone() -> Result<()> {
    match replication::subscription().is_some_and(scan::has_another_feed) {
        true => Err(changed("TRUNCATE at one issuer would remove what the others have brought.")),
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
            Err(changed(&detail).hint("Choose one: auth.distrust_issuer(…), or DROP SUBSCRIPTION."))
        }
        false => Ok(()),
    }
}
