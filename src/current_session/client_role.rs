//! What `auth.role()` says where nobody is signed in: never NULL, since `if auth.role() <> 'service_role' then raise …` would let NULL pass.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::prelude::*;

use super::run_cache::RunCache;
use crate::error::or_raise;
use crate::postgres::pinning::{Read, pin};
use crate::postgres::roles::role_name;
use crate::postgres::runs;
use crate::postgres::varlena::{Text, Varlena};
use crate::settings;

/// What a role is called that people act as while nobody is signed in, as Supabase calls it.
const VISITOR: &str = "anon";

static RUN_CACHE: RunCache<Text> = RunCache::new();

thread_local! {
    /// The last answer. What queries may still point into is kept by their pins.
    static LAST: RefCell<Option<Rc<Text>>> = const { RefCell::new(None) };
}

/// The database role that the client acts as: the setting `role`, below SECURITY DEFINER functions too, else the session's user. Where
/// that is a role of `workos_auth.allowed_roles`, `anon`: nobody is signed in. Good as long as the running query, and outside of one until
/// the next call.
#[inline(always)]
pub fn client_role() -> *const Text {
    match RUN_CACHE.get() {
        Some(role) => role,
        None => refresh_run_cache(),
    }
}

#[cold]
#[inline(never)]
#[pg_guard]
extern "C-unwind" fn refresh_run_cache() -> *const Text {
    runs::leave_out_dead();
    // SAFETY: reads the state of the backend.
    let name = role_name(unsafe { pg_sys::GetOuterUserId() });
    let name = if settings::is_allowed_role(&name) { VISITOR } else { name.as_str() };
    let known = LAST.with_borrow(Clone::clone).filter(|known| known.payload() == name.as_bytes());
    let role = known.unwrap_or_else(|| Rc::new(Varlena::text(name)));
    LAST.set(Some(Rc::clone(&role)));
    let answer = Rc::as_ptr(&role);
    // It is asked for where there is no session.
    or_raise(pin(&None, Some(&(role as Read))));
    RUN_CACHE.set(answer);
    answer
}

/// The transaction is over.
pub fn transaction_ended() {
    RUN_CACHE.forget();
}
