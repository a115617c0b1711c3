//! The public keys of an issuer.

use std::fmt;

use aws_lc_rs::signature::{ED25519, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{
    AlgorithmParameters, CommonParameters, EllipticCurve, EllipticCurveKeyParameters, EllipticCurveKeyType, Jwk,
    OctetKeyPairParameters, OctetKeyPairType, PublicKeyUse, RSAKeyParameters, RSAKeyType,
};
use jsonwebtoken::{DecodingKey, crypto};
use serde_json::{Map, Value, json};

use crate::signing_key::{MAX_KID_LEN, Numbers, PRIVATE_MEMBERS};

/// What others sign with. There is no `none`, and nothing symmetric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA over P-256 with SHA-256.
    Es256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// Ed25519 (RFC 8037).
    EdDsa,
}

impl Algorithm {
    const ALL: [Self; 4] = [Self::Es256, Self::Rs256, Self::Ps256, Self::EdDsa];

    /// The name in `alg`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of that name; names are compared exactly.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    const fn of_library(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::Es256 => jsonwebtoken::Algorithm::ES256,
            Self::Rs256 => jsonwebtoken::Algorithm::RS256,
            Self::Ps256 => jsonwebtoken::Algorithm::PS256,
            Self::EdDsa => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

/// Why a member of a key set is no key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is for something else, or of a kind that is not known here: RFC 7517, section 5, has it ignored.
    Other,
    /// It must not stand there, or is too weak: the member that says so.
    Bad(&'static str),
}

/// A public key of an issuer, which verifies by one algorithm.
pub struct IssuerKey {
    kid: String,
    algorithm: Algorithm,
    jwk: Value,
    key: DecodingKey,
}

impl IssuerKey {
    /// Takes a key from its JWK; `None` where it is none that could verify a token here.
    pub fn from_jwk(jwk: &Value) -> Option<Self> {
        Self::read(jwk).ok()
    }

    pub(super) fn read(jwk: &Value) -> Result<Self, Unusable> {
        let text = |member: &str| jwk.get(member).and_then(Value::as_str);
        let kind = text("kty").ok_or(Unusable::Other)?;
        if kind == "oct" {
            return Err(Unusable::Bad("kty"));
        }
        if let Some(private) = PRIVATE_MEMBERS.into_iter().find(|member| jwk.get(member).is_some()) {
            return Err(Unusable::Bad(private));
        }
        let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
        if jwk.get("use").is_some_and(|is_for| is_for != "sig") || jwk.get("key_ops").is_some_and(|ops| !verifies(ops))
        {
            return Err(Unusable::Other);
        }
        let named = match jwk.get("alg") {
            None => None,
            Some(Value::String(name)) => Some(Algorithm::parse(name).ok_or(Unusable::Other)?),
            Some(_) => return Err(Unusable::Other),
        };
        let algorithm = match (kind, text("crv"), named) {
            ("EC", Some("P-256"), None | Some(Algorithm::Es256)) => Algorithm::Es256,
            ("OKP", Some("Ed25519"), None | Some(Algorithm::EdDsa)) => Algorithm::EdDsa,
            ("RSA", _, None | Some(Algorithm::Rs256)) => Algorithm::Rs256,
            ("RSA", _, Some(Algorithm::Ps256)) => Algorithm::Ps256,
            _ => return Err(Unusable::Other),
        };
        let kid = text("kid").filter(|kid| !kid.is_empty() && kid.len() <= MAX_KID_LEN).ok_or(Unusable::Other)?;
        let (mut members, parameters) = match algorithm {
            Algorithm::EdDsa => edwards(text("x").ok_or(Unusable::Bad("x"))?)?,
            _ => numbers(jwk)?,
        };
        members.insert("alg".into(), algorithm.as_str().into());
        members.insert("use".into(), "sig".into());
        members.insert("kid".into(), kid.into());
        let common = CommonParameters {
            public_key_use: Some(PublicKeyUse::Signature),
            key_id: Some(kid.to_owned()),
            ..CommonParameters::default()
        };
        let key = DecodingKey::from_jwk(&Jwk { common, algorithm: parameters })
            .map_err(|_| Unusable::Bad(kind_of(algorithm)))?;
        Ok(Self { kid: kid.to_owned(), algorithm, jwk: Value::Object(members), key })
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The only algorithm whose signatures this key verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The key as it is kept: a JWK with nothing that a public key need not have.
    pub fn jwk(&self) -> &Value {
        &self.jwk
    }

    /// Whether this is the key's own signature, in base64url, over what was signed.
    pub(super) fn verifies(&self, signed: &str, signature: &str) -> bool {
        crypto::verify(signature, signed.as_bytes(), &self.key, self.algorithm.of_library()).unwrap_or(false)
    }
}

type Members = Map<String, Value>;

/// Of what our own keys are, too, with the same limits.
fn numbers(jwk: &Value) -> Result<(Members, AlgorithmParameters), Unusable> {
    let numbers = Numbers::read(jwk).map_err(Unusable::Bad)?;
    numbers.parse().map_err(Unusable::Bad)?;
    let parameters = match &numbers {
        Numbers::Ec { x, y } => AlgorithmParameters::EllipticCurve(EllipticCurveKeyParameters {
            key_type: EllipticCurveKeyType::EC,
            curve: EllipticCurve::P256,
            x: x.clone(),
            y: y.clone(),
        }),
        Numbers::Rsa { n, e } => {
            AlgorithmParameters::RSA(RSAKeyParameters { key_type: RSAKeyType::RSA, n: n.clone(), e: e.clone() })
        }
    };
    Ok((numbers.into_members(), parameters))
}

fn edwards(x: &str) -> Result<(Members, AlgorithmParameters), Unusable> {
    let point = URL_SAFE_NO_PAD.decode(x).map_err(|_| Unusable::Bad("x"))?;
    ParsedPublicKey::new(&ED25519, &point).map_err(|_| Unusable::Bad("x"))?;
    let parameters = AlgorithmParameters::OctetKeyPair(OctetKeyPairParameters {
        key_type: OctetKeyPairType::OctetKeyPair,
        curve: EllipticCurve::Ed25519,
        x: x.to_owned(),
    });
    let members = [("kty", json!("OKP")), ("crv", json!("Ed25519")), ("x", json!(x))];
    Ok((members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(), parameters))
}

const fn kind_of(algorithm: Algorithm) -> &'static str {
    match algorithm {
        Algorithm::Es256 => "x and y",
        Algorithm::Rs256 | Algorithm::Ps256 => "n and e",
        Algorithm::EdDsa => "x",
    }
}

impl fmt::Debug for IssuerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssuerKey({}, {})", self.algorithm.as_str(), self.kid)
    }
}
