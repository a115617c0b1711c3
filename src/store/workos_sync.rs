//! `workos_sync_state`: how far this database has followed WorkOS, and the secret of its webhooks.

use pgrx::datum::TimestampWithTimeZone;
use workos_auth_core::mirror::follow::State;
use workos_auth_core::{Error, Result};

use super::{query, scan};
use crate::postgres::clock::{self, timestamp};

/// How far it has followed.
pub fn state() -> Result<State> {
    let found =
        query::row("SELECT cursor, since, page_at, event_at, reconciled_at FROM auth.workos_sync_state", &[], |row| {
            let seconds = |column| -> Result<Option<i64>> {
                let at = row.nullable::<TimestampWithTimeZone>(column)?;
                Ok(at.map(|at| clock::unix_seconds(at.into())))
            };
            Ok(State {
                cursor: row.nullable(1)?,
                since: seconds(2)?,
                page_at: seconds(3)?,
                event_at: seconds(4)?,
                reconciled_at: seconds(5)?,
            })
        })?;
    Ok(found.unwrap_or_default())
}

/// Why following WorkOS failed.
pub fn note_failure(error: &Error) -> Result<()> {
    let mut text = format!("{}: {}: {error}.", error.sqlstate(), error.code().name());
    if let Some(detail) = error.detail() {
        text.push(' ');
        text.push_str(detail);
    }
    query::execute(
        "INSERT INTO auth.workos_sync_state (failed_at, last_error) VALUES (pg_catalog.clock_timestamp(), $1)
         ON CONFLICT (singleton) DO UPDATE SET failed_at = excluded.failed_at, last_error = excluded.last_error",
        &[text.as_str().into()],
    )
    .map(drop)
}

/// The states are about to be read: events are asked for from this time on. A cursor that is still good stays.
pub fn begin_reconciliation(since: i64, forget_cursor: bool) -> Result<()> {
    query::execute(
        "INSERT INTO auth.workos_sync_state AS s (since) VALUES ($1)
         ON CONFLICT (singleton) DO UPDATE SET since = excluded.since, cursor = CASE WHEN $2 THEN NULL ELSE s.cursor END,
             event_at = CASE WHEN $2 THEN NULL ELSE s.event_at END",
        &[timestamp(since)?.into(), forget_cursor.into()],
    )
    .map(drop)
}

/// All that WorkOS has was compared.
pub fn finish_reconciliation() -> Result<()> {
    query::execute("UPDATE auth.workos_sync_state SET reconciled_at = pg_catalog.clock_timestamp()", &[]).map(drop)
}

/// What was followed was another environment of WorkOS's. The SQL of an older version follows none.
pub fn forget() -> Result<()> {
    match scan::has_mirror() {
        true => query::execute(
            "UPDATE auth.workos_sync_state SET cursor = NULL, since = NULL, page_at = NULL, event_at = NULL, drained_at = NULL, reconciled_at = NULL,
                 failed_at = NULL, last_error = NULL, webhook_secret = NULL",
            &[],
        )
        .map(drop),
        false => Ok(()),
    }
}

/// The secret of webhooks, sealed, where one is kept. The SQL of an older version has no place for it.
pub fn sealed_webhook_secret() -> Result<Option<Vec<u8>>> {
    match scan::has_mirror() {
        true => {
            Ok(query::row("SELECT webhook_secret FROM auth.workos_sync_state", &[], |row| row.nullable(1))?.flatten())
        }
        false => Ok(None),
    }
}

/// Keeps the secret of webhooks, sealed, or none.
pub fn keep_sealed_webhook_secret(sealed: Option<&[u8]>) -> Result<()> {
    query::execute(
        "INSERT INTO auth.workos_sync_state (webhook_secret) VALUES ($1)
         ON CONFLICT (singleton) DO UPDATE SET webhook_secret = excluded.webhook_secret",
        &[sealed.into()],
    )
    .map(drop)
}
