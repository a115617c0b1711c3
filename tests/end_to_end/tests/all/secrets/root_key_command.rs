//! `workos_auth.root_key_command`: a program prints the root key. Whatever it does, the backend goes on, and the program does not.

use std::fs;
use std::pin::pin;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, sign_in};
use workos_end_to_end::root_keys::{START, configure, reseal, with_root_key_files};
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_testbed::Cluster;

const PATIENCE: Duration = Duration::from_secs(60);

/// Names a program and no file, and connects anew.
async fn with_command(bed: &Bed<'_>, command: &str) -> Client {
    bed.cluster.append_conf("workos_auth.root_key_file = ''").unwrap();
    configure(bed.cluster, "root_key_command", command).await;
    bed.superuser().await
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a process runs, other than as a zombie that init has not reaped yet.
fn runs(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !matches!(stat.rsplit(')').next().unwrap().trim_start().chars().next(), Some('Z' | 'X')))
}

/// The child processes of a backend, zombies too.
async fn children(client: &Client) -> Vec<String> {
    let backend = text(client, "select pg_backend_pid()").await.unwrap().unwrap();
    let all =
        fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read_to_string(entry.unwrap().path().join("stat")).ok());
    all.filter(|stat| stat.rsplit(')').next().unwrap().split_whitespace().nth(1) == Some(backend.as_str())).collect()
}

/// The process ids that a program has written into a file, once it has written two.
async fn pids(path: &str) -> Vec<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(path).unwrap_or_default();
        let pids: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if pids.len() == 2 {
            return pids;
        }
        assert!(Instant::now() < deadline, "the program does not start: {text:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn have_ended(pids: &[String]) {
    let deadline = Instant::now() + PATIENCE;
    while pids.iter().any(|pid| runs(pid)) {
        assert!(Instant::now() < deadline, "{pids:?} still run");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn the_key_is_taken_in_three_forms_and_asked_for_once_a_connection() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "commands").await;
    let path = bed.root_key();
    let key = fs::read(&path).unwrap();
    let runs = bed.key_path("runs");
    for (form, print) in [
        ("raw", format!("cat {path}")),
        ("hex", format!("echo {}", hex(&key))),
        ("base64", format!("base64 {path}")),
        ("base64url", format!("printf %s {}", URL_SAFE_NO_PAD.encode(&key))),
        ("slow", format!("sleep 1; cat {path}")),
        ("in pieces", format!("head -c 10 {path}; sleep 0.1; tail -c 22 {path}")),
    ] {
        let client = with_command(&bed, &format!("echo x >> {runs}; {print}")).await;
        bed.shell(&format!("rm -f {runs}")).await;
        for _ in 0..2 {
            sign_in(&client, ALICE).await;
        }
        assert_eq!(fs::read_to_string(&runs).unwrap(), "x\n", "{form}");
        assert_eq!(children(&client).await, [""; 0], "{form}");
    }
    // The first set-up of a database, too.
    let client = with_command(&bed, &format!("base64 {path}")).await;
    let fresh = Bed::new(&cluster, "commands_fresh").await;
    fresh.sign_in(ALICE).await;
    sign_in(&client, ALICE).await;
}

