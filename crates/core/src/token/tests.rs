#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken as witness;
use serde_json::{Value, json};

use super::*;
use crate::claims::TokenSubject;

mod corpus;
mod hostile;
mod own;
mod visitors;

const RULES: Rules<'static> =
    Rules { issuer: "https://db.example.com", audience: "authenticated", now: 2_000_000_000, expired_for: 0 };
const SUB: &str = "8c1f0a4e-0000-4000-8000-000000000001";
const SESSION: &str = "8c1f0a4e-0000-4000-8000-000000000002";

/// The key and token of RFC 7515, appendix A.3.
const A3_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const A3_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const A3_SIGNED: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const A3_SIGNATURE: &str = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

fn payload() -> Value {
    json!({
        "iss": RULES.issuer, "aud": RULES.audience, "sub": SUB, "session_id": SESSION,
        "exp": RULES.now + 60, "iat": RULES.now - 60,
    })
}

fn with(name: &str, value: Value) -> Value {
    let mut claims = payload();
    claims[name] = value;
    claims
}

/// A key pair, with a way to sign any header and payload at all.
struct Signer(SigningKey, PublicKey);

impl Signer {
    fn new() -> Self {
        let key = SigningKey::generate(Algorithm::Es256).unwrap();
        let public = PublicKey::from_jwk(&key.public_jwk()).unwrap();
        Self(key, public)
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "typ": "JWT", "kid": self.0.kid() })
    }

    fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let der = self.0.to_pkcs8();
        let key = witness::EncodingKey::from_ec_der(der.expose());
        let signature = witness::crypto::sign(signed.as_bytes(), &key, witness::Algorithm::ES256).unwrap();
        format!("{signed}.{signature}")
    }

    fn claims(&self, payload: &str) -> Result<Claims> {
        let token = self.0.sign(payload).unwrap().0;
        parse(token.expose())?.verify(&self.1, &RULES)
    }

    fn check(&self, token: &str) -> Result<Claims> {
        parse(token)?.verify(&self.1, &RULES)
    }
}

fn code<T: fmt::Debug>(result: Result<T>) -> ErrorCode {
    result.unwrap_err().code()
}

#[test]
fn a_token_comes_back_as_its_claims() {
    let mut all = payload();
    for (name, value) in [
        ("role", json!("authenticated")),
        ("email", json!("ann@acme.com")),
        ("org_id", json!("org_1")),
        ("connection_id", json!("conn_1")),
        ("org_role", json!("admin")),
        ("org_roles", json!(["admin", "member"])),
        ("groups", json!(["eng"])),
        ("permissions", json!(["a:read"])),
        ("claims_version", json!(7)),
    ] {
        all[name] = value;
    }
    let json = format!(" {all}\r\n");
    let claims = Signer::new().claims(&json).unwrap();
    assert_eq!((claims.sub.to_string(), claims.session_id.to_string()), (SUB.to_owned(), SESSION.to_owned()));
    assert_eq!((claims.exp, claims.iat, claims.claims_version), (RULES.now + 60, RULES.now - 60, 7));
    assert_eq!((claims.role.as_deref(), claims.email.as_deref()), (Some("authenticated"), Some("ann@acme.com")));
    assert_eq!((claims.org_id.as_deref(), claims.connection_id.as_deref()), (Some("org_1"), Some("conn_1")));
    assert_eq!((claims.org_role.as_deref(), claims.org_roles), (Some("admin"), vec!["admin".into(), "member".into()]));
    assert_eq!((claims.groups, claims.permissions), (vec!["eng".to_owned()], vec!["a:read".to_owned()]));
    assert_eq!(claims.json, json);
}

#[test]
fn optional_claims_may_be_absent_null_or_empty() {
    let signer = Signer::new();
    let bare = signer.claims(&payload().to_string()).unwrap();
    assert!(bare.role.is_none() && bare.email.is_none() && bare.groups.is_empty() && bare.claims_version == 0);
    let mut claims = with("email", json!(""));
    for name in ["role", "org_id", "groups", "org_roles"] {
        claims[name] = Value::Null;
    }
    let claims = signer.claims(&claims.to_string()).unwrap();
    assert!(claims.role.is_none() && claims.email.is_none() && claims.org_id.is_none() && claims.groups.is_empty());
}

