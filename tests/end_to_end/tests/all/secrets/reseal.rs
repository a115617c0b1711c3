//! `auth.reseal`: everything sealed moves to another root key, in one transaction, and nobody notices.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, is_good, reader, refresh, set_session, sign_in, start};
use workos_end_to_end::root_keys::{START, configure, reseal, with_root_key_files};
use workos_end_to_end::sql::{connect_with_notices, lines, refused, text};
use workos_end_to_end::{Bed, Session};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// The ids of the data keys that seal and sign for the sessions of now.
const SEALING: &str = "select id from auth.data_keys where retired_at is null order by 1";
const ALL_KEYS: &str = "select id from auth.data_keys order by 1";
/// Data keys, client secret, signing key.
const VALUES: i64 = 6;

async fn goes_on(client: &Client, session: &mut Session) {
    *session = refresh(client, &session.refresh_token).await.unwrap_or_else(|error| panic!("{error:?}"));
}

#[tokio::test]
async fn everything_moves_and_nobody_is_signed_out() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "resealed").await;
    let other = Bed::new(&cluster, "resealed_too").await;
    let app = bed.role("app", "").await;
    let (mut alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let mut elsewhere = other.sign_in(ALICE).await;
    let reading = reader(&bed, &app, &alice).await;
    let pending = start(&bed.admin, ANNA).await;
    let (old, new) = (bed.root_key(), bed.new_root_key("new.key").await);
    let keys = lines(&bed.admin, ALL_KEYS).await.unwrap();
    let jwks = text(&bed.admin, "select auth.jwks()").await.unwrap();

    // Both files are named, in either order: nobody has to wait for the other server.
    let client = with_root_key_files(&bed, &[&new, &old]).await;
    goes_on(&client, &mut alice).await;
    let client = with_root_key_files(&bed, &[&old, &new]).await;
    goes_on(&client, &mut alice).await;
    assert_eq!(reseal(&client, &new).await.unwrap(), VALUES);
    // Open connections go on, and new ones; tokens and refresh tokens of before are good, a sign-in under way is finished.
    is_good(&reading, &alice).await;
    let mut bob = bob;
    for client in [&bed.admin, &client, &bed.superuser().await] {
        goes_on(client, &mut alice).await;
        goes_on(client, &mut bob).await;
    }
    let anna = exchange(&bed.superuser().await, &pending).await.unwrap();
    assert_eq!(text(&bed.admin, "select auth.jwks()").await.unwrap(), jwks);

    // The old one is not needed any more. With it alone nobody gets far, and nothing is lost by trying.
    let client = with_root_key_files(&bed, &[&new]).await;
    goes_on(&client, &mut alice).await;
    let late = sign_in(&client, BOB).await;
    set_session(&reading, &late.access_token, false).await.unwrap();
    set_session(&reading, &anna.access_token, false).await.unwrap();
    let client = with_root_key_files(&bed, &[&old]).await;
    let before = bed.contents().await;
    refused(client.batch_execute(START).await, "root_key_mismatch");
    refused(refresh(&client, &alice.refresh_token).await, "root_key_mismatch");
    assert_eq!(bed.contents().await, before);

    // Once more does nothing: not even where the new key is the only one that is named.
    let client = with_root_key_files(&bed, &[&new]).await;
    assert_eq!(reseal(&client, &new).await.unwrap(), 0);
    assert_eq!(bed.contents().await, before);
    goes_on(&client, &mut alice).await;

    // Fresh data keys seal from now on: a copy of before, with its root key, opens nothing of what comes.
    let sealing = lines(&client, SEALING).await.unwrap();
    assert_eq!(sealing.len(), 4);
    assert!(sealing.iter().all(|id| !keys.contains(id)), "{sealing:?} and {keys:?}");
    let used = "select data_key_id from auth.providers union all select data_key_id from auth.signing_keys";
    assert!(lines(&client, used).await.unwrap().iter().all(|id| sealing.contains(id)));
    let of = |session: &Session| {
        format!("select refresh_token_key_id from auth.sessions where id = '{}'", session.session_id)
    };
    assert!(sealing.contains(&text(&client, &of(&late)).await.unwrap().unwrap()));
    assert!(keys.contains(&text(&client, &of(&alice)).await.unwrap().unwrap()));

    // It is written down, without a word of the keys.
    let audit = "select payload from auth.audit_log_entries where action = 'root_key_replaced'";
    assert_eq!(lines(&client, audit).await.unwrap(), [format!("{{\"values\": {VALUES}}}")]);

    // The other databases of the cluster are moved one by one.
    let there = other.superuser().await;
    refused(refresh(&there, &elsewhere.refresh_token).await, "root_key_mismatch");
    with_root_key_files(&bed, &[&new, &old]).await;
    let there = other.superuser().await;
    goes_on(&there, &mut elsewhere).await;
    assert_eq!(reseal(&there, &new).await.unwrap(), VALUES);
    with_root_key_files(&bed, &[&new]).await;
    goes_on(&other.superuser().await, &mut elsewhere).await;

    // Old data keys go when nothing needs them any more, after a day: not while a session has its refresh token from one.
    let client = bed.superuser().await;
    text(&client, "select auth.cleanup()").await.unwrap();
    assert_eq!(lines(&client, ALL_KEYS).await.unwrap().len(), 8);
    client.batch_execute("update auth.data_keys set retired_at = retired_at - interval '25 hours'").await.unwrap();
    text(&client, "select auth.cleanup()").await.unwrap();
    assert_eq!(lines(&client, ALL_KEYS).await.unwrap().len(), 5);
    goes_on(&bed.superuser().await, &mut alice).await;
    for session in [&alice, &bob, &anna] {
        client.execute("delete from auth.sessions where id = $1", &[&session.session_id]).await.unwrap();
    }
    text(&client, "select auth.cleanup()").await.unwrap();
    assert_eq!(lines(&client, ALL_KEYS).await.unwrap(), sealing);
    goes_on(&bed.superuser().await, &mut { late }).await;
}

