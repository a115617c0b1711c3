//! WorkOS over TLS: whose certificates are believed, and the proxy that the way there may lead through.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_postgres::Client;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use workos_end_to_end::bed::{ALICE, Pending, configure_workos, exchange};
use workos_end_to_end::sql::{Refusal, refused, refused_as, shell, text};
use workos_end_to_end::{Bed, case};
use workos_testbed::workos::CLIENT_SECRET;
use workos_testbed::{Callback, Cluster, browser_sign_in};

/// What must happen at once may take this long on a busy machine.
const AT_ONCE: Duration = Duration::from_secs(3);

/// The simulator behind TLS, with a certificate that a file beside the database holds.
struct Tls {
    url: String,
    simulator: String,
    ca_file: PathBuf,
}

impl Tls {
    /// The database's provider is it from now on, and its certificate is believed.
    async fn before(bed: &Bed<'_>) -> Self {
        Self::with(bed, CertificateParams::new(["127.0.0.1".to_owned()]).unwrap()).await
    }

    /// The same with any certificate, which is its own authority.
    async fn with(bed: &Bed<'_>, certificate: CertificateParams) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = certificate.self_signed(&key).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let to = bed.simulator().port();
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let Ok(mut from) = acceptor.accept(from).await else { return };
                    let mut to = TcpStream::connect(("127.0.0.1", to)).await.unwrap();
                    let _ = copy_bidirectional(&mut from, &mut to).await;
                });
            }
        });
        let ca_file = file(bed, "ca.pem", &certificate.pem(), "0644").await;
        let tls = Self { url, simulator: bed.simulator().url(), ca_file };
        let sql = configure_workos(&format!(", client_secret => '{CLIENT_SECRET}', api_url => '{}'", tls.url));
        bed.admin.batch_execute(&sql).await.unwrap();
        bed.set("workos_auth.ca_file", tls.ca_file.to_str().unwrap()).await;
        tls
    }

    /// A sign-in that only needs the exchange. The browser believes no such certificate, and goes to the simulator itself.
    async fn start(&self, client: &Client) -> Pending {
        let sql = format!("select url, state, code_verifier from auth.start_sign_in({})", ALICE.selector);
        let row = client.query_one(&sql, &[]).await.unwrap();
        let (url, state, verifier): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        assert!(url.starts_with(&self.url), "{url}");
        let plain = url.replace(&self.url, &self.simulator);
        let Callback { code, .. } = browser_sign_in(&plain, Some(ALICE.email)).await.unwrap();
        Pending { url, code, verifier, state }
    }

    async fn sign_in(&self, client: &Client) {
        exchange(client, &self.start(client).await).await.unwrap_or_else(|error| panic!("{error:?}"));
    }

    /// A fresh connection's sign-in, which is refused so.
    async fn is_refused(&self, bed: &Bed<'_>, name: &str) -> Refusal {
        let client = bed.backend().await;
        let pending = self.start(&client).await;
        refused(exchange(&client, &pending).await, name)
    }
}

/// A file of the server's operating-system user's, beside the cluster's data.
async fn file(bed: &Bed<'_>, name: &str, content: &str, mode: &str) -> PathBuf {
    let path = bed.cluster.data_dir().with_file_name(format!("{}_{name}", bed.database));
    let shown = path.display();
    shell(&bed.admin, &format!("printf %s '{content}' > {shown} && chmod {mode} {shown}")).await;
    path
}

/// What a proxy does once it has the head of a request.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Connects,
    WantsCredentials,
    Forbids,
    TalksNonsense,
    HangsUp,
    Hangs,
}
use Manner::{Connects, Forbids, Hangs, HangsUp, TalksNonsense, WantsCredentials};

/// `carol:secret` in base64.
const CREDENTIALS: &str = "Y2Fyb2w6c2VjcmV0";

/// A proxy, and the heads of the requests that came to it.
struct Proxy {
    url: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(manner: Manner) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let heads = Arc::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(serve(from, manner, Arc::clone(&seen)));
            }
        });
        Self { url, heads }
    }

    fn take_heads(&self) -> Vec<String> {
        std::mem::take(&mut self.heads.lock().unwrap())
    }
}

