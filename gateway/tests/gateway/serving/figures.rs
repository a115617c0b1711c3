//! The figures of sign-ins and refreshes; and that alerts and dashboard name no figure that is not there.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use reqwest::header::COOKIE;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use workos_end_to_end::{ALICE, Bed};
use workos_simulator::{Fault, FaultKind};

use crate::common::{
    CHALLENGE, Gateway, PAGE, PKCE, VERIFIER, database_port, eventually, figure, free_port, ok, pkce, redirect, send,
    told,
};

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/prometheus-rules.yaml");
const DASHBOARD: &str = include_str!("../../../../docs/grafana-dashboard.json");
const PAGE_OF_FIGURES: &str = include_str!("../../../../docs/monitoring.md");

/// A gateway whose figures can be read, and where.
async fn start(bed: Bed<'static>, flags: &[&str]) -> (Gateway, String) {
    let admin = format!("127.0.0.1:{}", free_port());
    let flags = [&["--admin-listen", &*admin], flags].concat();
    let port = database_port(&bed);
    let gateway = Gateway::start_through(bed, port, &flags).await;
    (gateway, format!("http://{admin}"))
}

/// A way to the end of a sign-in with PKCE, whose code is not exchanged.
async fn to_code(gateway: &Gateway) -> String {
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let end = gateway.browse(&query, ALICE.email).await;
    end.query("code").unwrap_or_else(|| panic!("no code: {}", end.url))
}

async fn state_of(gateway: &Gateway) -> String {
    let query = format!("/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    redirect(send(gateway.get(&query)).await).query("state").unwrap()
}

async fn exchange(gateway: &Gateway, code: &str) -> reqwest::Response {
    send(gateway.post(PKCE, &json!({ "auth_code": code, "code_verifier": VERIFIER }))).await
}

#[tokio::test]
async fn sign_ins_are_counted_by_how_they_end() {
    let (gateway, admin) = start(Bed::shared("sign_ins").await, &[]).await;
    let count = async |name: &str| figure(&gateway.http, &admin, name).await;
    assert_eq!(count("gateway_sign_ins_total{code=\"\",outcome=\"success\"}").await, 0.0);
    let code = to_code(&gateway).await;
    // A code is no session yet.
    assert_eq!(count("gateway_sign_ins_total{code=\"\",outcome=\"success\"}").await, 0.0);
    let session = ok(exchange(&gateway, &code).await).await;
    gateway.browse(&format!("organization=org_acme&redirect_to={PAGE}"), ALICE.email).await;

    // Said no, forged, of nobody, and banned.
    let state = state_of(&gateway).await;
    let no = format!("/callback?error=access_denied&error_description=No&state={state}");
    assert_eq!(send(gateway.get(&no)).await.status(), 302);
    let state = state_of(&gateway).await;
    assert_eq!(send(gateway.get(&format!("/callback?code=01FORGED&state={state}"))).await.status(), 302);
    assert_eq!(send(gateway.get("/callback?code=01FORGED&state=nobodys")).await.status(), 302);
    let code = to_code(&gateway).await;
    let ban = "select auth.ban_user(user_id) from auth.find_user('alice@acme.com')";
    gateway.bed.admin.execute(ban, &[]).await.unwrap();
    assert_eq!(told(exchange(&gateway, &code).await).await, (403, "user_banned".into()));
    assert_eq!(told(gateway.user(&session).await).await, (401, "session_not_found".into()));
    assert_eq!(told(exchange(&gateway, &code).await).await, (404, "flow_state_not_found".into()));

    for (name, expected) in [
        ("gateway_sign_ins_started_total", 5.0),
        ("gateway_sign_ins_total{code=\"\",outcome=\"success\"}", 2.0),
        ("gateway_sign_ins_total{code=\"access_denied\",outcome=\"failure\"}", 1.0),
        ("gateway_sign_ins_total{code=\"workos_invalid_grant\",outcome=\"failure\"}", 1.0),
        ("gateway_sign_ins_total{code=\"bad_oauth_state\",outcome=\"failure\"}", 1.0),
        ("gateway_sign_ins_total{code=\"user_banned\",outcome=\"failure\"}", 1.0),
        ("gateway_sign_ins_total{code=\"flow_state_not_found\",outcome=\"failure\"}", 1.0),
        ("gateway_workos_seconds_count{outcome=\"answer\"}", 3.0),
        ("gateway_workos_seconds_count{outcome=\"failure\"}", 1.0),
        ("gateway_workos_errors_total{code=\"workos_invalid_grant\"}", 1.0),
        ("gateway_workos_errors_total{code=\"workos_timeout\"}", 0.0),
        ("gateway_workos_queue_timeouts_total", 0.0),
    ] {
        assert_eq!(count(name).await, expected, "{name}");
    }
    let audited =
        "select count(*) from auth.audit_log_entries where action = 'login_refused' and email = 'alice@acme.com'";
    assert_eq!(gateway.bed.count(audited).await, 1, "the refusal was committed");
    assert!(count("gateway_database_connection_wait_seconds_count").await > 0.0);
    assert!(count("process_open_fds").await > 0.0);
}

#[tokio::test]
async fn workos_slowness_is_seen_as_such() {
    let (gateway, admin) = start(Bed::shared("slow").await, &[]).await;
    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 600 }).times(1)).unwrap();
    to_code(&gateway).await;
    let sum = figure(&gateway.http, &admin, "gateway_workos_seconds_sum{outcome=\"answer\"}").await;
    assert!((0.6..5.0).contains(&sum), "{sum}");
}

