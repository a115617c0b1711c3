//! PgBouncer between the gateway and the database: each statement may run in another session, and others run in between.
//! `tools/test-gateway.sh` runs the other tests through it as well.

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use workos_end_to_end::{ALICE, BOB, Bed};
use workos_testbed::PgBouncer;

use crate::common::outage::{refresh, until_it_waits};
use crate::common::{Gateway, Program, REFRESH, database_url, eventually, ok, send, set_up, told};

/// How many requests are broken off, or fail, in one go.
const AT_ONCE: usize = 30;
/// How often.
const ROUNDS: usize = 4;

const SETTINGS: &str = "select coalesce(string_agg(name || '=' || setting, ' ' order by name), '')
    from pg_settings where source = 'session'";

#[tokio::test]
async fn one_session_serves_everybody_and_keeps_nothing() {
    let bed = Bed::shared("one").await;
    let pooler = PgBouncer::start(bed.cluster, &["pool_mode = transaction", "default_pool_size = 1"]).unwrap();
    let port = pooler.port();
    let gateway = Gateway::start_through(bed, port, &[]).await;
    // Somebody else of the same pool.
    let other = pooler.connect(&gateway.bed.database, &gateway.role).await.unwrap();
    let seen = async |sql: &str| {
        let answer = other.simple_query(sql).await.unwrap();
        answer.into_iter().find_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => Some(row.get(0).unwrap_or_default().to_owned()),
            _ => None,
        })
    };
    let backend = seen("select pg_backend_pid()::text").await;
    let before = seen(SETTINGS).await;
    for person in [ALICE, BOB, ALICE] {
        let session = gateway.sign_in(person).await;
        assert_eq!(session["user"]["email"], person.email);
        assert_eq!(seen("select coalesce(auth.uid()::text, 'nobody')").await.as_deref(), Some("nobody"));
        let session = ok(gateway.refresh(&session["refresh_token"]).await).await;
        assert_eq!(ok(gateway.user(&session).await).await["email"], person.email);
        let put = gateway.http.put(gateway.at("/user")).bearer_auth(crate::common::token(&session));
        ok(send(put.json(&json!({ "data": { "a": 1 } }))).await).await;
        assert_eq!(seen("select coalesce(auth.uid()::text, 'nobody')").await.as_deref(), Some("nobody"));
        assert_eq!(seen(SETTINGS).await, before);
        assert_eq!(seen("select count(*)::text from pg_prepared_statements").await.as_deref(), Some("0"));
    }
    // It was one session all the time.
    assert_eq!(seen("select pg_backend_pid()::text").await, backend);
}

#[tokio::test]
async fn more_connections_than_the_pooler_has_take_turns() {
    let bed = Bed::shared("turns").await;
    bed.set("default_transaction_isolation", "serializable").await;
    let pooler = PgBouncer::start(bed.cluster, &["pool_mode = transaction", "default_pool_size = 2"]).unwrap();
    let port = pooler.port();
    let gateway = Gateway::start_through(bed, port, &["--pool-size", "20"]).await;
    let mut people = JoinSet::new();
    for _ in 0..10 {
        let mut session = gateway.sign_in(ALICE).await;
        let (http, url) = (gateway.http.clone(), gateway.at(REFRESH));
        people.spawn(async move {
            for _ in 0..20 {
                let request = http.post(&url).json(&json!({ "refresh_token": session["refresh_token"] }));
                session = ok(send(request).await).await;
            }
        });
    }
    people.join_all().await;
}

/// A `/token` for each of them, at once: statuses and error codes.
async fn refresh_all(gateway: &Gateway, sessions: &[Value]) -> Vec<(u16, String)> {
    let mut people = JoinSet::new();
    for session in sessions {
        let request =
            gateway.http.post(gateway.at(REFRESH)).json(&json!({ "refresh_token": session["refresh_token"] }));
        people.spawn(async move { told(send(request).await).await });
    }
    people.join_all().await
}

/// PgBouncer 1.18 and 1.19 can end where somebody who asks for a cancellation hangs up before the server does.
#[tokio::test]
async fn what_is_broken_off_or_fails_leaves_the_pooler_as_it_was() {
    let bed = Bed::shared("broken_off").await;
    let pooler = PgBouncer::start(bed.cluster, &["pool_mode = transaction", "default_pool_size = 4"]).unwrap();
    let port = pooler.port();
    let flags = ["--pool-size", "10", "--request-timeout", "1", "--pool-timeout", "20"];
    let gateway = Gateway::start_through(bed, port, &flags).await;
    let mut sessions = Vec::new();
    for _ in 0..AT_ONCE {
        sessions.push(gateway.sign_in(ALICE).await);
    }
    let admin = &gateway.bed.admin;
    let holder = gateway.bed.superuser().await;
    let running = "select count(*) from pg_stat_activity where usename = $1 and state <> 'idle'";
    for _ in 0..ROUNDS {
        holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
        for answer in refresh_all(&gateway, &sessions).await {
            assert_eq!(answer, (504, "request_timeout".into()));
        }
        // The lock is still held: what waited for it was cancelled.
        eventually("nothing runs", async || {
            admin.query_one(running, &[&gateway.role]).await.unwrap().get::<_, i64>(0) == 0
        })
        .await;
        holder.batch_execute("rollback").await.unwrap();
    }
    let raises = "create function raises() returns trigger language plpgsql as $$ begin raise exception using errcode = 'XX000'; end $$;
        create trigger raises before update on auth.sessions for each row execute function raises()";
    admin.batch_execute(raises).await.unwrap();
    for _ in 0..ROUNDS {
        for answer in refresh_all(&gateway, &sessions).await {
            assert_eq!(answer, (503, "unexpected_failure".into()));
        }
    }
    admin.batch_execute("drop trigger raises on auth.sessions").await.unwrap();
    assert!(!pooler.log().unwrap().contains("FATAL"), "{}", pooler.log().unwrap());
    for session in &sessions {
        ok(refresh(&gateway, session).await).await;
    }
}

/// The end of a gateway's process hangs up, too.
#[tokio::test]
async fn a_gateway_that_ends_leaves_the_pooler_as_it_was() {
    let bed = Bed::shared("ends").await;
    let pooler = PgBouncer::start(bed.cluster, &["pool_mode = transaction", "default_pool_size = 4"]).unwrap();
    let role = set_up(&bed).await;
    let url = database_url(&bed, &role, pooler.port());
    let flags = ["--pool-size", "20", "--shutdown-timeout", "1", "--request-timeout", "60"];
    let holder = bed.superuser().await;
    for _ in 0..ROUNDS {
        let mut gateway = Program::start_in(&bed, &[("DATABASE_URL", &url)], &flags).await;
        let mut requests = Vec::new();
        for _ in 0..AT_ONCE {
            let session = gateway.sign_in(ALICE).await;
            requests.push(gateway.post(REFRESH, &json!({ "refresh_token": session["refresh_token"] })));
        }
        holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
        let asked = requests.into_iter().map(|request| tokio::spawn(request.send())).collect::<Vec<_>>();
        until_it_waits(&bed.admin, &role, "Lock").await;
        gateway.signal(Signal::SIGTERM);
        assert_eq!(gateway.wait().code(), Some(0));
        for asked in asked {
            assert!(asked.await.unwrap().is_err());
        }
        holder.batch_execute("rollback").await.unwrap();
        assert!(!pooler.log().unwrap().contains("FATAL"), "{}", pooler.log().unwrap());
    }
}
