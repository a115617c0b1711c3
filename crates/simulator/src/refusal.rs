//! Why WorkOS refuses a request of its REST API, or a test's change.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// What is refused, with the status and the code of WorkOS's OpenAPI file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// 401: there is no API key, or no such one.
    #[error("Unauthorized")]
    Unauthorized,
    /// 400: the body is no JSON object.
    #[error("Problems parsing JSON")]
    Unreadable,
    /// 400 with a code.
    #[error("{message}")]
    BadRequest {
        /// `external_id_already_used`, …
        code: &'static str,
        /// For people.
        message: String,
    },
    /// 404: there is no such thing.
    #[error("Could not find {kind}: '{id}'.")]
    NotFound {
        /// `organization`, …
        kind: &'static str,
        /// What was asked for.
        id: String,
    },
    /// 409 with a code.
    #[error("{message}")]
    Conflict {
        /// `domain_already_exists`, …
        code: &'static str,
        /// For people.
        message: String,
    },
    /// 422: a field, or a parameter, is not as it should be.
    #[error("Validation failed: {field} {code}")]
    Invalid {
        /// Its name.
        field: String,
        /// What is wrong with it.
        code: &'static str,
    },
}

impl Refusal {
    pub(crate) fn not_found(kind: &'static str, id: &str) -> Self {
        Self::NotFound { kind, id: id.to_owned() }
    }

    pub(crate) fn invalid(field: &str, code: &'static str) -> Self {
        Self::Invalid { field: field.to_owned(), code }
    }

    pub(crate) fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::Conflict { code, message: message.into() }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::BadRequest { code, message: message.into() }
    }

    fn parts(&self) -> (StatusCode, Value) {
        let message = self.to_string();
        match self {
            Self::Unauthorized => (StatusCode::UNAUTHORIZED, json!({ "message": message })),
            Self::Unreadable => {
                (StatusCode::BAD_REQUEST, json!({ "message": message, "code": "invalid_request_body" }))
            }
            Self::BadRequest { code, .. } => (StatusCode::BAD_REQUEST, json!({ "message": message, "code": code })),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, json!({ "message": message, "code": "entity_not_found" })),
            Self::Conflict { code, .. } => (StatusCode::CONFLICT, json!({ "message": message, "code": code })),
            Self::Invalid { field, code } => {
                let errors = json!([{ "field": field, "code": code, "message": format!("{field} {code}") }]);
                let body =
                    json!({ "message": "Validation failed", "code": "invalid_request_parameters", "errors": errors });
                (StatusCode::UNPROCESSABLE_ENTITY, body)
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, body) = self.parts();
        (status, Json(body)).into_response()
    }
}
