//! Tokens that must not be believed: each has its own SQLSTATE, in every way a token can be presented.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_auth_core::token::SigningKey;
use workos_end_to_end::{ALICE, Bed, Session, refused, sign_in};

/// A database, a session of it, and a signing key of our own that the database believes.
struct Mint {
    bed: Bed<'static>,
    app: Client,
    session: Session,
    key: SigningKey,
}

impl Mint {
    async fn new(database: &str) -> Self {
        let bed = Bed::shared(database).await;
        let app = bed.backend().await;
        let session = sign_in(&app, ALICE).await;
        let key = SigningKey::generate().unwrap();
        let sql =
            "insert into auth.signing_keys (kid, algorithm, public_key, status) values ($1, 'ES256', $2, 'retiring')";
        bed.admin.execute(sql, &[&key.kid(), &key.public_jwk()]).await.unwrap();
        Self { bed, app, session, key }
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": self.key.kid() })
    }

    /// The session's claims with some changed; null removes one.
    fn claims(&self, changes: Value) -> Value {
        let mut claims = self.session.claims.clone();
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    fn token(&self, changes: Value) -> String {
        signed_by(&self.key, &self.header().to_string(), &self.claims(changes).to_string())
    }

    fn now(&self) -> i64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
    }

    /// The token is refused however it is presented, and nothing of it is shown.
    async fn refuses(&self, what: &str, token: &str, name: &str) {
        for sql in ["select auth.verify_token($1)", "select auth.set_session($1)"] {
            let result = self.app.query(sql, &[&token]).await;
            assert!(result.is_err(), "{what}: {sql} believed it");
            let refusal = refused(result, name);
            let parts = token.split('.').filter(|part| part.len() > 12);
            for part in parts {
                assert!(!refusal.to_string().contains(&part[..12]), "{what}: part of the token is shown: {refusal}");
            }
        }
        if token.is_empty() {
            // An empty setting is no session.
            return;
        }
        // Whoever may set the setting directly still cannot forge it, and a bad token is never an anonymous visitor.
        let literal = token.replace('\'', "''");
        self.app.batch_execute(&format!("set workos_auth.session_token = '{literal}'")).await.unwrap();
        for reader in
            ["uid()", "jwt()", "session_claims()", "role()", "email()", "organization_id()", "has_role('admin', null)"]
        {
            let result = self.app.query(&format!("select auth.{reader}"), &[]).await;
            assert!(result.is_err(), "{what}: auth.{reader} believed it");
            refused(result, name);
        }
        self.app.query("select auth.clear_session()", &[]).await.unwrap();
    }

    async fn believes(&self, what: &str, token: &str) {
        let result = self.app.query_one("select auth.verify_token($1)", &[&token]).await;
        result.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    }
}

fn encode(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

fn signed_by(key: &SigningKey, header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = EncodingKey::from_ec_der(key.to_pkcs8().expose());
    let signature = crypto::sign(signed.as_bytes(), &key, Algorithm::ES256).unwrap();
    format!("{signed}.{signature}")
}

#[tokio::test]
async fn forged_ones() {
    let mint = Mint::new("forged").await;
    mint.believes("our own", &mint.token(json!({}))).await;

    let stranger = SigningKey::generate().unwrap();
    let claims = mint.claims(json!({})).to_string();
    let strangers_header = json!({ "alg": "ES256", "typ": "JWT", "kid": stranger.kid() }).to_string();
    mint.refuses("another key", &signed_by(&stranger, &strangers_header, &claims), "bad_jwt_key").await;
    mint.refuses(
        "another key under our name",
        &signed_by(&stranger, &mint.header().to_string(), &claims),
        "bad_jwt_signature",
    )
    .await;

    let real = &mint.session.access_token;
    let [header, payload, signature] = real.split('.').collect::<Vec<_>>().try_into().unwrap();
    let promoted = mint.claims(json!({ "org_role": "owner" })).to_string();
    mint.refuses("changed claims", &format!("{header}.{}.{signature}", encode(&promoted)), "bad_jwt_signature").await;
    let other = if signature.starts_with('A') { "B" } else { "A" };
    mint.refuses("changed signature", &format!("{header}.{payload}.{other}{}", &signature[1..]), "bad_jwt_signature")
        .await;

    for alg in ["none", "None", "NONE", "nOnE", "HS256", "RS256", "ES384", "EdDSA", "es256"] {
        let header = json!({ "alg": alg, "kid": mint.key.kid() }).to_string();
        mint.refuses(alg, &format!("{}.{}.", encode(&header), encode(&claims)), "bad_jwt_algorithm").await;
    }
    mint.refuses("none without kid", &format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims)), "bad_jwt").await;

    // HS256, "signed" with everything that is public about the key.
    let jwk = mint.key.public_jwk();
    let point: Vec<u8> =
        ["x", "y"].iter().flat_map(|name| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()).collect();
    let header = json!({ "alg": "HS256", "typ": "JWT", "kid": mint.key.kid() }).to_string();
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    for secret in [
        jwk.to_string().into_bytes(),
        [&[4], point.as_slice()].concat(),
        point,
        mint.key.kid().as_bytes().to_vec(),
        Vec::new(),
    ] {
        let signature = crypto::sign(signed.as_bytes(), &EncodingKey::from_secret(&secret), Algorithm::HS256).unwrap();
        mint.refuses("HS256", &format!("{signed}.{signature}"), "bad_jwt_algorithm").await;
    }
}

