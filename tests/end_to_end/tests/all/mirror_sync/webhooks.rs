//! `auth.receive_webhook`: what WorkOS has signed is applied once, and the cursor stays where it is.
#![allow(clippy::disallowed_methods)]

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use workos_end_to_end::bed::{ALICE, ANNA};
use workos_end_to_end::following::{WEBHOOK_SECRET, event, receive, signature};
use workos_end_to_end::waiting::now;
use workos_end_to_end::{Bed, case, lines, refused, text};
use workos_simulator::Change;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

async fn receives(bed: &Bed<'_>) {
    bed.follows().await;
    bed.sync().await;
    bed.admin.execute("select auth.set_webhook_secret($1)", &[&WEBHOOK_SECRET]).await.unwrap();
}

fn last_event(bed: &Bed<'_>) -> Value {
    bed.simulator().events().pop().unwrap()
}

#[tokio::test]
async fn an_event_is_applied_once_and_the_cursor_stays() {
    let bed = Bed::shared("once").await;
    receives(&bed).await;
    let backend = bed.backend().await;
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let cursor = bed.cursor().await;
    bed.departs("alice");
    let left = last_event(&bed);
    // Whoever signs people in may hand webhooks on: the signature decides.
    assert_eq!(receive(&backend, &left).await.unwrap(), "applied");
    assert!(!bed.lives(&alice).await && bed.lives(&anna).await);
    assert_eq!(receive(&backend, &left).await.unwrap(), "known");
    assert_eq!(bed.cursor().await, cursor);
    assert_eq!(
        lines(&bed.admin, "select source from auth.workos_events where event = 'dsync.user.deleted'").await.unwrap(),
        ["webhook"]
    );
    bed.sync().await;
    assert_eq!(bed.cursor().await.as_deref(), left["id"].as_str());
    assert!(!bed.lives(&alice).await && bed.lives(&anna).await);
}

/// Who is in a group depends on the order of events, which webhooks do not keep.
#[tokio::test]
async fn what_only_the_order_tells_is_left_to_the_next_page() {
    let bed = Bed::shared("order").await;
    receives(&bed).await;
    let members = "select count(*) from auth.directory_group_members";
    let change =
        Change::AddToDirectoryGroup { group: "directory_group_ops".into(), user: "directory_user_anna".into() };
    bed.simulator().change(change).unwrap();
    assert_eq!(receive(&bed.admin, &last_event(&bed)).await.unwrap(), "left");
    assert_eq!(bed.count(members).await, 1);
    bed.sync().await;
    assert_eq!(bed.count(members).await, 2);
    assert_eq!(receive(&bed.admin, &event("event_1", "flag.created", &json!({}))).await.unwrap(), "skipped");
}

#[tokio::test]
async fn what_workos_has_not_signed_changes_nothing() {
    let bed = Bed::shared("not_signed").await;
    bed.follows().await;
    let body = event("event_1", "organization.deleted", &json!({ "id": "org_acme" })).to_string();
    let sql = "select auth.receive_webhook($1, $2)";
    let time = now() * 1000;
    let good = signature(&body, WEBHOOK_SECRET, time);
    refused(bed.admin.execute(sql, &[&body, &good]).await, "webhook_secret_missing");
    bed.admin.execute("select auth.set_webhook_secret($1)", &[&WEBHOOK_SECRET]).await.unwrap();
    for (what, sent, signature, name) in [
        ("nothing", &body, String::new(), "webhook_signature_invalid"),
        ("another secret", &body, signature(&body, "whsec_other", time), "webhook_signature_invalid"),
        ("another body", &format!("{body} "), good.clone(), "webhook_signature_invalid"),
        ("another time", &body, good.replace(&time.to_string(), &(time + 1).to_string()), "webhook_signature_invalid"),
        ("five minutes ago", &body, signature(&body, WEBHOOK_SECRET, time - 300_000), "webhook_signature_old"),
        ("in five minutes", &body, signature(&body, WEBHOOK_SECRET, time + 300_000), "webhook_signature_old"),
        (
            "seconds in place of milliseconds",
            &body,
            signature(&body, WEBHOOK_SECRET, time / 1000),
            "webhook_signature_old",
        ),
    ] {
        case!(what);
        let error = refused(bed.admin.execute(sql, &[sent, &signature]).await, name);
        assert!(!error.to_string().contains(WEBHOOK_SECRET), "{error}");
    }
    for malformed in ["", "x", "[]", r#"{"id":"event_1"}"#, r#"{"id":"1","event":"user.deleted","created_at":"now"}"#] {
        case!(malformed);
        let malformed = malformed.to_owned();
        let good = signature(&malformed, WEBHOOK_SECRET, time);
        refused(bed.admin.execute(sql, &[&malformed, &good]).await, "event_malformed");
    }
    assert_eq!(bed.count("select count(*) from auth.organizations where deleted_at is not null").await, 0);
    bed.admin.execute(sql, &[&body, &good]).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.organizations where deleted_at is not null").await, 1);
}

