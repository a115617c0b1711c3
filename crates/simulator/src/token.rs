//! `POST /sso/token` and `GET /sso/profile`.

use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Json;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::answer::{self, oauth_error};
use crate::fault::{Endpoint, FaultKind, Missing};
use crate::ids::random;
use crate::parameters::{self, BodyError};
use crate::registry::profile_json;
use crate::socket::ResetHandle;
use crate::state::{Grant, Memory, State, TOKEN_LIFETIME};

const SINGLE: [&str; 6] = ["client_id", "client_secret", "grant_type", "code", "code_verifier", "redirect_uri"];

/// Why no token is given: `error` and `error_description` of RFC 6749, section 5.2.
struct Refused(&'static str, &'static str);

/// `POST /sso/token`
pub(crate) async fn token(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<ResetHandle>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let faults = state.lock().faults.take(Endpoint::Token, parameters::is_form(content_type));
    let response = match &faults.instead {
        Some(kind) => answer::instead(kind),
        None => exchange(&state, content_type, &body, &faults.grant),
    };
    answer::damage(response, faults, &connection).await
}

fn exchange(state: &State, content_type: Option<&str>, body: &[u8], faults: &[FaultKind]) -> Response {
    let fields = match parameters::decode_body(content_type, body) {
        Ok(fields) => fields,
        Err(BodyError::Json) => return answer::invalid_request_body(),
        Err(BodyError::MediaType) => {
            return oauth_error("invalid_request", "The body must be a form or JSON, and Content-Type must say so.");
        }
    };
    let mut memory = state.lock();
    match redeem(&mut memory, &fields, faults.contains(&FaultKind::PkceIgnored)) {
        Ok(grant) => answer_with_profile(&mut memory, &grant, faults),
        Err(Refused(error, description)) => oauth_error(error, description),
    }
}

/// Checks in this order: form, client, grant type, code. A code is spent once its own client has shown it, whatever
/// comes of it.
fn redeem(memory: &mut Memory, fields: &[(String, String)], pkce_ignored: bool) -> Result<Grant, Refused> {
    let get = |name| parameters::get(fields, name);
    if parameters::repeated(fields, &SINGLE).is_some() {
        return Err(Refused("invalid_request", "A field stands twice."));
    }
    let client = get("client_id").and_then(|id| memory.registry.clients.get(id));
    let Some(client) = client.filter(|client| get("client_secret") == Some(&client.api_key)) else {
        return Err(Refused("invalid_client", "Invalid client ID or client secret."));
    };
    if get("grant_type") != Some("authorization_code") {
        return Err(Refused("unsupported_grant_type", "The grant type must be authorization_code."));
    }
    let code = get("code").ok_or(Refused("invalid_request", "The field code is missing."))?;
    let gone = Refused("invalid_grant", "The code has expired or has already been used.");
    let now = memory.clock.now();
    let Some(grant) = memory.codes.get(code, now).filter(|grant| grant.client_id == client.client_id) else {
        return Err(gone);
    };
    let grant = grant.clone();
    memory.codes.remove(code);
    if get("redirect_uri").is_some_and(|uri| uri != grant.redirect_uri) {
        return Err(Refused("invalid_grant", "redirect_uri is not the one of the authorization request."));
    }
    match (&grant.code_challenge, get("code_verifier")) {
        _ if pkce_ignored => Ok(grant),
        (None, None) => Ok(grant),
        (Some(challenge), Some(verifier)) if s256(verifier) == *challenge => Ok(grant),
        (Some(_), Some(_)) => Err(Refused("invalid_grant", "The code verifier does not match the code challenge.")),
        (Some(_), None) => Err(Refused("invalid_grant", "The code verifier is missing.")),
        // RFC 9700, section 2.1.1: otherwise an attacker strips the challenge off the authorization request.
        (None, Some(_)) => Err(Refused("invalid_grant", "The authorization request had no code challenge.")),
    }
}

fn answer_with_profile(memory: &mut Memory, grant: &Grant, faults: &[FaultKind]) -> Response {
    let registry = &memory.registry;
    let found = registry.profiles.get(&grant.profile_id);
    let Some((profile, connection)) = found.and_then(|p| Some((p, registry.connections.get(&p.connection)?))) else {
        return answer::message(StatusCode::NOT_FOUND, "Profile not found.");
    };
    let provider = connection.organization.is_none().then(|| connection.connection_type.clone());
    let mut profile = profile_json(profile, connection);
    for fault in faults {
        bend(&mut profile, fault);
    }
    let access_token = random("sso_token_");
    let mut answer = json!({
        "token_type": "Bearer",
        "access_token": access_token,
        "expires_in": TOKEN_LIFETIME.as_secs(),
        "profile": profile,
    });
    if let Some(provider) = provider {
        answer["oauth_tokens"] = json!({
            "provider": provider,
            "access_token": random("provider_access_"),
            "refresh_token": random("provider_refresh_"),
            "expires_at": memory.clock.since_1970().as_secs().saturating_add(3600),
            "scopes": ["openid", "email", "profile"],
        });
    }
    let now = memory.clock.now();
    memory.tokens.insert(access_token, profile, now);
    // RFC 6749, section 5.1.
    ([(header::CACHE_CONTROL, "no-store")], Json(answer)).into_response()
}

fn bend(profile: &mut Value, fault: &FaultKind) {
    match fault {
        FaultKind::WrongOrganization => profile["organization_id"] = "org_nobody_asked_for".into(),
        FaultKind::WrongConnection => profile["connection_id"] = "conn_nobody_asked_for".into(),
        FaultKind::WrongConnectionType => {
            let wrong = if profile["connection_type"] == "GenericOIDC" { "GenericSAML" } else { "GenericOIDC" };
            profile["connection_type"] = wrong.into();
        }
        FaultKind::MissingProfileFields { names, missing } => {
            let mut nothing = Map::new();
            let members = profile.as_object_mut().unwrap_or(&mut nothing);
            for name in names {
                match missing {
                    Missing::Absent => members.remove(name),
                    Missing::Null => members.insert(name.clone(), Value::Null),
                    Missing::Empty => members.insert(name.clone(), "".into()),
                };
            }
        }
        FaultKind::ProfileOverrides { patch } => json_patch::merge(profile, patch),
        _ => {}
    }
}

/// `GET /sso/profile`
pub(crate) async fn profile(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Response {
    let memory = state.lock();
    let now = memory.clock.now();
    match bearer(&headers).and_then(|token| memory.tokens.get(token, now)) {
        Some(profile) => Json(profile.clone()).into_response(),
        None => (StatusCode::UNAUTHORIZED, Json(json!({ "error": "Unauthorized" }))).into_response(),
    }
}

/// The token of `Authorization: Bearer …` (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token)
}

/// RFC 7636, section 4.2.
pub(crate) fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes()))
}
