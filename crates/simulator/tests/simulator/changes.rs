//! What happens at WorkOS, the events that tell of it, and the lists that show it.

use std::time::Duration;

use crate::common::{api, start};
use reqwest::Method;
use serde_json::{Value, json};
use workos_simulator::{
    Change, ConnectionState, Departure, DirectoryState, DirectoryUserPatch, DirectoryUserState, MembershipPatch,
    MembershipStatus, NewDirectory, NewDirectoryGroup, NewDirectoryUser, NewMembership, NewSession, NewUser, Refusal,
    Role, Simulator, UserPatch,
};

fn change(simulator: &Simulator, change: Change) -> String {
    simulator.change(change).unwrap()
}

/// The types of the events that `act` makes, and the last one's data.
fn told(simulator: &Simulator, act: impl FnOnce()) -> (Vec<String>, Value) {
    let before = simulator.events().len();
    act();
    let mut new = simulator.events().split_off(before);
    let types = new.iter().map(|event| event["event"].as_str().unwrap().to_owned()).collect();
    (types, new.pop().map(|mut event| event["data"].take()).unwrap_or_default())
}

fn list(simulator: &Simulator, path: &str) -> Vec<Value> {
    let (status, mut list) = api(simulator, Method::GET, path, json!(null));
    assert_eq!(status, 200, "{path}: {list}");
    match list["data"].take() {
        Value::Array(data) => data,
        other => panic!("{path}: {other}"),
    }
}

fn user(simulator: &Simulator, email: &str) -> String {
    change(simulator, Change::CreateUser(NewUser { email: email.into(), ..NewUser::default() }))
}

fn member(simulator: &Simulator, user: &str, organization: &str, directory_managed: bool, role: &str) -> String {
    let new = NewMembership {
        user: user.into(),
        organization: organization.into(),
        roles: vec![role.into()],
        directory_managed,
        ..NewMembership::default()
    };
    change(simulator, Change::CreateMembership(new))
}

fn session(simulator: &Simulator, user: &str, organization: &str) -> String {
    let organization = Some(organization.to_owned());
    change(simulator, Change::CreateSession(NewSession { user: user.into(), organization, ..NewSession::default() }))
}

fn person(idp_id: &str, email: &str) -> NewDirectoryUser {
    NewDirectoryUser { idp_id: idp_id.into(), email: Some(email.into()), ..NewDirectoryUser::default() }
}

/// A directory of Acme with Alice and Anna, who is in the group Engineering.
fn directory(simulator: &Simulator) -> String {
    let group = NewDirectoryGroup { name: "Engineering".into(), ..NewDirectoryGroup::default() };
    let new = NewDirectory {
        organization: "org_acme".into(),
        name: "Acme Okta".into(),
        users: vec![person("okta-alice", "alice@acme.com"), person("okta-anna", "anna@acme.com")],
        groups: vec![(group, vec!["okta-anna".into()])],
        ..NewDirectory::default()
    };
    change(simulator, Change::CreateDirectory(new))
}

fn id(value: &Value) -> String {
    value["id"].as_str().unwrap().to_owned()
}

fn directory_user(simulator: &Simulator, directory: &str, email: &str) -> Value {
    let path = format!("/directory_users?directory={directory}&email={email}");
    list(simulator, &path).pop().unwrap_or_default()
}

