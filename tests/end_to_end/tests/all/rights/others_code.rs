//! Code of others that our statements run: triggers of tables that reference ours, and casts of foreign keys. None of it runs with rights
//! of ours, or of whoever calls us.

use std::time::{Duration, Instant};

use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, ANNA, Session, refresh};
use workos_end_to_end::refreshing::refresh_times;
use workos_end_to_end::sql::{connect_with_notices, lines, refused, refused_as, text};
use workos_end_to_end::{Bed, made};
use workos_testbed::cluster::SUPERUSER;

/// The role that triggers of others run as.
pub const NOBODY: &str = "workos_auth_nobody";

/// A database with a table owner who is nobody in particular, and a table that everybody may write what they saw into.
pub async fn bed(name: &str) -> Bed<'static> {
    let bed = Bed::shared(name).await;
    let owner = bed.role("owner", "").await;
    bed.admin
        .batch_execute(&format!(
            "create schema app authorization {owner};
             create table public.seen (at bigint generated always as identity, what text);
             grant insert on public.seen to public;
             grant references on auth.users to {owner};
             create function app.saw() returns trigger language plpgsql as $$ begin
                 insert into public.seen (what) values (tg_argv[0] || ' as ' || current_user);
                 return coalesce(new, old);
             end $$;
             alter function app.saw() owner to {owner}"
        ))
        .await
        .unwrap();
    bed
}

/// A table of the owner's that everybody may write to, whose trigger says as whom it runs.
async fn watch(bed: &Bed<'_>) {
    bed.admin
        .batch_execute(&format!(
            "create function app.watched() returns trigger language plpgsql as $$ begin
                 insert into public.seen (what) values (new.what || ' as ' || current_user); return new;
             end $$;
             create table app.log (what text);
             create trigger watched before insert on app.log for each row execute function app.watched();
             alter table app.log owner to {owner}; alter function app.watched() owner to {owner};
             grant usage on schema app to public; grant insert on app.log to public",
            owner = format!("{}_owner", bed.database)
        ))
        .await
        .unwrap();
}

/// What was seen, in no order.
pub async fn seen(bed: &Bed<'_>) -> Vec<String> {
    lines(&bed.admin, "with gone as (delete from public.seen returning what) select what from gone order by what")
        .await
        .unwrap()
}

/// A table of the owner's, made by a superuser, that references one of ours, with a trigger of each kind.
async fn reference(bed: &Bed<'_>, table: &str, referenced: &str, action: &str, deferrable: &str) {
    let sql = format!(
        "create table app.{table} (id int generated always as identity, ref uuid references auth.{referenced} (id) {action});
         alter table app.{table} owner to {owner};
         set role {owner};
         create trigger after_row after delete or update on app.{table} for each row execute function app.saw('{table} row');
         create trigger after_statement after delete or update on app.{table} for each statement execute function app.saw('{table} statement');
         create constraint trigger late after delete or update on app.{table} {deferrable} for each row execute function app.saw('{table} late');
         reset role",
        owner = format!("{}_owner", bed.database)
    );
    bed.admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{table}: {error:?}"));
}

const LATE: &str = "deferrable initially deferred";

fn as_nobody(table: &str) -> Vec<String> {
    ["late", "row", "statement"].iter().map(|kind| format!("{table} {kind} as {NOBODY}")).collect()
}