#[tokio::test]
async fn a_program_that_prints_no_key_is_told_apart_by_what_it_does() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "bad_commands").await;
    let path = bed.root_key();
    let key = fs::read(&path).unwrap();
    let (hex, base64) = (hex(&key), STANDARD.encode(&key));
    cluster.append_conf("workos_auth.root_key_command_timeout = 1s").unwrap();
    for (command, name, detail) in [
        (format!("cat {path}; exit 3"), "root_key_command_failed", "exit code 3"),
        ("exit 1".into(), "root_key_command_failed", "exit code 1"),
        ("no_such_program".into(), "root_key_command_failed", "command not found"),
        ("/etc/passwd".into(), "root_key_command_failed", "not executable"),
        (format!("cat {path}; kill -9 $$"), "root_key_command_failed", "signal 9"),
        ("kill -TERM $$".into(), "root_key_command_failed", "signal 15"),
        ("echo $$((".into(), "root_key_command_failed", "exit code 2"),
        ("sleep 600".into(), "root_key_command_timeout", "1 s"),
        (format!("cat {path}; sleep 600"), "root_key_command_timeout", "1 s"),
        (format!("cat {path}; exec >&- 2>&-; sleep 600"), "root_key_command_timeout", "1 s"),
        ("trap '' TERM INT HUP; while :; do sleep 1; done".into(), "root_key_command_timeout", "1 s"),
        (format!("cat {path}; sleep 600 & wait"), "root_key_command_timeout", "1 s"),
        ("true".into(), "root_key_command_malformed", "0 bytes"),
        ("echo permission denied".into(), "root_key_command_malformed", "18 bytes"),
        (format!("echo {hex}0"), "root_key_command_malformed", "66 bytes"),
        (format!("echo key={base64}"), "root_key_command_malformed", "49 bytes"),
        (format!("head -c 31 {path}"), "root_key_command_malformed", "31 bytes"),
        (format!("cat {path}; echo"), "root_key_command_malformed", "33 bytes"),
        ("head -c 32 /dev/zero".into(), "root_key_command_malformed", "the same"),
        ("yes".into(), "root_key_command_too_large", "256 bytes"),
        ("cat /dev/zero".into(), "root_key_command_too_large", "256 bytes"),
        (format!("while :; do cat {path}; done"), "root_key_command_too_large", "256 bytes"),
        ("head -c 32 /dev/urandom".into(), "root_key_mismatch", "does not open"),
    ] {
        let client = with_command(&bed, &command).await;
        let before = bed.contents().await;
        let began = Instant::now();
        let refusal = refused(client.batch_execute(START).await, name);
        assert!(began.elapsed() < Duration::from_secs(10), "{command}: {:?}", began.elapsed());
        assert!(refusal.detail.contains(detail), "{command}: {refusal}");
        let said = refusal.to_string();
        assert!(!said.contains(&hex[..16]) && !said.contains(&base64[..16]), "{command}: {refusal}");
        assert_eq!(bed.contents().await, before, "{command}: something changed");
        assert_eq!(children(&client).await, [""; 0], "{command}");
        // The backend is as good as before.
        refused(client.batch_execute(START).await, name);
        assert_eq!(text(&client, "select 1").await.unwrap().as_deref(), Some("1"), "{command}");
    }
    let client = with_command(&bed, &format!("cat {path}")).await;
    sign_in(&client, ALICE).await;
}

/// Anybody may begin a sign-in. While the program fails, each would have it run.
#[tokio::test]
async fn a_program_that_fails_is_left_alone_for_some_seconds() {
    const READY: &str = "select auth.require_ready()";
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "failing_command").await;
    let (good, wrong, missing) = (bed.root_key(), bed.new_root_key("wrong.key").await, bed.key_path("missing.key"));
    let runs = bed.key_path("runs");
    let count = || fs::read_to_string(&runs).unwrap_or_default().lines().count();
    for (print, name) in
        [("exit 1".to_owned(), "root_key_command_failed"), (format!("cat {wrong}"), "root_key_mismatch")]
    {
        let client = with_command(&bed, &format!("echo x >> {runs}; {print}")).await;
        bed.shell(&format!("rm -f {runs}")).await;
        let began = Instant::now();
        for sql in [START, READY, START, READY] {
            refused(client.batch_execute(sql).await, name);
        }
        assert!(count() == 1 || began.elapsed() > Duration::from_secs(4), "{print}: {}", count());
        // An administrator may have mended it.
        let before = count();
        let findings = "select string_agg(finding, ' ') from auth.check()";
        let findings = text(&client, findings).await.unwrap().unwrap();
        assert!(findings.contains("root key"), "{findings}");
        assert_eq!(count(), before + 1, "{print}");
        tokio::time::sleep(Duration::from_secs(6)).await;
        refused(client.batch_execute(START).await, name);
        assert_eq!(count(), before + 2, "{print}");
        // Another command is tried at once.
        configure(&cluster, "root_key_command", &format!("echo x >> {runs}; cat {good}")).await;
        sign_in(&client, ALICE).await;
    }
    // One that prints the right key is asked for it once a minute, whatever files are named.
    cluster.append_conf(&format!("workos_auth.root_key_command = 'echo x >> {runs}; cat {good}'")).unwrap();
    for files in [vec![], vec![wrong.as_str()], vec![missing.as_str(), wrong.as_str()]] {
        let client = with_root_key_files(&bed, &files).await;
        bed.shell(&format!("rm -f {runs}")).await;
        for _ in 0..3 {
            client.batch_execute(READY).await.unwrap();
        }
        assert_eq!(count(), 1, "{files:?}");
    }
    // A file is looked at each time.
    let client = with_root_key_files(&bed, &[&good]).await;
    client.batch_execute(READY).await.unwrap();
    configure(&cluster, "root_key_command", "").await;
    bed.shell(&format!("mv {good} {missing}")).await;
    refused(client.batch_execute(READY).await, "root_key_not_found");
}

