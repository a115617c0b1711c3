//! The root key and what it protects: which files are refused, what a dump can do without it, and what a moved row is worth.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::Uid;
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, BOB, Person, exchange, set_session, sign_in, start};
use workos_end_to_end::case;
use workos_end_to_end::sql::{refused, refused_as, shell, text};
use workos_end_to_end::{Bed, Refusal};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Workos};

const START: &str = "select auth.start_sign_in('org_acme')";
const READY: &str = "select auth.require_ready()";

fn keys(cluster: &Cluster) -> String {
    cluster.root_key_path().parent().unwrap().display().to_string()
}

/// Configures a root key, and connects anew: open connections remember what they have opened.
async fn with_root_key(bed: &Bed<'_>, path: &str) -> Client {
    bed.cluster.append_conf(&format!("workos_auth.root_key_file = '{path}'")).unwrap();
    bed.cluster.reload().await.unwrap();
    bed.superuser().await
}

/// What starting a sign-in and setting up are refused with.
async fn refused_with_root_key(bed: &Bed<'_>, path: &str, name: &str) -> Refusal {
    let client = with_root_key(bed, path).await;
    let before = bed.contents().await;
    let error = refused(client.batch_execute(START).await, name);
    let again = "select auth.configure_workos(client_id, redirect_uri, client_secret => 'k', api_url => api_url) from auth.providers";
    refused(client.batch_execute(again).await, name);
    assert_eq!(bed.contents().await, before, "{path}: something changed");
    error
}

#[tokio::test]
async fn a_root_key_that_is_no_key_or_no_secret_is_refused() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "root_keys").await;
    let (keys, data) = (keys(&cluster), cluster.data_dir().display().to_string());
    let good = cluster.root_key_path().display().to_string();
    let copy = format!("cp {good} FILE && chmod 0600 FILE");
    for (name, command, error, detail) in [
        ("missing", "true".to_owned(), "root_key_not_found", "No such file"),
        ("group", format!("{copy} && chmod 0640 FILE"), "root_key_exposed", "0640"),
        ("world", format!("{copy} && chmod 0604 FILE"), "root_key_exposed", "0604"),
        ("both", format!("{copy} && chmod 0644 FILE"), "root_key_exposed", "0644"),
        ("writable", format!("{copy} && chmod 0620 FILE"), "root_key_exposed", "0620"),
        ("shut", format!("{copy} && chmod 0 FILE"), "root_key_unreadable", "Permission denied"),
        ("directory", "mkdir -m 0700 FILE".to_owned(), "root_key_unreadable", "not a regular file"),
        ("fifo", "mkfifo -m 0600 FILE".to_owned(), "root_key_unreadable", "not a regular file"),
        ("empty", "umask 077 && true > FILE".to_owned(), "root_key_malformed", "0 bytes"),
        ("short", format!("umask 077 && head -c 31 {good} > FILE"), "root_key_malformed", "31 bytes"),
        ("long", format!("{copy} && echo >> FILE"), "root_key_malformed", "bytes"),
        ("zeros", "umask 077 && head -c 32 /dev/zero > FILE".to_owned(), "root_key_malformed", "same"),
        ("wrong", "umask 077 && head -c 32 /dev/urandom > FILE".to_owned(), "root_key_mismatch", ""),
        (
            "link",
            format!("cp {good} {data}/linked.key && chmod 0600 {data}/linked.key && ln -s {data}/linked.key FILE"),
            "root_key_in_data_directory",
            "inside",
        ),
    ] {
        let path = format!("{keys}/{name}");
        shell(&bed.admin, &command.replace("FILE", &path)).await;
        let refusal = refused_with_root_key(&bed, &path, error).await;
        assert!(refusal.detail.contains(detail), "{name}: {refusal}");
        if error != "root_key_mismatch" {
            assert!(refusal.detail.contains(&path), "{name}: {refusal}");
        }
    }
    refused_with_root_key(&bed, "", "root_key_required").await;
    assert!(
        refused_with_root_key(&bed, &format!("{keys}/wrong"), "root_key_mismatch")
            .await
            .hint
            .contains("Put back the root key")
    );

    // Reading never needs it, and a session that is open keeps what it has opened.
    let app = bed.role("app", "").await;
    let client = with_root_key(&bed, &good).await;
    let session = sign_in(&client, ALICE).await;
    let late = with_root_key(&bed, "").await;
    refused(late.batch_execute(START).await, "root_key_required");
    sign_in(&client, BOB).await;
    let reader = bed.connect(&app).await;
    set_session(&reader, &session.access_token, false).await.unwrap();
    reader.query("select auth.uid(), auth.jwks(), auth.sign_out($1)", &[&session.access_token]).await.unwrap();

    // Inside the data directory only where the setting says so; a link in there to a file outside is outside.
    refused_with_root_key(&bed, &format!("{data}/linked.key"), "root_key_in_data_directory").await;
    shell(&bed.admin, &format!("ln -s {good} {data}/points_outside")).await;
    sign_in(&with_root_key(&bed, &format!("{data}/points_outside")).await, ALICE).await;
    cluster.append_conf("workos_auth.allow_root_key_in_data_directory = on").unwrap();
    sign_in(&with_root_key(&bed, &format!("{data}/linked.key")).await, ALICE).await;
    sign_in(&with_root_key(&bed, &good).await, ALICE).await;

    // Neither setting can be changed from SQL.
    for setting in ["root_key_file = '/tmp/k'", "allow_root_key_in_data_directory = on"] {
        refused_as(bed.admin.batch_execute(&format!("set workos_auth.{setting}")).await, "55P02");
        refused_as(
            bed.admin.batch_execute(&format!("alter database root_keys set workos_auth.{setting}")).await,
            "55P02",
        );
    }
}