/// Everything that ends sessions or removes people, and what is referenced there.
#[tokio::test]
async fn triggers_of_referencing_tables_run_as_nobody() {
    let bed = bed("others_triggers").await;
    for (table, referenced, action) in [
        ("posts", "users", "on delete cascade"),
        ("drafts", "users", "on delete set null"),
        ("notes", "users", "on delete set default"),
        ("devices", "sessions", "on delete cascade"),
        ("visits", "sessions", "on delete set null"),
        ("ways", "identities", "on delete cascade"),
    ] {
        reference(&bed, table, referenced, action, LATE).await;
    }
    bed.admin.batch_execute("insert into auth.organizations (id) values ('org_globex')").await.unwrap();
    let operator = made::administrator(&bed).await;
    let superuser = bed.superuser().await;
    let fill = async |session: &Session| {
        let sql = format!(
            "insert into app.posts (ref) values ('{user}'); insert into app.drafts (ref) values ('{user}');
             insert into app.notes (ref) values ('{user}'); insert into app.devices (ref) values ('{session}');
             insert into app.visits (ref) values ('{session}');
             insert into app.ways (ref) select id from auth.identities where user_id = '{user}'",
            user = session.user_id,
            session = session.session_id
        );
        bed.admin.batch_execute(&sql).await.unwrap();
        seen(&bed).await;
    };
    let of_session = || [as_nobody("devices"), as_nobody("visits")].concat();
    for (who, client) in [("an administrator", &operator), ("a superuser", &superuser)] {
        for (what, call) in [
            ("sign_out", "auth.sign_out('TOKEN')"),
            ("revoke_session", "auth.revoke_session('SESSION')"),
            ("revoke_sessions", "auth.revoke_sessions('USER')"),
            ("revoke_organization", "auth.revoke_organization('org_acme')"),
            ("ban_user", "auth.ban_user('USER')"),
            ("remove_member", "auth.remove_member('USER', 'org_acme')"),
            ("move_identity", "auth.move_identity(id, 'org_globex') from auth.identities"),
            ("merge_users", "auth.merge_users('USER', 'OTHER')"),
        ] {
            let session = bed.sign_in(ALICE).await;
            fill(&session).await;
            let other = if what == "merge_users" {
                // Nothing may reference who goes.
                bed.admin
                    .batch_execute("delete from app.posts; delete from app.drafts; delete from app.notes")
                    .await
                    .unwrap();
                seen(&bed).await;
                made::create(&bed.admin, "other@acme.com", Some("org_acme")).await
            } else {
                session.user_id
            };
            let call = call
                .replace("TOKEN", &session.access_token)
                .replace("SESSION", &session.session_id.to_string())
                .replace("USER", &session.user_id.to_string())
                .replace("OTHER", &other.to_string());
            client
                .batch_execute(&format!("begin; select {call}"))
                .await
                .unwrap_or_else(|error| panic!("{who} {what}: {error:?}"));
            client.batch_execute("commit").await.unwrap();
            let mut expected = of_session();
            if what == "merge_users" {
                // The user who goes is referenced by no row, and removed all the same.
                expected.extend(["drafts", "notes", "posts"].map(|table| format!("{table} statement as {NOBODY}")));
                expected.sort();
            }
            assert_eq!(seen(&bed).await, expected, "{who}: {what}");
            // As it was, for the next sign-in.
            let again = format!(
                "select auth.unban_user('{other}'); select auth.move_identity(id, 'org_acme') from auth.identities"
            );
            bed.admin.batch_execute(&again).await.unwrap();
        }
        let session = bed.sign_in(ALICE).await;
        fill(&session).await;
        client.batch_execute(&format!("select auth.delete_user('{}')", session.user_id)).await.unwrap();
        let tables = ["devices", "drafts", "notes", "posts", "visits", "ways"];
        let mut expected: Vec<String> = tables.iter().flat_map(|table| as_nobody(table)).collect();
        expected.sort();
        let mut found = seen(&bed).await;
        found.dedup();
        assert_eq!(found, expected, "{who}: delete_user");
    }
    // The clean-up, by whoever schedules it.
    let session = bed.sign_in(ALICE).await;
    fill(&session).await;
    bed.admin.batch_execute("update auth.sessions set not_after = now() - interval '1 day'").await.unwrap();
    superuser.batch_execute("select auth.cleanup()").await.unwrap();
    assert_eq!(seen(&bed).await, of_session(), "cleanup");
}

