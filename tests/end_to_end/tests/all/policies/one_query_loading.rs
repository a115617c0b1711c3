//! One query, one identity, also in the query that is the first to need the library, which no hook saw begin: PL/pgSQL reads the
//! claims, so that planning does not load it.

use futures_util::TryStreamExt;
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB};
use workos_end_to_end::meanwhile::STAND_STILL;
use workos_end_to_end::sql::{lines, refused};

const SCHEMA: &str = "
create table tokens (who text primary key, token text not null, id uuid not null);
create table docs (id int primary key, owner uuid not null);
create table notes (id int, owner uuid);
create function me() returns uuid language plpgsql as 'begin return auth.uid(); end';
create function become(who text) returns boolean language plpgsql as $$
    begin execute format('set local workos_auth.session_token = %L', (select t.token from public.tokens t where t.who = become.who)); return true; end $$;
alter table docs enable row level security;
create policy own on docs using (owner = me());
create function mixes_sql() returns text language sql as $$ select concat_ws(' ', me(), become('bob'), me()) from (values (1)) v $$;
create function mixes_sql_rows() returns setof uuid language sql as $$ select me() from generate_series(1, 2) n where n = 1 or become('bob') $$;
create function mixes_plpgsql() returns text language plpgsql as $$
    begin return (select concat_ws(' ', me(), become('bob'), me())); end $$;
create function me_and_on() returns uuid language plpgsql as $$
    begin begin perform me(); raise 'x'; exception when raise_exception then return null; end; end $$;
create function me_by_query_and_on() returns uuid language plpgsql as $$
    begin begin perform count(*) from docs where owner = me(); raise 'x'; exception when raise_exception then return null; end; end $$;
create function me_twice_and_on() returns uuid language plpgsql as $$
    begin begin begin perform me(); raise 'x'; exception when raise_exception then raise 'y'; end; exception when raise_exception then return null; end; end $$;
create function on_note() returns trigger language plpgsql as $$
    begin new.owner := me(); perform become('bob'); return new; end $$;
create function after_note() returns trigger language plpgsql as $$
    begin assert me() is not null; perform become('bob'); return null; end $$;
create table noted (like notes);
create trigger note before insert on noted for each row execute function on_note();
create table told (like notes);
create trigger tell after insert on told for each row execute function after_note();
grant select, insert, update on all tables in schema public to public";

struct Two {
    bed: Bed<'static>,
    role: String,
    alice: (String, String),
    bob: (String, String),
}

/// Alice's and Bob's ids and tokens; each has two documents.
async fn two(name: &str) -> Two {
    let bed = Bed::shared(name).await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    bed.admin.batch_execute(SCHEMA).await.unwrap();
    for (at, (who, session)) in [("alice", &alice), ("bob", &bob)].into_iter().enumerate() {
        let insert = "insert into tokens values ($1, $2, $3)";
        bed.admin.execute(insert, &[&who, &session.access_token, &session.user_id]).await.unwrap();
        let insert = "insert into docs select 10 * $1 + n, $2 from generate_series(1, 2) as n";
        bed.admin.execute(insert, &[&i32::try_from(at).unwrap(), &session.user_id]).await.unwrap();
    }
    let role = bed.role("app", "").await;
    let schema = format!("create schema own authorization {role}; create sequence own.of_{role}");
    bed.admin.batch_execute(&schema).await.unwrap();
    let [alice, bob] = [alice, bob].map(|session| (session.user_id.to_string(), session.access_token));
    Two { bed, role, alice, bob }
}

impl Two {
    /// A connection that has not loaded the library, in a transaction with Alice's token in the setting.
    async fn fresh(&self) -> Client {
        let client = self.bed.connect(&self.role).await;
        let begin = format!("begin; set local workos_auth.session_token = '{}'", self.alice.1);
        client.batch_execute(&begin).await.unwrap();
        client
    }
}

/// What reads as Alice and goes on as Bob.
const MIXED: &str = "select n, me(), become('bob'), me() as again from generate_series(1, 2) n";

