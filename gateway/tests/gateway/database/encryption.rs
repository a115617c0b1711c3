//! TLS between the gateway and the database: whom each `sslmode` believes, and what is said of whom it does not.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::json;
use tempfile::TempDir;
use workos_end_to_end::{ALICE, Bed};
use workos_testbed::Cluster;

use crate::common::{Program, eventually, ok, send, set_up, told};

const PASSWORD: &str = "hunter2 of the database";

/// Who vouches for others.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key, as PEM.
struct Pair {
    certificate: String,
    key: String,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), certificate }
    }

    fn issue(&self, common_name: &str, host: &str, until: i32) -> Pair {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.signed_by(&key, &self.issuer).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A cluster that takes roles over TLS alone, but for the superuser, and a database in it.
struct Guarded<'a> {
    cluster: &'a Cluster,
    bed: Bed<'a>,
    role: String,
    authority: Authority,
    files: TempDir,
}

impl<'a> Guarded<'a> {
    /// `rule` is a line of `pg_hba.conf` for the gateway's role.
    async fn on(cluster: &'a Cluster, database: &str, rule: &str) -> Self {
        let bed = Bed::new(cluster, database).await;
        let role = set_up(&bed).await;
        bed.admin.batch_execute(&format!("alter role {role} password '{PASSWORD}'")).await.unwrap();
        let rules = format!("host all postgres 127.0.0.1/32 trust\n{rule}\n");
        fs::write(cluster.data_dir().join("pg_hba.conf"), rules).unwrap();
        let files = tempfile::tempdir().unwrap();
        let server = Self { cluster, bed, role, authority: Authority::new("the database's"), files };
        server.present(&server.authority.issue("server", "127.0.0.1", 2100)).await;
        server
    }

    /// The certificate of the server from here on.
    async fn present(&self, pair: &Pair) {
        let data = self.cluster.data_dir();
        let owner = fs::metadata(&data).unwrap();
        for (name, text) in
            [("server.crt", &pair.certificate), ("server.key", &pair.key), ("clients.crt", &self.authority.certificate)]
        {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
        }
        self.cluster.append_conf("ssl = on\nssl_ca_file = 'clients.crt'").unwrap();
        self.cluster.reload().await.unwrap();
    }

    /// A file of the gateway's.
    fn file(&self, name: &str, text: &str) -> String {
        let path: PathBuf = self.files.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn url(&self, host: &str, settings: &str) -> String {
        let password = PASSWORD.replace(' ', "%20");
        let (role, port, database) = (&self.role, self.cluster.port(), &self.bed.database);
        format!("postgres://{role}:{password}@{host}:{port}/{database}?{settings}")
    }

    async fn gateway(&self, settings: &str, flags: &[&str]) -> Program {
        self.gateway_at("127.0.0.1", settings, flags).await
    }

    async fn gateway_at(&self, host: &str, settings: &str, flags: &[&str]) -> Program {
        Program::start_in(&self.bed, &[("DATABASE_URL", &self.url(host, settings))], flags).await
    }

    /// What the log of a gateway with these settings says that cannot reach the database; `None` where it can.
    async fn refusal(&self, settings: &str) -> Option<String> {
        let gateway = self.gateway(settings, &[]).await;
        let answer = send(gateway.get("/ready")).await;
        if answer.status() == 200 {
            return None;
        }
        assert_eq!(told(answer).await, (503, "unexpected_failure".into()), "{settings}");
        gateway.says("\"endpoint\":\"/ready\"").await;
        let log = gateway.log();
        assert!(!log.contains("hunter2"), "{log}");
        Some(log)
    }

    /// How many connections the gateway's role has, and how many of them are encrypted.
    async fn connections(&self) -> (i64, i64) {
        let sql = "select count(*), count(*) filter (where ssl) from pg_stat_activity join pg_stat_ssl using (pid) where usename = $1";
        let row = self.bed.admin.query_one(sql, &[&self.role]).await.unwrap();
        (row.get(0), row.get(1))
    }
}

const TLS_ALONE: &str = "hostssl all all 127.0.0.1/32 scram-sha-256";

#[tokio::test]
async fn each_sslmode_believes_as_much_as_it_says() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "modes", TLS_ALONE).await;
    let foreign = Authority::new("somebody's");
    let trusted = format!("&sslrootcert={}", server.file("root.crt", &server.authority.certificate));
    // What a server shows, and from which mode on it is refused with which words.
    let shown = [
        ("the right one", server.authority.issue("server", "127.0.0.1", 2100), None),
        (
            "another host's",
            server.authority.issue("server", "db.example.com", 2100),
            Some(("verify-full", "not valid for")),
        ),
        ("an expired one", server.authority.issue("server", "127.0.0.1", 2020), Some(("verify-ca", "expired"))),
        ("a foreign one", foreign.issue("server", "127.0.0.1", 2100), Some(("verify-ca", "UnknownIssuer"))),
    ];
    for (what, pair, refused) in shown {
        server.present(&pair).await;
        for (mode, settings) in [
            ("prefer", "sslmode=prefer".to_owned()),
            ("require", "sslmode=require".to_owned()),
            ("verify-ca", format!("sslmode=verify-ca{trusted}")),
            // As libpq has it.
            ("verify-ca", format!("sslmode=require{trusted}")),
            ("verify-full", format!("sslmode=verify-full{trusted}")),
        ] {
            let found = server.refusal(&settings).await;
            // In their order as words, too.
            match refused {
                Some((from, words)) if mode >= from => {
                    let found = found.unwrap_or_else(|| panic!("{what} is believed with {settings}"));
                    assert!(found.contains(words), "{what} with {settings}: {found}");
                }
                _ => assert_eq!(found, None, "{what} with {settings}"),
            }
        }
        let found = server.refusal("sslmode=disable").await.unwrap();
        assert!(found.contains("28000") && found.contains("no pg_hba.conf entry"), "{what}: {found}");
    }
}

