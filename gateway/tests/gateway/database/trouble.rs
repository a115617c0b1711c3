//! A database that is down, silent, slow, full or read-only: each answer comes in time, says what it is and
//! nothing more, and when the database is back, the gateway is too.

use std::pin::pin;
use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use workos_end_to_end::{ALICE, Bed};
use workos_simulator::{Fault, FaultKind};

use crate::common::outage::{end_backends, is_ready, refresh, send, unavailable, until_it_waits};
use crate::common::{CHALLENGE, Gateway, PAGE, Program, database_port, eventually, free_port, ok, pkce, told};

/// What the tests' own bookkeeping and a busy machine may add to a deadline.
const MARGIN: Duration = Duration::from_secs(4);

/// A way to the database that can be cut.
struct Way(AbortHandle);

impl Way {
    /// From one port to another.
    async fn open(from: u16, to: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", from)).await.unwrap();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    let Ok(mut far) = TcpStream::connect(("127.0.0.1", to)).await else { return };
                    let _ = copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        Self(task.abort_handle())
    }

    /// To somebody who takes connections and says nothing.
    async fn silent(from: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", from)).await.unwrap();
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        Self(task.abort_handle())
    }

    /// Connections break, and new ones are refused.
    async fn cut(self) {
        self.0.abort();
        eventually("it is cut", async || self.0.is_finished()).await;
    }
}

/// Every endpoint that needs the database.
fn requests(gateway: &Program) -> Vec<(&'static str, RequestBuilder)> {
    let authorize = format!("/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let link = authorize.replace("/authorize", "/user/identities/authorize");
    let unlink = gateway.at("/user/identities/00000000-0000-4000-8000-000000000001");
    vec![
        ("authorize", gateway.get(&authorize)),
        ("callback", gateway.get("/callback?code=x&state=x")),
        ("pkce", gateway.post("/token?grant_type=pkce", &json!({ "auth_code": "x", "code_verifier": "x" }))),
        ("refresh", gateway.post("/token?grant_type=refresh_token", &json!({ "refresh_token": "x" }))),
        ("user", gateway.get("/user").bearer_auth("x")),
        ("update", gateway.http.put(gateway.at("/user")).bearer_auth("x").json(&json!({ "data": {} }))),
        ("link", gateway.get(&link).bearer_auth("x")),
        ("unlink", gateway.http.delete(unlink).bearer_auth("x")),
        ("logout", gateway.http.request(Method::POST, gateway.at("/logout")).bearer_auth("x")),
        ("settings", gateway.get("/settings")),
        ("keys", gateway.get("/.well-known/jwks.json")),
        ("configuration", gateway.get("/.well-known/openid-configuration")),
        ("ready", gateway.get("/ready")),
    ]
}

async fn is_down(gateway: &Program, within: Duration) {
    for (what, request) in requests(gateway) {
        let began = Instant::now();
        unavailable(send(request).await, what).await;
        assert!(began.elapsed() < within, "{what}: {:?}", began.elapsed());
    }
    // The form of the other version, which is the client's.
    let answer = send(gateway.get("/settings").header("x-supabase-api-version", "2024-01-01")).await;
    assert_eq!(answer.status(), 503);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body, json!({ "code": "unexpected_failure", "message": "The database is not available" }));
    ok(send(gateway.get("/health")).await).await;
}