#[tokio::test]
async fn whatever_statement_loads_the_library_reads_as_one_person() {
    let two = two("loading_each").await;
    let explain = format!("explain analyze {MIXED}");
    let taken = format!("create temporary table taken as {MIXED}");
    let selected = format!("select * into temporary taken from ({MIXED}) m");
    let view = format!("create materialized view own.seen as {MIXED}");
    let in_block = format!("do $$ begin perform * from ({MIXED} offset 0) m; end $$");
    let prepared = format!("prepare mixed as {MIXED}; execute mixed");
    let taken_prepared = format!("prepare mixed as {MIXED}; create temporary table taken as execute mixed");
    let explained_prepared = format!("prepare mixed as {MIXED}; explain analyze execute mixed");
    let explained_taken = format!("explain analyze create temporary table taken as {MIXED}");
    let held = format!("declare c cursor with hold for {MIXED}; commit");
    // All are tried, so that a failure names each statement that two people read.
    let mut mixed = Vec::new();
    let with = format!("with m as materialized ({MIXED}) select * from m");
    for (what, script) in [
        ("a SELECT", MIXED),
        ("WITH", &*with),
        ("CREATE TABLE AS", &*taken),
        ("SELECT INTO", &*selected),
        ("EXPLAIN ANALYZE", &*explain),
        ("EXPLAIN ANALYZE of CREATE TABLE AS", &*explained_taken),
        ("CREATE MATERIALIZED VIEW", &*view),
        ("a query in DO", &*in_block),
        ("EXECUTE", &*prepared),
        ("CREATE TABLE AS EXECUTE", &*taken_prepared),
        ("EXPLAIN ANALYZE EXECUTE", &*explained_prepared),
        ("a cursor that is held", &*held),
        (
            "INSERT … SELECT",
            "insert into notes select n, me() from generate_series(1, 2) n where n = 1 or become('bob')",
        ),
        ("RETURNING", "insert into notes select n from generate_series(1, 2) n returning me(), become('bob'), me()"),
        ("UPDATE", "update tokens set who = who where me() is not null and become('bob') and me() is not null"),
        ("a policy", "select id, become('bob') from docs"),
        ("a policy twice", "select (select count(*) from docs), become('bob'), (select count(*) from docs)"),
        ("VALUES", "values (me()), (case when become('bob') then me() end)"),
        ("a BEFORE trigger", "insert into noted values (1), (2)"),
        ("an AFTER trigger", "insert into told values (1), (2)"),
        ("an SQL function", "select mixes_sql()"),
        ("an SQL function with rows", "select * from mixes_sql_rows()"),
        ("an SQL function with rows, one at a time", "select mixes_sql_rows()"),
        ("an SQL function in an expression of DO", "do $$ declare t text; begin t := mixes_sql(); end $$"),
        ("a PL/pgSQL function", "select mixes_plpgsql()"),
        ("a PL/pgSQL function in an expression of DO", "do $$ declare t text; begin t := mixes_plpgsql(); end $$"),
        (
            "a query around a function",
            "select mine, become('bob'), me() from (select mixes as mine from (select (select me()) as mixes) a) b",
        ),
        ("EXECUTE in DO", "do $$ declare r record; begin execute 'select me(), become(''bob''), me()' into r; end $$"),
        ("a block with EXCEPTION before it", "select me_and_on(), become('bob'), me()"),
        ("a query in a block with EXCEPTION", "select me_by_query_and_on(), become('bob'), me()"),
        ("two blocks with EXCEPTION", "select me_twice_and_on(), become('bob'), me()"),
        ("a block with EXCEPTION below a policy", "select me_and_on(), become('bob'), (select count(*) from docs)"),
        (
            "a cursor",
            "declare c cursor for select me() from generate_series(1, 2); fetch 1 from c; select become('bob'); fetch 1 from c",
        ),
        (
            "a cursor that goes on at once",
            "declare c cursor for select me(), become('bob') from generate_series(1, 2); fetch 2 from c",
        ),
        (
            "a cursor in PL/pgSQL",
            "do $$ declare c cursor for select me() from generate_series(1, 2); u uuid; begin open c; fetch c into u; perform become('bob'); fetch c into u; end $$",
        ),
        // It reads 10 rows, then 50.
        (
            "a FOR loop",
            "do $$ declare r record; begin for r in select me() from generate_series(1, 40) loop perform become('bob'); end loop; end $$",
        ),
    ] {
        let client = two.fresh().await;
        let result = lines(&client, script).await;
        if let Ok(rows) = result {
            mixed.push(format!("{what}: {rows:?}"));
            continue;
        }
        let error = refused(result, "session_changed");
        assert!(!error.to_string().contains(&two.bob.1[..20]), "{what}");
        // The connection is as good as another.
        client.batch_execute("rollback").await.unwrap();
        let again = format!("begin; set local workos_auth.session_token = '{}'; select me()", two.bob.1);
        assert_eq!(lines(&client, &again).await.unwrap(), [&*two.bob.0], "{what}");
    }
    let client = two.fresh().await;
    let stream = client.copy_out(&*format!("copy ({MIXED}) to stdout")).await.unwrap();
    match stream.try_collect::<Vec<_>>().await {
        Ok(rows) => mixed.push(format!("COPY: {rows:?}")),
        result => drop(refused(result, "session_changed")),
    }
    // A view that is filled later.
    let make = format!(
        "create materialized view own.filled as {MIXED} with no data; alter materialized view own.filled owner to {}",
        two.role
    );
    two.bed.admin.batch_execute(&make).await.unwrap();
    let client = two.fresh().await;
    match client.batch_execute("refresh materialized view own.filled").await {
        Ok(()) => mixed.push("REFRESH MATERIALIZED VIEW".to_owned()),
        result => drop(refused(result, "session_changed")),
    }
    assert!(mixed.is_empty(), "{} statements: {mixed:#?}", mixed.len());
}

