//! `GET|POST /callback`: WorkOS sends the browser back, and it goes on to the application.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::redirect;
use crate::database::Callback;
use crate::error::Result;
use crate::observe::Address;
use crate::parameters::Parameters;
use crate::{App, cookie, json};

/// `GET /callback`
pub async fn get(
    State(app): State<Arc<App>>,
    Extension(Address(address)): Extension<Address>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(response) = app.limits.callback.check(address) {
        return *response;
    }
    let query = query.unwrap_or_default();
    finish(&app, &headers, query.as_bytes(), StatusCode::FOUND).await.into_response()
}

/// `POST /callback`, with a form.
pub async fn post(
    State(app): State<Arc<App>>,
    Extension(Address(address)): Extension<Address>,
    headers: HeaderMap,
    request: Request,
) -> Response {
    if let Err(response) = app.limits.callback.check(address) {
        return *response;
    }
    match json::read_body(request, app.config.max_body).await {
        Ok(form) => finish(&app, &headers, &form, StatusCode::SEE_OTHER).await.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn finish(app: &App, headers: &HeaderMap, encoded: &[u8], status: StatusCode) -> Result<Response> {
    let is_secure = app.config.is_secure();
    // Whatever a browser brings, the database says where it goes on. What stands twice or cannot be text counts as absent.
    let parameters = Parameters::parse_usable(encoded);
    let state = parameters.single("state").unwrap_or_default();
    let callback = Callback {
        code: parameters.single("code"),
        state: parameters.single("state"),
        error: parameters.single("error"),
        error_description: parameters.single("error_description"),
        connection: parameters.single("connection"),
        organization: parameters.single("organization"),
        is_bound: cookie::is_bound(headers, state, is_secure),
    };
    let url = app.database.handle_callback(&callback).await?;
    let mut response = redirect(status, &url)?;
    if let Some(removal) = cookie::remove(state, is_secure).filter(|_| callback.is_bound) {
        response.headers_mut().insert(header::SET_COOKIE, removal);
    }
    Ok(response)
}
