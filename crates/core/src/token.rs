//! Access tokens: compact JWS (RFC 7515) whose payload is a set of claims (RFC 7519), read as RFC 8725 advises.
//!
//! The types keep the order: [`Hashed`] is any text, [`Hashed::parse`] looks at the form and names the key,
//! [`Unverified::verify`] checks algorithm and signature before it so much as reads a claim, and only then is there a [`Claims`].

mod form;
pub(crate) mod reading;
pub(crate) mod rules;
mod visitor;

use std::fmt;

use aws_lc_rs::digest::Digest;
use uuid::Uuid;

use crate::error::{ErrorCode, Result};
use crate::jsonb;
pub use crate::signing_key::{Algorithm, Own, PublicKey, SigningKey, jwks};
pub use crate::token_hash::Hashed;
pub use form::MAX_TOKEN_LEN;
pub(crate) use form::{Header, Parts, read_header, take_apart};
use reading::{
    act_sub, as_date, as_text, as_texts, as_uuid, list_or_empty, object, required, text_of, text_or_none, typed,
};
pub use rules::Rules;
pub use visitor::{Visitor, VisitorKey, lifetime as visitor_lifetime, no_session as visitor_has_no_session};

/// Header parameters that would change what is verified, or with which key; our tokens have none of them. Ignoring the
/// others is what RFC 7515, section 4, asks for.
pub(crate) const REFUSED_PARAMETERS: &[&str] =
    &["crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc", "cty"];

/// A token of good form, about which nothing is known yet but the key it names.
pub struct Unverified {
    hash: [u8; 32],
    signed: Digest,
    payload: Vec<u8>,
    signature: Vec<u8>,
    algorithm: Option<Algorithm>,
    kid: String,
}

impl Hashed<'_> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// `bad_jwt` unless these are at most 64 kB in three parts of strict base64url (RFC 4648, section 5: no padding, no
    /// whitespace, unused bits zero), the first of them a JSON object without duplicate members that has `alg` and `kid`,
    /// where `typ`, if there is one, is `JWT`, and that has no parameter which changes what is verified.
    pub fn parse(self) -> Result<Unverified> {
        let Self { text, hash, signed } = self;
        let Parts { header, payload, signature } = take_apart(text)?;
        let Header { algorithm, kid } = read_header(&header, &["JWT"], REFUSED_PARAMETERS)?;
        let algorithm = Algorithm::parse(&algorithm);
        Ok(Unverified { hash, signed, payload, signature, algorithm, kid })
    }
}

/// Takes a token apart that nobody has hashed: [`Hashed::parse`].
///
/// # Errors
/// As there.
pub fn parse(token: &str) -> Result<Unverified> {
    Hashed::new(token).parse()
}

impl Unverified {
    /// The id of the key that the token says it was signed with.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Checks the signature, and then what was signed.
    ///
    /// # Errors
    /// In this order: `bad_jwt_key` (the caller picked another key than [`Unverified::kid`]), `bad_jwt_algorithm`
    /// unless `alg` is the key's own, `bad_jwt_signature`, `bad_jwt` for claims that are missing or of another type,
    /// and what [`Claims::recheck`] refuses.
    pub fn verify(self, key: &PublicKey, rules: &Rules<'_>) -> Result<Claims> {
        self.verify_own(None, key, rules)
    }

    /// The same of a token that may have been signed in this process: with the proof of that there is no signature to check.
    ///
    /// # Errors
    /// As [`Unverified::verify`]. A proof of another token or key proves nothing, and is no error.
    pub fn verify_own(self, own: Option<&Own>, key: &PublicKey, rules: &Rules<'_>) -> Result<Claims> {
        match self.verify_bearer(own, key, rules)? {
            Bearer::Person(claims) => Ok(*claims),
            Bearer::Visitor(_) => Err(visitor::no_session()),
        }
    }

    /// The same of a token that may be a visitor's.
    ///
    /// # Errors
    /// As [`Unverified::verify_own`].
    pub fn verify_bearer(self, own: Option<&Own>, key: &PublicKey, rules: &Rules<'_>) -> Result<Bearer> {
        if self.kid != key.kid() {
            return Err(ErrorCode::BadJwtKey.into());
        }
        if self.algorithm != Some(key.algorithm()) {
            return Err(ErrorCode::BadJwtAlgorithm.into());
        }
        let is_own = own.is_some_and(|own| own.proves(&self.hash, key));
        if !is_own && !key.verifies(&self.signed, &self.signature) {
            return Err(ErrorCode::BadJwtSignature.into());
        }
        let bearer = Bearer::read(self.payload)?;
        match &bearer {
            Bearer::Person(claims) => claims.recheck(rules)?,
            Bearer::Visitor(visitor) => visitor.recheck(rules)?,
        }
        Ok(bearer)
    }
}

/// Whose a verified token is.
#[derive(Debug, Clone)]
pub enum Bearer {
    /// Somebody's who is signed in.
    Person(Box<Claims>),
    /// Nobody's.
    Visitor(Visitor),
}

impl fmt::Debug for Unverified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unverified([redacted])")
    }
}

