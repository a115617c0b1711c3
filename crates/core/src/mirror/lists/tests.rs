#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use serde_json::json;

use super::*;

const AT: &str = "2026-01-15T12:00:00.000Z";

struct Two;

impl Known for Two {
    fn next_organization(&self, after: Option<&str>) -> Result<Option<String>> {
        Ok(next(["org_1", "org_2"], after))
    }

    fn next_directory(&self, after: Option<&str>) -> Result<Option<String>> {
        Ok(next(["directory_1", "directory_2"], after))
    }
}

fn next(all: [&str; 2], after: Option<&str>) -> Option<String> {
    all.into_iter().find(|id| after.is_none_or(|after| *id > after)).map(str::to_owned)
}

struct Nothing;

impl Known for Nothing {
    fn next_organization(&self, _: Option<&str>) -> Result<Option<String>> {
        Ok(None)
    }

    fn next_directory(&self, _: Option<&str>) -> Result<Option<String>> {
        Ok(None)
    }
}

fn way(organization: Option<&str>, known: &impl Known) -> Vec<String> {
    let mut way = Vec::new();
    let mut stop = Some(Stop::first(organization));
    while let Some(here) = stop {
        assert!(way.len() < 100, "it has no end: {way:?}");
        let filters =
            here.filters(organization).iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        way.push(format!("/{}?{}", here.path().join("/"), filters.join("&")));
        stop = here.next(organization, known).unwrap();
    }
    way
}

#[test]
fn every_list_is_read_once() {
    let of_organization = |id: &str| {
        [
            format!("/authorization/organizations/{id}/roles?"),
            format!("/user_management/organization_memberships?organization_id={id}&statuses=active,inactive,pending"),
        ]
    };
    let of_directory =
        |id: &str| [format!("/directory_groups?directory={id}"), format!("/directory_users?directory={id}")];
    let mut all = vec!["/organizations?".to_owned(), "/connections?".into(), "/authorization/roles?".into()];
    all.extend(of_organization("org_1").into_iter().chain(of_organization("org_2")));
    all.push("/directories?".into());
    all.extend(of_directory("directory_1").into_iter().chain(of_directory("directory_2")));
    assert_eq!(way(None, &Two), all);

    let mut one = vec!["/connections?organization_id=org_7".to_owned()];
    one.extend(of_organization("org_7"));
    one.push("/directories?organization_id=org_7".into());
    assert_eq!(way(Some("org_7"), &Nothing), one);
    assert_eq!(way(None, &Nothing), ["/organizations?", "/connections?", "/authorization/roles?", "/directories?"]);
}

#[test]
fn an_items_groups_are_read_where_it_says_them() {
    let users = Stop::UsersOf("directory_1".into());
    let user = |groups: Value| json!({ "id": "directory_user_1", "directory_id": "directory_1", "state": "active", "updated_at": AT, "groups": groups });
    let group =
        json!({ "id": "directory_group_1", "directory_id": "directory_1", "name": "Engineering", "updated_at": AT });
    let (person, groups) = users.groups(&user(json!([group]))).unwrap().unwrap();
    assert_eq!((person.id.as_str(), groups.len()), ("directory_user_1", 1));
    assert_eq!(users.groups(&user(json!([]))).unwrap().unwrap().1, []);
    assert_eq!(users.groups(&user(Value::Null)).unwrap(), None);
    assert_eq!(Stop::Directories.groups(&user(json!([]))).unwrap(), None);
    for bad in [json!([{}]), json!("x")] {
        assert_eq!(users.groups(&user(bad)).unwrap_err().code(), ErrorCode::WorkosAnswerMalformed);
    }
}

#[test]
fn an_organizations_list_of_roles_has_others_too() {
    let role = |kind: &str| json!({ "slug": "admin", "permissions": [], "type": kind, "updated_at": AT });
    let stop = Stop::RolesOf("org_1".into());
    assert_eq!(stop.read(&role("EnvironmentRole")).unwrap(), None);
    match stop.read(&role("OrganizationRole")).unwrap() {
        Some(Change::Role(role)) => assert_eq!(role.organization_id.as_deref(), Some("org_1")),
        other => panic!("{other:?}"),
    }
    assert_eq!(stop.read(&json!({})).unwrap_err().code(), ErrorCode::WorkosAnswerMalformed);
}
