#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use serde_json::json;

use super::*;
use crate::claims::{TokenSubject, amr};
use crate::token::{Algorithm, SigningKey};

fn raw(json: Value) -> Box<RawValue> {
    RawValue::from_string(json.to_string()).unwrap()
}

fn shown(user: &User) -> Value {
    serde_json::from_str(&user.to_json().unwrap()).unwrap()
}

const ROOMY: usize = 12 * 1024;

fn user() -> User {
    User {
        id: Uuid::from_u128(1),
        aud: "authenticated".into(),
        role: "authenticated".into(),
        email: None,
        phone: None,
        app_metadata: raw(json!({ "provider": "workos" })),
        user_metadata: raw(json!({})),
        is_anonymous: false,
        created_at: "2026-11-23T21:00:00.120000".into(),
        updated_at: "2026-11-23T21:00:00.000000".into(),
        email_confirmed_at: None,
        phone_confirmed_at: None,
        last_sign_in_at: None,
        banned_until: None,
        deleted_at: None,
        identities: vec![],
    }
}

#[test]
fn what_says_nothing_is_left_out_and_the_rest_is_always_there() {
    let expected = json!({
        "id": Uuid::from_u128(1), "aud": "authenticated", "role": "authenticated", "email": "", "phone": "",
        "app_metadata": { "provider": "workos" }, "user_metadata": {}, "identities": [],
        "created_at": "2026-11-23T21:00:00.12Z", "updated_at": "2026-11-23T21:00:00Z", "is_anonymous": false,
    });
    assert_eq!(shown(&user()), expected);
}

#[test]
fn a_user_with_everything_has_supabases_members() {
    let time = |second: u32| Some(format!("2026-11-23T21:00:{second:02}.000000"));
    let identity = Identity {
        id: Uuid::from_u128(2),
        provider_id: "prof_1".into(),
        provider: "workos".into(),
        email: "ada@example.com".into(),
        identity_data: raw(json!({ "sub": "prof_1" })),
        last_sign_in_at: time(1),
        created_at: time(2).unwrap(),
        updated_at: time(3).unwrap(),
    };
    let bare =
        Identity { email: String::new(), identity_data: raw(json!({})), last_sign_in_at: None, ..identity.clone() };
    let full = shown(&User {
        email: Some("ada@example.com".into()),
        phone: Some("49123".into()),
        email_confirmed_at: time(7),
        phone_confirmed_at: time(5),
        last_sign_in_at: time(8),
        banned_until: time(9),
        deleted_at: time(10),
        identities: vec![identity, bare],
        ..user()
    });
    for (name, value) in [
        ("email", "ada@example.com"),
        ("phone", "49123"),
        ("email_confirmed_at", "2026-11-23T21:00:07Z"),
        ("phone_confirmed_at", "2026-11-23T21:00:05Z"),
        ("confirmed_at", "2026-11-23T21:00:05Z"),
        ("last_sign_in_at", "2026-11-23T21:00:08Z"),
        ("banned_until", "2026-11-23T21:00:09Z"),
        ("deleted_at", "2026-11-23T21:00:10Z"),
    ] {
        assert_eq!(full[name], value, "{name}");
    }
    let common = json!({
        "identity_id": Uuid::from_u128(2), "id": "prof_1", "user_id": Uuid::from_u128(1), "provider": "workos",
        "created_at": "2026-11-23T21:00:02Z", "updated_at": "2026-11-23T21:00:03Z",
    });
    assert_eq!(full["identities"][1], common);
    let mut whole = common;
    whole["identity_data"] = json!({ "sub": "prof_1" });
    whole["last_sign_in_at"] = json!("2026-11-23T21:00:01Z");
    whole["email"] = json!("ada@example.com");
    assert_eq!(full["identities"][0], whole);
}

fn change(stored: Value, changes: Value) -> Result<Value> {
    change_metadata(&stored, changes, "{}", ROOMY)
}