#[tokio::test]
async fn whoever_waits_for_the_program_can_be_cancelled_and_ended() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "waiting_commands").await;
    let pid_file = bed.key_path("pids");
    // What it starts ends with it.
    let command = format!("echo $$ > {pid_file}; sleep 600 & echo $! >> {pid_file}; wait");
    cluster.append_conf("workos_auth.root_key_command_timeout = 5min").unwrap();
    for (end, sqlstate) in
        [("pg_cancel_backend", "57014"), ("pg_terminate_backend", "57P01"), ("statement_timeout", "57014")]
    {
        bed.shell(&format!("rm -f {pid_file}")).await;
        let client = with_command(&bed, &command).await;
        if end == "statement_timeout" {
            client.batch_execute("set statement_timeout = '2s'").await.unwrap();
        }
        let backend = text(&client, "select pg_backend_pid()").await.unwrap().unwrap();
        let mut started = pin!(client.batch_execute(START));
        let ending = async {
            let pids = pids(&pid_file).await;
            assert!(pids.iter().all(|pid| runs(pid)), "{end}: {pids:?}");
            if end != "statement_timeout" {
                bed.admin.batch_execute(&format!("select {end}({backend})")).await.unwrap();
            }
            pids
        };
        let (result, pids) = tokio::join!(&mut started, ending);
        refused_as(result, sqlstate);
        have_ended(&pids).await;
        if sqlstate == "57014" {
            assert_eq!(children(&client).await, [""; 0], "{end}");
        }
    }
    let client = with_command(&bed, &format!("cat {}", bed.root_key())).await;
    sign_in(&client, ALICE).await;
}

