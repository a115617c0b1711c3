//! Keys of visitors.

use std::time::Duration;

use super::*;

const RULES: Rules<'static> =
    Rules { issuer: "https://db.example.com", audience: "authenticated", now: 1000, expired_for: 0 };

fn key() -> VisitorKey<'static> {
    VisitorKey { issuer: RULES.issuer, audience: RULES.audience, role: "anon", issued_at: 1000, expires_at: 2000 }
}

fn verified(payload: &str, now: i64) -> Result<Bearer> {
    let signing = SigningKey::generate(Algorithm::Es256).unwrap();
    let public = PublicKey::from_jwk(&signing.public_jwk()).unwrap();
    let (token, _) = signing.sign(payload).unwrap();
    parse(token.expose()).unwrap().verify_bearer(None, &public, &Rules { now, ..RULES })
}

#[test]
fn a_visitors_key_is_nobodys_token() {
    match verified(&key().to_json(), 1000).unwrap() {
        Bearer::Visitor(visitor) => assert_eq!(visitor.role, "anon"),
        bearer => panic!("{bearer:?}"),
    }
    let signing = SigningKey::generate(Algorithm::Es256).unwrap();
    let public = PublicKey::from_jwk(&signing.public_jwk()).unwrap();
    let (token, own) = signing.sign(&key().to_json()).unwrap();
    let error = parse(token.expose()).unwrap().verify_own(Some(&own), &public, &RULES).unwrap_err();
    assert_eq!(error.code(), ErrorCode::NoAuthorization);
    assert!(error.detail().unwrap().contains("visitor"));
}

#[test]
fn it_is_compared_with_the_same_rules() {
    let code = |key: VisitorKey<'_>, now| verified(&key.to_json(), now).unwrap_err().code();
    assert_eq!(code(key(), 2000), ErrorCode::BadJwtExpired);
    assert_eq!(code(key(), 900), ErrorCode::BadJwtNotYetValid);
    assert_eq!(code(VisitorKey { issuer: "x", ..key() }, 1000), ErrorCode::BadJwtIssuer);
    assert_eq!(code(VisitorKey { audience: "x", ..key() }, 1000), ErrorCode::BadJwtAudience);
}

/// A token that names somebody, or a session, or has another member of another type, is no visitor's.
#[test]
fn half_a_persons_token_is_neither() {
    for extra in [r#""sub":null"#, r#""session_id":"x""#, r#""sub":"8c1f0a4e-0000-4000-8000-000000000001""#] {
        let payload = key().to_json().replace('{', &format!("{{{extra},"));
        assert_eq!(verified(&payload, 1000).unwrap_err().code(), ErrorCode::BadJwt, "{payload}");
    }
    for payload in [key().to_json().replace(r#""anon""#, "7"), r#"{"role":"anon"}"#.to_owned(), "{}".to_owned()] {
        assert_eq!(verified(&payload, 1000).unwrap_err().code(), ErrorCode::BadJwt, "{payload}");
    }
}

#[test]
fn a_key_lasts_as_long_as_asked() {
    let day = 86_400_000_000;
    assert_eq!(visitor_lifetime(365 * day), Ok(Duration::from_secs(365 * 86400)));
    assert_eq!(visitor_lifetime(3650 * day), Ok(Duration::from_secs(3650 * 86400)));
    for asked in [0, 999_999, -day, 3650 * day + 1, i128::MAX, i128::MIN] {
        assert_eq!(visitor_lifetime(asked).unwrap_err().code(), ErrorCode::InvalidArgument, "{asked}");
    }
}
