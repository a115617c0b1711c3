#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::*;

fn read(url: Option<&str>, variables: &[(&str, &str)]) -> Result<Servers, ServersError> {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let flags = Flags { url, password_file: None, connect_timeout: Duration::from_secs(3) };
    Servers::read(&flags, &environment)
}

/// Names, user, database and password of each server.
fn said(servers: &Servers) -> Vec<String> {
    let one = |server: &Server| {
        let config = &server.config;
        let password = String::from_utf8_lossy(config.get_password().unwrap_or_default()).into_owned();
        format!(
            "{} {} {} {password}",
            server.name,
            config.get_user().unwrap_or_default(),
            config.get_dbname().unwrap_or_default()
        )
    };
    servers.all.iter().map(one).collect()
}

#[test]
fn a_url_and_keywords_and_the_environment_say_the_same() {
    let variables = [
        ("PGHOST", "one,two"),
        ("PGPORT", "6432,6433"),
        ("PGDATABASE", "app"),
        ("PGUSER", "gateway"),
        ("PGPASSWORD", "p w'\\@/"),
        ("PGSSLMODE", "require"),
        ("PGTARGETSESSIONATTRS", "read-write"),
        ("PGLOADBALANCEHOSTS", "random"),
        ("PGCHANNELBINDING", "require"),
        ("PGSSLNEGOTIATION", "direct"),
        ("PGAPPNAME", "mine"),
        ("PGCONNECT_TIMEOUT", "7"),
        ("PGOPTIONS", "-c x=y"),
    ];
    let settings = "sslmode=require target_session_attrs=read-write load_balance_hosts=random channel_binding=require \
        sslnegotiation=direct application_name=mine connect_timeout=7 options='-c x=y'";
    let keywords =
        format!("host=one,two port = 6432,6433 dbname=app user='gateway' password='p w\\'\\\\@/' {settings}");
    let url = format!(
        "postgresql://gateway:p%20w'%5C%40%2F@one:6432,two:6433/app?{}",
        settings.replace("='-c x=y'", "=-c%20x%3Dy").replace(' ', "&").replace("&&&&&&&&", "")
    );
    for servers in [read(None, &variables), read(Some(&keywords), &[]), read(Some(&url), &[])] {
        let servers = servers.unwrap();
        assert_eq!(said(&servers), ["one:6432 gateway app p w'\\@/", "two:6433 gateway app p w'\\@/"]);
        assert_eq!((servers.encryption.mode, servers.encryption.is_direct), (Mode::Require, true));
        assert_eq!((servers.wanted, servers.is_random), (Wanted::ReadWrite, true));
        for server in &servers.all {
            assert_eq!(server.config.get_channel_binding(), ChannelBinding::Require);
            assert_eq!(server.config.get_ssl_negotiation(), SslNegotiation::Direct);
            assert_eq!(server.config.get_ssl_mode(), SslMode::Require);
            assert_eq!(server.config.get_application_name(), Some("mine"));
            assert_eq!(server.config.get_connect_timeout(), Some(&Duration::from_secs(7)));
            assert_eq!(server.config.get_options(), Some("-c x=y"));
        }
    }
}

#[test]
fn the_environment_fills_what_a_url_leaves_out() {
    let variables = [
        ("PGHOST", "elsewhere"),
        ("PGPORT", "6432"),
        ("PGDATABASE", "other"),
        ("PGUSER", "other"),
        ("PGPASSWORD", "secret"),
        ("PGSSLMODE", "disable"),
    ];
    for (url, expected, mode) in [
        ("postgres://gateway@db/app", "db:6432 gateway app secret", Mode::Disable),
        ("postgres://gateway:own@db:5432/app?sslmode=prefer", "db:5432 gateway app own", Mode::Prefer),
        ("postgres:///app", "elsewhere:6432 other app secret", Mode::Disable),
        ("postgres://[::1]/", "::1:6432 other other secret", Mode::Disable),
        ("postgres://[::1]:7/", "::1:7 other other secret", Mode::Disable),
        ("host=/run/pg user=gateway", "/run/pg:6432 gateway other secret", Mode::Disable),
        ("", "elsewhere:6432 other other secret", Mode::Disable),
    ] {
        let servers = read(Some(url), &variables).unwrap();
        assert_eq!((said(&servers), servers.encryption.mode), (vec![expected.to_owned()], mode), "{url}");
    }
    // With nothing at all: libpq's defaults, and TLS where the server has it.
    let servers = read(Some("postgres://gateway@db"), &[]).unwrap();
    assert_eq!((said(&servers), servers.encryption.mode), (vec!["db:5432 gateway gateway ".to_owned()], Mode::Prefer));
    assert_eq!(servers.all[0].config.get_application_name(), Some("workos_auth_gateway"));
    assert_eq!(servers.wanted, Wanted::Any);
}

