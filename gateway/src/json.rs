//! JSON in and out: bodies of requests, users and sessions as Supabase Auth writes them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use http_body_util::BodyExt;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tokio::time::timeout;

use crate::config::Config;
use crate::error::{ApiError, Result};
use crate::places::Seat;

/// Reads a JSON object. The content type is not looked at, as Supabase Auth does not.
///
/// # Errors
/// Those of [`read_body`], 400 `bad_json`.
pub async fn read<T: DeserializeOwned>(request: Request, config: &Config) -> Result<T> {
    let bytes = read_body(request, config).await?;
    serde_json::from_slice(&bytes).map_err(|error| {
        // serde's own words could show what was sent.
        let (line, column) = (error.line(), error.column());
        ApiError::bad_json(format!("Could not parse request body as JSON: line {line}, column {column}"))
    })
}

/// Reads a body: no more of it, and for no longer, than is configured.
///
/// # Errors
/// 413 `request_entity_too_large`; 408 `request_timeout`, however steadily the client sends; 400 where it broke off.
pub async fn read_body(request: Request, config: &Config) -> Result<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let given_up = |_| ApiError::bad_json("The connection was given up for another one");
    let seat = parts.extensions.get::<Arc<Seat>>();
    seat.map_or(Ok(()), |seat| seat.wants_body()).map_err(given_up)?;
    let read = timeout(config.body_timeout, read_all(body, config.max_body)).await.map_err(|_| {
        let message = "The request body took too long to arrive";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", message)
    })??;
    seat.map_or(Ok(()), |seat| seat.has_body()).map_err(given_up)?;
    Ok(read)
}

async fn read_all(mut body: Body, limit: usize) -> Result<Vec<u8>> {
    let mut read = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad_json("The request body could not be read"))?;
        let Some(data) = frame.data_ref() else { continue };
        if read.len().saturating_add(data.len()) > limit {
            drain(body).await;
            return Err(too_large(limit));
        }
        read.extend_from_slice(data);
    }
    Ok(read)
}

/// How much of a body is read that nobody wants, and for how long.
const DRAIN_AT_MOST: usize = 8 * 1024 * 1024;
const DRAIN_FOR: Duration = Duration::from_secs(2);

/// Reads on what is too much, so that the answer arrives: who still sends when the connection closes may never see it.
pub async fn drain(mut body: Body) {
    let read = async {
        let mut left = DRAIN_AT_MOST;
        while let Some(Ok(frame)) = body.frame().await {
            match left.checked_sub(frame.data_ref().map_or(0, |data| data.len())) {
                Some(rest) => left = rest,
                None => break,
            }
        }
    };
    // Whoever takes longer is answered all the same.
    let _ = timeout(DRAIN_FOR, read).await;
}

/// 413 `request_entity_too_large`
pub fn too_large(limit: usize) -> ApiError {
    let message = format!("Request body is larger than {limit} bytes");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "request_entity_too_large", message)
}

/// Refuses what Postgres's text cannot hold.
///
/// # Errors
/// 400 `validation_failed`, naming `what`.
pub fn without_nul<'a>(what: &str, text: &'a str) -> Result<&'a str> {
    if text.contains('\0') {
        return Err(ApiError::validation(format!("{what} contains a NUL character")));
    }
    Ok(text)
}

/// A session as `POST /token` answers it.
#[derive(Debug, Serialize)]
pub struct SessionAnswer {
    /// The JWT.
    pub access_token: String,
    /// `bearer`
    pub token_type: &'static str,
    /// Seconds from now.
    pub expires_in: u64,
    /// Seconds since 1970.
    pub expires_at: u64,
    /// For the next access token.
    pub refresh_token: Option<String>,
    /// As `GET /user` has it.
    pub user: Box<RawValue>,
    /// WorkOS's own; at a sign-in only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider_token: Option<String>,
}

/// A JSON answer.
pub fn json_response<T: Serialize + ?Sized>(status: StatusCode, body: &T) -> Response {
    let (status, bytes) = match serde_json::to_vec(body) {
        Ok(bytes) => (status, bytes),
        // Nothing that is written here has keys that are no strings, which is the one thing that could fail.
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, b"{}".to_vec()),
    };
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
