#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

const ID: &str = "8c1f0a4e-0000-4000-8000-000000000001";

/// A row of somebody who came through WorkOS, as `to_jsonb` gives it.
fn user() -> Value {
    json!({
        "instance_id": "00000000-0000-0000-0000-000000000000", "id": ID, "aud": "authenticated", "role": "authenticated",
        "email": "ann@acme.com", "encrypted_password": "", "email_confirmed_at": "2025-01-02T03:04:05.123456+00:00",
        "invited_at": null, "phone": null, "raw_app_meta_data": {"provider": "workos", "providers": ["workos"]},
        "raw_user_meta_data": {"full_name": "Ann Lee"}, "is_sso_user": false, "is_anonymous": false, "deleted_at": null,
    })
}

fn identity_row() -> Value {
    json!({
        "id": "8c1f0a4e-0000-4000-8000-0000000000a1", "provider_id": "prof_1", "user_id": ID, "provider": "workos",
        "identity_data": {"sub": "prof_1", "email": "ann@acme.com",
            "custom_claims": {"organization_id": "org_acme", "connection_id": "conn_acme"}},
        "last_sign_in_at": "2025-01-02T03:04:05+00:00", "created_at": "2025-01-02T03:04:05+00:00", "email": "ann@acme.com",
    })
}

fn with(mut row: Value, changes: Value) -> Value {
    let members = row.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.insert(name.clone(), value.clone());
    }
    row
}

fn of_organization(profile: &str, organization: &str) -> Value {
    with(
        identity_row(),
        json!({"provider_id": profile, "identity_data": {"email": "ann@acme.com", "custom_claims": {"organization_id": organization}}}),
    )
}

fn why(result: Result<ImportedUser>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidArgument, "{error:?}");
    error.detail().unwrap().to_owned()
}

#[test]
fn a_person_of_workos_is_read_whole() {
    let read = read(user(), json!([identity_row()])).unwrap();
    assert_eq!(
        (read.id.to_string().as_str(), read.role.as_str(), read.audience.as_str()),
        (ID, "authenticated", "authenticated")
    );
    let address = Address { address: "ann@acme.com".into(), is_an_organizations: true };
    assert_eq!((read.email.clone(), read.phone.clone()), (Some(address), None));
    let [identity] = &read.identities[..] else { panic!("{:?}", read.identities) };
    assert_eq!(identity.provider_id, "prof_1");
    assert_eq!(
        (identity.organization_id.as_deref(), identity.connection_id.as_deref()),
        (Some("org_acme"), Some("conn_acme"))
    );
    assert_eq!(identity.id.unwrap().to_string(), "8c1f0a4e-0000-4000-8000-0000000000a1");
    assert!(!read.is_known_by_address() && read.check_organizations([]).is_ok());
}

#[test]
fn what_is_null_or_empty_there_has_its_default_here() {
    let row = with(
        user(),
        json!({"aud": "", "role": null, "raw_app_meta_data": null, "raw_user_meta_data": null, "phone": ""}),
    );
    let read = read(row, Value::Null).unwrap();
    assert_eq!((read.role.as_str(), read.audience.as_str(), read.phone), ("authenticated", "authenticated", None));
    assert_eq!((read.app_metadata, read.user_metadata), (json!({}), json!({})));
}

#[test]
fn an_address_counts_where_somebody_stands_for_it() {
    let email = |changes, identities| read(with(user(), changes), identities).unwrap().email;
    let unconfirmed = json!({"email_confirmed_at": null});
    assert_eq!(email(unconfirmed.clone(), json!([])), None);
    assert!(email(json!({"email_confirmed_at": null, "invited_at": "2025-01-01T00:00:00Z"}), json!([])).is_some());
    assert!(email(unconfirmed, json!([identity_row()])).is_some());
    assert_eq!(email(json!({"email": "no address"}), json!([])), None);
    assert_eq!(email(json!({"email": null}), json!([identity_row()])), None);
    let folded = email(json!({"email": " Ann@Acme.COM"}), json!([])).unwrap();
    assert_eq!(folded, Address { address: "ann@acme.com".into(), is_an_organizations: false });
    let public = of_organization("prof_2", "");
    assert!(!email(json!({}), json!([public])).unwrap().is_an_organizations);
}

