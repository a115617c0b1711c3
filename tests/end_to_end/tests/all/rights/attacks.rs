//! Whoever attaches, plants or calls something gets no more rights through the extension than they had.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, configure_workos, set_session, sign_in};
use workos_end_to_end::catalog::{difference, of_the_extension};
use workos_end_to_end::sql::{lines, refusal, refused_as, text};
use workos_testbed::workos::CLIENT_SECRET;

async fn bed(name: &str) -> Bed<'static> {
    Bed::shared(name).await
}

#[tokio::test]
async fn a_definer_function_of_an_attacker_gets_nothing_from_a_superuser_who_calls_it() {
    let bed = bed("definer").await;
    let mallory = bed.role("mallory", "").await;
    bed.admin.batch_execute(&format!("grant create on schema public to {mallory}")).await.unwrap();
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&mallory]).await.unwrap();
    let client = bed.connect(&mallory).await;
    let keys = bed.cluster.root_key_path().parent().unwrap().display().to_string();
    let evil = configure_workos(", client_secret => 'k', api_url => 'https://evil.example.com'");
    for (name, statement) in [
        ("api_url", evil),
        ("file", configure_workos(&format!(", client_secret_file => '{keys}/root.key'"))),
        ("key", format!("select auth.create_root_key('{keys}/mallory.key')")),
        ("admin", format!("select auth.grant_admin('{mallory}')")),
    ] {
        let sql = format!(
            "create function public.{name}() returns void language plpgsql security definer as $$ begin perform {}; end $$",
            statement.trim_start_matches("select ")
        );
        client.batch_execute(&sql).await.unwrap();
        refused_as(bed.admin.batch_execute(&format!("select public.{name}()")).await, "42501");
    }
    let made = format!("select pg_stat_file('{keys}/mallory.key', true) is not null");
    assert_ne!(text(&bed.admin, &made).await.unwrap().as_deref(), Some("t"));
}

/// What a trigger tries, and the role it is seen to run as.
const SPY: &str = "
    create table public.seen (as_whom text, attempt text, outcome text);
    grant all on public.seen to public;
    create function public.spy() returns trigger language plpgsql as $$
    declare attempt text;
    begin
        foreach attempt in array array['create role spy_made superuser', 'select pg_read_file(''postgresql.conf'')', 'set local role postgres',
            'set session authorization postgres', 'reset role', 'alter role workos_auth_owner superuser', 'copy (select 1) to program ''true'''] loop
            begin
                execute attempt;
                insert into public.seen values (current_user, attempt, 'done');
            exception when others then
                insert into public.seen values (current_user, attempt, sqlstate);
            end;
        end loop;
        return new;
    end $$";

#[tokio::test]
async fn a_trigger_on_a_table_runs_as_the_owner_at_most() {
    let bed = bed("triggers").await;
    bed.admin.batch_execute(SPY).await.unwrap();
    for table in ["users", "identities", "sessions", "providers", "audit_log_entries"] {
        bed.admin.batch_execute(&format!("create trigger spy before insert or update or delete on auth.{table} for each row execute function public.spy()")).await.unwrap();
    }
    let outcomes = "select distinct as_whom, outcome, count(*) > 0 from public.seen group by 1, 2";
    let secret = format!(", api_url => '{}', client_secret => '{CLIENT_SECRET}'", bed.workos.url());
    bed.admin.batch_execute(&configure_workos(&secret)).await.unwrap();
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["workos_auth_nobody|42501|t"], "configure_workos");
    bed.admin.batch_execute("truncate public.seen").await.unwrap();

    let mut superuser = bed.superuser().await;
    let session = sign_in(&superuser, ALICE).await;
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["workos_auth_nobody|42501|t"], "exchange_code");
    bed.admin.batch_execute("truncate public.seen").await.unwrap();
    bed.admin.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    superuser.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    let transaction = superuser.transaction().await.unwrap();
    transaction.execute("select auth.set_session($1)", &[&session.access_token]).await.unwrap();
    transaction.execute("select auth.sign_out($1)", &[&session.access_token]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["workos_auth_nobody|42501|t"], "sign_out");
    // And the caller is itself again afterwards.
    assert_eq!(
        text(&superuser, "select current_user || current_setting('search_path')").await.unwrap().unwrap(),
        r#"postgres"$user", public"#
    );
}

