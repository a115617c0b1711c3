//! What the rows of the database hold.

use std::fmt::Display;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::value::RawValue;
use tokio_postgres::Row;
use tokio_postgres::row::RowIndex;
use tokio_postgres::types::FromSql;
use uuid::Uuid;

use crate::answer::SessionAnswer;
use crate::error::{ApiError, Result};

/// A session that was opened or refreshed.
#[derive(Debug)]
pub struct Opened {
    /// As clients see it.
    pub answer: SessionAnswer,
    /// Which.
    pub session_id: Uuid,
    /// Whose.
    pub user_id: Uuid,
    /// Of which organization.
    pub organization_id: Option<String>,
    /// The sign-in that opened it; not of a refresh.
    pub flow_id: Option<Uuid>,
}

/// A session that was opened or refreshed, and its person.
///
/// # Errors
/// A column is not what it should be.
pub(super) fn opened(row: &Row) -> Result<Opened> {
    let (expires_at, now): (SystemTime, SystemTime) = (get(row, "expires_at")?, get(row, "now")?);
    Ok(Opened {
        session_id: get(row, "session_id")?,
        user_id: get(row, "user_id")?,
        organization_id: get(row, "organization_id")?,
        flow_id: None,
        answer: SessionAnswer {
            access_token: get(row, "access_token")?,
            token_type: "bearer",
            expires_in: expires_at.duration_since(now).map_or(0, rounded),
            expires_at: expires_at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            refresh_token: get(row, "refresh_token")?,
            user: raw(get(row, "user")?)?,
            provider_token: get(row, "provider_token")?,
        },
    })
}

/// Whole seconds, the nearest.
fn rounded(duration: Duration) -> u64 {
    duration.saturating_add(Duration::from_millis(500)).as_secs()
}

/// A column.
///
/// # Errors
/// It is not what it should be.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, column: impl RowIndex + Display) -> Result<T> {
    row.try_get(column).map_err(unreadable)
}

/// JSON that goes on as it is.
///
/// # Errors
/// It is none.
pub(super) fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(|_| ApiError::unexpected("The database's JSON is none."))
}

/// The driver's words name a column and types, no value.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn unreadable(error: tokio_postgres::Error) -> ApiError {
    ApiError::unexpected(format!("An answer of the database is not what it should be: {error}"))
}
