//! Tabs, lost answers, crashed clients and old snapshots: nobody is signed out by them, and nobody gets what is stale.

use futures_util::future::join_all;
use std::collections::HashSet;
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, refresh, set_session, sign_in};
use workos_end_to_end::refreshing::{counter, refresh_times};
use workos_end_to_end::sql::{refusal, refused, refused_as};

const CLIENTS: usize = 20;
const LEVELS: [&str; 3] = ["read committed", "repeatable read", "serializable"];

#[tokio::test]
async fn twenty_clients_at_once_with_one_token() {
    let bed = Bed::shared("twenty").await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(bed.backend().await);
    }
    for level in LEVELS {
        for client in &clients {
            client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        }
        let mut session = bed.sign_in(ALICE).await;
        for round in 1..=5 {
            let results = join_all(clients.iter().map(|client| refresh(client, &session.refresh_token))).await;
            let mut answers = Vec::new();
            for (client, result) in clients.iter().zip(results) {
                answers.push(match result {
                    Ok(answer) => answer,
                    Err(error) => {
                        assert_ne!(level, "read committed", "{error:?}");
                        refused_as(Err::<(), _>(error), "40001");
                        // As one is asked to.
                        refresh(client, &session.refresh_token).await.unwrap()
                    }
                });
            }
            let tokens: HashSet<&str> = answers.iter().map(|answer| answer.refresh_token.as_str()).collect();
            assert_eq!(tokens.len(), 1, "{level}, round {round}");
            assert_eq!(counter(&answers[0].refresh_token), round, "{level}");
            for (client, answer) in clients.iter().zip(&answers) {
                set_session(client, &answer.access_token, false).await.unwrap();
                client.query_one("select auth.uid()", &[]).await.unwrap();
                client.batch_execute("select auth.clear_session()").await.unwrap();
            }
            session = answers.swap_remove(0);
        }
    }
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries where action like 'token%'").await, 0);
}

#[tokio::test]
async fn tabs_lost_answers_and_crashed_clients_sign_nobody_out() {
    let bed = Bed::shared("honest").await;
    let app = bed.backend().await;
    let mut session = bed.sign_in(ALICE).await;
    let id = session.session_id;

    // Two tabs, each of which refreshes what it finds, the second a moment later.
    for _ in 0..20 {
        let first = refresh(&app, &session.refresh_token).await.unwrap();
        let second = refresh(&app, &session.refresh_token).await.unwrap();
        assert_eq!(first.refresh_token, second.refresh_token);
        session = second;
    }
    // Every other answer is lost, and asked for again much later.
    for _ in 0..10 {
        drop(refresh(&app, &session.refresh_token).await.unwrap());
        bed.age(id).await;
        session = refresh(&app, &session.refresh_token).await.unwrap();
        session = refresh_times(&app, &session, 2).await;
    }
    // The backend crashes before it commits: with the old token, and with the one that never was.
    for kept_the_new_one in [false, true] {
        let crashing = bed.backend().await;
        crashing.batch_execute("begin").await.unwrap();
        let undone = refresh(&crashing, &session.refresh_token).await.unwrap();
        drop(crashing);
        bed.age(id).await;
        let presented = if kept_the_new_one { &undone } else { &session };
        session = refresh(&app, &presented.refresh_token).await.unwrap();
    }
    // In one transaction, and with savepoints that are given up.
    app.batch_execute("begin").await.unwrap();
    session = refresh_times(&app, &session, 3).await;
    app.batch_execute("savepoint s").await.unwrap();
    drop(refresh(&app, &session.refresh_token).await.unwrap());
    app.batch_execute("rollback to s").await.unwrap();
    session = refresh(&app, &session.refresh_token).await.unwrap();
    app.batch_execute("commit").await.unwrap();
    refresh(&app, &session.refresh_token).await.unwrap();
    assert!(bed.is_alive(id).await);
    assert_eq!(bed.audited("token_theft", id).await.len(), 0);
}

/// A transaction of this level that has its snapshot.
async fn begin(client: &Client, level: &str) {
    let sql = format!("rollback; begin isolation level {level}; select count(*) from pg_class");
    client.batch_execute(&sql).await.unwrap();
}

