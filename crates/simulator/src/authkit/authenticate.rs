//! `POST /user_management/authenticate`, grant `authorization_code`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{self, oauth_error};
use crate::changes::sessions::{self, NewSession};
use crate::fault::{Endpoint, FaultKind};
use crate::ids::random;
use crate::objects::user::{MembershipObject, MembershipStatus, UserObject};
use crate::parameters::{self, BodyError};
use crate::socket::ResetHandle;
use crate::state::{AuthkitGrant, Memory, State};
use crate::token::s256;

const SINGLE: [&str; 5] = ["client_id", "client_secret", "grant_type", "code", "code_verifier"];
/// "Default life 5 minutes": WorkOS's staff, authkit-nextjs, issue 19.
const TOKEN_LIFETIME: u64 = 300;

/// `POST /user_management/authenticate`
pub(crate) async fn authenticate(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<ResetHandle>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let faults = state.lock().faults.take(Endpoint::Authenticate, parameters::is_form(content_type));
    let response = match &faults.instead {
        Some(kind) => answer::instead(kind),
        None => exchange(&state, content_type, &body, &faults.grant),
    };
    answer::damage(response, faults, &connection).await
}

/// Production takes a form and JSON on every grant (WorkOS's emulator, its comments on what was seen live).
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
        Ok(grant) => sign_in(&mut memory, &grant, faults),
        Err(refusal) => refusal,
    }
}

/// A code that is unknown, used or expired, and a wrong verifier, are one answer, and the code stands in its message.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
fn redeem(memory: &mut Memory, fields: &[(String, String)], pkce_ignored: bool) -> Result<AuthkitGrant, Response> {
    let get = |name| parameters::get(fields, name);
    if parameters::repeated(fields, &SINGLE).is_some() {
        return Err(oauth_error("invalid_request", "A field stands twice."));
    }
    let client = get("client_id").and_then(|id| memory.registry.clients.get(id));
    let Some(client) = client.filter(|client| get("client_secret") == Some(&client.api_key)) else {
        return Err(oauth_error("invalid_client", "Invalid client ID or client secret."));
    };
    if get("grant_type") != Some("authorization_code") {
        return Err(oauth_error("invalid_request", "The grant type is none that is played here."));
    }
    let code = get("code").ok_or_else(|| oauth_error("invalid_request", "The field code is missing."))?;
    let gone = || oauth_error("invalid_grant", &format!("The code '{code}' has expired or is invalid."));
    let now = memory.clock.now();
    let grant = memory.authkit_codes.get(code, now).filter(|grant| grant.client_id == client.client_id);
    let grant = grant.cloned().ok_or_else(gone)?;
    memory.authkit_codes.remove(code);
    let is_proved = match (&grant.code_challenge, get("code_verifier")) {
        _ if pkce_ignored => true,
        (None, None) => true,
        (Some(challenge), Some(verifier)) => s256(verifier) == *challenge,
        _ => false,
    };
    if is_proved { Ok(grant) } else { Err(gone()) }
}

fn sign_in(memory: &mut Memory, grant: &AuthkitGrant, faults: &[FaultKind]) -> Response {
    let Some(user) = memory.registry.users.get(&grant.user_id).cloned() else {
        return answer::message(StatusCode::NOT_FOUND, "User not found.");
    };
    if !user.email_verified {
        let mut body = step("email_verification_required", "Email ownership must be verified before authentication.");
        body["email"] = user.email.into();
        body["email_verification_id"] = random("email_verification_").into();
        return (StatusCode::FORBIDDEN, Json(body)).into_response();
    }
    let membership = match membership(memory, &user, grant.organization_id.as_deref()) {
        Ok(membership) => membership,
        Err(refusal) => return refusal,
    };
    answer_of(memory, grant, &user, membership.as_ref(), faults)
}