#[test]
fn what_we_mint_we_take() {
    let subject = TokenSubject {
        user_id: SUB.parse().unwrap(),
        session_id: SESSION.parse().unwrap(),
        issuer: RULES.issuer.into(),
        audience: RULES.audience.into(),
        role: "authenticated".into(),
        email: None,
        phone: None,
        app_metadata: json!({}),
        user_metadata: json!({}),
        auth_time: RULES.now,
        issued_at: RULES.now,
        expires_at: RULES.now + 1,
        amr: json!([]),
        actor: None,
        organization_id: Some("org_1".into()),
        connection_id: None,
        org_role: None,
        org_roles: vec![],
        groups: vec!["eng".into()],
        permissions: vec![],
        claims_version: 1,
        roles_version: 0,
        is_anonymous: false,
    };
    let claims = Signer::new().claims(&subject.to_json()).unwrap();
    assert_eq!((claims.org_id.as_deref(), claims.email, claims.groups), (Some("org_1"), None, vec!["eng".into()]));
}

#[test]
fn a_token_is_known_by_what_was_signed_and_by_its_signature() {
    let texts =
        ["", ".", "..", "a", "a.", ".a", "a.b", "ab.", ".ab", "a.b.", "a..b", "a.b.c", "a.bc.", "ab.c", "a.b.c.d"];
    let hashes: std::collections::HashSet<_> = texts.map(|text| *Hashed::new(text).hash()).into();
    assert_eq!(hashes.len(), texts.len());
    let mut both = digest(&SHA256, b"a.b").as_ref().to_vec();
    both.extend(b".c");
    assert_eq!(Hashed::new("a.b.c").hash(), digest(&SHA256, &both).as_ref());
}

#[test]
fn rfc_7515_appendix_a_3() {
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": A3_X, "y": A3_Y, "kid": "a3" });
    let key = PublicKey::from_jwk(&jwk).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(A3_SIGNATURE).unwrap();
    let signed = |text: &str| digest(&SHA256, text.as_bytes());
    assert!(key.verifies(&signed(A3_SIGNED), &signature));
    let mut bent = signature.clone();
    bent[63] ^= 1;
    assert!(!key.verifies(&signed(A3_SIGNED), &bent));
    assert!(!key.verifies(&signed(&A3_SIGNED[1..]), &signature));
    // The example names no key, which we ask for.
    assert_eq!(code(parse(&format!("{A3_SIGNED}.{A3_SIGNATURE}"))), ErrorCode::BadJwt);
}

#[test]
fn an_outside_witness_verifies_our_token() {
    let signer = Signer::new();
    let token = signer.0.sign(&payload().to_string()).unwrap().0;
    let jwk: witness::jwk::Jwk = serde_json::from_value(signer.0.public_jwk()).unwrap();
    let mut validation = witness::Validation::new(witness::Algorithm::ES256);
    validation.set_audience(&[RULES.audience]);
    validation.set_issuer(&[RULES.issuer]);
    let key = witness::DecodingKey::from_jwk(&jwk).unwrap();
    let data = witness::decode::<Value>(token.expose(), &key, &validation).unwrap();
    assert_eq!(data.claims, payload());
    assert_eq!((data.header.kid.as_deref(), data.header.typ.as_deref()), (Some(signer.0.kid()), Some("JWT")));
}

#[test]
fn we_verify_an_outside_witness_s_token() {
    let signer = Signer::new();
    let der = signer.0.to_pkcs8();
    let key = witness::EncodingKey::from_ec_der(der.expose());
    let header =
        witness::Header { kid: Some(signer.0.kid().into()), ..witness::Header::new(witness::Algorithm::ES256) };
    let token = witness::encode(&header, &payload(), &key).unwrap();
    assert_eq!(signer.check(&token).unwrap().sub.to_string(), SUB);
    assert_eq!(code(parse(&token).unwrap().verify(&Signer::new().1, &RULES)), ErrorCode::BadJwtKey);
}

