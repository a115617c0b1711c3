//! `POST /portal/generate_link`, and what its link opens.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::json;
use url::Url;

use crate::changes::organizations;
use crate::ids::random;
use crate::objects::portal::PortalLink;
use crate::refusal::Refusal;
use crate::rest::access::authorized;
use crate::rest::body::JsonBody;
use crate::rest::page::Query;
use crate::state::State;

/// The intents of WorkOS's OpenAPI file.
const INTENTS: [&str; 7] =
    ["sso", "dsync", "audit_logs", "log_streams", "domain_verification", "certificate_renewal", "bring_your_own_key"];
/// "Accepts up to 20 emails" (WorkOS's SDKs).
const IT_CONTACTS: usize = 20;

/// `POST /portal/generate_link`
pub(crate) async fn generate_link(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let body = JsonBody::read(&headers, &body)?;
    let link = PortalLink {
        organization: body.required("organization")?,
        intent: body.text("intent")?,
        return_url: body.text("return_url")?,
        success_url: body.text("success_url")?,
    };
    if link.intent.as_deref().is_some_and(|intent| !INTENTS.contains(&intent)) {
        return Err(Refusal::invalid("intent", "invalid_intent"));
    }
    if body.texts("it_contact_emails")?.is_some_and(|emails| emails.len() > IT_CONTACTS) {
        return Err(Refusal::invalid("it_contact_emails", "too_many"));
    }
    for url in [&link.return_url, &link.success_url].into_iter().flatten() {
        if Url::parse(url).ok().is_none_or(|url| url.scheme() != "https") {
            return Err(Refusal::bad_request("invalid_url", format!("'{url}' is no HTTPS URL.")));
        }
    }
    organizations::find(&memory, &link.organization)?;
    let secret = random("");
    let now = memory.clock.now();
    memory.portal_links.insert(secret.clone(), link, now);
    let link = format!("https://id.workos.com/portal/launch?secret={secret}");
    Ok((StatusCode::CREATED, Json(json!({ "link": link }))).into_response())
}

/// `GET /portal/launch?secret`: where a link leads, with this server's address in place of WorkOS's. It says what the link opens, as long
/// as it lives.
pub(crate) async fn launch(Shared(state): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Result<Response, Refusal> {
    let memory = state.lock();
    let query = Query::new(query);
    let secret = query.get("secret").unwrap_or_default();
    let link = memory.portal_links.get(secret, memory.clock.now());
    Ok(Json(link.ok_or_else(|| Refusal::not_found("portal_link", secret))?).into_response())
}
