//! The look at the session's row: what it costs, and that nothing which happens to the table makes it err.

use std::cell::Cell;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, is_good, reader, set_session};
use workos_end_to_end::case;
use workos_end_to_end::parallel::{CREATE_PROCESS, force_parallel};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::Cluster;

#[tokio::test]
async fn a_table_that_is_written_anew_keeps_its_sessions() {
    let bed = Bed::shared("rewritten").await;
    let app = bed.role("app", "").await;
    let mut session = bed.sign_in(ALICE).await;
    let reader = reader(&bed, &app, &session).await;
    for maintenance in [
        "vacuum auth.sessions",
        "vacuum full auth.sessions",
        "vacuum (freeze, analyze) auth.sessions",
        "reindex table auth.sessions",
        "reindex table concurrently auth.sessions",
        "cluster auth.sessions using sessions_pkey",
        "alter table auth.sessions set (fillfactor = 50)",
        "alter table auth.sessions add column further text",
        "alter table auth.sessions drop column further",
        "reindex table concurrently auth.signing_keys",
        "vacuum full auth.signing_keys",
        "vacuum full auth.installation",
    ] {
        is_good(&reader, &session).await;
        bed.admin.batch_execute(maintenance).await.unwrap();
        is_good(&reader, &session).await;
        bed.admin.execute("delete from auth.sessions where id = $1", &[&session.session_id]).await.unwrap();
        refused(reader.batch_execute("select auth.uid()").await, "session_not_found");
        session = bed.sign_in(ALICE).await;
        set_session(&reader, &session.access_token, false).await.unwrap();
    }
}

#[tokio::test]
async fn a_storm_of_refreshes_never_makes_a_live_session_look_dead() {
    const STATEMENTS: usize = 2_000;
    const TRANSACTIONS: usize = 6_000;
    let bed = Bed::shared("storm").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let (id, uid) = (session.session_id, session.user_id);
    let refresh = format!(
        "update auth.sessions set refresh_token_counter = refresh_token_counter + 1, updated_at = clock_timestamp() where id = '{id}'"
    );
    // An indexed column: a new entry in every index.
    let moved = format!("update auth.sessions set not_after = not_after + interval '1 millisecond' where id = '{id}'");
    let undone = format!("begin; select from auth.sessions where id = '{id}' for update; {refresh}; rollback");
    let passing = "with s as (select * from auth.sessions limit 1) insert into auth.sessions (id, user_id, aal) select gen_random_uuid(), user_id, 'passing' from s;
        delete from auth.sessions where aal = 'passing'";
    let over = Cell::new(false);
    let writers = [
        vec![refresh.as_str()],
        vec![&refresh, &moved],
        vec![&moved],
        vec![&undone],
        vec![passing],
        vec!["vacuum auth.sessions", "reindex table concurrently auth.sessions"],
    ];
    let writing = join_all(writers.iter().map(async |statements| {
        let client = bed.superuser().await;
        while !over.get() {
            for statement in statements {
                client.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
            }
        }
    }));
    let reading = join_all(["read committed", "repeatable read", "serializable"].into_iter().map(async |level| {
        let (one, other) = (reader(&bed, &app, &session).await, reader(&bed, &app, &session).await);
        for client in [&one, &other] {
            client.batch_execute(&format!("set default_transaction_isolation = '{level}'")).await.unwrap();
        }
        // A look for each transaction, as fast as it goes.
        let fast = format!(
            "do $$ begin for i in 1..{TRANSACTIONS} loop
                 if auth.uid() is distinct from '{uid}' then raise 'nobody'; end if; commit;
             end loop; end $$"
        );
        let slow = async {
            for at in 0..STATEMENTS {
                // By themselves, and in a transaction whose snapshot is an old one.
                match at % 200 {
                    100 => one.batch_execute("begin").await.unwrap(),
                    199 => one.batch_execute("commit").await.unwrap(),
                    _ => is_good(&one, &session).await,
                }
            }
        };
        tokio::join!(async { other.batch_execute(&fast).await.unwrap() }, slow);
    }));
    tokio::join!(writing, async {
        reading.await;
        over.set(true);
    });
    let counter = bed.count(&format!("select refresh_token_counter from auth.sessions where id = '{id}'")).await;
    let [hot, others, vacuums] = ["n_tup_hot_upd", "n_tup_upd - n_tup_hot_upd", "vacuum_count"];
    assert!(counter > 200, "only {counter} refreshes");
    for (what, least) in [(hot, 200), (others, 200), (vacuums, 2)] {
        let sql = format!("select {what} from pg_stat_user_tables where relid = 'auth.sessions'::regclass");
        at_least(&bed, &sql, least).await;
    }
}

