//! The demo as it is run: to its end, until Ctrl-C, and where it cannot start.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// What the tour promises, in its order.
const PROMISES: &[&str] = &[
    "1 of 8: Set up",
    "create extension workos_auth;",
    "sealed_bytes",
    "2 of 8:",
    "create policy",
    "3 of 8: Alice of Acme",
    "/sso/authorize?",
    "select * from auth.exchange_code($1, $2, $3);",
    "org_id         | \"org_acme\"",
    "4 of 8: Bob of Globex",
    "organization_id | org_globex",
    "5 of 8:",
    "1 | org_acme     | Order new anvils",
    "3 | org_globex   | Paint the logo",
    "ERROR:  42501",
    "(0 rows)",
    "6 of 8:",
    "ERROR:  WA504",
    "bad_jwt_signature",
    "7 of 8:",
    "2 | org_acme     | Test the rocket skates",
    "ERROR:  WA509",
    "8 of 8:",
    "have been removed",
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

#[test]
fn it_stays_with_keep_and_ends_with_ctrl_c() {
    let (mut command, dir) = demo("keep");
    let mut child = command.env("KEEP", "1").stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    // Ends with the process too.
    while !text.contains("Ctrl-C here") && lines.read_line(&mut text).unwrap() > 0 {}
    assert!(text.contains("psql -h 127.0.0.1 -p"), "{text}");
    assert!(fs::read_dir(&dir).unwrap().next().is_some(), "nothing was kept");
    let killed = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    lines.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert!(text.trim_end().ends_with("Everything has been removed."), "{text}");
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
