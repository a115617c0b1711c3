//! `--workos-by gateway`: the gateway asks WorkOS, and no connection to the database is held meanwhile.

use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::COOKIE;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use workos_end_to_end::{ALICE, Bed, start};
use workos_simulator::{Fault, FaultKind, RetryAfter};
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET};

use crate::common::{
    CHALLENGE, Gateway, PAGE, PKCE, Program, REFRESH, Redirect, VERIFIER, database_port, database_url, does_not_start,
    eventually, figure, free_port, ok, pkce, redirect, refused, send, set_up, told,
};

const BY_GATEWAY: [&str; 2] = ["--workos-by", "gateway"];

async fn back(gateway: &Gateway, query: &str) -> Redirect {
    let (callback, cookie) = gateway.to_callback(query, ALICE.email).await;
    redirect(send(gateway.http.get(callback).header(COOKIE, cookie)).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_who_sign_in_at_once_need_a_handful_of_connections() {
    const CLIENTS: usize = 100;
    let flags = ["--workos-by", "gateway", "--pool-size", "4", "--sign-in-connections", "1"];
    let gateway = Arc::new(Gateway::start("storm", &flags).await);
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let mut callbacks = Vec::new();
    for _ in 0..CLIENTS {
        callbacks.push(gateway.to_callback(&query, ALICE.email).await);
    }
    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 300 })).unwrap();
    let began = Instant::now();
    let mut people = JoinSet::new();
    for (callback, cookie) in callbacks {
        let http = gateway.http.clone();
        people.spawn(async move { redirect(send(http.get(callback).header(COOKIE, cookie)).await) });
    }
    for end in people.join_all().await {
        assert!(end.fragment().contains_key("access_token"), "{}", end.url);
    }
    // One after the other they would take 30 s, and by fours 7.5 s.
    let took = began.elapsed();
    eprintln!("{CLIENTS} callbacks in {took:?}, with 4 connections and a WorkOS that takes 300 ms");
    assert!(took < Duration::from_millis(7500), "{took:?}");
    assert_eq!(gateway.bed.token_requests().len(), CLIENTS);
    assert_eq!(gateway.bed.count("select count(*) from auth.sessions").await, i64::try_from(CLIENTS).unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_workos_hangs_no_connection_is_held_and_whoever_waits_is_told() {
    const CLIENTS: usize = 50;
    let port = free_port();
    let bed = Bed::shared("hangs").await;
    bed.set("workos_auth.request_timeout", "3s").await;
    let admin = format!("127.0.0.1:{port}");
    let flags = ["--workos-by", "gateway", "--pool-size", "2", "--admin-listen", &admin];
    let database = database_port(&bed);
    let gateway = Arc::new(Gateway::start_through(bed, database, &flags).await);
    let mut session = gateway.sign_in(ALICE).await;
    let mut callbacks = Vec::new();
    for _ in 0..CLIENTS {
        let query = format!("organization=org_acme&redirect_to={PAGE}");
        callbacks.push(gateway.to_callback(&query, ALICE.email).await);
    }
    let asked = gateway.bed.token_requests().len();
    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Hang)).unwrap();
    let mut people = JoinSet::new();
    for (callback, cookie) in callbacks {
        let http = gateway.http.clone();
        people.spawn(async move {
            let began = Instant::now();
            (redirect(send(http.get(callback).header(COOKIE, cookie)).await), began.elapsed())
        });
    }
    eventually("all wait for WorkOS", async || gateway.bed.token_requests().len() == asked + CLIENTS).await;
    let used = figure(&gateway.http, &format!("http://{admin}"), "gateway_database_connections_in_use").await;
    assert_eq!(used, 0.0);
    for _ in 0..20 {
        let began = Instant::now();
        let refreshed = gateway.post(REFRESH, &json!({ "refresh_token": session["refresh_token"] }));
        session = ok(send(refreshed).await).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    }
    for (end, took) in people.join_all().await {
        assert_eq!(end.query("error_code").as_deref(), Some("workos_timeout"), "{}", end.url);
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(8), "{took:?}");
    }
    gateway.says("workos_timeout").await;
}

