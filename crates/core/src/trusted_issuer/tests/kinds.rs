//! Which token is whose: of every issuer, key set and kind only those together that belong together.

use super::*;

/// Four issuers with a key each, all of one `kid`, and each issuer's own good token. What anybody signs for anybody is refused by all but the
/// one that it is for, with the key that signed it and of the kind that is trusted.
#[test]
fn only_the_diagonal_passes() {
    let signers: Vec<Signer> = [Algorithm::Es256, Algorithm::Rs256, Algorithm::Ps256, Algorithm::EdDsa]
        .into_iter()
        .map(|algorithm| Signer::new(algorithm, "same"))
        .collect();
    let mut passed = 0;
    for (by, signer) in signers.iter().enumerate() {
        for (of, &made_as) in Kind::ALL.iter().enumerate() {
            for (trusted, &kind) in Kind::ALL.iter().enumerate() {
                for (with_key, other) in signers.iter().enumerate() {
                    let name = format!("signed by {by}, made as {of}, trusted as {trusted}, key of {with_key}");
                    // It says that it is of the issuer that is trusted, and all that this one looks at.
                    let mut token = payload(made_as);
                    let issuer = issuer(kind);
                    token["iss"] = json!(issuer.name);
                    token["aud"] = json!("authenticated");
                    token["client_id"] = json!(CLIENT);
                    let text = signer.sign(&token);
                    let result = parse(&text).unwrap().verify(&issuer, &other.key(), NOW, 0);
                    let expected = if by != with_key {
                        Some(ErrorCode::BadJwtAlgorithm)
                    } else if of != trusted && !(kind == Kind::Oidc && made_as != Kind::AuthkitM2m) {
                        Some(ErrorCode::WrongTokenKind)
                    } else {
                        // Of an OpenID provider any person's token is one, if that has signed it.
                        None
                    };
                    assert_eq!(result.map(drop).err().map(|error| error.code()), expected, "{name}");
                    passed += usize::from(expected.is_none());

                    // The token of another issuer is refused before anything else.
                    if of != trusted {
                        let text = signer.sign(&payload(made_as));
                        let result = parse(&text).unwrap().verify(&issuer, &other.key(), NOW, 0);
                        assert_eq!(code(result), ErrorCode::BadJwtIssuer, "{name}");
                    }
                }
            }
        }
    }
    // Each signer: four of their own kind, and two that an OpenID provider may have signed as well.
    assert_eq!(passed, 4 * (4 + 2));
}

#[test]
fn two_keys_of_one_kid_and_algorithm_are_two_keys() {
    let (one, other) = (Signer::new(Algorithm::Es256, "same"), Signer::new(Algorithm::Es256, "same"));
    let text = one.sign(&payload(Kind::Authkit));
    assert!(parse(&text).unwrap().verify(&issuer(Kind::Authkit), &one.key(), NOW, 0).is_ok());
    let result = parse(&text).unwrap().verify(&issuer(Kind::Authkit), &other.key(), NOW, 0);
    assert_eq!(code(result), ErrorCode::BadJwtSignature);
    let other = Signer::new(Algorithm::Es256, "other");
    let result = parse(&text).unwrap().verify(&issuer(Kind::Authkit), &other.key(), NOW, 0);
    assert_eq!(code(result), ErrorCode::BadJwtKey);
}

#[test]
fn a_token_of_another_kind_is_refused_by_name() {
    let signer = Signer::new(Algorithm::Es256, "k");
    for (kind, what, changes) in [
        (Kind::Authkit, "no session", json!({ "sid": null })),
        (Kind::Authkit, "an empty session", json!({ "sid": "" })),
        (Kind::Authkit, "a session that is a number", json!({ "sid": 1 })),
        (Kind::Authkit, "nobody signed in", json!({ "auth_time": null })),
        (Kind::Authkit, "a time as text", json!({ "auth_time": "1" })),
        (Kind::Authkit, "an agent", json!({ "sub_profile": "agent" })),
        (Kind::Authkit, "a profile that is no text", json!({ "sub_profile": ["user"] })),
        (Kind::Authkit, "a widget", json!({ "sub_type": "widget" })),
        (Kind::Authkit, "a machine", json!({ "sub": "client_01" })),
        (Kind::AuthkitM2m, "a person", json!({ "sub": "user_01" })),
        (Kind::AuthkitM2m, "a person's session", json!({ "sid": "session_01" })),
        (Kind::WorkosAuth, "a visitor", json!({ "sub": null, "session_id": null })),
        (Kind::WorkosAuth, "no session", json!({ "session_id": "session_01" })),
        (Kind::WorkosAuth, "no uuid", json!({ "sub": "user_01" })),
        (Kind::Oidc, "a logout token", json!({ "events": {} })),
        (Kind::Oidc, "a machine", json!({ "client_id": "248289761001" })),
        (Kind::Oidc, "a machine", json!({ "azp": "248289761001" })),
        (Kind::Oidc, "an application", json!({ "idtyp": "app" })),
        (Kind::Oidc, "client credentials", json!({ "gty": "client-credentials" })),
    ] {
        let error = judged(&signer, &issuer(kind), &with(kind, changes)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::WrongTokenKind, "{}: {what}", kind.as_str());
        assert!(error.detail().is_some_and(|detail| detail.ends_with('.')), "{what}");
    }
    assert!(judged(&signer, &issuer(Kind::Authkit), &with(Kind::Authkit, json!({ "sub_profile": "user" }))).is_ok());
}

