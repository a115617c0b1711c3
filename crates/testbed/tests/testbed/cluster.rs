//! The testbed itself: that it boots, survives a restart, tells what went wrong, and leaves nothing behind.

use std::fs::{self, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Error};

fn is_running(pid: &str) -> bool {
    // A zombie has a directory too, but it runs no more.
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with('Z'))
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(20));
    }
}

#[tokio::test]
async fn a_cluster_boots_restarts_reloads_and_is_gone_after_drop() {
    let mut cluster = Cluster::start_with(&["log_statement = 'all'", "work_mem = '5MB'"]).unwrap();
    let (port, data) = (cluster.port(), cluster.data_dir());
    let first = cluster.pid().unwrap();

    let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let answer: i32 = client.query_one("select 1 /* seen in the log */", &[]).await.unwrap().get(0);
    assert_eq!(answer, 1);
    assert!(cluster.log().unwrap().contains("seen in the log"));
    let row = client.query_one("select current_setting('work_mem'), current_setting('TimeZone')", &[]).await.unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("5MB", "UTC"));

    cluster.create_database("odd \"name").await.unwrap();
    let other = cluster.connect("odd \"name", SUPERUSER).await.unwrap();
    other.batch_execute("create table kept (id int)").await.unwrap();

    cluster.append_conf("work_mem = '6MB'").unwrap();
    cluster.reload().await.unwrap();
    let fresh = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let row = fresh.query_one("select current_setting('work_mem')", &[]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "6MB");

    cluster.restart().unwrap();
    assert_eq!(cluster.port(), port);
    let second = cluster.pid().unwrap();
    assert_ne!(second, first);
    assert!(client.query_one("select 1", &[]).await.is_err(), "the restart cuts old connections");
    let again = cluster.connect("odd \"name", SUPERUSER).await.unwrap();
    assert_eq!(again.query("select * from kept", &[]).await.unwrap().len(), 0);

    drop(cluster);
    assert!(!is_running(&second.to_string()), "the server outlives its cluster");
    assert!(!data.parent().unwrap().exists(), "the directory outlives its cluster");
}

#[tokio::test]
async fn the_server_can_write_a_root_key_that_others_cannot_read() {
    let cluster = Cluster::shared().unwrap();
    let key = cluster.root_key_path();
    assert!(!key.exists());
    assert!(!key.starts_with(cluster.data_dir()));
    let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
    client.batch_execute(&format!("copy (select 1) to '{}'", key.display())).await.unwrap();
    assert_eq!(fs::metadata(&key).unwrap().uid(), fs::metadata(cluster.data_dir()).unwrap().uid());
    let base = key.parent().unwrap().parent().unwrap();
    assert_eq!(fs::metadata(base).unwrap().mode() & 0o077, 0, "others can enter {}", base.display());
}

#[tokio::test]
async fn a_shared_cluster_is_booted_once_and_listens_on_a_socket_too() {
    let cluster = Cluster::shared().unwrap();
    assert_eq!(Cluster::shared().unwrap().pid(), cluster.pid());
    assert!(cluster.socket_dir().join(format!(".s.PGSQL.{}", cluster.port())).exists());
}