/// Nobody calls the worker: it ends the session of a stolen token by itself.
#[tokio::test]
async fn the_worker_runs_no_trigger_as_a_superuser() {
    let bed = bed("others_worker").await;
    reference(&bed, "devices", "sessions", "on delete cascade", LATE).await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    refresh_times(&app, &session, 2).await;
    bed.age(session.session_id).await;
    bed.admin.execute("insert into app.devices (ref) values ($1)", &[&session.session_id]).await.unwrap();
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_already_used");
    let deadline = Instant::now() + Duration::from_secs(60);
    while bed.is_alive(session.session_id).await {
        assert!(Instant::now() < deadline, "it lives");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(seen(&bed).await, as_nobody("devices"));
}

/// A trigger cannot put off work to the end of the transaction, where it would run as whoever commits: not by constraints that it makes,
/// not by setting constraints deferred, not in other tables.
#[tokio::test]
async fn nothing_is_put_off_to_the_commit() {
    let bed = bed("others_late").await;
    reference(&bed, "posts", "users", "on delete cascade", "deferrable").await;
    let owner = format!("{}_owner", bed.database);
    for (what, body, is_refused) in [
        ("an existing constraint", "set constraints all deferred; insert into app.trap values (1);", true),
        ("a deferred foreign key", "set constraints all deferred; insert into app.child values (7);", true),
        // Fires at once.
        (
            "a constraint made on the way",
            "create constraint trigger made after insert on app.trap deferrable initially deferred for each row execute function app.saw('made');
             insert into app.trap values (1);",
            false,
        ),
    ] {
        let sql = format!(
            "drop table if exists app.trap, app.child; set role {owner};
             create table app.trap (id int primary key);
             create table app.child (id int references app.trap deferrable);
             create constraint trigger late after insert on app.trap deferrable for each row execute function app.saw('trap');
             create or replace function app.put_off() returns trigger language plpgsql security definer as $$ begin {body} return null; end $$;
             drop trigger if exists put_off on app.posts;
             create trigger put_off after delete on app.posts for each row execute function app.put_off();
             reset role"
        );
        bed.admin.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        let user = made::create(&bed.admin, &format!("{}@late.example", Uuid::new_v4()), None).await;
        bed.admin.execute("insert into app.posts (ref) values ($1)", &[&user]).await.unwrap();
        seen(&bed).await;
        bed.admin.batch_execute("begin").await.unwrap();
        let result = bed.admin.execute("select auth.delete_user($1)", &[&user]).await;
        if is_refused {
            let refusal = refused_as(result, "42501");
            assert!(refusal.message.contains("security-restricted operation"), "{what}: {refusal}");
        } else {
            result.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        }
        bed.admin.batch_execute("commit").await.unwrap();
        let seen = seen(&bed).await;
        assert_eq!(seen.is_empty(), is_refused, "{what}");
        let by = [format!(" as {owner}"), format!(" as {NOBODY}")];
        assert!(seen.iter().all(|line| by.iter().any(|by| line.ends_with(by))), "{what}: {seen:?}");
    }
}

/// What the caller has put off themselves is checked when we are called, as the caller, and may be put off again afterwards.
#[tokio::test]
async fn the_callers_own_deferred_constraints_stay_theirs() {
    let bed = bed("others_own").await;
    let user = made::create(&bed.admin, "own@late.example", None).await;
    bed.admin
        .batch_execute(
            "create table own (id int primary key, parent int references own deferrable initially deferred,
                 person uuid references auth.users deferrable initially deferred);
             create constraint trigger late after insert on own deferrable initially deferred for each row execute function app.saw('own')",
        )
        .await
        .unwrap();
    bed.admin.batch_execute("begin; insert into own values (1, null, null)").await.unwrap();
    assert_eq!(seen(&bed).await, Vec::<String>::new());
    bed.admin.execute("select auth.delete_user($1)", &[&user]).await.unwrap();
    assert_eq!(seen(&bed).await, [format!("own as {SUPERUSER}")]);
    // Deferred again: the parent may come after the child.
    bed.admin
        .batch_execute("insert into own values (3, 2, null); insert into own values (2, null, null); commit")
        .await
        .unwrap();
    assert_eq!(seen(&bed).await.len(), 2);
    // What cannot be kept is refused by the call, and nothing has happened.
    let user = made::create(&bed.admin, "own2@late.example", None).await;
    bed.admin.batch_execute("begin; insert into own values (9, 8, null)").await.unwrap();
    refused_as(bed.admin.execute("select auth.delete_user($1)", &[&user]).await, "23503");
    bed.admin.batch_execute("rollback").await.unwrap();
    // A foreign key that is deferred decides when the call is made.
    bed.admin.execute("insert into own values (20, null, $1)", &[&user]).await.unwrap();
    refused_as(bed.admin.execute("select auth.delete_user($1)", &[&user]).await, "23503");
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
}

