//! A token of an issuer, from its text to its claims.

use super::claims::Claims;
use super::issuer::Issuer;
use super::key::{Algorithm, IssuerKey};
use super::text::is_visible;
use crate::error::{ErrorCode, Result};
use crate::token::reading::{as_text, bad, object, text_of};
use crate::token::{Header, Parts, REFUSED_PARAMETERS, read_header, take_apart};

/// An access token of RFC 9068 says so; most say what a token of RFC 7519 says, or nothing.
const TYPES: &[&str] = &["JWT", "at+jwt", "application/at+jwt"];
/// Parameters that only say of which certificate the key is. Microsoft's tokens have them, and nothing here looks at them.
const THUMBPRINTS: &[&str] = &["x5t", "x5t#S256"];

/// A token of good form, about which nothing is known yet but whose it says it is.
pub struct Unverified<'a> {
    signed: &'a str,
    signature: &'a str,
    payload: String,
    issuer: String,
    algorithm: Option<Algorithm>,
    kid: String,
}

/// Takes a token apart, as strictly as our own.
///
/// # Errors
/// `bad_jwt`
pub fn parse(token: &str) -> Result<Unverified<'_>> {
    let Parts { header, payload, .. } = take_apart(token)?;
    let refused: Vec<&str> =
        REFUSED_PARAMETERS.iter().copied().filter(|parameter| !THUMBPRINTS.contains(parameter)).collect();
    let Header { algorithm, kid } = read_header(&header, TYPES, &refused)?;
    let payload = text_of(payload, "payload")?;
    let issuer = object(&payload, "payload")?.get("iss").and_then(as_text).filter(|iss| is_visible(iss));
    let issuer = issuer.ok_or_else(|| bad("The claim iss is missing."))?;
    let (signed, signature) = token.rsplit_once('.').ok_or_else(|| bad("It does not have three parts."))?;
    Ok(Unverified { signed, signature, payload, issuer, algorithm: Algorithm::parse(&algorithm), kid })
}

impl Unverified<'_> {
    /// Whose token it says it is.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The id of the key that it says it was signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Checks the signature, and then what was signed. `now` is in seconds since the epoch; a token still counts for `expired_for` seconds
    /// after its `exp`.
    ///
    /// # Errors
    /// In this order: `bad_jwt_issuer` and `bad_jwt_key` (the caller picked another issuer or key than the token names), `bad_jwt_algorithm`
    /// unless `alg` is the key's own, `bad_jwt_signature`, `wrong_token_kind`, `bad_jwt` for claims that are missing or of another type, and
    /// what [`Claims::recheck`] refuses.
    pub fn verify(self, issuer: &Issuer, key: &IssuerKey, now: i64, expired_for: i64) -> Result<Claims> {
        if self.issuer != issuer.name {
            return Err(ErrorCode::BadJwtIssuer.into());
        }
        if self.kid != key.kid() {
            return Err(ErrorCode::BadJwtKey.into());
        }
        if self.algorithm != Some(key.algorithm()) {
            return Err(ErrorCode::BadJwtAlgorithm.into());
        }
        if !key.verifies(self.signed, self.signature) {
            return Err(ErrorCode::BadJwtSignature.into());
        }
        let claims = Claims::read(issuer, self.payload)?;
        claims.recheck(now, expired_for)?;
        Ok(claims)
    }
}

impl std::fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Unverified([redacted])")
    }
}
