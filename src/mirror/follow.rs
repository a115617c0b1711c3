//! Whether the background worker is to follow WorkOS: somebody has begun to, by a first `auth.reconcile_workos`.

use workos_auth_core::Result;
use workos_auth_core::mirror::follow::{self, State};

use crate::installation;
use crate::postgres::clock;
use crate::store::{configuration, scan, workos_sync};

/// Whether events are to be asked for.
pub fn is_followed() -> Result<bool> {
    Ok(state()?.is_some_and(|state| follow::is_followed(&state)))
}

/// Whether the tables are to be compared with all that WorkOS has.
pub fn is_reconciliation_due() -> Result<bool> {
    Ok(state()?.is_some_and(|state| follow::is_due(&state, clock::unix_seconds(clock::now()))))
}

/// How far this database has followed; `None` where it has no WorkOS of its own: in a copy, and in a verifier.
fn state() -> Result<Option<State>> {
    let is_possible =
        scan::has_mirror() && installation::require_home().is_ok() && configuration::provider()?.is_some();
    is_possible.then(workos_sync::state).transpose()
}
