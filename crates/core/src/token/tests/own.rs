//! Tokens that were signed here need no check of their signature, and every other check.

use super::*;

/// A token whose signature is wrong, with a proof that says it is ours: what only a break of the type could make.
fn without_signature(signer: &Signer, payload: &Value) -> (String, Own) {
    let (token, _) = signer.0.sign(&payload.to_string()).unwrap();
    let (signed, _) = token.expose().rsplit_once('.').unwrap();
    let unsigned = format!("{signed}.{}", URL_SAFE_NO_PAD.encode([1; 64]));
    let own = Own::dangerous(&unsigned, signer.0.kid());
    (unsigned, own)
}

fn check(token: &str, own: &Own, key: &PublicKey, rules: &Rules<'_>) -> Result<Claims> {
    parse(token)?.verify_own(Some(own), key, rules)
}

#[test]
fn the_proof_stands_for_the_signature() {
    let signer = Signer::new();
    let (token, own) = signer.0.sign(&payload().to_string()).unwrap();
    assert_eq!(own.token(), Hashed::new(token.expose()).hash());
    assert_eq!(check(token.expose(), &own, &signer.1, &RULES).unwrap().json, payload().to_string());
    let (unsigned, own) = without_signature(&signer, &payload());
    assert!(check(&unsigned, &own, &signer.1, &RULES).is_ok(), "the signature was looked at");
    assert_eq!(code(signer.check(&unsigned)), ErrorCode::BadJwtSignature);
}

#[test]
fn the_proof_of_another_token_or_key_proves_nothing() {
    let (signer, other) = (Signer::new(), Signer::new());
    let (unsigned, _) = without_signature(&signer, &payload());
    let (good, own) = signer.0.sign(&payload().to_string()).unwrap();
    assert_eq!(code(check(&unsigned, &own, &signer.1, &RULES)), ErrorCode::BadJwtSignature);
    // It is no error either: the signature is checked.
    let (_, foreign) = other.0.sign(&payload().to_string()).unwrap();
    assert!(check(good.expose(), &foreign, &signer.1, &RULES).is_ok());

    // Another key that was given the name of ours.
    let mut jwk = other.0.public_jwk();
    jwk["kid"] = json!(signer.0.kid());
    let renamed = PublicKey::from_jwk(&jwk).unwrap();
    assert_eq!(code(check(good.expose(), &own, &renamed, &RULES)), ErrorCode::BadJwtSignature);
    assert_eq!(code(check(good.expose(), &own, &other.1, &RULES)), ErrorCode::BadJwtKey);
}

#[test]
fn whatever_else_is_wrong_with_a_token_is_found() {
    let signer = Signer::new();
    for (claims, rules, expected) in [
        (with("exp", json!(RULES.now)), RULES, ErrorCode::BadJwtExpired),
        (with("iat", json!(RULES.now + 6)), RULES, ErrorCode::BadJwtNotYetValid),
        (payload(), Rules { issuer: "https://other.example.com", ..RULES }, ErrorCode::BadJwtIssuer),
        (payload(), Rules { audience: "other", ..RULES }, ErrorCode::BadJwtAudience),
        (with("sub", json!(1)), RULES, ErrorCode::BadJwt),
    ] {
        let (token, own) = signer.0.sign(&claims.to_string()).unwrap();
        assert_eq!(code(check(token.expose(), &own, &signer.1, &rules)), expected);
    }
}
