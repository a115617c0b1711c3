//! What the end-to-end tests share: a database with the extension and a WorkOS of its own, the course of a sign-in, and
//! errors that can be compared.
//!
//! Whatever fails here fails the test that asked for it, so it panics with the reason.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a set-up that fails ends its test")]

pub mod accounts;
pub mod authkit;
pub mod bed;
pub mod brokered;
pub mod carried;
pub mod case;
pub mod catalog;
pub mod check;
pub mod documents;
pub mod dumps;
pub mod emulator;
pub mod fed;
pub mod following;
pub mod hooks;
pub mod issuer;
pub mod links;
pub mod made;
pub mod meanwhile;
pub mod mint;
pub mod model;
pub mod notes;
pub mod operations;
pub mod parallel;
pub mod racing;
pub mod reference;
pub mod refreshing;
pub mod releases;
pub mod root_keys;
pub mod session_walk;
pub mod sql;
pub mod supabase;
pub mod told;
pub mod waiting;
pub mod walk;
pub mod whole;
pub mod wire;
mod witness;
pub mod workers;

pub use bed::*;
pub use mint::Mint;
pub use sql::*;
pub use witness::profile;
