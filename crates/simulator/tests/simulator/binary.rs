//! The binary: its line, its seed, its end.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::common::http;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(arguments: &[&str]) -> (Process, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_workos-simulator"))
        .args(["--port", "0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Process(child), line.trim_end().to_owned())
}

fn wait(process: &mut Process) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        if let Some(status) = process.0.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("it does not end");
}

#[test]
fn it_is_ready_when_it_says_where_and_ends_when_told() {
    for signal in ["TERM", "INT"] {
        let (mut process, url) = start(&[]);
        let health = http().get(format!("{url}/health")).send().unwrap();
        assert_eq!(health.text().unwrap(), r#"{"status":"ok"}"#);
        let kill = Command::new("kill").args(["-s", signal, &process.0.id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert!(wait(&mut process).success(), "{signal}");
    }
}

#[test]
fn a_seed_of_ones_own() {
    let mut seed = tempfile::NamedTempFile::new().unwrap();
    seed.write_all(
        b"clients: [{client_id: mine, api_key: k, redirect_uris: ['https://app.example/cb']}]
connections: [{id: conn_x, name: X, connection_type: GoogleOAuth}]
profiles: [{id: prof_x, connection: conn_x, email: x@x.example, idp_id: x}]
",
    )
    .unwrap();
    let (_process, url) = start(&["--interactive", "--seed", seed.path().to_str().unwrap()]);
    let query = [
        ("client_id", "mine"),
        ("redirect_uri", "https://app.example/cb"),
        ("response_type", "code"),
        ("provider", "GoogleOAuth"),
    ];
    let page = http().get(format!("{url}/sso/authorize")).query(&query).send().unwrap().text().unwrap();
    assert!(page.contains("x@x.example"), "{page}");
}

#[test]
fn a_seed_that_cannot_be_used_ends_it_with_a_reason() {
    let mut dangling = tempfile::NamedTempFile::new().unwrap();
    dangling
        .write_all(b"clients: [{client_id: c, api_key: k, redirect_uris: []}]\nconnections: [{id: conn_x, name: X, organization: org_gone, connection_type: X}]\n")
        .unwrap();
    for (seed, reason) in [(dangling.path().to_str().unwrap(), "org_gone"), ("/nonexistent/seed.yaml", "seed.yaml")] {
        let output = Command::new(env!("CARGO_BIN_EXE_workos-simulator"))
            .args(["--port", "0", "--seed", seed])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(!output.status.success() && output.stdout.is_empty());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(reason), "{said}");
    }
}
