//! Whoever asks at the coordinator is who asks on every node.

use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::sql::{lines, refused, text};

use crate::nodes::Nodes;

#[tokio::test]
async fn people_see_and_change_their_own_rows_on_every_shard() {
    let nodes = Nodes::new("handed_rows").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 10).await;
    nodes.write(&bob, 11, 15).await;
    let app = nodes.connect().await;
    // Nobody, without a session.
    assert_eq!(Nodes::seen(&app).await, Vec::<String>::new());

    for (session, own, other) in [(&alice, 1..=10, 11), (&bob, 11..=15, 1)] {
        let app = nodes.begin_as(session).await;
        let ids: Vec<String> = own.clone().map(|id| id.to_string()).collect();
        assert_eq!(Nodes::seen(&app).await, ids);
        // One shard, asked by its node alone.
        for id in own.clone() {
            assert_eq!(
                lines(&app, &format!("select body from notes where id = {id}")).await.unwrap(),
                [format!("note {id}")]
            );
        }
        assert_eq!(text(&app, &format!("select body from notes where id = {other}")).await.unwrap(), None);
        // What each node adds up.
        let count = text(&app, "select count(*) from notes").await.unwrap().unwrap();
        assert_eq!(count, ids.len().to_string());
        // INSERT … SELECT from node to node, and joins for which nodes send each other rows.
        app.batch_execute("insert into topics (name, topic_id) select topic, id from notes").await.unwrap();
        let joined =
            "select count(*) from notes join topics on notes.topic = topics.name where notes.id = topics.topic_id";
        assert_eq!(text(&app, joined).await.unwrap().unwrap(), count);
        // What is written is one's own.
        let changed = app.execute("update notes set body = 'changed' where id in (1, 11)", &[]).await.unwrap();
        assert_eq!(changed, 1);
        assert_eq!(
            app.execute("update notes set body = body || '!'", &[]).await.unwrap(),
            u64::try_from(ids.len()).unwrap()
        );
        let deleted =
            app.execute(&*format!("delete from notes where id in ({}, {other})", own.end()), &[]).await.unwrap();
        assert_eq!(deleted, 1);
        app.batch_execute("commit").await.unwrap();
        assert_eq!(Nodes::seen(&app).await, Vec::<String>::new());
    }
    let rows = "select count(*), count(distinct owner) from notes";
    assert_eq!(lines(&nodes.issuer.admin, rows).await.unwrap(), ["13|2"]);
}

#[tokio::test]
async fn another_person_and_nobody_are_handed_on_too() {
    let nodes = Nodes::new("handed_change").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 4).await;
    nodes.write(&bob, 5, 8).await;
    let app = nodes.begin_as(&alice).await;
    assert_eq!(Nodes::seen(&app).await, ["1", "2", "3", "4"]);
    set_session(&app, &bob.access_token, true).await.unwrap();
    assert_eq!(Nodes::seen(&app).await, ["5", "6", "7", "8"]);
    app.batch_execute("select auth.clear_session()").await.unwrap();
    assert_eq!(Nodes::seen(&app).await, Vec::<String>::new());
    set_session(&app, &alice.access_token, true).await.unwrap();
    assert_eq!(Nodes::seen(&app).await.len(), 4);
    // A visitor of PostgREST.
    app.batch_execute("set local request.headers = '{}'").await.unwrap();
    app.batch_execute("select auth.use_request_token()").await.unwrap();
    assert_eq!(Nodes::seen(&app).await, Vec::<String>::new());
    let headers = format!("set local request.headers = '{{\"authorization\": \"Bearer {}\"}}'", bob.access_token);
    app.batch_execute(&headers).await.unwrap();
    app.batch_execute("select auth.use_request_token()").await.unwrap();
    assert_eq!(Nodes::seen(&app).await, ["5", "6", "7", "8"]);
    app.batch_execute("commit").await.unwrap();
}

