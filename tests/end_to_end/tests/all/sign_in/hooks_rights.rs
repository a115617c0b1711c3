//! With whose rights hooks run, who is signed in there, and that no hook runs within another.

use workos_end_to_end::bed::{ALICE, ANNA, exchange, is_good, set_session, start};
use workos_end_to_end::hooks::{SEE, bed, hook, no_hooks, said, seen};
use workos_end_to_end::sql::{refused, text};

#[tokio::test]
async fn a_hook_runs_as_its_owner_and_may_not_become_anybody_else() {
    let bed = bed("rights").await;
    let hooker = format!("{}_hooker", bed.database);
    bed.admin.batch_execute(&format!("create role {hooker}_more; grant {hooker}_more to {hooker}")).await.unwrap();
    hook(
        &bed,
        "signed_in",
        "declare
             tried text;
         begin
             insert into app.seen (said) values (concat_ws(' ', current_user, session_user, current_setting('search_path')));
             foreach tried in array array['set role ' || current_user || '_more', 'set session authorization default', 'create temporary table t ()',
                 'reset role', 'table auth.sessions', 'table auth.users', 'select auth.start_sign_in(organization => ''org_acme'')']
             loop
                 begin
                     execute tried;
                     insert into app.seen (said) values (tried || ' worked');
                 exception when insufficient_privilege then null;
                 end;
             end loop;
             set work_mem = '77MB';
             perform set_config('app.said', 'hello', false), set_config('search_path', 'public', true);
             return null;
         end",
    )
    .await;
    bed.admin.batch_execute("set work_mem = '5MB'; set search_path = 'public', 'app'").await.unwrap();
    let session = bed.sign_in(ALICE).await;
    assert_eq!(said(&bed).await, [format!("{hooker} postgres pg_catalog, pg_temp")]);
    let now = "select concat_ws(' ', current_user, current_setting('work_mem'), current_setting('search_path'),
        '<' || coalesce(current_setting('app.said', true), '') || '>')";
    assert_eq!(text(&bed.admin, now).await.unwrap().unwrap(), "postgres 5MB public, app <>");
    assert!(session.is_new_user);

    // Also where it fails, and the caller goes on.
    hook(&bed, "signed_in", "begin set work_mem = '88MB'; raise 'no'; end").await;
    let pending = start(&bed.admin, ALICE).await;
    bed.admin.batch_execute("begin; savepoint s").await.unwrap();
    refused(exchange(&bed.admin, &pending).await, "hook_failed");
    bed.admin.batch_execute("rollback to s").await.unwrap();
    assert_eq!(text(&bed.admin, now).await.unwrap().unwrap(), "postgres 5MB public, app <>");
    bed.admin.batch_execute("create temporary table t (); rollback").await.unwrap();
}

#[tokio::test]
async fn nobody_is_signed_in_within_a_hook_and_the_callers_session_stays() {
    let bed = bed("readers").await;
    let anna = bed.sign_in(ANNA).await;
    hook(
        &bed,
        "signed_in",
        "begin
             insert into app.seen (said) values (coalesce(auth.uid()::text, 'nobody') || ' ' || coalesce(auth.jwt()::text, 'nothing'));
             return null;
         end",
    )
    .await;
    let app = bed.role("app", "").await;
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&app]).await.unwrap();
    let caller = bed.connect(&app).await;
    set_session(&caller, &anna.access_token, false).await.unwrap();
    // The query around it has read her claims before, and reads them after.
    let pending = start(&caller, ALICE).await;
    let sql = "with before as materialized (select auth.uid() as id),
        signed_in as materialized (select s.user_id, b.id from before as b, auth.exchange_code($1, $2, $3) as s)
        select id, user_id, auth.uid() from signed_in";
    let row = caller.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let ids: [uuid::Uuid; 3] = [0, 1, 2].map(|at| row.get(at));
    assert_eq!((ids[0], ids[2]), (anna.user_id, anna.user_id));
    assert_ne!(ids[1], anna.user_id);
    is_good(&caller, &anna).await;
    assert_eq!(said(&bed).await, ["nobody nothing"]);

    // A token that is no longer good on the caller's connection does not matter either.
    bed.admin.execute("delete from auth.sessions where id = $1", &[&anna.session_id]).await.unwrap();
    exchange(&caller, &start(&caller, ALICE).await).await.unwrap();
    assert_eq!(said(&bed).await, ["nobody nothing"]);
    refused(caller.query("select auth.uid()", &[]).await, "session_not_found");

    // What a hook puts on ends with it.
    let alice = bed.sign_in(ALICE).await;
    said(&bed).await;
    let body = format!(
        "begin
             perform auth.set_session('{}', false);
             insert into app.seen (said) values (auth.uid()::text);
             return null;
         end",
        alice.access_token
    );
    hook(&bed, "signed_in", &body).await;
    let fresh = bed.connect(&app).await;
    let pending = start(&fresh, ANNA).await;
    let row = fresh
        .query_one(
            "select s.user_id, auth.uid() from auth.exchange_code($1, $2, $3) as s",
            &[&pending.code, &pending.verifier, &pending.state],
        )
        .await
        .unwrap();
    assert_eq!((row.get::<_, uuid::Uuid>(0), row.get::<_, Option<uuid::Uuid>>(1)), (anna.user_id, None));
    assert_eq!(said(&bed).await, [alice.user_id.to_string()]);
    assert_eq!(text(&fresh, "select auth.uid()").await.unwrap(), None);
}

