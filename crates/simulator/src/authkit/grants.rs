//! `POST /user_management/authenticate`, the grants of somebody who is known: `refresh_token`, and the answer to the question which organization.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::signing_in::{begin, go_on, membership_in};
use crate::answer::{self, oauth_error};
use crate::changes::sessions;
use crate::fault::FaultKind;
use crate::objects::user::UserObject;
use crate::parameters;
use crate::state::Memory;

/// The members of a request of a client that has shown its key.
pub(super) struct Fields<'a> {
    pub fields: &'a [(String, String)],
    pub client_id: &'a str,
}

impl Fields<'_> {
    pub fn get(&self, name: &str) -> Option<&str> {
        parameters::get(self.fields, name)
    }

    #[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
    pub fn required(&self, name: &str) -> Result<&str, Response> {
        self.get(name).ok_or_else(|| oauth_error("invalid_request", &format!("The field {name} is missing.")))
    }
}

/// Used once: "Refresh token already exchanged" (authkit-remix, issue 7). A session that has ended has none (WorkOS's emulator of 2026-08).
/// Another organization is one that the person is an active member of (WorkOS's OpenAPI file of 2026-08-07: `organization_membership_not_found`);
/// that such a refusal leaves the token as it is, is not documented.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
pub(super) fn refresh(memory: &mut Memory, fields: &Fields<'_>, faults: &[FaultKind]) -> Result<Response, Response> {
    let token = fields.required("refresh_token")?;
    let invalid = |why: &str| oauth_error("invalid_grant", why);
    let session = memory.authkit_sessions.get(token, memory.clock.now()).cloned();
    let session = session.filter(|session| session.client_id == fields.client_id);
    let session = session.ok_or_else(|| invalid("Refresh token already exchanged."))?;
    let organization = sessions::organization_of(memory, &session.id);
    let organization = organization.ok_or_else(|| invalid("Session has already ended."))?;
    let user = user(memory, &session.user_id)?;
    let organization = fields.get("organization_id").map(str::to_owned).or(organization);
    let membership = organization.as_deref().map(|id| membership_in(memory, &user.id, id)).transpose()?;
    memory.authkit_sessions.remove(token);
    sessions::move_to(memory, &session.id, organization);
    Ok(go_on(memory, session, &user, membership.as_ref(), faults))
}

/// What WorkOS gave along with its question is good once. An unknown one: WorkOS's OpenAPI file of 2026-08-07.
#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
pub(super) fn select(memory: &mut Memory, fields: &Fields<'_>, faults: &[FaultKind]) -> Result<Response, Response> {
    let token = fields.required("pending_authentication_token")?;
    let organization = fields.required("organization_id")?;
    let grant = memory.authkit_questions.get(token, memory.clock.now()).cloned();
    let grant = grant.filter(|grant| grant.client_id == fields.client_id).ok_or_else(|| {
        let message = format!("The pending authentication token '{token}' has expired or is invalid.");
        let body = json!({ "code": "invalid_pending_authentication_token", "message": message });
        (StatusCode::BAD_REQUEST, Json(body)).into_response()
    })?;
    let user = user(memory, &grant.user_id)?;
    let membership = membership_in(memory, &user.id, organization)?;
    memory.authkit_questions.remove(token);
    begin(memory, &grant, &user, Some(&membership), faults)
}

#[expect(clippy::result_large_err, reason = "the refusal is the answer as it is sent")]
fn user(memory: &Memory, id: &str) -> Result<UserObject, Response> {
    let found = memory.registry.users.get(id).cloned();
    found.ok_or_else(|| answer::message(StatusCode::NOT_FOUND, "User not found."))
}