/// What a trigger sets for the session is undone: a search path that it leaves would have the operator's next statement call its functions.
#[tokio::test]
async fn settings_of_a_trigger_do_not_stay() {
    let bed = bed("others_settings").await;
    reference(&bed, "posts", "users", "on delete cascade", LATE).await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "set role {owner};
             create function app.sets() returns trigger language plpgsql as $$ begin
                 perform set_config('search_path', 'app', false), set_config('app.mark', 'left', false), set_config('row_security', 'off', false);
                 return null;
             end $$;
             create trigger sets after delete on app.posts for each row execute function app.sets(); reset role"
        ))
        .await
        .unwrap();
    let user = made::create(&bed.admin, "settings@late.example", None).await;
    bed.admin.execute("insert into app.posts (ref) values ($1)", &[&user]).await.unwrap();
    let sql = "select concat_ws('|', current_setting('search_path'), current_setting('app.mark', true), current_setting('row_security'))";
    let before = text(&bed.admin, sql).await.unwrap();
    bed.admin.execute("select auth.delete_user($1)", &[&user]).await.unwrap();
    assert_eq!(
        text(&bed.admin, sql).await.unwrap().map(|now| now.replace("||", "|")),
        before.map(|was| was.replace("||", "|"))
    );
}

/// The usual trigger of a superuser's on auth.users goes on working.
#[tokio::test]
async fn a_persons_own_handle_new_user_goes_on_working() {
    let bed = bed("others_handle").await;
    bed.admin
        .batch_execute(
            "create table public.teams (id int primary key);
             create table public.profiles (
                 id uuid primary key references auth.users on delete cascade, email text,
                 team int references public.teams deferrable initially deferred
             );
             create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$ begin
                 insert into public.teams values (1);
                 insert into public.profiles values (new.id, new.email, 1);
                 return new;
             end $$;
             create function public.greeted() returns trigger language plpgsql as $$ begin
                 new.raw_user_meta_data := new.raw_user_meta_data || '{\"greeted\": true}'; return new;
             end $$;
             create trigger on_auth_user_creating before insert on auth.users for each row execute procedure public.greeted();
             create trigger on_auth_user_created after insert on auth.users for each row execute procedure public.handle_new_user()",
        )
        .await
        .unwrap();
    let session = bed.sign_in(ALICE).await;
    assert_eq!(text(&bed.admin, "select email from profiles").await.unwrap().as_deref(), Some(ALICE.email));
    assert_eq!(bed.count("select count(*) from auth.users where raw_user_meta_data->>'greeted' = 'true'").await, 1);
    bed.admin.execute("select auth.delete_user($1)", &[&session.user_id]).await.unwrap();
    assert_eq!(bed.count("select count(*) from profiles").await, 0);
}

