//! What code of others would leave for the end of the transaction, or for the session, where a statement of ours has run it: nothing runs later
//! as whoever calls.

use std::time::{Duration, Instant};

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::bed::{ALICE, refresh};
use workos_end_to_end::issuer::{OtherIssuer, accept};
use workos_end_to_end::refreshing::refresh_times;
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_end_to_end::{Bed, made};

use super::others_code::{NOBODY, bed, seen};

/// The usual trigger on `auth.users`, whose function belongs to a role of few rights, writes to a table of somebody else's.
async fn with_profiles(name: &str) -> (Bed<'static>, String) {
    let bed = bed(name).await;
    let (owner, writer) = (format!("{}_owner", bed.database), bed.role("writer", "").await);
    bed.admin
        .batch_execute(&format!(
            "create table app.profiles (id uuid primary key references auth.users on delete cascade, email text);
             alter table app.profiles owner to {owner};
             grant usage on schema app to {writer}; grant insert on app.profiles to {writer};
             create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$ begin
                 insert into app.profiles values (new.id, new.email); return new;
             end $$;
             alter function public.handle_new_user() owner to {writer};
             create trigger on_auth_user_created after insert on auth.users for each row execute function public.handle_new_user()"
        ))
        .await
        .unwrap();
    (bed, writer)
}

