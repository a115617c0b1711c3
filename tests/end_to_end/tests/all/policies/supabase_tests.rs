//! `docs/testing.md`: the functions by which tests that were written for Supabase sign people in.

use workos_end_to_end::Bed;
use workos_end_to_end::documents::Document;
use workos_end_to_end::sql::{lines, refused_as, text};

/// The first block of the page that is fenced so.
fn block(words: &str) -> String {
    Document::read("docs/testing.md").block(words)
}

/// What helpers for Supabase have: a schema `tests`, people by a name of the test's, and the functions that sign in by the setting.
const HELPERS: &str = "
    create schema if not exists tests; grant usage on schema tests to public;
    create function tests.create_supabase_user(identifier text, email text default null) returns uuid language sql security definer as
        $$ insert into auth.users (id, email, raw_user_meta_data) values (gen_random_uuid(), coalesce(email, identifier || '@test.com'),
               jsonb_build_object('test_identifier', identifier)) returning id $$;
    create function tests.get_supabase_user(identifier text) returns json language plpgsql security definer as $$
    declare
        person json;
    begin
        select json_build_object('id', id, 'email', u.email, 'phone', phone, 'raw_user_meta_data', raw_user_meta_data, 'raw_app_meta_data', raw_app_meta_data)
            into person from auth.users as u where raw_user_meta_data ->> 'test_identifier' = identifier;
        if person is null then raise exception 'User with identifier % not found', identifier; end if;
        return person;
    end $$;
    create function tests.authenticate_as(identifier text) returns void language sql as '';
    create function tests.authenticate_as_service_role() returns void language sql as '';
    create function tests.clear_authentication() returns void language sql as '';";

const ROLES: &str = "
    do $$ begin create role anon nologin; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin create role authenticated nologin; exception when duplicate_object or unique_violation then null; end $$;
    do $$ begin create role service_role nologin bypassrls; exception when duplicate_object or unique_violation then null; end $$;";

const TABLE: &str = "create table notes (owner uuid default auth.uid(), line text); alter table notes enable row level security;
    create policy own on notes using (owner = auth.uid()) with check (owner = auth.uid()); grant all on notes to authenticated, service_role";

#[tokio::test]
async fn tests_that_use_the_helpers_pass() {
    let bed = Bed::shared("helpers").await;
    for sql in [ROLES, HELPERS, TABLE, &block("sql helpers"), "create extension pgtap"] {
        bed.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    let script = [
        "select plan(17)",
        "select tests.create_supabase_user('ann'), tests.create_supabase_user('bob', 'bob@test.com')",
        "select throws_ok($$ select tests.authenticate_as('nobody') $$, 'User with identifier nobody not found')",
        "select lives_ok($$ select tests.authenticate_as('ann') $$)",
        "select is(auth.uid()::text, tests.get_supabase_user('ann') ->> 'id')",
        "select is(current_role::text, 'authenticated')",
        "select is(current_setting('request.jwt.claims')::jsonb ?& array['sub', 'email', 'phone', 'user_metadata', 'app_metadata'], true)",
        "select lives_ok($$ insert into notes (line) values ('of Ann') $$)",
        "select results_eq('select line from notes', array['of Ann'])",
        // Another person, without more.
        "select tests.authenticate_as('bob')",
        "select is(auth.email(), 'bob@test.com')",
        "select is_empty('select line from notes')",
        "select throws_ok($$ insert into notes values ((tests.get_supabase_user('ann') ->> 'id')::uuid, 'planted') $$, '42501')",
        "select tests.authenticate_as_service_role()",
        "select is(current_role::text, 'service_role')",
        "select is(auth.uid(), null)",
        "select results_eq('select line from notes', array['of Ann'])",
        "select tests.clear_authentication()",
        "select is(current_role::text, 'anon')",
        "select is(auth.uid(), null)",
        "select is(auth.role(), 'anon')",
        "select is(current_setting('request.jwt.claims'), '')",
        "select * from finish()",
    ];
    bed.admin.batch_execute("begin").await.unwrap();
    for statement in script {
        for line in lines(&bed.admin, statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}")) {
            assert!(!line.starts_with("not ok") && !line.starts_with('#'), "{statement}: {line}");
        }
    }
    bed.admin.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
}

#[tokio::test]
async fn an_event_trigger_gives_them_to_tests_that_create_the_extension() {
    let bed = Bed::shared("event_trigger").await;
    let wrapped = format!(
        "create function public.sign_in_by_as_user() returns void language plpgsql as $body$ begin {} end $body$",
        block("sql helpers")
    );
    for sql in [ROLES, TABLE, &wrapped, &block("sql event trigger")] {
        bed.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
    // An extension whose script has made the functions, as far as the trigger sees.
    bed.admin.batch_execute("begin").await.unwrap();
    bed.admin.batch_execute(HELPERS).await.unwrap();
    bed.admin
        .batch_execute(
            "create extension pgcrypto; select tests.create_supabase_user('ann'); select tests.authenticate_as('ann')",
        )
        .await
        .unwrap();
    assert_eq!(text(&bed.admin, "select auth.email()").await.unwrap().as_deref(), Some("ann@test.com"));
    refused_as(
        bed.admin
            .batch_execute("select tests.create_supabase_user('bob'), tests.authenticate_as('bob'), pg_read_file('x')")
            .await,
        "42501",
    );
    bed.admin.batch_execute("rollback").await.unwrap();
}
