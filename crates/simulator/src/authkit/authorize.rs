//! `GET /user_management/authorize`

use std::sync::Arc;

use axum::extract::{ConnectInfo, RawQuery, State as Shared};
use axum::response::Response;

use crate::answer;
use crate::authorize::{Refused, Request, callback_error, found, page};
use crate::callback::{CallbackError, location};
use crate::fault::{Endpoint, FaultKind};
use crate::ids::random;
use crate::parameters;
use crate::socket::ResetHandle;
use crate::state::{AuthkitGrant, State};

/// Parameters that must not stand twice (RFC 6749, section 3.1).
const SINGLE: [&str; 7] =
    ["provider", "connection_id", "organization_id", "screen_hint", "max_age", "invitation_token", "prompt"];

/// `GET /user_management/authorize`, with the faults of `/sso/authorize`.
pub(crate) async fn authorize(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<ResetHandle>,
    RawQuery(query): RawQuery,
) -> Response {
    let faults = state.lock().faults.take(Endpoint::Authorize, false);
    let query = query.unwrap_or_default();
    let response = match &faults.instead {
        Some(FaultKind::CallbackError { code, description }) => {
            callback_error(&state, &query, code, description.as_deref())
        }
        Some(kind) => answer::instead(kind),
        None => begin(&state, &query),
    };
    answer::damage(response, faults, &connection).await
}

fn begin(state: &State, query: &str) -> Response {
    let mut memory = state.lock();
    let request = match Request::check(&memory.registry, query) {
        Ok(request) => request,
        Err(why) => return page(why),
    };
    let chosen = request.check_rest().and_then(|challenge| {
        check(&request)?;
        let hint = request.get("login_hint");
        let mut people = memory.registry.users.values();
        let user = people.find(|user| hint.is_none_or(|hint| user.email.eq_ignore_ascii_case(hint)));
        let user = user.ok_or(Refused::from(CallbackError::AccessDenied))?;
        Ok((challenge.map(str::to_owned), user.id.clone()))
    });
    let (code_challenge, user_id) = match chosen {
        Ok(chosen) => chosen,
        Err(refused) => return request.refuse(refused),
    };
    let code = random("");
    let grant = AuthkitGrant {
        client_id: request.client_id.clone(),
        code_challenge,
        user_id,
        organization_id: request.get("organization_id").map(str::to_owned),
    };
    let now = memory.clock.now();
    memory.authkit_codes.insert(code.clone(), grant, now);
    found(location(&request.redirect_uri, &[("code", Some(&code)), ("state", request.get("state"))]))
}

/// Exactly one selector, but that AuthKit may be told an organization.
fn check(request: &Request) -> Result<(), Refused> {
    if parameters::repeated(&request.parameters, &SINGLE).is_some() {
        return Err(Refused("invalid_request", "A parameter stands twice."));
    }
    match (request.get("provider"), request.get("connection_id"), request.get("organization_id")) {
        (Some("authkit"), None, _) => {}
        _ => return Err(CallbackError::InvalidConnectionSelector.into()),
    }
    if request.get("screen_hint").is_some_and(|screen| !["sign-up", "sign-in"].contains(&screen)) {
        return Err(Refused("invalid_request", "screen_hint must be sign-up or sign-in."));
    }
    if request.get("max_age").is_some_and(|seconds| seconds.parse::<u64>().is_err()) {
        return Err(Refused("invalid_request", "max_age must be a number of seconds."));
    }
    Ok(())
}