/// Root may own the file, and its group may read it: that is how Kubernetes mounts a secret.
#[tokio::test]
async fn a_root_key_of_root_may_be_read_by_its_group() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "root_keys_of_root").await;
    let keys = keys(&cluster);
    let group = std::fs::metadata(cluster.data_dir()).unwrap().gid();
    let good = cluster.root_key_path().display().to_string();
    for mode in ["0640", "0440"] {
        let path = format!("{keys}/{mode}");
        as_root(&format!("install -o 0 -g {group} -m {mode} {good} {path}"));
        sign_in(&with_root_key(&bed, &path).await, ALICE).await;
    }
    for (mode, error) in [
        ("0660", "root_key_exposed"),
        ("0650", "root_key_exposed"),
        ("0644", "root_key_exposed"),
        ("0604", "root_key_unreadable"),
        ("0400", "root_key_unreadable"),
    ] {
        let path = format!("{keys}/{mode}");
        as_root(&format!("install -o 0 -g {group} -m {mode} {good} {path}"));
        let refusal = refused_with_root_key(&bed, &path, error).await;
        assert!(refusal.detail.contains(&path), "{mode}: {refusal}");
    }
    // A stranger's file, whoever may read it.
    let path = format!("{keys}/stranger");
    as_root(&format!("install -o 65534 -g {group} -m 0440 {good} {path}"));
    refused_with_root_key(&bed, &path, "root_key_exposed").await;
}