/// A trigger of the table's owner, of this kind and with this body.
async fn trap(bed: &Bed<'_>, kind: &str, body: &str) {
    let owner = format!("{}_owner", bed.database);
    let sql = format!(
        "set role {owner};
         create or replace function app.trap() returns trigger language plpgsql as $$ begin {body} return null; end $$;
         drop trigger if exists trap on app.profiles;
         create {kind} for each row execute function app.trap();
         reset role"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

const SAYS_WHO: &str = "insert into public.seen (what) values ('late as ' || current_user);";
const DEFERRED: &str = "constraint trigger trap after insert on app.profiles deferrable initially deferred";

#[tokio::test]
async fn a_deferred_trigger_of_a_sign_up_runs_as_nobody_who_calls() {
    let (bed, writer) = with_profiles("put_off_sign_up").await;
    trap(&bed, DEFERRED, SAYS_WHO).await;
    let as_writer = [format!("late as {writer}")];
    made::create(&bed.admin, "superuser@put.example", None).await;
    assert_eq!(seen(&bed).await, as_writer);
    let operator = made::administrator(&bed).await;
    made::create(&operator, "operator@put.example", None).await;
    assert_eq!(seen(&bed).await, as_writer);
    bed.sign_in(ALICE).await;
    assert_eq!(seen(&bed).await, as_writer);
    // In a transaction of the caller's, too, where it would run at the COMMIT.
    operator.batch_execute("begin").await.unwrap();
    made::create(&operator, "begun@put.example", None).await;
    operator.batch_execute("commit").await.unwrap();
    assert_eq!(seen(&bed).await, as_writer);
}

#[tokio::test]
async fn a_deferred_trigger_of_a_token_that_is_accepted_runs_as_nobody_who_calls() {
    let (bed, writer) = with_profiles("put_off_token").await;
    trap(&bed, DEFERRED, SAYS_WHO).await;
    let issuer = OtherIssuer::new("https://put-off.example", Algorithm::Es256);
    issuer.is_trusted_by(&bed).await;
    let broker = bed.role("broker", "").await;
    bed.admin
        .execute(&format!("select auth.grant_sign_in('{broker}'), auth.grant_broker('{broker}')"), &[])
        .await
        .unwrap();
    accept(&bed.connect(&broker).await, &issuer.token("ann", json!({}))).await.unwrap();
    assert_eq!(seen(&bed).await, [format!("late as {writer}")]);
}

/// A superuser may make functions in our schema. They are others' all the same.
#[tokio::test]
async fn a_trigger_function_in_our_schema_is_not_ours() {
    let (bed, writer) = with_profiles("put_off_schema").await;
    trap(&bed, DEFERRED, SAYS_WHO).await;
    bed.admin.batch_execute("alter function public.handle_new_user() set schema auth").await.unwrap();
    made::create(&bed.admin, "schema@put.example", None).await;
    assert_eq!(seen(&bed).await, [format!("late as {writer}")]);
}

/// The end of a stolen session writes an entry of the audit log, which somebody watches.
#[tokio::test]
async fn a_theft_is_ended_whatever_watches_the_audit_log() {
    let (bed, writer) = with_profiles("put_off_theft").await;
    bed.admin
        .batch_execute(&format!(
            "create table app.kinds (id text primary key);
             create table app.alerts (kind text references app.kinds deferrable initially deferred);
             insert into app.kinds values ('any'); grant insert on app.alerts to {writer}; grant select on app.kinds to {writer};
             create function public.alert() returns trigger language plpgsql security definer as $$ begin
                 insert into app.alerts values ('any'); return null; end $$;
             alter function public.alert() owner to {writer};
             create trigger alert after insert on auth.audit_log_entries for each row execute function public.alert()"
        ))
        .await
        .unwrap();
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    refresh_times(&app, &session, 2).await;
    bed.age(session.session_id).await;
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
    let deadline = Instant::now() + Duration::from_secs(60);
    while bed.is_alive(session.session_id).await {
        assert!(Instant::now() < deadline, "it lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A cursor WITH HOLD is filled at the COMMIT, as whoever commits.
#[tokio::test]
async fn a_cursor_does_not_outlive_the_call() {
    let (bed, _) = with_profiles("put_off_cursor").await;
    bed.admin
        .batch_execute("create function app.late() returns int language plpgsql as $$ begin insert into public.seen (what) values ('cursor'); return 1; end $$")
        .await
        .unwrap();
    let body = "execute 'declare late cursor with hold for select app.late()';";
    trap(&bed, "trigger trap after insert on app.profiles", body).await;
    let refusal = refused_as(bed.admin.query_one("select auth.create_user('cursor@put.example')", &[]).await, "42501");
    assert!(refusal.message.contains("security-restricted operation"), "{refusal}");
    assert!(seen(&bed).await.is_empty());
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn settings_of_a_sign_ups_trigger_do_not_stay() {
    let (bed, _) = with_profiles("put_off_settings").await;
    let body = "perform set_config('search_path', 'app, pg_catalog', false), set_config('row_security', 'off', false);";
    trap(&bed, "trigger trap after insert on app.profiles", body).await;
    let sql = "select concat_ws(' ', current_setting('search_path'), current_setting('row_security'))";
    let before = text(&bed.admin, sql).await.unwrap();
    made::create(&bed.admin, "settings@put.example", None).await;
    assert_eq!(text(&bed.admin, sql).await.unwrap(), before);
}

/// A trigger on a table of ours, without SECURITY DEFINER, writes to a table that has a deferred one.
#[tokio::test]
async fn what_a_trigger_on_our_tables_writes_to_runs_as_nobody() {
    let bed = bed("put_off_attached").await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "set role {owner};
             create table app.log (what text); grant insert on app.log to public; grant usage on schema app to public;
             create function app.trap() returns trigger language plpgsql as $$ begin
                 insert into public.seen (what) values (new.what || ' as ' || current_user); return null; end $$;
             create constraint trigger late after insert on app.log deferrable initially deferred for each row execute function app.trap();
             reset role;
             create function public.pass_on() returns trigger language plpgsql as $$ begin
                 insert into app.log values (lower(tg_op)); return null; end $$;
             create trigger pass_on after insert or update on auth.users for each row execute function public.pass_on()"
        ))
        .await
        .unwrap();
    let user = made::create(&bed.admin, "attached@put.example", None).await;
    assert_eq!(seen(&bed).await, [format!("insert as {NOBODY}")]);
    bed.admin.execute("select auth.ban_user($1)", &[&user]).await.unwrap();
    assert_eq!(seen(&bed).await, [format!("update as {NOBODY}")]);
}

/// What the caller's own tables put off is put off again after a sign-up that a trigger watches.
#[tokio::test]
async fn the_caller_may_put_off_after_a_sign_up() {
    let (bed, _) = with_profiles("put_off_again").await;
    bed.admin
        .batch_execute(
            "create table own (id int primary key, parent int references own deferrable initially deferred);
             create table named (id int, parent int, constraint shared check (true));
             create table others (id int constraint shared references own deferrable initially deferred)",
        )
        .await
        .unwrap();
    bed.admin.batch_execute("begin; insert into own values (1, null)").await.unwrap();
    made::create(&bed.admin, "again@put.example", None).await;
    bed.admin.batch_execute("insert into own values (3, 2); insert into own values (2, null); commit").await.unwrap();
    assert_eq!(bed.count("select count(*) from own").await, 3);
}

/// `auth.merge_users` asks tables of others about the user. The planner calls the IMMUTABLE functions of their partitions' indexes and
/// constraints, which belong to the partitions' owners.
#[tokio::test]
async fn a_merge_plans_nobodys_functions_with_rights() {
    let bed = bed("put_off_merge").await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "create table public.docs (id int, owner uuid references auth.users, region text) partition by list (region);
             create table app.docs_eu partition of public.docs for values in ('eu');
             alter table app.docs_eu owner to {owner}; grant usage on schema app to public;
             set role {owner};
             create function app.says() returns void language plpgsql as $$ begin
                 insert into public.seen (what) values ('planned as ' || current_user); end $$;
             create function app.key(int) returns int language plpgsql immutable as $$ begin perform app.says(); return $1; end $$;
             create index on app.docs_eu ((app.key(1) + id));
             alter table app.docs_eu add check (id > app.key(1) - 100000);
             reset role"
        ))
        .await
        .unwrap();
    let from = made::create(&bed.admin, "from@put.example", None).await;
    let into = made::create(&bed.admin, "into@put.example", None).await;
    seen(&bed).await;
    let operator = made::administrator(&bed).await;
    operator.execute("select auth.merge_users($1, $2)", &[&from, &into]).await.unwrap();
    let mut found = seen(&bed).await;
    found.dedup();
    assert_eq!(found, [format!("planned as {NOBODY}")]);
    // Rows are found as before.
    let from = made::create(&bed.admin, "from2@put.example", None).await;
    bed.admin.execute("insert into docs values (1, $1, 'eu')", &[&from]).await.unwrap();
    let refusal = refused_as(operator.execute("select auth.merge_users($1, $2)", &[&from, &into]).await, "WA431");
    assert!(refusal.detail.contains("public.docs"), "{refusal}");
}

/// A rule on ours writes to another table, where nothing waits for the COMMIT, though no trigger of others stands on ours.
#[tokio::test]
async fn what_rules_add_runs_as_nobody() {
    let bed = bed("put_off_rules").await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "create table app.log (what text); grant insert on app.log to public; alter table app.log owner to {owner};
             grant usage on schema app to public; grant create on schema app to {owner};
             set role {owner};
             create function app.trap() returns trigger language plpgsql as $$ begin
                 insert into public.seen (what) values (new.what || ' as ' || current_user); return null; end $$;
             create constraint trigger late after insert on app.log deferrable initially deferred for each row execute function app.trap();
             reset role"
        ))
        .await
        .unwrap();
    let user = made::create(&bed.admin, "rules@put.example", None).await;
    bed.admin
        .batch_execute("create rule also as on update to auth.users do also insert into app.log values ('rule')")
        .await
        .unwrap();
    bed.admin.execute("select auth.ban_user($1)", &[&user]).await.unwrap();
    assert_eq!(seen(&bed).await, [format!("rule as {NOBODY}")]);
}

