//! PgBouncer between the gateway and the database: each statement may run in another session, and others run in between.
//! `tools/test-gateway.sh` runs the other tests through it as well.

use serde_json::json;
use tokio::task::JoinSet;
use workos_end_to_end::{ALICE, BOB, Bed};
use workos_testbed::PgBouncer;

use crate::common::{Gateway, REFRESH, ok, send};

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
