//! `GET /authorize`: the browser goes to WorkOS.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use url::Url;

use super::headers::redirect;
use crate::about::About;
use crate::address::Address;
use crate::app::App;
use crate::cookie;
use crate::database::Authorize;
use crate::error::{ApiError, Result};
use crate::parameters::Parameters;

/// Not WorkOS's to see, nor an application's to set: dropped as Supabase Auth drops them, together with what is only ours.
const DROPPED: [&str; 16] = [
    "provider",
    "scopes",
    "redirect_to",
    "skip_http_redirect",
    "invite_token",
    "apikey",
    "sb_flow_id",
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "state",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "jwt",
];
/// Arguments of their own.
const NAMED: [&str; 5] = ["organization", "connection", "workos_provider", "login_hint", "domain_hint"];

/// A HEAD is asked by those who look at links, and would begin or end a sign-in. `allow` lists the other methods.
pub async fn no_head(State(allow): State<&'static str>, request: Request, next: Next) -> Response {
    let mut response = match *request.method() {
        Method::HEAD => StatusCode::METHOD_NOT_ALLOWED.into_response(),
        _ => next.run(request).await,
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    }
    response
}

/// `GET /authorize`
pub async fn authorize(
    State(app): State<Arc<App>>,
    Extension(Address(address)): Extension<Address>,
    RawQuery(query): RawQuery,
) -> Response {
    if let Err(response) = app.limits.authorize.check(address) {
        return *response;
    }
    begin(&app, query.as_deref().unwrap_or_default()).await.into_response()
}

async fn begin(app: &App, query: &str) -> Result<Response> {
    let parameters = Parameters::parse(query.as_bytes())?;
    let mut to = requested(&parameters)?;
    let url = url_for(app, &mut to).await?;
    begun(app, &to, &url, redirect(StatusCode::FOUND, &url)?)
}

/// The URL of WorkOS's that a new sign-in begins with. A page that is not listed is dropped where `--redirect-fallback` says so.
///
/// # Errors
/// What the database said.
pub async fn url_for(app: &App, to: &mut Authorize<'_>) -> Result<String> {
    match app.database.authorize_url(to).await {
        Err(error) if app.config.redirect_fallback && is_about_redirect(&error) => {
            to.redirect_to = None;
            app.database.authorize_url(to).await
        }
        other => other,
    }
}

/// The answer that sends a browser to that URL, with what the log has of the sign-in.
///
/// # Errors
/// The URL has no state.
pub fn begun(app: &App, to: &Authorize<'_>, url: &str, response: Response) -> Result<Response> {
    app.metrics.sign_ins.started();
    let about = About { organization: to.organization.map(str::to_owned), ..sign_in_of(url) };
    let mut response = about.on(response);
    // Without a challenge there is no verifier, so the browser itself has to be known again.
    if to.code_challenge.is_none() {
        bind(app, url, &mut response)?;
    }
    Ok(response)
}

/// Binds the sign-in that this URL of WorkOS's begins to the browser that is sent there.
///
/// # Errors
/// The URL has no state.
pub fn bind(app: &App, url: &str, response: &mut Response) -> Result<()> {
    let state = Url::parse(url).ok().and_then(|url| parameter(&url, "state"));
    let cookie = state.and_then(|state| cookie::set(&state, app.config.is_secure()));
    let cookie = cookie.ok_or_else(|| ApiError::unexpected("The authorize URL has no state."))?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(())
}

/// What a request for a sign-in, or for a link, asks for.
///
/// # Errors
/// 400 `validation_failed`; 404 `user_not_found` for an invitation, of which there are none here.
pub fn requested(parameters: &Parameters) -> Result<Authorize<'_>> {
    let provider = parameters.one("provider")?.unwrap_or_default();
    if !provider.eq_ignore_ascii_case("workos") {
        let message = format!("Unsupported provider: Provider {provider} could not be found");
        return Err(ApiError::validation(message));
    }
    if parameters.one("invite_token")?.is_some() {
        let message = "User identified by token not found";
        return Err(ApiError::new(StatusCode::NOT_FOUND, "user_not_found", message));
    }
    let (challenge, method) = challenge(parameters.one("code_challenge")?, parameters.one("code_challenge_method")?)?;
    Ok(Authorize {
        organization: parameters.one("organization")?,
        connection: parameters.one("connection")?,
        provider: parameters.one("workos_provider")?,
        // Supabase's client for Kotlin writes null where it is given no page.
        redirect_to: parameters.one("redirect_to")?.filter(|page| *page != "null"),
        code_challenge: challenge,
        code_challenge_method: method.or(Some("S256")),
        login_hint: parameters.one("login_hint")?,
        domain_hint: parameters.one("domain_hint")?,
        params: further(parameters),
    })
}

/// The challenge and its method, checked as Supabase Auth checks them; the database is stricter.
///
/// # Errors
/// 400 `validation_failed`
pub fn challenge<'a>(
    challenge: Option<&'a str>,
    method: Option<&str>,
) -> Result<(Option<&'a str>, Option<&'static str>)> {
    let (challenge, method) = match (challenge, method) {
        (None, None) => return Ok((None, None)),
        (Some(challenge), Some(method)) => (challenge, method),
        _ => return Err(ApiError::validation("PKCE flow requires code_challenge_method and code_challenge")),
    };
    if !(43..=128).contains(&challenge.len()) {
        return Err(ApiError::validation("code challenge has to be between 43 and 128 characters"));
    }
    if !challenge.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')) {
        return Err(ApiError::validation(
            "code challenge can only contain alphanumeric characters, hyphens, periods, underscores and tildes",
        ));
    }
    let method = match method.to_ascii_lowercase().as_str() {
        "s256" => "S256",
        "plain" => "plain",
        _ => return Err(ApiError::validation("Invalid code_challenge_method")),
    };
    Ok((Some(challenge), Some(method)))
}

/// Everything else goes to WorkOS; what stands several times, as an array.
fn further(parameters: &Parameters) -> Map<String, Value> {
    let mut further = Map::new();
    let rest = parameters
        .iter()
        .filter(|(name, _)| !NAMED.contains(name) && !DROPPED.iter().any(|dropped| dropped.eq_ignore_ascii_case(name)));
    for (name, value) in rest {
        match further.get_mut(name) {
            None => {
                further.insert(name.to_owned(), value.into());
            }
            Some(Value::Array(values)) => values.push(value.into()),
            Some(first) => *first = Value::Array(vec![first.take(), value.into()]),
        }
    }
    further
}

/// The sign-in that an authorize URL of ours begins.
pub fn sign_in_of(url: &str) -> About {
    let state = Url::parse(url).ok().and_then(|url| parameter(&url, "state"));
    state.map(|state| About::sign_in(&state)).unwrap_or_default()
}

fn is_about_redirect(error: &ApiError) -> bool {
    matches!(error.code.as_str(), "redirect_to_not_allowed" | "redirect_to_malformed")
}

/// A parameter of a URL that we made.
pub fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}