#[tokio::test]
async fn a_certificate_that_vouches_for_itself_is_trusted_where_it_is_the_one_of_the_file() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "own", TLS_ALONE).await;
    // As `openssl req -x509` makes it, which Postgres's documentation recommends.
    let own = |host: &str, until: i32| {
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_after = rcgen::date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        Pair { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
    };
    for (pair, mode, refused) in [
        (own("127.0.0.1", 2100), "verify-full", None),
        (own("db.example.com", 2100), "verify-ca", None),
        (own("db.example.com", 2100), "verify-full", Some("not valid for")),
        (own("127.0.0.1", 2020), "verify-ca", Some("expired")),
    ] {
        server.present(&pair).await;
        let of_file = format!("sslmode={mode}&sslrootcert={}", server.file("own.crt", &pair.certificate));
        let found = server.refusal(&of_file).await;
        assert_eq!(found.is_some(), refused.is_some(), "{mode}: {found:?}");
        assert!(refused.is_none_or(|words| found.as_ref().unwrap().contains(words)), "{mode}: {found:?}");
        let of_another =
            format!("sslmode={mode}&sslrootcert={}", server.file("other.crt", &own("127.0.0.1", 2100).certificate));
        assert!(server.refusal(&of_another).await.is_some(), "{mode}");
    }
}

#[tokio::test]
async fn over_tls_a_sign_in_is_served_and_a_slow_statement_cancelled() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "served", TLS_ALONE).await;
    let roots = server.file("root.crt", &server.authority.certificate);
    let settings = format!("sslmode=verify-full&sslrootcert={roots}&channel_binding=require");
    let gateway = server.gateway(&settings, &["--request-timeout", "2"]).await;
    let session = gateway.sign_in(ALICE).await;
    let session = ok(gateway.refresh(&session["refresh_token"]).await).await;
    let (all, encrypted) = server.connections().await;
    assert!(all > 0 && all == encrypted, "{encrypted} of {all}");
    assert!(!gateway.log().contains("in clear"), "{}", gateway.log());

    let holder = server.bed.superuser().await;
    holder.batch_execute("begin; lock table auth.sessions").await.unwrap();
    assert_eq!(told(gateway.refresh(&session["refresh_token"]).await).await, (504, "request_timeout".into()));
    let sql = "select count(*) from pg_stat_activity where usename = $1 and state <> 'idle'";
    let admin = &server.bed.admin;
    eventually("nothing runs", async || admin.query_one(sql, &[&server.role]).await.unwrap().get::<_, i64>(0) == 0)
        .await;
    holder.batch_execute("rollback").await.unwrap();
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}

#[tokio::test]
async fn a_certificate_of_the_gateways_own_is_shown_where_the_server_asks_for_one() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "client", "hostssl all all 127.0.0.1/32 cert").await;
    let roots = format!("sslmode=verify-full&sslrootcert={}", server.file("root.crt", &server.authority.certificate));
    let shown = |name: &str, pair: &Pair| {
        let certificate = server.file(&format!("{name}.crt"), &pair.certificate);
        format!("{roots}&sslcert={certificate}&sslkey={}", server.file(&format!("{name}.key"), &pair.key))
    };
    let right = server.authority.issue(&server.role, "gateway.example.com", 2100);
    assert_eq!(server.refusal(&shown("right", &right)).await, None);
    assert!(server.refusal(&roots).await.unwrap().contains("28000"));
    for (what, pair) in [
        ("another role's", server.authority.issue("postgres", "gateway.example.com", 2100)),
        ("an expired one", server.authority.issue(&server.role, "gateway.example.com", 2020)),
        ("a foreign one", Authority::new("somebody's").issue(&server.role, "gateway.example.com", 2100)),
    ] {
        assert!(server.refusal(&shown("wrong", &pair)).await.is_some(), "{what}");
    }
}

