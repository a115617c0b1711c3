//! A database that is restarted under requests: each is done or told to come again, and nothing that was rolled back is spent.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;
use workos_end_to_end::{ALICE, Bed};
use workos_testbed::Cluster;

use crate::common::outage::{is_ready, refresh, send, unavailable, until_it_waits};
use crate::common::{Program, SITE_URL, database_url, eventually, ok, set_up};

/// Whoever writes a session sleeps until its backend ends. A lock would not hold it: the backend that has it may be ended first, and the
/// request be done before its own is.
const SLEEPS: &str = "create or replace function sleeps() returns trigger language plpgsql as $$
        begin perform pg_sleep(3600); return new; end $$;
    create trigger sleeps before update on auth.sessions for each row execute function sleeps()";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_restarted_in_mid_request_is_found_again() {
    // What was committed must not be lost by a crash.
    let mut cluster = Cluster::start_with(&["synchronous_commit = on"]).unwrap();
    let bed = Bed::new(&cluster, "restarted").await;
    let role = set_up(&bed).await;
    let url = database_url(&bed, &role, cluster.port());
    let gateway = Program::start_in(&bed, &[("DATABASE_URL", &url)], &["--pool-timeout", "2"]).await;
    let mut session = gateway.sign_in(ALICE).await;
    let _workos = bed.workos;
    for crashes in [false, true] {
        let admin = cluster.connect("restarted", workos_testbed::cluster::SUPERUSER).await.unwrap();
        admin.batch_execute(SLEEPS).await.unwrap();
        let request =
            gateway.post("/token?grant_type=refresh_token", &json!({ "refresh_token": session["refresh_token"] }));
        let waiting = tokio::spawn(send(request));
        until_it_waits(&admin, &role, "Timeout").await;
        if crashes {
            cluster.crash().unwrap();
        } else {
            cluster.restart().unwrap();
        }
        unavailable(waiting.await.unwrap(), "in mid-request").await;
        eventually("it is ready", async || is_ready(&gateway).await).await;
        let admin = cluster.connect("restarted", workos_testbed::cluster::SUPERUSER).await.unwrap();
        admin.batch_execute("drop trigger sleeps on auth.sessions").await.unwrap();
        // What was rolled back was not spent.
        session = ok(refresh(&gateway, &session).await).await;
    }

    // Many requests, wherever they are at that moment: each is done or told to come again.
    let statuses = {
        let mut workers = JoinSet::new();
        for _ in 0..4 {
            let mut session = gateway.sign_in(ALICE).await;
            let (http, url) = (gateway.http.clone(), gateway.at("/token?grant_type=refresh_token"));
            workers.spawn(async move {
                let mut seen = Vec::new();
                let ends = Instant::now() + Duration::from_secs(4);
                while Instant::now() < ends {
                    let body = json!({ "refresh_token": session["refresh_token"] });
                    let answer = send(http.post(&url).json(&body)).await;
                    let status = answer.status().as_u16();
                    let body: Value = answer.json().await.unwrap();
                    seen.push((status, body["error_code"].as_str().map(str::to_owned)));
                    match status {
                        200 => session = body,
                        _ => sleep(Duration::from_millis(20)).await,
                    }
                }
                (session, seen)
            });
        }
        sleep(Duration::from_secs(1)).await;
        tokio::task::block_in_place(|| cluster.restart()).unwrap();
        workers.join_all().await
    };
    eventually("it is ready", async || is_ready(&gateway).await).await;
    for (session, seen) in statuses {
        let last = seen.last().unwrap();
        assert_eq!(last.0, 200, "{last:?}");
        for (status, code) in &seen {
            assert!(
                matches!((*status, code.as_deref()), (200, None) | (503, Some("unexpected_failure"))),
                "{status} {code:?}"
            );
        }
        assert!(seen.iter().any(|(status, _)| *status == 503), "nobody noticed the restart");
        ok(refresh(&gateway, &session).await).await;
    }
    assert!(!gateway.log().contains("panicked"));
    let answer = send(gateway.get("/callback")).await;
    assert!(answer.headers()["location"].to_str().unwrap().starts_with(SITE_URL));
}
