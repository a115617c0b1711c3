//! `POST /token`: a code or a refresh token becomes a session.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::headers::user_agent;
use crate::about::About;
use crate::address::Address;
use crate::answer::json_response;
use crate::app::App;
use crate::database::{Opened, RequestClient};
use crate::error::{ApiError, Result};
use crate::json::{self, without_nul};
use crate::parameters::Parameters;
use crate::sign_in;

#[derive(Deserialize)]
struct Pkce {
    auth_code: Option<String>,
    code_verifier: Option<String>,
}

#[derive(Deserialize)]
struct Refresh {
    refresh_token: Option<String>,
}

/// `POST /token?grant_type=pkce|refresh_token`
pub async fn token(
    State(app): State<Arc<App>>,
    Extension(address): Extension<Address>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    if let Err(response) = app.limits.token.check(address.0) {
        return *response;
    }
    match open(&app, address, query.as_deref().unwrap_or_default(), request).await {
        Ok(opened) => answer(opened),
        Err(error) => error.into_response(),
    }
}

async fn open(app: &App, Address(ip): Address, query: &str, request: Request) -> Result<Opened> {
    let parameters = Parameters::parse(query.as_bytes())?;
    let user_agent = user_agent(request.headers());
    let client = RequestClient { ip, user_agent: user_agent.as_deref() };
    match parameters.one("grant_type")? {
        Some("pkce") => {
            let body: Pkce = json::read(request, &app.config).await?;
            let (Some(code), Some(verifier)) = (given(&body.auth_code), given(&body.code_verifier)) else {
                let message = "invalid request: both auth code and code verifier should be non-empty";
                return Err(ApiError::validation(message));
            };
            let (code, verifier) = (without_nul("auth_code", code)?, without_nul("code_verifier", verifier)?);
            let exchanged = sign_in::exchange_code(app, code, verifier, &client).await;
            app.metrics.sign_ins.exchanged(exchanged.as_ref().err());
            exchanged
        }
        Some("refresh_token") => {
            let body: Refresh = json::read(request, &app.config).await?;
            let Some(token) = given(&body.refresh_token) else {
                return Err(ApiError::validation("Refresh token is not valid"));
            };
            let refreshed = app.database.refresh_session(without_nul("refresh_token", token)?, &client).await;
            app.metrics.sign_ins.refreshed(refreshed.as_ref().err());
            refreshed
        }
        _ => Err(ApiError::new(StatusCode::BAD_REQUEST, "invalid_credentials", "unsupported_grant_type")),
    }
}

fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn answer(opened: Opened) -> Response {
    let mut response = json_response(StatusCode::OK, &opened.answer);
    for (name, id) in [("sb-auth-user-id", opened.user_id), ("sb-auth-session-id", opened.session_id)] {
        if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
            response.headers_mut().insert(name, id);
        }
    }
    let about = About {
        flow: opened.flow_id,
        organization: opened.organization_id,
        user: Some(opened.user_id),
        session: Some(opened.session_id),
        refused: None,
    };
    about.on(response)
}
