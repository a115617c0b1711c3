#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::error::ErrorCode;
use crate::json;

const AT: &str = "2026-01-15T12:00:00.000Z";

fn event(name: &str, data: Value) -> Value {
    json!({ "object": "event", "id": "event_1", "event": name, "data": data, "created_at": AT })
}

fn change(name: &str, data: Value) -> crate::Result<Option<Change>> {
    Event::read(event(name, data)).unwrap().change()
}

fn membership() -> Value {
    json!({
        "id": "om_1", "organization_id": "org_1", "user_id": "user_1", "status": "active", "directory_managed": true,
        "role": { "slug": "admin" }, "roles": [{ "slug": "admin" }, { "slug": "editor" }], "updated_at": AT,
    })
}

fn directory_user() -> Value {
    json!({
        "id": "directory_user_1", "directory_id": "directory_1", "organization_id": "org_1", "idp_id": "00u1", "email": "Alice@Acme.com",
        "state": "active", "role": { "slug": "member" }, "custom_attributes": { "cost": 7, "bad": "\u{0}" }, "updated_at": AT,
    })
}

fn group() -> Value {
    json!({ "id": "directory_group_1", "directory_id": "directory_1", "organization_id": "org_1", "name": "Engineering", "updated_at": AT })
}

#[test]
fn dates_are_read_in_both_forms_as_utc() {
    let moment = Moment(1_768_478_400_000_000);
    for text in
        [AT, "2026-01-15 12:00:00.000", "2026-01-15 12:00:00", "2026-01-15T13:00:00+01:00", "2026-01-15 12:00:00Z"]
    {
        assert_eq!(Moment::parse(text), Some(moment), "{text}");
    }
    assert_eq!(Moment::parse("2023-04-28 20:05:31.093"), Some(Moment(1_682_712_331_093_000)));
    for text in
        ["", "2026", "2026-02-30T12:00:00Z", "now", "infinity", "2026-01-15", "2026-01-15T12:00:00 Europe/Berlin", "-1"]
    {
        assert_eq!(Moment::parse(text), None, "{text}");
    }
}

#[test]
fn a_page_ends_where_workos_says_or_with_its_last_event() {
    let page = |data: Value, after: Value| Page::read(json!({ "data": data, "list_metadata": { "after": after } }));
    let one = event("user.deleted", json!({ "id": "user_1" }));
    assert_eq!(page(json!([one]), json!("event_9")).unwrap().end(), Some("event_9"));
    assert_eq!(page(json!([one]), Value::Null).unwrap().end(), Some("event_1"));
    assert_eq!(page(json!([]), Value::Null).unwrap().end(), None);
    for bad in [
        json!(null),
        json!([]),
        json!({}),
        json!({ "data": [] }),
        json!({ "data": {}, "list_metadata": { "after": null } }),
    ] {
        assert_eq!(Page::read(bad.clone()).unwrap_err().code(), ErrorCode::EventMalformed, "{bad}");
    }
    for after in [json!("evt_1"), json!(7), json!("event_' or")] {
        assert_eq!(page(json!([]), after.clone()).unwrap_err().code(), ErrorCode::EventMalformed, "{after}");
    }
    assert!(page(json!(vec![one; 1001]), Value::Null).unwrap_err().detail().unwrap().contains("1000"));
}

#[test]
fn every_type_that_is_asked_for_is_one_that_changes_something() {
    let data = |name: &str| match name {
        name if name.contains("user_added") || name.contains("user_removed") => {
            json!({ "directory_id": "directory_1", "user": directory_user(), "group": group() })
        }
        name if name.starts_with("dsync.group") => group(),
        name if name.starts_with("dsync.user") => directory_user(),
        "organization_domain.verification_failed" => json!({ "reason": "x", "organization_domain": domain() }),
        name if name.starts_with("organization_domain") => domain(),
        name if name.starts_with("organization_membership") => membership(),
        name if name.contains("role.") => json!({ "slug": "admin", "permissions": [], "updated_at": AT }),
        name if name.contains("certificate") => {
            json!({ "connection": { "id": "conn_1" }, "certificate": { "expiry_date": AT } })
        }
        name => {
            let prefix = match name.split('.').next().unwrap() {
                "organization" => "org_1",
                "user" => "user_1",
                "session" => "session_1",
                _ => "x_1",
            };
            json!({ "id": prefix, "name": "x", "state": "active", "updated_at": AT })
        }
    };
    for name in EVENTS {
        assert!(change(name, data(name)).unwrap().is_some(), "{name}");
        assert_eq!(change(name, Value::Null).unwrap_err().code(), ErrorCode::EventMalformed, "{name}");
        assert_eq!(change(name, json!({})).unwrap_err().code(), ErrorCode::EventMalformed, "{name}");
    }
    for name in ["user.created", "dsync.group", "vault.data.read", "organization_membership"] {
        assert_eq!(change(name, Value::Null).unwrap(), None, "{name}");
    }
}

fn domain() -> Value {
    json!({ "id": "org_domain_1", "organization_id": "org_1", "domain": "ACME.com", "state": "pending", "updated_at": AT })
}