#[test]
fn who_is_known_by_address() {
    let is = |changes, identities| read(with(user(), changes), identities).unwrap().is_known_by_address();
    let other = with(identity_row(), json!({"provider": "email"}));
    assert!(is(json!({}), json!([other])));
    assert!(!is(json!({"is_anonymous": true}), json!([])));
    assert!(!is(json!({"deleted_at": "2025-01-01T00:00:00Z"}), json!([])));
    assert!(!is(json!({"email": ""}), json!([])));
    // An old row does not say which organization it is of.
    let old = with(identity_row(), json!({"identity_data": {"email": "ann@acme.com"}}));
    assert!(is(json!({}), json!([old])));
}

#[test]
fn identities_of_several_organizations_are_refused() {
    let refused = |identities: Value, here: &[Option<&str>]| {
        let user = read(user(), identities).unwrap();
        user.check_organizations(here.iter().copied())
            .err()
            .map(|error| (error.code(), error.detail().unwrap().to_owned()))
    };
    assert_eq!(
        refused(json!([of_organization("prof_1", "org_a"), of_organization("prof_2", "org_a")]), &[Some("org_a")]),
        None
    );
    for (identities, here, named) in [
        (json!([of_organization("prof_1", "org_a"), of_organization("prof_2", "org_b")]), None, "org_a, org_b"),
        (json!([of_organization("prof_1", "org_a"), of_organization("prof_2", "")]), None, "none, org_a"),
        (json!([of_organization("prof_1", "org_a")]), Some("org_b"), "org_a, org_b"),
    ] {
        let here: Vec<_> = here.map(Some).into_iter().collect();
        let (code, detail) = refused(identities, &here).unwrap();
        assert_eq!(code, ErrorCode::IdentitiesOfSeveralOrganizations, "{named}");
        assert!(detail.contains(named), "{detail}");
    }
}

#[test]
fn a_row_that_was_given_twice_is_one() {
    assert_eq!(read(user(), json!([identity_row(), identity_row()])).unwrap().identities.len(), 1);
    // The provider's name is compared as Supabase Auth stores it, which is as the client wrote it.
    let upper = with(identity_row(), json!({"provider": "WorkOS"}));
    assert_eq!(read(user(), json!([upper, identity_row()])).unwrap().identities.len(), 1);
}

#[test]
fn rows_from_before_provider_id() {
    let old = with(identity_row(), json!({"id": "prof_9", "provider_id": null}));
    let [identity] = &read(user(), json!([old])).unwrap().identities[..] else { panic!() };
    assert_eq!((identity.provider_id.as_str(), identity.id), ("prof_9", None));
}

#[test]
fn what_are_no_rows_is_refused_by_name() {
    for value in [json!(null), json!([]), json!("x")] {
        assert!(why(read(value.clone(), json!([]))).contains("user_row"), "{value}");
    }
    assert!(why(read(with(user(), json!({"id": "7"})), json!([]))).contains("id"));
    for value in [json!({}), json!("x"), json!([1])] {
        assert!(why(read(user(), value.clone())).contains("identity_rows"), "{value}");
    }
    for (changes, named) in [
        (json!({"user_id": "8c1f0a4e-0000-4000-8000-000000000002"}), "user_id"),
        (json!({"user_id": null}), "user_id"),
        (json!({"provider_id": "prof 1"}), "provider_id"),
        (json!({"provider_id": null, "id": null}), "provider_id"),
        (json!({"identity_data": null}), "identity_data"),
        (json!({"identity_data": {"custom_claims": {"organization_id": 7}}}), "organization_id"),
        (json!({"identity_data": {"custom_claims": {"connection_id": "a b"}}}), "connection_id"),
    ] {
        assert!(why(read(user(), json!([with(identity_row(), changes.clone())]))).contains(named), "{changes}");
    }
}
