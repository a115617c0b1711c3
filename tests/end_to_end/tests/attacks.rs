//! Whoever attaches, plants or calls something gets no more rights through the extension than they had.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, configure_workos, set_session, sign_in};
use workos_end_to_end::sql::{lines, refusal, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::workos::CLIENT_SECRET;

async fn bed(name: &str) -> Bed<'static> {
    Bed::new(Cluster::shared().unwrap(), name).await
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
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["workos_auth_owner|42501|t"], "configure_workos");
    bed.admin.batch_execute("truncate public.seen").await.unwrap();

    let mut superuser = bed.superuser().await;
    let session = sign_in(&superuser, ALICE).await;
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["workos_auth_owner|42501|t"], "exchange_code");
    bed.admin.batch_execute("truncate public.seen").await.unwrap();
    bed.admin.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    superuser.batch_execute("set workos_auth.rls_guard = off").await.unwrap();
    let transaction = superuser.transaction().await.unwrap();
    transaction.execute("select auth.set_session($1)", &[&session.access_token]).await.unwrap();
    transaction.execute("select auth.sign_out()", &[]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(lines(&bed.admin, outcomes).await.unwrap(), ["workos_auth_owner|42501|t"], "sign_out");
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

#[tokio::test]
async fn what_is_planted_on_the_search_path_is_not_called() {
    let bed = bed("planted").await;
    let backend = bed.role("backend", "").await;
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&backend]).await.unwrap();
    bed.admin.batch_execute(&format!("grant create on schema public to {backend}")).await.unwrap();
    let client = bed.connect(&backend).await;
    client.batch_execute("
        create function public.boom() returns boolean language plpgsql as $$ begin raise 'planted' using errcode = 'ZZ666'; end $$;
        create function public.boom(text, text) returns boolean language sql as 'select public.boom()';
        create function public.boom(uuid, uuid) returns boolean language sql as 'select public.boom()';
        create function public.boom(bytea, bytea) returns boolean language sql as 'select public.boom()';
        create function public.now() returns timestamptz language sql as 'select case when public.boom() then null::timestamptz end';
        create function public.lower(text) returns text language sql as 'select public.boom()::text';
        create operator public.= (leftarg = text, rightarg = text, function = public.boom);
        create operator public.= (leftarg = uuid, rightarg = uuid, function = public.boom);
        create operator public.= (leftarg = bytea, rightarg = bytea, function = public.boom);
        create temp table users (id uuid); create temp table providers (id uuid); create temp table sessions (id uuid);
        create domain pg_temp.inet as text check (public.boom()); create domain pg_temp.uuid as text check (public.boom());
        set search_path = public, pg_temp, pg_catalog").await.unwrap();
    let planted = refusal(client.batch_execute("select 'a'::text = 'a'::text").await);
    assert_eq!(planted.sqlstate, "ZZ666", "the trap does not work");
    let session = sign_in(&client, ALICE).await;
    set_session(&client, &session.access_token, false).await.unwrap();
    client
        .batch_execute("select auth.uid(), auth.jwt(), auth.jwks(), auth.has_role('admin', 'org_acme')")
        .await
        .unwrap();
    client.batch_execute("select auth.sign_out()").await.unwrap();
}