#[test]
fn a_token_for_another_application_is_refused() {
    let signer = Signer::new(Algorithm::Es256, "k");
    let refused = |issuer: &Issuer, changes: Value| {
        code(judged(&signer, issuer, &with(issuer.kind, changes))) == ErrorCode::BadJwtAudience
    };
    let authkit = issuer(Kind::Authkit);
    assert!(refused(&authkit, json!({ "client_id": "client_02" })));
    assert!(refused(&authkit, json!({ "client_id": null })));
    assert!(refused(&authkit, json!({ "azp": "client_02" })));
    assert!(refused(&authkit, json!({ "client_id": null, "aud": [CLIENT, "other"] })));
    assert!(judged(&signer, &authkit, &with(Kind::Authkit, json!({ "client_id": null, "aud": CLIENT }))).is_ok());
    let authkit = Issuer { audience: Some("api".into()), ..authkit };
    assert!(refused(&authkit, json!({})));
    assert!(judged(&signer, &authkit, &with(Kind::Authkit, json!({ "aud": ["api"] }))).is_ok());

    let oidc = issuer(Kind::Oidc);
    for aud in [json!(null), json!("other"), json!([]), json!("authenticated "), json!(["AUTHENTICATED"])] {
        assert!(refused(&oidc, json!({ "aud": aud })), "{aud}");
    }
    assert_eq!(code(judged(&signer, &oidc, &with(Kind::Oidc, json!({ "aud": 1 })))), ErrorCode::BadJwt);
    let oidc = Issuer { audience: None, client_id: Some("app".into()), ..oidc };
    assert!(refused(&oidc, json!({})));
    assert!(judged(&signer, &oidc, &with(Kind::Oidc, json!({ "aud": "app" }))).is_ok());
    assert!(judged(&signer, &oidc, &with(Kind::Oidc, json!({ "azp": "app" }))).is_ok());
    assert!(refused(&oidc, json!({ "aud": "app", "azp": "other" })));
    assert!(refused(&oidc, json!({ "azp": "app", "client_id": "other" })));
}

#[test]
fn an_issuer_says_enough() {
    let refused = |issuer: Issuer| code(issuer.check()) == ErrorCode::InvalidArgument;
    for &kind in Kind::ALL {
        assert_eq!(issuer(kind).check(), Ok(()), "{}", kind.as_str());
        assert!(refused(Issuer { audience: None, client_id: None, ..issuer(kind) }), "{}", kind.as_str());
        for name in ["", "example", "https://a b", "https://ä", &format!("https://{}", "a".repeat(500))] {
            assert!(refused(Issuer { name: name.to_owned(), ..issuer(kind) }), "{name}");
        }
        assert!(refused(Issuer { audience: Some(String::new()), ..issuer(kind) }));
        assert_eq!(Kind::parse(kind.as_str()), Ok(kind));
    }
    assert_eq!(code(Kind::parse("Authkit")), ErrorCode::InvalidArgument);
    for uri in ["https://a.example/jwks?x=1", "http://127.0.0.1:1/jwks", "http://localhost/"] {
        assert_eq!(check_jwks_uri(uri), Ok(()), "{uri}");
    }
    for uri in [
        "",
        "a",
        "file:///etc/passwd",
        "http://example.com/",
        "https://u:p@example.com/",
        "https://a/#f",
        "https://a b/",
    ] {
        assert_eq!(code(check_jwks_uri(uri)), ErrorCode::InvalidArgument, "{uri}");
    }
    assert!(is_below("https://api.workos.com/sso/jwks/x", "https://api.workos.com"));
    assert!(!is_below("https://api.workos.com.evil.example/", "https://api.workos.com"));
    assert!(!is_below("https://api.workos.com@evil.example/", "https://api.workos.com"));
}
