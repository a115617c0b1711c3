//! The background worker follows WorkOS once somebody has begun to.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::ALICE;
use workos_simulator::{Fault, FaultKind};

use super::CLUSTER;

#[tokio::test]
async fn it_asks_for_events_once_somebody_has_begun() {
    let bed = Bed::new(&CLUSTER, "worker_follows").await;
    bed.has_directory();
    let alice = bed.sign_in(ALICE).await;
    bed.until_task("events", "failures = 0").await;
    bed.until_task("reconciliation", "failures = 0").await;
    assert!(bed.simulator().requests().iter().all(|request| request.path.starts_with("/sso/")), "nobody has begun");

    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap();
    bed.departs("alice");
    bed.until(&format!("not exists (select from auth.sessions where id = '{}')", alice.session_id)).await;
    bed.until("exists (select from auth.workos_sync where age < interval '20 seconds')").await;
    // What fails is tried again, and everybody who should know is told.
    bed.simulator().set_fault(Fault::events(FaultKind::Status { code: 503, body: None })).unwrap();
    bed.until_task("events", "failures >= 2 and last_error like 'WA308: workos_unavailable: %'").await;
    bed.until("exists (select from auth.workos_sync where last_error like 'WA308: %' and failed_at > page_at)").await;
    bed.simulator().clear_faults();
    bed.until_task("events", "failures = 0 and last_succeeded_at > last_failed_at").await;
}

/// A comparison that nobody finished, such as that of a CALL which was killed, is the worker's.
#[tokio::test]
async fn it_finishes_a_comparison_and_repeats_one_of_long_ago() {
    let bed = Bed::new(&CLUSTER, "worker_behind").await;
    bed.has_directory();
    bed.simulator().set_fault(Fault::api(FaultKind::Status { code: 500, body: None })).unwrap();
    bed.admin.batch_execute("call auth.reconcile_workos()").await.unwrap_err();
    bed.ends_worker().await;
    bed.until_task("reconciliation", "failures >= 1").await;
    bed.simulator().clear_faults();
    bed.until("exists (select from auth.workos_sync where reconciled_at is not null)").await;
    assert_eq!(bed.count("select count(*) from auth.directory_users where state = 'active'").await, 2);
    bed.until("exists (select from auth.workos_sync where cursor is not null)").await;

    let alice = bed.sign_in(ALICE).await;
    let old = "update auth.workos_sync_state set page_at = now() - interval '30 days', reconciled_at = now() - interval '30 days'";
    // No poll comes in between.
    bed.simulator().set_fault(Fault::events(FaultKind::Status { code: 500, body: None })).unwrap();
    bed.until_task("events", "failures >= 1").await;
    bed.admin.batch_execute(old).await.unwrap();
    bed.departs("alice");
    bed.ends_worker().await;
    bed.until("exists (select from auth.workos_sync where reconciled_at > now() - interval '1 minute')").await;
    assert!(!bed.lives(&alice).await);
    bed.simulator().clear_faults();
    bed.until_task("events", "failures = 0").await;
}
