//! One query, one identity, in the places that are easily forgotten; what people do every day, which it must leave alone; and
//! keys that change under an open connection in ways that are out of the ordinary.

use tokio_postgres::{Client, NoTls};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, is_good, reader, set_session, start};
use workos_end_to_end::case;
use workos_end_to_end::parallel::force_parallel;
use workos_end_to_end::sql::{connect_with_notices, lines, refused, refused_as, text};

/// `closed` is partitioned by organization, and both of theirs are in it.
const SCHEMA: &str = "
grant create on schema public to public;
create table tokens (who text primary key, token text not null);
create table closed (organization text) partition by list (organization);
create table closed_acme partition of closed for values in ('org_acme');
create table closed_globex partition of closed for values in ('org_globex');
create table closed_others partition of closed default;
insert into closed values ('org_acme'), ('org_globex');
create table log (who text default coalesce(auth.email(), 'nobody'), what text);
grant all on tokens, closed, log to public;
create function become(who text) returns boolean language plpgsql as $$
    begin perform auth.set_session((select t.token from tokens t where t.who = become.who), true); return true; end $$;
create function says_who() returns text language plpgsql as $$ begin return auth.email(); end $$;
create function says_both() returns text[] language plpgsql as $$ declare a text; b text; begin
    perform become('alice'); a := says_who(); perform become('bob'); b := says_who(); return array[a, b]; end $$";

async fn two(database: &str) -> (Bed<'static>, String, Client) {
    let bed = Bed::shared(database).await;
    bed.admin.batch_execute(SCHEMA).await.unwrap();
    for (who, person) in [("alice", ALICE), ("bob", BOB)] {
        let session = bed.sign_in(person).await;
        bed.admin.execute("insert into tokens values ($1, $2)", &[&who, &session.access_token]).await.unwrap();
    }
    let role = bed.role("app", "").await;
    let client = bed.connect(&role).await;
    (bed, role, client)
}

/// Partitions are left out when a query is started, which for a cursor is before it is run.
#[tokio::test]
async fn the_partitions_of_one_person_are_not_read_as_another() {
    let (_bed, _, mut client) = two("pruned").await;
    let open = "select not exists (select from closed where organization = auth.organization_id())";
    for who in ["alice", "bob"] {
        client.batch_execute(&format!("begin; select become('{who}')")).await.unwrap();
        assert_eq!(text(&client, open).await.unwrap().as_deref(), Some("f"), "{who}");
        client.batch_execute("rollback").await.unwrap();
    }
    let cursor = format!("begin; select become('alice'); declare c cursor for {open}; select become('bob')");
    client.batch_execute(&cursor).await.unwrap();
    refused(text(&client, "fetch c").await, "session_changed");
    client.batch_execute("rollback").await.unwrap();
    // In a function, whose cursor is another's to read.
    let opens = format!(
        "create function opens() returns refcursor language plpgsql as $$ declare c refcursor := 'c'; begin open c for {open}; return c; end $$"
    );
    client.batch_execute(&opens).await.unwrap();
    client.batch_execute("begin; select become('alice'); select opens(); select become('bob')").await.unwrap();
    refused(text(&client, "fetch c").await, "session_changed");
    client.batch_execute("rollback").await.unwrap();
    // A portal that was bound, and is executed later.
    let transaction = client.transaction().await.unwrap();
    transaction.batch_execute("select become('alice')").await.unwrap();
    let statement = transaction.prepare(open).await.unwrap();
    let (portal, same) =
        (transaction.bind(&statement, &[]).await.unwrap(), transaction.bind(&statement, &[]).await.unwrap());
    assert!(!transaction.query_portal(&same, 0).await.unwrap()[0].get::<_, bool>(0));
    transaction.batch_execute("select become('bob')").await.unwrap();
    refused(transaction.query_portal(&portal, 0).await, "session_changed");
    transaction.rollback().await.unwrap();
    // One that was started for nobody has nobody's answer: there is nothing left that it would read as somebody.
    let cursor = format!("begin; declare c cursor for {open}; select become('bob')");
    client.batch_execute(&cursor).await.unwrap();
    assert_eq!(text(&client, "fetch c").await.unwrap().as_deref(), Some("t"));
    client.batch_execute("rollback").await.unwrap();
}

