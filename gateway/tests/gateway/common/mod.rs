//! A gateway of one's own: the real program, beside a database of the shared cluster and a WorkOS stand-in.

pub mod outage;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::ops::{Deref, DerefMut};
use std::panic::Location;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use url::Url;
use workos_auth_core::pkce::CodeVerifier;
use workos_end_to_end::{Bed, Person};
use workos_testbed::workos::CLIENT_ID;
use workos_testbed::{Cluster, PgBouncer};

/// The application.
pub const SITE_URL: &str = "http://localhost:3000";
/// A page of it, which the list of redirect URLs has.
pub const PAGE: &str = "http://localhost:3000/welcome";
/// RFC 7636, appendix B.
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub const PKCE: &str = "/token?grant_type=pkce";
pub const REFRESH: &str = "/token?grant_type=refresh_token";

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running gateway and its database.
pub struct Gateway {
    pub bed: Bed<'static>,
    pub role: String,
    program: Program,
}

/// The process alone.
pub struct Program {
    pub url: String,
    pub http: Client,
    process: Child,
    log: Log,
}

impl Deref for Gateway {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.program
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.program
    }
}

/// Where a redirect goes.
pub struct Redirect {
    pub status: u16,
    pub url: Url,
    pub cookies: Vec<String>,
}

impl Redirect {
    pub fn query(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub fn fragment(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(self.url.fragment().unwrap_or_default().as_bytes()).into_owned().collect()
    }

    /// What a browser sends back.
    pub fn cookie(&self) -> String {
        self.cookies.iter().filter_map(|cookie| cookie.split(';').next()).collect::<Vec<_>>().join("; ")
    }
}

impl Gateway {
    /// With a database of its own. Its name begins with the name of the caller's file, so a test gives a name that no other test of the
    /// same file gives.
    #[track_caller]
    pub fn start<'a>(database: &str, flags: &'a [&'a str]) -> impl Future<Output = Self> + use<'a> {
        let (caller, bed) = (Location::caller(), Bed::shared(database));
        async move {
            let bed = bed.await;
            let port = database_port(&bed);
            Self::launch(bed, port, flags, caller).await
        }
    }

    /// The same, where the database is reached through another port.
    #[track_caller]
    pub fn start_through<'a>(
        bed: Bed<'static>,
        database_port: u16,
        flags: &'a [&'a str],
    ) -> impl Future<Output = Self> + use<'a> {
        Self::launch(bed, database_port, flags, Location::caller())
    }

    /// The same, for helpers: a panic names the caller that they say.
    pub async fn launch(bed: Bed<'static>, port: u16, flags: &[&str], caller: &Location<'_>) -> Self {
        let role = set_up(&bed).await;
        if WORKOS_BY_GATEWAY.is_some() || flags.contains(&"--workos-by") {
            bed.admin.execute(&format!("select auth.grant_broker('{role}')"), &[]).await.unwrap();
        }
        let url = database_url(&bed, &role, port);
        let program = Program::launch(&bed, &[("DATABASE_URL", &url)], flags, caller).await;
        Self { bed, role, program }
    }
}

/// What a gateway needs in a database: the application's address, and a role, whose name this returns.
pub async fn set_up(bed: &Bed<'_>) -> String {
    bed.set("workos_auth.site_url", SITE_URL).await;
    let role = bed.role("gateway", "").await;
    bed.admin.execute(&format!("select auth.grant_sign_in('{role}')"), &[]).await.unwrap();
    role
}

/// Who asks WorkOS where a test does not say so: the database, or the gateway where `GATEWAY_TESTS_WORKOS_BY=gateway` asks for it, as
/// `tools/test-gateway.sh` does.
static WORKOS_BY_GATEWAY: LazyLock<Option<[&str; 2]>> = LazyLock::new(|| {
    let by = std::env::var("GATEWAY_TESTS_WORKOS_BY").ok()?;
    assert_eq!(by, "gateway", "GATEWAY_TESTS_WORKOS_BY");
    Some(["--workos-by", "gateway"])
});

/// Between all gateways and the shared cluster, where `GATEWAY_TESTS_THROUGH=pgbouncer` asks for it: `tools/test-gateway.sh` does.
static POOLER: LazyLock<Option<PgBouncer>> = LazyLock::new(|| {
    let through = std::env::var("GATEWAY_TESTS_THROUGH").ok()?;
    assert_eq!(through, "pgbouncer", "GATEWAY_TESTS_THROUGH");
    // Each database has a pool of its own there, and the cluster has 300 connections for all of them.
    let of_each = ["default_pool_size = 10", "server_idle_timeout = 2"];
    let settings = [&["pool_mode = transaction", "max_client_conn = 1000"][..], &of_each].concat();
    Some(PgBouncer::start(Cluster::shared().unwrap(), &settings).unwrap())
});

