//! The routes, and what happens to every request: it gets an id, and is written down.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::fault::Endpoint;
use crate::record::RecordedRequest;
use crate::rest::events::Bent;
use crate::rest::{
    connections, directories, events, it_contacts, organization_domains, organizations, portal, roles, user_management,
    webhook_endpoints,
};
use crate::socket::{ResetHandle, SocketListener};
use crate::state::State;
use crate::{admin, answer, authkit, authorize, parameters, token};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BODY: usize = 1024 * 1024;

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/sso/authorize", get(authorize::authorize))
        .route("/sso/authorize/continue", post(authorize::resume))
        .route("/sso/token", post(token::token))
        .route("/sso/profile", get(token::profile))
        .route("/user_management/authorize", get(authkit::authorize::authorize))
        .route("/user_management/authenticate", post(authkit::authenticate::authenticate))
        .route("/user_management/sessions/logout", get(authkit::logout::logout))
        .merge(api().layer(from_fn_with_state(Arc::clone(&state), meet_faults)))
        .route("/health", get(async || Json(json!({ "status": "ok" }))))
        .merge(admin::router())
        .fallback(async || answer::message(StatusCode::NOT_FOUND, "Not Found"))
        .method_not_allowed_fallback(async || answer::message(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        .layer(from_fn_with_state(Arc::clone(&state), identify_and_record))
        .with_state(state);
    axum::serve(SocketListener(listener), router.into_make_service_with_connect_info::<ResetHandle>()).await
}

/// What needs an API key, and the Admin Portal.
fn api() -> Router<Arc<State>> {
    Router::new()
        .route("/connections", get(connections::list))
        .route("/connections/{id}", get(connections::get))
        .route("/organizations", get(organizations::list).post(organizations::create))
        .route("/organizations/{id}", get(organizations::get).put(organizations::update).delete(organizations::delete))
        .route("/organizations/external_id/{external_id}", get(organizations::get_by_external_id))
        .route("/organizations/{id}/it_contacts", get(it_contacts::list).post(it_contacts::create))
        .route("/organizations/{id}/it_contacts/{contact}", delete(it_contacts::delete))
        .route("/organizations/{id}/it_contacts/{contact}/invite", post(it_contacts::invite))
        .route("/organizations/{id}/it_contacts/{contact}/revoke", post(it_contacts::revoke))
        .route("/organization_domains", post(organization_domains::create))
        .route("/organization_domains/{id}", get(organization_domains::get).delete(organization_domains::delete))
        .route("/organization_domains/{id}/verify", post(organization_domains::verify))
        .route("/events", get(events::list))
        .route("/directories", get(directories::list))
        .route("/directories/{id}", get(directories::get).delete(directories::delete))
        .route("/directory_users", get(directories::users))
        .route("/directory_users/{id}", get(directories::user))
        .route("/directory_groups", get(directories::groups))
        .route("/directory_groups/{id}", get(directories::group))
        .route("/user_management/users", get(user_management::list))
        .route("/user_management/users/{id}", get(user_management::get))
        .route("/user_management/users/{id}/sessions", get(user_management::sessions_of))
        .route("/user_management/sessions/revoke", post(user_management::revoke_session))
        .route("/user_management/organization_memberships", get(user_management::memberships))
        .route("/user_management/organization_memberships/{id}", get(user_management::membership))
        .route("/authorization/roles", get(roles::of_environment))
        .route("/authorization/organizations/{id}/roles", get(roles::of_organization))
        .route("/webhook_endpoints", get(webhook_endpoints::list).post(webhook_endpoints::create))
        .route("/webhook_endpoints/{id}", patch(webhook_endpoints::update).delete(webhook_endpoints::delete))
        .route("/portal/generate_link", post(portal::generate_link))
        .route("/portal/launch", get(portal::launch))
}

async fn meet_faults(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<ResetHandle>,
    mut request: Request,
    next: Next,
) -> Response {
    let endpoint = if request.uri().path() == "/events" { Endpoint::Events } else { Endpoint::Api };
    let faults = state.lock().faults.take(endpoint, false);
    request.extensions_mut().insert(Bent(faults.grant.clone()));
    let response = match &faults.instead {
        Some(kind) => answer::instead(kind),
        None => next.run(request).await,
    };
    answer::damage(response, faults, &connection).await
}

async fn identify_and_record(Shared(state): Shared<Arc<State>>, request: Request, next: Next) -> Response {
    let request_id = Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let mut response = match to_bytes(body, MAX_BODY).await {
        Err(_) => answer::message(StatusCode::PAYLOAD_TOO_LARGE, "The body is too large."),
        Ok(body) => {
            let path = parts.uri.path();
            if !path.starts_with("/_simulator/") && path != "/health" {
                let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
                let headers = parts.headers.iter().map(|(name, value)| {
                    (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
                });
                let record = RecordedRequest {
                    request_id: request_id.clone(),
                    method: parts.method.to_string(),
                    path: path.to_owned(),
                    query: parameters::decode(parts.uri.query().unwrap_or_default().as_bytes()),
                    headers: headers.collect(),
                    content_type: content_type.map(str::to_owned),
                    json: parameters::decode_json(content_type, &body),
                    fields: parameters::decode_body(content_type, &body).unwrap_or_default(),
                };
                state.lock().requests.push(record);
            }
            next.run(Request::from_parts(parts, Body::from(body))).await
        }
    };
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}
