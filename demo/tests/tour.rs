//! The demo as it is run: to its end, until Ctrl-C, and where it cannot start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use reqwest::redirect::Policy;
use url::Url;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the tour promises, in its order.
const PROMISES: &[&str] = &[
    "1 of 9: Set up",
    "create extension workos_auth;",
    "sealed_bytes",
    "2 of 9:",
    "create policy",
    "3 of 9: Alice of Acme",
    "/sso/authorize?",
    "select * from auth.exchange_code($1, $2, $3);",
    "org_id         | \"org_acme\"",
    "4 of 9: Bob of Globex",
    "organization_id | org_globex",
    "5 of 9:",
    "1 | org_acme     | Order new anvils",
    "3 | org_globex   | Paint the logo",
    "ERROR:  42501",
    "(0 rows)",
    "6 of 9:",
    "ERROR:  WA504",
    "bad_jwt_signature",
    "7 of 9:",
    "2 | org_acme     | Test the rocket skates",
    "ERROR:  WA509",
    "8 of 9: Supabase's client",
    "create role gateway login;",
    "  issuer: http://127.0.0.1:",
    "in which a click signs you in:",
    "9 of 9:",
    "Everything has been removed",
];

/// A demo whose clusters are in a directory of the test's own.
fn demo(test: &str) -> (Command, PathBuf) {
    let dir = std::env::temp_dir().join(format!("tour-{test}-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    // The server may run as another user.
    fs::set_permissions(&dir, Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_workos_demo"));
    command.env("TMPDIR", &dir).env_remove("KEEP").stdin(Stdio::null());
    (command, dir)
}

#[test]
fn it_tells_everything_and_leaves_nothing() {
    let (mut command, dir) = demo("whole");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut rest = text.as_str();
    for promise in PROMISES {
        let (_, after) =
            rest.split_once(promise).unwrap_or_else(|| panic!("{promise} is missing, or out of order:\n{text}"));
        rest = after;
    }
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "a line of more than 100 columns: {line}");
    }
    assert!(!text.contains('\x1b'), "colours in a file:\n{text}");
    fs::remove_dir(dir).expect("the cluster's directory was left over");
}

/// The demo with KEEP=1, once it has said everything, and what it has said.
fn kept(test: &str) -> (Child, BufReader<ChildStdout>, String, PathBuf) {
    let (mut command, dir) = demo(test);
    let mut child = command.env("KEEP", "1").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    // Ends with the process too.
    while !text.contains("Ctrl-C here") && lines.read_line(&mut text).unwrap() > 0 {}
    assert!(text.contains("Ctrl-C here"), "{text}");
    (child, lines, text, dir)
}

/// The indented line that follows `sentence`.
fn block_after<'a>(text: &'a str, sentence: &str) -> &'a str {
    let (_, rest) = text.split_once(sentence).unwrap_or_else(|| panic!("{sentence} is missing:\n{text}"));
    rest.lines().nth(2).unwrap().trim()
}

fn fact<'a>(text: &'a str, name: &str) -> &'a str {
    let line = text.lines().rev().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix("  "));
    line.unwrap_or_else(|| panic!("{name} is missing:\n{text}")).trim()
}

fn address(url: &str) -> SocketAddr {
    Url::parse(url).unwrap().socket_addrs(|| None).unwrap()[0]
}

/// A sign-in as Supabase's client and a browser do it; the access token.
async fn sign_in(http: &reqwest::Client, gateway: &str, page: &str, person: &str) -> String {
    // RFC 7636, appendix B.
    let (verifier, challenge) =
        ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    let query = [
        ("provider", "workos"),
        ("organization", "org_acme"),
        ("redirect_to", &format!("{page}/")),
        ("code_challenge", challenge),
        ("code_challenge_method", "s256"),
    ];
    let start = Url::parse_with_params(&format!("{gateway}/authorize"), query).unwrap();
    let login = location(http.get(start).send().await.unwrap());
    let form = [("request", login.query().unwrap()), ("profile", person)];
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let click = http.post(login.join("/sso/authorize/continue").unwrap());
    let click = click.header("content-type", "application/x-www-form-urlencoded").body(form);
    let back = location(click.send().await.unwrap());
    assert!(back.as_str().starts_with(&format!("{gateway}/callback?")), "{back}");
    let home = location(http.get(back).send().await.unwrap());
    assert!(home.as_str().starts_with(&format!("{page}/?")), "{home}");
    let code = home.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let body = serde_json::json!({ "auth_code": code, "code_verifier": verifier });
    let answer = http.post(format!("{gateway}/token?grant_type=pkce")).json(&body).send().await.unwrap();
    let session: serde_json::Value = answer.error_for_status().unwrap().json().await.unwrap();
    session["access_token"].as_str().unwrap().to_owned()
}

fn location(answer: reqwest::Response) -> Url {
    let url = answer.headers().get("location").unwrap_or_else(|| panic!("no redirect: {answer:?}")).to_str().unwrap();
    answer.url().join(url).unwrap()
}