#[test]
fn the_first_sync_tells_of_people_then_groups_then_members() {
    let simulator = start();
    let (types, data) = told(&simulator, || drop(directory(&simulator)));
    let expected = ["dsync.activated", "dsync.user.created", "dsync.user.created", "dsync.group.created"];
    assert_eq!(types, [&expected[..], &["dsync.group.user_added"]].concat());
    assert_eq!((&data["user"]["idp_id"], &data["group"]["name"]), (&json!("okta-anna"), &json!("Engineering")));
    assert!(data["user"].get("groups").is_none(), "{data}");
    let activated = &simulator.events()[0]["data"];
    assert_eq!((&activated["state"], &activated["domains"][0]["domain"]), (&json!("active"), &json!("acme.com")));

    let directory = list(&simulator, "/directories?organization_id=org_acme").pop().unwrap();
    assert_eq!(directory["state"], "linked", "the REST API has another word");
    assert_eq!(directory["metadata"], json!({"users": {"active": 2, "inactive": 0}, "groups": 1}));
    let anna = directory_user(&simulator, &id(&directory), "anna@acme.com");
    assert_eq!(anna["groups"][0]["name"], "Engineering");
    let group = id(&anna["groups"][0]);
    assert_eq!(list(&simulator, &format!("/directory_users?group={group}")), std::slice::from_ref(&anna));
    assert_eq!(list(&simulator, &format!("/directory_groups?user={}", id(&anna)))[0]["id"], json!(group));
    assert_eq!(api(&simulator, Method::GET, &format!("/directory_users/{}", id(&anna)), json!(null)), (200, anna));
}

#[test]
fn somebody_leaves_and_comes_back_with_a_new_id() {
    let simulator = start();
    let directory = directory(&simulator);
    let anna = id(&directory_user(&simulator, &directory, "anna@acme.com"));
    let leave = Change::DirectoryUserDeparts { id: anna.clone(), departure: Departure::Deleted };
    let (types, data) = told(&simulator, || drop(change(&simulator, leave)));
    assert_eq!(types, ["dsync.user.deleted"]);
    assert_eq!((&data["id"], &data["state"]), (&json!(anna), &json!("inactive")));
    assert_eq!(directory_user(&simulator, &directory, "anna@acme.com"), Value::Null);
    let group = list(&simulator, &format!("/directory_groups?directory={directory}")).pop().unwrap();
    assert_eq!(list(&simulator, &format!("/directory_users?group={}", id(&group))), Vec::<Value>::new());

    let back = Change::DirectoryUserComesBack { directory: directory.clone(), idp_id: "okta-anna".into() };
    let (types, data) = told(&simulator, || drop(change(&simulator, back)));
    assert_eq!((types, &data["state"]), (vec!["dsync.user.created".to_owned()], &json!("active")));
    assert_ne!(data["id"], json!(anna));
}

#[test]
fn in_an_older_environment_they_become_inactive_and_keep_their_id() {
    let simulator = start();
    let directory = directory(&simulator);
    let anna = id(&directory_user(&simulator, &directory, "anna@acme.com"));
    let leave = Change::DirectoryUserDeparts { id: anna.clone(), departure: Departure::Inactive };
    let (types, data) = told(&simulator, || drop(change(&simulator, leave)));
    assert_eq!(types, ["dsync.user.updated"]);
    assert_eq!((&data["state"], &data["previous_attributes"]), (&json!("inactive"), &json!({"state": "active"})));
    assert_eq!(directory_user(&simulator, &directory, "anna@acme.com")["state"], "inactive");
    let back = Change::DirectoryUserComesBack { directory, idp_id: "okta-anna".into() };
    let (types, data) = told(&simulator, || drop(change(&simulator, back)));
    assert_eq!((types, &data["id"]), (vec!["dsync.user.updated".to_owned()], &json!(anna)));
    assert_eq!(data["state"], "active");
}

