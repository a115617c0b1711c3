//! One query, one identity: what a query has read as one person, it does not go on reading as another.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, set_session};
use workos_end_to_end::sql::{lines, refused, refused_as, text};

/// Documents of both people under a policy that reads the session in two ways, and functions that change the session in the
/// middle of a query, each in its own way.
const SCHEMA: &str = "
create table docs (id int primary key, owner uuid not null, org text not null);
alter table docs enable row level security;
create policy own on docs using (owner = (select auth.uid()) and org = auth.organization_id());
create table notes (id int, owner uuid default auth.uid());
alter table notes enable row level security;
create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid());
create table tokens (who text primary key, token text not null);
create function become(who text) returns boolean language plpgsql as $$
    begin perform auth.set_session((select t.token from tokens t where t.who = become.who), true); return true; end $$;
create function become_by_set(who text) returns boolean language plpgsql as $$
    begin execute format('set local workos_auth.session_token = %L', (select t.token from tokens t where t.who = become_by_set.who)); return true; end $$;
create function become_by_execute(who text) returns boolean language plpgsql as $$
    begin execute 'select become($1)' using who; return true; end $$;
create function become_and_back(who text) returns uuid language plpgsql as $$
    begin begin perform become(who); return auth.uid(); raise 'x'; exception when object_not_in_prerequisite_state then return null; end; end $$;
create function become_on_insert() returns trigger language plpgsql as $$ begin perform become('bob'); return new; end $$;
create function visible() returns bigint language sql as 'select count(*) from docs';
create function me_inlined() returns uuid language sql stable as 'select auth.uid()';
create function me_apart() returns uuid language sql stable set search_path = public as 'select auth.uid()';
create function me_plpgsql() returns uuid language plpgsql stable as 'begin return auth.uid(); end';
grant select, insert on all tables in schema public to public";

struct Two {
    client: Client,
    alice: String,
    bob: String,
    alice_token: String,
    bob_token: String,
    role: String,
}

async fn two<'a>(name: &str) -> (Bed<'a>, Two) {
    let bed = Bed::shared(name).await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    bed.admin.batch_execute(SCHEMA).await.unwrap();
    for (who, session) in [("alice", &alice), ("bob", &bob)] {
        let insert = "insert into docs select 10 * $1 + n, $2, $3 from generate_series(1, 3) as n";
        let first = i32::from(who == "bob");
        bed.admin.execute(insert, &[&first, &session.user_id, &session.organization_id]).await.unwrap();
        bed.admin.execute("insert into tokens values ($1, $2)", &[&who, &session.access_token]).await.unwrap();
    }
    let role = bed.role("app", "").await;
    let client = bed.connect(&role).await;
    let two = Two {
        client,
        alice: alice.user_id.to_string(),
        bob: bob.user_id.to_string(),
        alice_token: alice.access_token,
        bob_token: bob.access_token,
        role,
    };
    (bed, two)
}

/// Runs the script as Alice, in a transaction that is rolled back.
async fn as_alice(two: &Two, script: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    two.client.batch_execute("begin").await?;
    set_session(&two.client, &two.alice_token, true).await?;
    let result = lines(&two.client, script).await;
    two.client.batch_execute("rollback").await?;
    result
}

