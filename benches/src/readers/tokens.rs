//! Access tokens by the thousand: signed with a key of the benchmarks' own, which the database is told of, as it would
//! be where sessions come by replication.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use tokio_postgres::Client;
use uuid::{Uuid, uuid};
use workos_auth_core::claims::{self, TokenSubject};
use workos_auth_core::random;
use workos_auth_core::token::{Algorithm, SigningKey};
use workos_testbed::{Error, Result};

/// Whose tokens they are; `floor.c` returns the same.
pub const PERSON: Uuid = uuid!("6f1c9a4e-2b7d-4e53-9c08-d1a5b3f7e260");
/// The session that most tokens are of.
pub const SESSION: Uuid = uuid!("b2d4f6a8-1c3e-4a5b-8d7f-90e1c2b3a4d5");
/// The role that everything is read as.
pub const ROLE: &str = "authenticated";
/// The person's organization.
pub const ORGANIZATION: &str = "org_01J8ZQ4T9M3XK7V2B5N6C8D0EF";
const CONNECTION: &str = "conn_01J8ZQ4T9M3XK7V2B5N6C8D0EF";
/// How many roles, groups and permissions the large token has, each.
pub const MANY: usize = 50;

/// Longer than any run takes.
const LIFETIME: u64 = 24 * 3600;

/// The tokens of a run.
pub struct Tokens {
    /// Somebody's.
    pub usual: String,
    /// With many roles.
    pub large: String,
    /// Of several sessions.
    pub seen: Vec<String>,
    /// Of many, each of its own.
    pub unseen: Vec<String>,
    /// As many of one session, as its refreshes give them.
    pub refreshed: Vec<String>,
    /// The public key that all of them are signed for, as a point of P-256.
    pub key: Vec<u8>,
}

/// Signs tokens that a database takes.
pub struct Issuer {
    key: SigningKey,
    name: String,
}

impl Issuer {
    /// Makes a key and tells the database of it.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn new(admin: &Client) -> Result<Self> {
        let key = SigningKey::generate(Algorithm::Es256).map_err(refused)?;
        let jwk = key.public_jwk().to_string();
        admin
            .execute(
                "insert into auth.signing_keys (kid, algorithm, public_key, status)
                 values ($1, 'ES256', $2::text::jsonb, 'retiring')",
                &[&key.kid(), &jwk],
            )
            .await?;
        let name = admin.query_one("select 'urn:uuid:' || id from auth.installation", &[]).await?.get(0);
        Ok(Self { key, name })
    }

    /// Tokens as a person of a company has them, each of a session of its own unless one is given, and the sessions' rows.
    ///
    /// # Errors
    /// A statement fails.
    pub async fn tokens(&self, admin: &Client, count: usize, session: Option<Uuid>) -> Result<Vec<String>> {
        let mut tokens = Vec::new();
        let mut sessions = Vec::new();
        for _ in 0..count {
            let subject = subject(&self.name, session.map_or_else(random::uuid, Ok).map_err(refused)?)?;
            sessions.push(subject.session_id.to_string());
            tokens.push(self.sign(&subject)?);
        }
        admin
            .execute(
                "insert into auth.sessions (id) select unnest($1::text[])::uuid on conflict do nothing",
                &[&sessions],
            )
            .await?;
        Ok(tokens)
    }

    /// A token of [`SESSION`] with [`MANY`] roles, groups and permissions.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn large_token(&self) -> Result<String> {
        let many = |kind: &str| (1..=MANY).map(|number| format!("{kind}:{number:02}")).collect();
        let subject = TokenSubject {
            org_roles: many("role"),
            groups: many("group"),
            permissions: many("permission"),
            ..subject(&self.name, SESSION)?
        };
        self.sign(&subject)
    }

    fn sign(&self, subject: &TokenSubject) -> Result<String> {
        Ok(self.key.sign(&subject.to_json()).map_err(refused)?.0.expose().to_owned())
    }

    /// The public key as an uncompressed point (SEC 1, section 2.3.3): 4, x and y.
    ///
    /// # Errors
    /// The key is not one of P-256.
    pub fn point(&self) -> Result<Vec<u8>> {
        let jwk = self.key.public_jwk();
        let mut point = vec![4];
        for member in ["x", "y"] {
            point.extend(decoded(jwk.get(member).and_then(|value| value.as_str()).unwrap_or_default())?);
        }
        Ok(point)
    }

    /// The microseconds that AWS-LC alone takes to check the signature of each of the tokens, one after the other.
    ///
    /// # Errors
    /// A token is not this issuer's.
    pub fn signature_checks(&self, tokens: &[String]) -> Result<Vec<f64>> {
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point()?).map_err(refused)?;
        let mut times = Vec::new();
        for token in tokens {
            let (signed, signature) = token.rsplit_once('.').ok_or_else(no_token)?;
            let signature = decoded(signature)?;
            let begin = Instant::now();
            key.verify_sig(signed.as_bytes(), &signature).map_err(|_| no_token())?;
            times.push(begin.elapsed().as_secs_f64() * 1e6);
        }
        Ok(times)
    }
}

fn decoded(text: &str) -> Result<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| no_token())
}

fn no_token() -> Error {
    Error::Other("that is no token of the benchmarks' key".into())
}

/// The payload of a token.
///
/// # Errors
/// It has none.
pub fn payload(token: &str) -> Result<String> {
    let encoded = token.split('.').nth(1).ok_or_else(no_token)?;
    String::from_utf8(decoded(encoded)?).map_err(|_| no_token())
}

/// What Supabase's tokens say of somebody who came through a company's identity provider.
fn subject(issuer: &str, session_id: Uuid) -> Result<TokenSubject> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(refused)?.as_secs();
    let seconds = |at: u64| i64::try_from(at).map_err(refused);
    Ok(TokenSubject {
        user_id: PERSON,
        session_id,
        issuer: issuer.to_owned(),
        audience: ROLE.to_owned(),
        role: ROLE.to_owned(),
        email: Some("katherine.johnson@acme.com".to_owned()),
        phone: None,
        app_metadata: json!({ "provider": "workos", "providers": ["workos"], "plan": "business", "region": "eu-west-1" }),
        user_metadata: json!({
            "iss": "https://accounts.google.com", "sub": "108204268033311374519", "provider_id": "108204268033311374519",
            "name": "Katherine Johnson", "full_name": "Katherine Johnson",
            "email": "katherine.johnson@acme.com", "email_verified": true, "phone_verified": false,
            "avatar_url": "https://lh3.googleusercontent.com/a/ACg8ocKxV2m5Rk0pL7tQ9wYbN3sJdHfGzXcVbNmAsDfGhJkL=s96-c",
            "picture": "https://lh3.googleusercontent.com/a/ACg8ocKxV2m5Rk0pL7tQ9wYbN3sJdHfGzXcVbNmAsDfGhJkL=s96-c",
        }),
        roles_version: 0,
        auth_time: seconds(now)?,
        issued_at: seconds(now)?,
        expires_at: seconds(now + LIFETIME)?,
        amr: claims::amr("oauth", seconds(now)?),
        actor: None,
        organization_id: Some(ORGANIZATION.to_owned()),
        connection_id: Some(CONNECTION.to_owned()),
        org_role: Some("member".to_owned()),
        org_roles: vec!["member".to_owned()],
        groups: vec!["engineering".to_owned(), "everyone".to_owned()],
        permissions: vec!["todos:read".to_owned(), "todos:write".to_owned()],
        claims_version: 0,
        is_anonymous: false,
    })
}

fn refused(error: impl std::fmt::Display) -> Error {
    Error::Other(format!("a token cannot be made: {error}"))
}
