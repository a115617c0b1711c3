//! What an operator does to people and organizations, also inside a business transaction; and the clean-up.
//!
//! A ban and a deletion are written into the session rows: readers look at nothing else, in any backend and on any standby.

use pgrx::Uuid as PgUuid;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::json;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result};

use super::issuers::unknown_issuer;
use crate::audit::audit;
use crate::postgres::snapshot::uses_one_snapshot;
use crate::postgres::transaction::require_writable;
use crate::postgres::uuid::from_postgres;
use crate::store::mirror::following;
use crate::store::sessions::{self, Scope};
use crate::store::{Subject, accounts, configuration, ended_sessions, issuers, operating as store, scan, users};
use crate::{current_session, installation, members, settings};

/// The most rows of a table that one clean-up removes.
const LARGEST_BATCH: i32 = 100_000;

/// `auth.ban_user`: how many users.
pub fn ban(user_id: Option<PgUuid>, until: Option<TimestampWithTimeZone>) -> Result<i64> {
    let user_id = writing_about(user_id)?;
    let until = until.ok_or_else(|| Error::null("until"))?;
    if !store::is_future(until)? {
        return Err(Error::invalid("until", "it must lie in the future."));
    }
    // The user's row comes first: a sign-in under way holds it, so its session is there to be ended afterwards.
    let Some(until) = store::ban(user_id, until)? else { return Ok(0) };
    let ended = end_everywhere(user_id)?;
    audit("user_banned", &about(user_id), json!({ "until": until, "sessions": ended }))?;
    current_session::recheck_on_next_read();
    Ok(1)
}

/// `auth.unban_user`: how many users.
pub fn unban(user_id: Option<PgUuid>) -> Result<i64> {
    let user_id = writing_about(user_id)?;
    let unbanned = store::unban(user_id)?;
    if unbanned > 0 {
        audit("user_unbanned", &about(user_id), json!({}))?;
    }
    Ok(count(unbanned))
}

/// `auth.revoke_sessions`: how many sessions.
pub fn revoke_sessions(user_id: Option<PgUuid>) -> Result<i64> {
    let user_id = writing_about(user_id)?;
    let ended = end_everywhere(user_id)?;
    if ended > 0 {
        audit("sessions_revoked", &about(user_id), json!({ "sessions": ended }))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(ended))
}

/// `auth.revoke_session`: how many sessions.
pub fn revoke_session(session_id: Option<PgUuid>) -> Result<i64> {
    require_writable()?;
    let session_id = from_postgres(session_id.ok_or_else(|| Error::null("session_id"))?);
    installation::refuse_verifier()?;
    let Some(session) = scan::live_session(session_id) else { return Ok(0) };
    let ended = sessions::end_one(session_id)?;
    if ended > 0 {
        let subject = Subject { user_id: session.user_id, session_id: Some(session_id), ..Subject::default() };
        audit("session_revoked", &subject, json!({}))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(ended))
}

/// `auth.revoke_session` of a trusted issuer's: how many sessions.
pub fn revoke_issuer_session(issuer: Option<&str>, sid: Option<&str>) -> Result<i64> {
    require_writable()?;
    let issuer = issuer.ok_or_else(|| Error::null("issuer"))?;
    let sid = sid.ok_or_else(|| Error::null("sid"))?;
    if sid.is_empty() {
        return Err(Error::invalid("sid", "it is empty."));
    }
    if !issuers::hold(issuer)? {
        return Err(unknown_issuer());
    }
    let ended = ended_sessions::end(issuer, sid)?;
    if ended > 0 {
        audit("session_revoked", &Subject::default(), json!({ "issuer": issuer, "sid": sid }))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(ended))
}

/// Ends whatever a user has begun, here and at trusted issuers; says how many.
fn end_everywhere(user_id: Uuid) -> Result<u64> {
    Ok(sessions::end(user_id, Scope::Global)? + ended_sessions::end_of_user(user_id, None)?)
}

/// `auth.revoke_organization`: how many sessions.
pub fn revoke_organization(organization: Option<&str>) -> Result<i64> {
    require_writable()?;
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    let mut ended = sessions::end_of_organization(organization)?;
    // As of people: those of trusted issuers are a verifier's own business.
    match accounts::knows_organization(organization) && !scan::organization_is_fed(organization) {
        true => ended += ended_sessions::end_of_organization(organization)?,
        false => installation::refuse_verifier()?,
    }
    if ended > 0 {
        let subject = Subject { organization_id: Some(organization), ..Subject::default() };
        audit("organization_revoked", &subject, json!({ "sessions": ended }))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(ended))
}

