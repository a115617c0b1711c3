//! Whoever loses a race for one of our locks is told so, and nothing else: it never had the lock that it would give back.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, Bed, exchange, refresh, start};
use workos_end_to_end::refreshing::refresh_times;
use workos_end_to_end::sql::{Notices, Refusal, connect_with_notices, refusal, refused};
use workos_simulator::{Fault, FaultKind};
use workos_testbed::Cluster;

const PATIENCE: Duration = Duration::from_secs(60);

/// Connections of the backend's role, and what the server says to them.
async fn listeners(bed: &Bed<'_>, n: usize) -> Vec<(Client, Notices)> {
    bed.backend().await;
    let config = bed.cluster.config(&bed.database, &format!("{}_backend", bed.database));
    join_all((0..n).map(|_| connect_with_notices(&config))).await.into_iter().map(Result::unwrap).collect()
}

/// Nobody was warned, and the log tells of no lock that was not there.
#[track_caller]
fn nobody_was_warned(what: &str, bed: &Bed<'_>, listeners: &[(Client, Notices)]) {
    let warnings: Vec<Refusal> = listeners.iter().flat_map(|(_, notices)| notices.take_warnings()).collect();
    assert!(warnings.is_empty(), "{what}: {warnings:?}");
    assert!(!bed.log().contains("you don't own a lock"), "{what}");
}

#[tokio::test]
async fn whoever_loses_the_race_for_a_code_is_not_warned_of_a_lock() {
    let bed = Bed::shared("losers_code").await;
    let all = listeners(&bed, 10).await;
    let pending = start(&all[0].0, ALICE).await;
    // All are there before WorkOS has answered the first.
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 500 }).times(1)).unwrap();
    let results = join_all(all.iter().map(|(client, _)| exchange(client, &pending))).await;
    let lost = results.into_iter().filter(Result::is_err).map(refusal).filter(|lost| lost.sqlstate == "WA207").count();
    assert!(lost > 0);
    nobody_was_warned("one code", &bed, &all);
}

#[tokio::test]
async fn whoever_finds_no_free_place_is_not_warned_of_a_lock() {
    let settings = ["workos_auth.max_concurrent_requests = 2", "workos_auth.request_queue_timeout = 0"];
    let cluster = Cluster::start_with(&settings).unwrap();
    let bed = Bed::new(&cluster, "losers_place").await;
    let all = listeners(&bed, 6).await;
    let mut pending = Vec::new();
    for (client, _) in &all {
        pending.push(start(client, ALICE).await);
    }
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 500 })).unwrap();
    let results = join_all(all.iter().zip(&pending).map(|((client, _), pending)| exchange(client, pending))).await;
    // Whoever comes first may find the first place that it tries taken, and gets the second.
    assert!(results.into_iter().any(|result| result.is_ok()));
    nobody_was_warned("two places", &bed, &all);
}

#[tokio::test]
async fn whoever_finds_a_theft_found_is_not_warned_of_a_lock() {
    let bed = Bed::shared("losers_theft").await;
    let all = listeners(&bed, 10).await;
    let session = bed.sign_in(ALICE).await;
    refresh_times(&all[0].0, &session, 2).await;
    bed.age(session.session_id).await;
    let results = join_all(all.iter().map(|(client, _)| refresh(client, &session.refresh_token))).await;
    for result in results {
        let refusal = refusal(result);
        assert!(["WA514", "WA513"].contains(&&*refusal.sqlstate), "{refusal}");
    }
    let deadline = Instant::now() + PATIENCE;
    while bed.is_alive(session.session_id).await {
        assert!(Instant::now() < deadline, "it lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    refused(refresh(&all[0].0, &session.refresh_token).await, "refresh_token_not_found");
    nobody_was_warned("one theft", &bed, &all);
}