#[test]
fn a_membership_that_the_directory_manages_follows_and_gets_its_role_back() {
    let simulator = start();
    let directory = directory(&simulator);
    let anna = directory_user(&simulator, &directory, "anna@acme.com");
    let user = user(&simulator, "Anna@acme.com");
    let managed = member(&simulator, &user, "org_acme", true, "admin");
    let elsewhere = member(&simulator, &user, "org_globex", true, "admin");
    session(&simulator, &user, "org_acme");
    session(&simulator, &user, "org_globex");

    let leave = Change::DirectoryUserDeparts { id: id(&anna), departure: Departure::Deleted };
    let (types, data) = told(&simulator, || drop(change(&simulator, leave)));
    assert_eq!(types, ["dsync.user.deleted", "organization_membership.updated"], "and no session.revoked");
    assert_eq!((&data["id"], &data["status"]), (&json!(managed), &json!("inactive")));
    assert_eq!(data["role"], json!({"slug": "member"}));
    let sessions = list(&simulator, &format!("/user_management/users/{user}/sessions"));
    assert_eq!(sessions.len(), 1, "that of the other organization");

    let path = format!("/user_management/organization_memberships?user_id={user}");
    let ids = |query: &str| list(&simulator, &format!("{path}{query}")).iter().map(id).collect::<Vec<_>>();
    assert_eq!(ids(""), vec![elsewhere.clone()], "only active ones");
    assert_eq!(ids("&statuses=active,inactive,pending"), [elsewhere, managed.clone()]);
    let back = Change::DirectoryUserComesBack { directory: directory.clone(), idp_id: "okta-anna".into() };
    let (types, data) = told(&simulator, || drop(change(&simulator, back)));
    assert_eq!(types, ["dsync.user.created", "organization_membership.updated"]);
    assert_eq!((&data["status"], &data["role"]), (&json!("active"), &json!({"slug": "admin"})));

    let alice = id(&directory_user(&simulator, &directory, "alice@acme.com"));
    member(&simulator, &self::user(&simulator, "alice@acme.com"), "org_acme", false, "admin");
    let leave = Change::DirectoryUserDeparts { id: alice, departure: Departure::Deleted };
    let (types, _) = told(&simulator, || drop(change(&simulator, leave)));
    assert_eq!(types, ["dsync.user.deleted"], "nobody manages this membership");
}

#[test]
fn a_pending_membership_that_the_directory_manages_goes() {
    let simulator = start();
    let directory = directory(&simulator);
    let anna = id(&directory_user(&simulator, &directory, "anna@acme.com"));
    let new = NewMembership {
        user: user(&simulator, "anna@acme.com"),
        organization: "org_acme".into(),
        status: MembershipStatus::Pending,
        directory_managed: true,
        ..NewMembership::default()
    };
    change(&simulator, Change::CreateMembership(new));
    let leave = Change::DirectoryUserDeparts { id: anna, departure: Departure::Inactive };
    let (types, _) = told(&simulator, || drop(change(&simulator, leave)));
    assert_eq!(types, ["dsync.user.updated", "organization_membership.deleted"]);
}

#[test]
fn a_group_or_a_directory_goes_without_a_word_of_its_people() {
    let simulator = start();
    let directory = directory(&simulator);
    let managed = member(&simulator, &user(&simulator, "anna@acme.com"), "org_acme", true, "admin");
    let group = id(&list(&simulator, &format!("/directory_groups?directory={directory}"))[0]);
    let (types, _) = told(&simulator, || drop(change(&simulator, Change::DeleteDirectoryGroup { id: group })));
    assert_eq!(types, ["dsync.group.deleted"]);
    let set_state = Change::SetDirectoryState { id: directory.clone(), state: DirectoryState::InvalidCredentials };
    assert_eq!(told(&simulator, || drop(change(&simulator, set_state))).0, Vec::<String>::new());
    assert_eq!(list(&simulator, "/directories")[0]["state"], "invalid_credentials");

    let delete = Change::DeleteDirectory { id: directory.clone() };
    let (types, data) = told(&simulator, || drop(change(&simulator, delete)));
    assert_eq!((types, &data["state"]), (vec!["dsync.deleted".to_owned()], &json!("deleting")));
    assert_eq!(api(&simulator, Method::GET, &format!("/directory_users?directory={directory}"), json!(null)).0, 404);
    let path = format!("/user_management/organization_memberships/{managed}");
    assert_eq!(api(&simulator, Method::GET, &path, json!(null)).1["status"], "active", "on purpose");
}