/// Citus forgets at the end of a savepoint what was set in it: new connections to nodes would have the session before.
#[tokio::test]
async fn what_citus_would_not_hand_on_is_refused() {
    let nodes = Nodes::new("handed_refused").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 4).await;
    let bobs = &bob.access_token;
    let app = nodes.connect().await;
    let error = refused(set_session(&app, bobs, false).await, "session_not_handed_on");
    assert_eq!(error.sqlstate, "WA524");
    assert!(error.detail.contains("local to a transaction"), "{error}");
    let block = format!(
        "do $$ begin begin perform auth.set_session('{bobs}'); exception when division_by_zero then null; end; end $$"
    );
    let set = format!("set local workos_auth.session_token = '{bobs}'");
    for (what, why) in [
        (format!("select auth.set_session('{bobs}')"), "savepoint"),
        ("select auth.clear_session()".to_owned(), "savepoint"),
        (block, "exception block"),
        (set.clone(), "SET statement"),
    ] {
        let app = nodes.begin_as(&alice).await;
        app.batch_execute("savepoint s").await.unwrap();
        let error = refused(app.batch_execute(&what).await, "session_not_handed_on");
        assert!(error.detail.contains(why), "{what}: {error}");
        assert!(!format!("{error:?}").contains(bobs), "{error:?}");
        app.batch_execute("rollback to s; release s").await.unwrap();
        assert_eq!(Nodes::seen(&app).await, ["1", "2", "3", "4"]);
    }
    // Nor is it taken from several statements in one message.
    refused(app.batch_execute(&format!("begin; {set}; select * from notes")).await, "session_not_handed_on");
    app.batch_execute("rollback").await.unwrap();
    // Where there is no session, there is none to take off.
    app.batch_execute("begin; savepoint s; select auth.clear_session(); release s; commit").await.unwrap();
}

#[tokio::test]
async fn a_session_that_postgres_takes_back_is_handed_on_again() {
    let nodes = Nodes::new("handed_back").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    nodes.write(&alice, 1, 4).await;
    // A hook has no session, and neither have its queries on other nodes.
    let admin = &nodes.issuer.admin;
    admin
        .batch_execute(
            "create function looks(document jsonb) returns jsonb language plpgsql as $$
             begin raise warning 'it sees % of %', (select count(*) from public.notes), auth.uid(); return document; end $$;
             create role looker login; alter function looks owner to looker; grant select on notes to looker;
             insert into auth.hooks (event, function) values ('token', 'public.looks')",
        )
        .await
        .unwrap();
    let config = nodes.issuer.cluster.config(&nodes.issuer.database, &nodes.app);
    let (app, notices) = workos_end_to_end::sql::connect_with_notices(&config).await.unwrap();
    admin.batch_execute(&format!("select auth.grant_sign_in('{}')", nodes.app)).await.unwrap();
    app.batch_execute("begin").await.unwrap();
    set_session(&app, &alice.access_token, true).await.unwrap();
    assert_eq!(Nodes::seen(&app).await.len(), 4);
    workos_end_to_end::bed::sign_in(&app, BOB).await;
    let words: Vec<String> = notices.take_warnings().into_iter().map(|warning| warning.message).collect();
    assert_eq!(words, ["it sees 0 of <NULL>"]);
    assert_eq!(Nodes::seen(&app).await.len(), 4);
    app.batch_execute("commit").await.unwrap();
}

#[tokio::test]
async fn as_user_shows_what_a_person_sees_on_every_node() {
    let nodes = Nodes::new("handed_as_user").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 4).await;
    nodes.write(&bob, 5, 6).await;
    let admin = nodes.issuer.superuser().await;
    admin.batch_execute("begin").await.unwrap();
    let act = format!("select auth.as_user('{}', as_role => '{}')", bob.user_id, nodes.app);
    admin.batch_execute(&act).await.unwrap();
    assert_eq!(Nodes::seen(&admin).await, ["5", "6"]);
    admin.batch_execute("rollback").await.unwrap();
}