/// As Alice and then as Bob, one query each, in a block.
fn block(a: &str, b: &str) -> String {
    format!(
        "perform become('alice'); assert (select count(*) from docs where id < 10) = 2 and (select me()) = '{a}'; assert me() = '{a}';
         perform become('bob'); assert (select count(*) from docs where id > 10) = 2 and (select me()) = '{b}'; assert me() = '{b}';"
    )
}

#[tokio::test]
async fn whoever_loads_the_library_may_work_through_several_people() {
    let two = two("loading_several").await;
    let (a, b) = (&two.alice.0, &two.bob.0);
    let body = block(a, b);
    two.bed
        .admin
        .batch_execute(&format!(
            "create procedure works() language plpgsql as $$ begin for i in 1 .. 3 loop {body} commit; end loop; end $$;
             create procedure works_in_one() language plpgsql as $$ begin for i in 1 .. 3 loop {body} end loop; end $$;
             create procedure works_in_blocks() language plpgsql as $$ begin for i in 1 .. 3 loop
                 begin {body} raise 'x'; exception when raise_exception then null; end; end loop; end $$;
             create procedure works_first_in_an_expression() language plpgsql as $$ declare u uuid; begin
                 perform become('alice'); u := me(); assert u = '{a}'; perform become('bob'); u := me(); assert u = '{b}'; {body} end $$;
             create function me_sql() returns uuid language sql as 'select me() from (values (1)) v';
             create function fails() returns uuid language plpgsql as 'begin perform me(); raise ''x''; end';
             create procedure works_by_sql() language plpgsql as $$ declare u uuid; begin
                 perform become('alice'); u := me_sql(); assert u = '{a}'; perform become('bob'); u := me_sql(); assert u = '{b}'; {body} end $$;
             create procedure works_by_calls() language plpgsql as $$ begin call works_by_sql(); call works_in_one(); call works_in_blocks(); end $$"
        ))
        .await
        .unwrap();
    for script in [
        &*format!("do $$ begin {body} {body} end $$"),
        "call works()",
        "begin; call works_in_one()",
        "begin; call works_in_blocks()",
        "call works_first_in_an_expression()",
        "call works_by_sql()",
        "begin; call works_by_calls()",
        "do $$ begin call works_by_sql(); call works(); end $$",
        // A loop over people, whose own query has read nobody's claims when its body does.
        "do $$ declare r record; begin for r in select who, id from tokens order by who loop perform become(r.who); assert (select count(*) from docs) = 2;
             assert me() = r.id; end loop; end $$",
        "do $$ declare c cursor for select who, id from tokens order by who; r record; begin open c; fetch c into r; perform become(r.who); assert me() = r.id;
             fetch c into r; perform become(r.who); assert (select me()) = r.id and me() = r.id; end $$",
        // What was caught no longer runs.
        "do $$ begin perform become('alice'); begin perform count(*) from docs where owner = fails(); exception when raise_exception then null; end;
             perform become('bob'); assert (select me()) is not null; end $$",
        "do $$ declare u uuid; begin perform become('alice'); begin u := fails(); exception when raise_exception then null; end;
             perform become('bob'); assert (select me()) is not null; end $$",
        "begin; select become('alice'); savepoint s; do $$ begin begin perform fails(); exception when division_by_zero then null; end;
             exception when raise_exception then null; end $$; rollback to s; select become('bob'); select me()",
        "begin; select become('alice'); select me(); select become('bob'); select me()",
        "begin; select become('alice'); do $$ begin assert me() is not null; end $$; select become('bob'); do $$ begin assert me() is not null; end $$; select me()",
    ] {
        let client = two.bed.connect(&two.role).await;
        let result = lines(&client, script).await;
        assert!(result.is_ok(), "{script}: {result:?}");
        // Nothing is left of it.
        client.batch_execute("rollback").await.unwrap();
        for (who, id) in [("alice", a), ("bob", b)] {
            let script = format!("begin; select become('{who}') is null; select me(); commit");
            assert_eq!(lines(&client, &script).await.unwrap(), ["f", id], "{script}");
        }
    }
}

