//! What Postgres offers, in Rust. Nothing here knows of sign-ins or sessions.

pub mod bare_function;
pub mod executor;
pub mod jsonb;
pub mod once_per_query;
pub mod record;
pub mod transaction;