/// A table that inherits from ours has constraints and generated columns of its own.
#[tokio::test]
async fn what_inherits_from_ours_runs_as_nobody() {
    let bed = bed("put_off_inherits").await;
    let owner = format!("{}_owner", bed.database);
    let user = made::create(&bed.admin, "inherits@put.example", None).await;
    bed.admin
        .batch_execute(&format!(
            "grant usage on schema app to public; grant create on schema app to {owner};
             create table app.staff () inherits (auth.users); alter table app.staff owner to {owner};
             set role {owner};
             create function app.says() returns void language plpgsql as $$ begin
                 insert into public.seen (what) values ('key as ' || current_user); end $$;
             create function app.key(until timestamptz) returns text language plpgsql immutable as $$ begin perform app.says(); return until; end $$;
             create function app.fixed(text) returns int language plpgsql immutable as $$ begin perform app.says(); return 1; end $$;
             alter table app.staff add generated int generated always as (app.fixed('x') + (banned_until is null)::int) stored;
             alter table app.staff add exclude ((app.key(banned_until)) with =) deferrable initially deferred;
             reset role"
        ))
        .await
        .unwrap();
    bed.admin.execute("insert into app.staff (id, email) values ($1, 'inherits@put.example')", &[&user]).await.unwrap();
    seen(&bed).await;
    for call in ["ban_user", "unban_user"] {
        bed.admin.execute(&format!("select auth.{call}($1)"), &[&user]).await.unwrap();
        let mut found = seen(&bed).await;
        found.dedup();
        assert_eq!(found, [format!("key as {NOBODY}")], "{call}");
    }
}

