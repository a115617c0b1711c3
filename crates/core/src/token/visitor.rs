//! Keys of visitors: tokens that name a database role and nobody, so that a client which must send some key can send one.
//!
//! Supabase's clients send their key as the bearer token of a request without a session. PostgREST takes the role from it.

use std::time::Duration;

use serde_json::json;

use super::reading::{as_date, as_text, as_texts, required, typed};
use super::rules::Rules;
use crate::error::{Error, ErrorCode, Result};
use crate::jsonb::Members;

/// The longest that a key may be good for.
const LONGEST: Duration = Duration::from_secs(3650 * 86400);

/// What a visitor's key is made from. Times are seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VisitorKey<'a> {
    /// `iss`
    pub issuer: &'a str,
    /// `aud`
    pub audience: &'a str,
    /// `role`: the database role that a visitor acts as
    pub role: &'a str,
    /// `iat`
    pub issued_at: i64,
    /// `exp`
    pub expires_at: i64,
}

impl VisitorKey<'_> {
    /// The payload of the token. It has neither `sub` nor `session_id`: that is what makes it nobody's.
    pub fn to_json(&self) -> String {
        let Self { issuer, audience, role, issued_at, expires_at } = self;
        json!({ "iss": issuer, "aud": audience, "role": role, "iat": issued_at, "exp": expires_at }).to_string()
    }
}

/// How long a key is good for: `asked`, in microseconds.
///
/// # Errors
/// `validation_failed` for less than a second and for more than ten years.
pub fn lifetime(asked: i128) -> Result<Duration> {
    match u64::try_from(asked).map(Duration::from_micros) {
        Ok(ttl) if (Duration::from_secs(1)..=LONGEST).contains(&ttl) => Ok(ttl),
        _ => Err(Error::invalid("ttl", "it must be 1 second to 3650 days.")),
    }
}

/// What a verified key of a visitor says.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// The database role that the visitor acts as.
    pub role: String,
    iss: String,
    aud: Vec<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
}

impl Visitor {
    /// Whether these are the claims of a visitor's key: they name a role, and nobody.
    pub(super) fn is_one(claims: &Members<'_>) -> bool {
        claims.get("sub").is_none() && claims.get("session_id").is_none() && claims.get("role").is_some()
    }

    pub(super) fn read(claims: &Members<'_>) -> Result<Self> {
        let get = |name| claims.get(name);
        Ok(Self {
            role: required(get("role").map(as_text), "role")?,
            iss: required(get("iss").map(as_text), "iss")?,
            aud: required(get("aud").map(|aud| as_text(aud).map(|aud| vec![aud]).or_else(|| as_texts(aud))), "aud")?,
            exp: required(get("exp").map(as_date), "exp")?,
            iat: required(get("iat").map(as_date), "iat")?,
            nbf: typed(get("nbf").map(as_date), "nbf")?,
        })
    }

    /// Compares the claims with the rules, as [`super::Claims::recheck`] does.
    ///
    /// # Errors
    /// As there.
    pub fn recheck(&self, rules: &Rules<'_>) -> Result<()> {
        rules.compare(&self.iss, &self.aud, self.exp, self.iat, self.nbf)
    }
}

/// What is said where somebody's token is needed.
pub fn no_session() -> Error {
    Error::with_detail(
        ErrorCode::NoAuthorization,
        "The token is a visitor's key, made by auth.create_visitor_token: nobody is signed in with it.",
    )
    .hint("Pass the access_token that a sign-in returned.")
}
