//! `/_simulator/…`: what the library's methods do, over HTTP, for tests that are not in Rust.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State as Shared;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;

use crate::answer;
use crate::fault::Fault;
use crate::seed::{Connection, Organization, Profile};
use crate::state::State;

pub(crate) fn router() -> Router<Arc<State>> {
    Router::new()
        .route("/_simulator/faults", get(list_faults).post(set_fault).delete(clear_faults))
        .route("/_simulator/requests", get(list_requests).delete(clear_requests))
        .route("/_simulator/clock", post(advance_clock))
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

async fn put_organization(Shared(state): Shared<Arc<State>>, Json(organization): Json<Organization>) -> StatusCode {
    let memory = &mut *state.lock();
    memory.registry.put_organization(organization, memory.clock.timestamp());
    StatusCode::NO_CONTENT
}

async fn put_connection(Shared(state): Shared<Arc<State>>, Json(connection): Json<Connection>) -> Response {
    done(state.lock().registry.put_connection(connection))
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
