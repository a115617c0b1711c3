//! Key sets, good and bad.

use super::*;

fn set(keys: &[Value]) -> String {
    json!({ "keys": keys }).to_string()
}

fn kids(text: &str) -> Vec<String> {
    read_jwks(text).unwrap().iter().map(|key| key.kid().to_owned()).collect()
}

fn changed(jwk: &Value, member: &str, value: Value) -> Value {
    let mut jwk = jwk.clone();
    match value {
        Value::Null => drop(jwk.as_object_mut().unwrap().remove(member)),
        value => jwk[member] = value,
    }
    jwk
}

#[test]
fn keys_of_all_algorithms_are_read_and_kept_without_what_is_not_needed() {
    let all = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa];
    let keys: Vec<Value> = all
        .iter()
        .map(|&algorithm| {
            let jwk = Signer::new(algorithm, algorithm.as_str()).jwk();
            changed(&changed(&jwk, "x5c", json!(["MIIB"])), "use", json!("sig"))
        })
        .collect();
    for key in read_jwks(&set(&keys)).unwrap() {
        assert_eq!(key.kid(), key.algorithm().as_str());
        assert_eq!(key.jwk().get("x5c"), None);
        // What is kept makes the same key.
        let again = IssuerKey::from_jwk(key.jwk()).unwrap();
        assert_eq!((again.jwk(), again.algorithm()), (key.jwk(), key.algorithm()));
    }
}

/// RFC 7517, section 5: what is not understood is ignored.
#[test]
fn what_is_for_something_else_is_passed_over() {
    let good = Signer::new(Algorithm::Es256, "good").jwk();
    let rsa = Signer::new(Algorithm::Rs256, "rsa").jwk();
    for (what, other) in [
        ("for encryption", changed(&rsa, "use", json!("enc"))),
        ("for encryption", changed(&rsa, "key_ops", json!(["encrypt"]))),
        ("another algorithm", changed(&rsa, "alg", json!("RS384"))),
        ("another algorithm", changed(&rsa, "alg", json!("RSA-OAEP"))),
        ("another curve's algorithm", changed(&rsa, "alg", json!("ES256"))),
        ("no text", changed(&rsa, "alg", json!(1))),
        ("another curve", json!({ "kty": "EC", "crv": "P-384", "kid": "x", "x": "AA", "y": "AA" })),
        ("another curve", json!({ "kty": "OKP", "crv": "X25519", "kid": "x", "x": "AA" })),
        ("another type", json!({ "kty": "AKP", "kid": "x" })),
        ("no type", json!({ "kid": "x" })),
        ("no key", json!(1)),
        ("no kid", changed(&rsa, "kid", Value::Null)),
        ("an empty kid", changed(&rsa, "kid", json!(""))),
        ("a long kid", changed(&rsa, "kid", json!("k".repeat(201)))),
    ] {
        assert_eq!(kids(&set(&[other.clone(), good.clone()])), ["good"], "{what}");
        assert_eq!(code(read_jwks(&set(&[other]))), ErrorCode::JwksInvalid, "{what}, alone");
    }
    // Without alg a key of RSA is one of RS256.
    let bare = changed(&rsa, "alg", Value::Null);
    assert_eq!(read_jwks(&set(&[bare])).unwrap()[0].algorithm(), Algorithm::Rs256);
}

#[test]
fn a_set_with_one_bad_key_is_refused() {
    let good = Signer::new(Algorithm::Es256, "good").jwk();
    let rsa = Signer::new(Algorithm::Rs256, "rsa").jwk();
    let ed = Signer::new(Algorithm::EdDsa, "ed").jwk();
    let small = aws_lc_rs::rand::generate::<[u8; 128]>(&SystemRandom::new()).unwrap().expose();
    let small = URL_SAFE_NO_PAD.encode([&[0x80], &small[1..]].concat());
    let bytes = URL_SAFE_NO_PAD.decode(rsa["n"].as_str().unwrap()).unwrap();
    let padded = URL_SAFE_NO_PAD.encode([&[0], &bytes[..]].concat());
    let mut cases = vec![
        ("symmetric", json!({ "kty": "oct", "kid": "x", "k": "c2VjcmV0" })),
        ("symmetric, without its secret", json!({ "kty": "oct", "kid": "x" })),
        ("1,024 bits", changed(&rsa, "n", json!(small))),
        ("a modulus with zeros", changed(&rsa, "n", json!(padded))),
        ("8,200 bits", changed(&rsa, "n", json!(URL_SAFE_NO_PAD.encode([0x81; 1025])))),
        ("no modulus", changed(&rsa, "n", Value::Null)),
        ("a point that is none", changed(&good, "y", json!(URL_SAFE_NO_PAD.encode([1; 32])))),
        ("a short coordinate", changed(&good, "x", json!("AA"))),
        ("padding", changed(&good, "x", json!(format!("{}=", good["x"].as_str().unwrap())))),
        ("a short point", changed(&ed, "x", json!("AA"))),
    ];
    for exponent in [&[][..], &[0], &[1], &[3], &[1, 0, 0], &[0, 1, 0, 1], &[1, 0, 1, 1], &[0xff; 32]] {
        cases.push(("an exponent", changed(&rsa, "e", json!(URL_SAFE_NO_PAD.encode(exponent)))));
    }
    for private in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        cases.push(("a private member", changed(&rsa, private, json!("AQAB"))));
        cases.push(("a private member", changed(&good, private, json!(""))));
    }
    for (what, bad) in cases {
        let Err(error) = read_jwks(&set(&[good.clone(), bad.clone()])) else { panic!("{what}: {bad}") };
        assert_eq!(error.code(), ErrorCode::JwksInvalid, "{what}: {bad}");
        // No part of a key is shown, which may be a secret.
        let detail = error.detail().unwrap_or_default();
        assert!(
            detail.starts_with("Key 2 ") && !detail.contains("AQAB") && !detail.contains("c2Vj"),
            "{what}: {detail}"
        );
    }
}

#[test]
fn a_set_that_is_none_or_too_large_is_refused() {
    let good = Signer::new(Algorithm::Es256, "good").jwk();
    let renamed = changed(&good, "kid", json!("other"));
    assert_eq!(kids(&set(&[good.clone(), renamed])), ["good", "other"]);
    let many = |count: usize| set(&(0..count).map(|n| changed(&good, "kid", json!(n.to_string()))).collect::<Vec<_>>());
    assert_eq!(kids(&many(MAX_KEYS)).len(), MAX_KEYS);
    let ten_thousand = format!("{{\"keys\":[{}]}}", vec!["{}"; 10_000].join(","));
    for (what, text) in [
        ("two of one kid", set(&[good.clone(), good.clone()])),
        ("no keys", set(&[])),
        ("no list", json!({ "keys": good }).to_string()),
        ("a key", good.to_string()),
        ("a list", json!([good]).to_string()),
        ("no JSON", "<html>".to_owned()),
        ("nothing", String::new()),
        ("101 keys", many(MAX_KEYS + 1)),
        ("10,000 keys", ten_thousand),
        ("1 MB", set(&[changed(&good, "x5c", json!("A".repeat(1 << 20)))])),
    ] {
        assert_eq!(code(read_jwks(&text)), ErrorCode::JwksInvalid, "{what}");
    }
}