/// A statistic reaches this number: statistics come with delay.
async fn at_least(bed: &Bed<'_>, sql: &str, least: i64) {
    for _ in 0..200 {
        if bed.count(sql).await >= least {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{sql}: {} < {least}", bed.count(sql).await);
}

/// How often the session's row is looked up while this transaction has been running.
async fn looked_up(client: &Client) -> i64 {
    let sql = "select coalesce(idx_scan, 0) from pg_stat_xact_user_tables where relid = to_regclass('auth.sessions')";
    text(client, sql).await.unwrap().unwrap().parse().unwrap()
}

/// Nothing is looked at twice while nobody has written anything in the whole cluster, and everything is as soon as somebody has.
#[tokio::test]
async fn the_row_is_looked_at_again_when_anything_was_written() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "looks").await;
    let app = bed.role("app", "").await;
    let session = bed.sign_in(ALICE).await;
    let reader = reader(&bed, &app, &session).await;
    bed.admin.batch_execute("create table unrelated (number integer)").await.unwrap();
    let mut fewest = i64::MAX;
    for level in ["read committed", "repeatable read", "serializable"] {
        reader.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
        is_good(&reader, &session).await;
        for write in [
            "insert into unrelated values (1)",
            "update unrelated set number = 2",
            "begin; delete from unrelated; rollback",
        ] {
            let before = looked_up(&reader).await;
            bed.admin.batch_execute(write).await.unwrap();
            is_good(&reader, &session).await;
            let after = looked_up(&reader).await;
            assert!(after > before, "{level}, {write}: {after}");
            for _ in 0..20 {
                is_good(&reader, &session).await;
            }
            // Autovacuum may have come by.
            fewest = fewest.min(looked_up(&reader).await - after);
        }
        reader.batch_execute("commit").await.unwrap();
    }
    assert_eq!(fewest, 0);
}

#[tokio::test]
async fn a_statement_looks_once_whatever_it_reads_and_not_at_all_where_that_is_off() {
    let bed = Bed::shared("costs").await;
    let app = bed.role("app", "").await;
    bed.admin
        .batch_execute(&format!(
            "create table rows (owner uuid) with (parallel_workers = 2); insert into rows select gen_random_uuid() from generate_series(1, 2000);
             create table written (number integer); {CREATE_PROCESS}
             create function asks() returns uuid language plpgsql as $$ begin return auth.uid(); end $$; grant select on rows to {app}"
        ))
        .await
        .unwrap();
    let session = bed.sign_in(ALICE).await;
    // Or there would be nothing new to see.
    let write = async || bed.admin.batch_execute("insert into written values (1)").await.unwrap();
    let statements = [
        ("select 1", 0),
        ("select auth.uid()", 1),
        ("select auth.uid(), auth.jwt(), auth.has_role('admin'), (select auth.email()) from rows", 1),
        ("select count(*) from rows where owner = auth.uid() or auth.in_group('none')", 1),
        ("select count(asks()) from rows", 1),
        (
            "do $$ begin for i in 1..100 loop perform auth.uid() from public.rows limit 3; perform auth.email(); end loop; end $$",
            1,
        ),
        ("declare c cursor for select auth.uid() from rows", 0),
        ("fetch 10 c", 1),
        ("fetch 10 c", 1),
    ];
    for (checks, factor) in [("on", 1), ("off", 0)] {
        case!(checks, factor);
        bed.set("workos_auth.check_sessions", checks).await;
        let client = reader(&bed, &app, &session).await;
        client.batch_execute("begin").await.unwrap();
        for (statement, expected) in statements {
            let before = looked_up(&client).await;
            write().await;
            client.batch_execute(statement).await.unwrap();
            assert_eq!(looked_up(&client).await - before, factor * expected, "{checks}: {statement}");
        }
        // By the extended protocol the planner, which looks at what it plans for, comes with a message of its own.
        for (statement, most) in
            [("select auth.uid() from rows", 1), ("select owner from rows where owner = auth.uid()", 2)]
        {
            let before = looked_up(&client).await;
            write().await;
            client.query_typed(statement, &[]).await.unwrap();
            let looks = looked_up(&client).await - before;
            assert!((factor..=factor * most).contains(&looks), "{checks}: {statement}: {looks}");
        }
        client.batch_execute("commit").await.unwrap();

        // Each worker looks for itself, and once.
        let scans =
            "select coalesce(idx_scan, 0) from pg_stat_user_indexes where indexrelid = 'auth.sessions_pkey'::regclass";
        let settled = async || {
            for connection in [&client, &bed.admin] {
                connection.batch_execute("select pg_stat_force_next_flush()").await.unwrap();
            }
            bed.count(scans).await
        };
        force_parallel(&client).await;
        let before = settled().await;
        write().await;
        let processes =
            lines(&client, "select distinct process(), auth.uid(), auth.email() from rows").await.unwrap().len();
        assert!((1..=2).contains(&processes));
        assert_eq!(settled().await - before, factor * processes as i64, "{checks}");
    }
}
