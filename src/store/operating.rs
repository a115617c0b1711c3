//! What operators do to `users`, and what the clean-up removes of every table that grows.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use uuid::Uuid;
use workos_auth_core::Result;

use super::{query, uuid_arg};
use crate::error::unexpected;

/// Whether a time lies in the future.
pub fn is_future(time: TimestampWithTimeZone) -> Result<bool> {
    let found = query::row("SELECT $1 OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp()", &[time.into()], |row| {
        row.get::<bool>(1)
    })?;
    Ok(found.unwrap_or(false))
}

/// Bans a user. Returns the time as ISO 8601, or `None` where there is no such user.
pub fn ban(user_id: Uuid, until: TimestampWithTimeZone) -> Result<Option<String>> {
    query::row(
        "UPDATE auth.users SET banned_until = $2, updated_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) $1
         RETURNING pg_catalog.to_jsonb(banned_until) OPERATOR(pg_catalog.#>>) '{}'",
        &[uuid_arg(user_id), until.into()],
        |row| row.get(1),
    )
}

/// Bans a user without an end; false where that is so.
pub fn ban_for_ever(user_id: Uuid) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.users SET banned_until = 'infinity', updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) $1 AND banned_until IS DISTINCT FROM 'infinity'",
        &[uuid_arg(user_id)],
    )?;
    Ok(written == 1)
}

/// Lifts a ban; says how many.
pub fn unban(user_id: Uuid) -> Result<u64> {
    query::execute(
        "UPDATE auth.users SET banned_until = NULL, updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) $1 AND banned_until IS NOT NULL",
        &[uuid_arg(user_id)],
    )
}

/// Locks a user who is going to be deleted; false where there is none.
pub fn lock(user_id: Uuid) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1 FOR UPDATE",
        &[uuid_arg(user_id)],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// Deletes a user, and by the foreign keys what hangs on them.
pub fn delete(user_id: Uuid) -> Result<u64> {
    query::execute("DELETE FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1", &[uuid_arg(user_id)])
}

/// Removes sessions and memberships of users who are not there.
pub fn remove_orphans() -> Result<u64> {
    let sessions = query::execute(
        "DELETE FROM auth.sessions AS o WHERE o.user_id IS NOT NULL
             AND NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)",
        &[],
    )?;
    let memberships = query::execute(
        "DELETE FROM auth.organization_memberships AS o
             WHERE NOT EXISTS (SELECT FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) o.user_id)",
        &[],
    )?;
    Ok(sessions + memberships)
}

/// Removes sign-ins whose time is over.
pub fn remove_expired_flows(batch: i64) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.flow_states WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.flow_states WHERE expires_at OPERATOR(pg_catalog.<) pg_catalog.now()
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))",
        &[batch.into()],
    )
}

/// Removes sessions whose time is over.
pub fn remove_ended_sessions(batch: i64) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions WHERE not_after OPERATOR(pg_catalog.<) pg_catalog.now()
             ORDER BY not_after LIMIT $1 FOR UPDATE SKIP LOCKED))",
        &[batch.into()],
    )
}

/// Removes sessions that can be refreshed and were not for too long.
///
/// There is no index to find them by: every refresh would write to it. So a part of the table is looked at, `batch` pages, and another one
/// each time: by chance, so that nobody has to keep where the last call was. The table is never read whole, unless it has no more pages.
pub fn remove_idle_sessions(timeout: Duration, batch: i64) -> Result<u64> {
    let (first, after) = part_of_sessions(batch)?;
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions
             WHERE ctid OPERATOR(pg_catalog.>=) $3::pg_catalog.tid AND ctid OPERATOR(pg_catalog.<) $4::pg_catalog.tid
                 AND refresh_token_salt IS NOT NULL AND coalesce(refreshed_at, created_at)
                 OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => $1))
             LIMIT $2 FOR UPDATE SKIP LOCKED))",
        &[timeout.as_secs_f64().into(), batch.into(), first.into(), after.into()],
    )
}

/// Where a part of `auth.sessions` of so many pages begins, and where it has ended.
fn part_of_sessions(pages: i64) -> Result<(String, String)> {
    let found = query::row(
        "SELECT pg_catalog.format('(%s,0)', part.first), pg_catalog.format('(%s,0)', part.first OPERATOR(pg_catalog.+) $1)
         FROM (
             SELECT pg_catalog.floor(pg_catalog.random() OPERATOR(pg_catalog.*) pg_catalog.ceil(GREATEST(
                 pg_catalog.pg_relation_size('auth.sessions'::pg_catalog.regclass)::pg_catalog.float8
                     OPERATOR(pg_catalog./) pg_catalog.current_setting('block_size')::pg_catalog.float8
                     OPERATOR(pg_catalog./) $1::pg_catalog.float8, 1)))::pg_catalog.int8 OPERATOR(pg_catalog.*) $1 AS first
         ) AS part",
        &[pages.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )?;
    found.ok_or_else(|| unexpected("The part of a table was not said."))
}

/// Removes entries of the audit log that are older than they are kept.
pub fn remove_audit_entries(retention: Duration, batch: i64) -> Result<u64> {
    query::execute(
"DELETE FROM auth.audit_log_entries WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.audit_log_entries
             WHERE created_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(secs => $1))
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))",
        &[retention.as_secs_f64().into(), batch.into()],
    )
}
