//! Whether this process lives, whether it can serve, and its figures.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::answer::json_response;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::sign_in;

/// `GET /health`: this process answers. Looks at nothing else, so that a database that is down has nobody restart it.
pub async fn health() -> Response {
    json_response(
        StatusCode::OK,
        &json!({
            "name": "workos_auth gateway",
            "version": concat!("v", env!("CARGO_PKG_VERSION")),
            "description": "Supabase's /auth/v1 over the SQL functions of workos_auth",
        }),
    )
}

/// `GET /ready`: the database answers, the role has its rights, and `auth.require_ready` finds nothing. Otherwise the error's name says what is
/// missing; `unexpected_failure` where the database cannot be asked. The answer has the versions of all three, which differ while an update is under way.
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    match sign_in::is_ready(&app).await {
        Ok(versions) => json_response(
            StatusCode::OK,
            &json!({ "ready": true, "gateway": env!("CARGO_PKG_VERSION"), "library": versions.library, "sql": versions.sql }),
        ),
        // Why not is for the log.
        Err(error) => ApiError { status: StatusCode::SERVICE_UNAVAILABLE, ..error }.into_response(),
    }
}

/// `GET /metrics`
pub async fn metrics(State(app): State<Arc<App>>) -> Result<Response> {
    let text = app.metrics.text(&app.database).map_err(|error| ApiError::unexpected(error.to_string()))?;
    let content_type = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, content_type)], text).into_response())
}
