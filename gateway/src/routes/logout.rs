//! `POST /logout`: sessions end.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};

use super::headers::bearer;
use crate::about::About;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::parameters::Parameters;

/// `POST /logout?scope=global|local|others`
pub async fn logout(State(app): State<Arc<App>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response> {
    let token = bearer(&headers)?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes())?;
    let scope = parameters.one("scope")?.unwrap_or("global");
    if !matches!(scope, "global" | "local" | "others") {
        return Err(ApiError::validation(format!("Unsupported logout scope {scope:?}")));
    }
    app.database.sign_out(token, scope).await?;
    Ok(About::token(token).on(StatusCode::NO_CONTENT.into_response()))
}
