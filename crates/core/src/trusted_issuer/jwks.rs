//! A key set (RFC 7517, section 5), as an issuer publishes it.

use serde_json::Value;

use super::key::{IssuerKey, Unusable};
use crate::error::{Error, ErrorCode, Result};
use crate::json;

/// The largest set, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;
/// The most keys of a set, those too that are for something else.
pub const MAX_KEYS: usize = 100;

/// Reads the keys of a set that verify tokens. What is for something else, such as encryption, or of a kind that is not known here, is
/// passed over, as RFC 7517 has it.
///
/// # Errors
/// `jwks_invalid`: too large, no key set, no key that verifies, two of one `kid`; or a key that is symmetric, has a private member, is too
/// weak or is none. Such a set is refused whole: something is wrong where it is made.
pub fn read_jwks(text: &str) -> Result<Vec<IssuerKey>> {
    let invalid = |detail: String| Error::with_detail(ErrorCode::JwksInvalid, detail);
    if text.len() > MAX_BYTES {
        return Err(invalid(format!("It has more than {MAX_BYTES} bytes.")));
    }
    let set = json::parse(text).map_err(|_| invalid("It is not JSON.".to_owned()))?;
    let set = set.get("keys").and_then(Value::as_array);
    let set = set.ok_or_else(|| invalid("It is no JSON object with a list keys.".to_owned()))?;
    if set.len() > MAX_KEYS {
        return Err(invalid(format!("It has more than {MAX_KEYS} keys.")));
    }
    let mut keys: Vec<IssuerKey> = Vec::with_capacity(set.len());
    for (at, jwk) in set.iter().enumerate() {
        let number = at.saturating_add(1);
        let key = match IssuerKey::read(jwk) {
            Ok(key) => key,
            Err(Unusable::Other) => continue,
            Err(Unusable::Bad("kty")) => {
                return Err(invalid(format!("Key {number} is symmetric: whoever reads it can sign.")));
            }
            Err(Unusable::Bad(member)) => {
                return Err(invalid(format!("Key {number} is no usable public key: see {member}.")));
            }
        };
        if keys.iter().any(|other| other.kid() == key.kid()) {
            return Err(invalid(format!("Key {number} has the kid of another one.")));
        }
        keys.push(key);
    }
    match keys.is_empty() {
        true => Err(invalid("It has no key that verifies tokens and has a kid.".to_owned())),
        false => Ok(keys),
    }
}
