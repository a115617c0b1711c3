//! `POST /webhooks/workos`: WorkOS tells what happened there. The database verifies the signature, over the body as it came.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::address::Address;
use crate::answer::json_response;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::json::{read_body, without_nul};

/// Where WorkOS writes its signature.
const SIGNATURE: HeaderName = HeaderName::from_static("workos-signature");

/// `POST /webhooks/workos`: 200 once it is applied. WorkOS sends again what gets another answer.
pub async fn workos(
    State(app): State<Arc<App>>,
    Extension(Address(address)): Extension<Address>,
    request: Request,
) -> Response {
    if let Err(response) = app.limits.refused.check(address) {
        return *response;
    }
    match receive(&app, request).await {
        Ok(outcome) => json_response(StatusCode::OK, &json!({ "outcome": outcome })),
        Err(error) if error.status.is_client_error() => match app.limits.refused.count(address) {
            Ok(()) => error.into_response(),
            Err(response) => *response,
        },
        Err(error) => error.into_response(),
    }
}

async fn receive(app: &App, request: Request) -> Result<String> {
    let signature = request.headers().get(SIGNATURE).and_then(|header| header.to_str().ok()).map(str::to_owned);
    let signature = signature.ok_or_else(|| ApiError::validation("The header WorkOS-Signature is required"))?;
    let body = read_body(request, &app.config).await?;
    let body = std::str::from_utf8(&body).map_err(|_| ApiError::bad_json("The body is not UTF-8"))?;
    app.database.receive_webhook(without_nul("The body", body)?, &signature).await
}