/// A member whose role changed has their sessions' tokens refreshed, by a trigger of ours. What hangs on those does not wait for the COMMIT either.
#[tokio::test]
async fn what_a_trigger_of_ours_sets_off_runs_as_nobody() {
    let (bed, writer) = with_profiles("put_off_member").await;
    bed.sign_in(ALICE).await;
    trap(&bed, DEFERRED, SAYS_WHO).await;
    bed.admin
        .batch_execute(&format!(
            "create function public.note() returns trigger language plpgsql security definer set search_path = '' as $$ begin
                 insert into app.profiles values (gen_random_uuid(), 'noted'); return new; end $$;
             alter function public.note() owner to {writer};
             alter table app.profiles drop constraint profiles_id_fkey;
             update auth.organization_memberships set role = 'before';
             create trigger note after update on auth.sessions for each row execute function public.note()"
        ))
        .await
        .unwrap();
    bed.sign_in(ALICE).await;
    assert_eq!(seen(&bed).await, [format!("late as {writer}")]);
}

/// Any function may run or close a cursor whose name it knows, and open another of that name, which its owner would then run.
#[tokio::test]
async fn cursors_of_the_caller_are_out_of_reach() {
    let (bed, _) = with_profiles("put_off_cursors").await;
    bed.admin
        .batch_execute(
            "create function app.evil() returns int language plpgsql as $$ begin
                 insert into public.seen (what) values ('evil as ' || current_user); return 7; end $$;
             grant usage on schema app to public",
        )
        .await
        .unwrap();
    let body = "declare c refcursor; r record; begin
        foreach c in array array['theirs', '<unnamed portal 1>', '<unnamed portal 2>']::refcursor[] loop
            begin fetch c into r; insert into public.seen (what) values ('fetched ' || c); exception when others then null; end;
            begin close c; open c for select app.evil(); exception when others then null; end;
        end loop;
        c := 'left behind'; open c for select app.evil();
    end;";
    trap(&bed, "trigger trap after insert or delete on app.profiles", body).await;
    let cursors = "select string_agg(name, ' ') from pg_cursors where name not in ('', 'theirs')";
    bed.admin
        .batch_execute("begin; declare theirs cursor for select n::text from generate_series(1, 3) as n")
        .await
        .unwrap();
    for (n, user) in [("1", "one@put.example"), ("2", "two@put.example"), ("3", "three@put.example")] {
        assert_eq!(text(&bed.admin, "fetch theirs").await.unwrap().as_deref(), Some(n));
        made::create(&bed.admin, user, None).await;
        assert_eq!(text(&bed.admin, cursors).await.unwrap(), None);
    }
    bed.admin.batch_execute("commit").await.unwrap();
    // A loop has a cursor too.
    let all = "do $$ declare r record; n int := 0; begin
        for r in select id from auth.users loop perform auth.delete_user(r.id); n := n + 1; end loop;
        if n <> 3 then raise '% of 3', n; end if; end $$";
    bed.admin.batch_execute(all).await.unwrap();
    assert!(seen(&bed).await.is_empty());
}

/// What a trigger of others defers is checked at once again: it is the caller's.
#[tokio::test]
async fn a_sign_ups_trigger_defers_nothing_of_the_callers() {
    let (bed, _) = with_profiles("put_off_modes").await;
    trap(&bed, "trigger trap after insert on app.profiles", "execute 'set constraints all deferred';").await;
    bed.admin
        .batch_execute(
            "create table own (id int primary key, parent int references own deferrable initially immediate); begin",
        )
        .await
        .unwrap();
    made::create(&bed.admin, "modes@put.example", None).await;
    refused_as(bed.admin.batch_execute("insert into own values (1, 2)").await, "23503");
    bed.admin.batch_execute("rollback").await.unwrap();
}

