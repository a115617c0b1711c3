//! `POST /sso`: the browser goes to WorkOS for the organization of a domain, as Supabase's `signInWithSSO({ domain })` asks.

use std::sync::Arc;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::authorize::{begun, challenge, url_for};
use super::headers::redirect;
use crate::address::Address;
use crate::answer::json_response;
use crate::app::App;
use crate::database::Authorize;
use crate::error::{ApiError, Result};
use crate::json::{self, without_nul};

#[derive(Deserialize)]
struct Wanted {
    domain: Option<String>,
    provider_id: Option<String>,
    redirect_to: Option<String>,
    skip_http_redirect: Option<bool>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
}

/// `POST /sso`
pub async fn sso(
    State(app): State<Arc<App>>,
    Extension(Address(address)): Extension<Address>,
    request: Request,
) -> Response {
    if let Err(response) = app.limits.authorize.check(address) {
        return *response;
    }
    begin(&app, request).await.into_response()
}

async fn begin(app: &App, request: Request) -> Result<Response> {
    let wanted: Wanted = json::read(request, &app.config).await?;
    let domain = match (given(&wanted.domain), given(&wanted.provider_id)) {
        (Some(domain), None) => without_nul("domain", domain)?,
        // Supabase's ids of providers, of which there are none here.
        (None, Some(_)) => return Err(not_found("No such SSO provider")),
        (Some(_), Some(_)) => return Err(ApiError::validation("Only one of provider_id or domain supported")),
        (None, None) => return Err(ApiError::validation("A provider_id or domain needs to be provided")),
    };
    let (code_challenge, method) = challenge(given(&wanted.code_challenge), given(&wanted.code_challenge_method))?;
    let redirect_to = given(&wanted.redirect_to).map(|page| without_nul("redirect_to", page)).transpose()?;
    // One answer, whatever the reason: the domain is nobody's, or that of several.
    let organization = app.database.organization_for_domain(domain).await?;
    let organization = organization.ok_or_else(|| not_found("No SSO provider assigned for this domain"))?;
    let mut to = Authorize {
        organization: Some(&organization),
        redirect_to,
        code_challenge,
        code_challenge_method: method.or(Some("S256")),
        ..Authorize::default()
    };
    let url = url_for(app, &mut to).await?;
    let response = match wanted.skip_http_redirect {
        Some(true) => json_response(StatusCode::OK, &json!({ "url": url })),
        _ => redirect(StatusCode::SEE_OTHER, &url)?,
    };
    begun(app, &to, &url, response)
}

/// What is empty counts as absent, as Supabase Auth has it.
fn given(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.is_empty())
}

fn not_found(message: &str) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "sso_provider_not_found", message)
}