#[test]
fn what_is_wrong_is_named_and_no_secret_shown() {
    let named = |url: &str, variables: &[(&str, &str)]| {
        let Err(error) = read(Some(url), variables) else { panic!("it is taken: {url} {variables:?}") };
        let text = error.to_string();
        assert!(!text.contains("hunter2") && !text.contains("hunter"), "{url}: {text}");
        text
    };
    for (url, words) in [
        ("mysql://gateway:hunter2@db/app", "another scheme than postgres://"),
        ("https://api.example.com", "another scheme than postgres://"),
        ("gateway:hunter2@db/app", "neither postgres://USER@HOST:PORT/DATABASE nor libpq's keywords"),
        ("host=db password='hunter2", "neither postgres://"),
        ("host=db password=my hunter2", "neither postgres://"),
        ("host=db password=my hunter2=x", "parameter 3 has a name that libpq does not know"),
        ("postgres://gateway:hunter@2@db/app", "write it as %40"),
        ("postgres://gateway:hunter2@db/app?pgbouncer=true", "parameter 1 has a name that libpq does not know"),
        ("postgres://gateway:hunter2@db/app?sslmode", "parameter 1 has a name"),
        ("postgres://gateway:hunter2@db/app?sslmode=require&schema=x", "parameter 2 has a name"),
        ("postgres://gateway:hunter2@db/app?service=x", "service is not supported"),
        ("postgres://gateway:hunter2@db/app?sslcrl=x", "sslcrl is not supported"),
        ("postgres://gateway:hunter2@db:port/app", "port cannot be used"),
        ("postgres://gateway:hunter2@db:70000/app", "port cannot be used"),
        ("postgres://gateway:hunter2@db/app?connect_timeout=x", "connect_timeout cannot be used"),
        ("postgres://gateway:hunter2@db/app?hostaddr=x", "hostaddr cannot be used"),
        ("postgres://gateway:hunter2@a,b/app?port=1,2,3", "2 hosts and 5 ports"),
        ("host=a,b,c port=1,2", "3 hosts and 2 ports"),
        ("host=a,b hostaddr=127.0.0.1", "2 hosts and 1 hostaddrs"),
        (
            "postgres://gateway:hunter2@db/app?sslmode=allow",
            "sslmode takes one of: disable, prefer, require, verify-ca",
        ),
        (
            "postgres://gateway:hunter2@db/app?sslmode=verify-full",
            "sslmode=verify-full needs the certificates to trust",
        ),
        ("postgres://gateway:hunter2@db/app?sslmode=verify-ca", "sslmode=verify-ca needs the certificates to trust"),
        ("postgres://gateway:hunter2@db/app?sslmode=require&sslrootcert=system", "sslmode=verify-full"),
        ("postgres://gateway:hunter2@db/app?sslcert=/x", "sslcert needs sslkey"),
        ("postgres://gateway:hunter2@db/app?sslkey=/x", "sslkey needs sslcert"),
        ("postgres://gateway:hunter2@db/app?sslcert=/x&sslkey=/nowhere/key", "/nowhere/key cannot be read"),
        ("postgres://gateway:hunter2@db/app?sslnegotiation=direct", "sslnegotiation=direct needs sslmode=require"),
        ("postgres://gateway:hunter2@db/app?sslnegotiation=x", "sslnegotiation takes one of"),
        ("postgres://gateway:hunter2@db/app?channel_binding=x", "channel_binding takes one of"),
        ("postgres://gateway:hunter2@db/app?load_balance_hosts=x", "load_balance_hosts takes one of"),
        ("postgres://gateway:hunter2@db/app?target_session_attrs=master", "target_session_attrs takes one of: any"),
        ("postgres:///app?user=gateway&password=hunter2", "no database is named: --database-url, or PGHOST"),
        ("", "no database is named"),
    ] {
        let text = named(url, &[]);
        assert!(text.contains(words), "{url}: {text}");
    }
    for (name, value, words) in [
        ("PGPORT", "x", "PGPORT cannot be used"),
        ("PGHOSTADDR", "x", "PGHOSTADDR cannot be used"),
        ("PGCONNECT_TIMEOUT", "x", "PGCONNECT_TIMEOUT cannot be used"),
        ("PGSERVICE", "x", "PGSERVICE is not supported"),
        ("PGREQUIREAUTH", "scram-sha-256", "PGREQUIREAUTH is not supported"),
    ] {
        let host = if name == "PGHOSTADDR" { "dbname=app" } else { "host=db" };
        let text = named(host, &[(name, value)]);
        assert!(text.contains(words), "{name}: {text}");
    }
}

