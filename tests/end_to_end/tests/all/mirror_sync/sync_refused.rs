//! Where and by whom WorkOS is followed, and each failure by its name.

use serde_json::{Value, json};
use workos_end_to_end::fed::{Verifier, logical};
use workos_end_to_end::{Bed, case, lines, refused, refused_as};
use workos_simulator::{Endpoint, Fault, FaultKind, RetryAfter};
use workos_testbed::workos::CLIENT_SECRET;

const CALLS: [&str; 3] =
    ["call auth.sync_workos()", "call auth.reconcile_workos()", "call auth.reconcile_workos('org_acme')"];

fn status(code: u16, body: Value) -> FaultKind {
    FaultKind::Status { code, body: Some(body) }
}

#[tokio::test]
async fn every_failure_has_its_name_and_is_written_down() {
    let bed = Bed::shared("names").await;
    bed.follows().await;
    bed.set("workos_auth.request_timeout", "1s").await;
    let client = bed.superuser().await;
    let message = json!({ "message": format!("Because of X, and {CLIENT_SECRET}.") });
    for (fault, name) in [
        (status(401, message.clone()), "workos_invalid_client"),
        (status(403, message.clone()), "workos_invalid_client"),
        (status(404, json!({ "error": "nginx" })), "workos_answer_malformed"),
        (status(418, message.clone()), "workos_rejected"),
        (FaultKind::RateLimited { retry_after: Some(RetryAfter::Seconds(0)) }, "workos_rate_limited"),
        (status(500, message.clone()), "workos_unavailable"),
        (status(503, message), "workos_unavailable"),
        (FaultKind::TruncatedBody, "workos_answer_malformed"),
        (FaultKind::MalformedJson, "workos_answer_malformed"),
        (FaultKind::Html, "workos_answer_malformed"),
        (FaultKind::EmptyBody, "workos_answer_malformed"),
        (status(200, json!([])), "workos_answer_malformed"),
        (status(200, json!({ "data": 7 })), "workos_answer_malformed"),
        (FaultKind::OversizedBody { bytes: 50 << 20, chunked: true }, "workos_answer_too_large"),
        (FaultKind::Reset, "workos_connection_lost"),
        (FaultKind::Hang, "workos_timeout"),
    ] {
        for call in CALLS {
            case!(call, fault);
            bed.simulator().clear_faults();
            for endpoint in [Endpoint::Events, Endpoint::Api] {
                bed.simulator().set_fault(Fault { endpoint, times: None, kind: fault.clone() }).unwrap();
            }
            let people = "select count(*) from auth.directory_users where deleted_at is null";
            let before = bed.count(people).await;
            // What is asked for by its id is believed to be gone where WorkOS itself says so.
            let is_of_a_list = call != CALLS[2] && matches!(fault, FaultKind::Status { code: 404, .. });
            let name = if is_of_a_list { "workos_not_found" } else { name };
            let error = refused(client.batch_execute(call).await, name);
            assert!(!error.to_string().contains(CLIENT_SECRET), "{error}");
            assert!(!error.hint.contains("sign-in") && !error.hint.contains("code"), "{error}");
            assert_eq!(bed.count(people).await, before);
            let noted = lines(&client, "select last_error from auth.workos_sync").await.unwrap();
            assert!(noted[0].contains(name) && !noted[0].contains(CLIENT_SECRET), "{noted:?}");
        }
    }
}

/// WorkOS asks to slow down: a comparison waits and goes on.
#[tokio::test]
async fn a_comparison_waits_where_workos_asks_to_slow_down() {
    let bed = Bed::shared("slow_down").await;
    bed.has_directory();
    let limited = FaultKind::RateLimited { retry_after: Some(RetryAfter::Seconds(1)) };
    bed.simulator().set_fault(Fault::api(limited).times(2)).unwrap();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.directory_users").await, 2);
}

