//! The forms that profiles come in: those that WorkOS's SDKs expect, and those that a mapping at an identity provider makes.

use super::*;

/// As the SDKs of WorkOS know profiles: what each language's tests and types have, in our own words.
fn shapes_of_the_sdks() -> Vec<(&'static str, Value)> {
    let with = |changes: Value| {
        let mut profile = json!({
            "object": "profile", "id": "prof_01", "connection_id": "conn_01", "connection_type": "OktaSAML", "email": "ada@acme.example",
        });
        for (name, value) in changes.as_object().unwrap() {
            match value {
                Value::String(text) if text == "(absent)" => drop(profile.as_object_mut().unwrap().remove(name)),
                value => profile[name] = value.clone(),
            }
        }
        profile
    };
    vec![
        ("node: no more than it must have", with(json!({}))),
        (
            "node: all that is known",
            with(json!({
                "organization_id": "org_01", "idp_id": "00u1", "first_name": "Ada", "last_name": "Lovelace", "name": "Ada Lovelace",
                "role": {"slug": "admin"}, "roles": [{"slug": "admin"}], "groups": ["Engineers"], "custom_attributes": {"team": "engines"},
                "raw_attributes": {"email": "ada@acme.example"},
            })),
        ),
        ("node: names are null", with(json!({"first_name": null, "last_name": null, "name": null}))),
        ("node: no role and no groups", with(json!({"role": null, "roles": null, "groups": null}))),
        ("node: without object", with(json!({"object": "(absent)", "raw_attributes": {}}))),
        (
            "node: attributes of any type",
            with(json!({"custom_attributes": {"n": 1, "ok": true, "list": ["a", 2], "none": null}})),
        ),
        ("python: organization is null", with(json!({"organization_id": null, "connection_type": "GoogleOAuth"}))),
        ("python: raw attributes are null", with(json!({"raw_attributes": null}))),
        ("python: roles of several", with(json!({"roles": [{"slug": "admin"}, {"slug": "member"}]}))),
        ("python: an unknown connection type", with(json!({"connection_type": "BrandNewSAML"}))),
        ("ruby: names are empty", with(json!({"first_name": "", "last_name": ""}))),
        (
            "ruby: raw attributes as an identity provider sends them",
            with(json!({"raw_attributes": {
                "id": "00u1", "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress": "ada@acme.example", "groups": ["a", "b"],
            }})),
        ),
        (
            "ruby: groups are no member",
            with(json!({"idp_id": "116485463307139932699", "raw_attributes": {"hd": "acme.example"}})),
        ),
        ("go: idp_id is empty", with(json!({"idp_id": "", "organization_id": ""}))),
        (
            "go: groups are empty",
            with(json!({"groups": [], "roles": [], "custom_attributes": {}, "raw_attributes": {}})),
        ),
        ("go: a role without more", with(json!({"organization_id": "org_01", "role": {"slug": "member"}}))),
        ("php: connection types in words", with(json!({"connection_type": "Azure SAML"}))),
        ("php: a name in UTF-8", with(json!({"first_name": "Zoë", "last_name": "Čapek 山田"}))),
        (
            "java: a role with a name",
            with(json!({"role": {"slug": "admin", "name": "Administrator", "object": "role"}})),
        ),
        (
            "java: members that nobody knows yet",
            with(json!({"locale": "en", "external_id": null, "metadata": {"a": 1}})),
        ),
        (
            "kotlin: connection type is pending",
            with(json!({"connection_type": "Pending", "raw_attributes": {"nested": {"a": [1]}}})),
        ),
        (".net: an address in capitals", with(json!({"email": "ADA@ACME.EXAMPLE"}))),
        (
            ".net: dates beside it",
            with(json!({"created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z"})),
        ),
        (
            "elixir: the state of the connection",
            with(json!({"state": "active", "domains": [{"id": "d", "domain": "acme.example"}]})),
        ),
        (
            "rust: oauth, and no organization",
            with(json!({"connection_type": "MicrosoftOAuth", "organization_id": null, "idp_id": "AAAA-1"})),
        ),
        (
            "test provider",
            with(json!({"connection_type": "TestIdp", "organization_id": "org_test_idp", "idp_id": "test"})),
        ),
        ("without an address", with(json!({"email": "(absent)"}))),
        ("without an id", with(json!({"id": "(absent)"}))),
    ]
}

#[test]
fn the_profiles_of_the_sdks_sign_in_but_those_without_address_or_id() {
    let shapes = shapes_of_the_sdks();
    assert_eq!(shapes.len(), 28);
    for (name, profile) in shapes {
        let read = parse_json(&json!({"access_token": "t", "profile": profile}));
        match name.starts_with("without") {
            true => assert_eq!(code_of(read), ErrorCode::WorkosProfileIncomplete, "{name}"),
            false => {
                let answer = read.unwrap_or_else(|error| panic!("{name}: {error:?}"));
                assert_eq!(answer.left_out, [], "{name}");
            }
        }
    }
}