/// The port of 127.0.0.1 where gateways find a database of the shared cluster, unless a test says otherwise.
pub fn database_port(bed: &Bed<'_>) -> u16 {
    POOLER.as_ref().map_or(bed.cluster.port(), PgBouncer::port)
}

pub fn database_url(bed: &Bed<'_>, role: &str, port: u16) -> String {
    format!("postgres://{role}@127.0.0.1:{port}/{}", bed.database)
}

impl Program {
    /// Beside a database that is set up, for which it has these variables.
    #[track_caller]
    pub fn start_in<'a>(
        bed: &'a Bed<'_>,
        environment: &'a [(&'a str, &'a str)],
        flags: &'a [&'a str],
    ) -> impl Future<Output = Self> {
        Self::launch(bed, environment, flags, Location::caller())
    }

    /// A panic names the caller.
    async fn launch(bed: &Bed<'_>, environment: &[(&str, &str)], flags: &[&str], caller: &Location<'_>) -> Self {
        // Before the gateway connects: what ALTER DATABASE says counts for connections made later.
        let port = free_port();
        // Where the gateway has a certificate, its client trusts that one.
        let certificate = flags.iter().skip_while(|flag| **flag != "--tls-certificate").nth(1).map(Path::new);
        let scheme = if certificate.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}/auth/v1");
        bed.set("workos_auth.issuer", &url).await;
        let sql = "select auth.configure_workos(client_id => $1, redirect_uri => $2, api_url => $3)";
        let redirect_uri = format!("{url}/callback");
        bed.admin.execute(sql, &[&CLIENT_ID, &redirect_uri, &bed.workos.url()]).await.unwrap();
        let (process, log) =
            launch(environment, &url, port, flags).unwrap_or_else(|log| panic!("{caller}: it did not start: {log}"));
        Self { url, http: client(certificate), process, log }
    }

    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(self.at(path))
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.http.post(self.at(path)).json(body)
    }

    /// From `/authorize` to `/callback`, which is not asked yet: WorkOS's redirect, and the cookies of the gateway.
    pub async fn to_callback(&self, query: &str, email: &str) -> (Url, String) {
        let begun = redirect(self.get(&format!("/authorize?provider=workos&{query}")).send().await.unwrap());
        assert_eq!(begun.status, 302);
        let mut url = begun.url.clone();
        url.query_pairs_mut().append_pair("login_hint", email);
        let back = redirect(self.http.get(url).send().await.unwrap());
        assert!(back.url.as_str().starts_with(&self.at("/callback?")), "{}", back.url);
        (back.url, begun.cookie())
    }

    /// The whole way of a browser: where it ends.
    pub async fn browse(&self, query: &str, email: &str) -> Redirect {
        let (callback, cookie) = self.to_callback(query, email).await;
        redirect(self.http.get(callback).header(COOKIE, cookie).send().await.unwrap())
    }

    /// Signs in with PKCE: the session as JSON.
    pub async fn sign_in(&self, person: Person) -> Value {
        let verifier = CodeVerifier::generate().unwrap();
        let challenge = verifier.challenge();
        let query = format!("{}&redirect_to={PAGE}&{}", selector(person), pkce(challenge.value()));
        let end = self.browse(&query, person.email).await;
        let code = end.query("code").unwrap_or_else(|| panic!("no code: {}", end.url));
        let answer = self
            .post("/token?grant_type=pkce", &json!({ "auth_code": code, "code_verifier": verifier.expose() }))
            .send()
            .await
            .unwrap();
        ok(answer).await
    }

    pub async fn refresh(&self, refresh_token: &Value) -> Response {
        self.post("/token?grant_type=refresh_token", &json!({ "refresh_token": refresh_token })).send().await.unwrap()
    }

    pub async fn user(&self, session: &Value) -> Response {
        self.get("/user").bearer_auth(session["access_token"].as_str().unwrap()).send().await.unwrap()
    }

    pub fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until the log says something: it may come after the answer.
    pub async fn says(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < deadline, "it does not say {words:?}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().try_into().unwrap()), signal).unwrap();
    }

    /// Waits until the process has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The parameters of `/authorize` for somebody of the simulator's seed.
pub fn selector(person: Person) -> &'static str {
    match person.email {
        "bob@globex.com" => "organization=org_globex",
        "gina@gmail.com" => "workos_provider=GoogleOAuth",
        _ => "organization=org_acme",
    }
}

