//! The routes, and what happens to every request: it gets an id, and is written down.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State as Shared};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::record::RecordedRequest;
use crate::socket::{ResetHandle, SocketListener};
use crate::state::State;
use crate::{admin, answer, authorize, parameters, resources, token};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const MAX_BODY: usize = 1024 * 1024;

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>) -> std::io::Result<()> {
    let router = Router::new()
        .route("/sso/authorize", get(authorize::authorize))
        .route("/sso/authorize/continue", post(authorize::resume))
        .route("/sso/token", post(token::token))
        .route("/sso/profile", get(token::profile))
        .route("/connections", get(resources::connections))
        .route("/connections/{id}", get(resources::connection))
        .route("/organizations", get(resources::organizations))
        .route("/organizations/{id}", get(resources::organization))
        .route("/health", get(async || Json(json!({ "status": "ok" }))))
        .merge(admin::router())
        .fallback(async || answer::message(StatusCode::NOT_FOUND, "Not Found"))
        .method_not_allowed_fallback(async || answer::message(StatusCode::METHOD_NOT_ALLOWED, "Method Not Allowed"))
        .layer(from_fn_with_state(Arc::clone(&state), identify_and_record))
        .with_state(state);
    axum::serve(SocketListener(listener), router.into_make_service_with_connect_info::<ResetHandle>()).await
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
