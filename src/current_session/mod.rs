//! The current session: the token in `workos_auth.session_token`, verified once and then read from memory.
//!
//! Whoever may set the token still cannot forge it: its signature is checked before any claim is read, and its session's row is
//! looked at in the first reading of every statement, unless nothing was written anywhere since the last look.

mod client_role;
mod current;
mod issuers;
mod keys;
mod link;
mod purpose;
mod replacing;
mod request;
mod request_claims;
mod run_cache;
mod token;
mod trusted;
mod verified;
mod verify;

pub use client_role::client_role;
pub use current::{
    clear, clear_for_now, current, current_if_good, of_token, of_token_for, recheck_on_next_read, require_handed_on,
    required, session_of_run, set, transaction_ended, unverified_identity,
};
pub use keys::{issuer, public_keys};
pub use link::is_own as is_own_issuer;
pub use purpose::{Purpose, now};
pub use request::use_request_token;
pub use token::hand_on_again;
pub use trusted::signed;
pub use verified::{Origin, Set, Verified};
pub use verify::{remember_own, verify};

/// Declares the setting that holds the token, and the callbacks that drop what is cached. Called once, from `_PG_init`.
pub fn define() {
    token::define();
    keys::register();
    link::register();
}
