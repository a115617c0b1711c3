//! `GET /connections`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use crate::refusal::Refusal;
use crate::registry::connection_json;
use crate::rest::access::authorized;
use crate::rest::page::{Query, contains};
use crate::seed::Connection;
use crate::state::State;

/// `GET /connections?connection_type&domain&organization_id&search`
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let registry = &authorized(&state, &headers)?.registry;
    let query = Query::new(query);
    let matches = |connection: &&Connection| {
        let organization = registry.organization_of(connection);
        query.get("connection_type").is_none_or(|wanted| connection.connection_type == wanted)
            && query.get("organization_id").is_none_or(|wanted| connection.organization.as_deref() == Some(wanted))
            && query.get("domain").is_none_or(|wanted| {
                organization.is_some_and(|organization| organization.verified_domains().any(|domain| domain == wanted))
            })
            && query.get("search").is_none_or(|wanted| contains(&connection.name, wanted))
    };
    query.page(
        registry.connections.values().filter(matches),
        |connection| &connection.id,
        |connection| connection_json(connection, registry.organization_of(connection)),
    )
}

/// `GET /connections/{id}`
pub(crate) async fn get(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let registry = &authorized(&state, &headers)?.registry;
    let connection = registry.connections.get(&id).ok_or_else(|| Refusal::not_found("connection", &id))?;
    Ok(Json(connection_json(connection, registry.organization_of(connection))).into_response())
}
