//! Pages of events: the cursor, what is applied twice, and what cannot be understood.

use serde_json::{Value, json};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, refresh};
use workos_end_to_end::sql::{lines, refused, text};
use workos_end_to_end::told::{apply, event, page};

#[tokio::test]
async fn a_page_is_applied_after_the_cursor_and_nowhere_else() {
    let bed = Bed::shared("cursor").await;
    bed.with_directory().await;
    let cursor = bed.cursor().await;
    assert_eq!(cursor, bed.told_after(None).last().map(|event| event["id"].as_str().unwrap().to_owned()));
    let alice = bed.sign_in(ALICE).await;
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_alice" } }));
    let told = page(&bed.told_after(cursor.as_deref()));
    for after in [None, Some("event_other"), Some("not an id\n")] {
        let refusal = refused(apply(&bed.admin, &told, after).await, "cursor_moved");
        assert!(!refusal.detail.contains("not an id"), "{refusal}");
    }
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    assert_eq!(apply(&bed.admin, &told, cursor.as_deref()).await.unwrap(), 1);
    // Twice.
    refused(apply(&bed.admin, &told, cursor.as_deref()).await, "cursor_moved");

    // An empty page leaves it where it is, and `after` of the list comes before the last event.
    let cursor = bed.cursor().await;
    assert_eq!(apply(&bed.admin, &page(&[]), cursor.as_deref()).await.unwrap(), 0);
    assert_eq!(bed.cursor().await, cursor);
    let drained = text(&bed.admin, "select drained_at from auth.workos_sync_state").await.unwrap();
    let more = json!({ "data": [], "list_metadata": { "after": "event_next" } });
    apply(&bed.admin, &more, cursor.as_deref()).await.unwrap();
    assert_eq!(bed.cursor().await.as_deref(), Some("event_next"));
    // There is more to come: the mirror is no newer.
    assert_eq!(text(&bed.admin, "select drained_at from auth.workos_sync_state").await.unwrap(), drained);
}

/// Events come twice, in a page and in another, and the tables are what they were.
#[tokio::test]
async fn what_comes_twice_counts_once() {
    let bed = Bed::shared("twice").await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    let tables = "select 'user ' || id || state || coalesce(user_id::text, '') from auth.directory_users
        union all select 'group ' || group_id || directory_user_id from auth.directory_group_members
        union all select 'member ' || organization_id || user_id || groups::text from auth.organization_memberships order by 1";
    let before = lines(&bed.admin, tables).await.unwrap();
    let all = bed.told_after(None);
    let twice: Vec<Value> = all.iter().chain(&all).cloned().collect();
    let cursor = bed.cursor().await;
    assert_eq!(apply(&bed.admin, &page(&twice), cursor.as_deref()).await.unwrap(), 0);
    assert_eq!(lines(&bed.admin, tables).await.unwrap(), before);
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
}

#[tokio::test]
async fn an_event_that_cannot_be_understood_stops_the_page_until_it_is_skipped() {
    let bed = Bed::shared("malformed").await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    let cursor = bed.cursor().await;
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_alice" } }));
    let mut events = bed.told_after(cursor.as_deref());
    events.push(event("event_odd", "dsync.user.updated", json!({ "id": "directory_user_anna" })));
    let refusal = refused(apply(&bed.admin, &page(&events), cursor.as_deref()).await, "event_malformed");
    assert!(refusal.detail.contains("event_odd") && refusal.detail.contains("directory_id"), "{refusal}");
    assert!(refusal.hint.contains("auth.skip_event"), "{refusal}");
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    assert_eq!(bed.cursor().await, cursor);

    assert_eq!(text(&bed.admin, "select auth.skip_event('event_odd')").await.unwrap().as_deref(), Some("t"));
    assert_eq!(text(&bed.admin, "select auth.skip_event('event_odd')").await.unwrap().as_deref(), Some("f"));
    assert_eq!(apply(&bed.admin, &page(&events), cursor.as_deref()).await.unwrap(), 1);
    assert_eq!(bed.cursor().await.as_deref(), Some("event_odd"));
    refused(refresh(&bed.admin, &alice.refresh_token).await, "refresh_token_not_found");
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries where action = 'workos_event_skipped'").await, 1);
    refused(bed.admin.query("select auth.skip_event('x')", &[]).await, "validation_failed");
    refused(bed.admin.query("select auth.skip_event(null)", &[]).await, "null_value");
}

#[tokio::test]
async fn what_is_no_page_is_refused() {
    let bed = Bed::shared("no_page").await;
    let after = |after: Value| json!({ "data": [], "list_metadata": { "after": after } });
    for bad in [
        json!([]),
        json!(null),
        json!({}),
        json!({ "data": [1], "list_metadata": {} }),
        after(json!("x")),
        json!({ "message": "Unauthorized" }),
    ] {
        refused(apply(&bed.admin, &bad, None).await, "event_malformed");
    }
    refused(bed.admin.query("select auth.apply_events(null)", &[]).await, "null_value");
    // Types that nobody knows are passed over, and the cursor goes on.
    let unknown = page(&[event("event_1", "vault.data.read", json!(7)), event("event_2", "user.created", json!(null))]);
    assert_eq!(apply(&bed.admin, &unknown, None).await.unwrap(), 0);
    assert_eq!(bed.cursor().await.as_deref(), Some("event_2"));
    assert_eq!(bed.count("select count(*) from auth.workos_events").await, 0);
}

/// WorkOS's documentation has another form of dates in its sample than its answers have.
#[tokio::test]
async fn both_forms_of_dates_are_utc() {
    let bed = Bed::shared("dates").await;
    bed.admin.batch_execute("set timezone = 'America/New_York'").await.unwrap();
    for (id, date) in [("event_1", "2023-04-28 20:05:31.093"), ("event_2", "2023-04-28T20:05:31.093Z")] {
        let mut event = event(id, "user.deleted", json!({ "id": "user_x" }));
        event["created_at"] = json!(date);
        let after = bed.cursor().await;
        apply(&bed.admin, &page(&[event]), after.as_deref()).await.unwrap();
    }
    let dates = "select distinct created_at at time zone 'utc' from auth.workos_events";
    assert_eq!(lines(&bed.admin, dates).await.unwrap(), ["2023-04-28 20:05:31.093"]);
    // And what nobody brings again is cleaned up.
    bed.admin.batch_execute("select auth.cleanup()").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.workos_events").await, 0);
    assert_eq!(bed.count("select count(*) from auth.workos_removals").await, 1);
}

/// A transaction that keeps its snapshot would not see the sessions that were opened since, and let them live.
#[tokio::test]
async fn a_transaction_that_keeps_its_snapshot_applies_nothing() {
    let bed = Bed::shared("snapshot").await;
    bed.with_directory().await;
    let cursor = bed.cursor().await;
    for level in ["repeatable read", "serializable"] {
        let mut client = bed.superuser().await;
        let transaction = client.build_transaction().isolation_level(match level {
            "serializable" => tokio_postgres::IsolationLevel::Serializable,
            _ => tokio_postgres::IsolationLevel::RepeatableRead,
        });
        let transaction = transaction.start().await.unwrap();
        transaction.batch_execute("select count(*) from auth.sessions").await.unwrap();
        let refusal = refused(apply(&transaction, &page(&[]), cursor.as_deref()).await, "conflict");
        assert!(refusal.hint.contains("READ COMMITTED"), "{level}: {refusal}");
    }
    let mut client = bed.superuser().await;
    let reading = client.build_transaction().read_only(true).start().await.unwrap();
    refused(apply(&reading, &page(&[]), cursor.as_deref()).await, "read_only");
}
