//! `GET /user/identities/authorize` and `DELETE /user/identities/{id}`: further ways into the account of the access token.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::json;
use uuid::Uuid;

use super::authorize::{requested, sign_in_of};
use super::headers::{bearer, redirect};
use crate::about::About;
use crate::answer::json_response;
use crate::app::App;
use crate::error::{ApiError, Result};
use crate::parameters::Parameters;

/// `GET /user/identities/authorize`
pub async fn authorize(State(app): State<Arc<App>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Result<Response> {
    let token = bearer(&headers)?;
    let parameters = Parameters::parse(query.unwrap_or_default().as_bytes())?;
    let to = requested(&parameters)?;
    // Only its verifier ties a link to who began it.
    if to.code_challenge.is_none() {
        return Err(ApiError::validation("Linking an identity needs the PKCE flow, flowType: 'pkce'"));
    }
    let skip = parameters.one("skip_http_redirect")?;
    let url = app.database.link_identity(token, &to).await?;
    app.metrics.sign_ins.started();
    let about = About { flow: sign_in_of(&url).flow, ..About::token(token) };
    let response = match skip {
        Some("true") => json_response(StatusCode::OK, &json!({ "url": url })),
        _ => redirect(StatusCode::FOUND, &url)?,
    };
    Ok(about.on(response))
}

/// Refused where it is no UTF-8.
type PathParameter = std::result::Result<Path<String>, PathRejection>;

/// `DELETE /user/identities/{id}`
pub async fn unlink(State(app): State<Arc<App>>, id: PathParameter, headers: HeaderMap) -> Result<Response> {
    let token = bearer(&headers)?;
    let Some(id) = id.ok().and_then(|Path(id)| id.parse::<Uuid>().ok()) else {
        let message = "identity_id must be an UUID";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "validation_failed", message));
    };
    app.database.unlink_identity(token, id).await?;
    Ok(About::token(token).on(json_response(StatusCode::OK, &json!({}))))
}