#[test]
fn require_with_certificates_to_trust_looks_at_them_as_libpq_does() {
    for (settings, mode) in [
        ("sslmode=require sslrootcert=/x", Mode::VerifyCa),
        ("sslmode=require", Mode::Require),
        ("sslmode=prefer sslrootcert=/x", Mode::Prefer),
        ("sslrootcert=system", Mode::VerifyFull),
        ("ssl=true", Mode::Require),
    ] {
        assert_eq!(read(Some(&format!("host=db {settings}")), &[]).unwrap().encryption.mode, mode, "{settings}");
    }
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join(".postgresql")).unwrap();
    fs::write(home.path().join(".postgresql/root.crt"), "").unwrap();
    let home = home.path().to_str().unwrap();
    let encryption = read(Some("host=db sslmode=require"), &[("HOME", home)]).unwrap().encryption;
    assert_eq!(encryption.mode, Mode::VerifyCa);
    assert_eq!(encryption.roots, Roots::File(Path::new(home).join(".postgresql/root.crt")));
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key");
    fs::write(&key, "").unwrap();
    let url = format!("host=db sslcert=/x sslkey={}", key.display());
    for (mode, is_taken) in [(0o600, true), (0o400, true), (0o644, false), (0o666, false), (0o604, false)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        assert_eq!(read(Some(&url), &[]).is_ok(), is_taken, "{mode:o}");
    }
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    assert!(read(Some(&format!("{url} sslmode=disable")), &[]).is_ok());
}

#[test]
fn a_password_comes_from_the_first_place_that_has_one() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join(".pgpass");
    fs::write(&file, "one:*:app:gateway:of-one\nlocalhost:*:*:*:of-socket\n*:*:*:*:of-all\n").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
    let home = ("HOME", home.path().to_str().unwrap());
    let password = |url: &str, variables: &[(&str, &str)]| {
        let servers = read(Some(url), variables).unwrap();
        said(&servers).into_iter().map(|server| server.rsplit(' ').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(password("postgres://gateway@one,two/app", &[home]), ["of-one", "of-all"]);
    assert_eq!(password("postgres://gateway:own@one/app", &[home]), ["own"]);
    assert_eq!(password("postgres://gateway@one/app", &[home, ("PGPASSWORD", "variable")]), ["variable"]);
    assert_eq!(password("host=/var/run/postgresql user=gateway", &[home]), ["of-socket"]);
    let elsewhere = ("PGPASSFILE", file.to_str().unwrap());
    assert_eq!(password("postgres://gateway@one/app", &[elsewhere]), ["of-one"]);
    assert_eq!(password("postgres://gateway@one/app", &[home, ("PGPASSFILE", "/nowhere")]), [""]);
    // libpq's rule: others must not be able to read it.
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        assert_eq!(password("postgres://gateway@one/app", &[home]), [""], "{mode:o}");
    }
}

#[test]
fn what_stays_on_the_machine_is_known() {
    for (url, is_local) in [
        ("host=localhost", true),
        ("host=127.0.0.9", true),
        ("host=::1", true),
        ("host=::ffff:127.0.0.1", true),
        ("host=/run/postgresql", true),
        ("host=db.localhost", true),
        ("hostaddr=127.0.0.1", true),
        ("host=db.example.com hostaddr=127.0.0.1", true),
        ("host=localhost hostaddr=192.0.2.1", false),
        ("host=db.example.com", false),
        ("host=10.0.0.1", false),
        ("host=0.0.0.0", false),
    ] {
        assert_eq!(read(Some(url), &[]).unwrap().all[0].is_local, is_local, "{url}");
    }
    // Postgres has no TLS over a socket.
    let socket = read(Some("host=/run/postgresql sslmode=require"), &[]).unwrap();
    assert_eq!(socket.all[0].config.get_ssl_mode(), SslMode::Disable);
}
