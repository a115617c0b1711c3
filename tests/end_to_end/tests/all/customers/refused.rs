//! WorkOS refuses, is slow or is gone while a customer is set up: each failure has its own SQLSTATE, speaks of customers, shows no key, and
//! writes nothing.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use workos_end_to_end::{Bed, lines, refused, refused_as, text};
use workos_simulator::{Fault, FaultKind, RetryAfter};
use workos_testbed::Cluster;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

/// One of each function. WorkOS would do what they ask for.
const CALLS: [&str; 5] = [
    "auth.workos_create_organization('Pied Piper')",
    "auth.workos_create_organization('Pied Piper', 'customer-7')",
    "auth.workos_add_domain('org_acme', 'acme.example')",
    "auth.workos_invite_it_contact('org_acme', 'it@acme.com', '{sso}')",
    "auth.workos_portal_link('org_acme', 'sso')",
];

fn status(code: u16, body: Value) -> FaultKind {
    FaultKind::Status { code, body: Some(body) }
}

#[tokio::test]
async fn every_failure_has_its_name() {
    let bed = Bed::shared("names").await;
    bed.set("workos_auth.request_timeout", "1s").await;
    let client = bed.superuser().await;
    let message = json!({ "message": format!("Because of X, and {CLIENT_SECRET}.") });
    for (fault, name) in [
        (status(400, json!({ "message": "Because of X.", "code": "invalid_metadata" })), "workos_rejected"),
        (status(401, message.clone()), "workos_invalid_client"),
        (status(403, message.clone()), "workos_invalid_client"),
        (status(409, message.clone()), "workos_conflict"),
        (status(418, message.clone()), "workos_rejected"),
        (status(422, message.clone()), "workos_unprocessable"),
        (FaultKind::RateLimited { retry_after: Some(RetryAfter::Seconds(7)) }, "workos_rate_limited"),
        (status(500, message.clone()), "workos_unavailable"),
        (status(503, message), "workos_unavailable"),
        (FaultKind::TruncatedBody, "workos_answer_malformed"),
        (FaultKind::MalformedJson, "workos_answer_malformed"),
        (FaultKind::Html, "workos_answer_malformed"),
        (FaultKind::EmptyBody, "workos_answer_malformed"),
        (FaultKind::OversizedBody { bytes: 2 << 20, chunked: true }, "workos_answer_too_large"),
        (status(200, json!([])), "workos_answer_malformed"),
        (
            status(200, json!({ "id": "../../x", "data": [{}], "link": "http://evil.example" })),
            "workos_answer_malformed",
        ),
        (FaultKind::Reset, "workos_connection_lost"),
        (FaultKind::Hang, "workos_timeout"),
    ] {
        for call in CALLS {
            bed.simulator().clear_faults();
            bed.simulator().set_fault(Fault::api(fault.clone())).unwrap();
            let before = bed.contents().await;
            let result = client.batch_execute(&format!("select {call}")).await;
            assert!(result.is_err(), "{fault:?} did {call} no harm");
            let error = refused(result, name);
            assert!(!error.to_string().contains(CLIENT_SECRET), "{call}, {fault:?}: {error}");
            assert!(!error.hint.contains("sign-in") && !error.hint.contains("code"), "{call}, {fault:?}: {error}");
            assert_eq!(bed.contents().await, before, "{call}, {fault:?}");
        }
    }
    bed.simulator().clear_faults();
    let error = "select auth.workos_portal_link('org_acme', 'sso')";
    bed.simulator()
        .set_fault(Fault::api(FaultKind::RateLimited { retry_after: Some(RetryAfter::Seconds(7)) }))
        .unwrap();
    let error = refused(client.batch_execute(error).await, "workos_rate_limited");
    assert!(error.detail.contains("Retry-After: 7"), "{error}");
}

