//! Runs the flow in a talkative server and looks for its secrets everywhere: tables, WAL, log, dump, activity.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use tokio_postgres::Client;
use url::Url;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, Person, exchange, set_session, start};
use workos_end_to_end::sql::{refusal, refused, text};
use workos_testbed::Cluster;
use workos_testbed::workos::CLIENT_SECRET;

/// A server that says all it can.
const TALKATIVE: &[&str] = &[
    "log_statement = all",
    "log_min_messages = debug5",
    "log_min_error_statement = debug5",
    "log_error_verbosity = verbose",
    "log_duration = on",
    "log_parameter_max_length = -1",
    "log_parameter_max_length_on_error = -1",
    "debug_print_parse = on",
    "debug_print_plan = on",
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_nested_statements = on",
    "auto_explain.log_analyze = on",
];

/// A secret by the name it is reported under, in the forms in which it could stand somewhere.
struct Secret(&'static str, Vec<Vec<u8>>);

impl Secret {
    fn new(name: &'static str, value: &[u8]) -> Self {
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        let mut forms = vec![value.to_vec(), hex.into_bytes(), STANDARD_NO_PAD.encode(value).into_bytes()];
        // What is base64url itself could stand there as the bytes that it spells.
        if value.len() > 20
            && let Ok(bytes) = URL_SAFE_NO_PAD.decode(value)
        {
            forms.push(bytes);
        }
        Self(name, forms)
    }
}

/// The names of the secrets that stand in a text.
fn found(secrets: &[Secret], haystack: &[u8]) -> Vec<&'static str> {
    secrets
        .iter()
        .filter(|secret| secret.1.iter().any(|form| memmem::find(haystack, form).is_some()))
        .map(|secret| secret.0)
        .collect()
}

/// Every file below a directory.
fn files(directory: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.append(&mut files(&path));
        } else if let Ok(bytes) = fs::read(&path) {
            all.push(bytes);
        }
    }
    all
}

/// What the log says beyond the values that callers themselves passed: with a statement, an error, and since Postgres 16 a
/// plan of auto_explain's.
fn without_parameters(log: &str) -> String {
    let marks = ["DETAIL:  parameters:", "DETAIL:  Parameters:", "portal with parameters:", "Query Parameters:"];
    let own = |line: &&str| marks.iter().any(|mark| line.contains(mark));
    log.lines().filter(|line| !own(line)).collect::<Vec<_>>().join("\n")
}

