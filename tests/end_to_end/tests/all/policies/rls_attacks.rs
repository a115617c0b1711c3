//! Rows of other people: who may see and write them, by whatever road a query takes.

use futures_util::{StreamExt, pin_mut};
use workos_end_to_end::bed::set_session;
use workos_end_to_end::case;
use workos_end_to_end::notes::Notes;
use workos_end_to_end::sql::{lines, refusal, refused_as, text};

#[tokio::test]
async fn a_leaky_function_sees_only_ones_own_rows() {
    let notes = Notes::new("leaky").await;
    notes
        .mallory
        .batch_execute(
            "create function evil.leak(text) returns boolean language plpgsql cost 0.0000001 as 'begin raise warning ''%'', $1; return true; end';
             create function evil.stable_leak(text) returns boolean language plpgsql stable cost 0.0000001 as 'begin raise warning ''%'', $1; return true; end';
             create function evil.immutable_leak(text) returns boolean language plpgsql immutable cost 0.0000001 as 'begin raise warning ''%'', $1; return true; end';
             create function evil.leak(text, text) returns boolean language plpgsql immutable cost 0.0000001 as 'begin raise warning ''%'', $1; return true; end';
             create operator evil.<<< (leftarg = text, rightarg = text, function = evil.leak, restrict = scalarltsel, join = scalarltjoinsel)",
        )
        .await
        .unwrap();
    // The trap works: it sees Bob's.
    notes.mallory.batch_execute("select * from public.notes where evil.leak(body)").await.unwrap();
    assert_eq!(notes.notices.take_warnings().len(), 3);
    for sql in [
        "select id from public.notes where evil.leak(body)",
        "select id from public.notes where evil.stable_leak(body)",
        "select id from public.notes where evil.immutable_leak(body)",
        "select id from public.notes where evil.leak(body) and owner is not null",
        "select id from public.notes where evil.leak(body) or auth.uid() is null",
        "select id from public.notes where body operator(evil.<<<) 'x'",
        "select evil.leak(body) from public.notes",
        "select id from public.notes order by evil.leak(body), id",
        "select count(*) from public.notes group by evil.leak(body) having bool_or(evil.leak(body))",
        "select count(*) filter (where evil.leak(body)) from public.notes",
        "select bool_and(evil.leak(body)) over () from public.notes",
        "select n.id from public.notes n join (values (1)) v (x) on evil.leak(n.body)",
        "select n.id from (values (1)) v (x) left join public.notes n on evil.leak(n.body)",
        "select n.id from public.notes n, lateral (select evil.leak(n.body)) l",
        "select n.id from public.notes n join public.notes m on n.id = m.id and evil.leak(m.body)",
        "select id from public.notes where id in (select id from public.notes where evil.leak(body))",
        "with n as not materialized (select * from public.notes) select id from n where evil.leak(body)",
        "select id from public.notes where case when evil.leak(body) then true end",
        "select id from public.notes where ctid = '(0,1)' and evil.leak(body)",
        "select id from public.notes where id = 1 and evil.leak(body)",
        "select id from public.notes where body = 'secret-of-alice-1' and evil.leak(body)",
        "select id from public.notes tablesample system (100) where evil.leak(body)",
        "select id from public.notes where evil.leak(body) limit 1",
        "select id from public.notes where evil.leak(body) for update",
        "explain select id from public.notes where evil.immutable_leak(body)",
        "explain (analyze) select id from public.notes where evil.leak(body)",
        "update public.notes set body = body where evil.leak(body)",
        "update public.notes set id = id where id = 1 and evil.leak(body) returning evil.leak(body)",
        "delete from public.notes where id < 4 and evil.leak(body)",
        "select id from public.notes where 1 / (case when body like 'secret-of-alice%' then 0 else 1 end) = 1",
        "set enable_seqscan = off; select id from public.notes where id > 0 and evil.leak(body)",
        "set enable_indexscan = off; set enable_bitmapscan = off; select id from public.notes where body > '' and evil.leak(body)",
    ] {
        notes.mallory.batch_execute("begin").await.unwrap();
        notes.shows(sql).await;
        notes.mallory.batch_execute("rollback").await.unwrap();
        notes.is_safe(sql).await;
    }
    // A value in an error is a value shown.
    let error = refusal(notes.mallory.batch_execute("select * from public.notes where body::int = 1").await);
    assert!(error.sqlstate == "22P02" && !error.to_string().contains("secret-of-alice"), "{error}");
    refused_as(notes.mallory.batch_execute("alter function evil.leak(text) leakproof").await, "42501");
    refused_as(notes.mallory.batch_execute("alter function auth.uid() leakproof").await, "42501");
    // The planner's statistics are values, too.
    for view in ["pg_stats", "pg_stats_ext", "pg_stats_ext_exprs"] {
        case!(view);
        assert_eq!(notes.shows(&format!("select * from {view} where tablename = 'notes'")).await.len(), 0);
    }
    refused_as(notes.mallory.batch_execute("select * from pg_statistic").await, "42501");
    notes.is_safe("at the end").await;
}

