#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use jsonwebtoken::jwk::{Jwk, ThumbprintHash};

use super::*;

mod rsa;
mod wycheproof;

/// The key of RFC 9449 (DPoP), section 4.1, whose thumbprint stands in its section 6.1.
const RFC_9449: (&str, &str) =
    ("l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs", "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA");

fn with(member: &str, value: Value) -> Value {
    let mut jwk = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    jwk[member] = value;
    jwk
}

#[test]
fn the_thumbprint_is_that_of_rfc_7638() {
    let numbers = Numbers::Ec { x: RFC_9449.0.into(), y: RFC_9449.1.into() };
    assert_eq!(numbers.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
}

#[test]
fn a_kid_is_the_thumbprint_that_others_compute() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let witness: Jwk = serde_json::from_value(key.public_jwk()).unwrap();
    assert_eq!(witness.thumbprint(ThumbprintHash::SHA256), key.kid());
    assert_eq!(witness.common.key_id.as_deref(), Some(key.kid()));
    assert_ne!(SigningKey::generate(Algorithm::Es256).unwrap().kid(), key.kid());
}

#[test]
fn a_key_survives_pkcs8() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let document = key.to_pkcs8();
    let again = SigningKey::from_pkcs8(document.expose()).unwrap();
    assert_eq!(again.public_jwk(), key.public_jwk());
    let length = document.expose().len();
    for bad in [&[][..], &document.expose()[..length - 1], &[0; 64]] {
        assert_eq!(SigningKey::from_pkcs8(bad).unwrap_err().code(), ErrorCode::Unexpected);
    }
    let p384 = aws_lc_rs::signature::EcdsaKeyPair::generate(&aws_lc_rs::signature::ECDSA_P384_SHA384_FIXED_SIGNING);
    let p384 = p384.unwrap().to_pkcs8v1().unwrap();
    assert!(SigningKey::from_pkcs8(p384.as_ref()).is_err());
}

#[test]
fn the_public_jwk_holds_what_supabase_publishes_and_no_more() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let jwk = key.public_jwk();
    let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "crv", "key_ops", "kid", "kty", "use", "x", "y"]);
    assert_eq!(jwk["key_ops"], json!(["verify"]));
    let public = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!((public.kid(), public.algorithm()), (key.kid(), Algorithm::Es256));
    assert_eq!(format!("{key:?}"), format!("SigningKey({}, [redacted])", key.kid()));
}

#[test]
fn other_jwks_are_refused_by_member() {
    for (member, value) in [
        ("kty", json!("OKP")),
        ("kty", json!("oct")),
        ("crv", json!("P-384")),
        ("crv", Value::Null),
        ("alg", json!("HS256")),
        ("alg", json!("none")),
        ("alg", Value::Null),
        ("use", json!("enc")),
        ("key_ops", json!(["sign"])),
        ("key_ops", json!("verify")),
        ("d", json!("AAAA")),
        ("kid", json!("")),
        ("kid", json!("k".repeat(201))),
        ("kid", json!(1)),
        ("x", json!("AAAA")),
        ("x", json!(format!("{}=", RFC_9449.0))),
        ("y", json!("9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRD!")),
        ("y", Value::Null),
    ] {
        let error = PublicKey::from_jwk(&with(member, value.clone())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unexpected);
        assert!(error.detail().unwrap().ends_with(&format!("see {member}.")), "{member} {value}: {error:?}");
    }
    for jwk in [Value::Null, json!([]), json!("EC"), json!({})] {
        assert!(PublicKey::from_jwk(&jwk).is_err());
    }
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let key = with("x", json!(RFC_9449.0));
    assert!(PublicKey::from_jwk(&key).unwrap_err().detail().unwrap().contains("x and y"));
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": zero, "y": zero, "kid": "zero" });
    assert!(PublicKey::from_jwk(&jwk).is_err());
}

#[test]
fn members_that_may_be_absent_may_be_absent() {
    let jwk = json!({ "kty": "EC", "crv": "P-256", "x": RFC_9449.0, "y": RFC_9449.1, "kid": "dpop" });
    assert_eq!(PublicKey::from_jwk(&jwk).unwrap().kid(), "dpop");
}

#[test]
fn a_key_set_never_shows_private_members() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    let leaky = with("d", json!("secret"));
    let set = jwks([&key, &leaky].into_iter());
    assert_eq!(set["keys"][0], key);
    assert_eq!(set["keys"][1]["x"], leaky["x"]);
    assert_eq!(set["keys"][1].get("d"), None);
    assert!(serde_json::from_value::<jsonwebtoken::jwk::JwkSet>(set).is_ok());
    assert_eq!(jwks(std::iter::empty()), json!({ "keys": [] }));
}

#[test]
fn algorithms_are_named_exactly() {
    assert_eq!(Algorithm::parse("ES256"), Some(Algorithm::Es256));
    assert_eq!(Algorithm::parse("RS256"), Some(Algorithm::Rs256));
    for name in ["es256", "ES384", "HS256", "RS512", "PS256", "none", "", "ES256 "] {
        assert_eq!(Algorithm::parse(name), None);
    }
}
