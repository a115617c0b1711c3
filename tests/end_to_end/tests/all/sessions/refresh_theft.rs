//! A stolen session ends, whatever becomes of the transaction that the stolen token was presented in.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, ANNA, Session, refresh};
use workos_end_to_end::case;
use workos_end_to_end::refreshing::{counter, refresh_times};
use workos_end_to_end::sql::{connect_with_notices, refused, refused_as, text};
use workos_end_to_end::{Bed, refusal};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

const PATIENCE: Duration = Duration::from_secs(60);

/// A session that was refreshed twice, long ago: its first token is a thief's.
async fn stolen(bed: &Bed<'_>, client: &Client) -> Session {
    let session = bed.sign_in(ALICE).await;
    refresh_times(client, &session, 2).await;
    bed.age(session.session_id).await;
    session
}

async fn ends(bed: &Bed<'_>, session: Uuid, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while bed.is_alive(session).await {
        assert!(Instant::now() < deadline, "{what}: it lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(bed.audited("token_theft", session).await.len(), 1, "{what}");
}

#[tokio::test]
async fn it_stays_ended_whatever_becomes_of_the_transaction() {
    let bed = Bed::shared("outlives").await;
    let app = bed.backend().await;
    for level in ["read committed", "repeatable read", "serializable"] {
        app.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        for (begin, undo) in [
            ("select", "select"),
            ("begin", "rollback"),
            ("begin", "commit"),
            ("begin; savepoint a; savepoint b", "rollback to a; commit"),
            ("begin; create temporary table t () on commit drop; savepoint a", "rollback to a; rollback"),
        ] {
            let session = stolen(&bed, &app).await;
            app.batch_execute(begin).await.unwrap();
            refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
            // It has ended before the caller is told, and thus before anything is undone.
            assert!(!bed.is_alive(session.session_id).await, "{level}, {begin}");
            app.batch_execute(undo).await.unwrap();
            ends(&bed, session.session_id, begin).await;
            refused(refresh(&app, &session.refresh_token).await, "refresh_token_not_found");
        }
    }

    // PL/pgSQL that catches the error.
    app.batch_execute("reset default_transaction_isolation").await.unwrap();
    let session = stolen(&bed, &app).await;
    let sql = format!(
        "do $$ begin perform auth.refresh_session('{}', '192.0.2.1', 'Thief 1.0'); raise 'not refused';
         exception when sqlstate 'WA514' then null; end $$",
        session.refresh_token
    );
    app.batch_execute(&sql).await.unwrap();
    assert!(!bed.is_alive(session.session_id).await);
    // The audit log has who, from where, with what, and of which session.
    let sql = "select concat_ws(' ', actor, host(ip), user_agent, user_id, organization_id, connection_id, payload)
        from auth.audit_log_entries where session_id = $1 and action = 'token_theft'";
    let entry: String = bed.admin.query_one(sql, &[&session.session_id]).await.unwrap().get(0);
    let payload = json!({ "theft": "stale", "current": 2, "presented": 0 });
    assert!(
        entry.starts_with(&format!(
            "{}_backend 192.0.2.1 Thief 1.0 {} org_acme conn_acme {{",
            bed.database, session.user_id
        )),
        "{entry}"
    );
    assert_eq!(bed.audited("token_theft", session.session_id).await, [payload]);
    refused(app.query("select auth.verify_token($1)", &[&session.access_token]).await, "session_not_found");
}

#[tokio::test]
async fn a_thief_in_step_is_found_in_the_third_round() {
    let bed = Bed::shared("in_step").await;
    let (victim, thief) = (bed.backend().await, bed.backend().await);
    for thief_first in [false, true] {
        case!(thief_first);
        let session = bed.sign_in(ALICE).await;
        let mut tokens = [session.refresh_token.clone(), session.refresh_token.clone()];
        let mut found = 0;
        for round in 1..=3 {
            let (first, second) = if thief_first { (1, 0) } else { (0, 1) };
            tokens[first] = refresh(&thief, &tokens[first]).await.unwrap().refresh_token;
            bed.age(session.session_id).await;
            match refresh(&victim, &tokens[second]).await {
                Ok(session) => tokens[second] = session.refresh_token,
                Err(error) => {
                    refused(Err::<(), _>(error), "refresh_token_already_used");
                    found = round;
                }
            }
        }
        assert_eq!(found, 3);
        assert!(!bed.is_alive(session.session_id).await);
        let payload = json!({ "theft": "recoveries", "presented": 2, "current": 3 });
        assert_eq!(bed.audited("token_theft", session.session_id).await, [payload]);
    }
}

#[tokio::test]
async fn a_row_that_somebody_holds_ends_as_soon_as_they_are_done() {
    let bed = Bed::shared("held").await;
    bed.backend().await;
    let (app, notices) =
        connect_with_notices(&bed.cluster.config(&bed.database, &bed.named("DATABASE_backend"))).await.unwrap();

    // Another transaction holds it.
    for end in ["commit", "rollback"] {
        case!(end);
        let session = stolen(&bed, &app).await;
        let holder = bed.superuser().await;
        holder.batch_execute("begin").await.unwrap();
        holder.execute("select from auth.sessions where id = $1 for update", &[&session.session_id]).await.unwrap();
        for _ in 0..2 {
            refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
            let warnings = notices.take_warnings();
            assert!(warnings.len() == 1 && warnings[0].message.contains("has not ended yet"), "{warnings:?}");
        }
        assert!(bed.is_alive(session.session_id).await);
        holder.batch_execute(end).await.unwrap();
        ends(&bed, session.session_id, end).await;
    }

    // The victim is refreshing, and is told of nothing: the next refresh says it.
    let session = bed.sign_in(ALICE).await;
    let second = refresh_times(&app, &session, 2).await;
    bed.age(session.session_id).await;
    let victim = bed.backend().await;
    victim.batch_execute("begin").await.unwrap();
    let third = refresh(&victim, &second.refresh_token).await.unwrap();
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
    victim.batch_execute("commit").await.unwrap();
    ends(&bed, session.session_id, "under a refresh").await;
    refused(refresh(&victim, &third.refresh_token).await, "refresh_token_not_found");

    // The caller itself holds it, in a transaction and in a savepoint: it would wait for itself for ever.
    for (begin, undo) in [("begin", "rollback"), ("begin; savepoint s", "rollback to s; commit")] {
        case!(begin, undo);
        let session = bed.sign_in(ALICE).await;
        app.batch_execute(begin).await.unwrap();
        refresh_times(&app, &session, 2).await;
        // Within the interval: the caller's own rotations are seen, and nobody is suspected.
        refused(refresh(&app, &session.refresh_token).await, "conflict");
        app.batch_execute(undo).await.unwrap();
        assert!(bed.is_alive(session.session_id).await);

        bed.set("workos_auth.refresh_reuse_interval", "0").await;
        let hasty = bed.backend().await;
        hasty.batch_execute(begin).await.unwrap();
        refresh_times(&hasty, &session, 2).await;
        refused(refresh(&hasty, &session.refresh_token).await, "refresh_token_already_used");
        hasty.batch_execute(undo).await.unwrap();
        ends(&bed, session.session_id, undo).await;
        bed.set("workos_auth.refresh_reuse_interval", "10s").await;
    }
}

#[tokio::test]
async fn a_call_that_is_cancelled_ends_it_all_the_same() {
    let bed = Bed::shared("cancelled").await;
    let app = bed.backend().await;
    for timeout in [false, true] {
        case!(timeout);
        let session = stolen(&bed, &app).await;
        let holder = bed.superuser().await;
        holder.batch_execute("begin").await.unwrap();
        holder.execute("select from auth.sessions where id = $1 for share", &[&session.session_id]).await.unwrap();
        let cancel = app.cancel_token();
        if timeout {
            app.batch_execute("set statement_timeout = '300ms'").await.unwrap();
        }
        let (outcome, ()) = tokio::join!(refresh(&app, &session.refresh_token), async {
            if !timeout {
                wait_for_worker(&bed).await;
                cancel.cancel_query(NoTls).await.unwrap();
            }
        });
        assert_eq!(refusal(outcome).sqlstate, "57014");
        wait_for_worker(&bed).await;
        holder.batch_execute("rollback").await.unwrap();
        ends(&bed, session.session_id, "cancelled").await;
    }
}

/// A worker waits for a row in this database.
async fn wait_for_worker(bed: &Bed<'_>) {
    let sql = "select count(*) from pg_stat_activity where backend_type = 'workos_auth' and wait_event_type = 'Lock'
        and datname = current_database()";
    let deadline = Instant::now() + PATIENCE;
    while bed.count(sql).await == 0 {
        assert!(Instant::now() < deadline, "no worker waits");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn where_no_worker_is_free_the_next_presentation_ends_it() {
    // Postgres's own launcher of logical replication takes the only place.
    let settings = ["max_worker_processes = 1", "max_logical_replication_workers = 1", "synchronous_commit = on"];
    let mut cluster = Cluster::start_with(&settings).unwrap();
    let (session, workos) = {
        let bed = Bed::new(&cluster, "no_worker").await;
        bed.backend().await;
        let (app, notices) = connect_with_notices(&cluster.config("no_worker", "no_worker_backend")).await.unwrap();
        let session = stolen(&bed, &app).await;
        for _ in 0..2 {
            refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
            let warnings = notices.take_warnings();
            assert!(
                warnings.len() == 1 && warnings[0].detail.contains("No background worker was free"),
                "{warnings:?}"
            );
            assert!(warnings[0].hint.contains("max_worker_processes"), "{warnings:?}");
            assert!(bed.is_alive(session.session_id).await);
        }
        (session, bed.workos)
    };
    cluster.append_conf("max_worker_processes = 4").unwrap();
    cluster.restart().unwrap();
    let admin = cluster.connect("no_worker", SUPERUSER).await.unwrap();
    let bed = Bed { cluster: &cluster, workos, database: "no_worker".to_owned(), admin };
    let app = bed.backend().await;
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
    ends(&bed, session.session_id, "after the restart").await;
}

/// What stops or misleads other sessions of the database, or of the role that the worker has, does not keep a stolen session alive.
#[tokio::test]
async fn no_setting_of_a_database_or_a_role_keeps_it_alive() {
    // Of its own: the role is the cluster's superuser.
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "theft_settings").await;
    let app = bed.backend().await;
    bed.admin
        .batch_execute(
            "create function slow_down() returns trigger language plpgsql as $$ begin perform pg_sleep(0.2); return null; end $$;
             create trigger slow_down after delete on auth.sessions for each row execute function slow_down();
             create schema planted; create function planted.now() returns timestamptz language sql as $$ select 'infinity'::timestamptz $$",
        )
        .await
        .unwrap();
    let version: i32 = text(&bed.admin, "show server_version_num").await.unwrap().unwrap().parse().unwrap();
    let of_17: &[(&str, &str)] = if version >= 170_000 { &[("transaction_timeout", "'50ms'")] } else { &[] };
    let settings = [
        ("statement_timeout", "'50ms'"),
        ("lock_timeout", "'1ms'"),
        ("idle_in_transaction_session_timeout", "'1ms'"),
        ("idle_session_timeout", "'1ms'"),
        ("default_transaction_read_only", "on"),
        ("default_transaction_isolation", "serializable"),
        ("default_transaction_deferrable", "on"),
        ("session_replication_role", "replica"),
        ("row_security", "off"),
        ("search_path", "planted, pg_catalog"),
        ("role", "theft_settings_backend"),
        ("standard_conforming_strings", "off"),
        ("exit_on_error", "on"),
    ];
    for (setting, value) in settings.iter().chain(of_17) {
        for whose in ["database theft_settings", "role postgres", "role postgres in database theft_settings"] {
            let what = format!("{whose}: {setting} = {value}");
            let session = stolen(&bed, &app).await;
            // Both connections have begun with other settings.
            let set = format!("alter {whose} set {setting} = {value}");
            bed.admin.batch_execute(&set).await.unwrap_or_else(|error| panic!("{set}: {error:?}"));
            refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
            ends(&bed, session.session_id, &what).await;
            bed.admin.batch_execute(&format!("alter {whose} reset {setting}")).await.unwrap();
        }
    }
}

/// The number of workers that the server has started for us, which it logs at DEBUG1.
fn workers(cluster: &Cluster) -> usize {
    let started = "starting background worker process \"workos_auth: end a stolen session\"";
    cluster.log().unwrap().lines().filter(|line| line.contains(started)).count()
}

#[tokio::test]
async fn only_a_good_token_starts_a_worker_and_of_many_thieves_few_do() {
    const THIEVES: usize = 20;
    let cluster = Cluster::start_with(&["log_min_messages = debug1"]).unwrap();
    // Settings of the database that would stop a careless worker.
    let bed = Bed::new(&cluster, "many_thieves").await;
    let other = Bed::new(&cluster, "many_others").await;
    for (setting, value) in
        [("default_transaction_isolation", "serializable"), ("lock_timeout", "1ms"), ("statement_timeout", "20s")]
    {
        bed.set(setting, value).await;
    }
    let app = other.backend().await;
    let session = other.sign_in(ALICE).await;

    // Bad tags, failed sign-ins, sessions that are gone, conflicts, limits: none of these.
    let second = refresh_times(&app, &session, 2).await;
    refused(refresh(&app, &session.refresh_token).await, "conflict");
    let mut bad = session.refresh_token.clone();
    bad.replace_range(50..51, if &bad[50..51] == "A" { "B" } else { "A" });
    other.age(session.session_id).await;
    for _ in 0..10 {
        refused(refresh(&app, &bad).await, "refresh_token_not_found");
        refused(refresh(&app, "garbage").await, "validation_failed");
    }
    refused_as(app.query("select auth.exchange_code('x', 'y', 'z')", &[]).await, "WA205");
    other.admin.batch_execute("update auth.users set banned_until = 'infinity'").await.unwrap();
    refused(refresh(&app, &session.refresh_token).await, "user_banned");
    other.admin.batch_execute("update auth.users set banned_until = null").await.unwrap();
    assert!(other.is_alive(second.session_id).await);
    assert_eq!(workers(&cluster), 0);

    // Twenty at once.
    let seed = bed.backend().await;
    let session = stolen(&bed, &seed).await;
    let mut thieves = Vec::new();
    for _ in 0..THIEVES {
        thieves.push(bed.backend().await);
    }
    let results = join_all(thieves.iter().map(|thief| refresh(thief, &session.refresh_token))).await;
    for result in results {
        let refusal = refusal(result);
        assert!(["WA514", "WA513"].contains(&refusal.sqlstate.as_str()), "{refusal}");
    }
    ends(&bed, session.session_id, "twenty thieves").await;
    let started = workers(&cluster);
    assert!((1..=3).contains(&started), "{started} workers");
    assert_eq!(counter(&session.refresh_token), 0);

    // A database that only reads by default, and whose name has to be quoted everywhere.
    bed.set("default_transaction_read_only", "on").await;
    let Bed { admin, workos, .. } = bed;
    drop((admin, thieves, seed));
    let name = "Odd \" Näme; --";
    let quoted = format!("\"{}\"", name.replace('"', "\"\""));
    let rename = format!("alter database many_thieves rename to {quoted}");
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = other.admin.batch_execute(&rename).await {
        assert!(Instant::now() < deadline, "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let admin = cluster.connect(name, SUPERUSER).await.unwrap();
    admin.batch_execute("set default_transaction_read_only = off; set default_transaction_isolation = 'read committed'; set lock_timeout = 0").await.unwrap();
    let bed = Bed { cluster: &cluster, workos, database: name.to_owned(), admin };
    let app = cluster.connect(name, "many_thieves_backend").await.unwrap();
    let reading = refused(refresh(&app, &session.refresh_token).await, "read_only");
    assert!(reading.hint.contains("READ WRITE"), "{reading}");
    app.batch_execute("set default_transaction_read_only = off").await.unwrap();
    let session = stolen(&bed, &app).await;
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
    ends(&bed, session.session_id, name).await;

    // What ended was this database's; the other one's sessions live.
    assert!(other.is_alive(second.session_id).await);
    let anna = other.sign_in(ANNA).await;
    refresh(&other.admin, &anna.refresh_token).await.unwrap();
    assert_eq!(
        text(&other.admin, "select count(*) from auth.audit_log_entries where action = 'token_theft'")
            .await
            .unwrap()
            .unwrap(),
        "0"
    );
}
