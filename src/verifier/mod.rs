//! Databases that verify what another one signs, or several. An issuer publishes which sessions and organizations there are, its public keys and
//! a heartbeat; logical replication carries them; the verifier reads them as its own, each issuer's apart.
//!
//! | file | to change |
//! |---|---|
//! | `publishing.rs` | what the issuer publishes, and its heartbeat |
//! | `becoming.rs` | what a database must be to become a verifier, and to stop |
//! | `arriving.rs` | what a verifier notes of what arrives, and what it refuses to take |
//! | `checking.rs`, `citus.rs`, `finding.rs` | what `auth.check()` says of either, and of Citus |
//!
//! Whether a reader believes what has arrived is decided by `core::verifier`, and asked by `current_session/link.rs`.

mod arriving;
mod becoming;
mod checking;
mod citus;
mod finding;
mod publishing;

pub use arriving::{
    Fate, all_known, feed, has_ended, is_copying_heartbeat, is_noting, organization, organization_changes,
    require_alone, require_no_feed, require_not_trusted, require_own, require_same_issuer,
};
pub use becoming::{become_verifier, stop_verifying};
pub use checking::findings;
pub use publishing::{publish, send_heartbeat, send_heartbeat_if_heard};
