//! `auth.reconcile_workos`: the tables become what WorkOS has, whatever they were.

use serde_json::json;
use workos_end_to_end::bed::{ALICE, ANNA, BOB};
use workos_end_to_end::following::{DIRECTORY, in_directory};
use workos_end_to_end::sql::text;
use workos_end_to_end::{Bed, case, lines, refused, set_session};
use workos_simulator::{
    Change, DirectoryUserPatch, DirectoryUserState, Fault, FaultKind, MembershipStatus, NewMembership, NewUser, Role,
};

const PEOPLE: &str = "select id, state from auth.directory_users order by id";

#[tokio::test]
async fn all_that_workos_has_is_there_afterwards() {
    let bed = Bed::shared("all").await;
    let change = |change| bed.simulator().change(change).unwrap();
    for (name, status) in
        [("one", MembershipStatus::Active), ("two", MembershipStatus::Inactive), ("three", MembershipStatus::Pending)]
    {
        let (user, organization) = (format!("user_{name}"), "org_acme".to_owned());
        change(Change::CreateUser(NewUser {
            id: Some(user.clone()),
            email: format!("{name}@acme.com"),
            ..NewUser::default()
        }));
        let id = Some(format!("om_{name}"));
        change(Change::CreateMembership(NewMembership { id, user, organization, status, ..NewMembership::default() }));
    }
    let role = |organization: Option<&str>, slug: &str| {
        Change::CreateRole(Role {
            organization: organization.map(str::to_owned),
            slug: slug.into(),
            permissions: vec!["read".into()],
        })
    };
    change(role(None, "editor"));
    change(role(Some("org_acme"), "org-auditor"));
    bed.has_directory();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();

    let organizations = "select id, name from auth.organizations where id in ('org_acme', 'org_empty') order by id";
    assert_eq!(lines(&bed.admin, organizations).await.unwrap(), ["org_acme|Acme", "org_empty|Empty"]);
    let domains = "select domain, state from auth.organization_domains where organization_id = 'org_acme'";
    assert_eq!(lines(&bed.admin, domains).await.unwrap(), ["acme.com|verified"]);
    let connections = "select id, state, type from auth.connections where organization_id in ('org_acme', 'org_umbrella') order by id";
    assert_eq!(
        lines(&bed.admin, connections).await.unwrap(),
        ["conn_acme|active|OktaSAML", "conn_umbrella|inactive|OktaSAML"]
    );
    let roles = "select organization_id, slug, permissions from auth.roles where slug in ('editor', 'org-auditor') order by slug";
    assert_eq!(lines(&bed.admin, roles).await.unwrap(), ["|editor|{read}", "org_acme|org-auditor|{read}"]);
    let memberships =
        "select id, status from auth.workos_memberships where id in ('om_one', 'om_two', 'om_three') order by id";
    assert_eq!(lines(&bed.admin, memberships).await.unwrap(), ["om_one|active", "om_three|pending", "om_two|inactive"]);
    assert_eq!(
        lines(&bed.admin, "select id, state from auth.directories").await.unwrap(),
        [format!("{DIRECTORY}|linked")]
    );
    assert_eq!(lines(&bed.admin, PEOPLE).await.unwrap(), ["directory_user_alice|active", "directory_user_anna|active"]);
    let members = "select g.name, m.directory_user_id from auth.directory_groups g join auth.directory_group_members m on m.group_id = g.id";
    assert_eq!(lines(&bed.admin, members).await.unwrap(), ["Ops|directory_user_alice"]);
    // The same again changes nothing but when it was seen.
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert_eq!(lines(&bed.admin, members).await.unwrap(), ["Ops|directory_user_alice"]);
    assert_eq!(bed.count("select count(*) from auth.directory_users where deleted_at is null").await, 2);
}

/// Nothing tells of a removal but that it is missing: as after the restore of an old backup, when the events of before are gone.
#[tokio::test]
async fn whoever_is_missing_has_left() {
    let bed = Bed::shared("missing").await;
    bed.follows().await;
    let (alice, anna, bob) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await, bed.sign_in(BOB).await);
    bed.departs("alice");
    bed.simulator().change(Change::DeleteOrganization { id: "org_globex".into() }).unwrap();
    bed.simulator().change(Change::DeleteConnection { id: "conn_umbrella".into() }).unwrap();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert!(!bed.lives(&alice).await && bed.lives(&anna).await && !bed.lives(&bob).await);
    assert_eq!(
        lines(&bed.admin, PEOPLE).await.unwrap(),
        ["directory_user_alice|deleted", "directory_user_anna|active"]
    );
    assert_eq!(
        bed.count("select count(*) from auth.organizations where id = 'org_globex' and deleted_at is not null").await,
        1
    );
    assert_eq!(bed.count("select count(*) from auth.connections where id = 'conn_umbrella'").await, 0);
    // The events come afterwards, and change nothing.
    bed.sync().await;
    assert!(bed.lives(&anna).await);
    assert_eq!(
        lines(&bed.admin, PEOPLE).await.unwrap(),
        ["directory_user_alice|deleted", "directory_user_anna|active"]
    );
}

