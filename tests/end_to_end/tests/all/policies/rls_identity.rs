//! Whose rights and whose session count, where functions, roles and search paths stand in between.

use workos_end_to_end::bed::set_session;
use workos_end_to_end::notes::Notes;
use workos_end_to_end::sql::{connect_with_notices, lines, refused, refused_as, text};
use workos_testbed::cluster::SUPERUSER;

#[tokio::test]
async fn a_definer_function_has_its_owners_rights_and_its_callers_session() {
    let notes = Notes::new("definer").await;
    let guarded = notes.bed.role("guarded", "").await;
    let sql = "
        create schema functions; grant usage on schema functions to public;
        create function functions.of_superuser() returns text language sql security definer as 'select count(*) || '' '' || auth.email() from public.notes';
        create function functions.of_owner() returns text language sql security definer as 'select count(*) || '' '' || auth.email() from public.notes';
        create function functions.of_guarded() returns text language plpgsql security definer as 'begin return (select count(*) || '' '' || auth.email() from public.notes); end';
        create function functions.of_invoker() returns text language plpgsql as 'begin return (select count(*) || '' '' || auth.email() from public.notes); end';
        create function functions.sets(token text) returns void language plpgsql security definer as 'begin perform auth.set_session(token, true); end';
        create function functions.sets_as_guarded(token text) returns void language plpgsql security definer as 'begin perform auth.set_session(token, true); end';
        create function functions.ends(token text) returns bigint language sql security definer as 'select auth.sign_out(token, ''local'')';
        alter function functions.of_owner() owner to DATABASE_owner; alter function functions.of_guarded() owner to DATABASE_guarded;
        alter function functions.sets_as_guarded(text) owner to DATABASE_guarded; alter function functions.ends(text) owner to DATABASE_guarded";
    notes.bed.admin.batch_execute(&notes.bed.named(sql)).await.unwrap();
    notes.bed.admin.batch_execute(&format!("grant select on public.notes to {guarded}")).await.unwrap();
    let call = async |function: &str| text(&notes.mallory, &format!("select functions.{function}()")).await.unwrap();
    // Rights: a superuser and the table's owner are not bound by policies; an ordinary role is. The person is Bob for all of them.
    for (function, rows) in [("of_superuser", 6), ("of_owner", 6), ("of_guarded", 3), ("of_invoker", 3)] {
        assert_eq!(call(function).await, Some(format!("{rows} bob@globex.com")), "{function}");
    }
    // The guard looks at the role that is current: a superuser's function is refused, an ordinary one's is not.
    notes.mallory.batch_execute("begin; savepoint s").await.unwrap();
    let sets = async |function: &str| {
        notes.mallory.query(&format!("select functions.{function}($1)"), &[&notes.alice.access_token]).await.map(drop)
    };
    refused(sets("sets").await, "role_bypasses_rls");
    notes.mallory.batch_execute("rollback to s").await.unwrap();
    assert_eq!(call("of_guarded").await.as_deref(), Some("3 bob@globex.com"));
    sets("sets_as_guarded").await.unwrap();
    assert_eq!(call("of_invoker").await.as_deref(), Some("3 alice@acme.com"));
    notes.mallory.batch_execute("rollback").await.unwrap();
    notes.is_safe("after the rollback").await;
    // A sign-out in a function ends the session whose token it is given, and nobody else's.
    let ended = notes.mallory.query_one("select functions.ends($1)", &[&notes.bob.access_token]).await.unwrap();
    assert_eq!(ended.get::<_, i64>(0), 1);
    refused(notes.mallory.batch_execute("select auth.uid()").await, "session_not_found");
    notes.bed.admin.query_one("select auth.verify_token($1)", &[&notes.alice.access_token]).await.unwrap();
}