/// Runs a command as root: by sudo where the test is not root itself.
fn as_root(command: &str) {
    let command = if Uid::effective().is_root() { command.to_owned() } else { format!("sudo -n {command}") };
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_root_key_file_is_made_once_and_for_the_server_alone() {
    let bed = Bed::shared("key_files").await;
    let cluster = bed.cluster;
    let (keys, data) = (keys(cluster), cluster.data_dir().display().to_string());
    let create = |path: &str| format!("select auth.create_root_key('{}')", path.replace('\'', "''"));

    let path = format!("{keys}/it's mine.key");
    let says = text(&bed.admin, &create(&path)).await.unwrap().unwrap();
    assert!(says.contains("workos_auth.root_key_file = '") && says.contains(&path.replace('\'', "''")), "{says}");
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!((metadata.mode() & 0o7777, metadata.len()), (0o600, 32));
    assert_eq!(metadata.uid(), fs::metadata(cluster.data_dir()).unwrap().uid());

    let before = fs::read(&path).unwrap();
    refused(bed.admin.batch_execute(&create(&path)).await, "root_key_exists");
    assert_eq!(fs::read(&path).unwrap(), before);
    shell(&bed.admin, &format!("ln -s {keys}/nowhere {keys}/dangling")).await;
    refused(bed.admin.batch_execute(&create(&format!("{keys}/dangling"))).await, "root_key_exists");
    assert!(!Path::new(&format!("{keys}/nowhere")).exists());
    refused(bed.admin.batch_execute(&create(&keys)).await, "root_key_exists");

    refused(bed.admin.batch_execute(&create("root.key")).await, "validation_failed");
    refused(bed.admin.batch_execute(&create("")).await, "validation_failed");
    refused(bed.admin.batch_execute(&create("/")).await, "validation_failed");
    refused(bed.admin.batch_execute("select auth.create_root_key(null)").await, "null_value");
    refused(bed.admin.batch_execute(&create(&format!("{keys}/no/such/directory.key"))).await, "root_key_not_written");
    refused(bed.admin.batch_execute(&create("/proc/root.key")).await, "root_key_not_written");
    for inside in [format!("{data}/root.key"), format!("{data}/base/root.key"), format!("{keys}/../data/root.key")] {
        refused(bed.admin.batch_execute(&create(&inside)).await, "root_key_in_data_directory");
        assert!(!Path::new(&inside).exists(), "{inside}");
    }

    let ordinary = bed.role("ordinary", "").await;
    let writer = bed.role("writer", "in role pg_write_server_files").await;
    bed.admin.batch_execute("grant execute on function auth.create_root_key(text) to public").await.unwrap();
    let mine = format!("{keys}/ordinary.key");
    refused(bed.connect(&ordinary).await.batch_execute(&create(&mine)).await, "insufficient_privilege");
    assert!(!Path::new(&mine).exists());
    bed.connect(&writer).await.batch_execute(&create(&mine)).await.unwrap();
    assert_ne!(fs::read(&mine).unwrap(), before, "two keys are the same");
}

#[tokio::test]
async fn a_dump_works_beside_its_root_key_and_beside_no_other() {
    let bed = Bed::shared("moved").await;
    let session = bed.sign_in(ALICE).await;
    start(&bed.admin, BOB).await;
    let file = bed.cluster.root_key_path().with_file_name("moved.dump");
    let dump = bed
        .cluster
        .command("pg_dump")
        .args(["--format=custom", "--file"])
        .arg(&file)
        .arg(&bed.database)
        .output()
        .unwrap();
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));

    let elsewhere = Cluster::start().unwrap();
    let other = Bed::new(&elsewhere, "other").await;
    elsewhere.create_database("moved").await.unwrap();
    let restore =
        elsewhere.command("pg_restore").args(["--exit-on-error", "--dbname=moved"]).arg(&file).output().unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let client = elsewhere.connect("moved", SUPERUSER).await.unwrap();
    for table in [
        "users",
        "identities",
        "sessions",
        "signing_keys",
        "data_keys",
        "providers",
        "redirect_urls",
        "organization_memberships",
    ] {
        let count = format!("select count(*) from auth.{table}");
        let rows = text(&client, &count).await.unwrap();
        assert_eq!(rows, text(&bed.admin, &count).await.unwrap(), "{table}");
        assert_ne!(rows.as_deref(), Some("0"), "{table} proves nothing");
    }
    assert_eq!(text(&client, "select count(*) from auth.flow_states").await.unwrap().as_deref(), Some("0"));

    // Whoever holds the dump and a root key of their own can verify, and nothing else.
    let app = other.role("app", "").await;
    let reader = elsewhere.connect("moved", &app).await.unwrap();
    set_session(&reader, &session.access_token, false).await.unwrap();
    assert_eq!(text(&reader, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()));
    for call in [
        START,
        "select auth.configure_workos(client_id, redirect_uri, client_secret => 'k', api_url => api_url) from auth.providers",
    ] {
        let error = refused(client.batch_execute(call).await, "root_key_mismatch");
        assert!(
            error.hint.contains("Put back the root key") && error.hint.contains("auth.abandon_sealed_data()"),
            "{error}"
        );
    }
    // The other database of that cluster goes on.
    other.sign_in(BOB).await;

    // Beside its own root key everything goes on as it was.
    let brought = format!("{}/brought.key", keys(&elsewhere));
    shell(&client, &format!("cp {} {brought} && chmod 0600 {brought}", bed.cluster.root_key_path().display())).await;
    elsewhere.append_conf(&format!("workos_auth.root_key_file = '{brought}'")).unwrap();
    elsewhere.reload().await.unwrap();
    let client = elsewhere.connect("moved", SUPERUSER).await.unwrap();
    let again = sign_in(&client, ALICE).await;
    assert_eq!(again.user_id, session.user_id);
    let sign_out = format!("select auth.sign_out('{}')", session.access_token);
    assert_eq!(text(&reader, &sign_out).await.unwrap().as_deref(), Some("2"));
    refused(reader.batch_execute("select auth.uid()").await, "session_not_found");
    // And the original knows nothing of it.
    let original = bed.role("original", "").await;
    set_session(&bed.connect(&original).await, &session.access_token, false).await.unwrap();

    // The lost key's hint is true: without what it sealed the database is set up anew.
    elsewhere.append_conf(&format!("workos_auth.root_key_file = '{}'", elsewhere.root_key_path().display())).unwrap();
    elsewhere.reload().await.unwrap();
    let client = elsewhere.connect("moved", SUPERUSER).await.unwrap();
    refused(client.batch_execute(START).await, "root_key_mismatch");
    let configured: (String, String, String) = {
        let row = client.query_one("select client_id, redirect_uri, api_url from auth.providers", &[]).await.unwrap();
        (row.get(0), row.get(1), row.get(2))
    };
    client.batch_execute("select auth.abandon_sealed_data()").await.unwrap();
    let sql = "select auth.configure_workos(client_id => $1, redirect_uri => $2, client_secret => 'sk_test_demo', api_url => $3)";
    client.execute(sql, &[&configured.0, &configured.1, &configured.2]).await.unwrap();
    assert_eq!(sign_in(&client, ALICE).await.user_id, session.user_id);
}