#[tokio::test]
async fn whoever_is_out_in_a_directory_is_out_here() {
    let bed = Bed::shared("suspended").await;
    bed.follows().await;
    let alice = bed.sign_in(ALICE).await;
    let patch = DirectoryUserPatch {
        id: "directory_user_alice".into(),
        state: Some(DirectoryUserState::Suspended),
        ..DirectoryUserPatch::default()
    };
    bed.simulator().change(Change::UpdateDirectoryUser(patch)).unwrap();
    bed.admin.batch_execute("call auth.reconcile_workos('org_acme')").await.unwrap();
    assert!(!bed.lives(&alice).await);
    assert_eq!(
        lines(&bed.admin, PEOPLE).await.unwrap(),
        ["directory_user_alice|suspended", "directory_user_anna|active"]
    );
}

/// The claim goes with the group, also where the event was never seen.
#[tokio::test]
async fn whoever_has_left_a_group_is_not_called_a_member() {
    let bed = Bed::shared("left_group").await;
    bed.follows().await;
    let alice = bed.sign_in(ALICE).await;
    let groups = "select 'Ops' = any (groups) from auth.organization_memberships where organization_id = 'org_acme'";
    assert_eq!(lines(&bed.admin, groups).await.unwrap(), ["t"]);
    let change = |group: &str, user: &str| Change::RemoveFromDirectoryGroup { group: group.into(), user: user.into() };
    bed.simulator().change(change("directory_group_ops", "directory_user_alice")).unwrap();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert_eq!(lines(&bed.admin, groups).await.unwrap(), ["f"]);
    assert_eq!(bed.count("select count(*) from auth.directory_group_members").await, 0);
    // The session lives, and its token is from before.
    assert!(bed.lives(&alice).await);
    let backend = bed.backend().await;
    refused(set_session(&backend, &alice.access_token, true).await, "session_stale");
}

/// A list that was cut short, or that is short of somebody whom WorkOS has, removes nobody.
#[tokio::test]
async fn a_short_list_removes_nobody() {
    let bed = Bed::shared("short").await;
    bed.follows().await;
    for n in 0..150 {
        bed.simulator().change(Change::CreateDirectoryUser(in_directory(&format!("p{n:03}")))).unwrap();
    }
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.directory_users where deleted_at is null").await, 152);
    // Whichever request fails, nobody goes.
    for times in 0..8 {
        case!(times);
        bed.simulator().clear_faults();
        for _ in 0..times {
            bed.simulator().set_fault(Fault::api(FaultKind::Delay { ms: 1 }).times(1)).unwrap();
        }
        let empty = json!({ "object": "list", "data": [], "list_metadata": { "before": null, "after": null } });
        bed.simulator().set_fault(Fault::api(FaultKind::Status { code: 200, body: Some(empty) }).times(1)).unwrap();
        let _ = bed.admin.batch_execute("call auth.reconcile_workos()").await;
        assert_eq!(bed.count("select count(*) from auth.directory_users where deleted_at is not null").await, 0);
        assert_eq!(bed.count("select count(*) from auth.organizations where deleted_at is not null").await, 0);
    }
    bed.simulator().clear_faults();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.directory_users where state = 'active'").await, 152);
}

