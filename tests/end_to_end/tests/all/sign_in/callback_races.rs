//! However many callbacks and exchanges race, WorkOS sees one call and there is one session.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, Bed, exchange};
use workos_end_to_end::brokered::*;
use workos_end_to_end::case;
use workos_end_to_end::sql::{refusal, refused_as};
use workos_simulator::{Fault, FaultKind};

const RACERS: usize = 20;
const APP: &str = "http://localhost:3000/app";
const ACME: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

async fn racers(bed: &Bed<'_>) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..RACERS {
        clients.push(bed.backend().await);
    }
    clients
}

async fn isolate(clients: &[Client], level: &str) {
    for client in clients {
        client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
    }
}

/// Slow enough for all of them to meet.
fn slow_down(bed: &Bed<'_>, ms: u64) {
    bed.simulator().clear_requests();
    bed.simulator().clear_faults();
    if ms > 0 {
        bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms }).times(1)).unwrap();
    }
}

#[tokio::test]
async fn twenty_callbacks_and_then_twenty_exchanges() {
    let (bed, _) = Bed::brokered("callbacks").await;
    let clients = racers(&bed).await;
    for level in LEVELS {
        isolate(&clients, level).await;
        for delay in [0, 150] {
            bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
            let pending = come_back(&clients[0], ACME, ALICE.email).await;
            slow_down(&bed, delay);
            let landings = join_all(clients.iter().map(|client| callback(client, &pending))).await;
            let landings: Vec<Landing> = landings.into_iter().map(Result::unwrap).collect();
            let (won, lost): (Vec<_>, Vec<_>) = landings.into_iter().partition(|landing| landing.place() == APP);
            assert_eq!((won.len(), lost.len()), (1, RACERS - 1), "{level}");
            lost.iter().for_each(|landing| landing.is_refused(SITE_URL, "flow_state_already_used"));
            assert_eq!(bed.token_requests().len(), 1, "{level}");
            assert_eq!(bed.count("select count(*) from auth.sessions").await, 0, "{level}");

            let code = won[0].code();
            let results = join_all(clients.iter().map(|client| exchange_own(client, &code, &pending.verifier))).await;
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
async fn callbacks_against_exchanges_of_workos_s_code() {
    let (bed, _) = Bed::brokered("both_modes").await;
    let clients = racers(&bed).await;
    for level in LEVELS {
        case!(level);
        isolate(&clients, level).await;
        for round in 0..6_u64 {
            bed.admin.batch_execute("delete from auth.sessions; delete from auth.flow_states").await.unwrap();
            let pending = come_back(&clients[0], ACME, ALICE.email).await;
            slow_down(&bed, round % 2 * 50);
            let (direct, brokered) = clients.split_at(RACERS / 2);
            let (sessions, landings) = tokio::join!(
                join_all(direct.iter().map(|client| exchange(client, &pending))),
                join_all(brokered.iter().map(|client| callback(client, &pending)))
            );
            let sessions = sessions.into_iter().filter(Result::is_ok).count();
            let codes: Vec<_> = landings.into_iter().map(Result::unwrap).filter(|at| at.place() == APP).collect();
            assert_eq!(sessions + codes.len(), 1, "{level}: one of all wins");
            assert_eq!(bed.token_requests().len(), 1, "{level}: WorkOS sees its code once");
            assert_eq!(bed.count("select count(*) from auth.sessions").await, i64::try_from(sessions).unwrap());
            if let [landing] = &codes[..] {
                exchange_own(&clients[0], &landing.code(), &pending.verifier).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn implicit_callbacks_make_one_session() {
    let (bed, _) = Bed::brokered("implicit_race").await;
    let clients = racers(&bed).await;
    for level in LEVELS {
        isolate(&clients, level).await;
        bed.admin.batch_execute("delete from auth.sessions").await.unwrap();
        let pending = come_back_implicitly(&clients[0], ACME, ALICE.email).await;
        slow_down(&bed, 100);
        let landings = join_all(clients.iter().map(|client| callback(client, &pending))).await;
        let with_tokens =
            landings.into_iter().map(Result::unwrap).filter(|landing| landing.fragment().contains_key("access_token"));
        assert_eq!(with_tokens.count(), 1, "{level}");
        assert_eq!(bed.token_requests().len(), 1, "{level}");
        assert_eq!(bed.count("select count(*) from auth.sessions").await, 1, "{level}");
    }
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
}

#[tokio::test]
async fn an_old_snapshot_repeats_nothing() {
    let (bed, backend) = Bed::brokered("old_callback").await;
    for level in ["repeatable read", "serializable"] {
        case!(level);
        let late = bed.backend().await;
        let pending = come_back(&backend, ACME, ALICE.email).await;
        // Its snapshot shows the sign-in as it was.
        late.batch_execute(&format!("begin isolation level {level}; select * from auth.error_codes")).await.unwrap();
        let code = callback(&backend, &pending).await.unwrap().code();
        let calls = bed.token_requests().len();
        callback(&late, &pending).await.unwrap().is_refused(SITE_URL, "flow_state_already_used");
        assert_eq!(refusal(exchange(&late, &pending).await).sqlstate, "WA201", "nor does WorkOS's code");
        late.batch_execute("rollback").await.unwrap();
        exchange_own(&backend, &code, &pending.verifier).await.unwrap();
        assert_eq!(bed.token_requests().len(), calls);

        let implicit = come_back_implicitly(&backend, ACME, ALICE.email).await;
        late.batch_execute(&format!("begin isolation level {level}; select * from auth.error_codes")).await.unwrap();
        callback(&backend, &implicit).await.unwrap();
        let calls = bed.token_requests().len();
        callback(&late, &implicit).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
        late.batch_execute("rollback").await.unwrap();
        assert_eq!(bed.token_requests().len(), calls);
    }
}

#[tokio::test]
async fn what_is_rolled_back_was_not_spent_here() {
    let (bed, backend) = Bed::brokered("undone").await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let before = bed.contents().await;
    let other = bed.backend().await;
    backend.batch_execute("begin; savepoint s").await.unwrap();
    let code = callback(&backend, &pending).await.unwrap().code();
    // Nobody waits for a transaction that is not finished.
    let loser =
        tokio::time::timeout(Duration::from_secs(20), callback(&other, &pending)).await.expect("it waits").unwrap();
    loser.is_refused(SITE_URL, "flow_state_already_used");
    backend.batch_execute("rollback to s; commit").await.unwrap();
    assert_eq!(bed.contents().await, before);
    assert_eq!(refusal(exchange_own(&other, &code, &pending.verifier).await).sqlstate, "WA201");
    // WorkOS's code is spent, which the next try says; and then the state is too.
    callback(&other, &pending).await.unwrap().is_refused(APP, "workos_invalid_grant");
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
    assert_eq!(bed.token_requests().len(), 2);
    // An error of WorkOS holds the sign-in to the end of its transaction too.
    let pending = come_back(&backend, ACME, ALICE.email).await;
    backend.batch_execute("begin").await.unwrap();
    redirect(&backend, None, Some(&pending.state), Some("access_denied"), None).await.unwrap();
    callback(&other, &pending).await.unwrap().is_refused(SITE_URL, "flow_state_already_used");
    backend.batch_execute("commit").await.unwrap();
    assert_eq!(bed.token_requests().len(), 2);
}

#[tokio::test]
async fn a_cancel_while_workos_is_waited_for_is_a_cancel() {
    let (bed, _) = Bed::brokered("callback_cancel").await;
    bed.set("workos_auth.request_timeout", "60s").await;
    let backend = bed.backend().await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    let before = bed.contents().await;
    bed.simulator().set_fault(Fault::token(FaultKind::Hang).times(1)).unwrap();
    let cancel = backend.cancel_token();
    let (outcome, ()) = tokio::join!(callback(&backend, &pending), async {
        let deadline = Instant::now() + Duration::from_secs(60);
        while bed.token_requests().is_empty() {
            assert!(Instant::now() < deadline, "WorkOS is not asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        cancel.cancel_query(tokio_postgres::NoTls).await.unwrap();
    });
    refused_as(outcome, "57014");
    assert_eq!(bed.contents().await, before, "nothing is spent");
    callback(&bed.backend().await, &pending).await.unwrap().is_refused(APP, "workos_invalid_grant");
}

#[tokio::test]
async fn a_sign_in_that_is_cleaned_up_meanwhile_is_over() {
    let (bed, _) = Bed::brokered("callback_cleaned").await;
    bed.set("workos_auth.request_timeout", "60s").await;
    let backend = bed.backend().await;
    let pending = come_back(&backend, ACME, ALICE.email).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 2000 }).times(1)).unwrap();
    let (landing, ()) = tokio::join!(callback(&backend, &pending), async {
        let deadline = Instant::now() + Duration::from_secs(60);
        while bed.token_requests().is_empty() {
            assert!(Instant::now() < deadline, "WorkOS is not asked");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
    });
    landing.unwrap().is_refused(SITE_URL, "bad_oauth_state");
    nobody_is_there(&bed).await;
}