#[test]
fn a_change_of_groups_leaves_updated_at_alone() {
    let simulator = start();
    let directory = directory(&simulator);
    let before = directory_user(&simulator, &directory, "alice@acme.com");
    let group = id(&list(&simulator, &format!("/directory_groups?directory={directory}"))[0]);
    simulator.advance_clock(Duration::from_secs(60));
    let (group, user) = (group, id(&before));
    let add = Change::AddToDirectoryGroup { group: group.clone(), user: user.clone() };
    let (types, data) = told(&simulator, || drop(change(&simulator, add.clone())));
    assert_eq!(types, ["dsync.group.user_added"]);
    assert_eq!((&data["directory_id"], &data["user"]["updated_at"]), (&json!(directory), &before["updated_at"]));
    assert_eq!(told(&simulator, || drop(change(&simulator, add))).0, Vec::<String>::new(), "is in it already");
    let remove = Change::RemoveFromDirectoryGroup { group: group.clone(), user };
    let (types, data) = told(&simulator, || drop(change(&simulator, remove)));
    assert_eq!(
        (types, &data["user"]["updated_at"]),
        (vec!["dsync.group.user_removed".to_owned()], &before["updated_at"])
    );
    let rename = Change::RenameDirectoryGroup { id: group, name: "Builders".into() };
    let (types, data) = told(&simulator, || drop(change(&simulator, rename)));
    assert_eq!(types, ["dsync.group.updated"]);
    assert_eq!(data["previous_attributes"], json!({"name": "Engineering"}));
}

#[test]
fn an_address_that_changes_at_the_directory_stays_with_authkit() {
    let simulator = start();
    let directory = directory(&simulator);
    let user = user(&simulator, "anna@acme.com");
    let anna = id(&directory_user(&simulator, &directory, "anna@acme.com"));
    let patch = DirectoryUserPatch {
        id: anna,
        email: Some("anna.b@acme.com".into()),
        role: Some("admin".into()),
        state: Some(DirectoryUserState::Suspended),
        ..DirectoryUserPatch::default()
    };
    let (types, data) = told(&simulator, || drop(change(&simulator, Change::UpdateDirectoryUser(patch))));
    assert_eq!(types, ["dsync.user.updated"]);
    let previous = &data["previous_attributes"];
    assert_eq!((&previous["email"], &previous["state"]), (&json!("anna@acme.com"), &json!("active")));
    assert_eq!(previous["role"], Value::Null, "a new member was not there");
    assert!(previous.get("idp_id").is_none());
    let (_, kept) = api(&simulator, Method::GET, &format!("/user_management/users/{user}"), json!(null));
    assert_eq!(kept["email"], "anna@acme.com");
}

#[test]
fn roles_change_without_naming_those_who_have_them() {
    let simulator = start();
    let membership = member(&simulator, &user(&simulator, "anna@acme.com"), "org_acme", false, "editor");
    let role = |organization: Option<&str>, permissions: &[&str]| Role {
        organization: organization.map(str::to_owned),
        slug: "editor".into(),
        permissions: permissions.iter().map(|permission| permission.to_string()).collect(),
    };
    for (organization, kind) in [(None, "role"), (Some("org_acme"), "organization_role")] {
        let create = Change::CreateRole(role(organization, &["read"]));
        assert_eq!(told(&simulator, || drop(change(&simulator, create))).0, [format!("{kind}.created")]);
        let set = Change::SetRolePermissions(role(organization, &["read", "write"]));
        let (types, data) = told(&simulator, || drop(change(&simulator, set)));
        assert_eq!(types, [format!("{kind}.updated")]);
        assert_eq!((&data["object"], &data["permissions"]), (&json!(kind), &json!(["read", "write"])));
    }
    assert_eq!(list(&simulator, "/authorization/roles").len(), 1);
    let own = list(&simulator, "/authorization/organizations/org_acme/roles");
    assert_eq!(own[1]["type"], "OrganizationRole");
    assert_eq!(list(&simulator, "/authorization/organizations/org_globex/roles").len(), 1);

    let delete = Change::DeleteRole { organization: Some("org_acme".into()), slug: "editor".into() };
    let (types, data) = told(&simulator, || drop(change(&simulator, delete)));
    assert_eq!(types, ["organization_role.deleted", "organization_membership.updated"]);
    assert_eq!((&data["id"], &data["role"]), (&json!(membership), &json!({"slug": "member"})));
}

