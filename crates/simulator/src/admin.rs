//! `/_simulator/…`: what the library's methods do, over HTTP, for tests that are not in Rust.
//!
//! | path | methods |
//! |---|---|
//! | `faults` | GET, POST a `Fault`, DELETE |
//! | `requests` | GET, DELETE |
//! | `clock` | POST `{"advance_seconds": 600}` |
//! | `changes` | POST a `Change`; the answer is `{"id": …}` |
//! | `events` | GET, POST a `NewEvent` |
//! | `events/settings`, `webhooks/settings` | PUT `EventSettings`, `WebhookSettings` |
//! | `webhooks` | GET what was sent |
//! | `organizations`, `connections`, `profiles` | POST one of the seed's |

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::answer;
use crate::changes::change::{Change, apply};
use crate::changes::{connections, organizations};
use crate::events::{EventSettings, NewEvent};
use crate::fault::Fault;
use crate::refusal::Refusal;
use crate::seed::{Connection, Organization, Profile};
use crate::state::State;
use crate::webhooks::WebhookSettings;

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/_simulator/faults", get(list_faults).post(set_fault).delete(clear_faults))
        .route("/_simulator/requests", get(list_requests).delete(clear_requests))
        .route("/_simulator/clock", post(advance_clock))
        .route("/_simulator/changes", post(change))
        .route("/_simulator/events", get(list_events).post(put_event))
        .route("/_simulator/events/settings", put(set_events))
        .route("/_simulator/webhooks", get(list_webhooks))
        .route("/_simulator/webhooks/settings", put(set_webhooks))
        .route("/_simulator/organizations", post(put_organization))
        .route("/_simulator/connections", post(put_connection))
        .route("/_simulator/profiles", post(put_profile))
}

async fn list_faults(Shared(state): Shared<Arc<State>>) -> Response {
    Json(json!({ "faults": state.lock().faults.list() })).into_response()
}

async fn set_fault(Shared(state): Shared<Arc<State>>, Json(fault): Json<Fault>) -> Response {
    done(state.lock().faults.set(fault))
}

async fn clear_faults(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.lock().faults.clear();
    StatusCode::NO_CONTENT
}

/// `forgotten` says how many older ones no longer stand in the list.
async fn list_requests(Shared(state): Shared<Arc<State>>) -> Response {
    let memory = state.lock();
    Json(json!({ "requests": memory.requests.list(), "forgotten": memory.requests.forgotten() })).into_response()
}

async fn clear_requests(Shared(state): Shared<Arc<State>>) -> StatusCode {
    state.lock().requests.clear();
    StatusCode::NO_CONTENT
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Clock {
    advance_seconds: u32,
}

async fn advance_clock(Shared(state): Shared<Arc<State>>, Json(clock): Json<Clock>) -> StatusCode {
    state.lock().clock.advance(Duration::from_secs(clock.advance_seconds.into()));
    StatusCode::NO_CONTENT
}

/// Answers `{"id": …}` of what it happened to.
async fn change(Shared(state): Shared<Arc<State>>, Json(change): Json<Change>) -> Result<Response, Refusal> {
    let id = apply(&mut state.lock(), change)?;
    Ok(Json(json!({ "id": id })).into_response())
}

/// All of them, also those that are held back.
async fn list_events(Shared(state): Shared<Arc<State>>) -> Response {
    Json(json!({ "events": state.lock().events.all() })).into_response()
}

async fn put_event(Shared(state): Shared<Arc<State>>, Json(event): Json<NewEvent>) -> Response {
    Json(json!({ "id": state.lock().put_event(event) })).into_response()
}

async fn set_events(Shared(state): Shared<Arc<State>>, Json(settings): Json<EventSettings>) -> StatusCode {
    state.lock().events.set(settings);
    StatusCode::NO_CONTENT
}

async fn list_webhooks(Shared(state): Shared<Arc<State>>) -> Response {
    Json(json!({ "attempts": state.lock().webhooks.attempts })).into_response()
}

async fn set_webhooks(Shared(state): Shared<Arc<State>>, Json(settings): Json<WebhookSettings>) -> StatusCode {
    state.lock().webhooks.set(settings);
    StatusCode::NO_CONTENT
}

async fn put_organization(Shared(state): Shared<Arc<State>>, Json(organization): Json<Organization>) -> StatusCode {
    organizations::put(&mut state.lock(), organization);
    StatusCode::NO_CONTENT
}

async fn put_connection(Shared(state): Shared<Arc<State>>, Json(connection): Json<Connection>) -> Response {
    done(connections::put(&mut state.lock(), connection))
}

async fn put_profile(Shared(state): Shared<Arc<State>>, Json(profile): Json<Profile>) -> Response {
    done(state.lock().registry.put_profile(profile))
}

fn done<E: Display>(result: Result<(), E>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => answer::message(StatusCode::UNPROCESSABLE_ENTITY, &error.to_string()),
    }
}