#[tokio::test]
async fn views_bind_whom_they_should() {
    let notes = Notes::new("views").await;
    let owner = notes.bed.named("DATABASE_owner");
    let client = notes.bed.connect(&owner).await;
    notes.bed.admin.batch_execute(&format!("grant create on schema public to {owner}")).await.unwrap();
    client
        .batch_execute(
            "create view public.invoking with (security_invoker = true) as select * from public.notes;
             create view public.owning as select * from public.notes;
             create view public.barred with (security_barrier) as select * from public.notes where owner = auth.uid();
             create view public.nested with (security_invoker = true) as select * from public.invoking;
             grant all on public.invoking, public.owning, public.barred, public.nested to public",
        )
        .await
        .unwrap();
    notes
        .mallory
        .batch_execute(
            "create view evil.mine as select * from public.notes; grant select on evil.mine to public;
             create function evil.leak(text) returns boolean language plpgsql cost 0.0000001 as 'begin raise warning ''%'', $1; return true; end'",
        )
        .await
        .unwrap();
    let own = "select id from {} order by 1";
    for view in ["public.invoking", "public.nested", "public.barred", "evil.mine"] {
        case!(view);
        assert_eq!(notes.shows(&own.replace("{}", view)).await, ["4", "5", "6"], "{view}");
        notes.shows(&format!("select id from {view} where evil.leak(body)")).await;
        notes.is_safe(view).await;
        let stolen = format!("update {view} set body = 'mine' where id = 1 returning body");
        assert_eq!(notes.shows(&stolen).await.len(), 0);
    }
    // Rights and policies are the view's owner's, the person is the one who asks: here of a view of the attacker's.
    let app = notes.bed.role("app", "").await;
    notes.bed.admin.batch_execute(&format!("grant usage on schema evil to {app}")).await.unwrap();
    let alice = notes.bed.connect(&app).await;
    set_session(&alice, &notes.alice.access_token, false).await.unwrap();
    assert_eq!(lines(&alice, "select id from evil.mine order by 1").await.unwrap(), ["1", "2", "3"]);
    // A view with its owner's rights over the owner's own table is not bound, until the table binds its owner too.
    assert_eq!(lines(&notes.mallory, "select id from public.owning").await.unwrap().len(), 6);
    client.batch_execute("alter table public.notes force row level security").await.unwrap();
    for view in ["public.owning", "public.invoking", "public.nested", "public.barred"] {
        assert_eq!(notes.shows(&own.replace("{}", view)).await, ["4", "5", "6"], "{view}");
    }
    notes.is_safe("at the end").await;
}