#[tokio::test]
async fn a_rollback_and_a_crash_leave_the_old_key_good() {
    let mut cluster = Cluster::start().unwrap();
    let (old, new, mut alice, cut_off);
    {
        let bed = Bed::new(&cluster, "broken_off").await;
        alice = bed.sign_in(ALICE).await;
        (old, new) = (bed.root_key(), bed.new_root_key("new.key").await);
        let before = bed.contents().await;
        let client = bed.superuser().await;
        client.batch_execute("begin").await.unwrap();
        assert_eq!(reseal(&client, &new).await.unwrap(), VALUES);
        // Its own transaction goes on within it.
        with_root_key_files(&bed, &[&old, &new]).await;
        client.query_one("select * from auth.refresh_session($1)", &[&alice.refresh_token]).await.unwrap();
        client.batch_execute("rollback").await.unwrap();
        assert_eq!(bed.contents().await, before);
        goes_on(&client, &mut alice).await;
        goes_on(&with_root_key_files(&bed, &[&old]).await, &mut alice).await;
        refused(with_root_key_files(&bed, &[&new]).await.batch_execute(START).await, "root_key_mismatch");
        with_root_key_files(&bed, &[&old]).await;

        // Without one of both files nothing changes.
        let before = bed.contents().await;
        let client = with_root_key_files(&bed, &[&new]).await;
        refused(reseal(&client, &new).await, "root_key_mismatch");
        let client = with_root_key_files(&bed, &[]).await;
        refused(reseal(&client, &new).await, "root_key_required");
        assert_eq!(bed.contents().await, before);

        // The commit that makes what stands there durable, and then one that is cut off.
        let client = with_root_key_files(&bed, &[&old]).await;
        client.batch_execute("set synchronous_commit = on; create table durable ()").await.unwrap();
        cut_off = bed.superuser().await;
        cut_off.batch_execute("begin").await.unwrap();
        assert_eq!(reseal(&cut_off, &new).await.unwrap(), VALUES);
        client.batch_execute("checkpoint").await.unwrap();
    }
    cluster.crash().unwrap();
    drop(cut_off);
    let client = cluster.connect("broken_off", SUPERUSER).await.unwrap();
    goes_on(&client, &mut alice).await;
    assert_eq!(lines(&client, "select count(*), count(retired_at) from auth.data_keys").await.unwrap(), ["4|0"]);
    configure(&cluster, "root_key_file", &new).await;
    let client = cluster.connect("broken_off", SUPERUSER).await.unwrap();
    refused(refresh(&client, &alice.refresh_token).await, "root_key_mismatch");
    // And then it is done after all.
    configure(&cluster, "root_key_file", &format!("{new}, {old}")).await;
    let client = cluster.connect("broken_off", SUPERUSER).await.unwrap();
    assert_eq!(reseal(&client, &new).await.unwrap(), VALUES);
    configure(&cluster, "root_key_file", &new).await;
    goes_on(&cluster.connect("broken_off", SUPERUSER).await.unwrap(), &mut alice).await;
}

