//! What is carried between the database and WorkOS, as rows and arguments.

use std::time::Duration;

use serde_json::{Map, Value};
use tokio_postgres::Row;
use tokio_postgres::types::{Json, Type};

use super::lease::Parameter;
use super::rows::get;
use crate::error::{ApiError, Result};
use crate::workos::{WorkosAnswer, WorkosRequest};

/// What comes of WorkOS's redirect.
#[allow(missing_debug_implementations, reason = "it holds WorkOS's API key")]
pub enum CallbackStep {
    /// Where the browser goes.
    Redirect(String),
    /// What WorkOS is to be asked first.
    Ask(WorkosRequest),
}

/// The answer, in the order of the functions' arguments.
pub(super) fn answer_arguments<'a>(
    request: &'a WorkosRequest,
    answer: &'a WorkosAnswer,
    headers: &'a Json<&'a Map<String, Value>>,
) -> [Parameter<'a>; 5] {
    [
        (&request.exchange_id, Type::UUID),
        (&answer.status, Type::INT4),
        (headers, Type::JSONB),
        (&answer.body, Type::TEXT),
        (&answer.failure, Type::TEXT),
    ]
}

/// What a row says WorkOS is to be asked.
///
/// # Errors
/// A column is not what it should be.
pub(super) fn workos_request(row: &Row) -> Result<WorkosRequest> {
    let Json(headers) = get(row, "headers")?;
    Ok(WorkosRequest {
        exchange_id: get(row, "exchange_id")?,
        url: get(row, "url")?,
        headers,
        body: get(row, "body")?,
        json_body: get(row, "json_body")?,
        connect_timeout: seconds(row, "connect_timeout")?,
        request_timeout: seconds(row, "request_timeout")?,
    })
}

fn seconds(row: &Row, column: &str) -> Result<Duration> {
    Duration::try_from_secs_f64(get(row, column)?)
        .map_err(|_| ApiError::unexpected(format!("The database's {column} is no duration.")))
}