fn has_credentials(head: &str) -> bool {
    let fields = head.lines().filter_map(|line| line.split_once(": "));
    let mut given = fields.filter(|(name, _)| name.eq_ignore_ascii_case("proxy-authorization")).map(|(_, value)| value);
    given.next() == Some(&format!("Basic {CREDENTIALS}"))
}

async fn serve(mut from: TcpStream, manner: Manner, heads: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match from.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    heads.lock().unwrap().push(head.clone());
    let answer = match manner {
        Hangs => return std::future::pending().await,
        HangsUp => return,
        TalksNonsense => "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        Forbids => "HTTP/1.1 403 Forbidden\r\n\r\n",
        WantsCredentials if !has_credentials(&head) => {
            "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n"
        }
        Connects | WantsCredentials => "HTTP/1.1 200 Connection established\r\n\r\n",
    };
    from.write_all(answer.as_bytes()).await.unwrap();
    if answer.contains(" 200 ") {
        let target = head.split(' ').nth(1).unwrap();
        let mut to = TcpStream::connect(target).await.unwrap();
        let _ = copy_bidirectional(&mut from, &mut to).await;
    }
}

#[tokio::test]
async fn a_certificate_is_checked_with_the_authorities_of_the_file_or_else_the_systems() {
    let bed = Bed::shared("roots").await;
    let tls = Tls::before(&bed).await;
    let client = bed.backend().await;
    for _ in 0..3 {
        tls.sign_in(&client).await;
    }
    // Nobody the system knows has signed it.
    bed.set("workos_auth.ca_file", "").await;
    let error = tls.is_refused(&bed, "workos_unreachable").await;
    assert!(error.detail.contains("invalid peer certificate: UnknownIssuer"), "{error}");
    for (content, why) in [("", "it holds no certificate"), ("no certificate", "it holds no certificate")] {
        let path = file(&bed, "bad.pem", content, "0644").await;
        bed.set("workos_auth.ca_file", path.to_str().unwrap()).await;
        let error = tls.is_refused(&bed, "tls_roots_unavailable").await;
        assert_eq!(error.detail, format!("workos_auth.ca_file: {}: {why}.", path.display()));
    }
    bed.set("workos_auth.ca_file", "/nowhere/ca.pem").await;
    let error = tls.is_refused(&bed, "tls_roots_unavailable").await;
    assert!(error.detail.starts_with("workos_auth.ca_file: /nowhere/ca.pem: No such file"), "{error}");
    // The connection that had the right one still has it, and takes another when it is told to.
    tls.sign_in(&client).await;
}

