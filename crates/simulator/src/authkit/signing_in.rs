//! Who is signed in to which organization, and what the answer says of it.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::answer::oauth_error;
use crate::changes::sessions::{self, NewSession};
use crate::fault::FaultKind;
use crate::ids::random;
use crate::objects::user::{MembershipObject, MembershipStatus, UserObject};
use crate::state::{AuthkitGrant, AuthkitSession, Memory};

/// "Default life 5 minutes": WorkOS's staff, authkit-nextjs, issue 19.
const TOKEN_LIFETIME: u64 = 300;

/// "A person with one active membership is put into it silently; with several, they select" (WorkOS's emulator); those that are not active
/// do not count.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
pub(super) fn membership(
    memory: &mut Memory,
    user: &UserObject,
    grant: &AuthkitGrant,
) -> Result<Option<MembershipObject>, Response> {
    if let Some(id) = &grant.organization_id {
        return membership_in(memory, &user.id, id).map(Some);
    }
    let registry = &memory.registry;
    let own: Vec<&MembershipObject> =
        registry.memberships.values().filter(|membership| is_active(membership, &user.id)).collect();
    if own.len() < 2 {
        return Ok(own.first().map(|membership| (*membership).clone()));
    }
    let named = |membership: &&MembershipObject| {
        let organization = registry.organizations.get(&membership.organization_id);
        json!({ "id": membership.organization_id, "name": organization.map(|organization| organization.name.as_str()) })
    };
    let pending = random("");
    let message = "The user must choose an organization to finish their authentication.";
    let mut body = step("organization_selection_required", message, &pending);
    body["organizations"] = own.iter().map(named).collect();
    body["user"] = json!(user);
    let now = memory.clock.now();
    memory.authkit_questions.insert(pending, grant.clone(), now);
    Err((StatusCode::FORBIDDEN, Json(body)).into_response())
}

/// An active membership of the person in the organization.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
pub(super) fn membership_in(memory: &Memory, user: &str, organization: &str) -> Result<MembershipObject, Response> {
    let mut own = memory.registry.memberships.values().filter(|membership| is_active(membership, user));
    let found = own.find(|membership| membership.organization_id == organization).cloned();
    let refusal = || oauth_error("organization_membership_not_found", "The user is no member of the organization.");
    found.ok_or_else(refusal)
}

fn is_active(membership: &MembershipObject, user: &str) -> bool {
    membership.user_id == user && membership.status == MembershipStatus::Active
}

/// A step that WorkOS asks for, and what it takes with the answer.
pub(super) fn step(code: &str, message: &str, pending: &str) -> Value {
    json!({ "code": code, "message": message, "pending_authentication_token": pending })
}

/// A session begins.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
pub(super) fn begin(
    memory: &mut Memory,
    grant: &AuthkitGrant,
    user: &UserObject,
    membership: Option<&MembershipObject>,
    faults: &[FaultKind],
) -> Result<Response, Response> {
    let organization = membership.map(|membership| membership.organization_id.clone());
    let connection =
        memory.registry.connections.values().find(|connection| {
            organization.is_some() && connection.organization == organization && connection.is_active()
        });
    let connection = connection.map(|connection| connection.id.clone());
    let method = if connection.is_some() { "SSO" } else { "Password" };
    let new = NewSession { user: user.id.clone(), organization, connection, ..NewSession::default() };
    let session = AuthkitSession {
        client_id: grant.client_id.clone(),
        user_id: user.id.clone(),
        id: sessions::create(memory, new).map_err(IntoResponse::into_response)?,
        method: method.to_owned(),
        auth_time: memory.clock.since_1970().as_secs(),
    };
    Ok(go_on(memory, session, user, membership, faults))
}

/// The answer of a session that goes on, with a refresh token that is good once.
pub(super) fn go_on(
    memory: &mut Memory,
    session: AuthkitSession,
    user: &UserObject,
    membership: Option<&MembershipObject>,
    faults: &[FaultKind],
) -> Response {
    let organization = membership.map(|membership| membership.organization_id.clone());
    let now = memory.clock.since_1970().as_secs();
    // Empty lists are absent (WorkOS's emulator), and so is `aud` (a token of production, workos-python, issue 655).
    let mut claims = json!({
        "iss": "https://api.workos.com/user_management/".to_owned() + &session.client_id,
        "sub": user.id, "sid": session.id, "jti": random(""), "client_id": session.client_id, "auth_time": session.auth_time, "iat": now,
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
    let refresh_token = random("");
    let mut body = json!({
        "user": user, "access_token": token(&claims), "refresh_token": refresh_token,
        "authentication_method": session.method,
    });
    let at = memory.clock.now();
    memory.authkit_sessions.insert(refresh_token, session, at);
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