/// Functions of PL/pgSQL alone are planned and started without anybody having heard of the library.
#[tokio::test]
async fn a_query_that_loads_the_library_in_the_middle_is_bound_too() {
    let (bed, role, known) = two("in_the_middle").await;
    known.batch_execute("select auth.uid()").await.unwrap();
    for query in [
        "select says_both()",
        "select (says_both())[2] from generate_series(1, 2)",
        "select become('alice'), says_who(), become('bob'), says_who()",
    ] {
        case!(query);
        let fresh = bed.connect(&role).await;
        for client in [&known, &fresh] {
            client.batch_execute("begin").await.unwrap();
            refused(client.batch_execute(query).await, "session_changed");
            client.batch_execute("rollback").await.unwrap();
        }
        // What works through several people may load it as well, and the next query is another one.
        let fresh = bed.connect(&role).await;
        fresh
            .batch_execute("do $$ declare b text[]; begin b := says_both(); assert b[1] <> b[2]; end $$")
            .await
            .unwrap();
        let fresh = bed.connect(&role).await;
        let script = "begin; select become('alice'), says_who(); select become('bob'), says_who()";
        assert_eq!(lines(&fresh, script).await.unwrap(), ["t|alice@acme.com", "t|bob@globex.com"]);
    }
}

/// Postgres lets a function's own SET clause count in a worker, where nothing else may be set.
#[tokio::test]
async fn workers_and_their_leader_read_one_person() {
    let (bed, _, client) = two("workers").await;
    let token = text(&bed.admin, "select token from tokens where who = 'bob'").await.unwrap().unwrap();
    client.batch_execute("select auth.uid()").await.unwrap();
    client
        .batch_execute(&format!(
            "create table rows with (parallel_workers = 2) as select n from generate_series(1, 6000) as n; analyze rows;
             create function as_bob() returns text language plpgsql stable parallel safe set workos_auth.session_token = '{token}'
                 as $$ begin return auth.email(); end $$;
             create function in_worker() returns text language plpgsql stable parallel safe as $$ begin return auth.email(); end $$;
             create function in_leader() returns text language plpgsql stable parallel restricted as $$ begin return auth.email(); end $$;
             create function as_bob_in_leader() returns text language plpgsql stable parallel restricted set workos_auth.session_token = '{token}'
                 as $$ begin return auth.email(); end $$"
        ))
        .await
        .unwrap();
    for parallel in [false, true] {
        case!(parallel);
        if parallel {
            force_parallel(&client).await;
        }
        for (worker, leader) in [("as_bob()", "in_leader()"), ("in_worker()", "as_bob_in_leader()")] {
            client.batch_execute("begin; select become('alice')").await.unwrap();
            let query = format!("select distinct w, {leader} from (select {worker} as w from rows offset 0) as r");
            if parallel {
                let plan = lines(&client, &format!("explain {query}")).await.unwrap().join("\n");
                assert!(plan.contains("Gather"), "{plan}");
            }
            let answer = lines(&client, &query).await;
            assert!(answer.is_err(), "{query}: {answer:?}");
            refused(answer, "session_changed");
            client.batch_execute("rollback").await.unwrap();
        }
        client.batch_execute("begin; select become('alice')").await.unwrap();
        let query = "select distinct w, in_leader() from (select in_worker() as w from rows offset 0) as r";
        assert_eq!(lines(&client, query).await.unwrap(), ["alice@acme.com|alice@acme.com"]);
        client.batch_execute("rollback").await.unwrap();
    }
}

