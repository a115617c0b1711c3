//! JSON that goes out: a session as Supabase Auth writes it, and any other answer.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;

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