#[test]
fn another_algorithm_is_refused_before_the_signature() {
    let signer = Signer::new();
    for alg in ["none", "None", "HS256", "ES384", "RS256", "es256", ""] {
        let mut header = signer.header();
        header["alg"] = json!(alg);
        let token = signer.sign(&header.to_string(), &payload().to_string());
        assert_eq!(code(signer.check(&token)), ErrorCode::BadJwtAlgorithm, "{alg}");
        let unsigned = format!("{}.", token.rsplit_once('.').unwrap().0);
        assert_eq!(code(signer.check(&unsigned)), ErrorCode::BadJwtAlgorithm, "{alg}");
    }
    // The classic: the public key as an HMAC secret.
    let secret = signer.0.public_jwk().to_string();
    let header =
        witness::Header { kid: Some(signer.0.kid().into()), ..witness::Header::new(witness::Algorithm::HS256) };
    let token = witness::encode(&header, &payload(), &witness::EncodingKey::from_secret(secret.as_bytes())).unwrap();
    assert_eq!(code(signer.check(&token)), ErrorCode::BadJwtAlgorithm);
}

#[test]
fn signatures_of_another_form_or_key_are_refused() {
    let signer = Signer::new();
    let token = signer.0.sign(&payload().to_string()).unwrap().0;
    let (signed, signature) = token.expose().rsplit_once('.').unwrap();
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let der_key = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_ASN1_SIGNING,
        signer.0.to_pkcs8().expose(),
    )
    .unwrap();
    let der = der_key.sign(&aws_lc_rs::rand::SystemRandom::new(), signed.as_bytes()).unwrap();
    let stranger = Signer::new().sign(&signer.header().to_string(), &payload().to_string());
    let stranger = URL_SAFE_NO_PAD.decode(stranger.rsplit_once('.').unwrap().1).unwrap();
    let long = [raw.as_slice(), &[0]].concat();
    for bad in [der.as_ref(), &raw[..63], &long, &[], &[0; 64], &[255; 64], &stranger] {
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bad));
        assert_eq!(code(signer.check(&token)), ErrorCode::BadJwtSignature, "{} bytes", bad.len());
    }
}