#[tokio::test]
async fn files_come_first_and_the_program_only_where_none_of_them_opens() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "precedence").await;
    let (good, wrong) = (bed.root_key(), bed.new_root_key("wrong.key").await);
    let missing = bed.key_path("missing.key");
    let runs = bed.key_path("runs");
    for (files, command, is_run, error) in [
        (vec![&good], format!("cat {good}"), false, None),
        (vec![&wrong, &good], "exit 1".into(), false, None),
        (vec![&missing, &good], "exit 1".into(), false, None),
        (vec![&wrong], format!("cat {good}"), true, None),
        (vec![&missing], format!("cat {good}"), true, None),
        (vec![], format!("cat {good}"), true, None),
        (vec![&wrong], format!("cat {wrong}"), true, Some(("root_key_mismatch", ""))),
        // The key may be the one that cannot be had.
        (vec![&missing, &wrong], format!("cat {wrong}"), true, Some(("root_key_not_found", "does not open"))),
        (vec![&wrong], "exit 7".into(), true, Some(("root_key_command_failed", "exit code 7"))),
    ] {
        let what = format!("{files:?} {command}");
        cluster.append_conf(&format!("workos_auth.root_key_command = 'echo x >> {runs}; {command}'")).unwrap();
        let files: Vec<&str> = files.iter().map(|file| file.as_str()).collect();
        let client = with_root_key_files(&bed, &files).await;
        bed.shell(&format!("rm -f {runs}")).await;
        match error {
            None => drop(sign_in(&client, ALICE).await),
            Some((name, detail)) => {
                let refusal = refused(client.batch_execute(START).await, name);
                assert!(refusal.detail.contains(detail), "{what}: {refusal}");
            }
        }
        assert_eq!(fs::exists(&runs).unwrap(), is_run, "{what}");
    }

    // Names with a comma, a quotation mark or a space, and what is no list.
    let odd = bed.key_path("a, \"b\" c.key");
    bed.shell(&format!("cp {good} '{odd}' && chmod 0600 '{odd}'")).await;
    cluster.append_conf("workos_auth.root_key_command = ''").unwrap();
    let quoted = format!("\"{}\"", odd.replace('"', "\"\""));
    sign_in(&with_root_key_files(&bed, &[&wrong, &quoted]).await, ALICE).await;
    for list in [format!("{good}, "), format!("\"{good}"), format!("\"{good}\" x")] {
        let client = with_root_key_files(&bed, &[&list]).await;
        let refusal = refused(client.batch_execute(START).await, "root_key_unreadable");
        assert!(refusal.detail.contains("no list"), "{list}: {refusal}");
    }

    // From a file to a program with another key, and back.
    with_root_key_files(&bed, &[&good]).await;
    let client = with_root_key_files(&bed, &[&good, &wrong]).await;
    assert_eq!(reseal(&client, &wrong).await.unwrap(), 6);
    sign_in(&with_command(&bed, &format!("base64 {wrong}")).await, ALICE).await;
    let client = with_root_key_files(&bed, &[&good]).await;
    assert!(reseal(&client, &good).await.unwrap() > 6);
    sign_in(&client, ALICE).await;
}

#[tokio::test]
async fn the_key_stands_in_no_log_and_the_setting_is_the_configuration_files() {
    let talkative =
        ["log_statement = all", "log_min_messages = debug5", "log_error_verbosity = verbose", "log_duration = on"];
    let cluster = Cluster::start_with(&talkative).unwrap();
    let bed = Bed::new(&cluster, "quiet_commands").await;
    let app = bed.role("app", "").await;
    let path = bed.root_key();
    let key = fs::read(&path).unwrap();
    let forms = [key.clone(), hex(&key).into_bytes(), STANDARD.encode(&key).into_bytes()];
    let prints = [
        (format!("base64 {path}"), None),
        (format!("cat {path}"), None),
        (format!("od -An -tx1 {path} | tr -d \" \\n\""), None),
        (format!("base64 {path}; base64 {path}"), Some("root_key_command_malformed")),
        (format!("base64 {path}; exit 1"), Some("root_key_command_failed")),
        (format!("echo said to the log >&2; base64 {path}; false"), Some("root_key_command_failed")),
    ];
    for (command, error) in prints {
        let client = with_command(&bed, &command).await;
        match error {
            None => drop(sign_in(&client, ALICE).await),
            Some(name) => drop(refused(client.batch_execute(START).await, name)),
        }
    }
    let log = cluster.log().unwrap();
    assert!(log.contains("said to the log"), "what the program says of itself is not there");
    for form in &forms {
        assert!(memchr::memmem::find(log.as_bytes(), form).is_none(), "the key stands in the log");
    }
    for setting in ["root_key_command = 'cat /tmp/k'", "root_key_command_timeout = '1min'"] {
        refused_as(bed.admin.batch_execute(&format!("set workos_auth.{setting}")).await, "55P02");
        let role = format!("alter role {app} set workos_auth.{setting}");
        refused_as(bed.admin.batch_execute(&role).await, "55P02");
    }
    let reader = bed.connect(&app).await;
    text(&reader, "select auth.uid()").await.unwrap();
    refused_as(reader.batch_execute("show workos_auth.root_key_command").await, "42501");
    refused_as(reader.batch_execute("set workos_auth.root_key_command = 'x'").await, "55P02");
}