#[tokio::test]
async fn an_old_snapshot_gives_the_right_answer_or_none() {
    let bed = Bed::shared("old_snapshots").await;
    let (app, late) = (bed.backend().await, bed.backend().await);
    for level in &LEVELS[1..] {
        // What another transaction has replaced: by its newest token and by the one before, now and later.
        let session = bed.sign_in(ALICE).await;
        begin(&late, level).await;
        let second = refresh(&app, &session.refresh_token).await.unwrap();
        assert_eq!(refresh(&late, &session.refresh_token).await.unwrap().refresh_token, second.refresh_token);
        refused(refresh(&late, &second.refresh_token).await, "serialization_failure");
        bed.age(session.session_id).await;
        begin(&late, level).await;
        bed.age(session.session_id).await;
        refused_as(refresh(&late, &session.refresh_token).await, "40001");
        late.batch_execute("rollback").await.unwrap();
        assert_eq!(refresh(&late, &session.refresh_token).await.unwrap().refresh_token, second.refresh_token);

        // Nobody is a thief by a snapshot: two refreshes that it does not show are not two behind.
        begin(&late, level).await;
        let fourth = refresh_times(&app, &second, 2).await;
        refused(refresh(&late, &second.refresh_token).await, "conflict");
        begin(&late, level).await;
        let fifth = refresh(&app, &fourth.refresh_token).await.unwrap();
        assert_eq!(refresh(&late, &fourth.refresh_token).await.unwrap().refresh_token, fifth.refresh_token);
        assert!(bed.is_alive(session.session_id).await);

        // Rights that changed: never a token that is stale when it is issued.
        let rights = "update auth.sessions set claims_version = claims_version + 1";
        begin(&late, level).await;
        bed.admin.batch_execute(rights).await.unwrap();
        // The one before the newest writes nothing, so the answer can be what is true now.
        let again = refresh(&late, &fourth.refresh_token).await.unwrap();
        assert_eq!(again.refresh_token, fifth.refresh_token);
        late.query_one("select auth.verify_token($1)", &[&again.access_token]).await.unwrap();
        begin(&late, level).await;
        bed.admin.batch_execute(rights).await.unwrap();
        refused_as(refresh(&late, &fifth.refresh_token).await, "40001");
        late.batch_execute("rollback").await.unwrap();
        let good = refresh(&late, &fifth.refresh_token).await.unwrap();
        late.query_one("select auth.verify_token($1)", &[&good.access_token]).await.unwrap();

        // A session that began later, one that has ended, and one that was stolen.
        begin(&late, level).await;
        let newborn = bed.sign_in(ANNA).await;
        refused(refresh(&late, &newborn.refresh_token).await, "serialization_failure");
        begin(&late, level).await;
        bed.admin.execute("delete from auth.sessions where id = $1", &[&newborn.session_id]).await.unwrap();
        refused(refresh(&late, &newborn.refresh_token).await, "refresh_token_not_found");
        begin(&late, level).await;
        refresh_times(&app, &good, 2).await;
        bed.age(session.session_id).await;
        refused(refresh(&late, &good.refresh_token).await, "refresh_token_already_used");
        assert!(!bed.is_alive(session.session_id).await);
        late.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn who_waits_for_a_change_gets_the_claims_after_it() {
    let bed = Bed::shared("waiting").await;
    let app = bed.backend().await;
    let mut session = sign_in(&bed.admin, ALICE).await;
    for (change, end, wanted) in [
        ("update auth.sessions set claims_version = 7", "commit", Ok(7)),
        ("update auth.sessions set claims_version = 8", "rollback", Ok(7)),
        ("delete from auth.sessions", "rollback", Ok(7)),
        ("delete from auth.sessions", "commit", Err("WA513")),
    ] {
        let holder = bed.superuser().await;
        holder.batch_execute(&format!("begin; {change}")).await.unwrap();
        let (outcome, ()) = tokio::join!(refresh(&app, &session.refresh_token), async {
            bed.until_waiting(1).await;
            holder.batch_execute(end).await.unwrap();
        });
        match wanted {
            Ok(version) => {
                session = outcome.unwrap();
                assert_eq!(session.claims["claims_version"], version, "{change}, {end}");
                app.query_one("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
            }
            Err(sqlstate) => assert_eq!(refusal(outcome).sqlstate, sqlstate),
        }
    }
}