#[tokio::test]
async fn copy_reads_and_writes_as_other_queries_do() {
    let notes = Notes::new("copied").await;
    for source in [
        "public.notes",
        "public.notes (body)",
        "(select * from public.notes)",
        "(select body from public.notes where id < 10)",
        "(update public.notes set body = body returning *)",
        "(table public.notes)",
    ] {
        let rows = notes.mallory.copy_out(&format!("copy {source} to stdout")).await.unwrap();
        pin_mut!(rows);
        let mut all = Vec::new();
        while let Some(row) = rows.next().await {
            all.extend_from_slice(&row.unwrap());
        }
        let all = String::from_utf8(all).unwrap();
        assert!(all.lines().count() == 3 && !all.contains("secret-of-alice"), "{source}: {all}");
    }
    for (sql, sqlstate) in [
        // Postgres has no COPY FROM where policies apply: it says so rather than pass them by.
        ("copy public.notes from stdin", "0A000"),
        ("copy public.notes (id, body) from stdin", "0A000"),
        ("copy public.notes to '/tmp/copied'", "42501"),
        ("copy public.notes from '/dev/null'", "42501"),
        ("copy public.notes to program 'cat'", "42501"),
        ("copy public.notes from program 'true'", "42501"),
        ("copy auth.sessions to stdout", "42501"),
        ("copy auth.signing_keys from stdin", "42501"),
        ("copy (select * from auth.users) to stdout", "42501"),
    ] {
        let refused = notes.mallory.batch_execute(sql).await;
        assert!(refused.is_err(), "{sql}: done");
        assert_eq!(refusal(refused).sqlstate, sqlstate, "{sql}");
        notes.is_safe(sql).await;
    }
    // Who asks for no policies is refused, not served without them.
    notes.mallory.batch_execute("set row_security = off").await.unwrap();
    refused_as(notes.mallory.batch_execute("copy public.notes to stdout").await, "42501");
    notes.mallory.batch_execute("reset row_security").await.unwrap();
}

#[tokio::test]
async fn foreign_rows_are_not_written() {
    let notes = Notes::new("written").await;
    let alice = notes.alice.user_id;
    let (stolen, given) = (
        format!("update public.notes set owner = '{alice}'"),
        format!("insert into public.notes values (7, '{alice}', 'x')"),
    );
    let upsert = "insert into public.notes (id, body) values (1, 'mine') on conflict";
    for (sql, sqlstate) in [
        (stolen.as_str(), "42501"),
        (&given, "42501"),
        (&format!("{given} returning *"), "42501"),
        (&format!("with n as ({given}) select 1"), "42501"),
        (&format!("{upsert} (id) do update set body = 'mine'"), "42501"),
        (&format!("{upsert} (id) do update set body = 'mine' where notes.body <> 'x' returning notes.body"), "42501"),
        ("insert into public.notes (id, body) values (1, 'mine')", "23505"),
        ("insert into public.notes (id, body) values (7, 'secret-of-alice-1')", "23505"),
        ("update public.notes set body = 'secret-of-alice-1' where id = 4", "23505"),
        ("truncate public.notes", "42501"),
        ("alter table public.notes disable row level security", "42501"),
        ("drop policy owners on public.notes", "42501"),
        ("create policy mine on public.notes using (true)", "42501"),
        ("create rule r as on select to public.notes do instead select 1", "42501"),
        (
            "create trigger t before insert on public.notes for each row execute function suppress_redundant_updates_trigger()",
            "42501",
        ),
        ("create table evil.c (note int references public.notes (id))", "42501"),
        ("create table evil.c () inherits (public.notes)", "42501"),
    ] {
        let refused = notes.mallory.batch_execute(sql).await;
        assert!(refused.is_err(), "{sql}: done");
        let refusal = refusal(refused);
        assert_eq!(refusal.sqlstate, sqlstate, "{sql}: {refusal}");
        // A constraint says that there is a conflict and nothing of the row it is with.
        assert!(refusal.detail.is_empty() || sqlstate != "23505", "{sql}: {refusal}");
        assert!(
            !refusal.to_string().contains(&alice.to_string()) && !refusal.to_string().contains("secret-of-alice"),
            "{sql}: {refusal}"
        );
        notes.is_safe(sql).await;
    }
    for sql in [
        "update public.notes set body = 'mine' where id = 1 returning *",
        "update public.notes set body = 'mine' where ctid = '(0,1)' returning *",
        "delete from public.notes where id < 4 returning *",
        "delete from public.notes using (values (1)) v (x) where id = x returning *",
        "with d as (delete from public.notes where id < 4 returning *) select * from d",
        "select * from public.notes where id < 4 for update",
        "merge into public.notes n using (values (1)) v (x) on n.id = x when matched then delete",
        "insert into public.notes (id, body) values (1, 'mine') on conflict do nothing returning *",
        "declare c cursor with hold for select * from public.notes where id < 4; fetch all from c; close c",
        "prepare p (int) as select * from public.notes where id = $1; execute p (1); deallocate p",
        "create temp table t as select * from public.notes where id < 4; select * from t; drop table t",
        "create materialized view evil.m as select * from public.notes where id < 4; select * from evil.m; drop materialized view evil.m",
        "do $$ begin if exists (select from public.notes where id < 4) then raise 'seen'; end if; end $$",
    ] {
        assert_eq!(notes.shows(sql).await.len(), 0, "{sql}");
        notes.is_safe(sql).await;
    }
}