#[tokio::test]
async fn what_is_no_root_key_file_is_refused_and_so_is_everybody_but_a_superuser() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "no_reseal").await;
    bed.sign_in(ALICE).await;
    let new = bed.new_root_key("new.key").await;
    let administrator = bed.role("dba", "in role pg_read_server_files, pg_write_server_files").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{administrator}')")).await.unwrap();
    let path = |name| bed.key_path(name);
    bed.shell(&format!("cp {new} {} && chmod 0644 {}", path("open"), path("open"))).await;
    bed.shell(&format!("umask 077 && head -c 31 {new} > {}", path("short"))).await;
    bed.shell(&format!("cp {new} {}/inside && mkdir {}", cluster.data_dir().display(), path("directory"))).await;
    let inside = cluster.data_dir().join("inside").display().to_string();
    let before = bed.contents().await;
    for (file, name) in [
        (path("missing"), "root_key_not_found"),
        (path("open"), "root_key_exposed"),
        (path("short"), "root_key_malformed"),
        (path("directory"), "root_key_unreadable"),
        (inside, "root_key_in_data_directory"),
    ] {
        let refusal = refused(reseal(&bed.admin, &file).await, name);
        assert!(refusal.detail.contains(&file), "{refusal}");
        // Nothing is lost where the new file is not there.
        assert!(!refusal.hint.contains("auth.abandon_sealed_data"), "{refusal}");
    }
    refused(bed.admin.batch_execute("select auth.reseal(null)").await, "null_value");
    let dba = bed.connect(&administrator).await;
    // Without the right to call it, and with it.
    assert!(reseal(&dba, &new).await.is_err());
    bed.admin.batch_execute("grant execute on function auth.reseal(text) to public").await.unwrap();
    refused(reseal(&dba, &new).await, "insufficient_privilege");
    bed.admin.batch_execute("revoke execute on function auth.reseal(text) from public").await.unwrap();
    assert_eq!(bed.contents().await, before);

    // Where nothing is set up, there is nothing to move.
    cluster.create_database("empty").await.unwrap();
    let empty = cluster.connect("empty", SUPERUSER).await.unwrap();
    empty.batch_execute("create extension workos_auth").await.unwrap();
    refused(reseal(&empty, &new).await, "provider_not_configured");
}

/// The setting may follow later. Until then, it says so.
#[tokio::test]
async fn a_key_that_no_setting_names_is_warned_of() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "unnamed").await;
    let mut alice = bed.sign_in(ALICE).await;
    let (old, new) = (bed.root_key(), bed.new_root_key("new.key").await);
    let (client, notices) = connect_with_notices(&cluster.config("unnamed", SUPERUSER)).await.unwrap();
    assert_eq!(reseal(&client, &new).await.unwrap(), VALUES);
    let warnings = notices.take_warnings();
    assert!(warnings.len() == 1 && warnings[0].hint.contains("workos_auth.root_key_file"), "{warnings:?}");
    refused(refresh(&bed.superuser().await, &alice.refresh_token).await, "root_key_mismatch");
    goes_on(&with_root_key_files(&bed, &[&new]).await, &mut alice).await;

    with_root_key_files(&bed, &[&new, &old]).await;
    let (client, notices) = connect_with_notices(&cluster.config("unnamed", SUPERUSER)).await.unwrap();
    assert_eq!(reseal(&client, &old).await.unwrap(), VALUES + 4);
    assert_eq!(notices.take_warnings(), []);
    goes_on(&with_root_key_files(&bed, &[&old]).await, &mut alice).await;
}