/// Citus expands views, and sends other nodes the text of what functions run.
#[tokio::test]
async fn nobody_is_somebody_else_by_what_others_own() {
    let nodes = Nodes::new("handed_others").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 4).await;
    nodes.write(&bob, 5, 8).await;
    let bobs = &bob.access_token;
    let own = |sql: &str| sql.replace("BOB", bobs);
    let admin = &nodes.issuer.admin;
    for statement in [
        "create table pub (id bigint primary key)",
        "select create_distributed_table('pub', 'id')",
        "insert into pub select generate_series(1, 20)",
        "create view pushed as select id from pub where auth.set_session('BOB') is not null",
        "create view pulled as with c as materialized (select count(*) as n from pub)
         select n, auth.set_session('BOB') ->> 'sub' as sub from c",
        "create function below(bigint) returns bigint language plpgsql as
         $$ begin perform auth.set_session('BOB') from pub where id = 1; return $1; end $$",
        "create function by_text() returns void language plpgsql as $f$ begin
         execute $e$set local a.b = '1'; set local workos_auth.session_token = 'BOB'$e$; end $f$",
        "create function quoted() returns void language plpgsql as $f$ begin
         perform set_config('standard_conforming_strings', 'off', true);
         execute $e$set local a.b = 'x\\'; set local workos_auth.session_token = $q$BOB$q$; --'$e$; end $f$",
    ] {
        admin.batch_execute(&own(statement)).await.unwrap();
    }
    admin.batch_execute(&format!("grant select on pub, pushed, pulled to {}", nodes.app)).await.unwrap();
    let mut went = 0;
    for query in [
        "select count(*) from pushed",
        "select id from pushed where id = 3",
        "select * from pulled",
        "select below(1)",
        "select below(id) from notes",
        "select by_text()",
        "select quoted()",
    ] {
        let app = nodes.begin_as(&alice).await;
        // It is refused, and the transaction is over, or goes without an effect.
        if app.query(query, &[]).await.is_err() {
            continue;
        }
        went += 1;
        assert_eq!(Nodes::seen(&app).await, ["1", "2", "3", "4"], "{query}");
        assert_eq!(app.execute("update notes set body = 'hers'", &[]).await.unwrap(), 4, "{query}");
        let uid = text(&app, "select auth.uid()").await.unwrap();
        assert_eq!(uid, Some(alice.user_id.to_string()), "{query}");
        app.batch_execute("commit").await.unwrap();
    }
    // To this node that is a single SET; the text is another one to the next.
    assert_eq!(went, 1);
}

/// There are ways past auth.set_session: no query goes to other nodes then.
#[tokio::test]
async fn a_query_that_nodes_would_run_for_somebody_else_is_refused() {
    let nodes = Nodes::new("handed_apart").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let bob = nodes.issuer.sign_in(BOB).await;
    nodes.write(&alice, 1, 4).await;
    let own = |sql: &str| sql.replace("BOB", &bob.access_token);
    for statement in [
        "create function taken_back() returns void language plpgsql set workos_auth.session_token = ''
         as $$ begin perform auth.set_session('BOB'); end $$",
        "create function counted() returns bigint language plpgsql set workos_auth.session_token = ''
         as $$ begin return (select count(*) from notes); end $$",
    ] {
        nodes.issuer.admin.batch_execute(&own(statement)).await.unwrap();
    }
    for way in [
        "select taken_back()",
        "set workos_auth.session_token = ''",
        "savepoint s; reset workos_auth.session_token; release s",
        "set local citus.propagate_set_commands = 'none'; select auth.set_session('BOB')",
        "set local citus.propagate_set_commands = 'none'; select auth.clear_session()",
    ] {
        let app = nodes.begin_as(&alice).await;
        app.batch_execute(&own(way)).await.unwrap();
        for query in [
            "select * from notes",
            "select * from notes where id = 1",
            "select count(*) from notes",
            "delete from notes",
        ] {
            app.batch_execute("savepoint q").await.unwrap();
            refused(app.query(query, &[]).await, "session_not_handed_on");
            app.batch_execute("rollback to q").await.unwrap();
        }
    }
    let app = nodes.begin_as(&alice).await;
    refused(app.query("select counted()", &[]).await, "session_not_handed_on");
    // Where nothing is handed on, nobody reads without being known.
    let app = nodes.connect().await;
    app.batch_execute("set citus.propagate_set_commands = 'none'; begin").await.unwrap();
    set_session(&app, &alice.access_token, true).await.unwrap();
    refused(app.query("select * from notes", &[]).await, "session_not_handed_on");
}

#[tokio::test]
async fn parallel_workers_of_the_coordinator_have_the_session() {
    let nodes = Nodes::new("handed_parallel").await;
    let alice = nodes.issuer.sign_in(ALICE).await;
    let admin = &nodes.issuer.admin;
    let table = "create table here as select g from generate_series(1, 50000) as g; analyze here";
    admin.batch_execute(table).await.unwrap();
    admin.batch_execute(&format!("grant select on here to {}", nodes.app)).await.unwrap();
    let app = nodes.begin_as(&alice).await;
    let parallel = "set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0;
        set local min_parallel_table_scan_size = 0";
    for statement in parallel.split(';') {
        app.batch_execute(statement).await.unwrap();
    }
    let query = format!("select count(*) from here where auth.uid() = '{}' and g % 2 = 0", alice.user_id);
    let plan = lines(&app, &format!("explain (analyze, costs off, timing off, summary off) {query}")).await.unwrap();
    assert!(plan.iter().any(|line| line.contains("Workers Launched: 2")), "{plan:?}");
    assert_eq!(text(&app, &query).await.unwrap().as_deref(), Some("25000"));
}
