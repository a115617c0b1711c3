//! The keys of access tokens: private ones that sign, public ones that verify, and the set of them that is published
//! (JWK, RFC 7517; ES256, RFC 7518 section 3.4).

use std::fmt;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::error::{Error, ErrorCode, Result};
use crate::secret::{AccessToken, SecretBytes};
use crate::token_hash::Hashed;

/// Bytes of a coordinate of P-256.
const COORDINATE_LEN: usize = 32;
/// The longest `kid` that is looked at, in bytes.
pub(crate) const MAX_KID_LEN: usize = 200;
/// What a published key may hold (RFC 7517 section 4, RFC 7518 section 6): no private parameter is among these.
const PUBLIC_MEMBERS: &[&str] = &["kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "kid"];

/// A signature algorithm (RFC 7518, section 3.1). There is no `none`, and nothing symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Algorithm::Es256 => "ES256",
        }
    }

    /// The algorithm of that name; names are compared exactly.
    pub fn parse(name: &str) -> Option<Self> {
        (name == Self::Es256.as_str()).then(|| Self::Es256)
    }
}

/// A private key that signs access tokens.
pub struct SigningKey {
    pair: EcdsaKeyPair,
    pkcs8: SecretBytes,
    kid: String,
}

impl SigningKey {
    /// A fresh ES256 key.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn generate() -> Result<Self> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map_err(|_| unexpected("No signing key could be generated."))?;
        Self::new(pair)
    }

    /// Takes a key from its PKCS#8 document (RFC 5208), as [`SigningKey::to_pkcs8`] gives it.
    ///
    /// # Errors
    /// `unexpected_failure` if it is not a P-256 key; such a document comes out of our own seal.
    pub fn from_pkcs8(document: &[u8]) -> Result<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document)
            .map_err(|_| unexpected("The signing key is not a P-256 key in PKCS#8."))?;
        Self::new(pair)
    }

    fn new(pair: EcdsaKeyPair) -> Result<Self> {
        let document = pair.to_pkcs8v1().map_err(|_| unexpected("The signing key cannot be written as PKCS#8."))?;
        let (x, y) = coordinates(&pair);
        let kid = thumbprint(&x, &y);
        Ok(Self { pair, pkcs8: SecretBytes::new(document.as_ref().to_vec()), kid })
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
        Algorithm::Es256
    }

    /// The public half as a JWK, with the members that Supabase Auth publishes.
    pub fn public_jwk(&self) -> Value {
        let (x, y) = coordinates(&self.pair);
        json!({
            "kty": "EC", "crv": "P-256", "x": x, "y": y,
            "alg": self.algorithm().as_str(), "use": "sig", "key_ops": ["verify"], "kid": self.kid,
        })
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
        let signature = self
            .pair
            .sign(&SystemRandom::new(), token.as_bytes())
            .map_err(|_| unexpected("The access token could not be signed."))?;
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
    /// `unexpected_failure`, naming the member, unless it is a P-256 key for ES256 signatures with a `kid`. A JWK with
    /// a private `d` is refused: it stands where everyone may read it.
    pub fn from_jwk(jwk: &Value) -> Result<Self> {
        let refused = |member: &str| unexpected(format!("A public key is not a usable ES256 JWK: see {member}."));
        let text = |member: &str| jwk.get(member).and_then(Value::as_str).ok_or_else(|| refused(member));
        for (member, wanted) in [("kty", "EC"), ("crv", "P-256")] {
            if text(member)? != wanted {
                return Err(refused(member));
            }
        }
        for (member, wanted) in [("alg", "ES256"), ("use", "sig")] {
            if jwk.get(member).is_some_and(|value| value != wanted) {
                return Err(refused(member));
            }
        }
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.get("key_ops").is_some_and(|ops| !verifies(ops)) {
            return Err(refused("key_ops"));
        }
        if jwk.get("d").is_some() {
            return Err(refused("d"));
        }
        let kid = text("kid")?;
        if kid.is_empty() || kid.len() > MAX_KID_LEN {
            return Err(refused("kid"));
        }
        // SEC 1, section 2.3.3: an uncompressed point is 4 ‖ x ‖ y.
        let (x, y) = (text("x")?, text("y")?);
        let mut point = vec![4];
        for (member, coordinate) in [("x", x), ("y", y)] {
            let coordinate = URL_SAFE_NO_PAD.decode(coordinate).map_err(|_| refused(member))?;
            if coordinate.len() != COORDINATE_LEN {
                return Err(refused(member));
            }
            point.extend(coordinate);
        }
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| refused("x and y"))?;
        Ok(Self { algorithm: Algorithm::Es256, kid: kid.to_owned(), thumbprint: thumbprint(x, y), key })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm whose signatures this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether this is the key's own signature over what has this SHA-256: `r ‖ s`, 64 bytes (RFC 7518, section 3.4), not DER.
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

/// `x` and `y` of the public point, base64url.
fn coordinates(pair: &EcdsaKeyPair) -> (String, String) {
    // The library gives 65 bytes, 4 ‖ x ‖ y.
    let (x, y) = pair.public_key().as_ref().split_at(1 + COORDINATE_LEN);
    (URL_SAFE_NO_PAD.encode(&x[1..]), URL_SAFE_NO_PAD.encode(y))
}

/// RFC 7638, section 3: the hash of the required members in lexicographic order, without whitespace.
fn thumbprint(x: &str, y: &str) -> String {
    let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

fn unexpected(detail: impl Into<String>) -> Error {
    Error::with_detail(ErrorCode::Unexpected, detail)
}

#[cfg(test)]
mod tests;