#[tokio::test]
async fn sign_ins_and_refreshes_meanwhile_lose_nothing() {
    const MOVES: usize = 6;
    let cluster = Cluster::start_with(&["workos_auth.max_concurrent_requests = 100"]).unwrap();
    let bed = Bed::new(&cluster, "meanwhile").await;
    let (old, new) = (bed.root_key(), bed.new_root_key("new.key").await);
    with_root_key_files(&bed, &[&old, &new]).await;
    let done = Arc::new(AtomicBool::new(false));
    let mut people = Vec::new();
    for person in [ALICE, ANNA, BOB] {
        let mut session = bed.sign_in(person).await;
        let client = bed.superuser().await;
        let done = Arc::clone(&done);
        people.push(tokio::spawn(async move {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) || rounds == 0 {
                goes_on(&client, &mut session).await;
                let another = sign_in(&client, person).await;
                assert_eq!(another.user_id, session.user_id);
                for token in [&session.access_token, &another.access_token] {
                    client.query_one("select auth.verify_token($1)", &[token]).await.unwrap();
                }
                rounds += 1;
            }
            (session, rounds)
        }));
    }
    let mut moved = 0;
    for target in [&new, &old].into_iter().cycle().take(MOVES) {
        // Others sign in between one and the next.
        let sign_ins = bed.count("select count(*) from auth.sessions").await;
        assert!(reseal(&bed.admin, target).await.unwrap() >= VALUES);
        bed.until(&format!("(select count(*) from auth.sessions) > {sign_ins}")).await;
        moved += 1;
    }
    done.store(true, Ordering::Relaxed);
    assert_eq!(moved, MOVES);
    let last = with_root_key_files(&bed, &[&old]).await;
    for person in people {
        let (mut session, rounds) = person.await.unwrap();
        assert!(rounds > 1, "nobody signed in meanwhile");
        goes_on(&last, &mut session).await;
    }
}

#[tokio::test]
async fn a_standby_follows_and_takes_over_with_the_new_key() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "followed").await;
    let app = bed.role("app", "").await;
    let mut alice = bed.sign_in(ALICE).await;
    let (old, new) = (bed.root_key(), bed.new_root_key("new.key").await);
    // The standby is told of the new key first, and has never seen the old one.
    let standby = primary.start_standby(&[&format!("workos_auth.root_key_file = '{new}'")]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let reading = standby.connect("followed", &app).await.unwrap();
    set_session(&reading, &alice.access_token, false).await.unwrap();
    is_good(&reading, &alice).await;

    let client = with_root_key_files(&bed, &[&old, &new]).await;
    assert_eq!(reseal(&client, &new).await.unwrap(), VALUES);
    goes_on(&client, &mut alice).await;
    let pending = start(&client, BOB).await;
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    is_good(&reading, &alice).await;
    set_session(&reading, &alice.access_token, false).await.unwrap();
    is_good(&reading, &alice).await;
    let there = standby.connect("followed", SUPERUSER).await.unwrap();
    refused(reseal(&there, &new).await, "read_only");

    assert_eq!(text(&there, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    let there = standby.connect("followed", SUPERUSER).await.unwrap();
    goes_on(&there, &mut alice).await;
    let bob = exchange(&there, &pending).await.unwrap();
    set_session(&reading, &bob.access_token, false).await.unwrap();
    is_good(&reading, &bob).await;
}