#[test]
fn a_failed_start_shows_the_log() {
    let error = Cluster::start_with(&["shared_preload_libraries = 'no_such_library'"]).unwrap_err();
    assert!(matches!(error, Error::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("no_such_library"), "{error}");
}

#[tokio::test]
async fn an_sql_error_prints_everything_the_server_said() {
    let cluster = Cluster::shared().unwrap();
    let client = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let raised = "do $$ begin raise exception 'no' using errcode = 'WA001', detail = 'why', hint = 'how'; end $$";
    let error = Error::from(client.batch_execute(raised).await.unwrap_err()).to_string();
    for part in ["WA001: no", "DETAIL: why", "HINT: how"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_command_finds_its_cluster_and_its_exit_code_comes_back() {
    let script = r#"
        test -n "$PGHOST" && test -n "$PGPORT" && test -n "$ROOT_KEY_FILE" && test -d "$PG_SOCKET_DIR" || exit 1
        case "$SIMULATOR_URL" in http://127.0.0.1:"$SIMULATOR_PORT"*) ;; *) exit 2 ;; esac
        test -f "$PG_LOG" || exit 3
        exit 7
    "#;
    let status = Command::new(env!("CARGO_BIN_EXE_testbed-cluster")).args(["--", "sh", "-c", script]).status().unwrap();
    assert_eq!(status.code(), Some(7));
    let status = Command::new(env!("CARGO_BIN_EXE_testbed-cluster")).args(["--", "/no/such/command"]).status().unwrap();
    assert_eq!(status.code(), Some(2));
    let status = Command::new(env!("CARGO_BIN_EXE_testbed-cluster")).arg("--").status().unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn nothing_outlives_a_killed_test_run() {
    let script = r#"head -n 1 "$(dirname "$PG_LOG")/data/postmaster.pid"; dirname "$PG_LOG"; exec cat"#;
    let mut killed = Command::new(env!("CARGO_BIN_EXE_testbed-cluster"))
        .args(["--", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(killed.stdout.take().unwrap()).lines();
    let pid = lines.next().unwrap().unwrap();
    let dir = lines.next().unwrap().unwrap();
    assert!(is_running(&pid));
    killed.kill().unwrap();
    killed.wait().unwrap();
    wait_until("the server outlives its test run", || !is_running(&pid));
    wait_until("the directory outlives its test run", || !Path::new(&dir).exists());
}

#[tokio::test]
async fn a_crashed_cluster_recovers_what_was_committed_and_nothing_else() {
    let mut cluster = Cluster::start_with(&["synchronous_commit = on"]).unwrap();
    let (port, first) = (cluster.port(), cluster.pid().unwrap());
    let (client, other) =
        (cluster.connect("postgres", SUPERUSER).await.unwrap(), cluster.connect("postgres", SUPERUSER).await.unwrap());
    client.batch_execute("create table kept (id int); insert into kept values (1)").await.unwrap();
    let backend: i32 = client.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    other.batch_execute("begin; insert into kept values (2)").await.unwrap();
    cluster.crash().unwrap();
    assert!(!is_running(&first.to_string()) && !is_running(&backend.to_string()));
    assert_eq!(cluster.port(), port);
    assert!(cluster.log().unwrap().contains("database system was not properly shut down"));
    assert!(client.query_one("select 1", &[]).await.is_err(), "a connection outlives the crash");
    let again = cluster.connect("postgres", SUPERUSER).await.unwrap();
    let kept: i64 = again.query_one("select sum(id) from kept", &[]).await.unwrap().get(0);
    assert_eq!(kept, 1);
}

#[test]
fn a_failed_assertion_of_the_server_fails_the_test() {
    let trap = "TRAP: failed Assert(\"true == false\"), File: \"none.c\", Line: 1, PID: 1";
    let mut cluster = Cluster::start().unwrap();
    let mut log = OpenOptions::new().append(true).open(cluster.log_path()).unwrap();
    writeln!(log, "LOG:  TRAP: {trap} is not at the beginning of a line").unwrap();
    cluster.restart().unwrap();
    writeln!(log, "{trap}").unwrap();
    let error = cluster.restart().unwrap_err();
    assert!(matches!(&error, Error::Assertion(lines) if lines == trap), "{error}");

    let cluster = Cluster::start().unwrap();
    let pid = cluster.pid().unwrap().to_string();
    let mut log = OpenOptions::new().append(true).open(cluster.log_path()).unwrap();
    writeln!(log, "{trap}").unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| drop(cluster))).unwrap_err();
    assert!(panicked.downcast_ref::<String>().unwrap().contains(trap));
    assert!(!is_running(&pid), "the server outlives its cluster");
}