/// A superuser's trigger on a table of ours writes to a table of somebody else's. Neither its code nor theirs has rights of ours, in what a
/// person's life writes: before and after, by row and by statement, and where a foreign key removes the rows.
#[tokio::test]
async fn triggers_on_our_tables_run_as_nobody() {
    let bed = bed("others_attached").await;
    watch(&bed).await;
    bed.admin
        .batch_execute(
            "create function public.pass_on() returns trigger language plpgsql as $$ begin
                 insert into app.log values (tg_table_name || ' ' || lower(tg_when) || ' ' || lower(tg_op) || ' ' || lower(tg_level));
                 return coalesce(new, old);
             end $$",
        )
        .await
        .unwrap();
    let tables = ["users", "identities", "sessions", "organization_memberships", "flow_states", "audit_log_entries"];
    let mut expected = Vec::new();
    for table in tables {
        for (when, level) in [("before", "row"), ("before", "statement"), ("after", "row"), ("after", "statement")] {
            bed.admin
                .batch_execute(&format!(
                    "create trigger {when}_{level} {when} insert or update or delete on auth.{table}
                     for each {level} execute function public.pass_on()"
                ))
                .await
                .unwrap();
            let written = match table {
                "audit_log_entries" => &["insert"][..],
                "flow_states" => &["insert", "delete"],
                "users" | "sessions" => &["insert", "update", "delete"],
                _ => &["insert", "delete"],
            };
            expected.extend(written.iter().map(|event| format!("{table} {when} {event} {level} as {NOBODY}")));
        }
    }
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    let session = refresh_times(&app, &session, 1).await;
    app.execute("select auth.update_user($1, '{\"a\": 1}')", &[&session.access_token]).await.unwrap();
    app.execute("select auth.sign_out($1)", &[&session.access_token]).await.unwrap();
    bed.sign_in(ALICE).await;
    bed.admin.execute("select auth.delete_user($1)", &[&session.user_id]).await.unwrap();
    let mut found = seen(&bed).await;
    found.dedup();
    let mut others = found.clone();
    others.retain(|line| !line.ends_with(&format!(" as {NOBODY}")));
    assert!(others.is_empty(), "{others:#?}");
    let missed: Vec<_> = expected.iter().filter(|line| !found.contains(line)).collect();
    assert!(missed.is_empty(), "{missed:#?}");
}

/// The functions of a default, a constraint, an index and a rule, which are evaluated in the middle of our statements.
#[tokio::test]
async fn expressions_on_our_tables_run_as_nobody() {
    let bed = bed("others_expressions").await;
    watch(&bed).await;
    bed.admin
        .batch_execute(
            "create function public.pass_on(kind text) returns boolean language plpgsql as $$ begin
                 insert into app.log values (kind); return true;
             end $$;
             create function public.as_key(text) returns text language plpgsql immutable as $$ begin
                 perform public.pass_on('index'); return $1;
             end $$;
             alter table auth.users add column passed boolean default public.pass_on('default'), add check (public.pass_on('check'));
             create index on auth.users (public.as_key(email));
             create rule pass_on as on insert to auth.sessions do also select public.pass_on('rule');
             create rule pass_on_first as on update to auth.sessions do also select public.pass_on('first rule')",
        )
        .await
        .unwrap();
    seen(&bed).await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    refresh_times(&app, &session, 1).await;
    let mut found = seen(&bed).await;
    found.dedup();
    assert_eq!(found, ["check", "default", "first rule", "index", "rule"].map(|kind| format!("{kind} as {NOBODY}")));
}

/// A trigger that needs rights says so: it has none of ours.
#[tokio::test]
async fn a_trigger_without_rights_fails_the_call() {
    let bed = bed("others_denied").await;
    bed.admin
        .batch_execute(
            "create function public.promote() returns trigger language plpgsql as $$ begin
                 update auth.users set raw_app_meta_data = '{\"admin\": true}' where id = new.id; return new;
             end $$;
             create trigger promote after insert on auth.users for each row execute function public.promote()",
        )
        .await
        .unwrap();
    refused_as(bed.admin.batch_execute("select auth.create_user('eve@example.com')").await, "42501");
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
}