/// `auth.require_sso`: how many organizations.
///
/// # Errors
/// `organization_of_another_issuer`, `verifier_only`; `conflict` in a transaction that keeps one snapshot.
pub fn require_sso(organization: Option<&str>, required: Option<bool>) -> Result<i64> {
    require_writable()?;
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    let required = required.ok_or_else(|| Error::null("required"))?;
    installation::refuse_verifier()?;
    if required {
        accounts::require_issuer(organization, None)?;
        // A session that was opened since the snapshot would not be seen, and go on.
        if uses_one_snapshot() {
            let detail = "This transaction sees the sessions of when it began, and not those that were opened since.";
            return Err(
                Error::with_detail(ErrorCode::Conflict, detail).hint("Call it in a transaction of READ COMMITTED.")
            );
        }
    }
    // The organization's row comes first: auth.create_session holds it, so its session is there to be ended afterwards.
    let changed = accounts::require_sso(organization, required)?;
    if changed > 0 {
        let ended = match required {
            true => sessions::end_without_sso(organization)? + ended_sessions::end_of_organization(organization)?,
            false => 0,
        };
        let subject = Subject { organization_id: Some(organization), ..Subject::default() };
        audit("organization_sso_changed", &subject, json!({ "required": required, "sessions": ended }))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(changed))
}

/// `auth.delete_user`: how many users.
///
/// # Errors
/// 23503 where a foreign key says so: Postgres raises it.
pub fn delete(user_id: Option<PgUuid>) -> Result<i64> {
    let user_id = writing_about(user_id)?;
    if !store::lock(user_id)? {
        return Ok(0);
    }
    // Before the foreign keys would, so that they are counted, and in the order that everyone ends sessions in.
    let ended = end_everywhere(user_id)?;
    let deleted = store::delete(user_id)?;
    audit("user_deleted", &about(user_id), json!({ "sessions": ended }))?;
    current_session::recheck_on_next_read();
    Ok(count(deleted))
}

/// `auth.remove_member`: how many memberships.
pub fn remove_member(user_id: Option<PgUuid>, organization: Option<&str>) -> Result<i64> {
    let user_id = writing_about(user_id)?;
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    // A sign-in under way holds the user's row, so its session is there to be ended afterwards.
    if !users::lock(user_id)? {
        return Ok(0);
    }
    let left = members::remove(user_id, organization)?;
    if left.memberships + left.sessions > 0 {
        let subject = Subject { organization_id: Some(organization), ..about(user_id) };
        audit("member_removed", &subject, json!({ "sessions": left.sessions }))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(left.memberships))
}

/// `auth.remove_orphans`: how many rows.
pub fn remove_orphans() -> Result<i64> {
    require_writable()?;
    installation::refuse_verifier()?;
    let removed = store::remove_orphans()?;
    if removed > 0 {
        audit("orphans_removed", &Subject::default(), json!({ "rows": removed }))?;
        current_session::recheck_on_next_read();
    }
    Ok(count(removed))
}

/// `auth.cleanup`: how many rows.
pub fn cleanup(batch: Option<i32>) -> Result<i64> {
    require_writable()?;
    let batch = batch.ok_or_else(|| Error::null("batch"))?;
    if !(1..=LARGEST_BATCH).contains(&batch) {
        return Err(Error::invalid("batch", "it must be from 1 to 100000."));
    }
    let batch = i64::from(batch);
    let mut removed = store::remove_expired_flows(batch)?;
    let is_verifier = scan::verifier().is_some();
    // What a verifier was fed, the issuer removes.
    if !is_verifier {
        removed += store::remove_ended_sessions(batch)?;
    }
    removed += ended_sessions::remove_expired(batch)?;
    removed += following::remove_old_events(batch)?;
    removed += configuration::delete_unused_data_keys(batch)?;
    if let Some(timeout) = settings::session_idle_timeout().filter(|_| !is_verifier) {
        removed += store::remove_idle_sessions(timeout, batch)?;
    }
    if let Some(retention) = settings::audit_retention() {
        removed += store::remove_audit_entries(retention, batch)?;
    }
    current_session::recheck_on_next_read();
    Ok(count(removed))
}

/// The user whom a call that writes is about.
fn writing_about(user_id: Option<PgUuid>) -> Result<Uuid> {
    require_writable()?;
    let user_id = from_postgres(user_id.ok_or_else(|| Error::null("user_id"))?);
    // The people of trusted issuers are a verifier's own business; those of the issuer that feeds it are not.
    if scan::user_now(user_id, |_| ()).is_none() {
        installation::refuse_verifier()?;
    }
    Ok(user_id)
}

fn about(user_id: Uuid) -> Subject<'static> {
    Subject { user_id: Some(user_id), ..Subject::default() }
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
