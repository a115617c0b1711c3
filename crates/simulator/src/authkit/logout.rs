//! `GET /user_management/sessions/logout`, which the browser is sent to.

use std::sync::Arc;

use axum::extract::{RawQuery, State as Shared};
use axum::response::Response;

use crate::authorize::{found, page};
use crate::changes::sessions;
use crate::parameters;
use crate::state::State;

/// Ends the session, and sends the browser back. Without an address the real page shows an error, unless the dashboard has one; which
/// addresses the dashboard allows is not played.
pub(crate) async fn logout(Shared(state): Shared<Arc<State>>, RawQuery(query): RawQuery) -> Response {
    let query = parameters::decode(query.unwrap_or_default().as_bytes());
    let Some(id) = parameters::get(&query, "session_id") else { return page("There is no session_id.") };
    if sessions::revoke(&mut state.lock(), id).is_err() {
        return page("There is no such session.");
    }
    match parameters::get(&query, "return_to") {
        Some(return_to) => found(return_to.to_owned()),
        None => page("No sign-out redirect is configured."),
    }
}
