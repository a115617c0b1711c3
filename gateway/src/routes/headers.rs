//! What the endpoints read from the headers of a request, and write into those of an answer.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::{ApiError, Result};

/// Sends a browser on. 302 or 303: a 307 would have it send a form's body along.
///
/// # Errors
/// The URL cannot stand in a header.
pub fn redirect(status: StatusCode, url: &str) -> Result<Response> {
    let location = HeaderValue::from_str(url)
        .map_err(|_| ApiError::unexpected("The database returned a URL that cannot stand in a header."))?;
    Ok((status, [(header::LOCATION, location)]).into_response())
}

/// The access token of a request.
///
/// # Errors
/// 401 `no_authorization`.
pub fn bearer(headers: &HeaderMap) -> Result<&str> {
    let mut lines = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(ApiError::no_authorization()) };
    let (scheme, token) =
        line.to_str().ok().and_then(|line| line.split_once(' ')).ok_or_else(ApiError::no_authorization)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(ApiError::no_authorization());
    }
    Ok(token)
}

/// What a client calls itself; a header that is no UTF-8 is read as far as it is.
pub fn user_agent(headers: &HeaderMap) -> Option<String> {
    headers.get(header::USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}
