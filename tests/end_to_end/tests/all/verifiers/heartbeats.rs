//! The issuer's background worker keeps verifiers open, and a server that takes the issuer's place is told from it.

use std::time::Duration;

use tokio::net::TcpListener;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::fed::{Verifier, replicating};
use workos_end_to_end::sql::{refused, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Shorter than what the worker may be away for, longer than a busy machine keeps it waiting.
const LAG: &str = "workos_auth.max_replication_lag = '15s'";

#[tokio::test]
async fn the_worker_sends_them_whatever_else_it_waits_for() {
    let mut settings = replicating();
    settings.extend([
        "shared_preload_libraries = 'workos_auth'",
        "workos_auth.worker_databases = 'beating'",
        "workos_auth.request_timeout = '4s'",
        LAG,
    ]);
    let cluster = Cluster::start_with(&settings).unwrap();
    let issuer = Bed::new(&cluster, "beating").await;
    let alice = issuer.sign_in(ALICE).await;
    // Servers of keys that take a connection and say nothing: together, they keep the worker waiting for longer than the lag.
    let mut silent = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f"] {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/{name}", server.local_addr().unwrap());
        let trust = "select auth.trust_issuer($1, 'oidc', jwks_uri => $2, client_id => 'app')";
        issuer.admin.execute(trust, &[&format!("https://{name}.example.com"), &uri]).await.unwrap();
        silent.push(server);
    }
    let verifier = Verifier::of(&cluster, "beating_there").await.subscribed_to(&issuer).await;
    issuer.ends_worker().await;
    let app = verifier.app("app").await;
    verifier.until("(select sent_at > now() - interval '2 s' from auth.heartbeat)").await;
    set_session(&app, &alice.access_token, false).await.unwrap();
    for _ in 0..300 {
        app.query("select auth.uid()", &[]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    issuer.until_task("heartbeat", "failures = 0 and last_count = 1").await;

    // One that cannot be sent is a failure, and soon sent again.
    issuer.admin.batch_execute("alter publication workos_auth drop table auth.sessions").await.unwrap();
    issuer.until_task("heartbeat", "failures > 0 and last_error like 'WA128: publication_incomplete:%'").await;
    issuer.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
    issuer.until_task("heartbeat", "failures = 0").await;
}

/// What the old publisher had not sent to its standby is lost, and so is what it had sent to the verifier alone.
#[tokio::test]
async fn a_standby_that_took_the_publishers_place() {
    let primary = Cluster::start_with(&replicating()).unwrap();
    let mut there_has = replicating();
    there_has.push("workos_auth.max_replication_lag = '6s'");
    let there = Cluster::start_with(&there_has).unwrap();
    let issuer = Bed::new(&primary, "taken").await;
    let alice = issuer.sign_in(ALICE).await;
    let verifier = Verifier::of(&there, "taken_there").await.subscribed_to(&issuer).await;
    let app = verifier.app("app").await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &alice.access_token, false).await.unwrap();

    let standby = primary.start_standby(&[]).unwrap();
    primary.wait_for_replay(&issuer.admin, &standby).await.unwrap();
    let admin = standby.connect("taken", SUPERUSER).await.unwrap();
    assert_eq!(text(&admin, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    // Alice signs out there. Her session is here, and no slot is.
    admin.execute("select auth.sign_out($1, 'global')", &[&alice.access_token]).await.unwrap();
    let connection = format!("host=127.0.0.1 port={} dbname=taken user=taken_to_taken_there", standby.port());
    let follow = format!("alter subscription taken_there connection '{connection}'");
    verifier.admin.batch_execute(&follow).await.unwrap();
    tokio::time::sleep(Duration::from_millis(6_100)).await;
    refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    // With a slot of today, what came before it is missing, however often the new server sends heartbeats.
    admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    admin.batch_execute("select pg_create_logical_replication_slot('taken_there', 'pgoutput')").await.unwrap();
    for _ in 0..2 {
        let beat = text(&admin, "select auth.send_heartbeat()").await.unwrap().unwrap();
        verifier.until(&format!("(select beat = {beat} from auth.heartbeat)")).await;
        let error = refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
        assert!(error.detail.starts_with("Heartbeats are missing"), "{error}");
    }
    drop(standby);
}
