//! `auth.add_signing_key`, `auth.rotate_signing_key` and `auth.retire_signing_key`: which key is published, which one signs, and which ones
//! verify.

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::installation;
use crate::postgres::transaction::require_writable;
use crate::secrets::{self, KeptKey};
use crate::store::{Subject, configuration, locks};

/// Publishes a key that signs nothing yet; returns its `kid`. Where one is pending already, that one: a call that is repeated adds no second.
/// Without an algorithm, that of the key that signs today.
pub fn add(algorithm: Option<&str>) -> Result<String> {
    require_writable()?;
    let algorithm = named(algorithm)?;
    locks::lock_setup();
    require_set_up()?;
    if let Some(pending) = secrets::pending_signing_key(algorithm)? {
        return Ok(pending.kid);
    }
    changed("signing_key_added", secrets::new_signing_key(algorithm)?)
}

/// Signs with the pending key from now on, or with a fresh one where none is; returns its `kid`. Without an algorithm, the pending key's, or
/// that of the key that signs today.
pub fn rotate(algorithm: Option<&str>) -> Result<String> {
    require_writable()?;
    let algorithm = named(algorithm)?;
    locks::lock_setup();
    require_set_up()?;
    changed("signing_key_rotated", secrets::sign_with_another(algorithm)?)
}

fn named(algorithm: Option<&str>) -> Result<Option<Algorithm>> {
    let known = |name| Algorithm::parse(name).ok_or_else(|| Error::invalid("algorithm", "it must be ES256 or RS256."));
    algorithm.map(known).transpose()
}

fn changed(action: &str, key: KeptKey) -> Result<String> {
    audit(action, &Subject::default(), json!({ "kid": key.kid, "algorithm": key.algorithm.as_str() }))?;
    Ok(key.kid)
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
    installation::refuse_verifier()?;
    if configuration::provider()?.is_none() {
        return Err(ErrorCode::ProviderNotConfigured.into());
    }
    installation::minting().map(drop)
}
