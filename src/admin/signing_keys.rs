//! `auth.add_signing_key`, `auth.rotate_signing_key` and `auth.retire_signing_key`: which key is published, which one signs, and which ones
//! verify.

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::postgres::transaction::require_writable;
use crate::store::{Subject, configuration, locks};
use crate::{installation, secrets};

/// Publishes a key that signs nothing yet; returns its `kid`. Where one is pending already, that one: a call that is repeated adds no second.
pub fn add() -> Result<String> {
    require_writable()?;
    locks::lock_setup();
    require_set_up()?;
    if let Some(pending) = configuration::pending_signing_key() {
        return Ok(pending.kid);
    }
    let kid = secrets::new_signing_key()?;
    audit("signing_key_added", &Subject::default(), json!({ "kid": kid, "algorithm": Algorithm::Es256.as_str() }))?;
    Ok(kid)
}

/// Signs with the pending key from now on, or with a fresh one where none is; returns its `kid`.
pub fn rotate(algorithm: Option<&str>) -> Result<String> {
    require_writable()?;
    let name = algorithm.ok_or_else(|| Error::null("algorithm"))?;
    let algorithm = Algorithm::parse(name).ok_or_else(|| Error::invalid("algorithm", "only ES256 is supported."))?;
    locks::lock_setup();
    require_set_up()?;
    let kid = secrets::sign_with_another()?;
    audit("signing_key_rotated", &Subject::default(), json!({ "kid": kid, "algorithm": algorithm.as_str() }))?;
    Ok(kid)
}

/// Refuses a key's tokens from now on. Once more does nothing.
pub fn retire(kid: Option<&str>) -> Result<()> {
    require_writable()?;
    let kid = kid.ok_or_else(|| Error::null("kid"))?;
    locks::lock_setup();
    match configuration::signing_key_status(kid)?.as_deref() {
        None => Err(Error::invalid("kid", "auth.signing_keys has no such key.")),
        Some("active") => Err(Error::invalid("kid", "it is the key that signs.").hint(
            "Run select auth.rotate_signing_key() first, and retire the old key when its last token has expired.",
        )),
        Some("retired") => Ok(()),
        Some(_) => {
            configuration::retire_signing_key(kid)?;
            audit("signing_key_retired", &Subject::default(), json!({ "kid": kid }))
        }
    }
}

fn require_set_up() -> Result<()> {
    if configuration::provider()?.is_none() {
        return Err(ErrorCode::ProviderNotConfigured.into());
    }
    installation::minting().map(drop)
}