#[tokio::test]
async fn it_commits_and_so_runs_in_no_transaction() {
    let bed = Bed::shared("transactions").await;
    bed.follows().await;
    for call in CALLS {
        case!(call);
        refused(bed.admin.batch_execute(&format!("begin; {call}")).await, "active_transaction");
        bed.admin.batch_execute("rollback").await.unwrap();
        let function =
            format!("create or replace function pg_temp.f() returns void language plpgsql as $$ begin {call}; end $$");
        bed.admin.batch_execute(&function).await.unwrap();
        refused(bed.admin.batch_execute("select pg_temp.f()").await, "active_transaction");
        let caught = format!("do $$ begin begin {call}; exception when division_by_zero then null; end; end $$");
        refused(bed.admin.batch_execute(&caught).await, "active_transaction");
        // A block may commit, and so may whoever it calls; so may a driver that binds values.
        bed.admin.batch_execute(&format!("do $$ begin {call}; commit; {call}; end $$")).await.unwrap();
        bed.admin.execute(call, &[]).await.unwrap();
        // Whatever the isolation of a client's own transactions is.
        for level in workos_end_to_end::racing::LEVELS {
            let client = workos_end_to_end::racing::at(bed.superuser().await, level).await;
            client.batch_execute(call).await.unwrap();
        }
        bed.admin.batch_execute("set default_transaction_read_only = on").await.unwrap();
        refused_as(bed.admin.batch_execute(call).await, "25006");
        bed.admin.batch_execute("set default_transaction_read_only = off").await.unwrap();
    }
}

#[tokio::test]
async fn administrators_follow_and_nobody_else() {
    let bed = Bed::shared("nobody_else").await;
    bed.follows().await;
    let operator = bed.role("operator", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{operator}')")).await.unwrap();
    let operator = bed.connect(&operator).await;
    let (backend, anybody) = (bed.backend().await, bed.connect(&bed.role("anybody", "").await).await);
    for call in CALLS {
        case!(call);
        refused_as(backend.batch_execute(call).await, "42501");
        refused_as(anybody.batch_execute(call).await, "42501");
        operator.batch_execute(call).await.unwrap();
    }
    operator.batch_execute("select auth.set_webhook_secret('whsec_demo')").await.unwrap();
    for client in [&backend, &anybody] {
        refused_as(client.batch_execute("select auth.set_webhook_secret('whsec_demo')").await, "42501");
    }
    refused_as(anybody.batch_execute("select auth.receive_webhook('{}', '')").await, "42501");
    assert_eq!(lines(&operator, "select cursor is not null from auth.workos_sync").await.unwrap(), ["t"]);
}

#[tokio::test]
async fn a_database_that_verifies_follows_nobody() {
    let verifier = Verifier::of(logical(), "follows_nobody").await;
    for call in CALLS {
        case!(call);
        refused(verifier.admin.batch_execute(call).await, "verifier_only");
    }
    refused(verifier.admin.batch_execute("select auth.receive_webhook('{}', '')").await, "verifier_only");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    let bed = Bed::shared("bad_input").await;
    refused(bed.admin.batch_execute("call auth.sync_workos()").await, "reconciliation_needed");
    bed.follows().await;
    for (call, name) in [
        ("call auth.sync_workos(null)", "null_value"),
        ("call auth.sync_workos(0)", "validation_failed"),
        ("call auth.reconcile_workos('../../x')", "validation_failed"),
        ("select auth.set_webhook_secret('a b')", "validation_failed"),
        ("select auth.receive_webhook(null, '')", "null_value"),
        ("select auth.receive_webhook('', null)", "null_value"),
    ] {
        case!(call);
        refused(bed.admin.batch_execute(call).await, name);
    }
    assert!(bed.simulator().requests().is_empty());
    bed.admin.batch_execute("delete from auth.providers").await.unwrap();
    for call in CALLS {
        case!(call);
        refused(bed.admin.batch_execute(call).await, "provider_not_configured");
    }
}
