//! The numbers of a public key, as members of a JWK (RFC 7518, section 6): coordinates for an elliptic curve, modulus and exponent for RSA.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;

/// Bytes of a coordinate of P-256.
const COORDINATE_LEN: usize = 32;
/// Bytes of the modulus of RSA: 2,048 bits at least (RFC 7518, section 3.3), and no more than verifies quickly.
const MODULUS_LEN: std::ops::RangeInclusive<usize> = 256..=512;
/// The public exponent of RSA, 65537. A smaller one is a trap that others fell into, a larger one costs time.
const EXPONENT: [u8; 3] = [1, 0, 1];
/// Members that only a private key has (RFC 7518, sections 6.2.2 and 6.3.2).
pub(crate) const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The members that RFC 7638 hashes, as names and values in base64url or as they are.
pub(crate) enum Numbers {
    Ec { x: String, y: String },
    Rsa { n: String, e: String },
}

impl Numbers {
    /// Of the 65 bytes 4 ‖ x ‖ y that the library gives.
    pub(super) fn of_point(point: &[u8]) -> Self {
        let (x, y) = point.split_at(1 + COORDINATE_LEN);
        Self::Ec { x: URL_SAFE_NO_PAD.encode(&x[1..]), y: URL_SAFE_NO_PAD.encode(y) }
    }

    pub(super) fn of_modulus(modulus: &[u8], exponent: &[u8]) -> Self {
        Self::Rsa { n: URL_SAFE_NO_PAD.encode(modulus), e: URL_SAFE_NO_PAD.encode(exponent) }
    }

    /// Reads those of a JWK.
    ///
    /// # Errors
    /// The member that is not as it should be, or one that no public key has.
    pub(crate) fn read(jwk: &Value) -> Result<Self, &'static str> {
        let text = |member: &'static str| jwk.get(member).and_then(Value::as_str).ok_or(member);
        if let Some(private) = PRIVATE_MEMBERS.into_iter().find(|member| jwk.get(member).is_some()) {
            return Err(private);
        }
        match text("kty")? {
            "EC" if text("crv")? == "P-256" => Ok(Self::Ec { x: text("x")?.to_owned(), y: text("y")?.to_owned() }),
            "EC" => Err("crv"),
            "RSA" => Ok(Self::Rsa { n: text("n")?.to_owned(), e: text("e")?.to_owned() }),
            _ => Err("kty"),
        }
    }

    /// The one algorithm that such a key is used with here.
    pub(super) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Ec { .. } => Algorithm::Es256,
            Self::Rsa { .. } => Algorithm::Rs256,
        }
    }

    /// The key that verifies.
    ///
    /// # Errors
    /// The member that is not as it should be.
    pub(crate) fn parse(&self) -> Result<ParsedPublicKey, &'static str> {
        match self {
            Self::Ec { x, y } => {
                // SEC 1, section 2.3.3: an uncompressed point is 4 ‖ x ‖ y.
                let mut point = vec![4];
                for (member, coordinate) in [("x", x), ("y", y)] {
                    let coordinate = URL_SAFE_NO_PAD.decode(coordinate).map_err(|_| member)?;
                    if coordinate.len() != COORDINATE_LEN {
                        return Err(member);
                    }
                    point.extend(coordinate);
                }
                ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| "x and y")
            }
            Self::Rsa { n, e } => {
                let n = URL_SAFE_NO_PAD.decode(n).map_err(|_| "n")?;
                if !MODULUS_LEN.contains(&n.len()) || n.first().is_none_or(|first| *first < 0x80) {
                    return Err("n");
                }
                let e = URL_SAFE_NO_PAD.decode(e).map_err(|_| "e")?;
                if e != EXPONENT {
                    return Err("e");
                }
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| "n")
            }
        }
    }

    /// RFC 7638, section 3: the hash of the required members in lexicographic order, without whitespace.
    pub(super) fn thumbprint(&self) -> String {
        let members = match self {
            Self::Ec { x, y } => format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#),
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
    }

    /// As members of a JWK.
    pub(crate) fn into_members(self) -> Map<String, Value> {
        let members = match self {
            Self::Ec { x, y } => vec![("kty", "EC".to_owned()), ("crv", "P-256".to_owned()), ("x", x), ("y", y)],
            Self::Rsa { n, e } => vec![("kty", "RSA".to_owned()), ("n", n), ("e", e)],
        };
        members.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect()
    }
}
