//! TLS of the gateway's own: what goes over it, who cannot hold it up, and how its certificate is renewed.

use std::fs;
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::Output;

use nix::sys::signal::Signal;
use reqwest::header::COOKIE;
use reqwest::tls::Version;
use reqwest::{Certificate, Client};
use serde_json::json;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;
use url::Url;
use workos_end_to_end::{ALICE, Bed};

use crate::common::{
    Gateway, PAGE, PATIENCE, client, database_port, eventually, free_port, ok, raw, redirect, waits_for_lock,
};

/// A certificate for 127.0.0.1 and its key, which can be made anew in place.
struct Pair {
    directory: TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { directory: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        fs::write(self.certificate(), made.cert.pem()).unwrap();
        fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    #[track_caller]
    fn start(&self, database: &str, flags: &[&str]) -> impl Future<Output = Gateway> + use<> {
        let (caller, bed) = (Location::caller(), Bed::shared(database));
        let (certificate, key) = (self.certificate(), self.key());
        let further = flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>();
        async move {
            let tls = ["--tls-certificate", text(&certificate), "--tls-key", text(&key)];
            let flags = tls.into_iter().chain(further.iter().map(String::as_str)).collect::<Vec<_>>();
            let bed = bed.await;
            let port = database_port(&bed);
            Gateway::launch(bed, port, &flags, caller).await
        }
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

async fn silent(gateway: &Gateway) -> TcpStream {
    let port = Url::parse(&gateway.url).unwrap().port().unwrap();
    TcpStream::connect(("127.0.0.1", port)).await.unwrap()
}

/// Whether this client can ask the gateway for something.
async fn is_served(gateway: &Gateway, client: &Client) -> bool {
    client.get(gateway.at("/health")).send().await.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn a_sign_in_goes_over_tls_1_2_and_1_3_and_over_nothing_plain() {
    let pair = Pair::new();
    let gateway = pair.start("tls_sign_in", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    ok(gateway.user(&session).await).await;
    for version in [Version::TLS_1_2, Version::TLS_1_3] {
        let trusted = Certificate::from_pem(&fs::read(pair.certificate()).unwrap()).unwrap();
        let builder = Client::builder().no_proxy().tls_certs_only([trusted]);
        let client = builder.tls_version_min(version).tls_version_max(version).build().unwrap();
        assert!(is_served(&gateway, &client).await, "{version:?}");
    }
    // Who trusts other certificates does not talk to it: so it was this one that it showed.
    assert!(!is_served(&gateway, &client(Some(&Pair::new().certificate()))).await);
    let request = b"GET /auth/v1/health HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n";
    let answer = raw(&gateway.url, request).await;
    assert!(!answer.contains("HTTP/"), "{answer}");
    // Said where somebody looks for it, and noise to all others.
    assert!(!gateway.log().contains("handshake"), "{}", gateway.log());
}

#[tokio::test]
async fn over_tls_an_implicit_sign_in_is_bound_by_a_host_cookie() {
    let pair = Pair::new();
    let gateway = pair.start("tls_cookie", &[]).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let begun = redirect(gateway.get(&format!("/authorize?provider=workos&{query}")).send().await.unwrap());
    let [cookie] = &begun.cookies[..] else { panic!("{:?}", begun.cookies) };
    let mut parts = cookie.split("; ");
    assert!(parts.next().unwrap().starts_with("__Host-workos-auth-"), "{cookie}");
    let attributes = parts.map(str::to_lowercase).collect::<Vec<_>>();
    for needed in ["secure", "path=/", "httponly", "samesite=lax"] {
        assert!(attributes.iter().any(|attribute| attribute == needed), "{needed}: {cookie}");
    }
    assert!(!attributes.iter().any(|attribute| attribute.starts_with("domain")), "{cookie}");

    let plain = |cookie: &str| cookie.strip_prefix("__Host-").unwrap().to_owned();
    for spoil in [|_: &str| String::new(), plain, |cookie: &str| format!("{cookie}x")] {
        let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
        let answer = gateway.http.get(callback.clone()).header(COOKIE, spoil(&cookie)).send().await.unwrap();
        let end = redirect(answer);
        assert_eq!(end.fragment().get("access_token"), None, "{}", end.url);
        assert!(end.url.as_str().contains("error="), "{}", end.url);
    }
    let sessions = "select count(*) from auth.sessions";
    assert_eq!(gateway.bed.admin.query_one(sessions, &[]).await.unwrap().get::<_, i64>(0), 0);

    let end = gateway.browse(&query, ALICE.email).await;
    assert!(end.url.as_str().starts_with(PAGE), "{}", end.url);
    let token = end.fragment()["access_token"].clone();
    ok(gateway.get("/user").bearer_auth(token).send().await.unwrap()).await;
    let [cookie] = &end.cookies[..] else { panic!("{:?}", end.cookies) };
    assert!(cookie.starts_with("__Host-") && cookie.contains("Max-Age=0"), "{cookie}");
}

#[tokio::test]
async fn clients_that_say_nothing_stop_nobody() {
    let pair = Pair::new();
    let gateway = pair.start("tls_silent", &["--header-timeout", "3600"]).await;
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(silent(&gateway).await);
    }
    assert!(timeout(PATIENCE, is_served(&gateway, &gateway.http)).await.unwrap());
}

#[tokio::test]
async fn a_client_that_says_nothing_gives_its_place_back() {
    let pair = Pair::new();
    let flags = ["--header-timeout", "3", "--max-connections", "1", "--log", "debug"];
    let gateway = pair.start("tls_slot", &flags).await;
    let said =
        |words: &str| gateway.log().lines().filter(|line| line.contains(words) && line.contains("Handshake")).count();
    // In time, where nobody else wants it.
    let mut connection = silent(&gateway).await;
    assert_eq!(timeout(PATIENCE, connection.read(&mut [0])).await.unwrap().unwrap(), 0);
    eventually("it says so", async || said("a client took too long") == 1).await;
    // At once, where somebody does.
    let mut connection = silent(&gateway).await;
    assert!(timeout(PATIENCE, is_served(&gateway, &gateway.http)).await.unwrap());
    assert_eq!(timeout(PATIENCE, connection.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert_eq!(said("a client took too long"), 1, "{}", gateway.log());
    eventually("it says so", async || gateway.log().contains("a connection was given up for another one")).await;
}

#[tokio::test]
async fn a_certificate_is_renewed_by_sighup_and_open_connections_live_on() {
    let pair = Pair::new();
    let gateway = pair.start("tls_renewal", &[]).await;
    // One connection, which is kept.
    let old = client(Some(&pair.certificate()));
    assert!(is_served(&gateway, &old).await);
    let another_old = client(Some(&pair.certificate()));
    pair.renew();
    gateway.signal(Signal::SIGHUP);
    eventually("it is read", async || gateway.log().contains("the TLS certificate was read again")).await;
    let new = client(Some(&pair.certificate()));
    assert!(is_served(&gateway, &new).await);
    // A new connection of somebody who trusts the old one alone fails, so the first client's was not made anew.
    assert!(!is_served(&gateway, &another_old).await);
    assert!(is_served(&gateway, &old).await);

    // A bad pair changes nothing.
    let good = pair.certificate().with_file_name("good.pem");
    fs::copy(pair.certificate(), &good).unwrap();
    fs::copy(Pair::new().certificate(), pair.certificate()).unwrap();
    gateway.signal(Signal::SIGHUP);
    eventually("it is refused", async || gateway.log().contains("the TLS certificate stays the old one")).await;
    assert!(gateway.log().contains("is not the key of the first certificate"), "{}", gateway.log());
    assert!(is_served(&gateway, &client(Some(&good))).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_requests_over_tls_end() {
    let pair = Pair::new();
    let mut gateway = pair.start("tls_stop", &["--header-timeout", "3600"]).await;
    let session = gateway.sign_in(ALICE).await;
    let holder = gateway.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    let body = json!({ "refresh_token": session["refresh_token"] });
    let under_way = tokio::spawn(gateway.post("/token?grant_type=refresh_token", &body).send());
    waits_for_lock(&gateway).await;
    // A handshake that is not finished does not hold it up.
    let mut unfinished = silent(&gateway).await;
    gateway.signal(Signal::SIGTERM);
    assert_eq!(timeout(PATIENCE, unfinished.read(&mut [0])).await.unwrap().unwrap(), 0);
    assert!(!under_way.is_finished());
    holder.batch_execute("rollback").await.unwrap();
    assert_ne!(ok(under_way.await.unwrap().unwrap()).await["refresh_token"], session["refresh_token"]);
    assert_eq!(gateway.wait().code(), Some(0));
    assert!(!gateway.log().contains("requests were still under way"), "{}", gateway.log());
}

/// What a gateway says that must end by itself.
async fn ends(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_workos-auth-gateway"));
    command.env_clear().env("DATABASE_URL", "postgres://gateway@127.0.0.1/app").envs(environment.iter().copied());
    command.args(["--listen", &format!("127.0.0.1:{}", free_port())]).args(arguments).kill_on_drop(true);
    timeout(PATIENCE, command.output()).await.unwrap().unwrap()
}

#[tokio::test]
async fn files_that_cannot_be_used_end_it_at_the_start() {
    let (pair, other) = (Pair::new(), Pair::new());
    let (certificate, key, other_key) = (pair.certificate(), pair.key(), other.key());
    let (certificate, key, other_key) = (text(&certificate), text(&key), text(&other_key));
    let broken = pair.directory.path().join("broken.pem");
    fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let (missing, broken) = ("/nowhere/at-all.pem", text(&broken));
    for (certificate, key, said) in [
        (missing, key, &["--tls-certificate", missing, "No such file"][..]),
        (certificate, missing, &["--tls-key", missing, "No such file"]),
        (key, key, &["--tls-certificate", key, "nothing of the kind"]),
        (certificate, certificate, &["--tls-key", certificate, "nothing of the kind"]),
        (certificate, other_key, &[certificate, other_key, "is not the key of the first certificate"]),
        (broken, key, &["--tls-certificate", broken, "cannot be used"]),
    ] {
        let output = ends(&["--tls-certificate", certificate, "--tls-key", key], &[]).await;
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(said.iter().all(|words| log.contains(words)), "{said:?}: {log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
    // As environment variables, and one alone.
    let variables = [("GATEWAY_TLS_CERTIFICATE", certificate), ("GATEWAY_TLS_KEY", other_key)];
    let output = ends(&[], &variables).await;
    assert!(String::from_utf8(output.stderr).unwrap().contains("is not the key of the first certificate"));
    for (alone, wanted) in
        [(["--tls-certificate", certificate], "--tls-key"), (["--tls-key", key], "--tls-certificate")]
    {
        let output = ends(&alone, &[]).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(wanted), "{said}");
    }
}