#[test]
fn people_memberships_and_sessions_come_and_go() {
    let simulator = start();
    let (types, data) = told(&simulator, || drop(user(&simulator, "anna@acme.com")));
    assert_eq!((types, &data["email_verified"]), (vec!["user.created".to_owned()], &json!(true)));
    let user = id(&data);
    let patch = UserPatch { id: user.clone(), first_name: Some("Anna".into()), ..UserPatch::default() };
    let (types, data) = told(&simulator, || drop(change(&simulator, Change::UpdateUser(patch))));
    assert_eq!((types, &data["name"]), (vec!["user.updated".to_owned()], &json!("Anna")));
    let membership = member(&simulator, &user, "org_acme", false, "admin");
    assert_eq!(list(&simulator, "/user_management/users?organization_id=org_acme&email=ANNA@acme.com").len(), 1);
    let shown = list(&simulator, "/user_management/organization_memberships?organization_id=org_acme").pop().unwrap();
    assert_eq!((&shown["user"]["id"], &shown["organization_name"]), (&json!(user), &json!("Acme")));

    let connection = Some("conn_acme".to_owned());
    let new = NewSession { user: user.clone(), organization: Some("org_acme".into()), connection, id: None };
    let (types, data) = told(&simulator, || drop(change(&simulator, Change::CreateSession(new))));
    assert_eq!(types, ["session.created", "authentication.sso_succeeded"]);
    assert_eq!(data["sso"]["connection_id"], "conn_acme");
    let sid = data["sso"]["session_id"].as_str().unwrap().to_owned();
    let revoke = || api(&simulator, Method::POST, "/user_management/sessions/revoke", json!({"session_id": sid})).0;
    let (types, data) = told(&simulator, || assert_eq!(revoke(), 200));
    assert_eq!((types, &data["status"]), (vec!["session.revoked".to_owned()], &json!("revoked")));
    let nobody = json!({"session_id": "session_of_nobody"});
    assert_eq!(api(&simulator, Method::POST, "/user_management/sessions/revoke", nobody).0, 400);

    session(&simulator, &user, "org_acme");
    let status = Some(MembershipStatus::Inactive);
    let patch = MembershipPatch { id: membership.clone(), status, ..MembershipPatch::default() };
    let (types, data) = told(&simulator, || drop(change(&simulator, Change::UpdateMembership(patch))));
    assert_eq!((types, &data["role"]["slug"]), (vec!["organization_membership.updated".to_owned()], &json!("admin")));
    assert!(data.get("user").is_none(), "the event's form has none");
    assert_eq!(list(&simulator, &format!("/user_management/users/{user}/sessions")), Vec::<Value>::new());
    let delete = Change::DeleteMembership { id: membership };
    assert_eq!(told(&simulator, || drop(change(&simulator, delete))).0, ["organization_membership.deleted"]);
    member(&simulator, &user, "org_acme", false, "admin");
    let delete = Change::DeleteUser { id: user };
    assert_eq!(told(&simulator, || drop(change(&simulator, delete))).0, ["user.deleted"]);
    let path = "/user_management/organization_memberships?organization_id=org_acme";
    assert_eq!(list(&simulator, path), Vec::<Value>::new());
    let missing = api(&simulator, Method::GET, "/user_management/organization_memberships", json!(null));
    assert_eq!((missing.0, &missing.1["code"]), (400, &json!("missing_user_id_or_organization_id")));
}

