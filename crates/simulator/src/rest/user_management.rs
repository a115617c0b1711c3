//! `/user_management/…`: people, memberships and sessions.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::changes::{memberships, organizations, sessions, users};
use crate::objects::user::{MembershipObject, MembershipStatus, SessionObject, SessionStatus, UserObject};
use crate::refusal::Refusal;
use crate::registry::Registry;
use crate::rest::access::authorized;
use crate::rest::body::JsonBody;
use crate::rest::page::Query;
use crate::state::State;

/// `GET /user_management/users?email&organization_id`
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let registry = &authorized(&state, &headers)?.registry;
    let query = Query::new(query);
    let matches = |user: &&UserObject| {
        let member_of = |organization: &str| {
            let own = |membership: &MembershipObject| {
                membership.user_id == user.id && membership.organization_id == organization
            };
            registry.memberships.values().any(own)
        };
        query.get("email").is_none_or(|wanted| user.email.eq_ignore_ascii_case(wanted))
            && query.get("organization_id").is_none_or(member_of)
    };
    query.page(registry.users.values().filter(matches), |user| &user.id, |user| json!(user))
}

/// `GET /user_management/users/{id}`
pub(crate) async fn get(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(users::find(&memory, &id)?).into_response())
}

/// `GET /user_management/users/{id}/sessions`: those that are active.
pub(crate) async fn sessions_of(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    users::find(&memory, &id)?;
    let now = memory.clock.timestamp();
    let active = |session: &&SessionObject| {
        session.user_id == id && session.status == SessionStatus::Active && now < session.expires_at
    };
    let found = memory.registry.sessions.values().filter(active);
    Query::new(query).page(found, |session| &session.id, |session| json!(session))
}

/// `POST /user_management/sessions/revoke`
pub(crate) async fn revoke_session(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Refusal> {
    let mut memory = authorized(&state, &headers)?;
    let session = JsonBody::read(&headers, &body)?.required("session_id")?;
    sessions::revoke(&mut memory, &session)?;
    Ok(StatusCode::OK)
}

/// `GET /user_management/organization_memberships?user_id&organization_id&statuses`: only active ones where no status is asked for.
pub(crate) async fn memberships(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    let registry = &memory.registry;
    let query = Query::new(query);
    let (user, organization) = (query.get("user_id"), query.get("organization_id"));
    if user.is_none() && organization.is_none() {
        let message = "One of user_id and organization_id must be given.";
        return Err(Refusal::bad_request("missing_user_id_or_organization_id", message));
    }
    user.map(|id| users::find(&memory, id)).transpose()?;
    organization.map(|id| organizations::find(&memory, id)).transpose()?;
    let mut statuses = query.list("statuses").into_iter().map(status).collect::<Result<Vec<_>, _>>()?;
    if statuses.is_empty() {
        statuses.push(MembershipStatus::Active);
    }
    let matches = |membership: &&MembershipObject| {
        user.is_none_or(|wanted| membership.user_id == wanted)
            && organization.is_none_or(|wanted| membership.organization_id == wanted)
            && statuses.contains(&membership.status)
    };
    let found = registry.memberships.values().filter(matches);
    query.page(found, |membership| &membership.id, |membership| show(registry, membership))
}

/// `GET /user_management/organization_memberships/{id}`
pub(crate) async fn membership(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let memory = authorized(&state, &headers)?;
    Ok(Json(show(&memory.registry, memberships::find(&memory, &id)?)).into_response())
}

fn show(registry: &Registry, membership: &MembershipObject) -> Value {
    let organization = registry.organizations.get(&membership.organization_id);
    let name = organization.map(|organization| organization.name.as_str());
    membership.json(registry.users.get(&membership.user_id), name)
}

fn status(text: &str) -> Result<MembershipStatus, Refusal> {
    match text {
        "active" => Ok(MembershipStatus::Active),
        "inactive" => Ok(MembershipStatus::Inactive),
        "pending" => Ok(MembershipStatus::Pending),
        _ => Err(Refusal::invalid("statuses", "invalid_status")),
    }
}
