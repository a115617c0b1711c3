//! Refreshes a session. What is to be done is decided by `core::refresh_token`; here it is done, or decided again where another
//! transaction was faster.

use workos_auth_core::secret::RefreshToken;
use workos_auth_core::{Error, ErrorCode, Result};

use super::presented::Presentation;
use super::session::Session;
use super::tokens::{Tokens, issue};
use crate::postgres::snapshot::uses_one_snapshot;
use crate::store::{self, RequestClient, accounts, users};
use crate::{mirror, settings};

/// `authentication_method`, as Supabase Auth tells its hook.
const METHOD: &str = "token_refresh";
/// How often another transaction may be faster before the caller is asked to try again.
const TRIES: usize = 100;

/// Gives a session new tokens.
///
/// # Errors
/// Those of [`Presentation::of`] and [`Presentation::decide`]; `sso_required`, `member_removed`, `mirror_stale`, and those of `session_…`.
pub fn refresh(token: Option<&RefreshToken>, client: &RequestClient) -> Result<Session> {
    let presented = Presentation::of(token)?;
    let (presented, tokens) = until_current(presented, |presented| attempt(presented, client))?;
    Ok(Session::of(tokens, presented.row))
}

/// Tries until no other transaction was faster.
///
/// # Errors
/// Those of `attempt`; `serialization_failure`, `refresh_token_not_found`.
pub fn until_current<T>(
    mut presented: Presentation,
    mut attempt: impl FnMut(&Presentation) -> Result<Option<T>>,
) -> Result<(Presentation, T)> {
    for _ in 0..TRIES {
        if let Some(done) = attempt(&presented)? {
            return Ok((presented, done));
        }
        // Past its snapshot, a transaction that keeps one cannot write.
        if uses_one_snapshot() {
            break;
        }
        presented = presented.read_again()?;
    }
    Err(Error::with_detail(ErrorCode::SerializationFailure, "Another transaction has changed the session."))
}

/// `None` if the row is no longer what it was when it was read, or the transaction's snapshot is older than that.
fn attempt(presented: &Presentation, client: &RequestClient) -> Result<Option<Tokens>> {
    let decision = presented.decide(client)?;
    let watched = store::watched();
    let Some(counter) = presented.carry_out(&decision, client)? else { return Ok(None) };
    let row = &presented.row;
    let authkit_subject = accounts::authkit_subject(row)?;
    if let (Some(organization), None, None) = (&row.organization_id, &row.connection_id, &authkit_subject) {
        accounts::refuse_without_sso(organization)?;
    }
    if let Some(subject) = &authkit_subject {
        mirror::refuse_subject_of_session(subject, row.organization_id.as_deref())?;
    }
    if let Some(organization) = &row.organization_id {
        mirror::refuse_overdue()?;
        mirror::refuse_removed(row.user_id, organization)?;
        accounts::refuse_deleted(organization)?;
    }
    let tokens = issue(presented.installation, row, counter, settings::access_token_ttl(), METHOD)?;
    if store::watched() != watched {
        users::require_good_standing(row.user_id)?;
    }
    Ok(Some(tokens))
}