#[test]
fn connections_are_switched_off_and_their_certificates_expire() {
    let simulator = start();
    let set = |state| Change::SetConnectionState { id: "conn_acme".into(), state };
    assert_eq!(told(&simulator, || drop(change(&simulator, set(ConnectionState::Active)))).0, Vec::<String>::new());
    let (types, data) = told(&simulator, || drop(change(&simulator, set(ConnectionState::Inactive))));
    assert_eq!((types, &data["organization_id"]), (vec!["connection.deactivated".to_owned()], &json!("org_acme")));
    let expires = Change::CertificateExpires { connection: "conn_acme".into(), in_days: 7 };
    let (types, data) = told(&simulator, || drop(change(&simulator, expires)));
    assert_eq!(
        (types[0].as_str(), &data["days_until_expiry"]),
        ("connection.saml_certificate_renewal_required", &json!(7))
    );
    let renewed = Change::CertificateRenewed { connection: "conn_acme".into(), for_days: 365 };
    assert_eq!(told(&simulator, || drop(change(&simulator, renewed))).0, ["connection.saml_certificate_renewed"]);
    let (types, data) =
        told(&simulator, || drop(change(&simulator, Change::DeleteConnection { id: "conn_acme".into() })));
    assert_eq!((types, &data["state"]), (vec!["connection.deleted".to_owned()], &json!("inactive")));
    assert!(data.get("status").is_none());
    assert_eq!(api(&simulator, Method::GET, "/connections/conn_acme", json!(null)).0, 404);
}

#[test]
fn organizations_and_domains_tell_of_themselves() {
    let simulator = start();
    let create = |name: &str| Change::CreateOrganization {
        name: name.into(),
        external_id: None,
        verified_domains: vec![format!("{name}.example")],
    };
    let (types, data) = told(&simulator, || drop(change(&simulator, create("piper"))));
    assert_eq!(types, ["organization.created", "organization_domain.created"]);
    let piper = data["organization_id"].as_str().unwrap().to_owned();
    let created = &simulator.events()[0]["data"];
    assert_eq!(created["domains"][0]["state"], "verified");
    assert!(created.get("allow_profiles_outside_organization").is_none());
    let rename = Change::RenameOrganization { id: piper.clone(), name: "Pied Piper".into() };
    assert_eq!(told(&simulator, || drop(change(&simulator, rename))).0, ["organization.updated"]);

    let add =
        |organization: &str| Change::AddDomain { organization: organization.into(), domain: "shared.example".into() };
    let ours = change(&simulator, add(&piper));
    let theirs = change(&simulator, add("org_acme"));
    let (types, data) = told(&simulator, || drop(change(&simulator, Change::VerifyDomain { id: ours.clone() })));
    assert_eq!(types, ["organization_domain.verified", "organization_domain.verification_failed"]);
    assert_eq!(data["reason"], "domain_verified_by_other_organization");
    assert_eq!(data["organization_domain"]["id"], json!(theirs));
    let rename = Change::RenameOrganization { id: "org_acme".into(), name: "Acme Inc.".into() };
    assert_eq!(
        told(&simulator, || drop(change(&simulator, rename))).0,
        ["organization.updated"],
        "its domains stay out of it"
    );
    let refused = simulator.change(Change::VerifyDomain { id: theirs.clone() });
    assert!(matches!(refused, Err(Refusal::Conflict { code: "domain_already_exists", .. })), "{refused:?}");
    let restart = format!("/organization_domains/{theirs}/verify");
    let (types, _) = told(&simulator, || assert_eq!(api(&simulator, Method::POST, &restart, json!(null)).0, 201));
    assert_eq!(types, ["organization_domain.updated"]);
    let (types, data) = told(&simulator, || drop(change(&simulator, Change::FailDomain { id: theirs })));
    assert_eq!(types, ["organization_domain.verification_failed"]);
    assert_eq!(data["reason"], "domain_verification_period_expired");
    assert_eq!(
        told(&simulator, || drop(change(&simulator, Change::DeleteDomain { id: ours }))).0,
        ["organization_domain.deleted"]
    );

    directory(&simulator);
    member(&simulator, &user(&simulator, "anna@acme.com"), "org_acme", false, "admin");
    let delete = Change::DeleteOrganization { id: "org_acme".into() };
    assert_eq!(told(&simulator, || drop(change(&simulator, delete))).0, ["organization.deleted"]);
    assert_eq!(list(&simulator, "/directories"), Vec::<Value>::new());
    assert_eq!(api(&simulator, Method::GET, "/connections/conn_acme", json!(null)).0, 404);
}