/// SET LOCAL is silent in functions and blocks, for there it may well be all that was wanted.
#[tokio::test]
async fn only_a_statement_of_its_own_is_warned_that_the_session_ends_with_it() {
    let (bed, role, client) = two("warnings").await;
    let token = text(&bed.admin, "select token from tokens where who = 'alice'").await.unwrap().unwrap();
    client
        .batch_execute("create procedure works() language plpgsql as $$ begin perform become('alice'); commit; perform become('bob'); end $$")
        .await
        .unwrap();
    let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, &role)).await.unwrap();
    set_session(&client, &token, true).await.unwrap();
    let warnings = notices.take_warnings();
    assert_eq!(warnings.iter().map(|warning| &*warning.sqlstate).collect::<Vec<_>>(), ["25P01"]);
    for quiet in [
        "do $$ begin perform become('alice'); assert auth.email() = 'alice@acme.com'; perform become('bob'); end $$",
        "call works()",
        "begin; select become('alice'); commit",
    ] {
        client.batch_execute(quiet).await.unwrap();
        assert_eq!(notices.take_warnings(), [], "{quiet}");
    }
}

#[tokio::test]
async fn what_people_do_every_day_is_left_alone() {
    let (bed, _, client) = two("everyday").await;
    let token = text(&bed.admin, "select token from tokens where who = 'alice'").await.unwrap().unwrap();
    client
        .batch_execute(
            "create table orders (id int, e text default auth.email());
             create function logs() returns trigger language plpgsql security definer as $$ begin insert into log (what) values (tg_when || ' ' || tg_op); return new; end $$;
             create trigger b before insert on orders for each row execute function logs();
             create trigger a after insert on orders for each row execute function logs();
             create constraint trigger d after insert on orders deferrable initially deferred for each row execute function logs();
             create view mine as select id, auth.email() as e from orders where e = auth.email();
             create function insteads() returns trigger language plpgsql as $$ begin insert into orders values (new.id); return new; end $$;
             create trigger i instead of insert on mine for each row execute function insteads();
             create rule r as on delete to orders do also insert into log (what) values ('DELETE');
             create function log_in(token text) returns text language plpgsql as $$ begin
                 perform auth.set_session(token, true); insert into log (what) values ('in'); return auth.email(); end $$;
             create function log_out() returns void language plpgsql as $$ begin
                 insert into log (what) values ('out'); perform auth.clear_session(); end $$;
             create function tries(who text) returns text language plpgsql as $$ begin
                 begin perform become(who); perform 1 / 0; exception when division_by_zero then null; end; return auth.email(); end $$",
        )
        .await
        .unwrap();
    // A sign-in that is used in the statement that made it.
    let pending = start(&bed.admin, ALICE).await;
    bed.admin.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    let sql = "select c->>'email', auth.email() from auth.exchange_code($1, $2, $3) as s, auth.set_session(s.access_token, false) as c";
    let row = bed.admin.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!((row.get(0), row.get(1)), (ALICE.email, ALICE.email));

    let set = format!("auth.set_session('{token}')");
    let alice = "alice@acme.com";
    for (script, expected) in [
        (format!("select auth.email() from {set}"), vec![alice]),
        (format!("with s as materialized (select {set} as c) select auth.email() from s where c is not null"), vec![alice]),
        (format!("select log_in('{token}')"), vec![alice]),
        ("select become('alice'); select log_out(); select auth.email()".to_owned(), vec!["t", "", "NULL"]),
        ("select become('alice'); select tries('bob'); select tries('alice')".to_owned(), vec!["t", alice, alice]),
        (
            "select become('alice'); insert into orders values (1), (2); insert into mine values (3); delete from orders where id = 2;
             select count(*) from mine; set constraints all immediate; select who, count(*) from log group by who order by who".to_owned(),
            vec!["t", "2", "alice@acme.com|10"],
        ),
        (
            "select become('bob'); create temporary table taken on commit drop as select auth.email() as e from generate_series(1, 2); table taken".to_owned(),
            vec!["t", "bob@globex.com", "bob@globex.com"],
        ),
    ] {
        client.batch_execute("begin; delete from log").await.unwrap();
        let found = lines(&client, &script).await.unwrap_or_else(|error| panic!("{script}: {error:?}"));
        assert_eq!(found, expected, "{script}");
        client.batch_execute("rollback").await.unwrap();
    }
}

