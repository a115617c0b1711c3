//! However many race, WorkOS sees one call and there is one session; and what is undone is undone.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio_postgres::Client;
use workos_end_to_end::case;
use workos_end_to_end::{ALICE, Bed, exchange, refusal, refused, start};
use workos_simulator::{Fault, FaultKind};
use workos_testbed::Cluster;

const RACERS: usize = 50;
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

async fn racers(bed: &Bed<'_>) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..RACERS {
        clients.push(bed.backend().await);
    }
    clients
}

async fn wait_until(otherwise: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{otherwise}");
        tokio::time::sleep(POLL).await;
    }
}

#[tokio::test]
async fn fifty_connections_and_one_code() {
    let bed = Bed::shared("one_code").await;
    let clients = racers(&bed).await;
    for level in LEVELS {
        for client in &clients {
            client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        }
        // Slow enough for all of them to meet, and quick enough for some to come late.
        for delay in [0, 100] {
            bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
            let pending = start(&clients[0], ALICE).await;
            bed.simulator().clear_requests();
            if delay > 0 {
                bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: delay }).times(1)).unwrap();
            }
            let results = join_all(clients.iter().map(|client| exchange(client, &pending))).await;
            let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
            assert_eq!((won.len(), lost.len()), (1, RACERS - 1), "{level}");
            for result in lost {
                let refusal = refusal(result);
                assert!(["WA207", "WA201"].contains(&refusal.sqlstate.as_str()), "{level}: {refusal}");
            }
            assert_eq!(bed.token_requests().len(), 1, "{level}");
            assert_eq!(bed.count("select count(*) from auth.sessions").await, 1, "{level}");
            assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0, "{level}");
        }
    }
}

#[tokio::test]
async fn a_transaction_that_began_before_the_exchange_does_not_repeat_it() {
    let bed = Bed::shared("old_snapshot").await;
    for level in LEVELS {
        let pending = start(&bed.admin, ALICE).await;
        let (late, app) = (bed.backend().await, bed.backend().await);
        // Its snapshot still shows the flow.
        late.batch_execute(&format!("begin isolation level {level}; select 1")).await.unwrap();
        late.query("select * from auth.error_codes", &[]).await.unwrap();
        exchange(&app, &pending).await.unwrap();
        let calls = bed.token_requests().len();
        refused(exchange(&late, &pending).await, "flow_state_not_found");
        assert_eq!(bed.token_requests().len(), calls, "{level}");
    }
}

#[tokio::test]
async fn the_loser_fails_at_once_and_not_when_the_winner_is_done() {
    let bed = Bed::shared("at_once").await;
    let (first, second) = (bed.backend().await, bed.backend().await);
    let pending = start(&first, ALICE).await;
    first.batch_execute("begin").await.unwrap();
    exchange(&first, &pending).await.unwrap();
    // The winner has not committed: whoever waited for it would wait for ever.
    let result = tokio::time::timeout(Duration::from_secs(20), exchange(&second, &pending)).await.expect("it waits");
    let refusal = refused(result, "conflict");
    assert!(!refusal.hint.is_empty());
    first.batch_execute("commit").await.unwrap();
    refused(exchange(&second, &pending).await, "flow_state_not_found");
}

#[tokio::test]
async fn a_rollback_keeps_the_sign_in_but_not_workos_s_code() {
    let bed = Bed::shared("rollback").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let before = bed.contents().await;
    for (begin, undo) in [("begin", "rollback"), ("begin; savepoint s", "rollback to s; commit")] {
        case!(begin, undo);
        app.batch_execute(begin).await.unwrap();
        let result = exchange(&app, &pending).await;
        let first = before == bed.contents().await;
        app.batch_execute(undo).await.unwrap();
        assert!(first, "what is not committed is not there");
        assert_eq!(bed.contents().await, before, "{undo}");
        match bed.token_requests().len() {
            1 => drop(result.unwrap()),
            _ => drop(refused(result, "workos_invalid_grant")),
        }
    }
    // The next try says so.
    let refusal = refused(exchange(&app, &pending).await, "workos_invalid_grant");
    assert!(refusal.hint.contains("once"), "{refusal}");
    assert_eq!(bed.contents().await, before);
}

#[tokio::test]
async fn a_backend_that_dies_while_it_waits_leaves_nothing_behind() {
    // A crash restarts every backend of the cluster, so this one is not shared; and what was committed must not be lost by it.
    let cluster = Cluster::start_with(&["synchronous_commit = on"]).unwrap();
    let bed = Bed::new(&cluster, "killed").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let before = bed.contents().await;
    let pid: i32 = app.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    bed.simulator().set_fault(Fault::token(FaultKind::Hang).times(1)).unwrap();
    let (outcome, ()) = tokio::join!(exchange(&app, &pending), async {
        wait_until("WorkOS is not asked", || bed.token_requests().len() == 1).await;
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    });
    assert!(outcome.is_err(), "it outlived its death");

    // The crash ends every connection; only then does the server begin to recover.
    wait_until("the crash is not noticed", || bed.admin.is_closed()).await;
    let deadline = Instant::now() + PATIENCE;
    let admin = loop {
        match cluster.connect("killed", workos_testbed::cluster::SUPERUSER).await {
            Ok(admin) => break admin,
            Err(error) => assert!(Instant::now() < deadline, "the server does not come back: {error}"),
        }
        tokio::time::sleep(POLL).await;
    };
    let bed = Bed { admin, ..bed };
    assert_eq!(bed.contents().await, before);
    // The flow is there, and free: WorkOS is asked again, and says that it has seen the code.
    refused(exchange(&bed.backend().await, &pending).await, "workos_invalid_grant");
    assert_eq!(bed.token_requests().len(), 2);
}

#[tokio::test]
async fn a_client_that_goes_away_while_it_waits_frees_the_sign_in() {
    let bed = Bed::shared("gone").await;
    bed.set("workos_auth.request_timeout", "60s").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let before = bed.contents().await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang).times(1)).unwrap();
    let cancel = app.cancel_token();
    let (outcome, ()) = tokio::join!(exchange(&app, &pending), async {
        wait_until("WorkOS is not asked", || bed.token_requests().len() == 1).await;
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    });
    assert_eq!(refusal(outcome).sqlstate, "57014");
    assert_eq!(bed.contents().await, before);
    refused(exchange(&bed.backend().await, &pending).await, "workos_invalid_grant");
}

#[tokio::test]
async fn a_sign_in_that_is_cleaned_up_while_workos_is_waited_for_is_over() {
    let bed = Bed::shared("cleaned_up").await;
    bed.set("workos_auth.request_timeout", "60s").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 3000 }).times(1)).unwrap();
    let (outcome, ()) = tokio::join!(exchange(&app, &pending), async {
        wait_until("WorkOS is not asked", || bed.token_requests().len() == 1).await;
        // No row is locked while WorkOS is waited for, so the clean-up that comes with another start finds it.
        bed.admin.batch_execute("update auth.flow_states set expires_at = now() - interval '1 s'").await.unwrap();
        start(&bed.admin, ALICE).await;
    });
    refused(outcome, "flow_state_expired");
    for table in ["users", "identities", "sessions"] {
        assert_eq!(bed.count(&format!("select count(*) from auth.{table}")).await, 0, "{table}");
    }
}
