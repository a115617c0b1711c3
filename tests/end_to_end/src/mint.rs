//! Tokens that must not be believed, and what holds for every one of them.

use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_auth_core::ErrorCode;
use workos_auth_core::token::{self, MAX_TOKEN_LEN, SigningKey};

use crate::bed::{ALICE, Bed, Session, set_session, sign_in};
use crate::sql::refused_as;

/// Every reader, which goes by the current session.
const READERS: &[&str] = &[
    "auth.uid()",
    "auth.jwt()",
    "auth.session_claims()",
    "auth.role()",
    "auth.email()",
    "auth.session_id()",
    "auth.organization_id()",
    "auth.connection_id()",
    "auth.has_role('admin')",
    "auth.has_role('admin', null)",
    "auth.in_group('engineering')",
    "auth.in_group('engineering', 'org_acme')",
    "auth.has_permission('p')",
    "auth.has_permission('p', 'org_acme')",
    "auth.get_user()",
];

/// What takes the token itself, whoever is signed in.
const TAKERS: &[&str] = &[
    "auth.verify_token($1)",
    "auth.set_session($1, false)",
    "auth.get_user($1)",
    "auth.update_user($1, '{}')",
    "auth.my_sessions($1)",
    "auth.sign_out($1)",
    "auth.link_identity($1, 'org_acme')",
    "auth.unlink_identity($1, gen_random_uuid())",
];

/// A database, a session of it, and a signing key of our own that the database believes.
pub struct Mint {
    /// The database.
    pub bed: Bed<'static>,
    /// The connection on which tokens are presented.
    pub app: Client,
    /// Alice's, which the database signed.
    pub session: Session,
    /// Our own.
    pub key: SigningKey,
    before: Vec<(String, String)>,
    shown_to_nobody: Mutex<Vec<String>>,
}

impl Mint {
    /// Makes all of it.
    #[track_caller]
    pub fn new(name: &str) -> impl Future<Output = Self> + use<> {
        Self::of(Bed::shared(name))
    }

    async fn of(bed: impl Future<Output = Bed<'static>>) -> Self {
        let bed = bed.await;
        let app = bed.backend().await;
        let session = sign_in(&app, ALICE).await;
        let key = SigningKey::generate(token::Algorithm::Es256).unwrap();
        let sql =
            "insert into auth.signing_keys (kid, algorithm, public_key, status) values ($1, 'ES256', $2, 'retiring')";
        bed.admin.execute(sql, &[&key.kid(), &key.public_jwk()]).await.unwrap();
        let before = bed.contents().await;
        Self { bed, app, session, key, before, shown_to_nobody: Mutex::default() }
    }

