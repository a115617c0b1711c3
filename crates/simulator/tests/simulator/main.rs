//! The tests of the simulator, over HTTP as an application and WorkOS's SDK ask it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

mod admin;
mod authorize;
mod binary;
mod common;
mod faults;
mod login_page;
mod organizations;
mod token;