/// "A person with one active membership is put into it silently; with several, they select" (WorkOS's emulator); those that are not active
/// do not count.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
fn membership(
    memory: &Memory,
    user: &UserObject,
    organization_id: Option<&str>,
) -> Result<Option<MembershipObject>, Response> {
    let registry = &memory.registry;
    let is_own =
        |membership: &&MembershipObject| membership.user_id == user.id && membership.status == MembershipStatus::Active;
    let own: Vec<&MembershipObject> = registry.memberships.values().filter(is_own).collect();
    if let Some(id) = organization_id {
        let found = own.iter().find(|membership| membership.organization_id == id).map(|found| (*found).clone());
        let refusal = || oauth_error("organization_membership_not_found", "The user is no member of the organization.");
        return found.map(Some).ok_or_else(refusal);
    }
    if own.len() < 2 {
        return Ok(own.first().map(|membership| (*membership).clone()));
    }
    let named = |membership: &&MembershipObject| {
        let organization = registry.organizations.get(&membership.organization_id);
        json!({ "id": membership.organization_id, "name": organization.map(|organization| organization.name.as_str()) })
    };
    let mut body =
        step("organization_selection_required", "The user must choose an organization to finish their authentication.");
    body["organizations"] = own.iter().map(named).collect();
    body["user"] = json!(user);
    Err((StatusCode::FORBIDDEN, Json(body)).into_response())
}

fn step(code: &str, message: &str) -> Value {
    json!({ "code": code, "message": message, "pending_authentication_token": random("") })
}

fn answer_of(
    memory: &mut Memory,
    grant: &AuthkitGrant,
    user: &UserObject,
    membership: Option<&MembershipObject>,
    faults: &[FaultKind],
) -> Response {
    let organization = membership.map(|membership| membership.organization_id.clone());
    let connection =
        memory.registry.connections.values().find(|connection| {
            organization.is_some() && connection.organization == organization && connection.is_active()
        });
    let connection = connection.map(|connection| connection.id.clone());
    let method = if connection.is_some() { "SSO" } else { "Password" };
    let new =
        NewSession { user: user.id.clone(), organization: organization.clone(), connection, ..NewSession::default() };
    let sid = match sessions::create(memory, new) {
        Ok(sid) => sid,
        Err(refusal) => return refusal.into_response(),
    };
    let now = memory.clock.since_1970().as_secs();
    // Empty lists are absent (WorkOS's emulator), and so is `aud` (a token of production, workos-python, issue 655).
    let mut claims = json!({
        "iss": "https://api.workos.com/user_management/".to_owned() + &grant.client_id,
        "sub": user.id, "sid": sid, "jti": random(""), "client_id": grant.client_id, "auth_time": now, "iat": now,
        "exp": now.saturating_add(TOKEN_LIFETIME),
    });
    if let Some(membership) = membership {
        claims["org_id"] = json!(membership.organization_id);
        claims["role"] = json!(membership.roles.first());
        claims["roles"] = json!(membership.roles);
        let permissions = permissions(memory, membership);
        if !permissions.is_empty() {
            claims["permissions"] = json!(permissions);
        }
    }
    for fault in faults {
        if let FaultKind::ClaimOverrides { patch } = fault {
            json_patch::merge(&mut claims, patch);
        }
    }
    let mut body = json!({
        "user": user, "access_token": token(&claims), "refresh_token": random(""), "authentication_method": method,
    });
    if let Some(organization) = organization {
        body["organization_id"] = organization.into();
    }
    for fault in faults {
        if let FaultKind::AnswerOverrides { patch } = fault {
            json_patch::merge(&mut body, patch);
        }
    }
    // RFC 6749, section 5.1.
    ([(header::CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

/// Those of the roles: the organization's own of a slug, else the environment's.
fn permissions(memory: &Memory, membership: &MembershipObject) -> BTreeSet<String> {
    let roles = &memory.registry.roles;
    let role = |slug: &String| {
        let own = (Some(membership.organization_id.clone()), slug.clone());
        roles.get(&own).or_else(|| roles.get(&(None, slug.clone())))
    };
    membership.roles.iter().filter_map(role).flat_map(|role| role.permissions.iter().cloned()).collect()
}

/// Of the form of WorkOS's. Its signature is noise: who gets it from here needs none, and nobody else trusts this simulator.
fn token(claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "typ": "JWT", "kid": "sso_oidc_key_pair_simulated" });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{}", part(&header), part(claims), URL_SAFE_NO_PAD.encode(random("")))
}
