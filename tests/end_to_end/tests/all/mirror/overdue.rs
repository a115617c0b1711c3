//! How old the mirror is, and what follows where it is too old.

use serde_json::json;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, GINA, exchange, reader, refresh, start};
use workos_end_to_end::sql::{refused, text};

const OLD: &str = "update auth.workos_sync_state set drained_at = now() - interval '1 hour'";

#[tokio::test]
async fn the_age_can_be_asked_in_a_policy() {
    let bed = Bed::shared("age").await;
    assert_eq!(text(&bed.admin, "select auth.mirror_age() is null").await.unwrap().as_deref(), Some("t"));
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    let role = bed.role("app", "").await;
    bed.admin
        .batch_execute(&format!(
            "create table notes (n int); insert into notes values (1); alter table notes enable row level security;
             grant select on notes to {role};
             create policy fresh on notes using ((select auth.mirror_age()) < interval '10 minutes')"
        ))
        .await
        .unwrap();
    let app = reader(&bed, &role, &alice).await;
    let count = "select count(*) from notes";
    assert_eq!(text(&app, count).await.unwrap().as_deref(), Some("1"));
    bed.admin.batch_execute(OLD).await.unwrap();
    assert_eq!(text(&app, count).await.unwrap().as_deref(), Some("0"));
    let age = "select extract(epoch from auth.mirror_age()) between 3600 and 3660, extract(epoch from age) between 3600 and 3660 from auth.workos_sync";
    assert_eq!(workos_end_to_end::sql::lines(&bed.admin, age).await.unwrap(), ["t|t"]);
    bed.admin.batch_execute("delete from auth.workos_sync_state").await.unwrap();
    assert_eq!(text(&app, count).await.unwrap().as_deref(), Some("0"));
}

#[tokio::test]
async fn a_mirror_that_is_too_old_lets_nobody_in_where_that_is_asked_for() {
    let bed = Bed::shared("refuses").await;
    let before = bed.sign_in(ALICE).await;
    bed.admin
        .batch_execute("set workos_auth.sync_max_age = '10min'; set workos_auth.sync_overdue = 'refuse_sign_in'")
        .await
        .unwrap();
    let refusal = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "mirror_stale");
    assert!(refusal.detail.contains("never"), "{refusal}");
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin.batch_execute(OLD).await.unwrap();
    refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "mirror_stale");
    refused(refresh(&bed.admin, &alice.refresh_token).await, "mirror_stale");
    // Whoever is of no organization cannot have left one.
    let gina = bed.sign_in(GINA).await;
    refresh(&bed.admin, &gina.refresh_token).await.unwrap();

    bed.admin.batch_execute("set workos_auth.sync_overdue = 'warn'").await.unwrap();
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    assert!(bed.log().contains("have not been read for longer than workos_auth.sync_max_age"), "{}", bed.log());
    bed.admin
        .batch_execute("set workos_auth.sync_max_age = 0; set workos_auth.sync_overdue = 'refuse_sign_in'")
        .await
        .unwrap();
    bed.sign_in(ALICE).await;
    assert_eq!(before.claims["org_id"], json!("org_acme"));
}