#[tokio::test]
async fn prefer_does_without_where_the_server_has_no_tls_or_takes_nobody_over_it() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "prefer", "hostnossl all all 127.0.0.1/32 scram-sha-256").await;
    assert_eq!(server.refusal("sslmode=prefer").await, None);
    assert!(server.refusal("sslmode=require").await.unwrap().contains("no pg_hba.conf entry"));
    // Binding to a channel that is none.
    assert!(server.refusal("sslmode=disable&channel_binding=require").await.is_some());
    server.cluster.append_conf("ssl = off").unwrap();
    server.cluster.reload().await.unwrap();
    assert_eq!(server.refusal("sslmode=prefer").await, None);
    assert_eq!(server.refusal("").await, None);
    assert!(server.refusal("sslmode=require").await.unwrap().contains("server does not support TLS"));
}

#[tokio::test]
async fn what_goes_to_another_host_in_clear_is_told_once() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "clear", "host all all 127.0.0.1/32 scram-sha-256").await;
    let told = |gateway: &Program| gateway.log().lines().filter(|line| line.contains("in clear")).count();
    // An address of this machine that is not a loopback one.
    for (host, settings, times) in [
        ("0.0.0.0", "sslmode=disable", 1),
        ("0.0.0.0", "sslmode=require", 0),
        ("0.0.0.0", "sslmode=prefer", 0),
        ("127.0.0.1", "sslmode=disable", 0),
        ("localhost", "sslmode=disable&hostaddr=127.0.0.1", 0),
    ] {
        let gateway = server.gateway_at(host, settings, &[]).await;
        let session = gateway.sign_in(ALICE).await;
        let mut running = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let body = json!({ "refresh_token": session["refresh_token"] });
            running.spawn(send(gateway.post(crate::common::REFRESH, &body)));
        }
        for answer in running.join_all().await {
            ok(answer).await;
        }
        assert!(server.connections().await.0 > 1, "{host} {settings}");
        // After the lines of all that.
        gateway.get("/settings").send().await.unwrap();
        gateway.says("\"endpoint\":\"/settings\"").await;
        assert_eq!(told(&gateway), times, "{host} {settings}: {}", gateway.log());
        drop(gateway);
        eventually("its connections are gone", async || server.connections().await.0 == 0).await;
    }
}

#[tokio::test]
async fn libpqs_environment_and_password_file_say_where_the_database_is() {
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "environment", TLS_ALONE).await;
    let (port, roots) = (server.cluster.port().to_string(), server.file("root.crt", &server.authority.certificate));
    let passwords = format!("127.0.0.1:{port}:{}:{}:{PASSWORD}\n", server.bed.database, server.role);
    let passwords = server.file("passwords", &passwords);
    let variables = [
        ("PGHOST", "127.0.0.1"),
        ("PGPORT", &port),
        ("PGDATABASE", &server.bed.database),
        ("PGUSER", &server.role),
        ("PGPASSFILE", &passwords),
        ("PGSSLMODE", "verify-full"),
        ("PGSSLROOTCERT", &roots),
        ("PGTARGETSESSIONATTRS", "read-write"),
    ];
    let gateway = Program::start_in(&server.bed, &variables, &[]).await;
    let session = gateway.sign_in(ALICE).await;
    ok(gateway.user(&session).await).await;
    let (all, encrypted) = server.connections().await;
    assert!(all > 0 && all == encrypted, "{encrypted} of {all}");
    drop(gateway);

    // libpq's rule for it.
    fs::set_permissions(&passwords, Permissions::from_mode(0o644)).unwrap();
    let gateway = Program::start_in(&server.bed, &variables, &[]).await;
    assert_eq!(told(send(gateway.get("/ready")).await).await, (503, "unexpected_failure".into()));
    gateway.says("the password file can be read by others, and is not used").await;
    gateway.says("password missing").await;
    // A file of the gateway's own goes before.
    let own = server.file("own", &format!("{PASSWORD}\n"));
    let gateway = Program::start_in(&server.bed, &variables, &["--database-password-file", &own]).await;
    assert_eq!(send(gateway.get("/ready")).await.status(), 200);
}

#[tokio::test]
async fn a_server_that_says_nothing_at_the_handshake_is_left_in_time() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let cluster = Cluster::start().unwrap();
    let server = Guarded::on(&cluster, "silent", TLS_ALONE).await;
    let url = format!("postgres://gateway@127.0.0.1:{port}/app?sslmode=require");
    let gateway = Program::start_in(&server.bed, &[("DATABASE_URL", &url)], &["--pool-timeout", "1"]).await;
    let began = std::time::Instant::now();
    assert_eq!(told(send(gateway.get("/ready")).await).await, (503, "unexpected_failure".into()));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    drop(listener);
}
