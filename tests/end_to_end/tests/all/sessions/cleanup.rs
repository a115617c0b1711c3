//! The clean-up: what is over goes, in bounded batches, waiting for nobody; and pg_cron, which calls it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, sign_in, start};
use workos_end_to_end::case;
use workos_end_to_end::documents::Document;
use workos_end_to_end::sql::{lines, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

const PATIENCE: Duration = Duration::from_secs(60);

async fn cleanup(client: &Client, batch: i32) -> i64 {
    client.query_one("select auth.cleanup($1)", &[&batch]).await.unwrap_or_else(|error| panic!("{error:?}")).get(0)
}

/// Flows, sessions and audit entries, so many.
async fn left(bed: &Bed<'_>) -> [i64; 3] {
    let mut counts = [0; 3];
    for (count, table) in counts.iter_mut().zip(["flow_states", "sessions", "audit_log_entries"]) {
        *count = bed.count(&format!("select count(*) from auth.{table}")).await;
    }
    counts
}

/// So many flows, sessions and audit entries that expired an hour ago, or were then of that age.
async fn plant(bed: &Bed<'_>, how_many: i64, age: &str) {
    let sql = format!(
        "insert into auth.flow_states (id, state_hash, upstream_verifier, data_key_id, client_id, api_url, provider, expires_at)
             select gen_random_uuid(), sha256(gen_random_uuid()::text::bytea), '', (select min(id) from auth.data_keys), 'c', 'u', 'p', now() - interval '{age}'
             from generate_series(1, {how_many});
         insert into auth.sessions (id, not_after, refresh_token_salt) select gen_random_uuid(), now() - interval '{age}', '' from generate_series(1, {how_many});
         insert into auth.audit_log_entries (action, created_at) select 'old', now() - interval '{age}' from generate_series(1, {how_many})"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

async fn operator(bed: &Bed<'_>) -> Client {
    let role = bed.role("operator", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&role]).await.unwrap();
    bed.connect(&role).await
}

#[tokio::test]
async fn what_is_over_goes_and_what_lives_stays() {
    let bed = Bed::shared("over").await;
    // The data keys, which flows reference.
    bed.sign_in(ALICE).await;
    let operator = operator(&bed).await;
    bed.admin.batch_execute("truncate auth.sessions, auth.audit_log_entries").await.unwrap();
    assert_eq!(cleanup(&operator, 1000).await, 0);
    plant(&bed, 25, "1 minute").await;
    plant(&bed, 3, "-1 minute").await;
    bed.admin.batch_execute("insert into auth.sessions (id) values (gen_random_uuid())").await.unwrap();
    assert_eq!(left(&bed).await, [28, 29, 28]);

    // At most so many of each, the oldest first.
    assert_eq!(cleanup(&operator, 10).await, 20);
    assert_eq!(left(&bed).await, [18, 19, 28]);
    operator.batch_execute("begin").await.unwrap();
    assert_eq!(cleanup(&operator, 100_000).await, 30);
    operator.batch_execute("rollback").await.unwrap();
    assert_eq!(left(&bed).await, [18, 19, 28]);
    assert_eq!(text(&operator, "select auth.cleanup()").await.unwrap().as_deref(), Some("30"));
    assert_eq!(left(&bed).await, [3, 4, 28], "without a setting the audit log is kept for ever");
    assert_eq!(cleanup(&operator, 1).await, 0);
}

#[tokio::test]
async fn idle_sessions_go_where_a_timeout_is_set() {
    let bed = Bed::shared("idle").await;
    let session = bed.sign_in(ALICE).await;
    let operator = operator(&bed).await;
    let sessions = "insert into auth.sessions (id, created_at, refreshed_at, refresh_token_salt, not_after) values
        (gen_random_uuid(), now() - interval '2 h', null, '', now() + interval '1 d'),
        (gen_random_uuid(), now() - interval '2 d', now() - interval '90 min', '', null),
        (gen_random_uuid(), now() - interval '2 d', now() - interval '59 min', '', now() + interval '1 d'),
        (gen_random_uuid(), now() - interval '2 h', null, null, now() + interval '1 d')";
    bed.admin.batch_execute(sessions).await.unwrap();
    assert_eq!(cleanup(&operator, 1000).await, 0);
    refused_as(operator.batch_execute("set workos_auth.session_idle_timeout = '1h'").await, "42501");
    bed.set("workos_auth.session_idle_timeout", "1h").await;
    let client = bed.superuser().await;
    assert_eq!(text(&client, "show workos_auth.session_idle_timeout").await.unwrap().as_deref(), Some("1h"));
    assert_eq!([cleanup(&client, 1).await, cleanup(&client, 1000).await, cleanup(&client, 1000).await], [1, 1, 0]);
    let kept =
        "select count(*) from auth.sessions where refreshed_at > now() - interval '1 h' or refresh_token_salt is null";
    assert_eq!((bed.count(kept).await, left(&bed).await[1]), (2, 3));
    client.execute("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
}

/// A look at a part of the table, by chance another one each time: nothing reads all of it, and in the end everything was looked at.
#[tokio::test]
async fn idle_sessions_are_found_without_reading_the_table() {
    const SESSIONS: i64 = 20_000;
    let bed = Bed::shared("idle_many").await;
    bed.sign_in(ALICE).await;
    bed.set("workos_auth.session_idle_timeout", "1h").await;
    let insert = format!(
        "insert into auth.sessions (id, created_at, refresh_token_salt, not_after)
             select gen_random_uuid(), now() - case when i % 1000 = 0 then interval '2 h' else interval '1 min' end, '', now() + interval '1 d'
             from generate_series(1, {SESSIONS}) as i"
    );
    bed.admin.batch_execute(&insert).await.unwrap();
    let client = bed.superuser().await;
    for analyzed in [false, true] {
        if analyzed {
            bed.admin.batch_execute("analyze auth.sessions").await.unwrap();
        }
        client.batch_execute("begin").await.unwrap();
        cleanup(&client, 10).await;
        let read = "select seq_scan, seq_tup_read, coalesce(idx_tup_fetch, 0) from pg_stat_xact_user_tables where relid = 'auth.sessions'::regclass";
        let row = client.query_one(read, &[]).await.unwrap();
        client.batch_execute("rollback").await.unwrap();
        let (scans, read, fetched): (i64, i64, i64) = (row.get(0), row.get(1), row.get(2));
        assert_eq!(scans, 0, "analyzed: {analyzed}");
        assert!(read > 0 && read < SESSIONS / 10, "{read} rows were read, analyzed: {analyzed}");
        assert!(fetched < 200, "{fetched} rows were fetched by an index, analyzed: {analyzed}");
    }
    let mut removed = 0;
    for _ in 0..1_000 {
        removed += cleanup(&client, 100).await;
        if removed == SESSIONS / 1000 {
            break;
        }
    }
    assert_eq!(removed, SESSIONS / 1000);
    assert_eq!(left(&bed).await[1], SESSIONS - removed + 1);
}

#[tokio::test]
async fn the_audit_log_is_kept_as_long_as_the_setting_says_and_is_nobodys_to_change() {
    let bed = Bed::shared("retention").await;
    bed.sign_in(ALICE).await;
    let operator = operator(&bed).await;
    let backend = bed.backend().await;
    let writer = bed.role("writer", "in role pg_read_all_data, pg_write_all_data").await;
    let writer = bed.connect(&writer).await;
    plant(&bed, 5, "91 days").await;
    plant(&bed, 5, "89 days").await;
    let entries = bed.count("select count(*) from auth.audit_log_entries").await;

    // Nobody holds the rights but the owner, whom nobody can be; and who may write every table finds no row in this one.
    let holders = "select r.rolname from pg_roles r where not r.rolsuper and r.rolname not in ('workos_auth_owner')
        and (has_table_privilege(r.oid, 'auth.audit_log_entries', 'update, delete, truncate')
             or has_any_column_privilege(r.oid, 'auth.audit_log_entries', 'update'))
        and r.rolname <> 'pg_write_all_data' and not pg_has_role(r.oid, 'pg_write_all_data', 'member')";
    assert_eq!(lines(&bed.admin, holders).await.unwrap(), [""; 0]);
    let can_be_owner = "select rolname from pg_roles where not rolsuper and rolname <> 'workos_auth_owner' and pg_has_role(oid, 'workos_auth_owner', 'member')";
    assert_eq!(lines(&bed.admin, can_be_owner).await.unwrap(), [""; 0]);
    for change in ["update auth.audit_log_entries set action = 'x'", "delete from auth.audit_log_entries"] {
        for client in [&operator, &backend] {
            refused_as(client.batch_execute(change).await, "42501");
        }
        assert_eq!(writer.execute(change, &[]).await.unwrap(), 0, "{change}");
    }
    // Whoever may clean up does not say how long things are kept: not before the library is loaded, nor after.
    operator.batch_execute("set workos_auth.audit_retention = '1s'").await.unwrap();
    assert_eq!(cleanup(&operator, 1).await, 2);
    refused_as(operator.batch_execute("set workos_auth.audit_retention = '1s'").await, "42501");
    assert_eq!(cleanup(&bed.admin, 1000).await, 18, "flows and sessions alone");
    assert_eq!(left(&bed).await, [0, 1, entries]);

    bed.set("workos_auth.audit_retention", "90d").await;
    let client = bed.superuser().await;
    assert_eq!(text(&client, "show workos_auth.audit_retention").await.unwrap().as_deref(), Some("90d"));
    assert_eq!([cleanup(&client, 2).await, cleanup(&client, 1000).await, cleanup(&client, 1000).await], [2, 3, 0]);
    let oldest =
        "select count(*) from auth.audit_log_entries where action = 'old' and created_at > now() - interval '90 days'";
    assert_eq!((bed.count(oldest).await, left(&bed).await[2]), (5, entries - 5));
}

#[tokio::test]
async fn it_waits_for_nobody_and_nobody_waits_for_it() {
    let bed = Bed::shared("waits").await;
    bed.sign_in(ALICE).await;
    let operator = operator(&bed).await;
    plant(&bed, 10, "1 minute").await;
    let holder = bed.superuser().await;
    holder.batch_execute("begin").await.unwrap();
    for (table, end) in [("flow_states", "expires_at"), ("sessions", "not_after")] {
        case!(table, end);
        let sql = format!("select from auth.{table} where {end} < now() limit 4 for update");
        assert_eq!(holder.query(&sql, &[]).await.unwrap().len(), 4);
    }
    // What is held is left for the next time; a small batch is filled with others.
    for (batch, expected) in [(2, 4), (1000, 8), (1000, 0)] {
        let removed = tokio::time::timeout(PATIENCE, cleanup(&operator, batch)).await.expect("it waits");
        assert_eq!(removed, expected, "{batch}");
    }
    holder.batch_execute("commit").await.unwrap();
    assert_eq!(cleanup(&operator, 1000).await, 8);

    // An open clean-up locks the rows it removes and no other: sign-ins go on beside it.
    plant(&bed, 10, "1 minute").await;
    let backend = bed.backend().await;
    operator.batch_execute("begin").await.unwrap();
    assert!(cleanup(&operator, 1000).await >= 20);
    let beside = tokio::time::timeout(PATIENCE, async {
        sign_in(&backend, ALICE).await;
        cleanup(&bed.admin, 1000).await
    });
    assert_eq!(beside.await.expect("it waits"), 0);
    operator.batch_execute("commit").await.unwrap();
}

#[tokio::test]
async fn sign_ins_go_on_beside_it() {
    const ROUNDS: usize = 8;
    let bed = Bed::shared("beside").await;
    bed.sign_in(ALICE).await;
    plant(&bed, 300, "1 minute").await;
    let people = [ALICE, ANNA, BOB];
    let (mut backends, mut cleaners) = (Vec::new(), Vec::new());
    for _ in people {
        backends.push(bed.backend().await);
        cleaners.push(bed.superuser().await);
    }
    let signing_in = join_all(backends.iter().zip(people).map(async |(backend, person)| {
        for _ in 0..ROUNDS {
            let session = exchange(backend, &start(backend, person).await).await.unwrap();
            backend.execute("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
        }
    }));
    let cleaning = join_all(cleaners.iter().map(async |cleaner| {
        let mut removed = 0;
        for _ in 0..10 * ROUNDS {
            removed += cleanup(cleaner, 2).await;
        }
        removed
    }));
    let (_, removed) = tokio::join!(signing_in, cleaning);
    // Starting a sign-in removes expired ones too.
    let flows_of_starts = 600 - removed.iter().sum::<i64>() - cleanup(&bed.admin, 1000).await;
    assert!((0..=2 * 3 * ROUNDS as i64).contains(&flows_of_starts), "{flows_of_starts}");
    let [flows, sessions, _] = left(&bed).await;
    assert_eq!((flows, sessions), (0, 1 + 3 * ROUNDS as i64));
}

/// The page's example, which is not run with its other SQL: it needs a server that was started for it.
#[tokio::test]
async fn pg_cron_calls_it_as_the_page_says() {
    let page = Document::read("docs/administration.md");
    let example = page.block("sql cron");
    assert!(example.contains("cron.schedule") && example.contains("auth.cleanup"), "{example}");
    let settings = page.block("ini cron").replace("'app'", "'scheduled'");
    let settings: Vec<&str> = settings.lines().collect();
    assert!(settings.iter().any(|line| line.contains("'scheduled'")), "{settings:?}");
    let cluster = Cluster::start_with(&settings).expect("a server with pg_cron; make setup-tests installs it");
    let bed = Bed::new(&cluster, "scheduled").await;
    bed.sign_in(ALICE).await;
    plant(&bed, 20, "1 minute").await;
    bed.admin.batch_execute(&example).await.unwrap();

    // Once a minute.
    let deadline = Instant::now() + 3 * PATIENCE;
    while bed.count("select count(*) from auth.sessions").await > 1 {
        let said = lines(&bed.admin, "select status, return_message from cron.job_run_details").await.unwrap();
        assert!(!said.iter().any(|run| run.starts_with("failed")), "{said:?}");
        assert!(Instant::now() < deadline, "it was not run: {said:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(left(&bed).await[..2], [0, 1]);
    let jobs = "select username from cron.job where command ~ 'auth.cleanup'";
    assert_eq!(lines(&bed.admin, jobs).await.unwrap(), [SUPERUSER]);
}