#[tokio::test]
async fn keys_are_those_of_the_transaction_that_is_left() {
    let bed = Bed::shared("keys").await;
    let (admin, alice) = (&bed.admin, bed.sign_in(ALICE).await);
    admin.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    set_session(admin, &alice.access_token, false).await.unwrap();
    let keys = "select jsonb_array_length(auth.jwks()->'keys')";
    // What is undone was never believed by anybody, nor is it afterwards.
    let change = async |script: &str, undo: &str, known: &str, is_known: bool| {
        admin.batch_execute(&format!("begin; savepoint s; {script}")).await.unwrap();
        assert_eq!(text(admin, keys).await.unwrap().as_deref(), Some(known), "{script}");
        match is_known {
            true => is_good(admin, &alice).await,
            false => drop(refused(admin.batch_execute("select auth.uid()").await, "bad_jwt_key")),
        }
        admin.batch_execute(undo).await.unwrap();
        is_good(admin, &alice).await;
        assert_eq!(text(admin, keys).await.unwrap().as_deref(), Some("1"), "{script}; {undo}");
        admin.batch_execute("rollback").await.unwrap();
    };
    for undo in ["rollback to s", "rollback"] {
        change("select auth.rotate_signing_key()", undo, "2", true).await;
        change("update auth.signing_keys set status = 'retired'", undo, "0", false).await;
        change("truncate auth.signing_keys", undo, "0", false).await;
        change("delete from auth.signing_keys", undo, "0", false).await;
    }
    // A token of a key that was undone is a stranger's, though it was believed while the key was there.
    admin.batch_execute("begin; select auth.rotate_signing_key()").await.unwrap();
    let pending = start(admin, ALICE).await;
    let sql = "select access_token from auth.exchange_code($1, $2, $3)";
    let row = admin.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let undone: String = row.get(0);
    set_session(admin, &undone, false).await.unwrap();
    admin.batch_execute("select auth.uid(); rollback").await.unwrap();
    is_good(admin, &alice).await;
    refused(set_session(admin, &undone, false).await, "bad_jwt_key");
}

/// Whoever keeps the table locked while the keys are loaded again must not keep an old key alive.
#[tokio::test]
async fn an_error_while_the_keys_are_loaded_again_leaves_no_old_key_behind() {
    let bed = Bed::shared("interrupted").await;
    let (alice, role) = (bed.sign_in(ALICE).await, bed.role("app", "").await);
    let (holder, reader) = (bed.superuser().await, reader(&bed, &role, &alice).await);
    reader.batch_execute("set lock_timeout = '100ms'").await.unwrap();
    for table in ["installation", "signing_keys"] {
        is_good(&reader, &alice).await;
        bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();
        holder.batch_execute(&format!("begin; lock table auth.{table} in access exclusive mode")).await.unwrap();
        refused_as(reader.batch_execute("select auth.uid()").await, "55P03");
        holder.batch_execute("rollback").await.unwrap();
        refused(reader.batch_execute("select auth.uid()").await, "bad_jwt_key");
        bed.admin.batch_execute("update auth.signing_keys set status = 'active'").await.unwrap();
    }
}

