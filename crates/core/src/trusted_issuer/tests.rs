#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::*;
use crate::error::{ErrorCode, Result};

mod key_sets;
mod kinds;
mod meaning;
mod signatures;
mod witnesses;

const NOW: i64 = 2_000_000_000;
const CLIENT: &str = "client_01EXAMPLE";

/// A private key of somebody else's.
enum Pair {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed(Ed25519KeyPair),
}

struct Signer {
    algorithm: Algorithm,
    kid: String,
    pair: Pair,
}

impl Signer {
    fn new(algorithm: Algorithm, kid: &str) -> Self {
        let pair = match algorithm {
            Algorithm::Es256 => Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap()),
            Algorithm::Rs256 | Algorithm::Ps256 => Pair::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()),
            Algorithm::EdDsa => Pair::Ed(Ed25519KeyPair::generate().unwrap()),
        };
        Self { algorithm, kid: kid.to_owned(), pair }
    }

    fn jwk(&self) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let mut jwk = match &self.pair {
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                json!({ "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]) })
            }
            Pair::Rsa(pair) => {
                let key = pair.public_key();
                let (n, e) = (key.modulus(), key.exponent());
                json!({ "kty": "RSA", "n": encode(n.big_endian_without_leading_zero()), "e": encode(e.big_endian_without_leading_zero()) })
            }
            Pair::Ed(pair) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(pair.public_key().as_ref()) }),
        };
        jwk["alg"] = json!(self.algorithm.as_str());
        jwk["kid"] = json!(self.kid);
        jwk
    }

    fn key(&self) -> IssuerKey {
        IssuerKey::from_jwk(&self.jwk()).unwrap()
    }

    fn header(&self) -> Value {
        json!({ "alg": self.algorithm.as_str(), "typ": "JWT", "kid": self.kid })
    }

    fn sign_text(&self, signed: &str) -> String {
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Ec(pair) => pair.sign(&random, signed.as_bytes()).unwrap().as_ref().to_vec(),
            Pair::Ed(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                let padding: &'static dyn aws_lc_rs::signature::RsaEncoding = match self.algorithm {
                    Algorithm::Ps256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, signed.as_bytes(), &mut signature).unwrap();
                signature
            }
        };
        URL_SAFE_NO_PAD.encode(signature)
    }

    fn sign_with(&self, header: &Value, payload: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.sign_text(&signed);
        format!("{signed}.{signature}")
    }

    fn sign(&self, payload: &Value) -> String {
        self.sign_with(&self.header(), payload)
    }
}

fn issuer(kind: Kind) -> Issuer {
    Issuer {
        name: format!("https://{}.example.com", kind.as_str().replace('_', "-")),
        kind,
        audience: match kind {
            Kind::WorkosAuth | Kind::Oidc => Some("authenticated".into()),
            Kind::Authkit | Kind::AuthkitM2m => None,
        },
        client_id: match kind {
            Kind::Authkit | Kind::AuthkitM2m => Some(CLIENT.into()),
            Kind::WorkosAuth | Kind::Oidc => None,
        },
        mapping: Mapping::of_kind(kind),
    }
}

/// A good token of this kind.
fn payload(kind: Kind) -> Value {
    let mut payload = match kind {
        Kind::WorkosAuth => json!({
            "sub": "8c1f0a4e-0000-4000-8000-000000000001", "session_id": "8c1f0a4e-0000-4000-8000-000000000002",
            "aud": "authenticated", "role": "authenticated", "org_id": "org_acme", "org_roles": ["admin"],
            "groups": ["eng"], "permissions": ["todos:read"], "email": "Ann@Acme.com", "auth_time": NOW - 900,
        }),
        Kind::Authkit => json!({
            "sub": "user_01A", "sid": "session_01A", "auth_time": NOW - 900, "client_id": CLIENT, "org_id": "org_acme",
            "role": "admin", "roles": ["admin", "member"], "permissions": ["todos:read"], "feature_flags": ["beta"],
        }),
        Kind::AuthkitM2m => {
            json!({ "sub": CLIENT, "client_id": CLIENT, "org_id": "org_acme", "scope": "todos:read  todos:write" })
        }
        Kind::Oidc => json!({ "sub": "248289761001", "aud": ["authenticated", "other"], "groups": ["eng"] }),
    };
    payload["iss"] = json!(issuer(kind).name);
    payload["iat"] = json!(NOW - 10);
    payload["exp"] = json!(NOW + 300);
    payload
}

fn with(kind: Kind, changes: Value) -> Value {
    let mut payload = payload(kind);
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(payload.as_object_mut().unwrap().remove(name)),
            value => payload[name] = value.clone(),
        }
    }
    payload
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

/// What the token is, of an issuer with this key.
fn judged(signer: &Signer, issuer: &Issuer, payload: &Value) -> Result<Claims> {
    parse(&signer.sign(payload))?.verify(issuer, &signer.key(), NOW, 0)
}
