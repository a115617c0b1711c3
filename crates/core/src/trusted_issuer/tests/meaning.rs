//! What claims mean.

use super::*;

fn claims(kind: Kind, mapping: Value, changes: Value) -> Result<Claims> {
    let issuer = Issuer { mapping: Mapping::read(kind, &mapping)?, ..issuer(kind) };
    judged(&Signer::new(Algorithm::EdDsa, "k"), &issuer, &with(kind, changes))
}

#[test]
fn each_kind_has_words_of_its_own() {
    let of = |kind| claims(kind, json!({}), json!({})).unwrap();
    let authkit = of(Kind::Authkit);
    assert_eq!((authkit.subject.as_str(), authkit.sid.as_deref()), ("user_01A", Some("session_01A")));
    assert_eq!((authkit.began(), authkit.session_id()), (NOW - 900, None));
    assert_eq!(
        (authkit.organization.as_deref(), authkit.roles),
        (Some("org_acme"), vec!["admin".to_owned(), "member".into()])
    );
    assert_eq!((authkit.permissions, authkit.features), (vec!["todos:read".to_owned()], vec!["beta".to_owned()]));
    assert_eq!((authkit.groups, authkit.email), (vec![], None));
    let machine = of(Kind::AuthkitM2m);
    assert_eq!((machine.began(), machine.permissions), (NOW - 10, vec!["todos:read".to_owned(), "todos:write".into()]));
    let own = of(Kind::WorkosAuth);
    assert_eq!(own.session_id().map(|id| id.to_string()).as_deref(), Some("8c1f0a4e-0000-4000-8000-000000000002"));
    assert_eq!((own.email.as_deref(), own.roles), (None, vec!["admin".to_owned()]));
    let oidc = of(Kind::Oidc);
    assert_eq!((oidc.organization, oidc.roles, oidc.groups), (None, vec![], vec!["eng".to_owned()]));
}

#[test]
fn one_role_stands_for_several_where_there_is_no_list() {
    let roles = |changes| claims(Kind::Authkit, json!({}), changes).unwrap().roles;
    assert_eq!(roles(json!({ "roles": null })), ["admin"]);
    assert_eq!(roles(json!({ "roles": [] })), ["admin"]);
    assert_eq!(roles(json!({ "roles": ["member"] })), ["member"]);
    assert_eq!(roles(json!({ "roles": null, "role": null })), Vec::<String>::new());
}

#[test]
fn a_mapping_finds_claims_within_others() {
    let mapping = json!({
        "organization": ["tenant", "id"], "roles": ["realm_access", "roles"], "permissions": "scope", "groups": null,
        "features": "https://example.com/flags", "email": "upn",
    });
    let token = json!({
        "tenant": { "id": "org_keycloak" }, "realm_access": { "roles": ["a", "b"] }, "scope": "openid todos:read",
        "https://example.com/flags": "beta", "upn": "Ann@Example.com", "email_verified": true,
    });
    let claims = claims(Kind::Oidc, mapping.clone(), token).unwrap();
    assert_eq!((claims.organization.as_deref(), claims.groups), (Some("org_keycloak"), vec![]));
    assert_eq!(
        (claims.roles, claims.permissions),
        (vec!["a".to_owned(), "b".into()], vec!["openid".to_owned(), "todos:read".into()])
    );
    assert_eq!((claims.features, claims.email.as_deref()), (vec!["beta".to_owned()], Some("ann@example.com")));
    let bare = super::meaning::claims(Kind::Oidc, mapping, json!({ "tenant": "x", "realm_access": null })).unwrap();
    assert_eq!((bare.organization, bare.roles), (None, vec![]));
    for bad in [
        json!([]),
        json!({ "sub": "x" }),
        json!({ "database_role": "x" }),
        json!({ "roles": 1 }),
        json!({ "roles": "" }),
        json!({ "roles": [] }),
        json!({ "roles": ["a", 1] }),
        json!({ "roles": vec!["a"; 9] }),
        json!({ "roles": {} }),
    ] {
        assert_eq!(code(Mapping::read(Kind::Oidc, &bad)), ErrorCode::InvalidArgument, "{bad}");
    }
}

#[test]
fn an_address_counts_where_it_is_verified() {
    let email = |changes| claims(Kind::Authkit, json!({}), changes).unwrap().email;
    let ann = || Some("ann@acme.com".to_owned());
    assert_eq!(email(json!({ "email": "Ann@acme.com", "email_verified": true })), ann());
    for unsure in [json!(null), json!(false), json!("true"), json!(1)] {
        assert_eq!(email(json!({ "email": "ann@acme.com", "email_verified": unsure })), None, "{unsure}");
    }
    for none in [json!(""), json!("ann"), json!("ann@"), json!("a\u{200b}nn@acme.com")] {
        assert_eq!(email(json!({ "email": none, "email_verified": true })), None, "{none}");
    }
}

#[test]
fn claims_of_other_types_are_refused() {
    for (name, value) in [
        ("sub", json!("user_ä")),
        ("sub", json!(format!("user_{}", "a".repeat(300)))),
        ("sid", json!("a b")),
        ("org_id", json!(1)),
        ("org_id", json!("org acme")),
        ("roles", json!({})),
        ("roles", json!([1])),
        ("permissions", json!([null])),
        ("feature_flags", json!(true)),
        ("client_id", json!(1)),
    ] {
        let error = claims(Kind::Authkit, json!({}), json!({ name: value })).unwrap_err();
        assert_eq!(error.code(), ErrorCode::BadJwt, "{name} {value}");
        assert!(error.detail().is_some_and(|detail| !detail.contains("acme")), "{name}: {error:?}");
    }
    for absent in [json!(null), json!("")] {
        let claims = claims(Kind::Authkit, json!({}), json!({ "org_id": absent })).unwrap();
        assert_eq!(claims.organization, None);
    }
    assert_eq!(
        claims(Kind::Authkit, json!({}), json!({ "act": { "sub": "staff@workos.com" } })).unwrap().actor.as_deref(),
        Some("staff@workos.com")
    );
}
