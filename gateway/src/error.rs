//! What clients are told of a failure, in both of Supabase Auth's forms.
//!
//! A failure travels as an extension of its response, and is written last, by [`ApiError::respond`]: the form depends on a header
//! of the request.

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use uuid::Uuid;

use crate::answer::json_response;

/// The API version whose errors are `{"code": "<name>", "message": …}`.
const API_VERSION: &str = "2024-01-01";
/// The header that asks for it, and says so in the answer.
pub const API_VERSION_HEADER: &str = "x-supabase-api-version";

/// The header with the name of an error.
pub const ERROR_CODE_HEADER: HeaderName = HeaderName::from_static("x-sb-error-code");

/// The usual result of this server.
pub type Result<T> = std::result::Result<T, ApiError>;

/// A failure as clients are told of it. It holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status.
    pub status: StatusCode,
    /// The stable name.
    pub code: String,
    /// For people.
    pub message: String,
    /// For the log only.
    pub cause: Option<Box<Cause>>,
}

/// Where a failure comes from, for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Of the database, where it answered.
    pub sqlstate: Option<String>,
    /// The particulars.
    pub detail: String,
    /// Of a sign-in, where it is known.
    pub flow: Option<Uuid>,
}

impl ApiError {
    /// A failure.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), cause: None }
    }

    /// 400 `validation_failed`
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "validation_failed", message)
    }

    /// 400 `bad_json`
    pub fn bad_json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_json", message)
    }

    /// 401 `no_authorization`
    pub fn no_authorization() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "no_authorization", "This endpoint requires a valid Bearer token")
    }

    /// 500 `unexpected_failure`
    pub fn unexpected(detail: impl Into<String>) -> Self {
        let message = "Unexpected failure, please check server logs for more information";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure", message).because(None, detail)
    }

    /// 503 `unexpected_failure`: the database cannot be asked, and may be in a while.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unexpected_failure", "The database is not available")
            .because(None, detail)
    }

    /// 503: the database answers, and cannot serve sign-ins. The name is that of the extension's error for it.
    pub fn unready(code: &str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, "The database cannot serve sign-ins").because(None, detail)
    }

    /// 503 `unexpected_failure`: too many others wait for WorkOS.
    pub fn busy(detail: impl Into<String>) -> Self {
        let message = "Too many sign-ins wait for WorkOS, please retry after a moment.";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unexpected_failure", message).because(None, detail)
    }

    /// With particulars for the log.
    #[must_use]
    pub fn because(self, sqlstate: Option<String>, detail: impl Into<String>) -> Self {
        Self { cause: Some(Box::new(Cause { sqlstate, detail: detail.into(), flow: None })), ..self }
    }

    /// With the sign-in that it belongs to, for the log.
    #[must_use]
    pub fn of_flow(mut self, flow: Option<Uuid>) -> Self {
        if let Some(cause) = &mut self.cause {
            cause.flow = flow;
        }
        self
    }

    /// The same as `/token` answers it. There, Supabase's clients take every 4xx for the end of the session, and sign the person out. What
    /// may be tried again is 503, after which they keep the session and try again.
    #[must_use]
    pub fn of_token(self) -> Self {
        let may_be_tried_again = matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            || self.code == "conflict";
        match may_be_tried_again {
            true => Self { status: StatusCode::SERVICE_UNAVAILABLE, ..self },
            false => self,
        }
    }

    /// The answer, to a request with these headers. What other layers have put into `headers` stays.
    pub fn respond(&self, request: &HeaderMap, mut headers: HeaderMap, request_id: &str) -> Response {
        let is_current = request
            .get(API_VERSION_HEADER)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|version| is_date(version) && version >= API_VERSION);
        let body = if is_current {
            headers.insert(API_VERSION_HEADER, HeaderValue::from_static(API_VERSION));
            json!({ "code": self.code, "message": self.message })
        } else if self.status.is_server_error() {
            json!({ "code": self.status.as_u16(), "error_code": self.code, "msg": self.message, "error_id": request_id })
        } else {
            json!({ "code": self.status.as_u16(), "error_code": self.code, "msg": self.message })
        };
        if let Ok(code) = HeaderValue::from_str(&self.code) {
            headers.insert(ERROR_CODE_HEADER, code);
        }
        headers.remove(header::CONTENT_LENGTH);
        let mut response = json_response(self.status, &body);
        headers.remove(header::CONTENT_TYPE);
        response.headers_mut().extend(headers);
        response
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

/// `YYYY-MM-DD`
fn is_date(text: &str) -> bool {
    text.len() == API_VERSION.len()
        && text
            .bytes()
            .zip(API_VERSION.bytes())
            .all(|(b, like)| if like == b'-' { b == b'-' } else { b.is_ascii_digit() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn headers(version: Option<&str>) -> HeaderMap {
        version.map(|version| (API_VERSION_HEADER.parse().unwrap(), version.parse().unwrap())).into_iter().collect()
    }

    #[test]
    fn the_form_of_an_error_depends_on_the_version_that_was_asked_for() {
        let error = ApiError::validation("no");
        for (version, is_current) in [
            (None, false),
            (Some("2023-12-31"), false),
            (Some("2024-01-01"), true),
            (Some("2025-06-30"), true),
            (Some("9"), false),
            (Some("2024-1-1"), false),
            (Some("2024/01/01"), false),
            (Some("2024-01-01x"), false),
        ] {
            let response = error.respond(&headers(version), HeaderMap::new(), "id");
            assert_eq!(response.headers().contains_key(API_VERSION_HEADER), is_current, "{version:?}");
            assert_eq!(response.headers()["x-sb-error-code"], "validation_failed");
            assert_eq!(response.status(), 400);
        }
    }
}
