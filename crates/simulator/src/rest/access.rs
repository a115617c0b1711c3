//! Who may use the REST API: whoever has a client's API key.

use std::sync::MutexGuard;

use axum::http::HeaderMap;

use crate::refusal::Refusal;
use crate::state::{Memory, State};
use crate::token::bearer;

/// The memory, for a request with an API key.
pub(crate) fn authorized<'a>(state: &'a State, headers: &HeaderMap) -> Result<MutexGuard<'a, Memory>, Refusal> {
    let memory = state.lock();
    match bearer(headers) {
        Some(key) if memory.registry.clients.values().any(|client| client.api_key == key) => Ok(memory),
        _ => Err(Refusal::Unauthorized),
    }
}
