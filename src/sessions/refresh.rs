//! Refreshes a session. What is to be done is decided by `core::refresh_token`; here it is done, or decided again where another
//! transaction was faster.

use serde_json::json;
use workos_auth_core::refresh_token::{
    Authentic, Moment, Presented, RefreshDecision, RefreshLimits, RefreshRefusal, SessionRow, decide,
};
use workos_auth_core::secret::RefreshToken;
use workos_auth_core::{Error, ErrorCode, Result};

use super::session::Session;
use super::theft;
use super::tokens::issue;
use crate::audit::audit;
use crate::installation::{self, Installation};
use crate::postgres::clock::now;
use crate::postgres::snapshot::uses_one_snapshot;
use crate::postgres::transaction::require_writable;
use crate::store::sessions::{self, StoredSession};
use crate::store::{self, RequestClient, accounts, users};
use crate::{mirror, secrets, settings};

/// `authentication_method`, as Supabase Auth tells its hook.
const METHOD: &str = "token_refresh";
/// How often another transaction may be faster before the caller is asked to try again.
const TRIES: usize = 100;

/// Gives a session new tokens.
///
/// # Errors
/// `read_only` before anything else; `null_value`, `validation_failed` for what is no refresh token; `refresh_token_not_found`, `verifier_only`, `installation_is_a_copy`, `refresh_token_already_used`, `conflict`,
/// `user_banned`, `user_deleted`, `sso_required`, `member_removed`, `mirror_stale`, and those of `session_…`.
pub fn refresh(token: Option<&RefreshToken>, client: &RequestClient) -> Result<Session> {
    require_writable()?;
    let presented = Presented::parse(token.ok_or_else(|| Error::null("refresh_token"))?)?;
    let id = presented.session_id();
    // A verifier knows none.
    let not_found =
        || installation::refuse_verifier().err().unwrap_or_else(|| Error::new(ErrorCode::RefreshTokenNotFound));

    let mut row = sessions::find(id)?.ok_or_else(not_found)?;
    // Before it is taken for stolen: in a copy, its tokens are those of the other.
    let installation = installation::minting()?;
    let salt = row.refresh_key.as_ref().ok_or_else(not_found)?.salt;
    let key = secrets::refresh_token_key(presented.key_id())?.ok_or_else(not_found)?;
    let token = presented.authenticate(&key, installation.id, &salt).map_err(refused)?;

    for _ in 0..TRIES {
        row = match attempt(installation, &token, row, client)? {
            Some(session) => return Ok(session),
            // Past its snapshot, a transaction that keeps one cannot write.
            None if uses_one_snapshot() => break,
            None => sessions::find(id)?.ok_or_else(not_found)?,
        };
    }
    Err(Error::with_detail(ErrorCode::SerializationFailure, "Another transaction has changed the session."))
}

/// `None` if the row is no longer what it was when it was read, or the transaction's snapshot is older than that.
fn attempt(
    installation: Installation,
    token: &Authentic,
    row: StoredSession,
    client: &RequestClient,
) -> Result<Option<Session>> {
    let limits = RefreshLimits {
        reuse_interval: settings::refresh_reuse_interval(),
        idle_timeout: settings::session_idle_timeout(),
    };
    let decision = decide(token, &seen(&row, &limits)?, &limits, Moment(now()));
    let watched = store::watched();
    let is_current = match decision {
        RefreshDecision::Rotate { counter } | RefreshDecision::HistoryLost { counter } => {
            sessions::rotate(&row, signed(counter), client)?
        }
        RefreshDecision::Recover { recoveries, .. } => sessions::recover(&row, recoveries)?,
        RefreshDecision::Again { .. } => true,
        RefreshDecision::Conflict => return Err(conflict()),
        RefreshDecision::Refused(refusal) => return Err(refused(refusal)),
        RefreshDecision::Theft(theft) => {
            theft::end_session(&row, theft, token.counter(), client);
            return Err(ErrorCode::RefreshTokenAlreadyUsed.into());
        }
    };
    let Some(counter) = decision.issues().filter(|_| is_current) else { return Ok(None) };
    write_audit(&decision, token, &row, client)?;
    let authkit_subject = accounts::authkit_subject(&row)?;
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
    let tokens = issue(installation, &row, counter, settings::access_token_ttl(), METHOD)?;
    if store::watched() != watched {
        users::require_good_standing(row.user_id)?;
    }
    Ok(Some(Session::of(tokens, row)))
}

/// What is out of the ordinary. A rotation is not: it writes one row, and no other.
fn write_audit(
    decision: &RefreshDecision,
    token: &Authentic,
    row: &StoredSession,
    client: &RequestClient,
) -> Result<()> {
    let (action, recoveries) = match decision {
        RefreshDecision::Recover { recoveries, .. } => ("token_reused", Some(recoveries)),
        RefreshDecision::HistoryLost { .. } => ("token_history_lost", None),
        _ => return Ok(()),
    };
    let subject = row.subject().with_client(client);
    audit(
        action,
        &subject,
        json!({ "presented": token.counter(), "current": row.refreshing.counter, "recoveries": recoveries }),
    )
}

fn seen(row: &StoredSession, limits: &RefreshLimits) -> Result<SessionRow> {
    let state = &row.refreshing;
    let moment = |at: Option<i64>| at.map(Moment);
    Ok(SessionRow {
        counter: state.counter,
        created_at: Moment(state.created_at),
        refreshed_at: moment(state.refreshed_at),
        recoveries: state.recoveries,
        recovered_counter: state.recovered_counter,
        recovered_at: moment(state.recovered_at),
        not_after: moment(state.not_after),
        banned_until: moment(row.user.banned_until),
        deleted: row.user.is_deleted,
        superseded: settings::single_session_per_user() && sessions::is_superseded(row, limits.idle_timeout)?,
    })
}

/// Within the column: `decide` gives no other.
fn signed(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

fn refused(refusal: RefreshRefusal) -> Error {
    match refusal {
        RefreshRefusal::NotFound => ErrorCode::RefreshTokenNotFound,
        RefreshRefusal::UserDeleted => ErrorCode::UserDeleted,
        RefreshRefusal::UserBanned => ErrorCode::UserBanned,
        RefreshRefusal::Expired => ErrorCode::SessionExpired,
        RefreshRefusal::Idle => ErrorCode::SessionIdle,
        RefreshRefusal::Superseded => ErrorCode::SessionSuperseded,
        RefreshRefusal::Exhausted => ErrorCode::SessionExhausted,
    }
    .into()
}

fn conflict() -> Error {
    let detail = "The refresh token was replaced twice within workos_auth.refresh_reuse_interval; the session lives.";
    Error::with_detail(ErrorCode::Conflict, detail)
        .hint("Use the newest refresh token that was answered: another tab has it.")
}