#[tokio::test]
async fn a_code_of_workos_is_exchanged_in_two_halves() {
    let gateway = Gateway::start("direct", &BY_GATEWAY).await;
    let pending = start(&gateway.bed.backend().await, ALICE).await;
    let body = json!({ "auth_code": pending.code, "code_verifier": pending.verifier });
    let request = gateway.post(PKCE, &body).header("user-agent", "Tester/1");
    let session = ok(send(request).await).await;
    assert_eq!(session["user"]["email"], ALICE.email);
    let from = "select host(ip) || ' ' || user_agent from auth.sessions";
    assert_eq!(gateway.bed.admin.query_one(from, &[]).await.unwrap().get::<_, String>(0), "127.0.0.1 Tester/1");
    assert_eq!(told(send(gateway.post(PKCE, &body)).await).await, (404, "flow_state_not_found".into()));
    assert_eq!(gateway.bed.token_requests().len(), 1);
}

#[tokio::test]
async fn who_may_not_sign_in_is_written_down_whoever_asks_workos() {
    const REFUSED: &str =
        "select coalesce(jsonb_agg(to_jsonb(e) - array['id', 'created_at', 'actor']), '[]') from auth.audit_log_entries as e
        where action = 'login_refused'";
    let mut ends = Vec::new();
    for (name, flags) in [("refuses", &["--workos-by", "database"]), ("refuses_by", &BY_GATEWAY)] {
        let gateway = Gateway::start(name, flags).await;
        let backend = gateway.bed.backend().await;
        let session = gateway.bed.sign_in(ALICE).await;
        gateway.bed.admin.execute("select auth.ban_user($1)", &[&session.user_id]).await.unwrap();
        let pending = start(&backend, ALICE).await;
        let body = json!({ "auth_code": pending.code, "code_verifier": pending.verifier });
        let exchange = || gateway.post(PKCE, &body).header("user-agent", "Tester/1");
        let end = refused(send(exchange()).await).await;
        let again = told(send(exchange()).await).await;
        let mut entry: Value = gateway.bed.admin.query_one(REFUSED, &[]).await.unwrap().get(0);
        assert_eq!(entry[0]["user_id"], json!(session.user_id), "{entry}");
        for path in ["/0/user_id", "/0/payload/flow_id"] {
            *entry.pointer_mut(path).unwrap() = Value::Null;
        }
        ends.push((end, again, entry));
    }
    let (end, again, entry) = &ends[0];
    assert_eq!((end.0, end.1.as_str()), (403, "user_banned"));
    assert_eq!(again, &(404, "flow_state_not_found".into()), "the code is spent");
    assert_eq!(entry.as_array().map(Vec::len), Some(1));
    assert_eq!(ends[0], ends[1]);
}

/// What WorkOS does, and how the browser is told.
fn faults() -> Vec<FaultKind> {
    let status = |code, body: Value| FaultKind::Status { code, body: Some(body) };
    vec![
        status(400, json!({ "error": "invalid_grant", "error_description": "No." })),
        status(401, json!({ "message": "No." })),
        status(302, json!({})),
        status(500, json!("<html>")),
        FaultKind::RateLimited { retry_after: Some(RetryAfter::Seconds(7)) },
        FaultKind::Html,
        FaultKind::EmptyBody,
        FaultKind::MalformedJson,
        FaultKind::TruncatedBody,
        FaultKind::OversizedBody { bytes: 64 << 20, chunked: true },
        FaultKind::Reset,
        FaultKind::WrongOrganization,
        FaultKind::ProfileOverrides { patch: json!({ "id": "prof_\u{0}alice" }) },
        FaultKind::JsonOnly,
    ]
}

