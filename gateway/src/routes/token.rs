//! `POST /token`: a code or a refresh token becomes a session.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::headers::user_agent;
use super::switched_off;
use crate::about::About;
use crate::address::Address;
use crate::answer::json_response;
use crate::app::App;
use crate::database::{Opened, RequestClient};
use crate::error::ApiError;
use crate::json::{self, without_nul};
use crate::limits::session_of;
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
    if let Err(response) = app.limits.refused.check(address.0) {
        return *response;
    }
    match open(&app, address, query.as_deref().unwrap_or_default(), request).await {
        Ok(opened) => answer(opened),
        Err(Failure::Limited(response)) => *response,
        // Not what the client may try again: that says nothing about it.
        Err(Failure::Refused(error)) if error.clone().of_token().status.is_client_error() => {
            match app.limits.refused.count(address.0) {
                Ok(()) => error.into_response(),
                Err(response) => *response,
            }
        }
        Err(Failure::Refused(error)) => error.into_response(),
    }
}

/// Why there is no session.
enum Failure {
    Refused(ApiError),
    /// The session is refreshed too often.
    Limited(Box<Response>),
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
    }
}

/// A refresh that fails, in words that Supabase's clients know. For the end of a session its client for Swift knows no other name, and keeps a
/// session that has ended by another one.
fn named_as_supabase_does(error: ApiError) -> ApiError {
    match error.code.as_str() {
        "session_idle" | "session_superseded" | "session_exhausted" => {
            ApiError { code: "session_expired".to_owned(), ..error }
        }
        // The session goes on once a hook or the customer's groups are mended. Clients would take it for ended.
        "token_too_large" => ApiError { status: StatusCode::SERVICE_UNAVAILABLE, ..error },
        _ if error.status == StatusCode::INTERNAL_SERVER_ERROR => {
            ApiError { status: StatusCode::SERVICE_UNAVAILABLE, ..error }
        }
        // A token of another server, and one whose person is gone.
        "validation_failed" | "user_deleted" => ApiError {
            status: StatusCode::BAD_REQUEST,
            code: "refresh_token_not_found".to_owned(),
            message: "Invalid Refresh Token: Refresh Token Not Found".to_owned(),
            ..error
        },
        _ => error,
    }
}

async fn open(app: &App, Address(ip): Address, query: &str, request: Request) -> std::result::Result<Opened, Failure> {
    let parameters = Parameters::parse(query.as_bytes())?;
    let user_agent = user_agent(request.headers());
    let client = RequestClient { ip, user_agent: user_agent.as_deref() };
    match parameters.one("grant_type")? {
        Some("pkce") => {
            let body: Pkce = json::read(request, &app.config).await?;
            let (Some(code), Some(verifier)) = (given(&body.auth_code), given(&body.code_verifier)) else {
                let message = "invalid request: both auth code and code verifier should be non-empty";
                return Err(ApiError::validation(message).into());
            };
            let (code, verifier) = (without_nul("auth_code", code)?, without_nul("code_verifier", verifier)?);
            let exchanged = sign_in::exchange_code(app, code, verifier, &client).await;
            app.metrics.sign_ins.exchanged(exchanged.as_ref().err());
            Ok(exchanged?)
        }
        Some("refresh_token") => {
            let body: Refresh = json::read(request, &app.config).await?;
            let Some(token) = given(&body.refresh_token) else {
                return Err(ApiError::validation("Refresh token is not valid").into());
            };
            let session = session_of(token);
            app.limits.refreshes.check(session).map_err(Failure::Limited)?;
            let refreshed = match without_nul("refresh_token", token) {
                Ok(token) => app.database.refresh_session(token, &client).await,
                Err(error) => Err(error),
            };
            app.metrics.sign_ins.refreshed(refreshed.as_ref().err());
            let opened = refreshed.map_err(named_as_supabase_does)?;
            app.limits.refreshes.count(session);
            Ok(opened)
        }
        Some(grant) => Err(switched_off::grant(grant, request, &app.config).await.into()),
        None => Err(switched_off::unsupported_grant().into()),
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
