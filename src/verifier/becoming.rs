//! Who becomes a verifier, and who stops being one.

use serde_json::json;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::current_session;
use crate::postgres::roles::{Right, as_owner, require_right};
use crate::postgres::transaction::require_writable;
use crate::store::{Subject, configuration, installation, locks, scan, verifier as store};

/// `auth.become_verifier`
///
/// # Errors
/// `insufficient_privilege`; `installation_exists`, `verifier_is_fed`.
pub fn become_verifier(issuer_database: Option<&str>) -> Result<()> {
    require_superuser()?;
    as_owner(|| {
        locks::lock_setup();
        let is_fed = !scan::feeds().is_empty();
        let was_verifier = scan::verifier().is_some();
        if !was_verifier {
            refuse_fed()?;
            refuse_installation()?;
        }
        store::become_verifier(issuer_database)?;
        // Its locks are named by it.
        installation::id_or_new()?;
        // Other issuers may go on feeding it while one is copied anew.
        if !store::empty()? && was_verifier && is_fed {
            return Err(ErrorCode::VerifierIsFed.into());
        }
        audit("became_verifier", &Subject::default(), json!({ "issuer_database": issuer_database }))
    })?;
    current_session::recheck_on_next_read();
    Ok(())
}

/// `auth.stop_verifying`
///
/// # Errors
/// As above, but for `installation_exists`.
pub fn stop_verifying() -> Result<()> {
    require_superuser()?;
    as_owner(|| {
        locks::lock_setup();
        refuse_fed()?;
        if store::stop_verifying()? {
            store::empty()?;
            audit("stopped_verifying", &Subject::default(), json!({}))?;
        }
        Ok(())
    })?;
    current_session::recheck_on_next_read();
    Ok(())
}

fn refuse_fed() -> Result<()> {
    match scan::feeds().is_empty() {
        true => Ok(()),
        false => Err(ErrorCode::VerifierIsFed.into()),
    }
}

/// What it has signed would be good nowhere any more. What a subscription has left behind is no installation: it has no keys that seal.
fn refuse_installation() -> Result<()> {
    let exists = |what: &str| Err(Error::with_detail(ErrorCode::InstallationExists, format!("It has {what}.")));
    match () {
        () if configuration::provider()?.is_some() => exists("a row in auth.providers"),
        () if scan::data_key(|_| Some(())).is_some() => exists("rows in auth.data_keys"),
        () => Ok(()),
    }
}

fn require_superuser() -> Result<()> {
    require_writable()?;
    require_right(Right::Superuser, "Whether a database verifies what another one signs, a superuser says.")
}
