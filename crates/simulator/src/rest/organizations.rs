//! `/organizations`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::changes::organization_domains::NewDomain;
use crate::changes::organizations::{self, NewOrganization, OrganizationPatch};
use crate::objects::organization::OrganizationObject;
use crate::refusal::Refusal;
use crate::rest::access::authorized;
use crate::rest::body::JsonBody;
use crate::rest::page::{Query, contains};
use crate::state::State;

/// `GET /organizations?domains&search`
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    let query = Query::new(query);
    let domains = query.list("domains");
    let matches = |organization: &&OrganizationObject| {
        let has = |wanted: &&str| organization.domains.iter().any(|own| own.domain.eq_ignore_ascii_case(wanted));
        (domains.is_empty() || domains.iter().any(has))
            && query.get("search").is_none_or(|wanted| contains(&organization.name, wanted))
    };
    let found = memory.registry.organizations.values().filter(matches);
    query.page(found, |organization| &organization.id, |organization| json!(organization))
}

/// `POST /organizations`
pub(crate) async fn create(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let body = JsonBody::read(&headers, &body)?;
    let new = NewOrganization {
        name: body.required("name")?,
        external_id: body.text("external_id")?,
        metadata: body.metadata()?.flatten().unwrap_or_default(),
        domains: domains(&body)?.unwrap_or_default(),
        allow_profiles_outside_organization: body.flag("allow_profiles_outside_organization")?.unwrap_or_default(),
    };
    Ok((StatusCode::CREATED, Json(organizations::create(&mut memory, new)?)).into_response())
}

/// `GET /organizations/{id}`
pub(crate) async fn get(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(organizations::find(&memory, &id)?).into_response())
}

/// `GET /organizations/external_id/{external_id}`
pub(crate) async fn get_by_external_id(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(external_id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    let mut all = memory.registry.organizations.values();
    let found = all.find(|organization| organization.external_id.as_ref() == Some(&external_id));
    Ok(Json(found.ok_or_else(|| Refusal::not_found("organization", &external_id))?).into_response())
}

/// `PUT /organizations/{id}`
pub(crate) async fn update(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let body = JsonBody::read(&headers, &body)?;
    let name = body.text("name")?;
    if name.as_ref().is_some_and(String::is_empty) {
        return Err(Refusal::invalid("name", "required"));
    }
    let patch = OrganizationPatch {
        name,
        external_id: body.nullable("external_id")?,
        metadata: body.metadata()?,
        domains: domains(&body)?,
        stripe_customer_id: body.text("stripe_customer_id")?,
        allow_profiles_outside_organization: body.flag("allow_profiles_outside_organization")?,
    };
    Ok(Json(organizations::update(&mut memory, &id, patch)?).into_response())
}

/// `DELETE /organizations/{id}`. The OpenAPI file knows 200 and 202, and no answer for one that does not exist: 404 here.
pub(crate) async fn delete(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    organizations::delete(&mut *authorized(&state, &headers)?, &id)?;
    Ok(StatusCode::ACCEPTED)
}

/// `domain_data`, or the older `domains`, whose domains are pending.
fn domains(body: &JsonBody) -> Result<Option<Vec<NewDomain>>, Refusal> {
    let Some(data) = body.list("domain_data")? else {
        let pending = |domain| NewDomain { domain, verified: false };
        return Ok(body.texts("domains")?.map(|domains| domains.into_iter().map(pending).collect()));
    };
    data.iter().map(domain).collect::<Result<_, _>>().map(Some)
}

fn domain(data: &Value) -> Result<NewDomain, Refusal> {
    let verified = match data["state"].as_str() {
        Some("verified") => true,
        Some("pending") => false,
        _ => return Err(Refusal::invalid("domain_data", "invalid_state")),
    };
    let domain = data["domain"].as_str().ok_or_else(|| Refusal::invalid("domain_data", "invalid_domain"))?;
    Ok(NewDomain { domain: domain.to_owned(), verified })
}