/// The secret is sealed, moves to another root key, stays when the API key changes, and goes with the environment.
#[tokio::test]
async fn the_secret_is_kept_as_the_api_key_is() {
    let bed = Bed::shared("kept").await;
    receives(&bed).await;
    let works = || async { receive(&bed.admin, &event("event_1", "flag.created", &json!({}))).await };
    assert_eq!(works().await.unwrap(), "skipped");
    let everything = format!("{:?}", bed.contents().await);
    assert!(!everything.contains(WEBHOOK_SECRET) && !bed.log().contains(WEBHOOK_SECRET));
    let configure = "select auth.configure_workos($1, $2, $3, api_url => $4)";
    bed.admin.execute(configure, &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET, &bed.workos.url()]).await.unwrap();
    assert_eq!(works().await.unwrap(), "skipped");
    bed.admin.batch_execute("select auth.become_new_installation()").await.unwrap();
    assert_eq!(works().await.unwrap(), "skipped");
    assert!(bed.cursor().await.is_some());
    bed.admin.batch_execute("update auth.workos_sync_state set webhook_secret = '\\x00'").await.unwrap();
    assert_eq!(workos_end_to_end::refusal(works().await).sqlstate, "WA118");
    bed.admin.execute("select auth.set_webhook_secret($1)", &[&WEBHOOK_SECRET]).await.unwrap();
    assert_eq!(works().await.unwrap(), "skipped");
    // Another environment signs with another secret, and has another list of events.
    bed.admin.execute(configure, &[&"client_other", &REDIRECT_URI, &"sk_test_other", &bed.workos.url()]).await.unwrap();
    refused(works().await, "webhook_secret_missing");
    assert_eq!(bed.cursor().await, None);
    refused(bed.admin.batch_execute("call auth.sync_workos()").await, "reconciliation_needed");
    bed.admin.batch_execute("select auth.set_webhook_secret('x'); select auth.set_webhook_secret(null)").await.unwrap();
    refused(works().await, "webhook_secret_missing");
    let audited = text(&bed.admin, "select count(*) from auth.audit_log_entries where action = 'webhook_secret_set'")
        .await
        .unwrap();
    assert_eq!(audited.as_deref(), Some("4"));
}

/// WorkOS's own SDK signs, and verifies what the tests sign.
#[tokio::test]
async fn what_the_sdk_of_workos_signs_is_taken() {
    let bed = Bed::shared("sdk").await;
    receives(&bed).await;
    bed.departs("alice");
    let body = serde_json::to_string(&last_event(&bed)).unwrap();
    for (secret, is_good) in [(WEBHOOK_SECRET, true), ("whsec_other", false)] {
        case!(secret);
        let ours = signature(&body, WEBHOOK_SECRET, now() * 1000);
        let output = Command::new("node")
            .args(["webhook.js", secret, &body, &ours])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../node"))
            .output()
            .expect("node does not start: run make setup-tests");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(said["isGood"], is_good);
        let header = said["header"].as_str().unwrap();
        let received = bed.admin.query_one("select auth.receive_webhook($1, $2)", &[&body, &header]).await;
        match is_good {
            true => assert_eq!(received.unwrap().get::<_, String>(0), "applied"),
            false => drop(refused(received, "webhook_signature_invalid")),
        }
    }
}