#[tokio::test]
async fn another_role_has_its_own_rights_and_the_same_session() {
    let notes = Notes::new("roles").await;
    let (mallory, owner) = (notes.bed.named("DATABASE_mallory"), notes.bed.named("DATABASE_owner"));
    let (plain, bypassing) = (notes.bed.role("plain", "").await, notes.bed.role("bypassing", "bypassrls").await);
    notes
        .bed
        .admin
        .batch_execute(&format!(
            "grant {plain}, {bypassing} to {mallory}; grant select on public.notes to {plain}, {bypassing}"
        ))
        .await
        .unwrap();
    let count = "select count(*) || ' ' || auth.email() from public.notes";
    for (role, rows) in [(plain.as_str(), 3), (&mallory, 3), ("none", 3)] {
        notes.mallory.batch_execute(&format!("set role {role}")).await.unwrap();
        assert_eq!(text(&notes.mallory, count).await.unwrap(), Some(format!("{rows} bob@globex.com")), "{role}");
    }
    // Whom the administrator gave a role that is not bound may take it; a session is not set there.
    notes.mallory.batch_execute(&format!("set role {bypassing}")).await.unwrap();
    assert_eq!(text(&notes.mallory, "select auth.email()").await.unwrap().as_deref(), Some("bob@globex.com"));
    refused(set_session(&notes.mallory, &notes.alice.access_token, false).await, "role_bypasses_rls");
    notes.mallory.batch_execute("reset role").await.unwrap();
    for role in ["postgres", owner.as_str(), "workos_auth_owner", "workos_auth_nobody"] {
        refused_as(notes.mallory.batch_execute(&format!("set role {role}")).await, "42501");
        refused_as(notes.mallory.batch_execute(&format!("set session authorization {role}")).await, "42501");
    }
    notes.is_safe("at the end").await;
}

#[tokio::test]
async fn what_stands_in_front_on_the_search_path_is_no_part_of_a_policy() {
    let notes = Notes::new("shadowed").await;
    notes
        .mallory
        .batch_execute(
            "create function evil.boom() returns boolean language plpgsql as $$ begin raise 'planted' using errcode = 'ZZ666'; end $$;
             create function evil.boom(uuid, uuid) returns boolean language sql as 'select evil.boom()';
             create function evil.yes(uuid, uuid) returns boolean language sql immutable as 'select true';
             create operator evil.= (leftarg = uuid, rightarg = uuid, function = evil.yes);
             create function evil.uid() returns uuid language sql as 'select null::uuid';
             create function pg_temp.uid() returns uuid language sql as 'select null::uuid';
             create function evil.has_role(text) returns boolean language sql as 'select true';
             create domain evil.uuid as text; create domain pg_temp.uuid as text;
             create temp table sessions (id uuid); create temp table signing_keys (kid text, status text); create temp table installation (id text);
             create table evil.sessions (id text); create table evil.signing_keys (kid text);
             insert into evil.signing_keys values ('x');
             set search_path = evil, pg_temp, pg_catalog, public",
        )
        .await
        .unwrap();
    let shadow = "select 'a0000000-0000-4000-8000-000000000000'::pg_catalog.uuid = 'b0000000-0000-4000-8000-000000000000'::pg_catalog.uuid";
    assert_eq!(text(&notes.mallory, shadow).await.unwrap().as_deref(), Some("t"), "the trap does not work");
    let read = "select id, auth.email() from public.notes order by 1";
    let own = ["4|bob@globex.com", "5|bob@globex.com", "6|bob@globex.com"];
    for path in ["evil, pg_temp, pg_catalog, public", "pg_temp, evil, public", "evil", "''", "pg_temp"] {
        notes.mallory.batch_execute(&format!("set search_path = {path}; discard plans")).await.unwrap();
        assert_eq!(notes.shows(read).await, own, "{path}");
        refused_as(
            notes
                .mallory
                .batch_execute(&format!("insert into public.notes values (9, '{}', 'x')", notes.alice.user_id))
                .await,
            "42501",
        );
    }
    // The same where the role brings the path along, and where a function does.
    let mallory = notes.bed.named("DATABASE_mallory");
    notes
        .bed
        .admin
        .batch_execute(&format!("alter role {mallory} set search_path = evil, pg_catalog, public"))
        .await
        .unwrap();
    let again = notes.bed.connect(&mallory).await;
    assert_eq!(lines(&again, read).await.unwrap().len(), 0, "without a session");
    set_session(&again, &notes.bob.access_token, false).await.unwrap();
    assert_eq!(lines(&again, read).await.unwrap(), own);
    notes
        .mallory
        .batch_execute("create function evil.mine() returns bigint language plpgsql set search_path = evil, pg_catalog as 'begin return (select count(*) from public.notes); end'")
        .await
        .unwrap();
    assert_eq!(text(&notes.mallory, "select evil.mine()").await.unwrap().as_deref(), Some("3"));
    notes.mallory.batch_execute("reset search_path").await.unwrap();
    notes.is_safe("at the end").await;
}