#[tokio::test]
async fn the_extension_may_be_dropped_and_made_again_under_a_session() {
    let bed = Bed::shared("dropped").await;
    let (alice, role, admin) = (bed.sign_in(ALICE).await, bed.role("app", "").await, bed.superuser().await);
    // Nobody reads by an index that this connection was told to mistrust.
    let mut config = bed.cluster.config(&bed.database, &role);
    let (mistrusting, connection) = config.options("-c ignore_system_indexes=on").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    let reader = reader(&bed, &role, &alice).await;
    set_session(&mistrusting, &alice.access_token, false).await.unwrap();
    let clients = [&reader, &mistrusting];
    for client in clients {
        is_good(client, &alice).await;
        client.batch_execute("prepare who as select auth.uid()").await.unwrap();
    }
    let again = "drop extension workos_auth cascade; create extension workos_auth";
    admin.batch_execute(&format!("begin; {again}; rollback")).await.unwrap();
    for client in clients {
        is_good(client, &alice).await;
    }
    // In an order that the foreign keys allow.
    let tables = ["installation", "data_keys", "signing_keys", "users", "organizations", "identities", "sessions"];
    for table in tables {
        admin.batch_execute(&format!("create table kept_{table} as table auth.{table}")).await.unwrap();
    }
    admin.batch_execute(again).await.unwrap();
    for client in clients {
        refused(client.batch_execute("execute who").await, "provider_not_configured");
        refused(client.batch_execute("select auth.uid()").await, "provider_not_configured");
        assert_eq!(text(client, "select auth.jwks()").await.unwrap().as_deref(), Some(r#"{"keys": []}"#));
    }
    for (table, name) in
        tables.iter().zip([Some("bad_jwt_key"), None, Some("session_not_found"), None, None, None, None])
    {
        let columns = format!(
            "select string_agg(attname, ', ' order by attnum) from pg_attribute
             where attrelid = 'auth.{table}'::regclass and attnum > 0 and attgenerated = ''"
        );
        let columns = text(&admin, &columns).await.unwrap().unwrap();
        admin
            .batch_execute(&format!("insert into auth.{table} ({columns}) select {columns} from kept_{table}"))
            .await
            .unwrap();
        for client in clients {
            if let Some(name) = name {
                refused(client.batch_execute("select auth.uid()").await, name);
            }
        }
    }
    for client in clients {
        is_good(client, &alice).await;
        client.batch_execute("execute who").await.unwrap();
    }
}

#[tokio::test]
async fn two_administrators_who_rotate_at_once_leave_one_key_that_signs() {
    let bed = Bed::shared("rotating").await;
    let (alice, role) = (bed.sign_in(ALICE).await, bed.role("boss", "").await);
    let stranger = bed.role("stranger", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{role}')")).await.unwrap();
    let (one, other, stranger) = (bed.connect(&role).await, bed.connect(&role).await, bed.connect(&stranger).await);
    for call in ["select auth.rotate_signing_key()", "select auth.retire_signing_key('x')"] {
        refused_as(stranger.batch_execute(call).await, "42501");
    }
    let shadows =
        "set search_path = pg_temp, public, pg_catalog; create temp table signing_keys (kid text, status text)";
    one.batch_execute(shadows).await.unwrap();
    let rotate = "select auth.rotate_signing_key()";
    for level in ["read committed", "repeatable read"] {
        for client in [&one, &other] {
            client.batch_execute(&format!("begin isolation level {level}; select 1")).await.unwrap();
        }
        one.batch_execute(rotate).await.unwrap();
        let (second, ()) = tokio::join!(other.batch_execute(rotate), async {
            bed.until_waiting(1).await;
            one.batch_execute("commit").await.unwrap();
        });
        match level {
            "read committed" => second.unwrap(),
            _ => drop(refused_as(second, "40001")),
        }
        other.batch_execute("commit").await.unwrap();
        let active = "select count(*) from auth.signing_keys where status = 'active'";
        assert_eq!(text(&bed.admin, active).await.unwrap().as_deref(), Some("1"), "{level}");
    }
    // Every key that once signed still verifies, and each change stands in the log under the name of who made it.
    bed.admin.query_one("select auth.verify_token($1)", &[&alice.access_token]).await.unwrap();
    let log =
        "select action, actor, count(*) from auth.audit_log_entries where action like 'signing_key%' group by 1, 2";
    assert_eq!(lines(&bed.admin, log).await.unwrap(), [format!("signing_key_rotated|{role}|3")]);
}