#[tokio::test]
async fn what_workos_does_not_know_or_already_has() {
    let bed = Bed::shared("known").await;
    for call in [
        "auth.workos_add_domain('org_nobody', 'acme.example')",
        "auth.workos_invite_it_contact('org_nobody', 'it@acme.com', '{sso}')",
        "auth.workos_portal_link('org_nobody', 'sso')",
    ] {
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "workos_not_found");
        assert!(error.hint.contains("no such organization"), "{call}: {error}");
    }
    // acme.com is verified, and another organization's.
    for call in [
        "auth.workos_create_organization('Evil', domains => '{acme.com}')",
        "auth.workos_create_organization('Evil', 'customer-8', '{acme.com}')",
        "auth.workos_add_domain('org_globex', 'acme.com')",
    ] {
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "workos_conflict");
        assert!(error.detail.contains("domain_already_exists"), "{call}: {error}");
    }
    let invite = |email: &str| format!("select auth.workos_invite_it_contact('org_acme', '{email}', '{{sso}}')");
    bed.admin.batch_execute(&invite("it@acme.com")).await.unwrap();
    for email in ["it@acme.com", "boss@acme.com"] {
        let error = refused(bed.admin.batch_execute(&invite(email)).await, "workos_conflict");
        assert!(error.hint.contains("one invitation at a time"), "{email}: {error}");
    }
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries where action = 'it_contact_invited'").await, 1);
}

/// An organization that is another issuer's is nobody's whom WorkOS speaks for.
#[tokio::test]
async fn an_organization_of_another_issuer_stays_that_issuers() {
    let bed = Bed::shared("another_issuer").await;
    let create = "select auth.workos_create_organization('Acme', 'customer-7')";
    let id = text(&bed.admin, create).await.unwrap().unwrap();
    bed.admin
        .execute("update auth.organizations set issuer = 'https://id.example.com' where id = $1", &[&id])
        .await
        .unwrap();
    refused(bed.admin.batch_execute(create).await, "organization_of_another_issuer");
}

#[tokio::test]
async fn a_wrong_key_and_no_server() {
    let bed = Bed::shared("wrong_key").await;
    let configure = "select auth.configure_workos($1, $2, $3, api_url => $4)";
    bed.admin.execute(configure, &[&CLIENT_ID, &REDIRECT_URI, &"sk_test_another", &bed.workos.url()]).await.unwrap();
    for call in CALLS {
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "workos_invalid_client");
        assert!(!error.to_string().contains("sk_test_another"), "{call}: {error}");
    }
    // Port 9 of this machine discards what comes, and nothing listens there.
    let configure = "select auth.configure_workos($1, $2, $3, api_url => 'http://127.0.0.1:9')";
    bed.admin.execute(configure, &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET]).await.unwrap();
    for call in CALLS {
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "workos_unreachable");
        assert!(error.hint.starts_with("Nothing was changed"), "{call}: {error}");
    }
}

/// A call waits for WorkOS as a sign-in does: a cancel ends it at once, it holds no lock of a row, and it takes one of the places.
#[tokio::test]
async fn a_call_that_waits_is_cancelled_and_takes_a_place() {
    let settings = ["workos_auth.max_concurrent_requests = 1", "workos_auth.request_queue_timeout = '1s'"];
    let cluster = Cluster::start_with(&settings).unwrap();
    let bed = Bed::new(&cluster, "waits").await;
    bed.set("workos_auth.request_timeout", "60s").await;
    for call in CALLS {
        bed.simulator().clear_faults();
        bed.simulator().clear_requests();
        bed.simulator().set_fault(Fault::api(FaultKind::Hang).times(1)).unwrap();
        let waiting = bed.superuser().await;
        let pid: i32 = waiting.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        let sql = format!("select {call}");
        let task = tokio::spawn(async move { waiting.batch_execute(&sql).await });
        let deadline = Instant::now() + Duration::from_secs(60);
        while bed.simulator().requests().is_empty() {
            assert!(Instant::now() < deadline, "{call} does not ask WorkOS");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        refused(
            bed.admin.batch_execute("select auth.workos_portal_link('org_acme', 'sso')").await,
            "over_request_rate_limit",
        );
        let locks = format!("select count(*) from pg_locks where pid = {pid} and mode like 'Row%'");
        assert_eq!(lines(&bed.admin, &locks).await.unwrap(), ["0"], "{call}");
        let began = Instant::now();
        bed.admin.execute("select pg_cancel_backend($1)", &[&pid]).await.unwrap();
        refused_as(task.await.unwrap(), "57014");
        assert!(began.elapsed() < Duration::from_secs(10), "{call} took its time");
        bed.admin.batch_execute("select auth.workos_portal_link('org_acme', 'sso')").await.unwrap();
    }
}