/// Values of every type, and at the edges.
fn values() -> Vec<Value> {
    let huge: Value = serde_json::from_str("1e200000").unwrap();
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!(-1.5),
        json!(""),
        json!(" "),
        json!("text"),
        json!("a\u{0}b"),
        json!("tab\tand\nline"),
        json!("x".repeat(10_000)),
        json!([]),
        json!(["text"]),
        json!(["a\u{0}"]),
        json!([[1]]),
        json!({}),
        json!({"a": 1}),
        json!({"a": "b\u{0}"}),
        json!({"a\u{0}": 1}),
        json!({"n": huge}),
        huge,
    ]
}

#[test]
fn what_no_sign_in_stands_on_never_refuses_one() {
    for member in [
        "first_name",
        "last_name",
        "name",
        "connection_type",
        "idp_id",
        "raw_attributes",
        "custom_attributes",
        "novel",
        "new\u{0}ly",
    ] {
        for value in values() {
            let shown: String = value.to_string().chars().take(60).collect();
            let read = parse_json(&with(member, Some(value)));
            let answer = read.unwrap_or_else(|error| panic!("{member} {shown}: {error:?}"));
            let kept = crate::callback::kept(&crate::callback::keep(&answer).unwrap()).unwrap();
            assert_eq!(kept.profile, answer.profile, "{member} {shown}");
            let stored = crate::metadata::identity_data(&answer.profile, "https://api.workos.com");
            assert!(crate::jsonb::fits(&stored), "{member} {shown}");
            for left_out in &answer.left_out {
                assert!(left_out.0.contains(member) && !left_out.0.contains('\0'), "{member} {shown}: {left_out:?}");
            }
        }
        let missing = with(member, None);
        assert_eq!(parse_json(&missing).unwrap_or_else(|error| panic!("{member}: {error:?}")).left_out, [], "{member}");
    }
}

#[test]
fn it_is_kept_where_it_fits() {
    let profile = |member, value| parse_json(&with(member, Some(value))).unwrap();
    assert_eq!(profile("idp_id", json!(4711)).profile.idp_id.as_deref(), Some("4711"));
    assert_eq!(profile("first_name", json!(7)).profile.first_name.as_deref(), Some("7"));
    for (member, value) in
        [("first_name", json!(["Ada"])), ("name", json!("n".repeat(10_000))), ("last_name", json!("a\u{0}"))]
    {
        let read = profile(member, value);
        assert_eq!(serde_json::to_value(&read.profile).unwrap()[member], Value::Null, "{member}");
        let [left_out] = &read.left_out[..] else { panic!("{member}: {:?}", read.left_out) };
        assert!(left_out.0.starts_with(member), "{left_out:?}");
    }
    for value in [json!("text"), json!([1, {"a": 2}]), json!(7)] {
        for member in ["raw_attributes", "custom_attributes"] {
            let read = profile(member, value.clone());
            assert_eq!(
                (&serde_json::to_value(&read.profile).unwrap()[member], &read.left_out[..]),
                (&value, &[][..]),
                "{member}"
            );
        }
    }
    // Of an object, what cannot be kept is left out alone.
    let read = profile("custom_attributes", json!({"good": 1, "bad": {"deep": ["a\u{0}"]}}));
    assert_eq!(read.profile.custom_attributes.0, json!({"good": 1}));
    assert_eq!(read.left_out.len(), 1);
    // Two names of the greatest length leave room in a token.
    let longest = "n".repeat(512);
    assert_eq!(profile("name", json!(longest)).profile.name.as_deref(), Some(longest.as_str()));
    assert!(profile("name", json!("n".repeat(513))).profile.name.is_none());
}

#[test]
fn groups_roles_and_permissions_are_read_or_refused() {
    for member in ["groups", "roles", "permissions", "role"] {
        for value in values() {
            let shown: String = value.to_string().chars().take(60).collect();
            match parse_json(&with(member, Some(value.clone()))) {
                Ok(answer) => assert_eq!(answer.left_out, [], "{member} {shown}"),
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::WorkosProfileMalformed, "{member} {shown}");
                    let (detail, hint) = (error.detail().unwrap(), error.hint_text().unwrap());
                    assert!(detail.contains(member) && hint.contains(member), "{member} {shown}: {error:?}");
                    assert!(!hint.contains("proxy"), "{hint}");
                }
            }
        }
    }
    let read = |member, value| parse_json(&with(member, Some(value))).unwrap().profile;
    assert_eq!(read("groups", json!("Admins")).groups, ["Admins"]);
    assert_eq!(read("groups", json!([{"name": "Admins"}, "Ops"])).groups, ["Admins", "Ops"]);
    assert_eq!(read("role", json!("admin")).role.as_deref(), Some("admin"));
    assert_eq!(read("roles", json!(["admin", {"slug": "billing"}])).roles, ["admin", "billing"]);
    assert_eq!(read("permissions", json!(["todos:write"])).permissions, Some(vec!["todos:write".to_owned()]));
    assert_eq!(read("groups", json!(vec!["g"; 1500])).groups.len(), 1500);
    assert_eq!(parse_json(&full()).unwrap().profile.permissions, None);
}