#[tokio::test]
async fn it_stays_with_keep_and_ends_with_ctrl_c() {
    let (mut child, mut lines, mut text, dir) = kept("keep");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "a line of more than 100 columns: {line}");
    }
    let (page, gateway) = (block_after(&text, "Open this in a browser"), fact(&text, "gateway"));
    let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).redirect(Policy::none()).build().unwrap();
    let html = http.get(page).send().await.unwrap().error_for_status().unwrap().text().await.unwrap();
    assert!(html.contains("Sign in with SSO"), "{html}");
    let token = sign_in(&http, gateway, page, "prof_alice").await;
    let todos = http.get(format!("{page}/todos"));
    assert_eq!(todos.try_clone().unwrap().send().await.unwrap().status(), 401);
    let rows: serde_json::Value = todos.bearer_auth(token).send().await.unwrap().json().await.unwrap();
    let titles: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["Order new anvils", "Test the rocket skates"]);

    // What is said to be pasted into psql, pasted.
    let psql = text.lines().find(|line| line.contains("-U app")).unwrap().trim();
    let (_, snippet) = text.split_once("to be pasted into the second psql:").unwrap();
    let (snippet, _) = snippet.split_once("Ctrl-C here").unwrap();
    let bin = Command::new(std::env::var("PG_CONFIG").unwrap_or("pg_config".into())).arg("--bindir").output().unwrap();
    let bin = String::from_utf8(bin.stdout).unwrap();
    let script = format!("PATH={}:$PATH; {psql} -X -v ON_ERROR_STOP=1 <<'SQL'\n{snippet}\nSQL", bin.trim());
    let output = Command::new("/bin/sh").args(["-c", &script]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("alice@acme.com") && said.contains("Order new anvils"), "{said}");

    let programs = [address(page), address(gateway)];
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    lines.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.trim_end().ends_with("Everything has been removed."), "{text}");
    for program in programs {
        assert!(TcpStream::connect(program).is_err(), "{program} still answers");
    }
    fs::remove_dir(dir).expect("the cluster's directory was left over");
}

#[test]
fn the_death_of_the_gateway_is_told() {
    let (mut child, mut lines, mut text, dir) = kept("death");
    let page = address(block_after(&text, "Open this in a browser"));
    let ours = format!("PPid:\t{}", child.id());
    let gateway = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()).find(|process| {
        let read = |file: &str| fs::read_to_string(process.path().join(file)).unwrap_or_default();
        read("status").lines().any(|line| line == ours) && read("cmdline").contains("workos-auth-gateway")
    });
    let pid = gateway.expect("no gateway").file_name();
    assert!(Command::new("kill").arg("-KILL").arg(pid).status().unwrap().success());
    lines.read_to_string(&mut text).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{errors}");
    for part in ["the gateway has ended (signal: 9", "its log ends with:", "\"listening\""] {
        assert!(errors.contains(part), "{part} is missing:\n{errors}");
    }
    assert!(TcpStream::connect(page).is_err(), "the page still answers");
    fs::remove_dir(dir).expect("the cluster's directory was left over");
}

#[test]
fn a_machine_without_postgres_is_told_what_to_do() {
    let (mut command, dir) = demo("none");
    let output = command.env("PG_CONFIG", "/nonexistent/pg_config").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for part in ["FAILED: ", "/nonexistent/pg_config", "Try next: make setup"] {
        assert!(errors.contains(part), "{part} is missing:\n{errors}");
    }
    fs::remove_dir(dir).unwrap();
}

/// A package has no page, and no `make`.
#[test]
fn without_a_checkout_it_speaks_of_packages() {
    let (mut command, dir) = demo("package");
    let output = command.env_remove("WORKOS_DEMO_PAGE").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    for part in ["is left out: it is in the source", "man workos-auth-gateway", "KEEP=1 workos-auth-demo"] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    assert!(!text.contains("make test"), "{text}");
    fs::remove_dir(dir).expect("the cluster's directory was left over");
}

#[test]
fn without_a_checkout_a_machine_without_postgres_is_told_which_package() {
    let (mut command, dir) = demo("no-package");
    let output = command.env_remove("WORKOS_DEMO_PAGE").env("PG_CONFIG", "/nonexistent/pg_config").output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("Try next: apt-get install postgresql-15-workos-auth"), "{errors}");
    fs::remove_dir(dir).unwrap();
}

/// Alone, as where only the simulator's package is installed.
#[test]
fn without_the_gateway_its_package_is_named() {
    let (_, dir) = demo("no-gateway");
    let alone = dir.join("workos-auth-demo");
    fs::copy(env!("CARGO_BIN_EXE_workos_demo"), &alone).unwrap();
    let output = Command::new(&alone).env("TMPDIR", &dir).env_remove("KEEP").stdin(Stdio::null()).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("Try next: apt-get install workos-auth-gateway"), "{errors}");
    fs::remove_file(alone).unwrap();
    fs::remove_dir(dir).expect("the cluster's directory was left over");
}