#[test]
fn members_replace_those_of_their_name_and_null_removes() {
    let stored = json!({ "name": "Ada", "color": "red", "nested": { "a": 1, "b": 2 } });
    let changed =
        change(stored.clone(), json!({ "color": null, "nested": { "a": null }, "new": [1, null], "none": null }));
    assert_eq!(changed.unwrap(), json!({ "name": "Ada", "nested": { "a": null }, "new": [1, null] }));
    assert_eq!(change(stored.clone(), json!({})).unwrap(), stored);
    for odd in [json!(null), json!([1]), json!("text")] {
        assert_eq!(change(odd, json!({ "a": 1 })).unwrap(), json!({ "a": 1 }), "what is no object is replaced");
    }
    for refused in [json!(null), json!([]), json!("{}"), json!(1), json!(true)] {
        assert_eq!(change(stored.clone(), refused).unwrap_err().code(), ErrorCode::InvalidArgument);
    }
}

#[test]
fn four_kilobytes_are_the_most_unless_it_shrinks() {
    // {"a":""} are eight bytes.
    let of = |bytes: usize| json!({ "a": "x".repeat(bytes - 8) });
    assert!(change(json!({}), of(MAX_METADATA)).is_ok());
    let error = change(json!({}), of(MAX_METADATA + 1)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::UserMetadataTooLarge);
    assert!(error.detail().unwrap().contains("4097"), "{error:?}");
    // Bytes, not characters.
    assert!(change(json!({}), json!({ "a": "ü".repeat(MAX_METADATA / 2 - 3) })).is_err());
    // What somebody else has made too large may be made smaller, but no larger.
    assert!(change(of(9000), of(8000)).is_ok());
    assert!(change(of(8000), of(9000)).is_err());
    assert!(change(json!({ "a": "x".repeat(9000), "b": 1 }), json!({ "b": null })).is_ok());
}

#[test]
fn what_no_token_could_carry_is_refused() {
    let nested = |levels: usize| {
        let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        json!({ "a": serde_json::from_str::<Value>(&text).unwrap() })
    };
    // The parser takes 127 levels: those of the value, the object around it, and those of what it stands in.
    assert!(change(json!({}), nested(127 - 1 - WITHIN)).is_ok());
    assert_eq!(change(json!({}), nested(127 - WITHIN)).unwrap_err().code(), ErrorCode::InvalidArgument);
    assert!(change(json!({}), json!({ "a": "\0" })).is_err());
}

fn token(key: &SigningKey, user_metadata: &Value, groups: usize) -> (String, usize) {
    let claims = TokenSubject {
        user_id: Uuid::from_u128(1),
        session_id: Uuid::from_u128(2),
        issuer: "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6".into(),
        audience: "authenticated".into(),
        role: "authenticated".into(),
        email: Some("ada@example.com".into()),
        phone: None,
        app_metadata: json!({ "provider": "workos", "providers": ["workos"] }),
        user_metadata: user_metadata.clone(),
        auth_time: 1_800_000_000,
        issued_at: 1_800_000_000,
        expires_at: 1_800_003_600,
        amr: amr("oauth", 1_800_000_000),
        actor: None,
        organization_id: Some("org_1".into()),
        connection_id: Some("conn_1".into()),
        org_role: None,
        org_roles: vec![],
        groups: (0..groups).map(|group| format!("group:{group}")).collect(),
        permissions: vec![],
        claims_version: 0,
        roles_version: 0,
        is_anonymous: false,
    }
    .to_json();
    let length = key.sign(&claims).unwrap().0.expose().len();
    (claims, length)
}

#[test]
fn no_change_makes_the_next_token_too_large() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let stored = json!({ "name": "Ada" });
    for groups in [0, 100, 400] {
        let (claims, _) = token(&key, &stored, groups);
        for bytes in [0, 1, 2, 1000] {
            let changes = json!({ "bio": "x".repeat(bytes) });
            let mut changed = stored.clone();
            changed["bio"] = changes["bio"].clone();
            let (_, length) = token(&key, &changed, groups);
            let change = |room| change_metadata(&stored, changes.clone(), &claims, room);
            assert_eq!(change(length - 1).unwrap_err().code(), ErrorCode::TokenTooLarge, "{groups} {bytes}");
            assert!(change(length + 16).is_ok(), "{groups} {bytes}: the estimate is close");
        }
    }
    // One that is too large already may be made smaller.
    let (claims, length) = token(&key, &json!({ "bio": "x".repeat(3000) }), 400);
    let stored = json!({ "bio": "x".repeat(3000) });
    assert!(change_metadata(&stored, json!({ "bio": null }), &claims, length - 2000).is_ok());
    assert!(change_metadata(&stored, json!({ "more": 1 }), &claims, length - 2000).is_err());
}
