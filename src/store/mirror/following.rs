//! `workos_sync_state` and `workos_events`: how far this database has followed WorkOS.

use workos_auth_core::Result;
use workos_auth_core::mirror::{Event, Moment};

use super::super::{query, scan};
use super::timestamp;
use crate::postgres::clock;

/// One writer of what WorkOS tells at a time, until the transaction ends; returns the cursor.
pub fn lock() -> Result<Option<String>> {
    query::execute("INSERT INTO auth.workos_sync_state DEFAULT VALUES ON CONFLICT DO NOTHING", &[])?;
    query::row("SELECT cursor FROM auth.workos_sync_state FOR UPDATE", &[], |row| row.nullable(1)).map(Option::flatten)
}

/// Moves the cursor to the end of a page; without an end it stays.
pub fn advance(end: Option<&str>, last_event: Option<Moment>, is_drained: bool) -> Result<()> {
    let last_event = last_event.map(|moment| clock::timestamp_of_micros(moment.0)).transpose()?;
    query::execute(
        "UPDATE auth.workos_sync_state
         SET cursor = coalesce($1, cursor), page_at = pg_catalog.clock_timestamp(), event_at = coalesce($2, event_at),
             drained_at = CASE WHEN $3 THEN pg_catalog.clock_timestamp() ELSE drained_at END",
        &[end.into(), last_event.into(), is_drained.into()],
    )
    .map(drop)
}

/// The next version of a role.
pub fn next_roles_version() -> Result<i64> {
    let version = query::row(
        "UPDATE auth.workos_sync_state SET roles_version = roles_version OPERATOR(pg_catalog.+) 1 RETURNING roles_version",
        &[],
        |row| row.get(1),
    )?;
    version.ok_or_else(|| crate::error::unexpected("auth.workos_sync_state has no row."))
}

/// Notes that an event was applied; false where it was before.
pub fn note(event: &Event, source: &str) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.workos_events (id, event, created_at, source) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        &[event.id.as_str().into(), event.event.as_str().into(), timestamp(event.created_at)?, source.into()],
    )?;
    Ok(written == 1)
}

/// What has brought an event before, if anything has.
pub fn source_of(id: &str) -> Result<Option<String>> {
    query::row("SELECT source FROM auth.workos_events WHERE id OPERATOR(pg_catalog.=) $1", &[id.into()], |row| {
        row.get(1)
    })
}

/// Notes that an event is not to be applied; false where it is known already.
pub fn skip(id: &str) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.workos_events (id, event, created_at, source) VALUES ($1, '', pg_catalog.now(), 'skipped') ON CONFLICT DO NOTHING",
        &[id.into()],
    )?;
    Ok(written == 1)
}

/// Removes events that nobody brings again.
pub fn remove_old_events(batch: i64) -> Result<u64> {
    if !scan::has_mirror() {
        return Ok(0);
    }
    query::execute(
        "DELETE FROM auth.workos_events WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.workos_events
             WHERE created_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 30))
             ORDER BY created_at LIMIT $1 FOR UPDATE SKIP LOCKED))",
        &[batch.into()],
    )
}