/// The parameters of a challenge.
pub fn pkce(challenge: &str) -> String {
    format!("code_challenge={challenge}&code_challenge_method=s256")
}

pub fn redirect(answer: Response) -> Redirect {
    let status = answer.status().as_u16();
    let header = answer.headers().get(LOCATION);
    let location = header.unwrap_or_else(|| panic!("{status} and no Location")).to_str().unwrap().to_owned();
    let cookies = answer.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap().to_owned()).collect();
    Redirect { status, url: answer.url().join(&location).unwrap(), cookies }
}

/// The access token of a session.
pub fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

pub async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// The JSON of an answer that must be good.
pub async fn ok(answer: Response) -> Value {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

/// The status, the code and the message of an answer that must be an error in the form without a version.
pub async fn refused(answer: Response) -> (u16, String, String) {
    let status = answer.status().as_u16();
    let code = answer.headers().get("x-sb-error-code").map(|code| code.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}"));
    assert_eq!(body["code"], status, "{text}");
    assert_eq!(body["error_code"].as_str(), code.as_deref(), "{text}");
    (status, code.unwrap(), body["msg"].as_str().unwrap().to_owned())
}

/// An error in the form without a version, in short.
pub async fn told(answer: Response) -> (u16, String) {
    let (status, code, _) = refused(answer).await;
    (status, code)
}

/// Follows no redirects, and trusts the certificate of this file alone.
pub fn client(certificate: Option<&Path>) -> Client {
    let trusted = certificate.map(|path| Certificate::from_pem(&std::fs::read(path).unwrap()).unwrap());
    Client::builder().redirect(Policy::none()).no_proxy().tls_certs_only(trusted).build().unwrap()
}

/// Sends bytes as they are, on a connection of their own, and returns everything that comes back.
pub async fn raw(url: &str, request: &[u8]) -> String {
    let url = Url::parse(url).unwrap();
    let exchange = async {
        let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
        // Who has heard enough may hang up before the end, and the answer may then be lost.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    };
    timeout(PATIENCE, exchange).await.unwrap()
}

/// Found free and then used: somebody else may take it in between, and the test then says that it did not start.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

type Log = Arc<Mutex<Vec<String>>>;

/// What the log says of a gateway that must not start.
#[track_caller]
pub fn does_not_start(environment: &[(&str, &str)], flags: &[&str]) -> String {
    let port = free_port();
    match launch(environment, &format!("http://127.0.0.1:{port}/auth/v1"), port, flags) {
        Ok((mut process, _)) => {
            let _ = process.kill();
            panic!("it starts: {flags:?}");
        }
        Err(log) => log,
    }
}

/// The process and its log; where it does not start, what the log says.
fn launch(environment: &[(&str, &str)], url: &str, port: u16, flags: &[&str]) -> Result<(Child, Log), String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workos-auth-gateway"));
    command
        .env_clear()
        .envs(environment.iter().copied())
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .args(["--public-url", url])
        .args(if flags.contains(&"--rate-limit") { &[][..] } else { &["--rate-limit", "0"] })
        .args(if flags.contains(&"--workos-by") {
            &[][..]
        } else {
            WORKOS_BY_GATEWAY.as_ref().map_or(&[][..], |by| &by[..])
        })
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let log: Log = Arc::default();
    let lines = BufReader::new(process.stderr.take().unwrap()).lines();
    let keep = Arc::clone(&log);
    let reading =
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| keep.lock().unwrap().push(line)));
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && process.try_wait().unwrap().is_none() {
        if log.lock().unwrap().iter().any(|line| line.contains("\"listening\"")) {
            return Ok((process, log));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = process.kill();
    let _ = process.wait();
    // What it said last is read when its end of the pipe is closed.
    let _ = reading.join();
    let said = log.lock().unwrap().join("\n");
    Err(said)
}

/// The figure with these words before it, or 0.
pub async fn figure(http: &Client, admin: &str, name: &str) -> f64 {
    let text = http.get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// Waits until a statement of the gateway waits for a lock.
pub async fn waits_for_lock(gateway: &Gateway) {
    let sql = "select count(*) from pg_stat_activity where usename = $1 and wait_event_type = 'Lock'";
    let admin = &gateway.bed.admin;
    let count = async || admin.query_one(sql, &[&gateway.role]).await.unwrap().get::<_, i64>(0);
    eventually("it waits for a lock", async || count().await > 0).await;
}

/// Waits until something is true.
pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it is not so in time: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