/// A foreign key to our tables never runs a cast of somebody's: not when it is made, not for rows that are there, not by a later change of
/// the column, and not in a session that has not loaded the library.
#[tokio::test]
async fn a_foreign_key_runs_no_cast_as_the_owner() {
    let bed = bed("others_casts").await;
    made::create(&bed.admin, "cast@late.example", None).await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "grant create on schema public to {owner}; grant create on database {} to {owner}",
            bed.database
        ))
        .await
        .unwrap();
    bed.admin
        .batch_execute(&format!(
            "set role {owner};
             create type app.evil as (x text);
             create function app.evil_cast(app.evil) returns uuid language plpgsql as $$ begin
                 raise warning 'cast as %', current_user; return null;
             end $$;
             create cast (app.evil as uuid) with function app.evil_cast(app.evil) as implicit;
             create function app.to_evil(uuid) returns app.evil language sql as $$ select row($1::text)::app.evil $$;
             create cast (uuid as app.evil) with function app.to_evil(uuid) as assignment;
             create domain app.evil_domain as app.evil;
             create table app.filled (c app.evil); insert into app.filled values (row('a'));
             create table app.parted (c app.evil) partition by list (c);
             create table app.good (c uuid references auth.users);
             create type app.row_type as (c uuid);
             create table app.typed of app.row_type (foreign key (c) references auth.users (id)); reset role;
             create foreign data wrapper nothing; create server nowhere foreign data wrapper nothing;
             grant usage on foreign server nowhere to {owner}; set role {owner};
             create foreign table app.parent (c uuid) server nowhere;
             create table app.child (foreign key (c) references auth.users (id)) inherits (app.parent); reset role"
        ))
        .await
        .unwrap();
    // A connection of its own for each, which has not loaded the library.
    for statement in [
        "alter table app.filled add foreign key (c) references auth.users (id)",
        "alter table app.filled add foreign key (c) references auth.users (id) not valid",
        "alter table app.filled add column d app.evil references auth.users (id)",
        "create table app.t (c app.evil references auth.users (id))",
        "create table app.t (c app.evil_domain references auth.users (id))",
        "create table app.t (c app.evil, foreign key (c) references auth.users)",
        "alter table app.parted add foreign key (c) references auth.users (id)",
        "alter table app.good alter column c type app.evil using null",
        "alter type app.row_type alter attribute c set data type app.evil cascade",
        "alter foreign table app.parent alter column c type app.evil",
        "create schema extra create table t (c app.evil references auth.users (id))",
        "do $$ begin execute 'alter table app.filled add foreign key (c) references auth.users (id)'; end $$",
    ] {
        let (client, notices) = connect_with_notices(&bed.cluster.config(&bed.database, &owner)).await.unwrap();
        refused(client.batch_execute(statement).await, "foreign_key_unsafe");
        let warnings = notices.take_warnings();
        assert!(warnings.is_empty(), "{statement}: {warnings:?}");
        // Nor by those who are nobody's owner.
        refused(bed.superuser().await.batch_execute(statement).await, "foreign_key_unsafe");
    }
    // Nor under a setting that keeps triggers from firing.
    let superuser = bed.superuser().await;
    let replica =
        "set session_replication_role = replica; alter table app.filled add foreign key (c) references auth.users (id)";
    refused(superuser.batch_execute(replica).await, "foreign_key_unsafe");
    // What is of the same type is taken, and so are foreign keys between other tables, whatever they cast.
    for good in [
        "create domain app.person as uuid check (value is not null)",
        "create table app.of_domain (c app.person references auth.users (id))",
        "alter table app.good add column d uuid references auth.users (id) on delete set null",
        "create table app.other (id uuid primary key)",
        "create table app.casting (c app.evil references app.other (id))",
    ] {
        let client: Client = bed.connect(&owner).await;
        client.batch_execute(good).await.unwrap_or_else(|error| panic!("{good}: {error:?}"));
    }
    let varchar = "create table app.of_organization (id varchar(40) references auth.organizations (id))";
    bed.admin.batch_execute(varchar).await.unwrap();
    refused(
        bed.admin.batch_execute("create table app.of_name (id name references auth.organizations (id))").await,
        "foreign_key_unsafe",
    );
}

