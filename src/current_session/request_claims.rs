//! Says why nobody is signed in where `request.jwt.claims` names somebody: tests that were written for Supabase sign in by that setting,
//! and would otherwise see no rows and no word.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::prelude::*;
use serde_json::Value;
use workos_auth_core::json;

use crate::settings;

/// The setting that PostgREST puts the claims of a request into, and that anybody can set.
const CLAIMS: &CStr = c"request.jwt.claims";

thread_local! {
    /// Whether this backend has said it.
    static SAID: Cell<bool> = const { Cell::new(false) };
}

/// A reader has found no session. The first time in this backend that the setting names somebody then, a NOTICE says so. Parallel workers
/// say nothing.
///
/// It raises nothing but the NOTICE. It is called once a query at most, and never where there is a session.
pub fn notice_without_session() {
    // SAFETY: reads the backend's state.
    if SAID.get() || unsafe { pg_sys::ParallelWorkerNumber } >= 0 || !name_somebody() {
        return;
    }
    SAID.set(true);
    crate::error::notice(
        "request.jwt.claims is set, and signs nobody in",
        "Anybody can set it, so that readers such as auth.uid() ignore it, and there is no session.",
        "In a test, call auth.as_user(user_id, as_role). Behind PostgREST, set db-pre-request = \"auth.use_request_token\".",
    );
}

/// Whether the setting says that somebody is signed in: by `sub`, or by a role that only people have who are. PostgREST also sets it for
/// visitors, whom nothing needs to be said to.
fn name_somebody() -> bool {
    // SAFETY: reads a setting, which may be absent; nobody assigns it meanwhile.
    let claims = unsafe {
        let value = pg_sys::GetConfigOption(CLAIMS.as_ptr(), true, false);
        if value.is_null() {
            return false;
        }
        CStr::from_ptr(value)
    };
    if claims.is_empty() {
        return false;
    }
    let Some(Value::Object(claims)) = claims.to_str().ok().and_then(|claims| json::parse(claims).ok()) else {
        return true;
    };
    let role = claims.get("role").and_then(Value::as_str);
    claims.get("sub").is_some_and(|sub| !sub.is_null()) || role.is_some_and(settings::is_allowed_role)
}