/// A key is checked with the rights of the table's owner, who is not bound; nothing but the key itself is learnt.
#[tokio::test]
async fn a_foreign_key_check_leaves_session_and_rows_alone() {
    let notes = Notes::new("referenced").await;
    notes
        .mallory
        .batch_execute(
            "create function evil.boom(int, int) returns boolean language plpgsql as $$ begin raise 'planted' using errcode = 'ZZ666'; end $$;
             create function evil.boom(uuid, uuid) returns boolean language plpgsql as $$ begin raise 'planted' using errcode = 'ZZ666'; end $$;
             create operator evil.= (leftarg = int, rightarg = int, function = evil.boom);
             create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.boom);
             set search_path = evil, pg_catalog, public",
        )
        .await
        .unwrap();
    let trap = refusal(notes.mallory.batch_execute("select 1 = 1").await);
    assert_eq!(trap.sqlstate, "ZZ666", "the trap does not work");
    let insert = "insert into public.comments values ({}, 'x') returning auth.uid()";
    let me = text(&notes.mallory, "select auth.uid()").await.unwrap();
    for note in ["4", "1"] {
        case!(note);
        assert_eq!(text(&notes.mallory, &insert.replace("{}", note)).await.unwrap(), me);
    }
    let error = refused_as(notes.mallory.batch_execute(&insert.replace("{}", "99")).await, "23503");
    assert!(!error.to_string().contains("secret-of-alice"), "{error}");
    assert_eq!(text(&notes.mallory, "select auth.uid()").await.unwrap(), me);
    // The key into auth.users is checked for the row that the policy allows, and tells of no other user.
    for user in [notes.alice.user_id.to_string(), "00000000-0000-4000-8000-000000000000".into()] {
        let sql = format!("insert into public.notes values (8, '{user}', 'x')");
        let error = refused_as(notes.mallory.batch_execute(&sql).await, "42501");
        assert!(!error.to_string().contains(&user), "{error}");
    }
    for table in ["users", "sessions", "signing_keys"] {
        let sql = format!("create table evil.t (id uuid references auth.{table})");
        refused_as(notes.mallory.batch_execute(&sql).await, "42501");
    }
    notes.mallory.batch_execute("reset search_path").await.unwrap();
    notes.is_safe("foreign keys").await;
    // A cascade runs as the owner, and for the person who deleted.
    notes.mallory.batch_execute("begin; delete from public.notes where id = 4").await.unwrap();
    assert_eq!(lines(&notes.mallory, "select note from public.comments").await.unwrap(), ["1"]);
    assert_eq!(text(&notes.mallory, "select auth.uid()").await.unwrap(), me);
    notes.mallory.batch_execute("rollback").await.unwrap();
}