/// What a verified token says. There is no way to one but [`Unverified::verify`] and its like.
///
/// Texts that may be absent are `None` when they are absent, null or empty: Supabase writes `""` for a person without
/// e-mail, and two of those must not look equal.
#[derive(Debug, Clone)]
pub struct Claims {
    /// Whose token it is.
    pub sub: Uuid,
    /// The session it belongs to.
    pub session_id: Uuid,
    /// When it ends, in seconds since the epoch.
    pub exp: i64,
    /// When it was made, in seconds since the epoch.
    pub iat: i64,
    /// The role that the person's queries are to run as.
    pub role: Option<String>,
    /// `users.email`.
    pub email: Option<String>,
    /// The WorkOS organization of the session.
    pub org_id: Option<String>,
    /// The WorkOS connection of the session.
    pub connection_id: Option<String>,
    /// The person's role in the organization.
    pub org_role: Option<String>,
    /// All of the person's roles in the organization.
    pub org_roles: Vec<String>,
    /// The person's groups at the identity provider.
    pub groups: Vec<String>,
    /// The person's permissions in the organization.
    pub permissions: Vec<String>,
    /// The state of the session's rights that these claims were made from; 0 if the token does not say.
    pub claims_version: i64,
    /// The highest version that a role had when these claims were made; 0 if the token does not say.
    pub roles_version: i64,
    /// When the person signed in, in seconds since the epoch, where the token says so.
    pub auth_time: Option<i64>,
    /// What the person may use, where a token hook has put the claim `feature_flags` into the token.
    pub features: Vec<String>,
    /// The payload as it was signed: a JSON object.
    pub json: String,
    /// The same as Postgres's `jsonb`, without the header of four bytes; `None` where it holds a number that is no 64-bit integer.
    pub jsonb: Option<Vec<u8>>,
    iss: String,
    aud: Vec<String>,
    nbf: Option<i64>,
}

impl Claims {
    /// Compares the claims with the rules once more, which is what is left to do when a token was verified before.
    ///
    /// # Errors
    /// `bad_jwt_issuer`, `bad_jwt_audience`, `bad_jwt_expired` (`exp` must lie ahead, or no more than [`Rules::expired_for`] back),
    /// `bad_jwt_not_yet_valid` (`nbf` and `iat` may lie up to 5 s ahead).
    pub fn recheck(&self, rules: &Rules<'_>) -> Result<()> {
        let Self { iss, aud, exp, iat, nbf, .. } = self;
        rules.compare(iss, aud, *exp, *iat, *nbf)
    }

    /// Who signed it.
    pub fn issuer(&self) -> &str {
        &self.iss
    }

    /// `act.sub` (RFC 8693, section 4.1): who acts as the person, if somebody does. Read when it is asked for, which is seldom.
    pub fn act_sub(&self) -> Option<String> {
        act_sub(&object(&self.json, "payload").ok()?)
    }

    #[cfg(any(test, fuzzing))]
    fn read(payload: Vec<u8>) -> Result<Self> {
        match Bearer::read(payload)? {
            Bearer::Person(claims) => Ok(*claims),
            Bearer::Visitor(_) => Err(visitor::no_session()),
        }
    }
}

impl Bearer {
    fn read(payload: Vec<u8>) -> Result<Self> {
        let json = text_of(payload, "payload")?;
        let claims = object(&json, "payload")?;
        let get = |name| claims.get(name);
        if Visitor::is_one(&claims) {
            return Visitor::read(&claims).map(Self::Visitor);
        }
        Ok(Self::Person(Box::new(Claims {
            iss: required(get("iss").map(as_text), "iss")?,
            aud: required(get("aud").map(|aud| as_text(aud).map(|aud| vec![aud]).or_else(|| as_texts(aud))), "aud")?,
            sub: required(get("sub").map(as_uuid), "sub")?,
            session_id: required(get("session_id").map(as_uuid), "session_id")?,
            exp: required(get("exp").map(as_date), "exp")?,
            iat: required(get("iat").map(as_date), "iat")?,
            nbf: typed(get("nbf").map(as_date), "nbf")?,
            role: text_or_none(get("role"), "role")?,
            email: text_or_none(get("email"), "email")?,
            org_id: text_or_none(get("org_id"), "org_id")?,
            connection_id: text_or_none(get("connection_id"), "connection_id")?,
            org_role: text_or_none(get("org_role"), "org_role")?,
            org_roles: list_or_empty(get("org_roles"), "org_roles")?,
            groups: list_or_empty(get("groups"), "groups")?,
            permissions: list_or_empty(get("permissions"), "permissions")?,
            claims_version: typed(get("claims_version").map(as_date), "claims_version")?.unwrap_or(0),
            roles_version: typed(get("roles_version").map(as_date), "roles_version")?.unwrap_or(0),
            // Older tokens were good with anything there.
            auth_time: get("auth_time").and_then(as_date),
            features: get("feature_flags").and_then(as_texts).unwrap_or_default(),
            jsonb: jsonb::encode(&claims, json.len()),
            json,
        })))
    }
}

/// For tests and the fuzzer alone; no other build has it.
#[cfg(any(test, fuzzing))]
pub mod dangerous {
    use super::{Claims, Result};

    /// The claims of a payload for which no signature vouches.
    ///
    /// # Errors
    /// `bad_jwt`, as [`super::Unverified::verify`] has it.
    pub fn claims_without_signature(payload: Vec<u8>) -> Result<Claims> {
        Claims::read(payload)
    }
}

#[cfg(test)]
mod tests;