/// A deferred trigger of the caller's own takes on a role, before a sign-up that another trigger watches.
#[tokio::test]
async fn a_deferred_trigger_of_the_callers_may_take_on_a_role() {
    let (bed, _) = with_profiles("put_off_role").await;
    let operator = made::administrator(&bed).await;
    let name = text(&operator, "select current_user").await.unwrap().unwrap();
    let other = bed.role("taken_on", "").await;
    bed.admin
        .batch_execute(&format!(
            "grant {other} to {name};
             create table own (id int); grant insert on own to {name};
             create function public.takes_on() returns trigger language plpgsql as $$ begin
                 execute 'set local role {other}'; insert into public.seen (what) values ('trigger as ' || current_user); return null; end $$;
             create constraint trigger takes_on after insert on own deferrable initially deferred for each row execute function public.takes_on()"
        ))
        .await
        .unwrap();
    operator.batch_execute("begin; insert into own values (1)").await.unwrap();
    made::create(&operator, "role@put.example", None).await;
    assert_eq!(text(&operator, "select current_user").await.unwrap(), Some(name));
    operator.batch_execute("commit").await.unwrap();
    assert_eq!(seen(&bed).await, [format!("trigger as {other}")]);
}

/// Whoever calls a function that signs up need not have rights in the schema of a constraint of its owner's.
#[tokio::test]
async fn a_function_of_others_may_put_off_after_a_sign_up() {
    let (bed, _) = with_profiles("put_off_definer").await;
    let caller = bed.role("caller", "").await;
    bed.admin
        .batch_execute(
            "create schema hidden;
             create table hidden.own (id int primary key, parent int references hidden.own deferrable initially deferred);
             create function public.join_in() returns void language plpgsql security definer as $$ begin
                 perform auth.create_user('definer@put.example');
                 insert into hidden.own values (2, 1); insert into hidden.own values (1, null); end $$",
        )
        .await
        .unwrap();
    bed.connect(&caller).await.execute("select public.join_in()", &[]).await.unwrap();
    assert_eq!(bed.count("select count(*) from hidden.own").await, 2);
}

/// A sign-up that is watched has the triggers fire that its caller has put off. Meanwhile, a function around it may have a cursor of its own.
#[tokio::test]
async fn cursors_of_a_function_are_out_of_reach_of_triggers_that_its_caller_put_off() {
    let (bed, _) = with_profiles("put_off_invites").await;
    let caller = bed.role("caller", "").await;
    bed.admin
        .batch_execute(&format!(
            "create schema own authorization {caller};
             create function public.take_invites() returns int language plpgsql security definer as $$
                 declare c cursor for select n from generate_series(1, 3) as n; n int; taken int := 0; begin
                 open c;
                 loop fetch c into n; exit when not found; perform auth.create_user(n || '@put.example'); taken := taken + 1; end loop;
                 return taken; end $$;
             set role {caller};
             create function own.evil() returns int language plpgsql as $$ begin
                 insert into public.seen (what) values ('evil as ' || current_user); return 7; end $$;
             create function own.trap() returns trigger language plpgsql as $$ declare c refcursor := 'c'; n int; begin
                 begin fetch c into n; insert into public.seen (what) values ('fetched ' || n); exception when others then null; end;
                 begin close c; open c for select own.evil(); exception when others then null; end;
                 return null; end $$;
             create table own.late (id int);
             create constraint trigger late after insert on own.late deferrable initially deferred for each row execute function own.trap();
             reset role"
        ))
        .await
        .unwrap();
    let client = bed.connect(&caller).await;
    client.batch_execute("begin; insert into own.late values (1)").await.unwrap();
    assert_eq!(text(&client, "select public.take_invites()::text").await.unwrap().as_deref(), Some("3"));
    client.batch_execute("commit").await.unwrap();
    assert!(seen(&bed).await.is_empty());
}
