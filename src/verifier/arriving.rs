//! What arrives from the issuer, and leaves nothing in the tables it arrives in.

use workos_auth_core::Result;

use crate::store::{scan, verifier as store};

/// A session was here, and has ended at the issuer.
pub fn has_ended(session: pgrx::Uuid) -> Result<()> {
    store::note_ended(&session.to_string())
}

/// Every session was copied, or has ended at the issuer.
pub fn all_known(is_copy: bool) -> Result<()> {
    match is_copy {
        true => store::note_copy(),
        false => store::note_emptied(),
    }
}

/// Whether a subscription is making its first copy of `auth.heartbeat`.
pub fn is_copying_heartbeat() -> bool {
    scan::is_copying_heartbeat()
}