/// As with the API key of another environment: its list has none of the organizations, and it knows none of them by their ids either.
#[tokio::test]
async fn another_environment_removes_nobody() {
    let bed = Bed::shared("another").await;
    bed.follows().await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let known = "select id from auth.organizations where seen_at is not null and id <> 'org_acme'";
    for id in lines(&bed.admin, known).await.unwrap() {
        bed.simulator().change(Change::DeleteOrganization { id }).unwrap();
    }
    let error = refused(bed.admin.batch_execute("call auth.reconcile_workos()").await, "environment_differs");
    assert!(error.detail.starts_with("Its list lacks "), "{error}");
    assert!(bed.lives(&alice).await && bed.lives(&bob).await);
    assert_eq!(bed.count("select count(*) from auth.organizations where deleted_at is not null").await, 0);
    let failed = text(&bed.admin, "select last_error from auth.workos_sync").await.unwrap().unwrap();
    assert!(failed.starts_with("WA603"), "{failed}");
    // Whoever knows that one of them is gone says so.
    bed.admin.batch_execute("call auth.reconcile_workos('org_globex')").await.unwrap();
    assert!(bed.lives(&alice).await && !bed.lives(&bob).await);
}

#[tokio::test]
async fn one_organization_is_compared_by_itself() {
    let bed = Bed::shared("one").await;
    bed.follows().await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    bed.simulator().change(Change::DeleteOrganization { id: "org_globex".into() }).unwrap();
    bed.departs("alice");
    bed.simulator().clear_requests();
    bed.admin.batch_execute("call auth.reconcile_workos('org_acme')").await.unwrap();
    assert!(!bed.lives(&alice).await && bed.lives(&bob).await);
    assert!(
        bed.simulator()
            .requests()
            .iter()
            .all(|request| !request.path.contains("globex") && request.path != "/organizations")
    );
    bed.admin.batch_execute("call auth.reconcile_workos('org_globex')").await.unwrap();
    assert!(!bed.lives(&bob).await);
    bed.admin.batch_execute("call auth.reconcile_workos('org_nobody')").await.unwrap();
}

/// A database that was not followed for 25 days is compared again before events are asked for.
#[tokio::test]
async fn a_cursor_of_long_ago_is_given_up() {
    let bed = Bed::shared("long_ago").await;
    bed.follows().await;
    bed.sync().await;
    let cursor = bed.cursor().await;
    let ago = |days: i32| {
        format!(
            "update auth.workos_sync_state set page_at = now() - interval '{days} days', reconciled_at = now() - interval '{days} days'"
        )
    };
    bed.admin.batch_execute(&ago(24)).await.unwrap();
    bed.sync().await;
    bed.admin.batch_execute(&ago(26)).await.unwrap();
    let error = refused(bed.admin.batch_execute("call auth.sync_workos()").await, "reconciliation_needed");
    assert!(error.detail.contains("26 days"), "{error}");
    assert_eq!(bed.cursor().await, cursor);
    // One that does not come to its end changes nothing of that.
    bed.simulator().set_fault(Fault::api(FaultKind::Status { code: 500, body: None })).unwrap();
    refused(bed.admin.batch_execute("call auth.reconcile_workos()").await, "workos_unavailable");
    refused(bed.admin.batch_execute("call auth.sync_workos()").await, "reconciliation_needed");
    bed.simulator().clear_faults();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert_eq!(bed.cursor().await, None);
    bed.sync().await;
    assert_eq!(bed.cursor().await, cursor);
    // Nothing has happened for so long that WorkOS may not know the last event any more: it is asked by the time.
    bed.admin.batch_execute("update auth.workos_sync_state set event_at = now() - interval '80 days'").await.unwrap();
    bed.simulator().clear_requests();
    bed.sync().await;
    let asked = bed.asked_for_events();
    assert!(
        asked[0].parameter("range_start").is_some() && asked[0].parameter("after").is_none(),
        "{:?}",
        asked[0].query
    );
}

#[tokio::test]
async fn two_comparisons_at_once_are_one() {
    let bed = Bed::shared("at_once").await;
    bed.has_directory();
    bed.simulator().set_fault(Fault::api(FaultKind::Delay { ms: 20 })).unwrap();
    let (one, other) = (bed.superuser().await, bed.superuser().await);
    let call = "call auth.reconcile_workos()";
    let (first, second) = tokio::join!(one.batch_execute(call), other.batch_execute(call));
    first.unwrap();
    second.unwrap();
    let asked = bed.simulator().requests().iter().filter(|request| request.path == "/organizations").count();
    assert_eq!(asked, 1);
    // The lock is given up, also by whoever fails.
    bed.simulator().set_fault(Fault::api(FaultKind::Status { code: 500, body: None })).unwrap();
    refused(bed.admin.batch_execute(call).await, "workos_unavailable");
    bed.simulator().clear_faults();
    bed.simulator().clear_requests();
    other.batch_execute(call).await.unwrap();
    assert!(!bed.simulator().requests().is_empty());
}