#[tokio::test]
async fn whatever_workos_does_is_told_as_where_the_database_asks() {
    let by_database = Gateway::start("by_database", &["--workos-by", "database"]).await;
    let by_gateway = Gateway::start("by_gateway", &BY_GATEWAY).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    for fault in faults() {
        let mut ends = Vec::new();
        for gateway in [&by_database, &by_gateway] {
            gateway.bed.simulator().clear_requests();
            gateway.bed.simulator().set_fault(Fault::token(fault.clone()).times(1)).unwrap();
            let end = back(gateway, &query).await;
            let told = ["error", "error_code", "error_description"].map(|name| end.query(name));
            ends.push((end.status, told, end.query("code").is_some(), gateway.bed.token_requests().len()));
            gateway.bed.simulator().clear_faults();
            gateway.bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
        }
        assert_eq!(ends[0], ends[1], "{fault:?}");
        assert!(ends[0].2 == matches!(fault, FaultKind::JsonOnly), "{fault:?}: {:?}", ends[0]);
    }
    let log = by_gateway.log();
    for secret in [CLIENT_SECRET, "code_verifier", "sso_token_"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn where_nobody_listens_the_browser_is_told_and_the_next_sign_in_works() {
    let gateway = Gateway::start("unreachable", &BY_GATEWAY).await;
    let sql = "select auth.configure_workos(client_id => $1, redirect_uri => $2, client_secret => $3, api_url => $4)";
    let configure = async |api_url: &str| {
        let redirect_uri = gateway.at("/callback");
        gateway.bed.admin.execute(sql, &[&CLIENT_ID, &redirect_uri, &CLIENT_SECRET, &api_url]).await.unwrap();
    };
    let url = gateway.bed.workos.url();
    // Nothing is bound to it for longer than it takes to say which it is.
    configure(&format!("http://127.0.0.1:{}", free_port())).await;
    let query = format!("/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let begun = redirect(send(gateway.get(&query)).await);
    let callback = format!("/callback?code=x&state={}", begun.query("state").unwrap());
    let end = redirect(send(gateway.get(&callback).header(COOKIE, begun.cookie())).await);
    assert_eq!(end.query("error_code").as_deref(), Some("workos_unreachable"), "{}", end.url);
    configure(&url).await;
    gateway.sign_in(ALICE).await;
}

#[tokio::test]
async fn a_role_that_may_not_broker_is_told_so_at_the_start() {
    let bed = Bed::shared("unready").await;
    let role = set_up(&bed).await;
    let url = database_url(&bed, &role, database_port(&bed));
    let gateway = Program::start_in(&bed, &[("DATABASE_URL", &url)], &BY_GATEWAY).await;
    gateway.says("auth.grant_broker").await;
    assert_eq!(told(send(gateway.get("/ready")).await).await, (503, "insufficient_privilege".into()));
    bed.admin.execute(&format!("select auth.grant_broker('{role}')"), &[]).await.unwrap();
    assert_eq!(send(gateway.get("/ready")).await.status(), 200);
    // Without it, a callback spends nothing.
    bed.admin.execute(&format!("select auth.revoke_broker('{role}')"), &[]).await.unwrap();
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
    assert_eq!(send(gateway.http.get(callback.clone()).header(COOKIE, &cookie)).await.status(), 403);
    bed.admin.execute(&format!("select auth.grant_broker('{role}')"), &[]).await.unwrap();
    let end = redirect(send(gateway.http.get(callback).header(COOKIE, cookie)).await);
    let body = json!({ "auth_code": end.query("code"), "code_verifier": VERIFIER });
    ok(send(gateway.post(PKCE, &body)).await).await;
}

#[tokio::test]
async fn while_it_asks_its_connections_are_idle() {
    // The environment says the same as the flag.
    let bed = Bed::shared("environment").await;
    let role = set_up(&bed).await;
    bed.admin.execute(&format!("select auth.grant_broker('{role}')"), &[]).await.unwrap();
    let url = database_url(&bed, &role, database_port(&bed));
    let environment = [("DATABASE_URL", url.as_str()), ("GATEWAY_WORKOS_BY", "gateway")];
    let gateway = Program::start_in(&bed, &environment, &[]).await;
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 1000 }).times(1)).unwrap();
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
    let waiting = tokio::spawn(send(gateway.http.get(callback).header(COOKIE, cookie)));
    eventually("WorkOS is asked", async || bed.token_requests().len() == 1).await;
    let busy = "select count(*) from pg_stat_activity where usename = $1 and state <> 'idle'";
    assert_eq!(bed.admin.query_one(busy, &[&role]).await.unwrap().get::<_, i64>(0), 0);
    assert!(redirect(waiting.await.unwrap()).query("code").is_some());
}

#[tokio::test]
async fn what_cannot_be_used_ends_it_at_the_start() {
    let bed = Bed::shared("unusable").await;
    for (flags, words) in [
        (["--workos-ca-file", "/does/not/exist"], "--workos-ca-file /does/not/exist"),
        (["--workos-ca-file", "/dev/null"], "it holds no certificate"),
        (["--workos-proxy", "https://user:hidden@proxy:3128"], "http://HOST:PORT"),
        (["--workos-proxy", "http://proxy:3128/path"], "http://HOST:PORT"),
        (["--workos-proxy", "nonsense"], "http://HOST:PORT"),
    ] {
        let url = database_url(&bed, "nobody", database_port(&bed));
        let flags = [&BY_GATEWAY[..], &flags[..]].concat();
        let log = does_not_start(&[("DATABASE_URL", &url)], &flags);
        assert!(log.contains(words) && !log.contains("hidden"), "{flags:?}: {log}");
    }
}
