//! `/directories`, `/directory_users` and `/directory_groups`

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::changes::{directories, directory_groups, directory_users};
use crate::objects::directory::{DirectoryGroupObject, DirectoryObject, DirectoryUserObject, DirectoryUserState};
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::rest::access::authorized;
use crate::rest::page::{Query, contains};
use crate::state::State;

/// `GET /directories?organization_id&search&domain`
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let registry = &authorized(&state, &headers)?.registry;
    let query = Query::new(query);
    let matches = |directory: &&DirectoryObject| {
        let has = |domain| {
            let organization = registry.organizations.get(&directory.organization_id);
            organization.is_some_and(|organization| organization.verified_domains().any(|own| own == domain))
        };
        query.get("organization_id").is_none_or(|wanted| directory.organization_id == wanted)
            && query.get("search").is_none_or(|wanted| contains(&directory.name, wanted))
            && query.get("domain").is_none_or(has)
    };
    let found = registry.directories.values().filter(matches);
    query.page(found, |directory| &directory.id, |directory| with_counts(registry, directory))
}

/// `GET /directories/{id}`
pub(crate) async fn get(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(with_counts(&memory.registry, directories::find(&memory, &id)?)).into_response())
}

/// `DELETE /directories/{id}`: 202, as the OpenAPI file says.
pub(crate) async fn delete(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    directories::delete(&mut *authorized(&state, &headers)?, &id)?;
    Ok(StatusCode::ACCEPTED)
}

/// `GET /directory_users?directory&group&idp_id&email`
pub(crate) async fn users(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    let registry = &memory.registry;
    let query = Query::new(query);
    let directory = query.get("directory").map(|id| directories::find(&memory, id)).transpose()?;
    let group = query.get("group").map(|id| directory_groups::find(&memory, id)).transpose()?;
    // Which of both, WorkOS's documentation leaves to the caller.
    if directory.is_none() && group.is_none() {
        return Err(Refusal::invalid("directory", "required"));
    }
    let matches = |user: &&DirectoryUserObject| {
        directory.is_none_or(|directory| user.directory_id == directory.id)
            && group.is_none_or(|group| group.members.contains(&user.id))
            && query.get("idp_id").is_none_or(|wanted| user.idp_id == wanted)
            && query.get("email").is_none_or(|wanted| user.email.as_deref() == Some(wanted))
    };
    let found = registry.directory_users.values().filter(matches);
    query.page(found, |user| &user.id, |user| with_groups(registry, user))
}

/// `GET /directory_users/{id}`
pub(crate) async fn user(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(with_groups(&memory.registry, directory_users::find(&memory, &id)?)).into_response())
}

/// `GET /directory_groups?directory&user`
pub(crate) async fn groups(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    let query = Query::new(query);
    let directory = query.get("directory").map(|id| directories::find(&memory, id)).transpose()?;
    let user = query.get("user").map(|id| directory_users::find(&memory, id)).transpose()?;
    if directory.is_none() && user.is_none() {
        return Err(Refusal::invalid("directory", "required"));
    }
    let matches = |group: &&DirectoryGroupObject| {
        directory.is_none_or(|directory| group.directory_id == directory.id)
            && user.is_none_or(|user| group.members.contains(&user.id))
    };
    let found = memory.registry.directory_groups.values().filter(matches);
    query.page(found, |group| &group.id, |group| json!(group))
}

/// `GET /directory_groups/{id}`
pub(crate) async fn group(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(directory_groups::find(&memory, &id)?).into_response())
}

fn with_counts(registry: &Registry, directory: &DirectoryObject) -> Value {
    let users = registry.directory_users.values().filter(|user| user.directory_id == directory.id);
    let (active, inactive): (Vec<_>, Vec<_>) = users.partition(|user| user.state == DirectoryUserState::Active);
    let groups = registry.directory_groups.values().filter(|group| group.directory_id == directory.id);
    directory.json((active.len(), inactive.len()), groups.count())
}

fn with_groups(registry: &Registry, user: &DirectoryUserObject) -> Value {
    let groups: Vec<_> = registry.directory_groups.values().filter(|group| group.members.contains(&user.id)).collect();
    let mut object = user.json();
    object["groups"] = json!(groups);
    object
}