#[test]
fn roles_come_once_each_and_the_first_is_the_role() {
    let read = |role: Value, roles: Value| {
        let mut membership = membership();
        (membership["role"], membership["roles"]) = (role, roles);
        Membership::read(&membership).map(|membership| membership.roles)
    };
    let slug = |slug: &str| json!({ "slug": slug });
    assert_eq!(read(slug("b"), json!([slug("a"), slug("b")])).unwrap(), ["b", "a"]);
    assert_eq!(read(Value::Null, json!([slug("a")])).unwrap(), ["a"]);
    assert_eq!(read(slug("a"), Value::Null).unwrap(), ["a"]);
    assert!(read(Value::Null, Value::Null).unwrap().is_empty());
    for bad in [json!("a"), json!({}), slug(""), slug("a b"), slug("a\u{0}"), json!({ "slug": 7 })] {
        assert!(read(bad.clone(), Value::Null).is_err(), "{bad}");
        assert!(read(Value::Null, json!([bad])).is_err(), "{bad}");
    }
}

#[test]
fn a_role_on_something_else_than_organizations_is_passed_over() {
    let role = |value: Value| Role::read(&value, Some("org_1")).unwrap();
    let of = |value: Value| role(value).unwrap().organization_id;
    assert_eq!(role(json!({ "slug": "a", "resource_type_slug": "project", "updated_at": AT })), None);
    assert_eq!(of(json!({ "slug": "a", "type": "EnvironmentRole", "updated_at": AT })), None);
    assert_eq!(of(json!({ "slug": "a", "type": "OrganizationRole", "updated_at": AT })).as_deref(), Some("org_1"));
    assert_eq!(of(json!({ "slug": "a", "organization_id": "org_2", "updated_at": AT })).as_deref(), Some("org_2"));
    let role = role(json!({ "slug": "a", "updated_at": AT })).unwrap();
    assert_eq!(role.permissions, None, "what is not said is not none");
}

#[test]
fn what_a_customer_types_freely_stops_no_event() {
    let mut user = directory_user();
    for (email, read) in [
        (json!("Alice@Acme.com "), Some("alice@acme.com")),
        (json!("nobody"), None),
        (json!("a\u{0}@acme.com"), Some("a@acme.com")),
        (json!(null), None),
        (json!(7), None),
    ] {
        user["email"] = email.clone();
        assert_eq!(DirectoryUser::read(&user).unwrap().email.as_deref(), read, "{email}");
    }
    assert_eq!(DirectoryUser::read(&user).unwrap().custom_attributes, json!({ "cost": 7 }));
    let mut group = group();
    group["name"] = json!(format!("a\u{0}{}", "b".repeat(5000)));
    assert_eq!(DirectoryGroup::read(&group).unwrap().name.len(), 1000);
    let mut odd = domain();
    odd["domain"] = json!("not a domain");
    assert_eq!(Domain::read(&odd).unwrap().domain, None);
    assert_eq!(Domain::read(&domain()).unwrap().domain.as_deref(), Some("acme.com"));
}

#[test]
fn ids_and_states_are_strict() {
    for (member, value) in [
        ("id", json!("user_1")),
        ("id", json!("om_' or true")),
        ("organization_id", json!("organization_1")),
        ("user_id", json!(null)),
        ("status", json!("")),
        ("status", json!("Active")),
        ("status", json!(null)),
        ("updated_at", json!("yesterday")),
    ] {
        let mut membership = membership();
        membership[member] = value.clone();
        let error = change("organization_membership.updated", membership).unwrap_err();
        assert_eq!(error.code(), ErrorCode::EventMalformed, "{member} {value}");
        let detail = error.detail().unwrap();
        assert!(detail.contains("event_1") && detail.contains(member), "{detail}");
        assert!(!detail.contains("or true"), "{detail}");
    }
}

#[test]
fn the_states_of_a_directory_are_those_of_the_rest_api() {
    let directory = |state: &str| {
        Directory::read(&json!({ "id": "directory_1", "organization_id": "org_1", "state": state, "updated_at": AT }))
            .unwrap()
            .state
    };
    assert_eq!(
        ["active", "linked", "inactive", "invalid_credentials"].map(directory),
        ["linked", "linked", "unlinked", "invalid_credentials"]
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,20}".prop_map(Value::from),
        prop::sample::select(vec!["org_1", "active", AT, "event_1", "user_1"]).prop_map(Value::from),
    ];
    let member = prop::sample::select(vec![
        "id",
        "event",
        "data",
        "created_at",
        "updated_at",
        "organization_id",
        "role",
        "roles",
        "slug",
        "user",
        "group",
        "state",
        "status",
        "domains",
        "list_metadata",
        "after",
        "permissions",
        "connection",
        "certificate",
        "expiry_date",
    ]);
    leaf.prop_recursive(4, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((member.clone(), inner), 0..8)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// Whatever comes is read or refused by name, and what is read can be stored.
    #[test]
    fn nothing_panics_and_nothing_else_is_raised(name in prop::sample::select(EVENTS), data in any_json(), page in any_json()) {
        let code = |result: crate::Result<()>| result.err().map(|error| error.code());
        let read = code(change(name, data).map(drop));
        prop_assert!(matches!(read, None | Some(ErrorCode::EventMalformed)));
        let read = code(Page::read(page).map(drop));
        prop_assert!(matches!(read, None | Some(ErrorCode::EventMalformed)));
    }
}

#[test]
fn an_event_that_is_deep_or_strange_json_is_an_event_like_another() {
    let text = r#"{"id":"event_1","event":"user.deleted","created_at":"2026-01-15T12:00:00Z","data":{"id":"user_1","$serde_json::private::Number":"x"}}"#;
    let event = Event::read(json::parse(text).unwrap()).unwrap();
    assert_eq!(event.change().unwrap(), Some(Change::UserDeleted("user_1".to_owned())));
}
