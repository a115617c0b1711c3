//! The endpoints, and what surrounds them.

mod authorize;
mod callback;
mod discovery;
mod headers;
mod health;
mod identities;
mod logout;
mod sso;
mod switched_off;
mod token;
mod user;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

use crate::about::About;
use crate::app::App;
use crate::error::ApiError;
use crate::observe::observe;
use headers::bearer;

/// How long a browser may keep the answer to a preflight.
const PREFLIGHT_MAX_AGE: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What clients see.
pub fn public(app: &Arc<App>) -> Router {
    let counted = from_fn_with_state(Arc::clone(app), change);
    let endpoints = Router::new()
        .route("/authorize", get(authorize::authorize).layer(from_fn_with_state("GET", authorize::no_head)))
        .route(
            "/callback",
            get(callback::get).post(callback::post).layer(from_fn_with_state("GET,POST", authorize::no_head)),
        )
        .route("/sso", post(sso::sso))
        .route("/token", post(token::token))
        .route("/user", get(user::get).merge(put(user::put).layer(counted.clone())).layer(from_fn(with_token)))
        .route(
            "/user/identities/authorize",
            get(identities::authorize).layer(counted.clone()).layer(from_fn(with_token)),
        )
        .route("/user/identities/{id}", delete(identities::unlink).layer(counted).layer(from_fn(with_token)))
        .route("/logout", post(logout::logout))
        .route("/webhooks/workos", post(webhooks::workos))
        .route("/settings", get(discovery::settings))
        .route("/.well-known/jwks.json", get(discovery::jwks))
        .route("/.well-known/openid-configuration", get(discovery::openid_configuration))
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .merge(switched_off::endpoints());
    let path = app.config.path();
    let router = if path.is_empty() { endpoints } else { Router::new().nest(path, endpoints) };
    router
        .fallback(not_found)
        .layer(cors(app))
        .layer(from_fn_with_state(Arc::clone(app), observe))
        .with_state(Arc::clone(app))
}

/// What operators see.
pub fn admin(app: &Arc<App>) -> Router {
    Router::new()
        .route("/health", get(health::health))
        .route("/ready", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(not_found)
        .layer(from_fn_with_state(Arc::clone(app), observe))
        .with_state(Arc::clone(app))
}

/// Any header is allowed, since applications add their own; credentials, which are cookies, never.
fn cors(app: &App) -> CorsLayer {
    let origins = &app.config.cors_origins;
    let origin = match origins.iter().any(|origin| origin == "*") {
        true => AllowOrigin::any(),
        false => AllowOrigin::list(origins.iter().cloned()),
    };
    let exposed = [crate::error::API_VERSION_HEADER, "x-request-id", "x-sb-error-code", "retry-after"];
    CorsLayer::new()
        .allow_origin(origin)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(PREFLIGHT_MAX_AGE)
}

/// As JSON: Supabase's clients fail over any other text, and show their own failure in place of this one.
async fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "not_found", "There is no such endpoint")
}

/// Without a token, any method is 401, as Supabase Auth has it.
async fn with_token(request: Request, next: Next) -> Response {
    match bearer(request.headers()) {
        Ok(_) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

/// What a person changes of their account is counted for the session, once it is changed.
async fn change(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let session = match bearer(request.headers()) {
        Ok(token) => About::token(token).session,
        Err(error) => return error.into_response(),
    };
    if let Err(response) = app.limits.changes.check(session) {
        return *response;
    }
    let response = next.run(request).await;
    if response.status().is_success() || response.status().is_redirection() {
        app.limits.changes.count(session);
    }
    response
}
