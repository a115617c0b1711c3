//! The process of the background worker: when it runs, when it does not, and how it ends.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::net::TcpListener;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::check::check_all;
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, KeyServer};
use workos_end_to_end::sql::{lines, refused_as, text};
use workos_end_to_end::workers::{IS_WORKER, worker};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

use super::CLUSTER;

const PRELOAD: &str = "shared_preload_libraries = 'workos_auth'";
const TRUST: &str = "select auth.trust_issuer('https://api.example.com', 'authkit', jwks_uri => $1, client_id => $2)";

/// Longer than it takes anywhere, and shorter than anybody waits for a server to stop.
const AT_ONCE: Duration = Duration::from_secs(30);

/// How often a worker has said that there is no extension.
fn times(bed: &Bed<'_>) -> usize {
    bed.log().matches("the background worker has nothing to do").count()
}

#[tokio::test]
async fn a_database_may_come_and_go() {
    // One that is not there harms nobody.
    let bed = Bed::new(&CLUSTER, "worker_dropped").await;
    bed.has_worker().await;
    bed.until_task("cleanup", "true").await;
    assert!(CLUSTER.log().unwrap().contains(r#"database "worker_never" does not exist"#));

    // The extension goes while the worker is there, and comes back.
    bed.admin.batch_execute("drop extension workos_auth").await.unwrap();
    let before = times(&bed);
    bed.ends_worker().await;
    let deadline = Instant::now() + 2 * AT_ONCE;
    while times(&bed) == before {
        assert!(Instant::now() < deadline, "{}", bed.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bed.admin.batch_execute("create extension workos_auth").await.unwrap();
    bed.until_task("cleanup", "failures = 0").await;
    assert_eq!(times(&bed), before + 1);

    // The worker is a user of the database as others are.
    let admin = CLUSTER.connect("postgres", SUPERUSER).await.unwrap();
    drop(bed);
    refused_as(admin.batch_execute("drop database worker_dropped").await, "55006");
    let began = Instant::now();
    admin.batch_execute("drop database worker_dropped with (force)").await.unwrap();
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
}

#[tokio::test]
async fn it_ends_at_once_and_comes_back() {
    let databases = "workos_auth.worker_databases = 'first, \"Second one\", first'";
    let mut cluster = Cluster::start_with(&[PRELOAD, databases, "workos_auth.request_timeout = '2s'"]).unwrap();
    cluster.create_database("Second one").await.unwrap();
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}/jwks", server.local_addr().unwrap());
    {
        let bed = Bed::new(&cluster, "first").await;
        bed.has_worker().await;
        bed.until("(select count(distinct datname) = 2 and count(*) = 2 from pg_stat_activity where backend_type = 'workos_auth worker' and application_name = 'workos_auth worker')").await;
        // The second has nothing to do.
        let second = cluster.connect("Second one", SUPERUSER).await.unwrap();
        second.batch_execute("create extension workos_auth").await.unwrap();
        bed.until_task("cleanup", "true").await;

        // Terminated, by whoever may: Postgres starts another one.
        bed.admin.execute(TRUST, &[&uri, &AUTHKIT_CLIENT]).await.unwrap();
        let first = bed.ends_worker().await;
        bed.until(&format!("not exists (select from pg_stat_activity where pid = {first})")).await;
        let next = bed.has_worker().await;
        assert_ne!(first, next);

        // It hears of settings while it runs: the server that is asked never answers.
        bed.until_task("issuer_keys", "last_error ~ 'within 2 s'").await;
        cluster.append_conf("workos_auth.request_timeout = '1s'").unwrap();
        cluster.reload().await.unwrap();
        bed.until_task("issuer_keys", "last_error ~ 'within 1 s'").await;
        assert_eq!(worker(&bed.admin).await, Some(next));
        cluster.append_conf("workos_auth.request_timeout = '300s'").unwrap();
        cluster.reload().await.unwrap();

        // Killed: Postgres ends every process then, and starts anew.
        kill(Pid::from_raw(next), Signal::SIGKILL).unwrap();
        let deadline = Instant::now() + 2 * AT_ONCE;
        let admin = loop {
            // A connection of before the end may be there still, and goes.
            if let Ok(client) = cluster.connect("first", SUPERUSER).await
                && let Ok(Some(pid)) =
                    text(&client, &format!("select pid from pg_stat_activity where {IS_WORKER}")).await
                && pid != next.to_string()
            {
                break client;
            }
            assert!(Instant::now() < deadline, "no worker came back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        // It waits for an answer that never comes.
        let busy = "select count(*) from pg_stat_activity where backend_type = 'workos_auth worker' and state = 'active' and query = 'issuer_keys'";
        let deadline = Instant::now() + 2 * AT_ONCE;
        while text(&admin, busy).await.unwrap().as_deref() != Some("1") {
            assert!(Instant::now() < deadline, "it does not ask");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Nothing holds up the end of the server.
    let began = Instant::now();
    cluster.restart().unwrap();
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    assert!(!cluster.log().unwrap().contains("PANIC"));
}

#[tokio::test]
async fn a_standby_has_none_until_it_is_promoted() {
    let primary = Cluster::start_with(&[PRELOAD, "workos_auth.worker_databases = 'followed'"]).unwrap();
    let bed = Bed::new(&primary, "followed").await;
    bed.has_worker().await;
    bed.sign_in(ALICE).await;
    let server = KeyServer::start(&json!({})).await;
    bed.admin.execute(TRUST, &[&server.uri, &AUTHKIT_CLIENT]).await.unwrap();
    let standby = primary.start_standby(&[]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let admin = standby.connect("followed", SUPERUSER).await.unwrap();
    assert_eq!(worker(&admin).await, None);
    assert_eq!(check_all(&admin).await, []);
    let asked = server.asked();
    assert_eq!(text(&admin, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    let deadline = Instant::now() + 2 * AT_ONCE;
    while worker(&admin).await.is_none() || server.asked() == asked {
        assert!(Instant::now() < deadline, "no worker took over");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(check_all(&admin).await, []);
}

#[tokio::test]
async fn one_that_does_not_run_is_found() {
    // No room for it; and a library that the server does not preload.
    for (why, settings) in [
        ("no room", [PRELOAD, "max_worker_processes = 0"]),
        ("not preloaded", ["session_preload_libraries = 'workos_auth'", "max_worker_processes = 8"]),
    ] {
        let [library, processes] = settings;
        let named = "workos_auth.worker_databases = 'app, \"unfound\"'";
        let cluster = Cluster::start_with(&[library, processes, named, "max_parallel_workers = 0"]).unwrap();
        for (database, expected) in [("unfound", 1), ("other", 0)] {
            let bed = Bed::new(&cluster, database).await;
            let findings = check_all(&bed.admin).await;
            assert_eq!(findings.len(), expected, "{why}, {database}: {findings:#?}");
            for finding in findings {
                assert_eq!(
                    (&*finding.severity, &*finding.object),
                    ("warning", "workos_auth.worker_databases"),
                    "{why}"
                );
                assert!(finding.finding.contains("does not run"), "{why}: {finding:?}");
                bed.admin.batch_execute(&finding.remedy).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_list_that_is_none_is_refused() {
    let cluster = Cluster::start_with(&[PRELOAD]).unwrap();
    let admin = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let long = "x".repeat(64);
    let many = (0..65).map(|number| format!("d{number}")).collect::<Vec<_>>().join(", ");
    for list in ["\"a", "a b", "a,,b", &long, &many] {
        let sql = format!("alter system set workos_auth.worker_databases = '{list}'");
        refused_as(admin.batch_execute(&sql).await, "22023");
    }
    for list in ["", "a, b", "\"A b\", B", &many[5..]] {
        let sql = format!("alter system set workos_auth.worker_databases = '{list}'");
        admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{list}: {error:?}"));
    }
    refused_as(admin.batch_execute("set workos_auth.worker_databases = 'a'").await, "55P02");
    // What stands in the file and counts from the next start is no fault.
    admin.execute("select pg_reload_conf()", &[]).await.unwrap();
    admin.batch_execute("create extension workos_auth").await.unwrap();
    let pending = "select pending_restart from pg_settings where name = 'workos_auth.worker_databases'";
    let deadline = Instant::now() + AT_ONCE;
    while lines(&admin, pending).await.unwrap() != ["t"] {
        assert!(Instant::now() < deadline, "the file was not read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(check_all(&admin).await, []);
}