#[tokio::test]
async fn of_other_times_and_places() {
    let mint = Mint::new("elsewhere").await;
    let now = mint.now();
    for (what, changes, name) in [
        ("another issuer", json!({ "iss": "urn:uuid:00000000-0000-4000-8000-000000000000" }), "bad_jwt_issuer"),
        ("an empty issuer", json!({ "iss": "" }), "bad_jwt_issuer"),
        ("another audience", json!({ "aud": "somebody" }), "bad_jwt_audience"),
        ("other audiences", json!({ "aud": ["somebody", "else"] }), "bad_jwt_audience"),
        ("no audience", json!({ "aud": [] }), "bad_jwt_audience"),
        ("expired", json!({ "exp": now - 1 }), "bad_jwt_expired"),
        ("expired long ago", json!({ "exp": 0 }), "bad_jwt_expired"),
        ("made in the future", json!({ "iat": now + 60 }), "bad_jwt_not_yet_valid"),
        ("good in the future", json!({ "nbf": now + 60 }), "bad_jwt_not_yet_valid"),
        (
            "a session that is not here",
            json!({ "session_id": "00000000-0000-4000-8000-000000000000" }),
            "session_not_found",
        ),
        ("a fractional time", json!({ "exp": now as f64 + 60.5 }), "bad_jwt"),
        ("a time as text", json!({ "exp": (now + 60).to_string() }), "bad_jwt"),
        ("a negative time", json!({ "iat": -1 }), "bad_jwt"),
        ("a huge time", json!({ "exp": u64::MAX }), "bad_jwt"),
        ("a subject that is none", json!({ "sub": "alice" }), "bad_jwt"),
        ("a list of issuers", json!({ "iss": ["x"] }), "bad_jwt"),
    ] {
        mint.refuses(what, &mint.token(changes), name).await;
    }
    for name in ["iss", "aud", "sub", "exp", "iat", "session_id"] {
        mint.refuses(name, &mint.token(json!({ name: null })), "bad_jwt").await;
    }
    mint.believes("a list that holds our audience", &mint.token(json!({ "aud": ["somebody", "authenticated"] }))).await;
    mint.believes("clocks that differ a little", &mint.token(json!({ "iat": now + 2, "nbf": now + 2 }))).await;

    let other = Mint::new("other_installation").await;
    mint.refuses("another database's", &other.session.access_token, "bad_jwt_key").await;
}

#[tokio::test]
async fn ill_formed_ones() {
    let mint = Mint::new("ill_formed").await;
    let good = mint.token(json!({}));
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>().try_into().unwrap();
    let long = "x".repeat(60_000);
    for (what, token) in [
        ("nothing", String::new()),
        ("one part", header.to_owned()),
        ("two parts", format!("{header}.{payload}")),
        ("four parts", format!("{good}.x")),
        ("five parts, as JWE has", format!("{header}.{payload}.{signature}.{payload}.{signature}")),
        ("cut in the signature", good[..good.len() - 1].to_owned()),
        ("cut in the payload", format!("{header}.{}.{signature}", &payload[..payload.len() - 3])),
        ("padding", format!("{good}==")),
        ("a line feed", format!("{good}\n")),
        ("a space in front", format!(" {good}")),
        ("Bearer", format!("Bearer {good}")),
        ("the other alphabet", format!("{header}.{payload}.+{}", &signature[1..])),
        ("long nonsense", long),
        ("not ASCII", "ä.ö.ü".into()),
    ] {
        mint.refuses(what, &token, "bad_jwt").await;
    }
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for length in [0, 32, 63] {
        let shorter = format!("{header}.{payload}.{}", URL_SAFE_NO_PAD.encode(&bytes[..length]));
        mint.refuses("a shorter signature", &shorter, "bad_jwt_signature").await;
    }

    let claims = mint.claims(json!({})).to_string();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("jwk", mint.key.public_jwk()),
        ("jku", json!("https://evil.example/jwks")),
        ("x5u", json!("https://evil.example/x5u")),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("typ", json!("at+jwt")),
        ("kid", Value::Null),
        ("kid", json!("")),
        ("alg", Value::Null),
    ] {
        let mut header = mint.header();
        header[name] = value;
        mint.refuses(name, &signed_by(&mint.key, &header.to_string(), &claims), "bad_jwt").await;
    }
    let twice = claims.replacen('{', "{\"org_role\":\"owner\",", 1);
    mint.refuses("a member twice", &signed_by(&mint.key, &mint.header().to_string(), &twice), "bad_jwt").await;
    for payload in ["", "null", "[]", "\"x\"", "{", "\u{feff}{}"] {
        mint.refuses("no object", &signed_by(&mint.key, &mint.header().to_string(), payload), "bad_jwt").await;
    }
}

#[tokio::test]
async fn of_a_key_that_was_retired() {
    let mint = Mint::new("retired").await;
    let token = mint.token(json!({}));
    mint.believes("while the key is retiring", &token).await;
    let sql = "update auth.signing_keys set status = 'retired', retired_at = now() where kid = $1";
    mint.bed.admin.execute(sql, &[&mint.key.kid()]).await.unwrap();
    mint.refuses("of a retired key", &token, "bad_jwt_key").await;
}

#[tokio::test]
async fn older_than_the_persons_rights() {
    let mint = Mint::new("stale").await;
    let token = mint.token(json!({}));
    mint.believes("as new as the session", &token).await;
    mint.bed.admin.batch_execute("update auth.sessions set claims_version = 1").await.unwrap();
    mint.refuses("older", &token, "session_stale").await;
    mint.believes("as new as the rights", &mint.token(json!({ "claims_version": 1 }))).await;
}
