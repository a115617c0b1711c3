//! `POST /webhooks/workos`: WorkOS's own sender, and everybody else.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workos_end_to_end::ALICE;
use workos_end_to_end::following::{WEBHOOK_SECRET, event, signature};
use workos_end_to_end::waiting::now;
use workos_simulator::WebhookSettings;

use crate::common::{Gateway, PATIENCE, ok, refused, send};

const PATH: &str = "/webhooks/workos";

async fn receiving(name: &'static str, flags: &[&str]) -> Gateway {
    let gateway = Gateway::start(name, flags).await;
    gateway.bed.follows().await;
    gateway.bed.sync().await;
    gateway.bed.admin.execute("select auth.set_webhook_secret($1)", &[&WEBHOOK_SECRET]).await.unwrap();
    gateway
}

/// The simulator signs and sends as WorkOS does, each webhook twice and some in another order.
#[tokio::test]
async fn what_workos_sends_is_applied() {
    let gateway = receiving("sent", &[]).await;
    let endpoint =
        gateway.http.post(format!("{}/webhook_endpoints", gateway.bed.workos.url())).bearer_auth("sk_test_demo").json(
            &json!({ "endpoint_url": gateway.at(PATH), "events": ["dsync.user.deleted", "organization.updated"] }),
        );
    let endpoint: Value = endpoint.send().await.unwrap().error_for_status().unwrap().json().await.unwrap();
    let secret = endpoint["secret"].as_str().unwrap();
    gateway.bed.admin.execute("select auth.set_webhook_secret($1)", &[&secret]).await.unwrap();
    let alice = gateway.bed.sign_in(ALICE).await;
    gateway.bed.simulator().set_webhooks(WebhookSettings { times: 2, reorder: Some(7), ..WebhookSettings::default() });
    gateway.bed.departs("alice");
    let deadline = Instant::now() + PATIENCE;
    while gateway.bed.simulator().webhook_attempts().len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", gateway.bed.simulator().webhook_attempts());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(gateway.bed.simulator().webhook_attempts().iter().all(|attempt| attempt.status == Some(200)));
    assert!(!gateway.bed.lives(&alice).await);
}

#[tokio::test]
async fn what_workos_has_not_signed_is_refused() {
    let gateway = receiving("refused", &["--max-body", "4096"]).await;
    let body = event("event_1", "organization.deleted", &json!({ "id": "org_acme" })).to_string();
    let time = now() * 1000;
    let good = signature(&body, WEBHOOK_SECRET, time);
    let post = |body: &str, header: Option<&str>| {
        let request = gateway.http.post(gateway.at(PATH)).body(body.to_owned());
        match header {
            Some(header) => request.header("WorkOS-Signature", header),
            None => request,
        }
    };
    for (what, body, header, status, code) in [
        ("no signature", &body, None, 400, "validation_failed"),
        ("another secret", &body, Some(signature(&body, "whsec_other", time)), 401, "webhook_signature_invalid"),
        ("another body", &format!("{body}\n"), Some(good.clone()), 401, "webhook_signature_invalid"),
        ("long ago", &body, Some(signature(&body, WEBHOOK_SECRET, time - 600_000)), 401, "webhook_signature_old"),
        ("too large", &"x".repeat(5000), Some(good.clone()), 413, "request_entity_too_large"),
        ("NUL", &"\0".to_owned(), Some(good.clone()), 400, "validation_failed"),
    ] {
        let answer = refused(send(post(body, header.as_deref())).await).await;
        assert_eq!((answer.0, &*answer.1), (status, code), "{what}");
    }
    let gone = "select count(*) from auth.organizations where deleted_at is not null";
    assert_eq!(gateway.bed.count(gone).await, 0);
    assert_eq!(ok(post(&body, Some(&good)).send().await.unwrap()).await, json!({ "outcome": "applied" }));
    assert_eq!(gateway.bed.count(gone).await, 1);
    assert_eq!(ok(post(&body, Some(&good)).send().await.unwrap()).await, json!({ "outcome": "known" }));
    // WorkOS sends again what gets another answer than 2xx.
    gateway.bed.admin.batch_execute("select auth.set_webhook_secret(null)").await.unwrap();
    let answer = refused(send(post(&body, Some(&good))).await).await;
    assert_eq!((answer.0, &*answer.1), (503, "webhook_secret_missing"));
    assert!(!gateway.log().contains(WEBHOOK_SECRET));
}

/// Who guesses is slowed down; what is signed is not counted.
#[tokio::test]
async fn guesses_are_limited_and_webhooks_are_not() {
    let gateway = receiving("limited", &["--rate-limit", "6", "--rate-limit-burst", "3"]).await;
    let body = event("event_1", "flag.created", &json!({})).to_string();
    let post = |secret: &str| {
        let header = signature(&body, secret, now() * 1000);
        gateway.http.post(gateway.at(PATH)).header("WorkOS-Signature", header).body(body.clone())
    };
    for _ in 0..20 {
        assert_eq!(ok(post(WEBHOOK_SECRET).send().await.unwrap()).await["outcome"], "skipped");
    }
    let mut answers = Vec::new();
    for _ in 0..6 {
        answers.push(refused(send(post("whsec_guess")).await).await.0);
    }
    assert!(answers.starts_with(&[401]) && answers.ends_with(&[429]), "{answers:?}");
}