/// Signs somebody in, uses the session, makes every mistake with it, and returns all that must stay secret.
async fn run(bed: &Bed<'_>, reader: &Client, person: Person) -> Vec<Secret> {
    let backend = bed.backend().await;
    let pending = start(&backend, person).await;
    let mut crossed = start(&backend, person).await;
    // Without a verifier the state alone is what opens the flow.
    let url = text(&backend, "select auth.workos_authorize_url('org_acme')").await.unwrap().unwrap();
    let state_alone = Url::parse(&url).unwrap().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    (crossed.code, crossed.verifier) =
        (pending.code.clone(), "M25iVXpKU3puUjFaYWg3T1NDTDQtcW1ROUY5YXlwalNoc0hhaktjYm5v".into());
    // The challenge of the method plain is the verifier itself.
    let plain: String = state_alone.chars().rev().collect();
    let begin = "select auth.workos_authorize_url('org_acme', code_challenge => $1, code_challenge_method => 'plain')";
    backend.query_one(begin, &[&plain]).await.unwrap();
    refused(exchange(&backend, &crossed).await, "bad_code_verifier");
    let session = exchange(&backend, &pending).await.unwrap();
    refusal(exchange(&backend, &pending).await);
    set_session(reader, &session.access_token, false).await.unwrap();
    reader
        .query("select auth.uid(), auth.jwt(), auth.session_claims(), auth.email(), auth.has_role('admin')", &[])
        .await
        .unwrap();
    reader.query("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
    let mut forged = session.access_token.clone();
    forged.truncate(forged.len() - 3);
    refusal(set_session(reader, &forged, false).await);

    let requests = bed.token_requests();
    let upstream = requests.iter().find(|request| request.field("code") == Some(&pending.code)).unwrap();
    let upstream = upstream.field("code_verifier").unwrap();
    let (signed, signature) = session.access_token.rsplit_once('.').unwrap();
    vec![
        Secret::new("client secret", CLIENT_SECRET.as_bytes()),
        Secret::new("code", pending.code.as_bytes()),
        Secret::new("state", pending.state.as_bytes()),
        Secret::new("other state", crossed.state.as_bytes()),
        Secret::new("plain challenge", plain.as_bytes()),
        Secret::new("state without verifier", state_alone.as_bytes()),
        Secret::new("verifier", pending.verifier.as_bytes()),
        Secret::new("upstream verifier", upstream.as_bytes()),
        Secret::new("access token", signed.as_bytes()),
        Secret::new("access token's signature", signature.as_bytes()),
        Secret::new("refresh token", session.refresh_token.as_bytes()),
        Secret::new("provider token", session.provider_token.unwrap().as_bytes()),
        Secret::new("root key", &fs::read(bed.cluster.root_key_path()).unwrap()),
    ]
}

#[tokio::test]
async fn no_secret_is_written_anywhere() {
    let cluster = Cluster::start_with(TALKATIVE).unwrap();
    let bed = Bed::new(&cluster, "swept").await;
    bed.set("workos_auth.allow_plain_pkce", "on").await;
    let app = bed.role("app", "").await;
    let reader = bed.connect(&app).await;
    let none: [&str; 0] = [];

    let secrets = run(&bed, &reader, ALICE).await;
    let log = cluster.log().unwrap();
    assert!(found(&secrets, log.as_bytes()).len() > 3, "the server does not log parameters, so this proves nothing");
    let log = without_parameters(&log);
    assert_eq!(found(&secrets, log.as_bytes()), none, "in the log");

    let activity = text(&bed.admin, "select string_agg(a::text, ' ') from pg_stat_activity a").await.unwrap().unwrap();
    assert!(activity.contains("auth.set_session"), "{activity}");
    assert_eq!(found(&secrets, activity.as_bytes()), none, "in pg_stat_activity");

    // With parameters kept out of the log, as the manual says a server should be set, there is nothing at all.
    let lengths =
        ["log_parameter_max_length", "log_parameter_max_length_on_error", "auto_explain.log_parameter_max_length"];
    cluster.append_conf(&lengths.map(|setting| format!("{setting} = 0")).join("\n")).unwrap();
    cluster.reload().await.unwrap();
    let reader = bed.connect(&app).await;
    let before = cluster.log().unwrap().len();
    let mut secrets = secrets;
    secrets.append(&mut run(&bed, &reader, BOB).await);
    let log = cluster.log().unwrap();
    assert!(log[before..].contains("auth.exchange_code"), "nothing was logged");
    assert_eq!(found(&secrets, &log.as_bytes()[before..]), none, "in the log without parameters");

    bed.admin.batch_execute("select pg_switch_wal(); checkpoint").await.unwrap();
    let known = Secret::new("what must be found", b"alice@acme.com");
    let heap: Vec<u8> = files(&cluster.data_dir().join("base")).concat();
    let wal: Vec<u8> = files(&cluster.data_dir().join("pg_wal")).concat();
    let all: Vec<u8> = files(&cluster.data_dir()).concat();
    let dump = cluster.command("pg_dump").args(["--inserts", "swept"]).output().unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    for (place, bytes) in [("tables", &heap), ("WAL", &wal), ("data directory", &all), ("dump", &dump.stdout)] {
        assert_eq!(found(std::slice::from_ref(&known), bytes).len(), 1, "the {place} hold nothing");
        assert_eq!(found(&secrets, bytes), none, "in the {place}");
    }
}
