//! What the database says when it refuses, as HTTP. `auth.error_codes` is the one map from SQLSTATE to name and status: by the SQLSTATE
//! itself, or by its first two characters, its class. The words of a refusal decide nothing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use deadpool::managed::PoolError;
use tokio_postgres::error::{DbError, Severity, SqlState};

use super::connector::ConnectError;
use super::lease::Lease;
use crate::error::ApiError;

const ERROR_CODES: &str = "select sqlstate, name, http_status, meaning from auth.error_codes";
/// An unknown SQLSTATE has the view read again, but not more often than this.
const READ_EVERY: Duration = Duration::from_secs(10);

/// The rows of `auth.error_codes`, read when they are first needed.
#[derive(Debug, Default)]
pub struct ErrorCodes(RwLock<Read>);

#[derive(Debug, Default, Clone)]
struct Read {
    rows: Arc<HashMap<String, ErrorCodeRow>>,
    at: Option<Instant>,
}

#[derive(Debug)]
struct ErrorCodeRow {
    name: String,
    status: StatusCode,
    meaning: String,
}

/// What the database said.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    /// Which failure.
    pub sqlstate: &'a str,
    /// Its words, for the log.
    pub message: &'a str,
    /// The particulars.
    pub detail: Option<&'a str>,
}

impl<'a> From<&'a DbError> for Said<'a> {
    fn from(error: &'a DbError) -> Self {
        Self { sqlstate: error.code().code(), message: error.message(), detail: error.detail() }
    }
}

/// A refusal, and whether it is one of the view's.
pub struct Refused {
    pub error: ApiError,
    pub is_listed: bool,
}

impl ErrorCodes {
    /// What a client is told of it.
    pub async fn explain(&self, lease: &Lease, error: &tokio_postgres::Error) -> Refused {
        let Some(refusal) = error.as_db_error() else {
            // Closed, timed out, or not understood: the driver names no value.
            return Refused { error: ApiError::unavailable(error.to_string()), is_listed: false };
        };
        if is_fatal(refusal) {
            return Refused { error: ApiError::unavailable(described(refusal.into())), is_listed: false };
        }
        self.explain_said(lease, refusal.into()).await
    }

    /// The same of what is no error to the connection.
    pub async fn explain_said(&self, lease: &Lease, refusal: Said<'_>) -> Refused {
        let sqlstate = refusal.sqlstate;
        if let Some(error) = self.look_up(sqlstate, refusal) {
            return Refused { error, is_listed: true };
        }
        self.read_again(lease).await;
        if let Some(error) = self.look_up(sqlstate, refusal) {
            return Refused { error, is_listed: true };
        }
        let of_class = sqlstate.get(..2).and_then(|class| self.look_up(class, refusal));
        let unknown = || match sqlstate.starts_with("08") {
            // A pooler has no server for us, so the view could not be read.
            true => because(ApiError::unavailable(""), refusal),
            false => because(ApiError::unexpected(""), refusal),
        };
        Refused { error: of_class.unwrap_or_else(unknown), is_listed: false }
    }

    fn look_up(&self, key: &str, refusal: Said<'_>) -> Option<ApiError> {
        let rows = Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).rows);
        Some(of_row(rows.get(key)?, key, refusal))
    }

    async fn read_again(&self, lease: &Lease) {
        let now = Instant::now();
        let read_at = self.0.read().unwrap_or_else(PoisonError::into_inner).at;
        if read_at.is_some_and(|at| now.duration_since(at) < READ_EVERY) {
            return;
        }
        let found = match lease.query(ERROR_CODES).await {
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "auth.error_codes cannot be read");
                return;
            }
        };
        let mut rows: HashMap<String, ErrorCodeRow> = HashMap::new();
        for row in &found {
            let (Ok(sqlstate), Ok(name), Ok(status), Ok(meaning)) =
                (row.try_get(0), row.try_get(1), row.try_get::<_, i32>(2), row.try_get(3))
            else {
                continue;
            };
            let status = u16::try_from(status).ok().and_then(|status| StatusCode::from_u16(status).ok());
            let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            rows.insert(sqlstate, ErrorCodeRow { name, status, meaning });
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Read { rows: Arc::new(rows), at: Some(now) };
    }
}

fn of_row(row: &ErrorCodeRow, key: &str, refusal: Said<'_>) -> ApiError {
    // Supabase's clients know one name for everything that is wrong with a token; the message says which it is.
    let code = if row.name.starts_with("bad_jwt_") { "bad_jwt" } else { row.name.as_str() };
    let in_words = refusal.detail.filter(|_| row.name == HOOK_REFUSED).and_then(in_words);
    if let Some((status, words)) = in_words {
        return because(ApiError::new(status, code, words), refusal);
    }
    let message = match refusal.detail {
        // What the caller can mend, it has to be told: which argument, and why. A row for a whole class stands for Postgres's own
        // failures, whose words can hold values: they are for the log, as is all that the caller cannot mend.
        Some(detail) if row.status == StatusCode::BAD_REQUEST && key == refusal.sqlstate => {
            format!("{} ({detail})", row.meaning)
        }
        _ => row.meaning.clone(),
    };
    because(ApiError::new(row.status, code, message), refusal)
}

/// A hook of the administrator's refused, in words that are for the person.
const HOOK_REFUSED: &str = "hook_refused";

/// The status and the words of such a refusal, whose detail is `HTTP 403: …`.
fn in_words(detail: &str) -> Option<(StatusCode, &str)> {
    let (status, words) = detail.strip_prefix("HTTP ")?.split_once(": ")?;
    Some((status.parse().ok()?, words))
}

fn because(error: ApiError, refusal: Said<'_>) -> ApiError {
    error.because(Some(refusal.sqlstate.to_owned()), described(refusal))
}

/// Whether nobody gave a connection back in time, or none could be made.
pub fn is_timeout(error: &PoolError<ConnectError>) -> bool {
    matches!(error, PoolError::Timeout(_))
}

/// No connection could be had.
pub fn of_pool(error: PoolError<ConnectError>) -> ApiError {
    match error {
        PoolError::Backend(ConnectError { sqlstate, detail }) => ApiError::unavailable("").because(sqlstate, detail),
        other => ApiError::unavailable(other.to_string()),
    }
}

/// Whether the server ended the connection, and likely the others too: it stops, or it crashed.
pub fn is_end_of_server(error: &tokio_postgres::Error) -> bool {
    let ends = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
    error.is_closed() || error.as_db_error().is_some_and(|said| is_fatal(said) && ends.contains(said.code()))
}

/// It ends the connection. A pooler says so in the older of the two fields alone.
fn is_fatal(refusal: &DbError) -> bool {
    matches!(refusal.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) || refusal.severity() == "FATAL"
}

/// Our functions put no secret into message and detail.
fn described(refusal: Said<'_>) -> String {
    match refusal.detail {
        Some(detail) => format!("{}: {detail}", refusal.message),
        None => refusal.message.to_owned(),
    }
}
