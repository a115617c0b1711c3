//! `worker_status`: what the background worker did.

use std::time::Duration;

use pgrx::datum::TimestampWithTimeZone;
use workos_auth_core::Result;

use super::query;

/// How a run of a task ended.
#[derive(Debug)]
pub struct Entry<'a> {
    /// which task
    pub task: &'a str,
    /// when it began
    pub started_at: TimestampWithTimeZone,
    /// how many rows or keys it was about
    pub count: i64,
    /// why it failed, without a secret
    pub error: Option<&'a str>,
    /// how often it has failed in a row
    pub failures: u32,
    /// when it comes next
    pub next_in: Duration,
}

/// Writes down how a run of a task ended. What was so of the last failure stays when it succeeds, and the other way round.
pub fn write(entry: &Entry) -> Result<()> {
    query::execute(
        "INSERT INTO auth.worker_status AS w (task, last_started_at, last_succeeded_at, last_failed_at, failures, last_count, last_error, next_at)
         VALUES ($1, $2,
             CASE WHEN $4 IS NULL THEN pg_catalog.clock_timestamp() END,
             CASE WHEN $4 IS NOT NULL THEN pg_catalog.clock_timestamp() END,
             $5, $3, $4, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $6))
         ON CONFLICT (task) DO UPDATE SET last_started_at = excluded.last_started_at,
             last_succeeded_at = coalesce(excluded.last_succeeded_at, w.last_succeeded_at),
             last_failed_at = coalesce(excluded.last_failed_at, w.last_failed_at),
             failures = excluded.failures, last_count = excluded.last_count,
             last_error = coalesce(excluded.last_error, w.last_error), next_at = excluded.next_at",
        &[
            entry.task.into(),
            entry.started_at.into(),
            entry.count.into(),
            entry.error.into(),
            i32::try_from(entry.failures).unwrap_or(i32::MAX).into(),
            entry.next_in.as_secs_f64().into(),
        ],
    )
    .map(drop)
}
