//! `/organizations/{id}/it_contacts`: in WorkOS's SDKs, and not yet in its OpenAPI file of 2026-08. The SDKs read no status of success:
//! 201 and 204 are ours.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;

use crate::changes::{it_contacts, organizations};
use crate::refusal::Refusal;
use crate::rest::access::authorized;
use crate::rest::body::JsonBody;
use crate::state::State;

/// What a contact can be invited to, as WorkOS's SDKs name it. The Admin Portal's intents have other names.
const INTENTS: [&str; 5] = ["sso", "directory_sync", "log_streams", "domain_verification", "bring_your_own_key"];

/// `GET /organizations/{id}/it_contacts`: all of them, in one page.
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(organization): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    organizations::find(&memory, &organization)?;
    let data: Vec<_> = it_contacts::of_organization(&memory, &organization).collect();
    let metadata = json!({ "before": null, "after": null });
    Ok(Json(json!({ "object": "list", "data": data, "list_metadata": metadata })).into_response())
}

/// `POST /organizations/{id}/it_contacts`
pub(crate) async fn create(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(organization): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let email = JsonBody::read(&headers, &body)?.required("email")?;
    Ok((StatusCode::CREATED, Json(it_contacts::create(&mut memory, &organization, &email)?)).into_response())
}

/// `POST …/{contact}/invite`
pub(crate) async fn invite(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path((organization, contact)): Path<(String, String)>,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let intents = JsonBody::read(&headers, &body)?.texts("intents")?.unwrap_or_default();
    if intents.is_empty() || intents.iter().any(|intent| !INTENTS.contains(&intent.as_str())) {
        return Err(Refusal::invalid("intents", "invalid_intents"));
    }
    it_contacts::invite(&mut memory, &organization, &contact, intents)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST …/{contact}/revoke`
pub(crate) async fn revoke(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path((organization, contact)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    it_contacts::revoke(&mut *authorized(&state, &headers)?, &organization, &contact)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `DELETE …/{contact}`
pub(crate) async fn delete(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path((organization, contact)): Path<(String, String)>,
) -> Result<StatusCode, Refusal> {
    it_contacts::delete(&mut *authorized(&state, &headers)?, &organization, &contact)?;
    Ok(StatusCode::NO_CONTENT)
}