#[tokio::test]
async fn an_error_inside_gives_the_caller_its_rights_and_settings_back() {
    let bed = bed("restored").await;
    bed.admin.batch_execute("create function public.fail() returns trigger language plpgsql as $$ begin raise 'no' using errcode = 'ZZ123'; end $$;
        create trigger fail before insert or update on auth.providers for each row execute function public.fail()").await.unwrap();
    let call = configure_workos(&format!(", api_url => '{}', client_secret => 'k'", bed.workos.url()));
    refused_as(bed.admin.batch_execute(&call).await, "ZZ123");
    let whoami = "select current_user || current_setting('search_path')";
    let same = Some(r#"postgres"$user", public"#.to_owned());
    assert_eq!(text(&bed.admin, whoami).await.unwrap(), same);
    // Caught in the same transaction, too.
    let caught = format!("do $$ begin begin perform {}; exception when others then
        if current_user <> 'postgres' or current_setting('search_path') <> '\"$user\", public' then raise 'not restored: %', current_user; end if; end; end $$", call.trim_start_matches("select "));
    bed.admin.batch_execute(&caught).await.unwrap();
    assert_eq!(text(&bed.admin, whoami).await.unwrap(), same);
}

/// Functions, operators, types and tables of the names that the extension's own statements use, all of which raise.
const TRAPS: &str = "
    create function {}.boom() returns boolean language plpgsql as $$ begin raise 'planted' using errcode = 'ZZ666'; end $$;
    do $$ declare t text; op text; begin
        foreach t in array array['text', 'uuid', 'bytea', 'timestamptz', 'jsonb', 'int8', 'int4', 'bool', 'text[]', 'inet', 'name', 'oid'] loop
            execute format('create function {}.boom(pg_catalog.%s, pg_catalog.%s) returns boolean language sql as ''select {}.boom()''', t, t);
            foreach op in array array['=', '<>', '<', '>', '<=', '>=', '||', '@>', '->', '+', '-'] loop
                execute format('create operator {}.%s (leftarg = pg_catalog.%s, rightarg = pg_catalog.%s, function = {}.boom)', op, t, t);
            end loop;
        end loop;
        foreach t in array array['now', 'clock_timestamp', 'transaction_timestamp', 'gen_random_uuid', 'current_database'] loop
            execute format('create function {}.%I() returns text language sql as ''select {}.boom()::pg_catalog.text''', t);
        end loop;
        foreach t in array array['lower', 'upper', 'btrim', 'length', 'quote_ident', 'quote_literal', 'sha256', 'to_jsonb', 'jsonb_build_object', 'format', 'concat',
            'nextval', 'set_config', 'uid', 'jwt', 'to_regrole'] loop
            execute format('create function {}.%I(pg_catalog.text) returns text language sql as ''select {}.boom()::pg_catalog.text''', t);
        end loop;
        for t in select relname from pg_catalog.pg_class where relnamespace = 'auth'::regnamespace and relkind in ('r', 'v') loop
            execute format('create table {}.%I (id pg_catalog.uuid)', t);
        end loop;
        foreach t in array array['text', 'uuid', 'bytea', 'timestamptz', 'jsonb', 'int8', 'inet', 'regrole', 'regclass', 'session'] loop
            execute format('create domain {}.%I as pg_catalog.text check ({}.boom())', t);
        end loop;
    end $$;";

#[tokio::test]
async fn what_is_planted_on_the_search_path_is_not_called() {
    let bed = bed("planted").await;
    let backend = bed.role("backend", "").await;
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    let grants = format!("grant create on schema public to {backend}; create schema evil authorization {backend}");
    bed.admin.batch_execute(&grants).await.unwrap();
    let client = bed.connect(&backend).await;
    for schema in ["public", "evil", "pg_temp"] {
        client.batch_execute(&TRAPS.replace("{}", schema)).await.unwrap_or_else(|error| panic!("{schema}: {error:?}"));
    }
    for path in ["evil, public, pg_temp, pg_catalog", "pg_temp, evil, pg_catalog", "public, pg_temp, pg_catalog"] {
        bed.admin.batch_execute(&format!("alter role {backend} set search_path = {path}")).await.unwrap();
        // The role brings the path along, or sets it by hand with the library there.
        let fresh = bed.connect(&backend).await;
        for client in [&fresh, &client] {
            client.batch_execute(&format!("set search_path = {path}")).await.unwrap();
            let planted = refusal(client.batch_execute("select 'a'::pg_catalog.text = 'a'::pg_catalog.text").await);
            assert_eq!(planted.sqlstate, "ZZ666", "{path}: the trap does not work");
            let session = sign_in(client, ALICE).await;
            set_session(client, &session.access_token, false).await.unwrap();
            for call in [
                "auth.uid()",
                "auth.jwt()",
                "auth.jwks()",
                "auth.role()",
                "auth.email()",
                "auth.has_role('admin', 'org_acme')",
                "auth.in_group('admins')",
                "auth.has_permission('p')",
                "auth.error_codes()",
                "auth.workos_authorize_url('org_acme')",
                "auth.my_sessions('TOKEN')",
                "auth.update_user('TOKEN', '{\"a\": 1}')",
                "auth.link_identity('TOKEN', 'org_acme')",
                "auth.sign_out('TOKEN', 'others')",
                "auth.sign_out('TOKEN')",
                "auth.clear_session()",
            ] {
                let call = call.replace("TOKEN", &session.access_token);
                let result = client.batch_execute(&format!("select {call}")).await;
                result.unwrap_or_else(|error| panic!("{path}: {call}: {error:?}"));
            }
        }
    }
}

#[tokio::test]
async fn every_definer_function_has_its_own_search_path() {
    let bed = bed("definers").await;
    let loose = r#"select p.oid::regprocedure from pg_proc p join pg_language l on l.oid = p.prolang
        where p.pronamespace = 'auth'::regnamespace and (p.prosecdef or l.lanname in ('sql', 'plpgsql'))
        and (not coalesce(p.proconfig @> '{"search_path=pg_catalog, pg_temp"}', false) or pg_get_userbyid(p.proowner) <> 'workos_auth_owner')"#;
    let none: [String; 0] = [];
    assert_eq!(lines(&bed.admin, loose).await.unwrap(), none);
    let definers = "select count(*) from pg_proc where prosecdef and pronamespace = 'auth'::regnamespace";
    assert!(bed.count(definers).await > 5);
}

/// What somebody tries who may create objects, roles and databases, and owns this one; and the refusal. Statements that
/// would be harmless are not among them. DATABASE stands for the database's name.
const CREATIONS: &[(&str, &str)] = &[
    ("create function auth.mine() returns int language sql as 'select 1'", "42501"),
    ("create or replace function auth.uid() returns uuid language sql as 'select null::uuid'", "42501"),
    ("create function auth.uid(text) returns uuid language sql as 'select null::uuid'", "42501"),
    ("create table auth.mine (id int)", "42501"),
    ("create view auth.mine as select 1", "42501"),
    ("create type auth.mine as enum ('x')", "42501"),
    ("create operator auth.= (leftarg = uuid, rightarg = uuid, function = uuid_eq)", "42501"),
    ("create schema auth", "42P06"),
    ("alter function auth.uid() owner to DATABASE_mallory", "42501"),
    ("alter function auth.uid() volatile", "42501"),
    ("alter function auth.uid() set search_path = public", "42501"),
    ("alter function auth.sign_out(text, text) security invoker", "42501"),
    ("alter function auth.sign_out(text, text) reset search_path", "42501"),
    ("alter function auth.uid() rename to mine", "42501"),
    ("alter function auth.uid() set schema public", "42501"),
    ("drop function auth.uid()", "42501"),
    ("comment on function auth.uid() is 'x'", "42501"),
    ("grant execute on function auth.exchange_code(text, text, text, inet, text) to DATABASE_mallory", "42501"),
    ("create trigger t before insert on auth.users for each row execute function public.mine()", "42501"),
    ("create policy p on auth.users using (true)", "42501"),
    ("create rule r as on insert to auth.users do nothing", "42501"),
    ("create index on auth.users (email)", "42501"),
    ("create statistics s on id, email from auth.users", "42501"),
    ("alter table auth.users disable row level security", "42501"),
    ("alter table auth.users disable trigger all", "42501"),
    ("alter table auth.signing_keys disable trigger forget_cached_rows", "42501"),
    ("alter table auth.sessions owner to DATABASE_mallory", "42501"),
    ("alter table auth.sessions replica identity nothing", "42501"),
    ("truncate auth.sessions", "42501"),
    ("drop table auth.sessions cascade", "42501"),
    ("lock table auth.sessions in access share mode", "42501"),
    (
        "insert into auth.signing_keys (kid, algorithm, public_key, status) values ('k', 'ES256', '{}', 'retiring')",
        "42501",
    ),
    ("update auth.sessions set claims_version = 0", "42501"),
    ("delete from auth.sessions", "42501"),
    ("select * from auth.users", "42501"),
    ("table auth.sessions", "42501"),
    ("create table public.heir () inherits (auth.users)", "42501"),
    ("create table public.likes (like auth.users including all)", "42501"),
    ("create table public.refers (id uuid references auth.users)", "42501"),
    ("create view public.v as select * from auth.users; select * from public.v", "42501"),
    ("create function public.c() returns uuid language c as '$libdir/workos_auth', 'uid_wrapper'", "42501"),
    ("create function public.i(text) returns text language internal as 'pg_read_file_all'", "42501"),
    ("create cast (text as uuid) without function", "42501"),
    ("create cast (uuid as text) with inout as implicit", "42501"),
    ("create operator class public.o default for type uuid using btree as function 1 uuid_cmp(uuid, uuid)", "42501"),
    ("create event trigger e on ddl_command_end execute function public.mine()", "42501"),
    ("alter extension workos_auth add table public.mine", "42501"),
    ("alter extension workos_auth drop function auth.uid()", "42501"),
    ("drop extension workos_auth", "42501"),
    ("drop schema auth cascade", "42501"),
    ("alter schema auth rename to mine", "42501"),
    ("alter schema auth owner to DATABASE_mallory", "42501"),
    ("alter default privileges for role workos_auth_owner grant all on tables to DATABASE_mallory", "42501"),
    ("set role workos_auth_owner", "42501"),
    ("set role workos_auth_nobody", "42501"),
    ("reassign owned by workos_auth_owner to DATABASE_mallory", "42501"),
    ("select lo_import('/etc/hostname')", "42501"),
    ("select auth.grant_sign_in('DATABASE_mallory')", "42501"),
    ("create publication p for table auth.signing_keys", "42501"),
];

#[tokio::test]
async fn a_role_that_creates_in_public_changes_nothing_of_the_extension() {
    let bed = bed("creators").await;
    let mallory = bed.role("mallory", "createdb").await;
    let grants =
        format!("grant create on schema public to {mallory}; alter database {} owner to {mallory}", bed.database);
    bed.admin.batch_execute(&grants).await.unwrap();
    let client = bed.connect(&mallory).await;
    let own = "create table public.mine (id uuid);
        create function public.mine() returns trigger language plpgsql as 'begin return new; end'";
    client.batch_execute(own).await.unwrap();
    let (before, contents) = (of_the_extension(&bed.admin).await, bed.contents().await);
    for (statement, sqlstate) in CREATIONS {
        client.batch_execute("begin").await.unwrap();
        let result = client.batch_execute(&bed.named(statement)).await;
        client.batch_execute("rollback").await.unwrap();
        assert!(result.is_err(), "{statement}: done");
        let refusal = refusal(result);
        assert_eq!(refusal.sqlstate, *sqlstate, "{statement}: {refusal}");
    }
    let none: [String; 0] = [];
    assert_eq!(difference(&before, &of_the_extension(&bed.admin).await), none);
    assert_eq!(bed.contents().await, contents);
    // These give and take nothing: Postgres warns, or refuses, and does nothing.
    for statement in [
        "revoke execute on function auth.uid() from public",
        "grant create on schema auth to DATABASE_mallory",
        "grant usage on schema auth to DATABASE_mallory with grant option",
    ] {
        client.batch_execute(&bed.named(statement)).await.ok();
    }
    let rights = "select has_function_privilege('public', 'auth.uid()', 'execute'), has_schema_privilege('DATABASE_mallory', 'auth', 'create'),
        has_schema_privilege('DATABASE_mallory', 'auth', 'usage with grant option')";
    assert_eq!(lines(&bed.admin, &bed.named(rights)).await.unwrap(), ["t|f|f"]);
}
