//! A copy of a database mints nothing until somebody says which of the two it is; what is no copy goes on: a restore elsewhere, a standby
//! that takes over, pg_upgrade.

use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::{Client, GenericClient};
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, refresh, set_session, sign_in, start};
use workos_end_to_end::brokered::{come_back, come_back_implicitly};
use workos_end_to_end::check::check;
use workos_end_to_end::sql::{lines, refused, refused_as, shell, text};
use workos_end_to_end::{Bed, Refusal, Session};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Copies are made, taken over and dropped, and a role of the cluster's notes it: this is no other test's business.
static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| Cluster::start().unwrap());

const COPY: &str = "installation_is_a_copy";
const BECOME_NEW: &str = "select auth.become_new_installation()";
const TAKE_OVER: &str = "select auth.take_over_installation()";
const START: &str = "select auth.start_sign_in('org_acme')";
const HOME: &str = "select system_identifier, database_oid from auth.installation";
const HERE: &str =
    "select c.system_identifier, d.oid from pg_control_system() c, pg_database d where datname = current_database()";

/// `CREATE DATABASE … TEMPLATE`, which needs to be alone with the template. The superuser's connection of the bed is another one then.
async fn copy(bed: &mut Bed<'_>, name: &str) -> Client {
    let postgres = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    bed.admin = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    let end = format!(
        "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{}' and backend_type = 'client backend'",
        bed.database
    );
    let create = format!("create database {name} template {}", bed.database);
    for attempt in 0.. {
        postgres.batch_execute(&end).await.unwrap();
        match postgres.batch_execute(&create).await {
            Ok(()) => break,
            Err(error) => assert!(attempt < 50, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bed.admin = bed.superuser().await;
    bed.cluster.connect(name, SUPERUSER).await.unwrap()
}

async fn oid(client: &Client) -> String {
    text(client, "select oid from pg_database where datname = current_database()").await.unwrap().unwrap()
}

async fn verify(client: &impl GenericClient, token: &str) -> Result<(), tokio_postgres::Error> {
    client.query_one("select auth.verify_token($1)", &[&token]).await.map(drop)
}

/// The error says where the installation lives and where this is, and what leads out.
async fn is_said_to_be_a_copy(what: &str, refusal: &Refusal, here: &Client, lives_in: &str) {
    let name = text(here, "select current_database()").await.unwrap().unwrap();
    let parts = [lives_in.to_owned(), format!("\"{name}\" (OID {})", oid(here).await)];
    assert!(parts.iter().all(|part| refusal.detail.contains(part)), "{what}: {refusal}, not {parts:?}");
    for call in ["auth.become_new_installation()", "auth.take_over_installation()"] {
        assert!(refusal.hint.contains(call), "{what}: {refusal}");
    }
}

/// Nobody is signed in here: whatever starts a sign-in, opens or refreshes a session, or makes a key is refused. Readers go on.
async fn mints_nothing(what: &str, client: &Client, session: &Session) {
    let user = session.user_id;
    let calls = [
        START.to_owned(),
        "select auth.workos_authorize_url('org_acme', code_challenge => 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM')".to_owned(),
        "select auth.workos_authorize_url('org_acme')".to_owned(),
        format!("select auth.create_session('{user}')"),
        format!("select auth.create_session('{user}', 'org_acme', actor => 'sam', reason => 'ticket')"),
        format!("select auth.as_user('{user}', 'pg_monitor')"),
        format!("select auth.link_identity('{}', 'org_acme')", session.access_token),
        format!("select auth.refresh_session('{}')", session.refresh_token),
        "select auth.exchange_code('code', 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk', 'state')".to_owned(),
        "select auth.rotate_signing_key()".to_owned(),
        "select auth.configure_workos(client_id, redirect_uri, client_secret => 'k', api_url => api_url) from auth.providers".to_owned(),
    ];
    let before = rows(client).await;
    for call in calls {
        let result = client.batch_execute(&call).await;
        assert!(result.is_err(), "{what}: {call} went through");
        let refusal = refused(result, COPY);
        assert!(!refusal.to_string().contains(&session.refresh_token), "{what}: {call}: {refusal}");
    }
    assert_eq!(rows(client).await, before, "{what}: something changed");
}

async fn rows(client: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for table in [
        "installation",
        "providers",
        "data_keys",
        "signing_keys",
        "sessions",
        "flow_states",
        "users",
        "audit_log_entries",
    ] {
        let sql = format!(
            "select '{table}', md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from auth.{table} t"
        );
        all.extend(lines(client, &sql).await.unwrap());
    }
    all
}

/// The session can be refreshed, and somebody can sign in.
async fn goes_on(what: &str, client: &Client, session: &mut Session) {
    *session = refresh(client, &session.refresh_token).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let opened = client.batch_execute(&format!("select auth.create_session('{}')", session.user_id)).await;
    opened.unwrap_or_else(|error| panic!("{what}: {error:?}"));
}

fn run(mut command: Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A dump of the database, for the same operating-system user.
fn dump(bed: &Bed<'_>) -> PathBuf {
    let file = bed.cluster.root_key_path().with_file_name(format!("{}.dump", bed.database));
    let mut command = bed.cluster.command("pg_dump");
    command.args(["--format=custom", "--file"]).arg(&file).arg(&bed.database);
    run(command);
    file
}

async fn restore(cluster: &Cluster, file: &PathBuf, database: &str, options: &[&str]) -> Client {
    if options.is_empty() {
        cluster.create_database(database).await.unwrap();
    }
    let mut command = cluster.command("pg_restore");
    command.args(options).args(["--exit-on-error", "--dbname", database]).arg(file);
    run(command);
    cluster.connect(database, SUPERUSER).await.unwrap()
}

/// Gives a cluster the root key of another one.
async fn bring_root_key(from: &Cluster, to: &Cluster) {
    let postgres = to.connect("postgres", SUPERUSER).await.unwrap();
    let brought = to.root_key_path().with_file_name("brought.key").display().to_string();
    shell(&postgres, &format!("cp {} {brought} && chmod 0600 {brought}", from.root_key_path().display())).await;
    to.append_conf(&format!("workos_auth.root_key_file = '{brought}'")).unwrap();
    to.reload().await.unwrap();
}

#[tokio::test]
async fn nothing_made_in_a_copy_is_good_in_production() {
    let mut bed = Bed::new(&CLUSTER, "production").await;
    let mut alice = bed.sign_in(ALICE).await;
    let (pending, brokered) = (start(&bed.admin, BOB).await, come_back(&bed.admin, "'org_acme'", ANNA.email).await);
    let page = "organization => 'org_acme', redirect_to => 'http://localhost:3000/after'";
    let implicit = come_back_implicitly(&bed.admin, page, ANNA.email).await;
    let staging = copy(&mut bed, "staging").await;
    let lives_in = format!("\"production\" (OID {})", oid(&bed.admin).await);

    // Whoever may write there makes Alice the owner of everything, and mints her a token.
    staging.batch_execute("update auth.users set raw_app_meta_data = '{\"owner\": true}'").await.unwrap();
    mints_nothing("staging", &staging, &alice).await;
    is_said_to_be_a_copy("staging", &refused(staging.batch_execute(START).await, COPY), &staging, &lives_in).await;
    refused(exchange(&staging, &pending).await, COPY);
    staging.batch_execute("set workos_auth.site_url = 'http://localhost:3000'").await.unwrap();
    for waiting in [&brokered, &implicit] {
        let sql = "select auth.handle_callback($1, $2)";
        let url: String = staging.query_one(sql, &[&waiting.code, &waiting.state]).await.unwrap().get(0);
        assert!(url.contains("error_code=unexpected_failure") && !url.contains("access_token"), "{url}");
        assert!(!url.contains("production"), "{url}");
    }
    assert!(bed.cluster.log().unwrap().contains("WA120"), "the log does not say why");
    assert_eq!(bed.token_requests().len(), 1, "WorkOS was shown a code");
    assert_eq!(text(&staging, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("1"));

    // Reading goes on there, and everything in production.
    verify(&staging, &alice.access_token).await.unwrap();
    bed.admin.batch_execute("create role production_reader login").await.unwrap();
    let reader = bed.cluster.connect("staging", "production_reader").await.unwrap();
    set_session(&reader, &alice.access_token, false).await.unwrap();
    assert_eq!(text(&reader, "select auth.uid()").await.unwrap(), Some(alice.user_id.to_string()));
    goes_on("production", &bed.admin, &mut alice).await;
    exchange(&bed.admin, &pending).await.unwrap();

    // A new installation knows nothing of production, nor production of it.
    staging.batch_execute(BECOME_NEW).await.unwrap();
    let mut forged = sign_in(&staging, ALICE).await;
    goes_on("staging, made new", &staging, &mut forged).await;
    assert_eq!(forged.user_id, alice.user_id);
    refused(verify(&bed.admin, &forged.access_token).await, "bad_jwt_key");
    refused(refresh(&bed.admin, &forged.refresh_token).await, "refresh_token_not_found");
    refused(verify(&staging, &alice.access_token).await, "bad_jwt_key");
    refused(verify(&reader, &alice.access_token).await, "bad_jwt_key");
    refused(refresh(&staging, &alice.refresh_token).await, "refresh_token_not_found");
    assert_ne!(forged.claims["iss"], alice.claims["iss"]);
    goes_on("production, beside a new installation", &bed.admin, &mut alice).await;
}

#[tokio::test]
async fn who_takes_over_goes_on_and_the_other_stops_at_once() {
    let mut bed = Bed::new(&CLUSTER, "first").await;
    let mut alice = bed.sign_in(ALICE).await;
    let second = copy(&mut bed, "second").await;
    let third = copy(&mut bed, "third").await;
    let (first_oid, second_oid) = (oid(&bed.admin).await, oid(&second).await);

    // Open connections of the first: idle, and in transactions that keep their snapshot and hold locks.
    let idle = bed.superuser().await;
    let inside = bed.superuser().await;
    inside
        .batch_execute("begin isolation level repeatable read; select count(*) from pg_db_role_setting, auth.installation, auth.sessions")
        .await
        .unwrap();
    for client in [&bed.admin, &idle, &inside] {
        client.batch_execute(START).await.unwrap();
    }

    // Rolled back, nothing has happened; before it is committed, neither.
    second.batch_execute("begin; select auth.take_over_installation()").await.unwrap();
    second.batch_execute(START).await.unwrap();
    goes_on("first, not committed", &bed.admin, &mut alice).await;
    second.batch_execute("rollback").await.unwrap();
    goes_on("first, rolled back", &bed.admin, &mut alice).await;
    mints_nothing("second, rolled back", &second, &alice).await;

    let before = rows(&bed.admin).await;
    let id = text(&second, TAKE_OVER).await.unwrap();
    assert_eq!(id, text(&bed.admin, "select id from auth.installation").await.unwrap());
    assert_eq!(rows(&bed.admin).await, before);
    refused(inside.batch_execute(START).await, COPY);
    inside.batch_execute("rollback").await.unwrap();
    for client in [&bed.admin, &idle, &inside, &third] {
        let refusal = refused(client.batch_execute(START).await, COPY);
        is_said_to_be_a_copy("taken over", &refusal, client, &format!("\"second\" (OID {second_oid})")).await;
    }
    mints_nothing("first, taken over", &bed.admin, &alice).await;
    verify(&bed.admin, &alice.access_token).await.unwrap();
    let taken = "select payload->'from'->>'database', payload->'from'->>'oid' from auth.audit_log_entries where action = 'installation_taken_over'";
    assert_eq!(lines(&second, taken).await.unwrap(), [format!("first|{first_oid}")]);
    let mut opened = sign_in(&second, ALICE).await;
    goes_on("second", &second, &mut opened).await;

    // Once more does nothing.
    let before = rows(&second).await;
    second.batch_execute(TAKE_OVER).await.unwrap();
    assert_eq!(rows(&second).await, before);

    // And back, and to the third, although what it was copied from is gone.
    bed.admin.batch_execute(TAKE_OVER).await.unwrap();
    goes_on("first, taken back", &bed.admin, &mut alice).await;
    mints_nothing("second, taken back", &second, &alice).await;
    second.batch_execute(TAKE_OVER).await.unwrap();
    goes_on("second again", &second, &mut opened).await;
    let postgres = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    postgres.batch_execute("drop database first with (force)").await.unwrap();
    refused(third.batch_execute(START).await, COPY);
    third.batch_execute(TAKE_OVER).await.unwrap();
    sign_in(&third, ALICE).await;
    mints_nothing("second, taken over by what it has never seen", &second, &opened).await;

    // The other way out is there as well.
    second.batch_execute(BECOME_NEW).await.unwrap();
    sign_in(&second, ALICE).await;
    sign_in(&third, ALICE).await;
}

#[tokio::test]
async fn a_copy_whose_original_is_gone_waits_all_the_same() {
    let mut bed = Bed::new(&CLUSTER, "gone").await;
    let mut alice = bed.sign_in(ALICE).await;
    let left = copy(&mut bed, "left_over").await;
    let gone = oid(&bed.admin).await;
    let postgres = bed.cluster.connect("postgres", SUPERUSER).await.unwrap();
    postgres.batch_execute("drop database gone with (force)").await.unwrap();
    mints_nothing("left over", &left, &alice).await;
    let refusal = refused(left.batch_execute(START).await, COPY);
    is_said_to_be_a_copy("left over", &refusal, &left, &format!("gone (OID {gone})")).await;
    left.batch_execute(TAKE_OVER).await.unwrap();
    goes_on("taken over", &left, &mut alice).await;
    sign_in(&left, ALICE).await;
}

#[tokio::test]
async fn a_new_installation_keeps_people_and_forgets_keys_and_sessions() {
    let mut bed = Bed::new(&CLUSTER, "kept").await;
    let old = bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    bed.admin.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    let waiting = start(&bed.admin, ANNA).await;
    let made = copy(&mut bed, "kept_anew").await;
    let people = "select u::text from auth.users u union all select i::text from auth.identities i union all select o::text from auth.organizations o
        union all select m::text from auth.organization_memberships m union all select r::text from auth.redirect_urls r order by 1";
    let secrets = "select id::text from auth.installation union all select encode(lock_key, 'hex') from auth.installation
        union all select kid from auth.signing_keys union all select encode(private_key, 'hex') from auth.signing_keys
        union all select id::text from auth.data_keys union all select encode(wrapped_key, 'hex') from auth.data_keys
        union all select encode(client_secret, 'hex') from auth.providers union all select data_key_id::text from auth.providers";
    let (before, kept) = (rows(&made).await, lines(&made, people).await.unwrap());

    // Without its root key, in a transaction that is rolled back, and after an error on the way: nothing has changed.
    let file = bed.cluster.root_key_path().display().to_string();
    bed.cluster.append_conf("workos_auth.root_key_file = ''").unwrap();
    bed.cluster.reload().await.unwrap();
    let without = bed.cluster.connect("kept_anew", SUPERUSER).await.unwrap();
    refused(without.batch_execute(BECOME_NEW).await, "root_key_not_configured");
    bed.cluster.append_conf(&format!("workos_auth.root_key_file = '{file}'")).unwrap();
    bed.cluster.reload().await.unwrap();
    assert_eq!(rows(&made).await, before);
    let made = bed.cluster.connect("kept_anew", SUPERUSER).await.unwrap();
    made.batch_execute("begin; select auth.become_new_installation()").await.unwrap();
    sign_in(&made, ALICE).await;
    made.batch_execute("rollback").await.unwrap();
    assert_eq!(rows(&made).await, before);
    mints_nothing("rolled back", &made, &old).await;

    let was = lines(&made, secrets).await.unwrap();
    let id = text(&made, BECOME_NEW).await.unwrap();
    assert_eq!(id, text(&made, "select id from auth.installation").await.unwrap());
    let is = lines(&made, secrets).await.unwrap();
    assert!(was.len() > 10 && is.len() > 10, "{was:?} {is:?}");
    assert!(is.iter().all(|secret| !was.contains(secret)), "something stayed: {is:?}");
    assert_eq!(lines(&made, people).await.unwrap(), kept);
    for (sql, expected) in [
        ("select count(*) from auth.sessions", "0"),
        ("select count(*) from auth.flow_states", "0"),
        ("select count(*) from auth.data_keys", "4"),
        ("select count(*) from auth.signing_keys", "1"),
        ("select octet_length(lock_key) from auth.installation", "32"),
        (
            "select count(*) from auth.audit_log_entries where action = 'installation_made_new' and payload->>'sessions' = '2'",
            "1",
        ),
    ] {
        assert_eq!(text(&made, sql).await.unwrap().as_deref(), Some(expected), "{sql}");
    }
    assert_eq!(lines(&made, HOME).await.unwrap(), lines(&made, HERE).await.unwrap());
    refused(exchange(&made, &waiting).await, "flow_state_not_found");
    // The client secret works: WorkOS checks it. So do the root key in a fresh backend, and a rotation.
    let fresh = bed.cluster.connect("kept_anew", SUPERUSER).await.unwrap();
    let new = sign_in(&fresh, ALICE).await;
    assert_eq!((new.user_id, new.is_new_user), (old.user_id, false));
    fresh.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    refresh(&fresh, &new.refresh_token).await.unwrap();
    exchange(&bed.admin, &waiting).await.unwrap();

    // It works anywhere, also where there is nothing to be mended.
    fresh.batch_execute(BECOME_NEW).await.unwrap();
    refused(refresh(&fresh, &new.refresh_token).await, "refresh_token_not_found");
    let mut anew = sign_in(&fresh, ALICE).await;
    goes_on("made new twice", &fresh, &mut anew).await;
}

#[tokio::test]
async fn sign_ins_under_way_come_before_a_new_installation_or_fail() {
    let mut bed = Bed::new(&CLUSTER, "under_way").await;
    let alice = bed.sign_in(ALICE).await;
    let busy = bed.superuser().await;
    busy.batch_execute(&format!("begin; select auth.create_session('{}')", alice.user_id)).await.unwrap();
    let other = bed.superuser().await;
    let (made, _) = tokio::join!(other.batch_execute(BECOME_NEW), async {
        bed.until_waiting(1).await;
        busy.batch_execute("commit").await.unwrap();
    });
    made.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    let copied = copy(&mut bed, "under_way_copy").await;
    refused(copied.batch_execute(START).await, COPY);
}

#[tokio::test]
async fn which_installation_a_database_is_only_a_superuser_says() {
    let mut bed = Bed::new(&CLUSTER, "said").await;
    bed.sign_in(ALICE).await;
    let copied = copy(&mut bed, "said_copy").await;
    let roles = "create role said_admin login; create role said_creator login createrole createdb; grant all on database said_copy to said_creator;
        alter database said_copy owner to said_creator";
    copied.batch_execute(roles).await.unwrap();
    copied.batch_execute("select auth.grant_admin('said_admin')").await.unwrap();
    for granted in [false, true] {
        if granted {
            let grant =
                "grant execute on function auth.become_new_installation(), auth.take_over_installation() to public";
            copied.batch_execute(grant).await.unwrap();
        }
        for role in ["said_admin", "said_creator"] {
            let client = bed.cluster.connect("said_copy", role).await.unwrap();
            for call in [BECOME_NEW, TAKE_OVER] {
                refused_as(client.batch_execute(call).await, "42501");
            }
        }
    }
    // Nor is what was said anybody else's to change, with the library in the session and without.
    copied.batch_execute(TAKE_OVER).await.unwrap();
    let said =
        "select setconfig from pg_db_role_setting where setrole = 'workos_auth_owner'::regrole and setdatabase = 0";
    let before = text(&copied, said).await.unwrap();
    assert!(before.as_deref().is_some_and(|text| text.contains("installation_homes")), "{before:?}");
    for loads in ["select 1", "select auth.uid()"] {
        let creator = bed.cluster.connect("said_copy", "said_creator").await.unwrap();
        creator.batch_execute(loads).await.unwrap();
        for change in [
            "alter role workos_auth_owner reset all",
            "alter role workos_auth_owner reset workos_auth.installation_homes",
            "alter role workos_auth_owner set workos_auth.installation_homes = ''",
        ] {
            let _ = creator.batch_execute(change).await;
            assert_eq!(text(&copied, said).await.unwrap(), before, "{loads}: {change}");
        }
    }
    for sql in ["show workos_auth.installation_homes", "set workos_auth.installation_homes = 'x'"] {
        let client = bed.cluster.connect("said_copy", "said_admin").await.unwrap();
        client.batch_execute("select auth.uid()").await.unwrap();
        refused_as(client.batch_execute(sql).await, "42501");
    }

    copied.batch_execute("begin read only").await.unwrap();
    refused(copied.batch_execute(BECOME_NEW).await, "read_only");
    copied.batch_execute("rollback; begin read only").await.unwrap();
    refused(copied.batch_execute(TAKE_OVER).await, "read_only");
    copied.batch_execute("rollback").await.unwrap();

    // A database that is not set up is nothing yet.
    bed.cluster.create_database("said_nothing").await.unwrap();
    let nothing = bed.cluster.connect("said_nothing", SUPERUSER).await.unwrap();
    nothing.batch_execute("create extension workos_auth").await.unwrap();
    for call in [BECOME_NEW, TAKE_OVER] {
        refused(nothing.batch_execute(call).await, "provider_not_configured");
    }
}

#[tokio::test]
async fn a_check_finds_a_copy_and_its_remedy_mends_it() {
    let mut bed = Bed::new(&CLUSTER, "checked").await;
    let copied = copy(&mut bed, "checked_copy").await;
    copied.batch_execute("create role checked_admin login; select auth.grant_admin('checked_admin')").await.unwrap();
    let admin = bed.cluster.connect("checked_copy", "checked_admin").await.unwrap();
    for client in [&copied, &admin] {
        let found: Vec<_> = check(client).await.into_iter().filter(|row| row.object == "auth.installation").collect();
        assert_eq!(found.len(), 1, "{found:#?}");
        assert_eq!(found[0].severity, "error");
        for part in ["\"checked\"", "\"checked_copy\"", "auth.take_over_installation()"] {
            assert!(found[0].finding.contains(part), "{found:#?}");
        }
        assert!(found[0].finding.ends_with('.'));
    }
    assert!(check(&bed.admin).await.iter().all(|row| row.object != "auth.installation"));
    let finding = check(&copied).await.into_iter().find(|row| row.object == "auth.installation").unwrap();
    copied.execute(&finding.remedy, &[]).await.unwrap();
    assert!(check(&copied).await.iter().all(|row| row.object != "auth.installation"));
    sign_in(&copied, ALICE).await;
}

#[tokio::test]
async fn a_dump_goes_on_elsewhere_and_beside_its_original_it_is_a_copy() {
    let bed = Bed::new(&CLUSTER, "dumped").await;
    let mut alice = bed.sign_in(ALICE).await;
    let file = dump(&bed);

    let beside = restore(bed.cluster, &file, "dumped_beside", &[]).await;
    mints_nothing("beside the original", &beside, &alice).await;
    let lives_in = format!("\"dumped\" (OID {})", oid(&bed.admin).await);
    is_said_to_be_a_copy("beside", &refused(beside.batch_execute(START).await, COPY), &beside, &lives_in).await;
    goes_on("the original", &bed.admin, &mut alice).await;

    // Elsewhere it goes on, and a copy that is made before its first token is one.
    let elsewhere = Cluster::start().unwrap();
    let first = Bed::new(&elsewhere, "elsewhere").await;
    bring_root_key(bed.cluster, &elsewhere).await;
    let restored = restore(&elsewhere, &file, "restored", &[]).await;
    assert_eq!(lines(&restored, HOME).await.unwrap(), lines(&restored, HERE).await.unwrap());
    drop(restored);
    let mut restored = Bed { database: "restored".to_owned(), ..first };
    let copied = copy(&mut restored, "restored_copy").await;
    let there = refresh(&restored.admin, &alice.refresh_token).await.unwrap();
    sign_in(&restored.admin, ALICE).await;
    mints_nothing("a copy of what was restored", &copied, &there).await;
    // A restore that says it is a replica, too: the trigger is enabled always.
    elsewhere.create_database("as_replica").await.unwrap();
    let mut command = elsewhere.command("pg_restore");
    command.env("PGOPTIONS", "-c session_replication_role=replica");
    command.args(["--exit-on-error", "--dbname=as_replica"]).arg(&file);
    run(command);
    let replica = elsewhere.connect("as_replica", SUPERUSER).await.unwrap();
    assert_eq!(lines(&replica, HOME).await.unwrap(), lines(&replica, HERE).await.unwrap());
    // One that leaves triggers out is settled by its first token.
    elsewhere.create_database("bare").await.unwrap();
    let bare = restore(&elsewhere, &file, "bare", &["--section=pre-data"]).await;
    bare.batch_execute("alter table auth.installation disable trigger all").await.unwrap();
    let bare = restore(&elsewhere, &file, "bare", &["--section=data", "--section=post-data"]).await;
    let kept = lines(&bare, HOME).await.unwrap();
    assert_ne!(kept, lines(&bare, HERE).await.unwrap(), "the trigger was not left out");
    bare.batch_execute("update auth.installation set database_oid = 999999999").await.unwrap();
    refresh(&bare, &alice.refresh_token).await.unwrap();
    assert_eq!(lines(&bare, HOME).await.unwrap(), lines(&bare, HERE).await.unwrap());
}

#[tokio::test]
async fn the_first_tokens_after_a_move_wait_for_nobody() {
    let bed = Bed::new(&CLUSTER, "moved_home").await;
    let mut sessions = Vec::new();
    for _ in 0..8 {
        sessions.push(bed.sign_in(ALICE).await);
    }
    // As pg_upgrade leaves it: the same OID in another cluster.
    let moved = "update auth.installation set system_identifier = system_identifier # 1";
    for level in ["read committed", "repeatable read", "serializable"] {
        bed.admin.batch_execute(moved).await.unwrap();
        // Somebody has settled it, and takes their time to commit.
        let slow = bed.superuser().await;
        slow.batch_execute(&format!("begin; select auth.create_session('{}')", sessions[0].user_id)).await.unwrap();
        let mut clients = Vec::new();
        for _ in &sessions {
            let client = bed.superuser().await;
            let begin = format!(
                "set statement_timeout = '10s'; begin isolation level {level}; select count(*) from auth.users"
            );
            client.batch_execute(&begin).await.unwrap();
            clients.push(client);
        }
        let first = clients.iter().zip(&sessions).map(async |(client, session)| {
            let refreshed = refresh(client, &session.refresh_token).await;
            refreshed.unwrap_or_else(|error| panic!("{level}, beside who has not committed: {error:?}"))
        });
        join_all(first).await;
        for client in &clients {
            client.batch_execute("rollback").await.unwrap();
        }
        slow.batch_execute("rollback").await.unwrap();
        assert_ne!(lines(&bed.admin, HOME).await.unwrap(), lines(&bed.admin, HERE).await.unwrap(), "{level}");

        // All at once; whoever keeps a snapshot may have to run again, once.
        for client in &clients {
            client
                .batch_execute(&format!("begin isolation level {level}; select count(*) from auth.users"))
                .await
                .unwrap();
        }
        let at_once = clients.iter().zip(&sessions).map(async |(client, session)| {
            let mut again = 0;
            loop {
                let refreshed = refresh(client, &session.refresh_token).await;
                let ended = client.batch_execute(if refreshed.is_ok() { "commit" } else { "rollback" }).await;
                match refreshed.and_then(|session| ended.map(|()| session)) {
                    Ok(session) => return (session, again),
                    Err(error) => {
                        assert_eq!(error.code().map(|code| code.code()), Some("40001"), "{level}: {error:?}");
                        assert!(level != "read committed" && again < 3, "{level}: {error:?}");
                        again += 1;
                        client.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
                    }
                }
            }
        });
        let refreshed = join_all(at_once).await;
        sessions = refreshed.into_iter().map(|(session, _)| session).collect();
        assert_eq!(lines(&bed.admin, HOME).await.unwrap(), lines(&bed.admin, HERE).await.unwrap(), "{level}");
    }
    // Taking over what has only moved says no more than that.
    bed.admin.batch_execute(moved).await.unwrap();
    let before = bed.count("select count(*) from auth.audit_log_entries").await;
    bed.admin.batch_execute(TAKE_OVER).await.unwrap();
    assert_eq!(lines(&bed.admin, HOME).await.unwrap(), lines(&bed.admin, HERE).await.unwrap());
    assert_eq!(bed.count("select count(*) from auth.audit_log_entries").await, before);
}

#[tokio::test]
async fn a_standby_refuses_both_calls_and_goes_on_when_it_takes_over() {
    let primary = Cluster::start().unwrap();
    let mut bed = Bed::new(&primary, "upstream").await;
    let mut alice = bed.sign_in(ALICE).await;
    let copied = copy(&mut bed, "upstream_copy").await;
    let standby = primary.start_standby(&[]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let follower = standby.connect("upstream", SUPERUSER).await.unwrap();
    let copy_there = standby.connect("upstream_copy", SUPERUSER).await.unwrap();
    for client in [&follower, &copy_there] {
        for call in [BECOME_NEW, TAKE_OVER, START] {
            assert_eq!(refused(client.batch_execute(call).await, "read_only").sqlstate, "25006");
        }
    }
    let found = async |client| check(client).await.into_iter().filter(|row| row.object == "auth.installation").count();
    assert_eq!((found(&follower).await, found(&copy_there).await), (0, 1));

    let home = lines(&bed.admin, HOME).await.unwrap();
    assert_eq!(text(&follower, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    goes_on("promoted", &follower, &mut alice).await;
    assert_eq!(lines(&follower, HOME).await.unwrap(), home);
    mints_nothing("a copy, promoted", &copy_there, &alice).await;
    // What is taken over there is nothing to the primary, which is another server by now.
    copy_there.batch_execute(TAKE_OVER).await.unwrap();
    refused(follower.batch_execute(START).await, COPY);
    bed.admin.batch_execute(START).await.unwrap();
    refused(copied.batch_execute(START).await, COPY);
}

#[tokio::test]
async fn who_took_over_is_told_of_the_installation_alone() {
    let mut bed = Bed::new(&CLUSTER, "one").await;
    let mut other = Bed::new(&CLUSTER, "another").await;
    let (mut alice, mut bob) = (bed.sign_in(ALICE).await, other.sign_in(BOB).await);
    let (one, another) = (copy(&mut bed, "one_copy").await, copy(&mut other, "another_copy").await);
    // Both at once, in one row of a catalog: the later one waits.
    one.batch_execute("begin; select auth.take_over_installation()").await.unwrap();
    let (first, second) = tokio::join!(
        async {
            let waits =
                "exists (select from pg_stat_activity where datname = 'another_copy' and wait_event_type = 'Lock')";
            bed.until(waits).await;
            one.batch_execute("commit").await
        },
        another.batch_execute(TAKE_OVER)
    );
    first.unwrap();
    second.unwrap();
    goes_on("one", &one, &mut alice).await;
    goes_on("another", &another, &mut bob).await;
    refused(bed.admin.batch_execute(START).await, COPY);
    refused(other.admin.batch_execute(START).await, COPY);
    other.admin.batch_execute(TAKE_OVER).await.unwrap();
    refused(bed.admin.batch_execute(START).await, COPY);
    one.batch_execute(START).await.unwrap();
    refused(another.batch_execute(START).await, COPY);
}

#[tokio::test]
async fn pg_upgrade_goes_on_with_what_lives_and_with_no_copy() {
    let mut cluster = Cluster::start().unwrap();
    let mut alice = {
        let mut bed = Bed::new(&cluster, "upgraded").await;
        let alice = bed.sign_in(ALICE).await;
        let staging = copy(&mut bed, "upgraded_staging").await;
        let taker = copy(&mut bed, "upgraded_taker").await;
        taker.batch_execute(TAKE_OVER).await.unwrap();
        let loser = copy(&mut bed, "upgraded_loser").await;
        for client in [&bed.admin, &staging, &loser] {
            refused(client.batch_execute(START).await, COPY);
        }
        alice
    };
    let system = "select system_identifier from pg_control_system()";
    let before = text(&cluster.connect("postgres", SUPERUSER).await.unwrap(), system).await.unwrap();
    cluster.upgrade().unwrap();

    let taker = cluster.connect("upgraded_taker", SUPERUSER).await.unwrap();
    assert_ne!(text(&taker, system).await.unwrap(), before, "it is the same cluster");
    assert_ne!(lines(&taker, HOME).await.unwrap(), lines(&taker, HERE).await.unwrap());
    goes_on("what had taken over", &taker, &mut alice).await;
    assert_eq!(lines(&taker, HOME).await.unwrap(), lines(&taker, HERE).await.unwrap());
    for database in ["upgraded", "upgraded_staging", "upgraded_loser"] {
        let client = cluster.connect(database, SUPERUSER).await.unwrap();
        mints_nothing(database, &client, &alice).await;
    }
    // And the way back is there.
    let first = cluster.connect("upgraded", SUPERUSER).await.unwrap();
    first.batch_execute(TAKE_OVER).await.unwrap();
    first.batch_execute(START).await.unwrap();
    refused(taker.batch_execute(START).await, COPY);
}
