//! Somebody else who signs tokens.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_auth_core::token::{Algorithm, SigningKey};

use crate::bed::Bed;

/// The client that its tokens are for.
pub const AUTHKIT_CLIENT: &str = "client_01AUTHKIT";

/// An issuer that signs as AuthKit does.
pub struct OtherIssuer {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: SigningKey,
}

impl OtherIssuer {
    /// With a fresh key.
    pub fn new(name: &str, algorithm: Algorithm) -> Self {
        Self { name: name.to_owned(), key: SigningKey::generate(algorithm).unwrap() }
    }

    /// Its key set.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.key.public_jwk()] })
    }

    /// Has a database trust it, as AuthKit.
    pub async fn is_trusted_by(&self, bed: &Bed<'_>) {
        let sql = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
        bed.admin.execute(sql, &[&self.name, &self.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    }

    /// The claims of a person of `org_acme` who has just signed in, with some changed; null removes one.
    pub fn claims(&self, person: &str, changes: Value) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": self.name, "sub": format!("user_{person}"), "sid": format!("session_{person}"), "auth_time": now - 60, "iat": now, "exp": now + 300,
            "client_id": AUTHKIT_CLIENT, "org_id": "org_acme", "role": "service_role", "roles": ["admin"], "permissions": ["todos:read"],
            "feature_flags": ["beta"], "jti": Uuid::new_v4(),
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    /// A token of these claims.
    pub fn sign(&self, claims: &Value) -> String {
        self.key.sign(&claims.to_string()).unwrap().0.expose().to_owned()
    }

    /// A token of a person, with some claims changed.
    pub fn token(&self, person: &str, changes: Value) -> String {
        self.sign(&self.claims(person, changes))
    }
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

/// `auth.accept_token`
///
/// # Errors
/// It is refused.
pub async fn accept(backend: &Client, token: &str) -> Result<Uuid, tokio_postgres::Error> {
    backend.query_one("select auth.accept_token($1)", &[&token]).await.map(|row| row.get(0))
}

/// A server that answers every request with the same, until it is told another answer.
pub struct KeyServer {
    /// Where it is.
    pub uri: String,
    answer: Arc<Mutex<String>>,
    asked: Arc<Mutex<usize>>,
}

impl KeyServer {
    /// With an answer.
    pub async fn start(jwks: &Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/jwks", listener.local_addr().unwrap());
        let server = Self { uri, answer: Arc::default(), asked: Arc::default() };
        server.answers("200 OK", &jwks.to_string());
        let (answer, asked) = (Arc::clone(&server.answer), Arc::clone(&server.asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    let mut part = [0; 1024];
                    match stream.read(&mut part).await {
                        Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
                        _ => break,
                    }
                }
                *asked.lock().unwrap() += 1;
                let answer = answer.lock().unwrap().clone();
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        server
    }

    /// What it answers from now on.
    pub fn answers(&self, status: &str, body: &str) {
        *self.answer.lock().unwrap() = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
    }

    /// How many requests it had.
    pub fn asked(&self) -> usize {
        *self.asked.lock().unwrap()
    }
}
