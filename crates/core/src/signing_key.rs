//! The keys of access tokens: private ones that sign, public ones that verify, and the set of them that is published
//! (JWK, RFC 7517; ES256 and RS256, RFC 7518 sections 3.4 and 3.3).

mod algorithm;
mod pair;
mod public;

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorCode, Result};
use crate::secret::{AccessToken, SecretBytes};
use crate::token_hash::Hashed;
pub use algorithm::Algorithm;
use pair::Pair;
pub(crate) use public::{Numbers, PRIVATE_MEMBERS};

/// The longest `kid` that is looked at, in bytes.
pub(crate) const MAX_KID_LEN: usize = 200;
/// What a published key may hold (RFC 7517 section 4, RFC 7518 section 6): no private parameter is among these.
const PUBLIC_MEMBERS: &[&str] = &["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid"];

/// A private key that signs access tokens.
pub struct SigningKey {
    pair: Pair,
    pkcs8: SecretBytes,
    kid: String,
}

impl SigningKey {
    /// A fresh key.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn generate(algorithm: Algorithm) -> Result<Self> {
        Self::new(Pair::generate(algorithm)?)
    }

    /// Takes a key from its PKCS#8 document (RFC 5208), as [`SigningKey::to_pkcs8`] gives it.
    ///
    /// # Errors
    /// `unexpected_failure` if it is neither a P-256 key nor an RSA key; such a document comes out of our own seal.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self> {
        Self::new(Pair::from_pkcs8(document)?)
    }

    fn new(pair: Pair) -> Result<Self> {
        let (pkcs8, kid) = (pair.to_pkcs8()?, pair.numbers().thumbprint());
        Ok(Self { pair, pkcs8, kid })
    }

    /// The key as a PKCS#8 document (RFC 5208), to be sealed.
    pub fn to_pkcs8(&self) -> SecretBytes {
        SecretBytes::new(self.pkcs8.expose().to_vec())
    }

    /// The key's id: the SHA-256 thumbprint of its public JWK (RFC 7638), base64url, 43 characters.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// What the key signs with.
    pub fn algorithm(&self) -> Algorithm {
        self.pair.algorithm()
    }

    /// The public half as a JWK, with the members that Supabase Auth publishes.
    pub fn public_jwk(&self) -> Value {
        let mut jwk = self.pair.numbers().into_members();
        jwk.insert("alg".into(), self.algorithm().as_str().into());
        jwk.insert("use".into(), "sig".into());
        jwk.insert("key_ops".into(), json!(["verify"]));
        jwk.insert("kid".into(), self.kid.as_str().into());
        Value::Object(jwk)
    }

    /// A compact JWS (RFC 7515, section 7.1) over the claims, which are taken as they are, and the proof that it was made here.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn sign(&self, claims_json: &str) -> Result<(AccessToken, Own)> {
        let header = json!({ "alg": self.algorithm().as_str(), "typ": "JWT", "kid": self.kid }).to_string();
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims_json, &mut token);
        let signature = self.pair.sign(token.as_bytes())?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        let own = Own { token: *Hashed::new(&token).hash(), key: self.kid.clone() };
        Ok((AccessToken::new(token), own))
    }
}

/// Proof that a token was signed in this process, and with which key. Only [`SigningKey::sign`] makes one.
#[derive(Debug)]
pub struct Own {
    token: [u8; 32],
    /// The thumbprint, which is of the key itself: a `kid` is a name that another key may be given.
    key: String,
}

impl Own {
    /// The token's [`Hashed::hash`].
    pub fn token(&self) -> &[u8; 32] {
        &self.token
    }

    /// A proof of anything, for tests.
    #[cfg(test)]
    pub(crate) fn dangerous(token: &str, key: &str) -> Self {
        Self { token: *Hashed::new(token).hash(), key: key.to_owned() }
    }

    /// Whether it is of the token of this hash, and of this key.
    pub(crate) fn proves(&self, token: &[u8; 32], key: &PublicKey) -> bool {
        self.key == key.thumbprint && self.token == *token
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({}, [redacted])", self.kid)
    }
}

/// A public key that verifies access tokens.
pub struct PublicKey {
    algorithm: Algorithm,
    kid: String,
    thumbprint: String,
    key: ParsedPublicKey,
}

impl PublicKey {
    /// Takes a key from its JWK (RFC 7517).
    ///
    /// # Errors
    /// `unexpected_failure`, naming the member, unless it is a P-256 key for ES256 or an RSA key for RS256, of 2,048 to 4,096 bits and the
    /// exponent 65537, with a `kid`. A JWK with a private member is refused: it stands where everyone may read it.
    pub fn from_jwk(jwk: &Value) -> Result<Self> {
        let refused = |member: &str| unexpected(format!("A public key is not a usable JWK: see {member}."));
        let numbers = Numbers::read(jwk).map_err(refused)?;
        let algorithm = numbers.algorithm();
        for (member, wanted) in [("alg", algorithm.as_str()), ("use", "sig")] {
            if jwk.get(member).is_some_and(|value| value != wanted) {
                return Err(refused(member));
            }
        }
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.get("key_ops").is_some_and(|ops| !verifies(ops)) {
            return Err(refused("key_ops"));
        }
        let kid = jwk.get("kid").and_then(Value::as_str).ok_or_else(|| refused("kid"))?;
        if kid.is_empty() || kid.len() > MAX_KID_LEN {
            return Err(refused("kid"));
        }
        let key = numbers.parse().map_err(refused)?;
        Ok(Self { algorithm, kid: kid.to_owned(), thumbprint: numbers.thumbprint(), key })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm whose signatures this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this is the key's own signature over what has this SHA-256. Of ES256: `r ‖ s`, 64 bytes (RFC 7518, section 3.4), not DER.
    pub(crate) fn verifies(&self, signed: &Digest, signature: &[u8]) -> bool {
        self.key.verify_digest_sig(signed, signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm.as_str(), self.kid)
    }
}

/// The keys as a JWK set (RFC 7517, section 5). Members that no public key has are left out, whatever stands in the
/// table.
pub fn jwks<'a>(keys: impl Iterator<Item = &'a Value>) -> Value {
    let public = |jwk: &Value| -> Map<String, Value> {
        let members = jwk.as_object().into_iter().flatten();
        members
            .filter(|(name, _)| PUBLIC_MEMBERS.contains(&name.as_str()))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    };
    json!({ "keys": keys.map(public).collect::<Vec<_>>() })
}

fn unexpected(detail: impl Into<String>) -> Error {
    Error::with_detail(ErrorCode::Unexpected, detail)
}

#[cfg(test)]
mod tests;