/// A function of the attacker's in an index runs when an administrator does upkeep: with the attacker's rights, and
/// without an effect on the administrator's session.
#[tokio::test]
async fn upkeep_of_an_attackers_table_leaves_the_session_alone() {
    let notes = Notes::new("upkeep").await;
    let sql = "create table evil.bait (x int);
        create function evil.f(int) returns int language plpgsql immutable as $$ begin
            begin perform auth.set_session('$token', false); exception when others then raise warning 'refused: %', sqlstate; end;
            raise warning 'as % for %', current_user, auth.email();
            return $1; end $$;
        create index on evil.bait (evil.f(x)); insert into evil.bait values (1), (2)";
    notes.mallory.batch_execute(&sql.replace("$token", &notes.bob.access_token)).await.unwrap();
    let config = notes.bed.cluster.config(&notes.bed.database, SUPERUSER);
    let (admin, notices) = connect_with_notices(&config).await.unwrap();
    admin.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    set_session(&admin, &notes.alice.access_token, false).await.unwrap();
    let trap = notes.bed.named("as DATABASE_mallory for ");
    for upkeep in [
        "analyze evil.bait",
        "reindex table evil.bait",
        "vacuum (full, analyze) evil.bait",
        "cluster evil.bait using bait_f_idx",
    ] {
        admin.batch_execute(upkeep).await.unwrap();
        let who = text(&admin, "select current_user || ' ' || auth.email()").await.unwrap();
        assert_eq!(who.as_deref(), Some("postgres alice@acme.com"), "{upkeep}");
        let warnings = notices.take_warnings();
        let ran = warnings.iter().any(|warning| warning.message.starts_with(&trap));
        assert!(ran, "{upkeep}: the trap did not run: {warnings:?}");
    }
}

/// What triggers do to a row, or write down of it: `$alice` is her id, `$token` her token.
const TRIGGERS: &str = "
    create table public.seen (whom text, person uuid);
    grant all on public.seen to public;
    create function public.sees() returns trigger language plpgsql as
        $$ begin insert into public.seen values (current_user, auth.uid()); return new; end $$;
    create function public.sees_as_owner() returns trigger language plpgsql security definer as
        $$ begin insert into public.seen values (current_user, auth.uid()); return new; end $$;
    alter function public.sees_as_owner() owner to DATABASE_owner;
    create function public.gives() returns trigger language plpgsql as
        $$ begin new.owner := '$alice'; return new; end $$;
    create function public.switches() returns trigger language plpgsql as
        $$ begin perform auth.set_session('$token'); return new; end $$;
    create trigger a before insert on public.notes for each row execute function public.sees();
    create trigger b after insert on public.notes for each row execute function public.sees_as_owner();
    create constraint trigger c after insert on public.notes deferrable initially deferred
        for each row execute function public.sees()";

/// A trigger works for the person who writes. What it makes of the row is looked at by the policy, and so is a session
/// that it changes under the query.
#[tokio::test]
async fn a_trigger_gets_no_row_past_the_policy() {
    let notes = Notes::new("triggers").await;
    let triggers = TRIGGERS.replace("$alice", &notes.alice.user_id.to_string());
    notes
        .bed
        .admin
        .batch_execute(&notes.bed.named(&triggers.replace("$token", &notes.alice.access_token)))
        .await
        .unwrap();
    let insert = "insert into public.notes (id, body) values (7, 'x')";
    notes.mallory.batch_execute(&format!("begin; {insert}; set constraints all immediate")).await.unwrap();
    let seen = lines(&notes.mallory, "select * from public.seen").await.unwrap();
    let bob = notes.bob.user_id;
    assert_eq!(seen, ["mallory", "owner", "mallory"].map(|whom| format!("{}_{whom}|{bob}", notes.bed.database)));
    notes.mallory.batch_execute("rollback").await.unwrap();
    for (function, sqlstate) in [("gives", "42501"), ("switches", "55000")] {
        let attach = format!(
            "create trigger d before insert or update on public.notes for each row execute function public.{function}()"
        );
        notes.bed.admin.batch_execute(&attach).await.unwrap();
        for statement in [
            insert,
            "update public.notes set body = 'x' where id = 4",
            "insert into public.notes (id, body) values (4, 'y') on conflict (id) do update set body = 'x'",
        ] {
            let refused = notes.mallory.batch_execute(statement).await;
            assert!(refused.is_err(), "{function}: {statement}");
            let refusal = refused_as(refused, sqlstate);
            assert!(!refusal.to_string().contains(&notes.alice.access_token[60..80]), "{function}: {refusal}");
            notes.is_safe(statement).await;
        }
        notes.bed.admin.batch_execute("drop trigger d on public.notes").await.unwrap();
    }
}
