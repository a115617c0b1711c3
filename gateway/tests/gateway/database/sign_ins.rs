//! Sign-ins wait for WorkOS. However many do, and however long, there are connections left for everybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::COOKIE;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use workos_end_to_end::ALICE;
use workos_simulator::{Fault, FaultKind};

use crate::common::{Gateway, PAGE, PKCE, REFRESH, eventually, figure, free_port, ok, send, told};

/// How many people refresh, and how many sign in beside them.
const REFRESHING: usize = 4;
const SIGNING_IN: usize = 100;
/// How long each course of refreshes is.
const COURSE: Duration = Duration::from_secs(4);
/// What a busy machine may do to the slowest of them.
const MARGIN: Duration = Duration::from_millis(250);

/// Each session is refreshed over and over until the course is over; none of it fails. The 99th percentile of the times, and the
/// sessions as they are then.
async fn refreshes(gateway: &Gateway, sessions: Vec<Value>) -> (Duration, Vec<Value>) {
    let mut people = JoinSet::new();
    for mut session in sessions {
        let (http, url) = (gateway.http.clone(), gateway.at(REFRESH));
        people.spawn(async move {
            let (mut times, began) = (Vec::new(), Instant::now());
            while began.elapsed() < COURSE {
                let sent = Instant::now();
                let request = http.post(&url).json(&json!({ "refresh_token": session["refresh_token"] }));
                session = ok(send(request).await).await;
                times.push(sent.elapsed());
            }
            (times, session)
        });
    }
    let (times, sessions): (Vec<_>, Vec<_>) = people.join_all().await.into_iter().unzip();
    let mut times = times.concat();
    times.sort();
    (times[times.len() * 99 / 100], sessions)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_workos_hangs_and_a_hundred_sign_in_refreshes_are_as_quick_as_ever() {
    let port = free_port();
    let gateway = Arc::new(Gateway::start("hangs", &["--admin-listen", &format!("127.0.0.1:{port}")]).await);
    let count = async |name: &str| figure(&gateway.http, &format!("http://127.0.0.1:{port}"), name).await;
    let mut sessions = Vec::new();
    for _ in 0..REFRESHING {
        sessions.push(gateway.sign_in(ALICE).await);
    }
    let (quiet, sessions) = refreshes(&gateway, sessions).await;
    assert_eq!(count("gateway_sign_in_connections").await, 5.0);
    assert_eq!(count("gateway_sign_in_connections_in_use").await, 0.0);

    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut people = JoinSet::new();
    for _ in 0..SIGNING_IN {
        let (gateway, is_over) = (Arc::clone(&gateway), Arc::clone(&is_over));
        people.spawn(async move {
            let mut statuses = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let query = format!("organization=org_acme&redirect_to={PAGE}");
                let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
                let answer = send(gateway.http.get(callback).header(COOKIE, cookie)).await;
                statuses.push(answer.status().as_u16());
            }
            statuses
        });
    }
    eventually("most of them wait", async || count("gateway_sign_in_connections_waited_for").await >= 50.0).await;
    let (busy, sessions) = refreshes(&gateway, sessions).await;
    assert!(count("gateway_sign_in_connections_waited_for").await >= 50.0);
    is_over.store(true, Ordering::Relaxed);
    eprintln!("a refresh takes {quiet:?} (p99) beside nobody, {busy:?} beside {SIGNING_IN} people whose sign-ins hang");
    assert!(busy < (quiet * 3).max(MARGIN), "{busy:?} against {quiet:?}");

    // They are told to come again, or sent back to the application with an error.
    gateway.bed.simulator().clear_faults();
    for status in people.join_all().await.concat() {
        assert!(matches!(status, 302 | 503), "{status}");
    }
    let session = gateway.sign_in(ALICE).await;
    refreshes(&gateway, [sessions, vec![session]].concat()).await;
    eventually("nobody waits", async || count("gateway_sign_in_connections_in_use").await == 0.0).await;
    assert_eq!(count("gateway_sign_in_connections_waited_for").await, 0.0);
}

#[tokio::test]
async fn a_sign_in_that_finds_no_connection_free_is_told_to_come_again_and_keeps_its_state() {
    let flags = ["--pool-size", "4", "--sign-in-connections", "1", "--pool-timeout", "1"];
    let gateway = Gateway::start("share", &flags).await;
    let session = gateway.sign_in(ALICE).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let (first, first_cookie) = gateway.to_callback(&query, ALICE.email).await;
    let (second, second_cookie) = gateway.to_callback(&query, ALICE.email).await;
    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 3000 }).times(1)).unwrap();
    let waiting = tokio::spawn(send(gateway.http.get(first).header(COOKIE, first_cookie)));
    let asked = "select count(*) from pg_stat_activity where usename = $1 and state = 'active'";
    let admin = &gateway.bed.admin;
    eventually("the first waits", async || {
        admin.query_one(asked, &[&gateway.role]).await.unwrap().get::<_, i64>(0) == 1
    })
    .await;

    let refused = send(gateway.http.get(second.clone()).header(COOKIE, &second_cookie)).await;
    let (status, code, message) = crate::common::refused(refused).await;
    assert_eq!((status, code.as_str()), (503, "unexpected_failure"));
    assert_eq!(message, "Too many sign-ins wait for WorkOS, please retry after a moment.");
    gateway.says("--sign-in-connections").await;
    // WorkOS is not asked for the code of `/callback`, nor for anything else: they do not wait.
    let exchange = json!({ "auth_code": format!("wac_{}", "A".repeat(43)), "code_verifier": crate::common::VERIFIER });
    assert_eq!(told(send(gateway.post(PKCE, &exchange)).await).await, (404, "flow_state_not_found".into()));
    ok(gateway.refresh(&session["refresh_token"]).await).await;
    // Any other code might be one of WorkOS's.
    let exchange = json!({ "auth_code": "01ABC", "code_verifier": crate::common::VERIFIER });
    assert_eq!(told(send(gateway.post(PKCE, &exchange)).await).await, (503, "unexpected_failure".into()));

    assert_eq!(waiting.await.unwrap().status(), 302);
    let answer = send(gateway.http.get(second).header(COOKIE, second_cookie)).await;
    let to = answer.headers()["location"].to_str().unwrap();
    assert!(to.contains("#access_token="), "{to}");
}