#[tokio::test]
async fn a_cursor_that_loaded_the_library_binds_itself_alone() {
    let two = two("loading_cursor").await;
    let (a, b) = (two.alice.0.clone(), two.bob.0.clone());
    let begin = "declare c scroll cursor for select me() from generate_series(1, 4); fetch 2 from c";
    for (what, then) in [
        ("other queries", "select become('bob') is null; select me(); select count(*) from docs where id > 10"),
        (
            "an expression",
            "select become('bob') is null; do $$ begin assert me() is not null; end $$; select me(); select 2",
        ),
        (
            "a second cursor",
            "select become('bob') is null; declare d cursor for select me() from docs; fetch 1 from d; close c; fetch 1 from d; select 2",
        ),
    ] {
        let client = two.fresh().await;
        assert_eq!(lines(&client, begin).await.unwrap(), [a.clone(), a.clone()], "{what}");
        let result = lines(&client, then).await;
        let rows = result.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        assert_eq!(rows.first().map(String::as_str), Some("f"), "{what}");
        assert_eq!(rows[1], b, "{what}");
        assert_eq!(rows.last().map(String::as_str), Some("2"), "{what}");
        if what != "a second cursor" {
            client.batch_execute("savepoint s").await.unwrap();
            refused(client.batch_execute("fetch 1 from c").await, "session_changed");
            client.batch_execute("rollback to s").await.unwrap();
        }
        client.batch_execute("rollback").await.unwrap();
    }
    // Fetched within a function that closes it then.
    two.bed
        .admin
        .batch_execute(
            "create function goes_on(c refcursor) returns uuid language plpgsql as $$
                 declare u uuid; begin fetch c into u; close c; perform become('bob'); assert me() <> u; return u; end $$",
        )
        .await
        .unwrap();
    let client = two.fresh().await;
    lines(&client, begin).await.unwrap();
    // The query around it has read as Alice, too.
    refused(lines(&client, "select goes_on('c')").await, "session_changed");
    client.batch_execute("rollback").await.unwrap();
    let client = two.fresh().await;
    lines(&client, begin).await.unwrap();
    lines(
        &client,
        "do $$ begin perform become('alice'); assert (select me()) is not null; end $$; fetch 2 from c; close c",
    )
    .await
    .unwrap();
    assert_eq!(lines(&client, "select become('bob'); select me()").await.unwrap(), ["t".to_owned(), b]);
}

/// One message may hold several statements, for which Postgres's clock stands still.
#[tokio::test]
async fn the_statement_after_the_one_that_loaded_the_library_looks_at_the_session_again() {
    for (name, first) in [
        ("loading_block", format!("do $$ begin perform me(); perform {STAND_STILL}; end $$")),
        ("loading_query", format!("select me(), {STAND_STILL}")),
        ("loading_explain", format!("explain analyze select me(), {STAND_STILL}")),
    ] {
        let two = two(name).await;
        let client = two.fresh().await;
        let statements = format!("{first}; select me()");
        let end = async { two.bed.admin.batch_execute("delete from auth.sessions").await.unwrap() };
        let result = two.bed.meanwhile(client.batch_execute(&statements), end).await;
        assert!(result.is_err(), "{first}");
        refused(result, "session_not_found");
    }
}

#[tokio::test]
async fn a_call_that_loads_the_library_is_made_once_a_query() {
    let two = two("loading_once").await;
    two.bed.backend().await;
    let role = format!("{}_backend", two.bed.database);
    two.bed
        .admin
        .batch_execute(
            "create function one() returns text language plpgsql as $$ begin return (select s.state from (select (auth.start_sign_in('org_acme')).*) s); end $$",
        )
        .await
        .unwrap();
    for query in [
        "select (auth.start_sign_in('org_acme')).*",
        "select s.state from (select (auth.start_sign_in('org_acme')).* offset 0) s",
        "select one()",
    ] {
        two.bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
        let client = two.bed.connect(&role).await;
        client.batch_execute(query).await.unwrap();
        assert_eq!(two.bed.count("select count(*) from auth.flow_states").await, 1, "{query}");
    }
}
