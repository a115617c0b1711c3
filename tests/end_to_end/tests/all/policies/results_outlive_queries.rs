//! What a reader answered stays what it was, wherever Postgres keeps it; and a connection is as good as before after whatever
//! cut it short. With other people's hooks in the same backend, and a cache that holds one token.

use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, Session, is_good, reader};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_testbed::Cluster;

static CLUSTER: LazyLock<Cluster> = LazyLock::new(|| {
    Cluster::start_with(&[
        "shared_preload_libraries = 'pg_stat_statements, auto_explain'",
        "auto_explain.log_min_duration = 0",
        "auto_explain.log_analyze = on",
        "auto_explain.log_nested_statements = on",
        "max_prepared_transactions = 5",
    ])
    .unwrap()
});

const SCHEMA: &str = "
grant create on schema public to public;
create table tokens (who text primary key, token text not null);
create table docs (id int primary key, owner uuid not null);
alter table docs enable row level security;
create policy own on docs using (owner = auth.uid());
grant all on tokens, docs to public;
create function become(who text) returns boolean language plpgsql as $$
    begin perform auth.set_session((select t.token from tokens t where t.who = become.who), true); return true; end $$";

struct Two {
    bed: Bed<'static>,
    client: Client,
    role: String,
    alice: Session,
}

/// Alice and Bob, with three documents each, and an ordinary role's connection.
async fn two(database: &str) -> Two {
    let bed = Bed::new(&CLUSTER, database).await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    bed.admin.batch_execute(SCHEMA).await.unwrap();
    for (first, who, session) in [(0, "alice", &alice), (10, "bob", &bob)] {
        bed.admin.execute("insert into tokens values ($1, $2)", &[&who, &session.access_token]).await.unwrap();
        let insert = "insert into docs select $1 + n, $2 from generate_series(1, 3) as n";
        bed.admin.execute(insert, &[&first, &session.user_id]).await.unwrap();
    }
    // So that the next token pushes this one out.
    bed.set("workos_auth.token_cache_size", "1").await;
    bed.set("client_min_messages", "error").await;
    let role = bed.role("app", "").await;
    let client = bed.connect(&role).await;
    Two { bed, client, role, alice }
}

impl Two {
    /// No process of the server died.
    async fn nobody_died(&self) {
        let log = self.bed.cluster.log().unwrap();
        let died = log.lines().find(|line| line.contains("terminated by signal") || line.contains("panicked at"));
        assert_eq!(died, None);
        assert_eq!(text(&self.client, "select 1").await.unwrap().as_deref(), Some("1"));
    }
}

