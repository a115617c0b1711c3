//! Groups of a directory, and the roles that a directory gives.

use serde_json::{Value, json};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, reader, refresh};
use workos_end_to_end::sql::{refused, text};

fn groups(claims: &Value) -> Vec<&str> {
    claims["groups"].as_array().unwrap().iter().map(|group| group.as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_token_says_the_groups_of_the_directory_too() {
    let bed = Bed::shared("groups").await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    assert_eq!(groups(&alice.claims), ["engineering", "admins", "builders"]);
    assert_eq!(groups(&bed.sign_in(ANNA).await.claims), ["engineering"]);

    let role = bed.role("app", "").await;
    let reading = "select auth.in_group('painters', 'org_acme')";
    let mut token = alice.refresh_token;
    for (case, change, names) in [
        (
            "renamed",
            json!({ "rename_directory_group": { "id": "directory_group_builders", "name": "painters" } }),
            vec!["engineering", "admins", "painters"],
        ),
        (
            "removed",
            json!({ "remove_from_directory_group": { "group": "directory_group_builders", "user": "directory_user_alice" } }),
            vec!["engineering", "admins"],
        ),
        (
            "added",
            json!({ "add_to_directory_group": { "group": "directory_group_builders", "user": "directory_user_alice" } }),
            vec!["engineering", "admins", "painters"],
        ),
        (
            "group deleted",
            json!({ "delete_directory_group": { "id": "directory_group_builders" } }),
            vec!["engineering", "admins"],
        ),
    ] {
        let session = refresh(&bed.admin, &token).await.unwrap();
        let app = reader(&bed, &role, &session).await;
        app.batch_execute(reading).await.unwrap();
        bed.happens(change);
        bed.follow().await;
        refused(app.query(reading, &[]).await, "session_stale");
        let next = refresh(&bed.admin, &session.refresh_token).await.unwrap();
        assert_eq!(groups(&next.claims), names, "{case}");
        token = next.refresh_token;
    }
    // A group that is gone stays so.
    assert_eq!(bed.count("select count(*) from auth.directory_group_members").await, 0);
}

/// Nobody who is told of a group before they are told of comes too short, and a group that is told of after it is gone does not come back.
#[tokio::test]
async fn what_comes_out_of_order_is_whole_in_the_end() {
    let bed = Bed::shared("order").await;
    bed.sign_in(ALICE).await;
    bed.happens(json!({ "create_directory": {
        "id": "directory_acme", "organization": "org_acme", "name": "Acme",
        "users": [{ "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" }],
        "groups": [[{ "id": "directory_group_builders", "name": "builders" }, ["okta-alice"]]],
    } }));
    let mut events = bed.told_after(None);
    events.reverse();
    workos_end_to_end::told::apply(&bed.admin, &workos_end_to_end::told::page(&events), None).await.unwrap();
    assert_eq!(groups(&bed.sign_in(ALICE).await.claims), ["engineering", "admins", "builders"]);
    let cursor = bed.told_after(None).last().unwrap()["id"].as_str().unwrap().to_owned();
    bed.admin.execute("update auth.workos_sync_state set cursor = $1", &[&cursor]).await.unwrap();

    bed.happens(json!({ "delete_directory_group": { "id": "directory_group_builders" } }));
    bed.follow().await;
    let added = events.iter().find(|event| event["event"] == "dsync.group.user_added").unwrap();
    let page = workos_end_to_end::told::page(std::slice::from_ref(added));
    workos_end_to_end::told::apply(&bed.admin, &page, bed.cursor().await.as_deref()).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.directory_groups").await, 0);
    assert_eq!(groups(&bed.sign_in(ALICE).await.claims), ["engineering", "admins"]);
}

/// WorkOS: a role by a group of the directory comes before one by a group of the sign-in.
#[tokio::test]
async fn the_role_of_a_directory_comes_before_that_of_the_sign_in() {
    let bed = Bed::shared("role").await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    assert_eq!(alice.claims["org_role"], "admin");
    let role = |role: &str| json!({ "update_directory_user": { "id": "directory_user_alice", "role": role } });
    bed.happens(role("auditor"));
    bed.follow().await;
    let next = refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    assert_eq!((&next.claims["org_role"], &next.claims["org_roles"]), (&json!("auditor"), &json!(["auditor"])));
    assert_eq!(bed.sign_in(ALICE).await.claims["org_role"], "auditor");

    // It gives none any more: the sign-in's counts from the next sign-in on, and none until then.
    let mut user = bed.told_after(None).into_iter().rfind(|event| event["event"] == "dsync.user.updated").unwrap();
    user["id"] = json!("event_none");
    let data = user["data"].as_object_mut().unwrap();
    data.remove("role");
    data.remove("roles");
    let page = workos_end_to_end::told::page(&[user]);
    workos_end_to_end::told::apply(&bed.admin, &page, bed.cursor().await.as_deref()).await.unwrap();
    let next = refresh(&bed.admin, &next.refresh_token).await.unwrap();
    assert_eq!((&next.claims["org_role"], &next.claims["org_roles"]), (&Value::Null, &json!([])));
    assert_eq!(bed.sign_in(ALICE).await.claims["org_role"], "admin");
    assert_eq!(
        text(&bed.admin, "select role from auth.organization_memberships").await.unwrap().as_deref(),
        Some("admin")
    );
}