/// Attacks of the review, whole: none of them gets a right, a row or a token.
#[tokio::test]
async fn a_table_owner_forges_no_claims() {
    let bed = bed("others_forge").await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "set role {owner};
             create table app.posts (owner uuid references auth.users (id) on delete cascade);
             create function app.forge() returns trigger language plpgsql as $$
             declare statement text; begin
                 foreach statement in array array[
                     'insert into auth.signing_keys (kid, algorithm, public_key, status) values (''k'', ''ES256'', ''{{}}'', ''pending'')',
                     'insert into auth.sessions (id) values (gen_random_uuid())',
                     'delete from auth.audit_log_entries', 'select count(*) from auth.users', 'table auth.sessions',
                     'create trigger t after insert on auth.redirect_urls execute function app.forge()',
                     'set role workos_auth_owner', 'set role {SUPERUSER}', 'reset role', 'set session authorization default',
                     'grant workos_auth_owner to {owner}', 'select auth.revoke_sessions(gen_random_uuid())',
                     'create temp table t ()', 'alter table auth.users disable row level security'
                 ] loop
                     begin
                         execute statement;
                         insert into public.seen (what) values ('done: ' || statement);
                     exception when insufficient_privilege or invalid_parameter_value then null;
                     end;
                 end loop;
                 insert into public.seen (what) values ('tried as ' || current_user);
                 return null;
             end $$;
             create trigger forge after delete on app.posts for each row execute function app.forge(); reset role"
        ))
        .await
        .unwrap();
    let (victim, other) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    bed.admin.execute("insert into app.posts values ($1)", &[&victim.user_id]).await.unwrap();
    let operator = made::administrator(&bed).await;
    operator.execute("select auth.delete_user($1)", &[&victim.user_id]).await.unwrap();
    assert_eq!(seen(&bed).await, [format!("tried as {NOBODY}")]);
    assert_eq!(bed.count("select count(*) from auth.signing_keys").await, 1);
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
    let sql = "select auth.verify_token($1)";
    operator.query_one(sql, &[&other.access_token]).await.unwrap();
}

/// A change of a key that others reference runs their triggers as a removal does.
#[tokio::test]
async fn a_new_installation_runs_triggers_as_nobody_too() {
    let bed = bed("others_installation").await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "create table app.copies (id uuid references auth.installation (id) on update cascade); alter table app.copies owner to {owner};
             set role {owner};
             create trigger after_row after update on app.copies for each row execute function app.saw('row');
             create constraint trigger late after update on app.copies deferrable initially deferred for each row execute function app.saw('late');
             reset role; insert into app.copies select id from auth.installation"
        ))
        .await
        .unwrap();
    bed.admin.batch_execute("select auth.become_new_installation()").await.unwrap();
    assert_eq!(seen(&bed).await, [format!("late as {NOBODY}"), format!("row as {NOBODY}")]);
}

/// A deferred trigger runs in the middle of a call of ours. The search path that it leaves does not choose our operators.
#[tokio::test]
async fn a_search_path_of_others_chooses_no_operator_of_ours() {
    let bed = bed("others_path").await;
    let owner = format!("{}_owner", bed.database);
    bed.admin
        .batch_execute(&format!(
            "create schema evil authorization {owner}; grant usage on schema evil to public; set role {owner};
             create function evil.equal(text, text) returns boolean language plpgsql as $$ begin
                 insert into public.seen (what) values ('operator as ' || current_user); return true;
             end $$;
             create function evil.equal(jsonb, jsonb) returns boolean language plpgsql as $$ begin
                 insert into public.seen (what) values ('operator as ' || current_user); return true;
             end $$;
             create operator evil.= (leftarg = text, rightarg = text, function = evil.equal);
             create operator evil.= (leftarg = jsonb, rightarg = jsonb, function = evil.equal);
             create table app.later (id int);
             create function app.paths() returns trigger language plpgsql as $$ begin
                 perform set_config('search_path', 'evil, pg_catalog', false); return null;
             end $$;
             create constraint trigger paths after insert on app.later deferrable initially deferred for each row execute function app.paths();
             reset role;
             create table app.waiting (id uuid references auth.flow_states (id) on delete cascade)"
        ))
        .await
        .unwrap();
    bed.sign_in(ALICE).await;
    bed.admin.batch_execute("update auth.organization_memberships set role = 'other'").await.unwrap();
    let pending = workos_end_to_end::start(&bed.admin, ALICE).await;
    bed.admin.batch_execute("begin; insert into app.later values (1)").await.unwrap();
    workos_end_to_end::exchange(&bed.admin, &pending).await.unwrap();
    bed.admin.batch_execute("commit").await.unwrap();
    assert_eq!(seen(&bed).await, Vec::<String>::new());
    assert_eq!(
        text(&bed.admin, "select role from auth.organization_memberships").await.unwrap().as_deref(),
        Some("admin")
    );
}
