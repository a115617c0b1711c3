//! What Supabase Auth has and this server does not: ways to sign in that are not WorkOS's, second factors, and administration.
//!
//! Each answers as Supabase Auth does where the method is switched off, so that its clients tell the application in its own words.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::routing::any;
use serde::Deserialize;

use super::headers::bearer;
use crate::app::App;
use crate::config::Config;
use crate::error::ApiError;
use crate::json;

/// Whom a request means: that is all of it that is read.
#[derive(Deserialize, Default)]
struct Address {
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

/// The endpoints, whatever the method.
pub fn endpoints() -> Router<Arc<App>> {
    let mut router = Router::new()
        .route("/signup", any(signup))
        .route("/verify", any(verify))
        .route("/reauthenticate", any(reauthenticate));
    router = router
        .route("/otp", any(otp))
        .route("/magiclink", any(magic_link))
        .route("/recover", any(recover))
        .route("/resend", any(resend));
    for path in ["/passkeys", "/passkeys/{*more}"] {
        router = router.route(path, any(passkeys));
    }
    for path in ["/oauth/{*more}", "/user/oauth/{*more}"] {
        router = router.route(path, any(oauth_server));
    }
    router = router.route("/sso/{*more}", any(saml));
    for path in ["/factors", "/factors/{*more}"] {
        router = router.route(path, any(factors));
    }
    for path in ["/admin", "/admin/{*more}", "/invite", "/generate_link"] {
        router = router.route(path, any(admin));
    }
    router
}

/// A grant of `/token` that is none of ours.
pub async fn grant(grant: &str, request: Request, config: &Config) -> ApiError {
    match grant {
        "password" => logins_are_disabled(StatusCode::UNPROCESSABLE_ENTITY, &address(request, config).await),
        "id_token" => refusal(StatusCode::BAD_REQUEST, "provider_disabled", "Sign-in with ID tokens is not enabled"),
        "web3" => refusal(StatusCode::UNPROCESSABLE_ENTITY, "web3_provider_disabled", "Web3 provider is disabled"),
        _ => unsupported_grant(),
    }
}

/// A grant that Supabase Auth does not know either.
pub fn unsupported_grant() -> ApiError {
    refusal(StatusCode::BAD_REQUEST, "invalid_credentials", "unsupported_grant_type")
}

async fn signup(State(app): State<Arc<App>>, request: Request) -> ApiError {
    let (code, message) = match address(request, &app.config).await {
        Address { email: Some(_), .. } => ("email_provider_disabled", "Email signups are disabled"),
        Address { phone: Some(_), .. } => ("phone_provider_disabled", "Phone signups are disabled"),
        Address { .. } => {
            let message = "Anonymous sign-ins are disabled";
            return refusal(StatusCode::UNPROCESSABLE_ENTITY, "anonymous_provider_disabled", message);
        }
    };
    refusal(StatusCode::BAD_REQUEST, code, message)
}

async fn verify() -> ApiError {
    refusal(StatusCode::UNPROCESSABLE_ENTITY, "otp_disabled", "One-time passwords are disabled")
}

async fn saml() -> ApiError {
    refusal(StatusCode::NOT_FOUND, "saml_provider_disabled", "SAML 2.0 is disabled")
}

async fn otp(State(app): State<Arc<App>>, request: Request) -> ApiError {
    match address(request, &app.config).await {
        Address { email: Some(_), .. } => magic_link().await,
        Address { phone: Some(_), .. } => {
            refusal(StatusCode::BAD_REQUEST, "phone_provider_disabled", "Unsupported phone provider")
        }
        Address { .. } => ApiError::validation("One of email or phone must be set"),
    }
}

async fn magic_link() -> ApiError {
    logins_are_disabled(StatusCode::UNPROCESSABLE_ENTITY, &Address::default())
}

async fn recover() -> ApiError {
    logins_are_disabled(StatusCode::BAD_REQUEST, &Address::default())
}

async fn resend(State(app): State<Arc<App>>, request: Request) -> ApiError {
    logins_are_disabled(StatusCode::BAD_REQUEST, &address(request, &app.config).await)
}

async fn passkeys() -> ApiError {
    refusal(StatusCode::NOT_FOUND, "passkey_disabled", "Passkeys are disabled")
}

async fn oauth_server() -> ApiError {
    refusal(StatusCode::NOT_FOUND, "feature_disabled", "OAuth server is disabled")
}

async fn reauthenticate(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<(), ApiError> {
    require_token(&app, &headers).await?;
    Err(logins_are_disabled(StatusCode::BAD_REQUEST, &Address::default()))
}

async fn factors(
    State(app): State<Arc<App>>,
    method: Method,
    headers: HeaderMap,
    request: Request,
) -> Result<(), ApiError> {
    require_token(&app, &headers).await?;
    let path = request.uri().path().trim_end_matches('/');
    Err(match path.rsplit('/').next() {
        _ if method == Method::DELETE => refusal(StatusCode::NOT_FOUND, "mfa_factor_not_found", "Factor not found"),
        Some("challenge" | "verify") => refusal(
            StatusCode::UNPROCESSABLE_ENTITY,
            "mfa_totp_verify_not_enabled",
            "MFA verification is disabled for TOTP",
        ),
        _ => {
            refusal(StatusCode::UNPROCESSABLE_ENTITY, "mfa_totp_enroll_not_enabled", "MFA enroll is disabled for TOTP")
        }
    })
}

/// People are administered in SQL.
async fn admin(State(app): State<Arc<App>>, headers: HeaderMap) -> Result<(), ApiError> {
    require_token(&app, &headers).await?;
    Err(refusal(StatusCode::FORBIDDEN, "not_admin", "User not allowed"))
}

/// A bad token is told of before anything else.
async fn require_token(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    app.database.get_user(bearer(headers)?).await.map(drop)
}

/// Nothing is done with it, so a body that cannot be read names nobody.
async fn address(request: Request, config: &Config) -> Address {
    let address: Address = json::read(request, config).await.unwrap_or_default();
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    Address { email: given(address.email), phone: given(address.phone) }
}

fn logins_are_disabled(status: StatusCode, address: &Address) -> ApiError {
    match address {
        Address { email: None, phone: Some(_) } => {
            refusal(status, "phone_provider_disabled", "Phone logins are disabled")
        }
        Address { .. } => refusal(status, "email_provider_disabled", "Email logins are disabled"),
    }
}

fn refusal(status: StatusCode, code: &str, message: &str) -> ApiError {
    ApiError::new(status, code, format!("{message}: people sign in with WorkOS here"))
}
