//! `/organization_domains`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use crate::changes::organization_domains;
use crate::refusal::Refusal;
use crate::rest::access::authorized;
use crate::rest::body::JsonBody;
use crate::state::State;

/// `POST /organization_domains`
pub(crate) async fn create(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let body = JsonBody::read(&headers, &body)?;
    let (organization, domain) = (body.required("organization_id")?, body.required("domain")?);
    let domain = organization_domains::create(&mut memory, &organization, &domain)?;
    Ok((StatusCode::CREATED, Json(domain)).into_response())
}

/// `GET /organization_domains/{id}`
pub(crate) async fn get(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(organization_domains::find(&memory, &id)?).into_response())
}

/// `POST /organization_domains/{id}/verify`: 201, as the OpenAPI file says.
pub(crate) async fn verify(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let domain = organization_domains::restart(&mut *authorized(&state, &headers)?, &id)?;
    Ok((StatusCode::CREATED, Json(domain)).into_response())
}

/// `DELETE /organization_domains/{id}`
pub(crate) async fn delete(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    organization_domains::delete(&mut *authorized(&state, &headers)?, &id)?;
    Ok(StatusCode::NO_CONTENT)
}
