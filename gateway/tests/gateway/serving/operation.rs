//! What those who run a gateway rely on: an orderly end, figures, request ids, a log without secrets.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use workos_end_to_end::{ALICE, hooks};

use crate::common::{
    self, Gateway, PAGE, Program, database_port, database_url, eventually, figure, free_port, ok, raw, told,
    waits_for_lock,
};

/// What the customer or the operator mends: Supabase's client takes 4xx and 500 for the end of the session.
#[tokio::test]
async fn a_refresh_that_may_work_again_is_503() {
    let bed = hooks::bed("op_mended").await;
    let port = database_port(&bed);
    let gateway = Gateway::start_through(bed, port, &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let large = "begin return jsonb_set(document, '{claims,x}', to_jsonb(repeat('x', 100000))); end";
    for (code, body) in [("token_too_large", large), ("hook_failed", "begin raise 'no'; end")] {
        hooks::hook(&gateway.bed, "token", body).await;
        assert_eq!(told(gateway.refresh(&session["refresh_token"]).await).await, (503, code.into()));
    }
    hooks::no_hooks(&gateway.bed).await;
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}

#[tokio::test]
async fn the_session_has_the_address_that_a_trusted_proxy_names() {
    let gateway = Gateway::start("op_address", &["--trusted-proxies", "127.0.0.1"]).await;
    let session = gateway.sign_in(ALICE).await;
    let body = json!({ "refresh_token": session["refresh_token"] });
    let request = gateway.post("/token?grant_type=refresh_token", &body);
    ok(request.header("x-forwarded-for", "203.0.113.5, 198.51.100.9").send().await.unwrap()).await;
    let row = gateway.bed.admin.query_one("select host(ip) from auth.sessions", &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), "198.51.100.9");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_end_and_takes_no_new_ones() {
    let mut gateway = Gateway::start("op_stop", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let body = json!({ "refresh_token": session["refresh_token"] });
    let request = gateway.post("/token?grant_type=refresh_token", &body);
    let under_way = tokio::spawn(request.send());
    waits_for_lock(&gateway).await;
    // A connection that nothing is asked on does not hold it up.
    let port = gateway.url.split([':', '/']).nth(4).unwrap().parse::<u16>().unwrap();
    let _idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    gateway.signal(Signal::SIGTERM);
    eventually("it takes no connection", async || TcpStream::connect(("127.0.0.1", port)).await.is_err()).await;
    assert!(!under_way.is_finished());
    holder.batch_execute("rollback").await.unwrap();
    let fresh = ok(under_way.await.unwrap().unwrap()).await;
    assert_ne!(fresh["refresh_token"], session["refresh_token"]);
    assert_eq!(gateway.wait().code(), Some(0));
    eventually("it says so", async || gateway.log().contains("\"stopped\"")).await;
    // The session is the database's: another gateway goes on with it.
    let url = database_url(&gateway.bed, &gateway.role, database_port(&gateway.bed));
    let other = Program::start_in(&gateway.bed, &[("DATABASE_URL", &url)], &[]).await;
    ok(other.refresh(&fresh["refresh_token"]).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_ever() {
    let mut gateway = Gateway::start("op_stuck", &["--shutdown-timeout", "1", "--request-timeout", "60"]).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let body = json!({ "refresh_token": session["refresh_token"] });
    let stuck = tokio::spawn(gateway.post("/token?grant_type=refresh_token", &body).send());
    waits_for_lock(&gateway).await;
    let began = Instant::now();
    gateway.signal(Signal::SIGINT);
    assert_eq!(gateway.wait().code(), Some(0));
    let took = began.elapsed();
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&took), "{took:?}");
    assert!(stuck.await.unwrap().is_err());
    eventually("it says so", async || gateway.log().contains("requests were still under way")).await;
    // The lock is still held: what waited for it was cancelled, and not by anybody's timeout.
    let waiting = "select count(*) from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'";
    let waiting = async || gateway.bed.admin.query_one(waiting, &[&gateway.role]).await.unwrap().get::<_, i64>(0);
    eventually("no backend waits", async || waiting().await == 0).await;
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_figures_tell_what_happened_to_operators_alone() {
    let port = free_port();
    let gateway = Gateway::start("op_figures", &["--admin-listen", &format!("127.0.0.1:{port}")]).await;
    let admin = format!("http://127.0.0.1:{port}");
    let count = async |name: &str| figure(&gateway.http, &admin, name).await;
    let session = gateway.sign_in(ALICE).await;
    for _ in 0..3 {
        ok(gateway.user(&session).await).await;
    }
    gateway.get("/user").send().await.unwrap();
    gateway.get("/some/path/of/a/client?x=y").send().await.unwrap();
    gateway.http.request("BREW".parse().unwrap(), gateway.at("/settings")).send().await.unwrap();
    for (name, expected) in [
        ("gateway_requests_total{endpoint=\"/authorize\",method=\"GET\",status=\"302\"}", 1.0),
        ("gateway_requests_total{endpoint=\"/callback\",method=\"GET\",status=\"302\"}", 1.0),
        ("gateway_requests_total{endpoint=\"/token\",method=\"POST\",status=\"200\"}", 1.0),
        ("gateway_requests_total{endpoint=\"/user\",method=\"GET\",status=\"200\"}", 3.0),
        ("gateway_requests_total{endpoint=\"/user\",method=\"GET\",status=\"401\"}", 1.0),
        ("gateway_requests_total{endpoint=\"other\",method=\"GET\",status=\"404\"}", 1.0),
        ("gateway_requests_total{endpoint=\"/settings\",method=\"other\",status=\"405\"}", 1.0),
        ("gateway_errors_total{code=\"no_authorization\",endpoint=\"/user\"}", 1.0),
        ("gateway_request_seconds_count{endpoint=\"/user\"}", 4.0),
        // This one.
        ("gateway_requests_in_flight", 1.0),
        ("gateway_database_connections_in_use", 0.0),
    ] {
        assert_eq!(count(name).await, expected, "{name}");
    }
    assert!(count("gateway_database_connections").await >= 1.0);
    let text = gateway.http.get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    for word in ["some/path", "BREW", "alice", &gateway.role, session["refresh_token"].as_str().unwrap()] {
        assert!(!text.contains(word), "{word} in {text}");
    }

    // Each listener has its own.
    let root = gateway.url.trim_end_matches("/auth/v1");
    for url in
        [format!("{root}/metrics"), gateway.at("/metrics"), format!("{admin}/auth/v1/token"), format!("{admin}/token")]
    {
        assert_eq!(gateway.http.get(&url).send().await.unwrap().status(), 404, "{url}");
    }
    for path in ["/health", "/ready"] {
        ok(gateway.http.get(format!("{admin}{path}")).send().await.unwrap()).await;
    }
}

/// The one line about this request.
async fn line(gateway: &Gateway, id: &str) -> Value {
    let id = format!("\"request_id\":\"{id}\"");
    eventually("it is in the log", async || gateway.log().contains(&id)).await;
    let log = gateway.log();
    let mut lines = log.lines().filter(|line| line.contains(&id));
    let line = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert!(lines.next().is_none(), "{log}");
    line
}

#[tokio::test]
async fn a_request_has_an_id_and_one_line_in_the_log_without_its_query() {
    let gateway = Gateway::start("op_ids", &[]).await;
    let path = format!("/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&login_hint=alice@acme.com");
    let answer = gateway.get(&path).header("x-request-id", "proxy-1").send().await.unwrap();
    let id = answer.headers()["x-request-id"].to_str().unwrap().to_owned();
    // Nobody's own word: this comes from no proxy.
    assert!(id.len() == 36 && id != "proxy-1", "{id}");
    let line_of_it = line(&gateway, &id).await;
    let expected = (&json!("GET"), &json!("/authorize"), &json!(302), &json!("127.0.0.1"));
    let found = (&line_of_it["method"], &line_of_it["endpoint"], &line_of_it["status"], &line_of_it["address"]);
    assert_eq!(found, expected);
    for word in ["login_hint", "alice", "welcome", "?"] {
        assert!(!line_of_it.to_string().contains(word), "{line_of_it}");
    }

    // An error that is the server's can be found in the log by what the client was told.
    let sql = "alter function auth.jwks() rename to away";
    gateway.bed.admin.batch_execute(sql).await.unwrap();
    let answer = gateway.get("/.well-known/jwks.json").send().await.unwrap();
    let body: Value = answer.json().await.unwrap();
    let told = (&body["code"], &body["error_code"], &body["msg"]);
    let message = json!("Unexpected failure, please check server logs for more information");
    assert_eq!(told, (&json!(500), &json!("unexpected_failure"), &message));
    let line_of_it = line(&gateway, body["error_id"].as_str().unwrap()).await;
    assert_eq!((&line_of_it["level"], &line_of_it["sqlstate"]), (&json!("ERROR"), &json!("42883")));
    assert!(!body.to_string().contains("jwks"), "{body}");
}

#[tokio::test]
async fn a_trusted_proxys_request_id_is_taken_over_if_it_is_one() {
    let gateway = Gateway::start("op_proxy_ids", &["--trusted-proxies", "127.0.0.1"]).await;
    let asked = async |id: &str| {
        let answer = gateway.get("/health").header("x-request-id", id).send().await.unwrap();
        answer.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(asked("proxy-1.a_B").await, "proxy-1.a_B");
    assert_eq!(line(&gateway, "proxy-1.a_B").await["status"], 200);
    for id in ["", "a b", "a\"b", "a{b}", &"x".repeat(65)] {
        assert_ne!(asked(id).await, id);
    }
}

#[tokio::test]
async fn a_client_that_is_slow_to_ask_is_left() {
    let gateway = Gateway::start("op_slow", &["--header-timeout", "1"]).await;
    let began = Instant::now();
    // Half of a request, and nothing more.
    let answer = raw(&gateway.url, b"GET /auth/v1/health HTTP/1.1\r\nhost: x\r\n").await;
    assert!(!answer.contains("200"), "{answer}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    // A head that is too long.
    let long = format!("GET /auth/v1/health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "x".repeat(400_000));
    let answer = raw(&gateway.url, long.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    ok(gateway.get("/health").send().await.unwrap()).await;
}

#[tokio::test]
async fn a_signal_that_ends_nothing_is_followed_or_ignored_and_said() {
    let mut gateway = Gateway::start("op_signals", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    for (signal, said) in [
        (Signal::SIGHUP, Some("SIGHUP: there is no TLS certificate to read again")),
        (Signal::SIGUSR1, Some("SIGUSR1 means nothing here")),
        (Signal::SIGUSR2, Some("SIGUSR2 means nothing here")),
        (Signal::SIGPIPE, None),
        (Signal::SIGCHLD, None),
    ] {
        for _ in 0..3 {
            let lines = |said: &str| gateway.log().matches(said).count();
            let before = said.map(lines);
            gateway.signal(signal);
            if let Some((said, before)) = said.zip(before) {
                eventually(said, async || lines(said) > before).await;
            }
            ok(gateway.user(&session).await).await;
        }
    }
    // While requests are under way, and while it ends.
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let body = json!({ "refresh_token": session["refresh_token"] });
    let under_way = tokio::spawn(gateway.post("/token?grant_type=refresh_token", &body).send());
    waits_for_lock(&gateway).await;
    gateway.signal(Signal::SIGHUP);
    gateway.signal(Signal::SIGTERM);
    eventually("it ends", async || gateway.log().contains("\"stopping\"")).await;
    for signal in [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGTERM] {
        gateway.signal(signal);
    }
    holder.batch_execute("rollback").await.unwrap();
    ok(under_way.await.unwrap().unwrap()).await;
    assert_eq!(gateway.wait().code(), Some(0));
}

/// It cannot listen, and says so at once; until then, it waits for the file that its password stands in, a pipe.
#[tokio::test]
async fn a_sighup_while_it_starts_does_not_end_it() {
    let directory = tempfile::tempdir().unwrap();
    let password = directory.path().join("password");
    nix::unistd::mkfifo(&password, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_workos-auth-gateway"));
    command.env_clear().env("DATABASE_URL", "postgres://gateway@127.0.0.1/app").kill_on_drop(true);
    command.args(["--listen", "192.0.2.1:1", "--database-password-file", password.to_str().unwrap()]);
    command.stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().unwrap().try_into().unwrap());
    // Caught, as /proc says: bit 0 is signal 1.
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim().to_owned();
        u64::from_str_radix(&mask, 16).unwrap() & 1 == 1
    };
    eventually("it catches SIGHUP", async || caught()).await;
    nix::sys::signal::kill(pid, Signal::SIGHUP).unwrap();
    let writes = tokio::task::spawn_blocking(move || std::fs::write(password, "secret"));
    tokio::time::timeout(common::PATIENCE, writes).await.unwrap().unwrap().unwrap();
    let output = tokio::time::timeout(common::PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // By itself, for the address is nobody's.
    assert_eq!(output.status.code(), Some(1), "{said}");
}

/// What systemd's protocol says, sd_notify(3), and no sooner than a client can connect.
#[test]
fn systemd_is_told_when_it_listens() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(common::PATIENCE)).unwrap();
    let port = free_port();
    let mut command = Command::new(env!("CARGO_BIN_EXE_workos-auth-gateway"));
    command.env_clear().env("DATABASE_URL", "postgres://gateway@127.0.0.1:1/app").env("NOTIFY_SOCKET", &socket);
    command.args(["--listen", &format!("127.0.0.1:{port}")]).stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut message = [0; 64];
    let told = systemd.recv(&mut message);
    let connected = std::net::TcpStream::connect(("127.0.0.1", port));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(&message[..told.unwrap()], b"READY=1\n");
    connected.unwrap();
}

#[tokio::test]
async fn a_log_that_nobody_reads_any_more_stops_no_request() {
    let port = free_port();
    let mut command = Command::new("sh");
    // What reads the log ends at the line that says that it listens. In a shell of its own: the $$ of a part of a pipeline is the whole's.
    let gateway = env!("CARGO_BIN_EXE_workos-auth-gateway");
    let script = format!(
        "exec 3>&1; sh -c 'echo $$ >&3; exec {gateway} --listen 127.0.0.1:{port}' 2>&1 >/dev/null | grep -m 1 listening"
    );
    command.args(["-c", &script]).env("DATABASE_URL", "postgres://gateway@127.0.0.1:1/app");
    command.stdout(std::process::Stdio::piped()).stdin(std::process::Stdio::null());
    let mut shell = command.spawn().unwrap();
    let http = common::client(None);
    let url = format!("http://127.0.0.1:{port}/auth/v1/health");
    let mut pid = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(shell.stdout.take().unwrap()), &mut pid).unwrap();
    eventually("it listens", async || http.get(&url).send().await.is_ok()).await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        answers.push(http.get(&url).send().await.map(|answer| answer.status().as_u16()).ok());
    }
    let pid = nix::unistd::Pid::from_raw(pid.trim().parse().unwrap());
    nix::sys::signal::kill(pid, Signal::SIGKILL).unwrap();
    let _ = shell.wait();
    assert_eq!(answers, [Some(200); 5]);
}

fn program(arguments: &[&str], database: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workos-auth-gateway"));
    command.env_clear().env("DATABASE_URL", database).args(arguments).output().unwrap()
}

#[test]
fn what_cannot_be_configured_is_said_without_the_password() {
    let good = "postgres://gateway:hunter2@localhost/app";
    for (arguments, database) in [
        (&["--public-url", "http://api.example.com/auth/v1"][..], good),
        (&["--public-url", "https://user:hunter2@api.example.com/"], good),
        (&["--public-url", "nonsense"], good),
        (&["--trusted-proxies", "everybody"], good),
        (&["--cors-origins", "https://app.example.com/path"], good),
        (&["--pool-size", "0"], good),
        (&["--request-timeout", "0"], good),
        (&["--log", "=,="], good),
        (&["--database-password-file", "/no/such/file"], good),
        (&[], "postgres://gateway:hunter2@localhost:port/app"),
        (&[], "postgres://gateway:hunter2@localhost/app?sslmode=verify-full"),
        (&[], "postgres://gateway:hunter2@localhost/app?nonsense=hunter2"),
    ] {
        let output = program(arguments, database);
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && output.status.code().is_some(), "{arguments:?} {database}: {said}");
        assert!(!said.is_empty() && !said.contains("panicked"), "{arguments:?} {database}: {said}");
        let shown = said.replace("https://user:hunter2@api.example.com/", "");
        assert!(!shown.contains("hunter2"), "{arguments:?} {database}: {said}");
    }
    let help = program(&["--help"], good);
    let said = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && said.contains("--trusted-proxies") && !said.contains("hunter2"), "{said}");
}

/// While an update is under way, the versions of library, SQL and gateway differ.
#[tokio::test]
async fn readiness_tells_the_versions() {
    let gateway = Gateway::start("op_versions", &[]).await;
    let own = env!("CARGO_PKG_VERSION");
    let sql = std::env::var("WORKOS_AUTH_SQL_VERSION").unwrap_or_else(|_| own.to_owned());
    let answer = ok(gateway.get("/ready").send().await.unwrap()).await;
    assert_eq!(answer, json!({ "ready": true, "gateway": own, "library": own, "sql": sql }));
}
