//! `POST /user_management/authenticate`. Here is the grant `authorization_code`; the others stand in `grants.rs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::grants::{self, Fields};
use super::signing_in::{begin, membership, step};
use crate::answer::{self, oauth_error};
use crate::fault::{Endpoint, FaultKind};
use crate::ids::random;
use crate::parameters::{self, BodyError};
use crate::socket::ResetHandle;
use crate::state::{AuthkitGrant, Memory, State};
use crate::token::s256;

const SINGLE: [&str; 8] = [
    "client_id",
    "client_secret",
    "grant_type",
    "code",
    "code_verifier",
    "refresh_token",
    "pending_authentication_token",
    "organization_id",
];

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
    answered(&mut memory, &fields, faults).unwrap_or_else(|refusal| refusal)
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
fn answered(memory: &mut Memory, fields: &[(String, String)], faults: &[FaultKind]) -> Result<Response, Response> {
    let get = |name| parameters::get(fields, name);
    if parameters::repeated(fields, &SINGLE).is_some() {
        return Err(oauth_error("invalid_request", "A field stands twice."));
    }
    let client = get("client_id").and_then(|id| memory.registry.clients.get(id));
    let Some(client) = client.filter(|client| get("client_secret") == Some(&client.api_key)) else {
        return Err(oauth_error("invalid_client", "Invalid client ID or client secret."));
    };
    let client_id = client.client_id.clone();
    let fields = Fields { fields, client_id: &client_id };
    match get("grant_type") {
        Some("authorization_code") => {
            let grant = redeem(memory, &fields, faults.contains(&FaultKind::PkceIgnored))?;
            sign_in(memory, &grant, faults)
        }
        Some("refresh_token") => grants::refresh(memory, &fields, faults),
        Some("urn:workos:oauth:grant-type:organization-selection") => grants::select(memory, &fields, faults),
        _ => Err(oauth_error("invalid_request", "The grant type is none that is played here.")),
    }
}

/// A code that is unknown, used or expired, and a wrong verifier, are one answer, and the code stands in its message.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
fn redeem(memory: &mut Memory, fields: &Fields<'_>, pkce_ignored: bool) -> Result<AuthkitGrant, Response> {
    let code = fields.required("code")?;
    let gone = || oauth_error("invalid_grant", &format!("The code '{code}' has expired or is invalid."));
    let now = memory.clock.now();
    let grant = memory.authkit_codes.get(code, now).filter(|grant| grant.client_id == fields.client_id);
    let grant = grant.cloned().ok_or_else(gone)?;
    memory.authkit_codes.remove(code);
    let is_proved = match (&grant.code_challenge, fields.get("code_verifier")) {
        _ if pkce_ignored => true,
        (None, None) => true,
        (Some(challenge), Some(verifier)) => s256(verifier) == *challenge,
        _ => false,
    };
    if is_proved { Ok(grant) } else { Err(gone()) }
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
fn sign_in(memory: &mut Memory, grant: &AuthkitGrant, faults: &[FaultKind]) -> Result<Response, Response> {
    let user = memory.registry.users.get(&grant.user_id).cloned();
    let user = user.ok_or_else(|| answer::message(StatusCode::NOT_FOUND, "User not found."))?;
    if !user.email_verified {
        let message = "Email ownership must be verified before authentication.";
        let mut body = step("email_verification_required", message, &random(""));
        body["email"] = user.email.into();
        body["email_verification_id"] = random("email_verification_").into();
        return Err((StatusCode::FORBIDDEN, Json(body)).into_response());
    }
    let membership = membership(memory, &user, grant)?;
    begin(memory, grant, &user, membership.as_ref(), faults)
}