#[test]
fn headers_that_change_what_is_verified_are_refused() {
    let signer = Signer::new();
    for name in REFUSED_PARAMETERS {
        let mut header = signer.header();
        header[*name] = Value::Null;
        let token = signer.sign(&header.to_string(), &payload().to_string());
        assert_eq!(parse(&token).unwrap_err().detail(), Some(format!("The header has {name}.").as_str()));
    }
    let kid = signer.0.kid();
    for header in [
        "".to_owned(),
        "[]".to_owned(),
        "\"ES256\"".to_owned(),
        format!(r#"{{"alg":"ES256","kid":"{kid}"}} {{}}"#),
        format!(r#"{{"alg":"none","alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"none","\u0061lg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":["ES256"],"kid":"{kid}"}}"#),
        format!(r#"{{"kid":"{kid}"}}"#),
        r#"{"alg":"ES256"}"#.to_owned(),
        r#"{"alg":"ES256","kid":""}"#.to_owned(),
        r#"{"alg":"ES256","kid":1}"#.to_owned(),
        format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(201)),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"at+jwt"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":null}}"#),
    ] {
        let token = signer.sign(&header, &payload().to_string());
        assert_eq!(code(signer.check(&token)), ErrorCode::BadJwt, "{header}");
    }
    for header in [
        format!(r#"{{"alg":"ES256","kid":"{kid}"}}"#),
        format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"jwt","other":1}}"#),
    ] {
        assert!(signer.check(&signer.sign(&header, &payload().to_string())).is_ok(), "{header}");
    }
}

#[test]
fn the_form_is_strict() {
    let signer = Signer::new();
    let token = signer.0.sign(&payload().to_string()).unwrap().0;
    let token = token.expose();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    // The last character of 64 bytes carries two bits and four zeros: here is one with other zeros.
    let mut alphabet = (b'A'..=b'Z').chain(b'a'..=b'z').chain(b'0'..=b'9').chain(*b"-_").map(char::from);
    let last = signature.chars().last().unwrap();
    alphabet.by_ref().find(|c| *c == last).unwrap();
    let loose = format!("{signed}.{}{}", &signature[..85], alphabet.next().unwrap());
    for bad in [
        String::new(),
        "..".into(),
        "a".into(),
        format!("{header}.{payload}"),
        format!("{token}.{signature}"),
        format!("{token}."),
        format!(".{token}"),
        format!("{token}="),
        format!("{token}=="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{header} .{payload}.{signature}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}.{payload}.{}\n{}", &signature[..40], &signature[40..]),
        format!("{header}.{payload}.{}+", &signature[..85]),
        format!("Bearer {token}"),
        format!("{token}\0"),
        loose,
        format!("{header}.{}.{signature}", "A".repeat(64 * 1024)),
    ] {
        assert_eq!(code(signer.check(&bad)), ErrorCode::BadJwt, "{bad:.200}");
    }
    let error = parse(&"A".repeat(MAX_TOKEN_LEN + 1)).unwrap_err();
    assert_eq!(error.detail(), Some("It is longer than 64 kB."));
}

#[test]
fn payloads_are_objects_without_duplicates() {
    let signer = Signer::new();
    let good = payload().to_string();
    let doubled = |member: &str| format!("{},{member}}}", &good[..good.len() - 1]);
    for bad in [
        "".into(),
        "null".into(),
        "[]".into(),
        format!("[{good}]"),
        format!("{good}{good}"),
        format!("\u{feff}{good}"),
        doubled(&format!(r#""sub":"{SUB}""#)),
        doubled(r#""\u0073ub":"x""#),
        doubled(r#""x":1,"x":1"#),
        format!("{}{}", "[".repeat(1000), "]".repeat(1000)),
    ] {
        assert_eq!(code(signer.claims(&bad)), ErrorCode::BadJwt, "{bad:.100}");
    }
}

#[test]
fn missing_and_ill_typed_claims_are_named_without_their_value() {
    let signer = Signer::new();
    for name in ["iss", "aud", "sub", "exp", "iat", "session_id"] {
        let mut claims = payload();
        claims.as_object_mut().unwrap().remove(name);
        let error = signer.claims(&claims.to_string()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadJwt);
        assert_eq!(error.detail(), Some(format!("The claim {name} is missing.").as_str()));
    }
    for (name, value) in [
        ("iss", json!(1)),
        ("iss", Value::Null),
        ("aud", json!([1])),
        ("aud", json!({})),
        ("sub", json!("ann")),
        ("sub", json!(SUB.replace('-', ""))),
        ("sub", json!(format!("{{{SUB}}}"))),
        ("session_id", json!("")),
        ("exp", json!("2000000060")),
        ("exp", json!(2_000_000_060.0)),
        ("exp", json!(-1)),
        ("exp", json!(1i64 << 53)),
        ("exp", json!(u64::MAX)),
        ("exp", json!(true)),
        ("exp", Value::Null),
        ("iat", json!(0.5)),
        ("nbf", json!("0")),
        ("nbf", Value::Null),
        ("role", json!(["admin"])),
        ("email", json!(1)),
        ("org_id", json!({})),
        ("groups", json!("eng")),
        ("permissions", json!(["a", null])),
        ("org_roles", json!([["a"]])),
        ("claims_version", json!("1")),
        ("claims_version", json!(-1)),
    ] {
        let error = signer.claims(&with(name, value.clone()).to_string()).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadJwt, "{name} {value}");
        assert_eq!(error.detail(), Some(format!("The claim {name} is of another type.").as_str()), "{name} {value}");
    }
    for number in ["1e400", "2e9", "-0", "2000000060.0", "99999999999999999999"] {
        let json = payload().to_string().replace(&(RULES.now + 60).to_string(), number);
        assert_eq!(code(signer.claims(&json)), ErrorCode::BadJwt, "{number}");
    }
}

#[test]
fn every_rule_has_its_own_error() {
    let signer = Signer::new();
    let now = RULES.now;
    for (name, value, wanted) in [
        ("iss", json!("https://db.example.com/"), Some(ErrorCode::BadJwtIssuer)),
        ("iss", json!(""), Some(ErrorCode::BadJwtIssuer)),
        ("aud", json!("anon"), Some(ErrorCode::BadJwtAudience)),
        ("aud", json!([]), Some(ErrorCode::BadJwtAudience)),
        ("aud", json!(["anon", "authenticated"]), None),
        ("exp", json!(now + 1), None),
        ("exp", json!(now), Some(ErrorCode::BadJwtExpired)),
        ("exp", json!(0), Some(ErrorCode::BadJwtExpired)),
        ("iat", json!(now + 5), None),
        ("iat", json!(now + 6), Some(ErrorCode::BadJwtNotYetValid)),
        ("nbf", json!(now + 5), None),
        ("nbf", json!(now + 6), Some(ErrorCode::BadJwtNotYetValid)),
    ] {
        let result = signer.claims(&with(name, value.clone()).to_string());
        assert_eq!(result.err().map(|error| error.code()), wanted, "{name} {value}");
    }
}

#[test]
fn claims_are_judged_only_after_the_signature() {
    let signer = Signer::new();
    for bad in [with("exp", json!(0)), with("iss", json!("x")), json!(null), json!({})] {
        let token = Signer::new().sign(&signer.header().to_string(), &bad.to_string());
        assert_eq!(code(signer.check(&token)), ErrorCode::BadJwtSignature);
    }
}

#[test]
fn a_cached_token_is_judged_again() {
    let claims = Signer::new().claims(&with("nbf", json!(RULES.now)).to_string()).unwrap();
    assert!(claims.recheck(&RULES).is_ok());
    for (rules, wanted) in [
        (Rules { now: RULES.now + 60, ..RULES }, ErrorCode::BadJwtExpired),
        (Rules { now: i64::MAX, ..RULES }, ErrorCode::BadJwtExpired),
        (Rules { now: RULES.now - 6, ..RULES }, ErrorCode::BadJwtNotYetValid),
        (Rules { now: RULES.now - 70, ..RULES }, ErrorCode::BadJwtNotYetValid),
        (Rules { now: i64::MIN, ..RULES }, ErrorCode::BadJwtNotYetValid),
        (Rules { issuer: "x", ..RULES }, ErrorCode::BadJwtIssuer),
        (Rules { audience: "x", ..RULES }, ErrorCode::BadJwtAudience),
    ] {
        assert_eq!(code(claims.recheck(&rules)), wanted, "{rules:?}");
    }
}

#[test]
fn errors_and_debug_show_nothing_of_the_token() {
    let signer = Signer::new();
    let token = signer.0.sign(&payload().to_string()).unwrap().0;
    assert_eq!(format!("{:?}", parse(token.expose()).unwrap()), "Unverified([redacted])");
    let marked = format!("{}.{}", "c2VjcmV0!", token.expose());
    for bad in [format!("c2VjcmV0!.{}", token.expose().split_once('.').unwrap().1), marked] {
        let error = format!("{:?}", parse(&bad).unwrap_err());
        assert!(!error.contains("c2VjcmV0") && !error.contains('!'), "{error}");
    }
}

/// Names that `serde_json` keeps for itself are names like any other: to every reader of the token, and to ourselves.
#[test]
fn no_member_of_a_token_is_taken_apart() {
    let signer = Signer::new();
    for name in ["$serde_json::private::Number", "$serde_json::private::RawValue"] {
        for value in [json!("1"), json!("[1,"), json!(7), json!({"a": [1]})] {
            let data: Value = [(name.to_owned(), value)].into_iter().collect();
            let mut payload = with("user_metadata", data.clone());
            payload["app_metadata"] = json!({ "deep": [data.clone()], "z": 1 });
            payload["act"] = json!({ "sub": "support@example.com" });
            let claims = signer.claims(&payload.to_string()).unwrap();
            assert_eq!(claims.act_sub().as_deref(), Some("support@example.com"), "{payload}");
            assert!(
                claims.jsonb.is_some_and(|jsonb| jsonb
                    .windows(name.len())
                    .filter(|bytes| *bytes == name.as_bytes())
                    .count()
                    == 2)
            );
            // A claim that must be a number is none for being called so within.
            let date = with("nbf", data);
            assert_eq!(code(signer.claims(&date.to_string())), ErrorCode::BadJwt, "{date}");
        }
        let twice = payload().to_string().replacen('{', &format!(r#"{{"{name}":1,"\u0024{}":1,"#, &name[1..]), 1);
        assert_eq!(code(signer.claims(&twice)), ErrorCode::BadJwt, "{twice}");
    }
}