    /// The header that a token of our key has.
    pub fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": self.key.kid() })
    }

    /// The same with some members changed; null stays a value here.
    pub fn header_with(&self, changes: Value) -> String {
        let mut header = self.header();
        for (name, value) in changes.as_object().unwrap() {
            header[name] = value.clone();
        }
        header.to_string()
    }

    /// The session's claims with some changed; null removes one.
    pub fn claims(&self, changes: Value) -> Value {
        let mut claims = self.session.claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    /// The claims as text, with one whose value is any text at all.
    pub fn claims_with(&self, name: &str, value: &str) -> String {
        let rest = self.claims(json!({ name: null })).to_string();
        rest.replacen('{', &format!("{{{}:{value},", json!(name)), 1)
    }

    /// A token of our key with these claims changed.
    pub fn token(&self, changes: Value) -> String {
        self.sign(&self.header().to_string(), &self.claims(changes).to_string())
    }

    /// A token of our key with this header and payload, whatever they are.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        signed_by(&self.key, header, payload)
    }

    /// The token is refused by this name however it is presented, nothing of it is shown, the session before it stays
    /// where it can, and the next good request on the connection is served.
    pub async fn refuses(&self, what: &str, token: &str, name: &str) {
        self.good(what).await;
        for call in TAKERS {
            // Such a token still ends its session: own_account has the tests.
            if name == "bad_jwt_expired" && *call == "auth.sign_out($1)" {
                continue;
            }
            let result = self.app.query(&format!("select {call}"), &[&token]).await;
            self.is_refusal(&format!("{what}: {call}"), result, token, name);
            self.is_alice(what).await;
        }
        // An empty setting is no session, and a longer one is not taken.
        if token.len() > MAX_TOKEN_LEN {
            let set = self.app.query("select set_config('workos_auth.session_token', $1, false)", &[&token]).await;
            let refusal = refused_as(set, "22023");
            self.is_hidden(what, &refusal.to_string(), token);
            self.is_alice(what).await;
        } else if !token.is_empty() && !token.contains('\0') {
            // Whoever may set the setting directly still cannot forge it, and a bad token is never an anonymous visitor.
            let set = format!("set workos_auth.session_token = '{}'", token.replace('\'', "''"));
            self.app.batch_execute(&set).await.unwrap_or_else(|error| panic!("{what}: SET: {error:?}"));
            for call in READERS {
                let result = self.app.query(&format!("select {call}"), &[]).await;
                self.is_refusal(&format!("{what}: {call}"), result, token, name);
            }
        }
        self.good(what).await;
        self.shown_to_nobody.lock().unwrap_or_else(PoisonError::into_inner).extend(fragments(token));
    }

    /// The same of one call alone, for tokens of which there are many.
    pub async fn refuses_to_verify(&self, what: &str, token: &str, name: &str) {
        self.is_refusal(what, self.app.query("select auth.verify_token($1)", &[&token]).await, token, name);
        self.shown_to_nobody.lock().unwrap_or_else(PoisonError::into_inner).extend(fragments(token));
    }

    /// The refusal, and what is shown of the token in any field of the error.
    fn is_refusal<T>(&self, what: &str, result: Result<T, tokio_postgres::Error>, token: &str, name: &str) {
        let code = ErrorCode::ALL.iter().find(|code| code.name() == name).unwrap_or_else(|| panic!("no error {name}"));
        let Err(error) = result else { panic!("{what}: believed") };
        let error = error.as_db_error().unwrap_or_else(|| panic!("{what}: the server said nothing: {error}"));
        assert_eq!((error.code().code(), error.message()), (code.sqlstate(), code.message()), "{what}: {error:?}");
        self.is_hidden(what, &format!("{error:?}"), token);
    }

    fn is_hidden(&self, what: &str, said: &str, token: &str) {
        for secret in fragments(token).into_iter().chain([self.session.email.clone(), self.session.user_id.to_string()])
        {
            assert!(!said.contains(&secret), "{what}: {secret} is shown: {said}");
        }
    }

    async fn good(&self, what: &str) {
        let set = set_session(&self.app, &self.session.access_token, false).await;
        set.unwrap_or_else(|error| panic!("{what}: the good token: {error:?}"));
        self.is_alice(what).await;
    }

    async fn is_alice(&self, what: &str) {
        let row = self.app.query_one("select auth.uid()::text", &[]).await;
        let row = row.unwrap_or_else(|error| panic!("{what}: the good session: {error:?}"));
        assert_eq!(row.get::<_, Option<String>>(0), Some(self.session.user_id.to_string()), "{what}");
    }

    /// The token is good.
    pub async fn believes(&self, what: &str, token: &str) {
        let result = self.app.query_one("select auth.verify_token($1)", &[&token]).await;
        result.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }

    /// Nothing that was presented changed a row or stands in the server's log.
    pub async fn is_unharmed(&self) {
        self.is_not_changed().await;
        self.is_not_logged();
    }

    /// No row changed.
    pub async fn is_not_changed(&self) {
        assert_eq!(self.bed.contents().await, self.before);
    }

    /// Nothing that was presented stands in the server's log.
    pub fn is_not_logged(&self) {
        let log = self.bed.log();
        let secrets = self.shown_to_nobody.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(!secrets.is_empty() && log.contains("auth.verify_token($1)"), "nothing was refused");
        for secret in secrets.iter() {
            let line = log.lines().find(|line| line.contains(secret.as_str()));
            assert_eq!(line, None, "in the log");
        }
    }
}

/// Begin, middle and end of each part of a token that is long enough to tell by.
fn fragments(token: &str) -> Vec<String> {
    const LENGTH: usize = 12;
    let mut fragments = Vec::new();
    for part in token.split('.') {
        let part: Vec<char> = part.chars().collect();
        if part.len() > LENGTH {
            for at in [0, (part.len() - LENGTH) / 2, part.len() - LENGTH] {
                fragments.push(part[at..at + LENGTH].iter().collect());
            }
        }
    }
    fragments
}

/// Base64url without padding.
pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of this key with this header and payload, whatever they are.
pub fn signed_by(key: &SigningKey, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = signature(key, &signed);
    format!("{signed}.{signature}")
}

/// The key's signature of header and payload as they stand in a token.
pub fn signature(key: &SigningKey, signed: &str) -> String {
    let key = EncodingKey::from_ec_der(key.to_pkcs8().expose());
    crypto::sign(signed.as_bytes(), &key, Algorithm::ES256).unwrap()
}