#[tokio::test]
async fn a_session_that_changes_under_a_query_ends_the_query() {
    let (bed, two) = two("changing").await;
    for (attack, script) in [
        ("a function in WHERE", "select id from docs where become('bob')"),
        ("one that uses SET", "select id from docs where become_by_set('bob')"),
        ("one that uses EXECUTE", "select id from docs where become_by_execute('bob')"),
        ("one of two people in turn", "select id from docs where become(case id % 2 when 0 then 'alice' else 'bob' end)"),
        (
            "a LATERAL rescan",
            "select * from (values ('alice'), ('bob'), ('alice')) as w (who), lateral (select become(w.who) offset 0) as b,
             lateral (select count(*) from docs where w.who is not null) as c",
        ),
        (
            "a nested loop",
            "set local enable_material = off; select count(d.id) from (values ('alice'), ('bob')) as w (who)
             cross join lateral (select become(w.who) as b offset 0) as b left join docs d on b.b",
        ),
        (
            "a WITH query",
            "with a as materialized (select auth.uid() as u), b as materialized (select u, become('bob') from a) select u, auth.uid() from b",
        ),
        (
            "a WITH query that writes and that nobody reads",
            "with w as (insert into notes select n from generate_series(1, 3) as n where become(case n when 1 then 'alice' else 'bob' end) returning 1)
             select 1",
        ),
        ("RETURNING", "insert into notes select n from generate_series(1, 3) as n returning become('bob'), auth.uid()"),
        ("a default", "insert into notes (id) select n from generate_series(1, 3) as n where become(case n when 1 then 'alice' else 'bob' end)"),
        ("a subquery in the target list", "select auth.uid(), become('bob'), (select auth.organization_id())"),
        ("a query in a function", "select id, become('bob'), visible() from docs"),
        ("a query in a function that reads first", "select visible(), become('bob'), (select count(*) from docs)"),
        ("a SQL function that is inlined", "select me_inlined(), become('bob'), auth.organization_id()"),
        ("a SQL function that is not", "select me_apart(), become('bob'), auth.organization_id()"),
        ("one that comes second", "select auth.organization_id(), become('bob'), me_apart()"),
        ("a PL/pgSQL function", "select (select me_plpgsql()), become('bob'), me_plpgsql()"),
        ("an aggregate", "select count(auth.uid()) filter (where become(case n when 2 then 'bob' else 'alice' end)) from generate_series(1, 3) as n"),
        ("a sort", "select n from generate_series(1, 3) as n order by auth.uid(), become('bob'), auth.session_id()"),
        ("EXPLAIN ANALYZE", "explain analyze select id from docs where become('bob')"),
        ("a table that is made", "create temporary table taken as select id from docs where become('bob')"),
        ("signing out in between", "select auth.uid(), auth.clear_session()::text, auth.uid()"),
        ("a cursor", "declare c cursor for select id from docs; fetch 1 from c; select become('bob'); fetch 1 from c"),
        (
            "a scrollable cursor",
            "declare c scroll cursor for select id from docs order by id; fetch last from c; select become('bob'); fetch backward 1 from c",
        ),
        (
            "a cursor in PL/pgSQL",
            "do $$ declare c cursor for select id from docs; r record; begin open c; fetch c into r; perform become('bob'); fetch c into r; end $$",
        ),
        ("a FOR loop", "do $$ declare r record; begin for r in select id from docs loop perform become('bob'); perform auth.uid(); end loop; end $$"),
        ("several people in one function", "select visible(), become('bob'), visible()"),
        ("a portal that is held", "declare c cursor with hold for select id from docs; fetch 1 from c; select become('bob'); commit"),
    ] {
        match as_alice(&two, script).await {
            // A loop over a query whose rows were all read before its body ran has one identity.
            Ok(rows) if attack == "a FOR loop" => assert!(rows.iter().all(String::is_empty), "{rows:?}"),
            result => {
                assert!(result.is_err(), "{attack}: {result:?}");
                let error = refused(result, "session_changed");
                assert!(!error.to_string().contains(&two.bob_token[..20]), "{attack}");
            }
        }
        // The connection is as good as before.
        assert_eq!(as_alice(&two, "select count(*), auth.uid() from docs").await.unwrap(), [format!("3|{}", two.alice)], "{attack}");
    }

    // A trigger, of a table whose policy has let the first row in.
    bed.admin
        .batch_execute("create trigger become before insert on notes for each row execute function become_on_insert()")
        .await
        .unwrap();
    let result = as_alice(&two, "insert into notes select n from generate_series(1, 2) as n").await;
    refused(result, "session_changed");
}

#[tokio::test]
async fn nobody_and_somebody_are_two() {
    let (_bed, two) = two("nobody").await;
    let query = format!("select auth.uid(), auth.set_session('{}', false) is null, auth.uid()", two.alice_token);
    refused(lines(&two.client, &query).await, "session_changed");
    assert_eq!(text(&two.client, "select auth.uid()").await.unwrap(), None);
    // In the order in which people mean it.
    let query = format!("select auth.set_session('{}', false) is null, auth.uid()", two.alice_token);
    assert_eq!(lines(&two.client, &query).await.unwrap(), [format!("f|{}", two.alice)]);
}

#[tokio::test]
async fn the_query_that_loads_the_library_is_bound_too() {
    let (bed, two) = two("loading").await;
    for query in
        ["select id from docs where become_by_set('bob')", "select id, become_by_set('bob'), visible() from docs"]
    {
        let client = bed.connect(&two.role).await;
        // The library is not there yet to look at the setting.
        let set = format!("begin; set local workos_auth.session_token = '{}'", two.alice_token);
        client.batch_execute(&set).await.unwrap();
        refused(client.batch_execute(query).await, "session_changed");
        client.batch_execute("rollback").await.unwrap();
    }
    // A cursor whose first FETCH is the first that anybody hears of the library.
    let client = bed.connect(&two.role).await;
    let script = format!(
        "begin; set local workos_auth.session_token = '{}'; declare c cursor for select id from docs; fetch 1 from c;
         set local workos_auth.session_token = '{}'",
        two.alice_token, two.bob_token
    );
    client.batch_execute(&script).await.unwrap();
    refused(client.batch_execute("fetch 1 from c").await, "session_changed");
}

