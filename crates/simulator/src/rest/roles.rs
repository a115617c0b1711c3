//! `/authorization/…`: roles and their permissions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State as Shared};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::changes::organizations;
use crate::objects::role::RoleObject;
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::rest::access::authorized;
use crate::state::State;

/// `GET /authorization/roles`: all of them, without pages, as the OpenAPI file says.
pub(crate) async fn of_environment(Shared(state): Shared<Arc<State>>, headers: HeaderMap) -> Result<Response, Refusal> {
    let registry = &authorized(&state, &headers)?.registry;
    Ok(list(registry, |role| role.organization_id.is_none()))
}

/// `GET /authorization/organizations/{id}/roles`: the environment's roles and the organization's own, in one list without pages.
pub(crate) async fn of_organization(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    organizations::find(&memory, &id)?;
    Ok(list(&memory.registry, |role| role.organization_id.as_ref().is_none_or(|own| *own == id)))
}

fn list(registry: &Registry, matches: impl Fn(&RoleObject) -> bool) -> Response {
    let data: Vec<Value> = registry.roles.values().filter(|role| matches(role)).map(RoleObject::json).collect();
    Json(json!({ "object": "list", "data": data })).into_response()
}