#[tokio::test]
async fn sign_ins_without_a_place_are_counted() {
    let bed = Bed::shared("places").await;
    bed.set("workos_auth.max_concurrent_requests", "1").await;
    bed.set("workos_auth.request_queue_timeout", "0").await;
    let (gateway, admin) = start(bed, &["--pool-size", "10", "--sign-in-connections", "8"]).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let mut callbacks = Vec::new();
    for _ in 0..4 {
        callbacks.push(gateway.to_callback(&query, ALICE.email).await);
    }
    gateway.bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 1500 })).unwrap();
    let mut people = JoinSet::new();
    for (url, cookie) in callbacks {
        people.spawn(send(gateway.http.get(url).header(COOKIE, cookie)));
    }
    let ends = people.join_all().await;
    let refused = ends
        .into_iter()
        .map(redirect)
        .filter(|end| end.query("error_code").as_deref() == Some("over_request_rate_limit"));
    let refused = refused.count();
    assert!(refused >= 3, "{refused}");
    assert_eq!(figure(&gateway.http, &admin, "gateway_workos_queue_timeouts_total").await, refused as f64);
}

#[tokio::test]
async fn refreshes_and_thefts_are_counted() {
    let bed = Bed::shared("refreshes").await;
    bed.set("workos_auth.refresh_reuse_interval", "0").await;
    let (gateway, admin) = start(bed, &[]).await;
    let count = async |name: &str| figure(&gateway.http, &admin, name).await;
    let first = gateway.sign_in(ALICE).await;
    let second = ok(gateway.refresh(&first["refresh_token"]).await).await;
    let third = ok(gateway.refresh(&second["refresh_token"]).await).await;
    assert_eq!(count("gateway_refresh_token_thefts_total").await, 0.0);
    let stolen = gateway.refresh(&first["refresh_token"]).await;
    assert_eq!(told(stolen).await, (400, "refresh_token_already_used".into()));
    assert_eq!(told(gateway.refresh(&third["refresh_token"]).await).await, (400, "refresh_token_not_found".into()));
    // No refresh token at all.
    assert_eq!(told(gateway.refresh(&json!("x")).await).await.0, 400);
    for (name, expected) in [
        ("gateway_refreshes_total{code=\"\",outcome=\"success\"}", 2.0),
        ("gateway_refreshes_total{code=\"refresh_token_already_used\",outcome=\"failure\"}", 1.0),
        ("gateway_refreshes_total{code=\"refresh_token_not_found\",outcome=\"failure\"}", 1.0),
        ("gateway_refresh_token_thefts_total", 1.0),
    ] {
        assert_eq!(count(name).await, expected, "{name}");
    }
}

/// Names of figures in a text: the gateway's and the process's.
fn names(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("gateway_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

/// Every expression of the dashboard.
fn expressions(dashboard: &Value) -> Vec<String> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// Runs promtool, with this input, and returns what it says.
fn promtool(arguments: &[&str], input: &str) -> String {
    let mut command = Command::new("promtool");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().expect("make setup-tests installs promtool");
    process.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = process.wait_with_output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    said
}

#[tokio::test]
async fn alerts_and_dashboard_name_figures_that_are_there() {
    let (gateway, admin) = start(Bed::shared("named").await, &[]).await;
    gateway.sign_in(ALICE).await;
    gateway.get("/user").send().await.unwrap();
    let text = async || gateway.http.get(format!("{admin}/metrics")).send().await.unwrap().text().await.unwrap();
    // A request is counted once its answer is out.
    eventually("the error is counted", async || text().await.contains("gateway_errors_total{")).await;
    let exposed = text().await;
    let samples = exposed.lines().filter(|line| !line.starts_with('#')).collect::<Vec<_>>().join("\n");
    let there = names(&samples);

    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let of_dashboard = expressions(&dashboard);
    assert!(of_dashboard.len() > 20, "{of_dashboard:?}");
    let rules = std::fs::read_to_string(RULES).unwrap();
    for (where_, text) in [("the dashboard", &of_dashboard.join("\n")), ("the alerts", &rules)] {
        let named = names(text);
        assert!(named.len() > 5, "{where_}: {named:?}");
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(missing.is_empty(), "{where_}: {missing:?} is not in {exposed}");
    }

    // The page names every figure, and no other.
    let families = exposed.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    let families: BTreeSet<String> = families.filter(|name| name.starts_with("gateway_")).map(str::to_owned).collect();
    let table = PAGE_OF_FIGURES.split("## What to do").next().unwrap();
    let documented: BTreeSet<String> = names(table).into_iter().filter(|name| name.starts_with("gateway_")).collect();
    assert_eq!(documented, families);
    // And every alert.
    for alert in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(PAGE_OF_FIGURES.contains(&format!("| `{alert}` |")), "{alert} is not in the page");
    }

    promtool(&["check", "rules", RULES], "");
    promtool(&["test", "rules", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/prometheus-rules.test.yaml")], "");
    let lint = promtool(&["check", "metrics"], &exposed);
    assert_eq!(lint, "");
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "groups:\n  - name: dashboard\n    rules:").unwrap();
    for (at, expression) in of_dashboard.iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "5m").replace('\'', "''");
        writeln!(file, "      - {{record: 'panel_{at}', expr: '{expression}'}}").unwrap();
    }
    promtool(&["check", "rules", file.path().to_str().unwrap()], "");
}