/// Its authority is believed, and that is not enough.
#[tokio::test]
async fn a_certificate_of_another_host_or_of_another_time_is_refused_and_nothing_is_sent() {
    let good = || CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let of_host = |name: &str| CertificateParams::new([name.to_owned()]).unwrap();
    let (mut expired, mut early) = (good(), good());
    (expired.not_before, expired.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
    (early.not_before, early.not_after) = (date_time_ymd(4000, 1, 1), date_time_ymd(4001, 1, 1));
    for (name, certificate, why) in [
        ("other_host", of_host("api.workos.com"), "certificate not valid for name"),
        ("other_address", of_host("127.0.0.2"), "certificate not valid for name"),
        ("expired", expired, "certificate expired"),
        ("early", early, "certificate not valid yet"),
    ] {
        case!(name);
        let bed = Bed::shared(name).await;
        let tls = Tls::with(&bed, certificate).await;
        let client = bed.backend().await;
        let pending = tls.start(&client).await;
        let error = refused(exchange(&client, &pending).await, "workos_unreachable");
        assert!(error.detail.contains("invalid peer certificate") && error.detail.contains(why), "{error}");
        assert_eq!(bed.token_requests().len(), 0);
    }
}

#[tokio::test]
async fn a_sign_in_goes_through_the_proxy_which_sees_only_where_to() {
    let bed = Bed::shared("proxied").await;
    let tls = Tls::before(&bed).await;
    let proxy = Proxy::start(Connects).await;
    bed.set("workos_auth.https_proxy", &proxy.url).await;
    let client = bed.backend().await;
    for _ in 0..3 {
        tls.sign_in(&client).await;
    }
    // One tunnel, whose connection is kept.
    let heads = proxy.take_heads();
    let target = tls.url.trim_start_matches("https://");
    assert_eq!(heads.len(), 1);
    assert!(heads[0].starts_with(&format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n")), "{}", heads[0]);
    assert!(!heads[0].to_lowercase().contains("authorization"), "{}", heads[0]);
    assert_eq!(bed.token_requests().len(), 3);
    // Without it, the same connection goes straight there.
    bed.admin.batch_execute(&bed.named("alter database DATABASE reset workos_auth.https_proxy")).await.unwrap();
    tls.sign_in(&bed.backend().await).await;
    assert_eq!(proxy.take_heads().len(), 0);
}

#[tokio::test]
async fn a_proxy_gets_the_credentials_of_the_file_and_nobody_else_sees_them() {
    let bed = Bed::shared("credentials").await;
    let tls = Tls::before(&bed).await;
    let proxy = Proxy::start(WantsCredentials).await;
    bed.set("workos_auth.https_proxy", &proxy.url).await;
    let error = tls.is_refused(&bed, "https_proxy_credentials_refused").await;
    let empty = "asks for them, and workos_auth.https_proxy_credentials_file is empty.";
    assert_eq!(error.detail, format!("{} {empty}", proxy.url));

    let set = async |path: &PathBuf| bed.set("workos_auth.https_proxy_credentials_file", path.to_str().unwrap()).await;
    let wrong = file(&bed, "wrong", "carol:guess", "0600").await;
    set(&wrong).await;
    let error = tls.is_refused(&bed, "https_proxy_credentials_refused").await;
    assert_eq!(error.detail, format!("{} does not accept those of {}.", proxy.url, wrong.display()));
    // A connection takes the file's new content after a refusal, without being made anew.
    let client = bed.backend().await;
    let pending = tls.start(&client).await;
    refused(exchange(&client, &pending).await, "https_proxy_credentials_refused");
    file(&bed, "wrong", "carol:secret\n", "0600").await;
    exchange(&client, &pending).await.unwrap();

    for (name, content, mode, why) in [
        ("exposed", "carol:secret", "0644", "it has the mode 0644"),
        ("colonless", "carol", "0600", "it does not hold user:password and nothing else"),
        ("nameless", ":secret", "0600", "it does not hold user:password and nothing else"),
        ("lines", "carol:secret\ndave:secret\n", "0600", "it does not hold user:password and nothing else"),
    ] {
        let path = file(&bed, name, content, mode).await;
        set(&path).await;
        let error = tls.is_refused(&bed, "https_proxy_credentials_invalid").await;
        assert!(error.detail.starts_with(&format!("{}: {why}", path.display())), "{name}: {error}");
        assert!(!error.to_string().contains("secret"), "{name}: {error}");
    }
    set(&PathBuf::from("/nowhere")).await;
    tls.is_refused(&bed, "https_proxy_credentials_invalid").await;
    set(&bed.cluster.data_dir()).await;
    tls.is_refused(&bed, "https_proxy_credentials_invalid").await;
    assert!(!bed.log().contains("carol:") && !bed.log().contains(CREDENTIALS));
    // Whoever signs people in neither sees nor chooses them.
    let client = bed.backend().await;
    tls.start(&client).await;
    let sql = "set workos_auth.https_proxy = 'http://127.0.0.1:1'";
    refused_as(client.batch_execute(sql).await, "42501");
    let sql = "show workos_auth.https_proxy_credentials_file";
    refused_as(text(&client, sql).await, "42501");
}

#[tokio::test]
async fn what_is_wrong_with_a_proxy_is_said_and_the_code_stays_good() {
    let bed = Bed::shared("failing").await;
    let tls = Tls::before(&bed).await;
    let pending = tls.start(&bed.backend().await).await;
    let good = Proxy::start(Connects).await.url;
    for (manner, why) in [
        (Forbids, "it refused to connect to WorkOS, or its answer is no HTTP."),
        (TalksNonsense, "it refused to connect to WorkOS, or its answer is no HTTP."),
        (HangsUp, "unexpected end of file."),
        (Hangs, "no connection to WorkOS came about in time."),
    ] {
        let proxy = Proxy::start(manner).await;
        bed.set("workos_auth.https_proxy", &proxy.url).await;
        let client = bed.backend().await;
        let began = Instant::now();
        let error = refused(exchange(&client, &pending).await, "https_proxy_failed");
        assert_eq!(error.detail, format!("{}: {why}", proxy.url), "{manner:?}");
        // workos_auth.connect_timeout is 2 s.
        assert!(began.elapsed() < Duration::from_secs(2) + AT_ONCE, "{manner:?}: {:?}", began.elapsed());
    }
    // Nobody listens.
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    bed.set("workos_auth.https_proxy", &format!("http://127.0.0.1:{port}")).await;
    let error = refused(exchange(&bed.backend().await, &pending).await, "https_proxy_failed");
    assert!(error.detail.contains("Connection refused"), "{error}");
    for wrong in [
        "127.0.0.1:3128",
        "https://proxy.example:3128",
        "socks5://proxy.example",
        "http://u:p@proxy.example",
        "http://proxy.example/x",
        "nonsense",
    ] {
        bed.set("workos_auth.https_proxy", wrong).await;
        let error = refused(exchange(&bed.backend().await, &pending).await, "https_proxy_invalid");
        assert!(!error.to_string().contains("u:p"), "{error}");
    }
    assert_eq!(bed.token_requests().len(), 0);
    // What is wrong behind the proxy is not the proxy's fault.
    bed.set("workos_auth.https_proxy", &good).await;
    bed.set("workos_auth.ca_file", "").await;
    let error = refused(exchange(&bed.backend().await, &pending).await, "workos_unreachable");
    assert!(error.detail.contains("invalid peer certificate"), "{error}");
    bed.set("workos_auth.ca_file", tls.ca_file.to_str().unwrap()).await;
    exchange(&bed.backend().await, &pending).await.unwrap();
}

#[tokio::test]
async fn the_environment_of_the_server_names_no_proxy() {
    let nowhere = "http://127.0.0.1:1";
    let cluster =
        Cluster::start_in(&[("HTTPS_PROXY", nowhere), ("https_proxy", nowhere), ("ALL_PROXY", nowhere)], &[]).unwrap();
    let bed = Bed::new(&cluster, "environment").await;
    let tls = Tls::before(&bed).await;
    tls.sign_in(&bed.backend().await).await;
    // Nor does it name addresses that go past the one of the setting.
    let proxy = Proxy::start(Connects).await;
    bed.set("workos_auth.https_proxy", &proxy.url).await;
    tls.sign_in(&bed.backend().await).await;
    assert_eq!(proxy.take_heads().len(), 1);
}

/// How long a process has been on a CPU (`proc(5)`, schedstat): what others do on the machine is not in it.
fn cpu_time(pid: i32) -> Duration {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    Duration::from_nanos(text.split(' ').next().unwrap().parse().unwrap())
}

/// The medians of what exchanges of one connection cost its backend: the first, the second, and the first with another HTTP client, for
/// which everything but HTTP and TLS has been done before.
async fn exchanges(bed: &Bed<'_>, tls: &Tls) -> [Duration; 3] {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..15 {
        let client = bed.superuser().await;
        let pid = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
        for (at, times) in times.iter_mut().enumerate() {
            if at == 2 {
                // A client is made with it.
                client.batch_execute("set workos_auth.connect_timeout = '2900ms'").await.unwrap();
            }
            let pending = tls.start(&client).await;
            let before = cpu_time(pid);
            exchange(&client, &pending).await.unwrap();
            times.push(cpu_time(pid) - before);
        }
    }
    times.map(|mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    })
}

#[tokio::test]
async fn the_systems_bundle_of_authorities_costs_a_connection_little() {
    let bed = Bed::shared("bundle").await;
    let tls = Tls::before(&bed).await;
    let one = exchanges(&bed, &tls).await;
    let all = tls.ca_file.with_file_name("https_bundle_all.pem");
    let bundle = "/etc/ssl/certs/ca-certificates.crt";
    shell(&bed.admin, &format!("cat {} {bundle} > {}", tls.ca_file.display(), all.display())).await;
    bed.set("workos_auth.ca_file", all.to_str().unwrap()).await;
    let all = exchanges(&bed, &tls).await;
    eprintln!(
        "CPU of a connection's first exchange, its second, and one with another HTTP client: {one:?} with one authority, {all:?} with the system's"
    );
    // It takes about one millisecond.
    assert!(all[0] < one[0] + Duration::from_millis(20), "{all:?} against {one:?}");
    // And what a client takes is a small part of a first exchange.
    assert!(all[2] < all[1] + Duration::from_millis(20), "{all:?}");
}