#[tokio::test]
async fn what_was_read_outlives_the_transaction_it_was_read_in() {
    let two = two("outlives").await;
    let others = "for i in 1 .. 3 loop perform become('bob'); perform auth.email(); end loop;";
    for block in [
        // Variables, fields of records, elements of arrays that grow, rows.
        format!(
            "declare u uuid; e text; c jsonb; r record; us uuid[]; cs jsonb[]; begin
                 perform become('alice');
                 u := auth.uid(); e := auth.email(); c := auth.session_claims();
                 select auth.uid() as u, auth.email() as e, auth.jwt() as c into r;
                 insert into kept values (auth.uid(), auth.email(), auth.jwt());
                 for round in 1 .. 50 loop
                     perform become('alice');
                     us := us || auth.uid(); cs := cs || array[auth.session_claims()];
                     commit; {others} commit;
                 end loop;
                 perform become('alice');
                 assert u = auth.uid() and e = auth.email() and c = auth.jwt() and e = 'alice@acme.com';
                 assert (r.u, r.e, r.c) = (u, e, c) and us = array_fill(u, array[50]) and cs = array_fill(c, array[50]);
                 assert exists (select from kept as k where k.ku = u and k.ke = e and k.kc = c);
             end"
        ),
        // A loop over a query that is held over its commits.
        format!(
            "#variable_conflict use_column
             declare r record; n int := 0; begin
                 perform become('alice');
                 for r in select auth.email() as e, auth.jwt() as c, n from generate_series(1, 500) as n loop
                     n := n + 1;
                     assert r.e = 'alice@acme.com' and r.c->>'email' = r.e, r.e;
                     if r.n % 50 = 0 then commit; {others} end if;
                 end loop;
                 assert n = 500;
             end"
        ),
        // What EXECUTE and a procedure are given.
        format!(
            "declare us uuid[]; e text; begin
                 perform become('alice');
                 us := array[auth.uid()];
                 call takes(auth.email(), auth.jwt(), us);
                 perform become('alice');
                 execute 'select $1 from (select become(''bob'') offset 0) b' into e using auth.email();
                 {others} assert e = 'alice@acme.com';
             end"
        ),
    ] {
        let schema = format!(
            "create temp table if not exists kept (ku uuid, ke text, kc jsonb);
             create or replace procedure takes(e text, c jsonb, inout u uuid[]) language plpgsql as $$ begin
                 for round in 1 .. 20 loop commit; {others} end loop;
                 assert e = 'alice@acme.com' and c->>'email' = e and c->>'sub' = u[1]::text;
             end $$"
        );
        two.client.batch_execute(&schema).await.unwrap();
        two.client.batch_execute(&format!("do $do$ {block} $do$")).await.unwrap_or_else(|e| panic!("{block}: {e:?}"));
    }
    two.nobody_died().await;
}