#[tokio::test]
async fn one_query_each_is_fine() {
    let (_bed, two) = two("each").await;
    let three = |who: &str| format!("3|{who}");
    // One statement after another, and one cursor beside another.
    let script = "select count(*), auth.uid() from docs; select become('bob'); select count(*), auth.uid() from docs";
    assert_eq!(as_alice(&two, script).await.unwrap(), [three(&two.alice), "t".into(), three(&two.bob)]);
    let script =
        "declare a cursor for select id from docs order by id; fetch 1 from a; savepoint s; select become('bob');
        declare b cursor for select id from docs order by id; fetch 1 from b; rollback to s; fetch 1 from a";
    assert_eq!(as_alice(&two, script).await.unwrap(), ["1", "t", "11", "2"]);
    // The session that comes back is the same one, and so is the same token set again.
    let script = "select id from docs where become('alice') order by id; select become_and_back('bob') from docs limit 1; select auth.uid()";
    assert_eq!(as_alice(&two, script).await.unwrap(), ["1", "2", "3", "NULL", &*two.alice]);
    // A procedure and a DO block, also with transactions of their own.
    let body = "perform become('alice'); assert (select count(*) from docs where id < 10) = 3; assert auth.uid() = a;
        perform become('bob'); assert (select count(*) from docs where id > 10) = 3; assert auth.uid() = b;";
    two.client
        .batch_execute(&format!(
            "create temporary table people (a uuid, b uuid); insert into people values ('{}', '{}');
             create procedure pg_temp.work(times int) language plpgsql as $$ declare a uuid; b uuid; begin
                select p.a, p.b into a, b from people p;
                for i in 1 .. times loop {body} commit; assert auth.uid() is null; end loop; end $$",
            two.alice, two.bob
        ))
        .await
        .unwrap();
    two.client.batch_execute("call pg_temp.work(20)").await.unwrap();
    let block =
        format!("do $$ declare a uuid; b uuid; begin select p.a, p.b into a, b from people p; {body} {body} end $$");
    two.client.batch_execute(&block).await.unwrap();
    // A prepared statement is another query each time, with the plan of the first.
    two.client.batch_execute("prepare visible as select count(*), auth.uid() from docs").await.unwrap();
    for _ in 0..8 {
        let script = "execute visible; select become('bob'); execute visible";
        assert_eq!(as_alice(&two, script).await.unwrap(), [three(&two.alice), "t".into(), three(&two.bob)]);
    }
    refused_as(two.client.batch_execute("select 1 / 0").await, "22012");
}

#[tokio::test]
async fn what_a_procedure_was_given_outlives_its_commits() {
    let (bed, two) = two("outliving").await;
    // So that the next token pushes this one out of the cache.
    bed.set("workos_auth.token_cache_size", "1").await;
    bed.admin
        .batch_execute(
            "create procedure keep(who uuid, at text, claims jsonb) language plpgsql as $$
             declare before text := who || at || claims; mine uuid := auth.uid(); begin
                for i in 1 .. 200 loop
                    commit;
                    perform become(case i % 2 when 0 then 'alice' else 'bob' end);
                    assert (select count(*) from docs where org = auth.organization_id()) = 3;
                    assert before = who || at || claims and mine = who;
                end loop;
             end $$",
        )
        .await
        .unwrap();
    let client = bed.connect(&two.role).await;
    set_session(&client, &two.alice_token, false).await.unwrap();
    client.batch_execute("call keep(auth.uid(), auth.organization_id(), auth.session_claims())").await.unwrap();
    // What is held is what was read, whoever is on the connection when it is fetched.
    client.batch_execute("begin").await.unwrap();
    set_session(&client, &two.alice_token, true).await.unwrap();
    client
        .batch_execute("declare held cursor with hold for select auth.uid(), auth.jwt() ->> 'sub' from generate_series(1, 3); commit")
        .await
        .unwrap();
    set_session(&client, &two.bob_token, false).await.unwrap();
    let alice = format!("{0}|{0}", two.alice);
    assert_eq!(lines(&client, "fetch all from held").await.unwrap(), [alice.clone(), alice.clone(), alice]);
}
