//! What `auth.role()` says where nobody is signed in: never NULL, since `if auth.role() <> 'service_role' then raise …` would let NULL pass.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use std::cell::RefCell;
use std::ptr;

use pgrx::prelude::*;

use super::run_cache::RunCache;
use crate::postgres::roles::role_name;
use crate::postgres::varlena::{Text, Varlena};
use crate::settings;

/// What a role is called that people act as while nobody is signed in, as Supabase calls it.
const VISITOR: &str = "anon";

static RUN_CACHE: RunCache<Text> = RunCache::new();

thread_local! {
    /// Answers of this transaction: Datums may still point into them. Boxed, so that they stay where they are.
    #[allow(clippy::vec_box, reason = "Datums point into them")]
    static ANSWERS: RefCell<Vec<Box<Text>>> = const { RefCell::new(Vec::new()) };
}

/// The database role that the client acts as: the setting `role`, below SECURITY DEFINER functions too, else the session's user. Where
/// that is a role of `workos_auth.allowed_roles`, `anon`: nobody is signed in. Good until the end of the transaction.
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
    // SAFETY: reads the state of the backend.
    let name = role_name(unsafe { pg_sys::GetOuterUserId() });
    let name = if settings::is_allowed_role(&name) { VISITOR } else { name.as_str() };
    let role = ANSWERS.with_borrow_mut(|answers| {
        if let Some(known) = answers.iter().find(|known| known.payload() == name.as_bytes()) {
            return ptr::from_ref(&**known);
        }
        let new = Box::new(Varlena::text(name));
        let role = ptr::from_ref(&*new);
        answers.push(new);
        role
    });
    RUN_CACHE.set(role);
    role
}

/// The transaction is over, and with it every Datum.
pub fn transaction_ended() {
    RUN_CACHE.forget();
    let _ = ANSWERS.try_with(|answers| answers.try_borrow_mut().map(|mut answers| answers.clear()));
}