#[tokio::test]
async fn every_kind_of_plan_keeps_what_was_read() {
    let two = two("plans").await;
    let settings = "set work_mem = '64kB'; set enable_mergejoin = off; set enable_nestloop = off";
    let jit = "set jit = on; set jit_above_cost = 0; set jit_inline_above_cost = 0; set jit_optimize_above_cost = 0";
    let read =
        "select n, auth.email() as e, auth.uid() as u, auth.jwt() as c from generate_series(1, 8000) as n offset 0";
    for jit in ["set jit = off", jit] {
        two.client.batch_execute(&format!("{settings}; {jit}; begin; select become('alice')")).await.unwrap();
        for (query, expected) in [
            (format!("select min(e), max(e), count(distinct (u, c)), cardinality(array_agg(u)) from ({read}) as r"), "1|8000"),
            (format!("select e, count(*), count(*) from ({read}) as r group by e, u, c"), "8000|8000"),
            (format!("select e, count(*), max(k) from (select n % 3000 as k, max(e) as e from ({read}) as r group by 1) as s group by e"), "3000|2999"),
            (format!("select max(e), count(*), 1 from ({read}) as a join (select n, e, c from ({read}) as r) as b using (n, e, c)"), "8000|1"),
            (format!("select max(e), count(distinct e), length(string_agg(u::text, '' order by c, n)) from ({read}) as r"), "1|288000"),
            (format!("select distinct max(e) over w, 1, count(*) over (partition by c) from ({read}) as r window w as (order by n rows 9 preceding)"), "1|8000"),
            (format!("select jsonb_agg(distinct c) #>> '{{0,email}}', 1, cardinality(array_agg(c)) from ({read}) as r"), "1|8000"),
            (format!("select mode() within group (order by e), 1, count(*) filter (where u = auth.uid()) from ({read}) as r"), "1|8000"),
            ("with recursive r(n, e) as (select 1, auth.email() union all select n + 1, case n % 2 when 0 then e else auth.email() end from r where n < 3000)
              select max(e), count(distinct e), count(*) from r".to_owned(), "1|3000"),
        ] {
            let found = lines(&two.client, &query).await.unwrap_or_else(|error| panic!("{query}: {error:?}"));
            assert_eq!(found.len(), 1, "{query}: {found:?}");
            assert!(found[0].starts_with("alice@acme.com|") && found[0].ends_with(expected), "{query}: {found:?}");
        }
        two.client.batch_execute("rollback").await.unwrap();
    }
    two.nobody_died().await;
}

#[tokio::test]
async fn what_writes_writes_what_was_read() {
    let two = two("writes").await;
    let schema = "create table written (id int primary key, u uuid default auth.uid(), e text default auth.email(), c jsonb default auth.jwt());
        create function fills() returns trigger language plpgsql as $$ begin
            new.u := auth.uid(); new.e := auth.email(); new.c := auth.session_claims(); return new; end $$;
        create trigger fills before update on written for each row execute function fills();
        create table parted (id int, o text default auth.organization_id(), c jsonb default auth.jwt()) partition by list (o);
        create table parted_acme partition of parted for values in ('org_acme');
        create table parted_globex partition of parted for values in ('org_globex');
        create function called_immutable() returns text immutable language plpgsql as 'begin return auth.email(); end'";
    two.client.batch_execute(schema).await.unwrap();
    let version: i32 = text(&two.client, "show server_version_num").await.unwrap().unwrap().parse().unwrap();
    let all = "select count(distinct u), count(distinct (u, e, c)), max(e) from written";
    for (who, script, query, expected) in [
        ("bob", "insert into written select generate_series(1, 50)", all, "1|1|bob@globex.com"),
        ("alice", "update written set id = -id", all, "1|1|alice@acme.com"),
        (
            "bob",
            "insert into written select -generate_series(40, 60) on conflict (id) do update set e = 'x'",
            "select count(*), count(distinct (u, e, c)), count(*) filter (where e = auth.email()) from written",
            "60|2|21",
        ),
        (
            "alice",
            "merge into written using (select -generate_series(55, 70) as id, auth.email() as e) as s on written.id = s.id and written.e <> auth.email()
             when matched then update set e = s.e when not matched then insert (id) values (s.id - 100)",
            "select count(*), count(distinct (u, e, c)), count(*) filter (where e = auth.email()) from written",
            "70|2|55",
        ),
        (
            "bob",
            "insert into parted select generate_series(1, 100); update parted set o = 'org_acme' where id % 2 = 0 and o = auth.organization_id()",
            "select count(*), count(distinct c), count(distinct tableoid) from parted",
            "100|1|2",
        ),
        (
            "alice",
            "alter table written alter e type text using auth.email(), add added jsonb default auth.jwt()",
            "select count(distinct e), count(distinct added), max(e) from written",
            "1|1|alice@acme.com",
        ),
        (
            "bob",
            "create index on written (called_immutable(), (called_immutable() || id)) where e is distinct from called_immutable()",
            "select count(*) from written where e is not distinct from called_immutable()",
            "0",
        ),
        (
            "bob",
            "create materialized view seen as select auth.email() as e, auth.jwt() as c; select become('alice'); refresh materialized view seen",
            "select e, c->>'email' from seen",
            "alice@acme.com|alice@acme.com",
        ),
    ] {
        if version < 150_000 && script.starts_with("merge") {
            continue;
        }
        two.client.batch_execute(&format!("begin; select become('{who}')")).await.unwrap();
        two.client.batch_execute(script).await.unwrap_or_else(|error| panic!("{script}: {error:?}"));
        assert_eq!(lines(&two.client, query).await.unwrap(), [expected], "{script}");
        two.client.batch_execute("commit").await.unwrap();
    }
    // Upkeep reads the expressions of the index again, for nobody.
    for upkeep in ["analyze written", "reindex table written", "vacuum full written"] {
        two.client.batch_execute(upkeep).await.unwrap();
    }
    two.nobody_died().await;
}

/// A row that somebody else has changed meanwhile is compared once more, under the same query.
#[tokio::test]
async fn a_row_that_was_changed_meanwhile_is_compared_with_the_same_person() {
    let two = two("changed").await;
    let other = two.bed.superuser().await;
    other.batch_execute("begin; update docs set id = id + 100 where id = 1").await.unwrap();
    two.client.batch_execute("begin; select become('alice')").await.unwrap();
    let update = two.client.query_typed(
        "update docs set owner = auth.uid() where owner = (select auth.uid()) and auth.has_role('admin') returning id, auth.email()",
        &[],
    );
    let commit = async {
        two.bed.until_waiting(1).await;
        other.batch_execute("update docs set id = id where id = 2; commit").await.unwrap();
    };
    let (rows, ()) = tokio::join!(update, commit);
    let mut ids: Vec<i32> = rows.unwrap().iter().map(|row| row.get(0)).collect();
    ids.sort_unstable();
    assert_eq!(ids, [2, 3, 101]);
    two.client.batch_execute("commit").await.unwrap();
    two.nobody_died().await;
}

/// The same statement again until nobody cuts it short.
async fn insist(client: &Client, sql: &str) -> Option<String> {
    for _ in 0..100 {
        if let Ok(answer) = text(client, sql).await {
            return answer;
        }
    }
    panic!("{sql} is cut short every time");
}

#[tokio::test]
async fn what_is_cut_short_anywhere_leaves_the_right_session() {
    const ROUNDS: usize = 3_000;
    const ENOUGH: usize = 40;
    let two = two("cancelled").await;
    let check = "select concat_ws(' ', auth.email(), auth.jwt()->>'email', (select min(id) from docs)) from generate_series(1, 50) limit 1";
    let (alice, bob) = ("alice@acme.com alice@acme.com 1", "bob@globex.com bob@globex.com 11");
    let steps = [
        ("begin", None),
        ("select become('alice')", Some("t")),
        (check, Some(alice)),
        ("savepoint s", None),
        ("select become('bob')", Some("t")),
        (check, Some(bob)),
        ("rollback to s", None),
        (check, Some(alice)),
        ("commit", None),
    ];
    let working = async {
        let mut cut = 0;
        for round in 0..ROUNDS {
            for (step, expected) in steps {
                match text(&two.client, step).await {
                    Ok(answer) => assert_eq!(answer.as_deref(), expected, "round {round}: {step}"),
                    Err(error) => {
                        drop(refused_as::<()>(Err(error), "57014"));
                        cut += 1;
                        break;
                    }
                }
            }
            insist(&two.client, "rollback").await;
            assert_eq!(insist(&two.client, "select auth.email()").await, None, "round {round}");
            if cut == ENOUGH {
                break;
            }
        }
        cut
    };
    // Keys are loaded again all the time, so that the scans are cut short as well.
    let disturbing = async {
        let disturb = format!(
            "update auth.signing_keys set status = status; select pg_cancel_backend(pid) from pg_stat_activity where usename = '{}'",
            two.role
        );
        loop {
            two.bed.admin.batch_execute(&disturb).await.unwrap();
            tokio::time::sleep(Duration::from_micros(fastrand::u64(..3_000))).await;
        }
    };
    let cut = tokio::select! { cut = working => cut, () = disturbing => 0 };
    assert!(cut > 0, "nothing was cut short");
    two.nobody_died().await;
}

#[tokio::test]
async fn a_prepared_transaction_takes_its_session_along() {
    let two = two("prepared").await;
    for (script, end) in [("select auth.email()", "commit"), ("savepoint s; select 1", "rollback")] {
        case!(script, end);
        let script = format!("begin; select become('alice'); {script}; prepare transaction 'p'");
        two.client.batch_execute(&script).await.unwrap();
        assert_eq!(text(&two.client, "select auth.email()").await.unwrap(), None);
        two.client.batch_execute(&format!("{end} prepared 'p'")).await.unwrap();
    }
    // A key that is retired by a prepared transaction is good until that is committed, by whomever.
    let reader = reader(&two.bed, &two.role, &two.alice).await;
    let retire = "begin; update auth.signing_keys set status = 'retired'; prepare transaction 'retire'";
    two.bed.admin.batch_execute(retire).await.unwrap();
    is_good(&reader, &two.alice).await;
    two.bed.superuser().await.batch_execute("commit prepared 'retire'").await.unwrap();
    refused(reader.batch_execute("select auth.uid()").await, "bad_jwt_key");
}
