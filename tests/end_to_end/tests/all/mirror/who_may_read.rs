//! Who reads what WorkOS told: administrators all of it, and people what is of their organization, where they may.

use serde_json::json;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, reader};
use workos_end_to_end::sql::{lines, refused_as, text};

const TABLES: [&str; 7] = [
    "connections",
    "roles",
    "workos_memberships",
    "directories",
    "directory_users",
    "directory_groups",
    "directory_group_members",
];

#[tokio::test]
async fn people_read_what_is_of_their_organization_where_it_is_granted() {
    let bed = Bed::shared("people").await;
    bed.with_directory().await;
    bed.happens(json!({ "set_connection_state": { "id": "conn_acme", "state": "inactive" } }));
    bed.happens(json!({ "set_connection_state": { "id": "conn_acme", "state": "active" } }));
    bed.happens(json!({ "create_role": { "slug": "admin" } }));
    bed.happens(json!({ "create_role": { "organization": "org_globex", "slug": "org-spy" } }));
    bed.happens(json!({ "create_user": { "id": "user_ada", "email": "ada@acme.com" } }));
    bed.happens(json!({ "create_membership": { "id": "om_ada", "user": "user_ada", "organization": "org_acme" } }));
    bed.follow().await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let role = bed.role("app", "").await;
    let (as_alice, as_bob) = (reader(&bed, &role, &alice).await, reader(&bed, &role, &bob).await);
    let nobody = bed.connect(&role).await;
    for table in TABLES {
        refused_as(as_alice.query(&format!("select * from auth.{table}"), &[]).await, "42501");
        bed.admin.batch_execute(&format!("grant select on auth.{table} to {role}")).await.unwrap();
        let count = format!("select count(*) > 0 from auth.{table}");
        assert_eq!(text(&as_alice, &count).await.unwrap().as_deref(), Some("t"), "{table}");
        let foreign = format!("select count(*) from auth.{table} where organization_id not in ('', 'org_globex')");
        assert_eq!(text(&as_bob, &foreign).await.unwrap().as_deref(), Some("0"), "{table}");
        assert_eq!(
            text(&nobody, &format!("select count(*) from auth.{table} where organization_id <> ''"))
                .await
                .unwrap()
                .as_deref(),
            Some("0"),
            "{table}"
        );
    }
    assert_eq!(lines(&as_alice, "select slug from auth.roles").await.unwrap(), ["admin"]);
    // Such a grant is the administrator's own, and no finding.
    let findings =
        "select object || ' ' || finding from auth.check() where object ~ 'directory|roles|connections|memberships'";
    assert_eq!(lines(&bed.admin, findings).await.unwrap(), [""; 0]);
    // Nobody sees who has left.
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_anna", "departure": "inactive" } }));
    bed.happens(json!({ "update_membership": { "id": "om_ada", "status": "inactive" } }));
    bed.follow().await;
    assert_eq!(lines(&as_alice, "select id from auth.directory_users").await.unwrap(), ["directory_user_alice"]);
    assert_eq!(text(&as_alice, "select count(*) from auth.workos_memberships").await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn administrators_read_all_and_apply_events() {
    let bed = Bed::shared("administrators").await;
    let operator = bed.role("operator", "").await;
    let backend = bed.role("backend", "").await;
    bed.admin
        .batch_execute(&format!("select auth.grant_admin('{operator}'); select auth.grant_sign_in('{backend}')"))
        .await
        .unwrap();
    let (operator, backend) = (bed.connect(&operator).await, bed.connect(&backend).await);
    bed.happens(json!({ "create_directory": { "id": "directory_acme", "organization": "org_acme", "name": "Acme", "users": [{ "idp_id": "x" }] } }));
    let page = workos_end_to_end::told::page(&bed.told_after(None));
    refused_as(workos_end_to_end::told::apply(&backend, &page, None).await, "42501");
    workos_end_to_end::told::apply(&operator, &page, None).await.unwrap();
    assert_eq!(text(&operator, "select count(*) from auth.directory_users").await.unwrap().as_deref(), Some("1"));
    assert_eq!(text(&operator, "select cursor is not null from auth.workos_sync").await.unwrap().as_deref(), Some("t"));
    // What is sealed there, nobody reads.
    refused_as(operator.batch_execute("select webhook_secret from auth.workos_sync_state").await, "42501");
    refused_as(operator.batch_execute("delete from auth.workos_sync_state").await, "42501");
    for table in TABLES.into_iter().chain(["workos_events", "workos_removals"]) {
        operator.batch_execute(&format!("select * from auth.{table}")).await.unwrap();
        refused_as(operator.batch_execute(&format!("delete from auth.{table}")).await, "42501");
    }
}
