//! Organizations, their domains and connections, as WorkOS tells of them.

use serde_json::json;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, exchange, reader, refresh, start};
use workos_end_to_end::sql::{lines, refused, text};
use workos_end_to_end::told::{apply, event, page};

const FOUND: &str = "select auth.organization_for_email('somebody@piper.example')";

#[tokio::test]
async fn an_organization_and_its_domains_are_what_workos_says() {
    let bed = Bed::shared("domains").await;
    let id = bed.happens(json!({ "create_organization": { "name": "Piper", "external_id": "piper" } }));
    let domain = bed.happens(json!({ "add_domain": { "organization": id, "domain": "piper.example" } }));
    bed.happens(json!({ "rename_organization": { "id": id, "name": "Pied Piper" } }));
    bed.follow().await;
    let row = format!(
        "select concat_ws('|', name, external_id, metadata, deleted_at) from auth.organizations where id = '{id}'"
    );
    assert_eq!(lines(&bed.admin, &row).await.unwrap(), ["Pied Piper|piper|{}"]);
    // A domain that is only claimed leads nowhere.
    let states = "select state from auth.organization_domains";
    assert_eq!(
        (lines(&bed.admin, states).await.unwrap(), text(&bed.admin, FOUND).await.unwrap()),
        (vec!["pending".to_owned()], None)
    );
    bed.happens(json!({ "verify_domain": { "id": domain } }));
    bed.follow().await;
    assert_eq!(text(&bed.admin, FOUND).await.unwrap(), Some(id.clone()));
    bed.happens(json!({ "delete_domain": { "id": domain } }));
    bed.follow().await;
    assert_eq!(
        (bed.count("select count(*) from auth.organization_domains").await, text(&bed.admin, FOUND).await.unwrap()),
        (0, None)
    );
}

/// What WorkOS lists is all that there is.
#[tokio::test]
async fn a_domain_that_is_no_longer_listed_is_none() {
    let bed = Bed::shared("unlisted").await;
    let told = async |id: &str, cursor: Option<&str>, domains: serde_json::Value| {
        let mut organization = json!({ "id": "org_piper", "name": "Piper", "updated_at": "2026-01-15T09:00:00.000Z" });
        if !domains.is_null() {
            organization["domains"] = domains;
        }
        apply(&bed.admin, &page(&[event(id, "organization.updated", organization)]), cursor).await.unwrap();
        text(&bed.admin, FOUND).await.unwrap()
    };
    let listed = json!([{ "id": "org_domain_1", "domain": "piper.example", "state": "verified" }]);
    assert_eq!(told("event_1", None, listed).await.as_deref(), Some("org_piper"));
    assert_eq!(told("event_2", Some("event_1"), json!(null)).await.as_deref(), Some("org_piper"));
    assert_eq!(told("event_3", Some("event_2"), json!([])).await, None);
}

/// The word of whoever administers this database counts as before, and no event takes it away.
#[tokio::test]
async fn a_domain_that_was_written_by_hand_stays() {
    let bed = Bed::shared("hand").await;
    bed.admin
        .batch_execute("insert into auth.organizations (id) values ('org_acme'); insert into auth.organization_domains (organization_id, domain) values ('org_acme', 'piper.example')")
        .await
        .unwrap();
    let domain = bed.happens(json!({ "add_domain": { "organization": "org_acme", "domain": "piper.example" } }));
    bed.follow().await;
    assert_eq!(text(&bed.admin, FOUND).await.unwrap().as_deref(), Some("org_acme"));
    bed.happens(json!({ "fail_domain": { "id": domain } }));
    bed.happens(json!({ "delete_domain": { "id": domain } }));
    bed.follow().await;
    assert_eq!(text(&bed.admin, FOUND).await.unwrap().as_deref(), Some("org_acme"));
}

/// `workos_auth.account_linking = email` joins accounts by a domain: by a verified one.
#[tokio::test]
async fn a_domain_that_is_only_claimed_joins_no_accounts() {
    for (case, state, is_joined) in
        [("pending", "'pending'", false), ("verified", "'verified'", true), ("hand", "null", true)]
    {
        let bed = Bed::shared(&format!("linking_{case}")).await;
        bed.admin
            .batch_execute(&format!(
                "insert into auth.organizations (id) values ('org_acme');
                 insert into auth.organization_domains (organization_id, domain, workos_id, state) values ('org_acme', 'acme.com', 'x', {state});
                 set workos_auth.account_linking = 'email'; select auth.create_user('alice@acme.com')"
            ))
            .await
            .unwrap();
        let session = bed.sign_in(ALICE).await;
        assert_eq!(!session.is_new_user, is_joined, "{case}");
    }
}

#[tokio::test]
async fn who_is_in_an_organization_that_is_deleted_is_out() {
    let bed = Bed::shared("deleted").await;
    bed.with_directory().await;
    bed.happens(json!({ "create_role": { "organization": "org_acme", "slug": "x" } }));
    bed.follow().await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let role = bed.role("app", "").await;
    let app = reader(&bed, &role, &alice).await;
    let cursor = bed.cursor().await;
    let gone = |id: &str, number: u8| event(&format!("event_{number}"), "organization.deleted", json!({ "id": id }));
    apply(&bed.admin, &page(&[gone("org_acme", 1)]), cursor.as_deref()).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "member_removed");
    refresh(&bed.admin, &bob.refresh_token).await.unwrap();
    for table in ["connections", "directories", "directory_groups", "directory_group_members", "roles"] {
        assert_eq!(
            bed.count(&format!("select count(*) from auth.{table} where organization_id = 'org_acme'")).await,
            0,
            "{table}"
        );
    }
    // It never comes back, and one that was never here does not come either.
    let updated = |id: &str, number: u8| {
        let data = json!({ "id": id, "name": "Back", "updated_at": "2030-01-01T00:00:00.000Z" });
        event(&format!("event_{number}"), "organization.updated", data)
    };
    let told = page(&[gone("org_never", 2), updated("org_never", 3), updated("org_acme", 4)]);
    apply(&bed.admin, &told, Some("event_1")).await.unwrap();
    let known = "select id || ' ' || (deleted_at is not null) from auth.organizations order by id";
    assert_eq!(lines(&bed.admin, known).await.unwrap(), ["org_acme true", "org_globex false"]);
    assert_eq!(bed.count("select count(*) from auth.sessions where organization_id = 'org_acme'").await, 0);
}

#[tokio::test]
async fn connections_and_their_certificates_are_known() {
    let bed = Bed::shared("connections").await;
    let umbrella =
        "select concat_ws(' ', organization_id, type, state, certificate_expires_at > now()) from auth.connections";
    bed.happens(json!({ "set_connection_state": { "id": "conn_umbrella", "state": "active" } }));
    bed.happens(json!({ "certificate_expires": { "connection": "conn_umbrella", "in_days": -1 } }));
    bed.follow().await;
    assert_eq!(lines(&bed.admin, umbrella).await.unwrap(), ["org_umbrella OktaSAML active f"]);
    bed.happens(json!({ "certificate_renewed": { "connection": "conn_umbrella", "for_days": 365 } }));
    bed.happens(json!({ "set_connection_state": { "id": "conn_umbrella", "state": "inactive" } }));
    bed.follow().await;
    assert_eq!(lines(&bed.admin, umbrella).await.unwrap(), ["org_umbrella OktaSAML inactive t"]);
    bed.happens(json!({ "delete_connection": { "id": "conn_umbrella" } }));
    bed.follow().await;
    assert_eq!(bed.count("select count(*) from auth.connections").await, 0);
}