#[tokio::test]
async fn hooks_do_not_run_within_hooks() {
    let bed = bed("nesting").await;
    let hooker = format!("{}_hooker", bed.database);
    bed.admin.execute("select auth.grant_sign_in($1::text::regrole)", &[&hooker]).await.unwrap();
    let body = async |otherwise: &str| {
        let inner = start(&bed.admin, ANNA).await;
        format!(
            "begin
                 if document ->> 'email' = '{}' then return document; end if;
                 perform auth.exchange_code('{}', '{}', '{}');
                 return document;
             exception when sqlstate 'WA408' then {otherwise}
             end",
            ANNA.email, inner.code, inner.verifier, inner.state
        )
    };
    hook(&bed, "signed_in", &body("raise;").await).await;
    let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "hook_failed");
    assert!(error.detail.ends_with("It raised WA408: a hook failed"), "{error}");
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
    // One that gets over it: the inner sign-in is undone, the outer one is not, and the next one's hook runs.
    hook(
        &bed,
        "signed_in",
        &body("insert into app.seen (said) values (sqlstate || ' ' || sqlerrm); return null;").await,
    )
    .await;
    bed.sign_in(ALICE).await;
    assert_eq!(said(&bed).await, ["WA408 a hook failed"]);
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1);
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
    hook(&bed, "signed_in", SEE).await;
    bed.sign_in(ANNA).await;
    assert_eq!(seen(&bed).await.len(), 1);
}

/// What a hook refuses once it refuses again: to have been refused does not open the way.
#[tokio::test]
async fn hooks_do_not_run_within_hooks_at_the_second_attempt_either() {
    let bed = bed("nesting_again").await;
    // What signs people in for the hook, with an administrator's rights.
    bed.admin
        .batch_execute(&bed.named(
            "create role DATABASE_admin; grant usage, create on schema app to DATABASE_admin; select auth.grant_admin('DATABASE_admin');
             select auth.create_user('old@acme.test', user_id => '00000000-0000-4000-8000-000000000001');
             set role DATABASE_admin;
             create function app.make_user() returns void language sql security definer as
                 $$ select auth.create_user(gen_random_uuid() || '@acme.test') $$;
             create function app.make_session() returns void language sql security definer as
                 $$ select auth.create_session('00000000-0000-4000-8000-000000000001') $$;
             reset role",
        ))
        .await
        .unwrap();
    let body = |inner: &str| {
        format!(
            "begin
                 insert into app.seen (said) values ('ran');
                 if (select count(*) > 50 from app.seen) then return document; end if;
                 for attempt in 1 .. 4 loop
                     begin
                         perform app.{inner}();
                         insert into app.seen (said) values ('let in');
                     exception when sqlstate 'WA408' then insert into app.seen (said) values ('refused');
                     end;
                 end loop;
                 return document;
             end"
        )
    };
    for (event, outer, inner) in [
        ("user_created", "select auth.create_user('outer@acme.test')", "make_user"),
        ("signed_in", "select auth.create_session('00000000-0000-4000-8000-000000000001')", "make_session"),
        ("token", "select auth.create_session('00000000-0000-4000-8000-000000000001')", "make_session"),
    ] {
        no_hooks(&bed).await;
        hook(&bed, event, &body(inner)).await;
        bed.admin.batch_execute(outer).await.unwrap();
        assert_eq!(said(&bed).await, ["ran", "refused", "refused", "refused", "refused"], "{event}");
        // The flag is down again after it.
        bed.admin.batch_execute(&outer.replace("outer@", "another@")).await.unwrap();
        assert_eq!(said(&bed).await.len(), 5, "{event}");
    }
}
