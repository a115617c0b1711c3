//! `GET /connections` and `GET /organizations`, as far as an SDK needs them to find ids. Lists come whole, in one page.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::answer;
use crate::directory::{Directory, connection_json, organization_json};
use crate::parameters;
use crate::state::State;
use crate::token::bearer;

/// `GET /connections?connection_type&domain&organization_id&search`
pub(crate) async fn connections(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = parameters::decode(query.unwrap_or_default().as_bytes());
    let wanted = |name| parameters::get(&query, name);
    with_api_key(&state, &headers, |directory| {
        let found = directory.connections.values().filter_map(|connection| {
            let organization = directory.organization_of(connection);
            let matches = wanted("connection_type").is_none_or(|wanted| connection.connection_type == wanted)
                && wanted("organization_id").is_none_or(|wanted| connection.organization.as_deref() == Some(wanted))
                && wanted("domain")
                    .is_none_or(|wanted| organization.is_some_and(|o| o.domains.iter().any(|d| d == wanted)))
                && wanted("search").is_none_or(|wanted| contains(&connection.name, wanted));
            matches.then(|| connection_json(connection, organization))
        });
        list(found.collect())
    })
}

/// `GET /connections/{id}`
pub(crate) async fn connection(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    with_api_key(&state, &headers, |directory| match directory.connections.get(&id) {
        Some(connection) => Json(connection_json(connection, directory.organization_of(connection))).into_response(),
        None => not_found("connection", &id),
    })
}

/// `GET /organizations?domains&search`
pub(crate) async fn organizations(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let query = parameters::decode(query.unwrap_or_default().as_bytes());
    let domains: Vec<_> = query
        .iter()
        .filter(|(name, _)| matches!(name.as_str(), "domains" | "domains[]"))
        .map(|(_, value)| value)
        .collect();
    let search = parameters::get(&query, "search");
    with_api_key(&state, &headers, |directory| {
        let found = directory.organizations.values().filter(|organization| {
            (domains.is_empty() || organization.domains.iter().any(|domain| domains.contains(&domain)))
                && search.is_none_or(|wanted| contains(&organization.name, wanted))
        });
        list(found.map(organization_json).collect())
    })
}

/// `GET /organizations/{id}`
pub(crate) async fn organization(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Response {
    with_api_key(&state, &headers, |directory| match directory.organizations.get(&id) {
        Some(organization) => Json(organization_json(organization)).into_response(),
        None => not_found("organization", &id),
    })
}

fn with_api_key(state: &State, headers: &HeaderMap, answer: impl FnOnce(&Directory) -> Response) -> Response {
    let memory = state.lock();
    let directory = &memory.directory;
    match bearer(headers) {
        Some(key) if directory.clients.values().any(|client| client.api_key == key) => answer(directory),
        _ => answer::message(StatusCode::UNAUTHORIZED, "Unauthorized"),
    }
}

fn list(data: Vec<Value>) -> Response {
    Json(json!({ "object": "list", "data": data, "list_metadata": { "before": null, "after": null } })).into_response()
}

fn not_found(kind: &str, id: &str) -> Response {
    let body = json!({ "message": format!("Could not find {kind}: '{id}'."), "code": "entity_not_found" });
    (StatusCode::NOT_FOUND, Json(body)).into_response()
}

fn contains(name: &str, wanted: &str) -> bool {
    name.to_lowercase().contains(&wanted.to_lowercase())
}
