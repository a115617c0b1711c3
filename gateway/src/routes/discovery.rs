//! What verifiers and clients look up: keys, the OpenID configuration, settings.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use crate::answer::json_response;
use crate::app::App;
use crate::error::{ApiError, Result};

/// As Supabase Auth has it. A key that `auth.add_signing_key` published that long before `auth.rotate_signing_key` is known to everybody when it
/// signs. Another is used at once, so those who verify must look again where they do not know a `kid`.
const CACHED: &str = "public, max-age=600";

/// `GET /.well-known/jwks.json`
pub async fn jwks(State(app): State<Arc<App>>) -> Result<Response> {
    Ok(cached(&app.database.jwks().await?))
}

/// `GET /.well-known/openid-configuration`
pub async fn openid_configuration(State(app): State<Arc<App>>) -> Result<Response> {
    let settings = app.database.settings().await?;
    let Some(issuer) = settings.issuer else {
        let message = "This server is not set up as an issuer";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "issuer_not_configured", message)
            .because(None, format!("Set workos_auth.issuer to {}.", app.config.url(""))));
    };
    let mut algorithms: Vec<&Value> =
        settings.jwks["keys"].as_array().into_iter().flatten().map(|key| &key["alg"]).collect();
    algorithms.dedup();
    Ok(cached(&json!({
        "issuer": issuer,
        "authorization_endpoint": app.config.url("/authorize"),
        "token_endpoint": app.config.url("/token"),
        "userinfo_endpoint": app.config.url("/user"),
        "jwks_uri": app.config.url("/.well-known/jwks.json"),
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": algorithms,
        "code_challenge_methods_supported": ["S256"],
    })))
}

/// `GET /settings`
pub async fn settings(State(app): State<Arc<App>>) -> Result<Response> {
    let settings = app.database.settings().await?;
    Ok(json_response(
        StatusCode::OK,
        &json!({
            "external": { "workos": true, "email": false, "phone": false, "anonymous_users": false },
            "disable_signup": !settings.allows_signup,
            "mailer_autoconfirm": false,
            "phone_autoconfirm": false,
            "sms_provider": "",
            "saml_enabled": false,
        }),
    ))
}

fn cached(body: &Value) -> Response {
    let mut response = json_response(StatusCode::OK, body);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(CACHED));
    response
}
