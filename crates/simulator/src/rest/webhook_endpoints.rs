//! `/webhook_endpoints`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use url::{Host, Url};

use crate::ids::{id, random};
use crate::refusal::Refusal;
use crate::rest::access::authorized;
use crate::rest::body::JsonBody;
use crate::rest::page::Query;
use crate::state::{Memory, State};
use crate::webhooks::{WebhookEndpoint, WebhookStatus};

/// Events that the Events API alone has: what WorkOS's OpenAPI file does not list for endpoints.
const NEVER_SENT: [&str; 5] =
    ["dsync.token.", "vault.", "action.", "authentication.mfa_failed", "authentication.email_verification_failed"];

/// `GET /webhook_endpoints`
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    let all = memory.webhooks.endpoints.values();
    Query::new(query).page(all, |endpoint| &endpoint.id, |endpoint| json!(endpoint))
}

/// `POST /webhook_endpoints`
pub(crate) async fn create(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let body = JsonBody::read(&headers, &body)?;
    let url = body.required("endpoint_url")?;
    check_url(&memory, None, &url)?;
    let events = body.texts("events")?.unwrap_or_default();
    check_events(&events)?;
    let now = memory.clock.timestamp();
    let endpoint = WebhookEndpoint {
        id: id("we_", now),
        endpoint_url: url,
        secret: random(""),
        status: WebhookStatus::Enabled,
        events,
        created_at: now,
        updated_at: now,
    };
    memory.webhooks.endpoints.insert(endpoint.id.clone(), endpoint.clone());
    Ok((StatusCode::CREATED, Json(endpoint)).into_response())
}

/// `PATCH /webhook_endpoints/{id}`
pub(crate) async fn update(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let body = JsonBody::read(&headers, &body)?;
    let mut endpoint = memory.webhooks.endpoints.get(&id).cloned().ok_or_else(|| not_found(&id))?;
    if let Some(url) = body.text("endpoint_url")? {
        check_url(&memory, Some(&id), &url)?;
        endpoint.endpoint_url = url;
    }
    if let Some(events) = body.texts("events")? {
        check_events(&events)?;
        endpoint.events = events;
    }
    endpoint.status = match body.text("status")?.as_deref() {
        None => endpoint.status,
        Some("enabled") => WebhookStatus::Enabled,
        Some("disabled") => WebhookStatus::Disabled,
        Some(_) => return Err(Refusal::invalid("status", "invalid_status")),
    };
    endpoint.updated_at = memory.clock.timestamp();
    memory.webhooks.endpoints.insert(id, endpoint.clone());
    Ok(Json(endpoint).into_response())
}

/// `DELETE /webhook_endpoints/{id}`
pub(crate) async fn delete(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    memory.webhooks.endpoints.shift_remove(&id).ok_or_else(|| not_found(&id))?;
    Ok(StatusCode::NO_CONTENT)
}

/// WorkOS sends to HTTPS; the simulator calls nobody but this machine, and has no TLS.
fn check_url(memory: &Memory, own: Option<&str>, url: &str) -> Result<(), Refusal> {
    let parsed = Url::parse(url).ok().filter(|url| url.scheme() == "http");
    let loopback = match parsed.as_ref().and_then(Url::host) {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    if !loopback {
        let message = format!("'{url}' is no URL of this machine.");
        return Err(Refusal::Unprocessable { code: "invalid_url", message });
    }
    let same = |other: &WebhookEndpoint| Some(other.id.as_str()) != own && other.endpoint_url == url;
    if memory.webhooks.endpoints.values().any(same) {
        return Err(Refusal::conflict("duplicate_endpoint", "There is an endpoint with this URL already."));
    }
    Ok(())
}

fn check_events(events: &[String]) -> Result<(), Refusal> {
    let never = |event: &String| NEVER_SENT.iter().any(|prefix| event.starts_with(prefix));
    if events.is_empty() || events.iter().any(never) {
        Err(Refusal::invalid("events", "invalid_events"))
    } else {
        Ok(())
    }
}

fn not_found(id: &str) -> Refusal {
    Refusal::not_found("webhook_endpoint", id)
}
