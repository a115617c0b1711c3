//! What Postgres offers, in Rust. Nothing here knows of sign-ins or sessions.
//!
//! | file | to change |
//! |---|---|
//! | `executor.rs` | the hooks on the executor |
//! | `runs.rs`, `plan.rs`, `loading.rs` | which queries are running, what they name, and which ran when the library was loaded |
//! | `statement.rs` | which statement of the client is worked off |
//! | `frames.rs` | what Postgres does besides running queries |
//! | `pinning.rs` | one query, one identity |
//! | `others_code.rs`, `portals.rs` | as whom code of others runs, and which cursors it can reach |
//! | `once_per_query.rs` | the same call within a query is made once |
//! | `roles.rs`, `setting.rs` | roles and settings |
//! | `background.rs`, `wishes.rs` | background workers: how one begins, its transactions, its waits, and what others tell it |
//! | `procedure.rs` | work that commits as it goes |
//! | `transaction.rs`, `snapshot.rs`, `clock.rs` | transactions, what they see, time |
//! | `extension_script.rs` | what runs in an extension's script and does not belong to it |
//! | `replication.rs` | which subscription a process applies |
//! | `wait_event.rs` | what `pg_stat_activity` shows of a wait |
//! | `bare_function.rs`, `record.rs`, `varlena.rs`, `jsonb.rs`, `uuid.rs` | functions, and values in and out |

pub mod background;
pub mod bare_function;
pub mod citus;
pub mod clock;
pub mod executor;
pub mod extension_script;
pub mod frames;
pub mod jsonb;
mod loading;
pub mod once_per_query;
pub mod others_code;
pub mod pinning;
mod plan;
mod portals;
pub mod procedure;
pub mod record;
pub mod replication;
pub mod roles;
pub mod runs;
pub mod setting;
pub mod snapshot;
pub mod statement;
pub mod transaction;
pub mod uuid;
pub mod varlena;
pub mod wait_event;
pub mod wishes;
