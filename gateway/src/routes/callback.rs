//! `GET|POST /callback`: WorkOS sends the browser back, and it goes on to the application, or to WorkOS again.

use std::sync::Arc;

use axum::extract::{Extension, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use url::Url;

use super::authorize::{bind, parameter, sign_in_of};
use super::headers::redirect;
use crate::about::About;
use crate::address::Address;
use crate::app::App;
use crate::database::{CallbackQuery, Landed};
use crate::error::Result;
use crate::landing::Landing;
use crate::parameters::Parameters;
use crate::{cookie, json, sign_in};

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
    match json::read_body(request, &app.config).await {
        Ok(form) => finish(&app, &headers, &form, StatusCode::SEE_OTHER).await.into_response(),
        Err(error) => error.into_response(),
    }
}

async fn finish(app: &App, headers: &HeaderMap, encoded: &[u8], status: StatusCode) -> Result<Response> {
    let is_secure = app.config.is_secure();
    // Whatever a browser brings, the database says where it goes on. What stands twice or cannot be text counts as absent.
    let parameters = Parameters::parse_usable(encoded);
    let state = parameters.single("state").unwrap_or_default();
    let callback = CallbackQuery {
        code: parameters.single("code"),
        state: parameters.single("state"),
        error: parameters.single("error"),
        error_description: parameters.single("error_description"),
        // WorkOS's guide to IdP-initiated sign-ins names them so; the authorize endpoint takes them by the other names.
        connection: parameters.single("connection_id").or(parameters.single("connection")),
        organization: parameters.single("organization_id").or(parameters.single("organization")),
        is_bound: cookie::is_bound(headers, state, is_secure),
    };
    let Landed { url, took } = match sign_in::handle_callback(app, &callback).await {
        Ok(landed) => landed,
        Err(error) => {
            app.metrics.sign_ins.failed(&error);
            return Err(error);
        }
    };
    let mut response = redirect(status, &url)?;
    if is_restart(app, &callback, &url) {
        app.metrics.sign_ins.started();
        bind(app, &url, &mut response)?;
        return Ok(sign_in_of(&url).on(response));
    }
    let landing = Url::parse(&url).map_or(Landing::Refused("other".to_owned()), |url| Landing::of(&url));
    app.metrics.sign_ins.came_back(&landing, took);
    let refused = match landing {
        Landing::Code | Landing::Tokens => None,
        Landing::Refused(code) => Some(code),
    };
    let about = About { refused, ..callback.state.map(About::sign_in).unwrap_or_default() };
    if let Some(removal) = cookie::remove(state, is_secure).filter(|_| callback.is_bound) {
        response.headers_mut().insert(header::SET_COOKIE, removal);
    }
    Ok(about.on(response))
}

/// Whether the database answered a sign-in that an identity provider began with a fresh one (`workos_auth.idp_initiated = restart`). It has
/// no challenge, so it must come back to the browser that this answer goes to.
///
/// How it is known: the redirect brought no state, so there was no sign-in to finish, and the answer can only be the site with an error or
/// WorkOS's authorize endpoint; and it names our own callback as its `redirect_uri`, which the site does not. A `state` alone proves nothing:
/// it may stand in the page of a sign-in that somebody else began, and to that one this browser must never be bound.
///
/// What a third party can do with it: have a browser begin such a sign-in, by a link. Its state was made in this call and is known to this
/// browser alone, and WorkOS holds the challenge of a verifier that never left the database: so neither a code nor a state of somebody
/// else's fits it. It ends as whoever the identity provider of that connection names, as after a link to `/authorize` without a challenge,
/// which anybody can make just as well. Both need `workos_auth.allow_implicit` and a listed page, and an application that wants neither
/// sets `workos_auth.require_code_challenge`, which also ends restarts.
fn is_restart(app: &App, callback: &CallbackQuery<'_>, url: &str) -> bool {
    let names_us = |url: Url| {
        let named = parameter(&url, "redirect_uri").and_then(|uri| Url::parse(&uri).ok());
        named.is_some() && named == Url::parse(&app.config.url("/callback")).ok()
    };
    callback.state.is_none() && Url::parse(url).is_ok_and(names_us)
}