#[tokio::test]
async fn a_sealed_value_opens_nowhere_but_in_its_row() {
    let bed = Bed::shared("sealed").await;
    let elsewhere = Workos::start().unwrap();
    let other_url = elsewhere.url();
    let broken = "seal_broken";
    let cases: Vec<(String, &str)> = vec![
        ("update auth.providers set client_id = 'client_other'".into(), broken),
        (format!("update auth.providers set api_url = '{other_url}'"), broken),
        ("update auth.providers set id = gen_random_uuid()".into(), broken),
        ("update auth.providers set client_secret = set_byte(client_secret, 20, get_byte(client_secret, 20) # 1)".into(), broken),
        ("update auth.providers set client_secret = substr(client_secret, 1, 10)".into(), broken),
        ("update auth.providers set client_secret = ''".into(), broken),
        ("update auth.providers set client_secret = (select private_key from auth.signing_keys)".into(), broken),
        ("update auth.providers set data_key_id = (select id from auth.data_keys where purpose = 'signing_key')".into(), broken),
        ("update auth.signing_keys set private_key = (select client_secret from auth.providers)".into(), broken),
        ("update auth.signing_keys set kid = 'another'".into(), broken),
        ("update auth.data_keys set wrapped_key = (select wrapped_key from auth.data_keys where purpose = 'flow_verifier') where purpose = 'client_secret'".into(), "root_key_mismatch"),
        ("update auth.data_keys set wrapped_key = substr(wrapped_key, 1, 20) where purpose = 'client_secret'".into(), "root_key_mismatch"),
    ];
    for (change, error) in cases {
        case!(change, error);
        bed.admin.batch_execute("create table kept_p as table auth.providers; create table kept_k as table auth.signing_keys; create table kept_d as table auth.data_keys").await.unwrap();
        bed.admin.batch_execute(&change).await.unwrap();
        // Every connection is fresh: what was opened before the change does not count.
        let client = bed.superuser().await;
        let pending = start(&client, ALICE).await;
        let users = bed.count("select count(*) from auth.users").await;
        let refusal = refused(exchange(&bed.superuser().await, &pending).await, error);
        assert!(!refusal.to_string().contains("sk_"), "{refusal}");
        // A probe says it too, and the hint what mends it.
        assert_eq!(refused(bed.superuser().await.batch_execute(READY).await, error).hint, refusal.hint, "{change}");
        let way_out = match error {
            "seal_broken" if change.contains("auth.providers set") => "pass the API key to auth.configure_workos",
            "seal_broken" => "run select auth.rotate_signing_key()",
            _ => "auth.abandon_sealed_data()",
        };
        assert!(refusal.hint.contains(way_out), "{change}: {refusal}");
        assert_eq!(bed.count("select count(*) from auth.users").await, users);
        bed.admin.batch_execute("
            delete from auth.flow_states;
            update auth.data_keys d set wrapped_key = k.wrapped_key from kept_d k where k.id = d.id;
            update auth.providers set (id, client_id, api_url, client_secret, data_key_id) = (select id, client_id, api_url, client_secret, data_key_id from kept_p);
            update auth.signing_keys set (kid, private_key) = (select kid, private_key from kept_k);
            drop table kept_p, kept_k, kept_d").await.unwrap();
    }
    // A secret never went to where it was not sealed for.
    assert!(elsewhere.simulator().requests().iter().all(|request| request.path != "/sso/token"));
    assert!(bed.token_requests().iter().all(|request| request.field("client_id") != Some("client_other")));
    bed.sign_in(ALICE).await;
    bed.superuser().await.batch_execute(READY).await.unwrap();

    for change in [
        "update auth.flow_states f set upstream_verifier = o.upstream_verifier from auth.flow_states o where o.id <> f.id",
        "update auth.flow_states set organization = 'org_initech'",
        "update auth.flow_states set organization = null, connection = 'conn_acme'",
        "update auth.flow_states set id = gen_random_uuid()",
    ] {
        let (client, person) = (bed.superuser().await, Person { ..ALICE });
        let (first, second) = (start(&client, person).await, start(&client, person).await);
        bed.admin.batch_execute(change).await.unwrap();
        let before = bed.token_requests().len();
        for pending in [first, second] {
            refused(exchange(&bed.superuser().await, &pending).await, broken);
        }
        assert_eq!(bed.token_requests().len(), before, "{change}: WorkOS was asked");
        bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
    }
}