#[tokio::test]
async fn a_database_that_is_down_at_the_start_and_again_later_is_waited_for() {
    let port = free_port();
    let bed = Bed::shared("trouble_down").await;
    let to = database_port(&bed);
    let gateway = Gateway::start_through(bed, port, &["--pool-timeout", "1"]).await;
    is_down(&gateway, MARGIN).await;
    // What needs no database is still told apart.
    assert_eq!(told(send(gateway.get("/user")).await).await, (401, "no_authorization".into()));
    assert_eq!(told(send(gateway.get("/authorize")).await).await, (400, "validation_failed".into()));

    let way = Way::open(port, to).await;
    eventually("it is ready", async || is_ready(&gateway).await).await;
    let session = gateway.sign_in(ALICE).await;
    let session = ok(refresh(&gateway, &session).await).await;
    way.cut().await;
    is_down(&gateway, MARGIN).await;
    unavailable(refresh(&gateway, &session).await, "a good token").await;

    let way = Way::open(port, to).await;
    eventually("it is ready", async || is_ready(&gateway).await).await;
    let session = ok(refresh(&gateway, &session).await).await;
    way.cut().await;

    // It takes connections, and says nothing.
    let way = Way::silent(port).await;
    is_down(&gateway, Duration::from_secs(1) + MARGIN).await;
    way.cut().await;
    let _way = Way::open(port, to).await;
    eventually("it is ready", async || is_ready(&gateway).await).await;
    ok(refresh(&gateway, &session).await).await;
    let log = gateway.log();
    for secret in [session["refresh_token"].as_str().unwrap(), session["access_token"].as_str().unwrap()] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn a_database_that_is_slow_is_left_at_the_deadline_with_nothing_running_there() {
    let gateway = Gateway::start("trouble_slow", &["--request-timeout", "2"]).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let began = Instant::now();
    let answer = refresh(&gateway, &session).await;
    let took = began.elapsed();
    assert_eq!(told(answer).await, (504, "request_timeout".into()));
    assert!((Duration::from_secs(2)..Duration::from_secs(2) + MARGIN).contains(&took), "{took:?}");
    // The lock is still held: what waited for it was cancelled.
    let waits = "select count(*) from pg_stat_activity where usename = $1 and state <> 'idle'";
    let admin = &gateway.bed.admin;
    eventually("nothing runs", async || admin.query_one(waits, &[&gateway.role]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
    ok(send(gateway.get("/settings")).await).await;
    assert!(is_ready(&gateway).await);
    holder.batch_execute("rollback").await.unwrap();
    let session = ok(refresh(&gateway, &session).await).await;

    // WorkOS is what is slow. Without PKCE it is asked at the callback.
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 4000 }).times(1)).unwrap();
    let began = Instant::now();
    let answer = send(gateway.http.get(callback).header("cookie", cookie)).await;
    assert_eq!(told(answer).await, (504, "request_timeout".into()));
    assert!(began.elapsed() < Duration::from_secs(2) + MARGIN, "{:?}", began.elapsed());
    eventually("nothing runs", async || admin.query_one(waits, &[&gateway.role]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
    assert_eq!(gateway.bed.count("select count(*) from auth.sessions").await, 1);
    ok(refresh(&gateway, &session).await).await;
}

/// Anybody may ask for it, and it may take as long as the program that prints the root key.
#[tokio::test]
async fn those_who_ask_for_readiness_hold_one_connection() {
    let gateway = Gateway::start("trouble_ready", &["--pool-size", "4", "--pool-timeout", "2"]).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.providers").await.unwrap();
    let mut asking = JoinSet::new();
    for _ in 0..12 {
        asking.spawn(send(gateway.get("/ready")));
    }
    until_it_waits(&gateway.bed.admin, &gateway.role, "Lock").await;
    let session = ok(refresh(&gateway, &session).await).await;
    ok(gateway.user(&session).await).await;
    let waits = format!(
        "select count(*) from pg_stat_activity where usename = '{}' and wait_event_type = 'Lock'",
        gateway.role
    );
    assert_eq!(gateway.bed.count(&waits).await, 1);
    holder.batch_execute("rollback").await.unwrap();
    asking.join_all().await;
    assert!(is_ready(&gateway).await);
}

#[tokio::test]
async fn a_pool_that_is_full_is_503_in_time() {
    let flags = ["--pool-size", "1", "--pool-timeout", "1", "--request-timeout", "60"];
    let gateway = Gateway::start("trouble_full", &flags).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let mut first = pin!(refresh(&gateway, &session));
    tokio::select! {
        _ = &mut first => panic!("nothing held it"),
        () = until_it_waits(&gateway.bed.admin, &gateway.role, "Lock") => {}
    }
    for (what, request) in requests(&gateway) {
        let began = Instant::now();
        unavailable(send(request).await, what).await;
        let took = began.elapsed();
        assert!((Duration::from_millis(900)..Duration::from_secs(1) + MARGIN).contains(&took), "{what}: {took:?}");
    }
    ok(send(gateway.get("/health")).await).await;
    holder.batch_execute("rollback").await.unwrap();
    // Who had the connection is served, and so is everybody after that.
    let session = ok(first.await).await;
    ok(refresh(&gateway, &session).await).await;
}

#[tokio::test]
async fn a_server_that_has_no_connection_left_is_503() {
    let gateway = Gateway::start("trouble_many", &["--pool-timeout", "2"]).await;
    let session = gateway.sign_in(ALICE).await;
    let admin = &gateway.bed.admin;
    admin.batch_execute(&format!("alter role {} connection limit 0", gateway.role)).await.unwrap();
    end_backends(&gateway).await;
    eventually("it is noticed", async || !is_ready(&gateway).await).await;
    is_down(&gateway, MARGIN).await;
    admin.batch_execute(&format!("alter role {} connection limit -1", gateway.role)).await.unwrap();
    eventually("it is ready", async || is_ready(&gateway).await).await;
    ok(refresh(&gateway, &session).await).await;
}

#[tokio::test]
async fn a_database_that_is_read_only_reads_and_says_that_it_cannot_write() {
    let gateway = Gateway::start("trouble_reads", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let (callback, _) = gateway.to_callback(&query, ALICE.email).await;
    gateway.bed.set("default_transaction_read_only", "on").await;
    end_backends(&gateway).await;
    eventually("it is not ready", async || !is_ready(&gateway).await).await;
    assert_eq!(told(send(gateway.get("/ready")).await).await, (503, "read_only".into()));

    let bearer = |request: RequestBuilder| request.bearer_auth(session["access_token"].as_str().unwrap());
    let authorize = format!("/authorize?provider=workos&organization=org_globex&redirect_to={PAGE}");
    let link = format!(
        "/user/identities/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&{}",
        pkce(&"x".repeat(43))
    );
    for (what, request) in [
        ("authorize", gateway.get(&authorize)),
        ("callback", gateway.http.get(callback.clone())),
        (
            "refresh",
            gateway.post("/token?grant_type=refresh_token", &json!({ "refresh_token": session["refresh_token"] })),
        ),
        ("update", bearer(gateway.http.put(gateway.at("/user"))).json(&json!({ "data": { "a": 1 } }))),
        ("link", bearer(gateway.get(&link))),
        ("logout", bearer(gateway.http.post(gateway.at("/logout")))),
    ] {
        assert_eq!(told(send(request).await).await, (503, "read_only".into()), "{what}");
    }
    assert_eq!(ok(send(bearer(gateway.get("/user"))).await).await["email"], ALICE.email);
    for path in ["/settings", "/.well-known/jwks.json", "/.well-known/openid-configuration", "/health"] {
        ok(send(gateway.get(path)).await).await;
    }

    let sql = format!("alter database {} reset default_transaction_read_only", gateway.bed.database);
    gateway.bed.admin.batch_execute(&sql).await.unwrap();
    end_backends(&gateway).await;
    eventually("it is ready", async || is_ready(&gateway).await).await;
    ok(refresh(&gateway, &session).await).await;
    // The state was not spent.
    let answer = send(gateway.http.get(callback)).await;
    let to = answer.headers()["location"].to_str().unwrap();
    assert!(to.starts_with(&format!("{PAGE}?code=")), "{to}");
}

#[tokio::test]
async fn without_a_site_url_a_browser_is_told_so() {
    let gateway = Gateway::start("trouble_site", &[]).await;
    let sql = format!("alter database {} reset workos_auth.site_url", gateway.bed.database);
    gateway.bed.admin.batch_execute(&sql).await.unwrap();
    end_backends(&gateway).await;
    eventually("it is ready", async || is_ready(&gateway).await).await;
    for path in ["/callback", "/callback?state=nobodys&code=x", "/callback?error=idp_initiated_sso_disabled"] {
        assert_eq!(told(send(gateway.get(path)).await).await, (503, "site_url_missing".into()), "{path}");
    }
}

#[tokio::test]
async fn a_role_that_has_lost_its_rights_is_not_ready() {
    let gateway = Gateway::start("trouble_rights", &[]).await;
    assert!(is_ready(&gateway).await);
    let sql = |verb: &str| format!("select auth.{verb}_sign_in('{}')", gateway.role);
    gateway.bed.admin.batch_execute(&sql("revoke")).await.unwrap();
    assert_eq!(told(send(gateway.get("/ready")).await).await, (503, "insufficient_privilege".into()));
    let query = format!("/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}");
    let answer = send(gateway.get(&query)).await;
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert!(matches!(status, 403 | 503) && !text.contains(&gateway.role), "{status} {text}");
    gateway.bed.admin.batch_execute(&sql("grant")).await.unwrap();
    assert!(is_ready(&gateway).await);
    let unbound = |is: &str| format!("alter role {} {is}bypassrls", gateway.role);
    gateway.bed.admin.batch_execute(&unbound("")).await.unwrap();
    assert_eq!(told(send(gateway.get("/ready")).await).await, (503, "role_bypasses_rls".into()));
    gateway.bed.admin.batch_execute(&unbound("no")).await.unwrap();
    assert!(is_ready(&gateway).await);
    assert_eq!(send(gateway.get(&query)).await.status(), 302);
}
