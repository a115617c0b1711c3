//! Hooks: what they are given, what they may change in a token, and with whose rights they run.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, ANNA, Bed, exchange, is_good, set_session, start};
use workos_end_to_end::sql::{refused, refused_as, text};

/// A database with the role `…_hooker`, who owns the schema `app`, and a table there.
async fn bed(name: &str) -> Bed<'static> {
    let bed = Bed::shared(name).await;
    let hooker = bed.role("hooker", "").await;
    let sql = format!(
        "create schema app authorization {hooker}; set role {hooker};
         create table app.seen (at bigint generated always as identity, document jsonb, said text); reset role"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    bed
}

/// Names a function of the hooker's as a hook, with this PL/pgSQL for a body.
async fn hook(bed: &Bed<'_>, event: &str, body: &str) {
    function(bed, &format!("app.on_{event}"), body).await;
    let sql = format!(
        "insert into auth.hooks (event, function) values ('{event}', 'app.on_{event}(jsonb)')
         on conflict (event) do update set function = excluded.function"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

async fn function(bed: &Bed<'_>, name: &str, body: &str) {
    let sql = format!(
        "set role {}_hooker; create or replace function {name}(document jsonb) returns jsonb language plpgsql as $body$ {body} $body$;
         reset role",
        bed.database
    );
    bed.admin.batch_execute(&sql).await.unwrap();
}

async fn no_hooks(bed: &Bed<'_>) {
    bed.admin.batch_execute("delete from auth.hooks").await.unwrap();
}

async fn seen(bed: &Bed<'_>) -> Vec<Value> {
    let rows = bed.admin.query("select document from app.seen order by at", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn said(bed: &Bed<'_>) -> Vec<String> {
    let rows = bed.admin.query("delete from app.seen returning coalesce(said, 'NULL')", &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

const SEE: &str = "begin insert into app.seen (document) values (document); return document; end";
const SEE_AND_SAY_NOTHING: &str = "begin insert into app.seen (document) values (document); return null; end";

#[tokio::test]
async fn each_hook_is_given_its_document_in_the_order_of_the_sign_in() {
    let bed = bed("documents").await;
    hook(&bed, "user_created", SEE_AND_SAY_NOTHING).await;
    hook(&bed, "signed_in", SEE_AND_SAY_NOTHING).await;
    hook(&bed, "token", SEE).await;
    let backend = bed.backend().await;
    let pending = start(&backend, ALICE).await;
    let sql = "select session_id, user_id, claims from auth.exchange_code($1, $2, $3, ip => '2001:db8::7', user_agent => 'Browser/1.0')";
    let row = backend.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let (session_id, user_id, claims): (uuid::Uuid, uuid::Uuid, Value) = (row.get(0), row.get(1), row.get(2));

    let documents = seen(&bed).await;
    let events: Vec<&str> = documents.iter().map(|document| document["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["user_created", "signed_in", "token"]);
    for document in &documents {
        assert_eq!(document["user_id"], json!(user_id));
        assert_eq!(document["email"], json!(ALICE.email));
        assert_eq!(document["authentication_method"], "oauth");
    }
    let created = &documents[0]["claims"];
    assert_eq!(
        (&created["sub"], &created["email"], &created["org_id"]),
        (&json!(user_id), &json!(ALICE.email), &json!("org_acme"))
    );
    assert_eq!((&created["role"], &created["connection_id"]), (&json!("authenticated"), &json!("conn_acme")));
    assert_eq!(created["app_metadata"]["provider"], "workos");
    assert_eq!(created.get("session_id"), None, "there is none yet");
    assert_eq!((&documents[1]["ip"], &documents[1]["user_agent"]), (&json!("2001:db8::7"), &json!("Browser/1.0")));
    for document in &documents[1..] {
        assert_eq!(document["claims"], claims);
        assert_eq!(document["claims"]["session_id"], json!(session_id));
    }
    // No secret among them.
    let text = json!(documents).to_string();
    for secret in [&pending.code, &pending.verifier, &pending.state] {
        assert!(!text.contains(secret.as_str()));
    }

    // The second time, nobody is made.
    bed.sign_in(ALICE).await;
    let events: Vec<Value> = seen(&bed).await.iter().skip(3).map(|document| document["event"].clone()).collect();
    assert_eq!(events, ["signed_in", "token"]);
}

#[tokio::test]
async fn a_token_hook_adds_claims_and_thins_out_groups_roles_and_permissions() {
    let bed = bed("thinning").await;
    let first = bed.sign_in(ALICE).await;
    assert_eq!(first.claims["groups"], json!(["engineering", "admins"]));
    bed.admin.batch_execute("update auth.organization_memberships set permissions = '{a,b}'").await.unwrap();
    hook(
        &bed,
        "token",
        "begin
             document := jsonb_set(document, '{claims,plan}', '{\"naïve\": [1, 2.5]}');
             document := jsonb_set(document, '{claims,groups}', '[\"engineering\"]');
             document := jsonb_set(document, '{claims,permissions}', '[\"b\"]');
             document := jsonb_set(document, '{claims,app_metadata,tier}', '3');
             return document #- '{claims,org_roles}' #- '{claims,user_metadata}';
         end",
    )
    .await;
    let session = bed.sign_in(ALICE).await;
    let claims = &session.claims;
    assert_eq!((&claims["plan"], &claims["app_metadata"]["tier"]), (&json!({ "naïve": [1, 2.5] }), &json!(3)));
    assert_eq!((&claims["groups"], &claims["permissions"]), (&json!(["engineering"]), &json!(["b"])));
    assert_eq!((&claims["org_roles"], &claims["org_role"]), (&json!([]), &json!("admin")));
    assert_eq!(claims.get("user_metadata"), None);

    // The token says the same, and is good.
    let app = bed.connect(&bed.role("app", "").await).await;
    set_session(&app, &session.access_token, false).await.unwrap();
    is_good(&app, &session).await;
    let sql = "select auth.jwt(), auth.in_group('admins'), auth.in_group('engineering'), auth.has_permission('b'), auth.has_role('admin')";
    let row = app.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, Value>(0), *claims);
    assert_eq!([1, 2, 3, 4].map(|at| row.get::<_, bool>(at)), [false, true, true, false]);
    // The row keeps what WorkOS said.
    assert_eq!(bed.count("select cardinality(groups)::bigint from auth.organization_memberships").await, 2);
}

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
async fn whatever_goes_wrong_refuses_the_sign_in_and_leaves_nothing() {
    let bed = bed("failing").await;
    bed.sign_in(ALICE).await;
    let wrong = "jsonb_set(document, '{claims,NAME}', 'VALUE'); end";
    let changed =
        |name: &str, value: &str| format!("begin return {}", wrong.replace("NAME", name).replace("VALUE", value));
    for (event, body, why) in [
        ("token", "begin return null; end".to_owned(), "It returned NULL."),
        ("token", "begin return '[]'; end".to_owned(), "It did not return an object."),
        ("token", "begin return '{}'; end".to_owned(), "has no member claims."),
        ("token", "begin return jsonb_set(document, '{claims}', 'null'); end".to_owned(), "are not an object."),
        ("token", "begin return document #- '{claims,sub}'; end".to_owned(), "the claim sub, which is reserved."),
        ("token", changed("role", "\"postgres\""), "the claim role, which is reserved."),
        ("token", changed("exp", "99999999999"), "the claim exp, which is reserved."),
        ("token", changed("act", "{\"sub\": \"me\"}"), "the claim act, which is reserved."),
        ("token", changed("groups", "[\"wheel\"]"), "It added to the claim groups."),
        ("token", changed("org_roles", "[\"member\", \"owner\"]"), "It added to the claim org_roles."),
        ("token", changed("permissions", "\"all\""), "of the claim permissions."),
        (
            "token",
            "begin return jsonb_set(document, '{claims,deep}', (repeat('[', 300) || repeat(']', 300))::jsonb); end".to_owned(),
            "nested too deeply",
        ),
        ("token", "begin return 1 / 0; end".to_owned(), "It raised 22012: division by zero"),
        ("signed_in", "begin raise 'Nö: %', document ->> 'event'; end".to_owned(), "It raised P0001: Nö: signed_in"),
        ("signed_in", "begin raise 'x' using errcode = 'ZZ123'; end".to_owned(), "It raised ZZ123: x"),
        (
            "signed_in",
            "begin begin raise 'x' using errcode = 'ZZ123'; exception when others then raise 'y' using errcode = 'QQ456'; end; end".to_owned(),
            "It raised QQ456: y",
        ),
        ("signed_in", "begin set local lock_timeout = '10ms'; lock table app.seen; return null; end".to_owned(), "It raised 55P03: "),
        ("signed_in", "begin perform auth.session_id(); perform auth.sign_out(null); return null; end".to_owned(), "It raised 22004: a value is required"),
        ("signed_in", "begin perform auth.get_user(); return null; end".to_owned(), "It raised WA511: there is no session"),
        ("signed_in", "begin insert into app.seen (said) values (1, 2); end".to_owned(), "It raised 42601: "),
    ] {
        no_hooks(&bed).await;
        hook(&bed, event, &body).await;
        let pending = start(&bed.admin, ALICE).await;
        let before = bed.contents().await;
        let blocker = bed.superuser().await;
        if why.contains("55P03") {
            blocker.batch_execute("begin; lock table app.seen in share mode").await.unwrap();
        }
        let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
        assert!(error.detail.starts_with(&format!("The hook {event}, app.on_{event}(jsonb): ")), "{error}");
        assert!(error.detail.contains(why), "{why}\n{error}");
        assert_eq!(bed.contents().await, before, "{why}");
    }
    // What a new account's hook refuses is no account.
    no_hooks(&bed).await;
    hook(&bed, "user_created", "begin insert into app.seen (said) values ('x'); raise 'not you'; end").await;
    let pending = start(&bed.admin, ANNA).await;
    let before = bed.contents().await;
    let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
    assert!(error.detail.ends_with("It raised P0001: not you"), "{error}");
    assert_eq!(bed.contents().await, before);
    assert_eq!(bed.count("select count(*) from app.seen").await, 0);
    // And without it, it is.
    no_hooks(&bed).await;
    assert!(bed.sign_in(ANNA).await.is_new_user);
}

#[tokio::test]
async fn a_long_message_of_a_hook_is_cut() {
    let bed = bed("long_message").await;
    hook(&bed, "signed_in", "begin raise '%', repeat('ö', 100000); end").await;
    let pending = start(&bed.admin, ALICE).await;
    let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
    assert_eq!(error.detail.matches('ö').count(), 1000);
}

#[tokio::test]
async fn what_is_no_fault_of_the_hook_stays_what_it_is() {
    let bed = bed("unchanged").await;
    for sqlstate in ["40001", "40P01", "57014", "57P01"] {
        hook(&bed, "token", &format!("begin raise 'again' using errcode = '{sqlstate}'; end")).await;
        let pending = start(&bed.admin, ALICE).await;
        let error = refused_as(exchange(&bed.admin, &pending).await, sqlstate);
        assert_eq!(error.message, "again");
    }
    // A slow one is bound by statement_timeout.
    hook(&bed, "token", "begin perform pg_sleep(60); return document; end").await;
    let pending = start(&bed.admin, ALICE).await;
    bed.admin.batch_execute("set statement_timeout = '1s'").await.unwrap();
    refused_as(exchange(&bed.admin, &pending).await, "57014");
    bed.admin.batch_execute("reset statement_timeout").await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
    // And the backend is none the worse for it.
    hook(&bed, "token", SEE).await;
    bed.sign_in(ALICE).await;
    assert_eq!(seen(&bed).await.len(), 1);
}

#[tokio::test]
async fn what_may_not_be_a_hook_is_refused_when_it_is_named() {
    let bed = bed("naming").await;
    let hooker = format!("{}_hooker", bed.database);
    bed.admin
        .batch_execute(&format!(
            "create function app.of_a_superuser(jsonb) returns jsonb language sql as 'select $1';
             set role {hooker};
             create function app.good(jsonb) returns jsonb language sql as 'select $1';
             create function app.two(jsonb, jsonb) returns jsonb language sql as 'select $1';
             create function app.json(json) returns jsonb language sql as 'select $1::jsonb';
             create function app.text(jsonb) returns text language sql as 'select $1::text';
             create function app.many(jsonb) returns setof jsonb language sql as 'select $1';
             create function app.\"Größe\"(document jsonb, out answer jsonb) language sql as 'select $1';
             create procedure app.procedure(inout document jsonb) language plpgsql as 'begin end';
             create aggregate app.aggregate(jsonb) (sfunc = jsonb_concat, stype = jsonb);
             create function pg_temp.temporary(jsonb) returns jsonb language sql as 'select $1';
             reset role"
        ))
        .await
        .unwrap();
    let insert = |function: &str| format!("insert into auth.hooks (event, function) values ('token', '{function}')");
    for (function, why) in [
        ("app.of_a_superuser(jsonb)", "Its owner is a superuser"),
        ("app.missing(jsonb)", "There is no such function"),
        ("missing.good(jsonb)", "There is no such function"),
        ("good(jsonb)", "schema.name(jsonb)"),
        ("good", "schema.name(jsonb)"),
        ("app.two(jsonb, jsonb)", "schema.name(jsonb)"),
        ("app.two", "There is no such function"),
        ("app.json", "There is no such function"),
        ("app.text", "does not return jsonb"),
        ("app.many", "does not return jsonb"),
        ("app.procedure", "procedure"),
        ("app.aggregate", "aggregate"),
        ("pg_temp.temporary", "There is no such function"),
        ("pg_catalog.jsonb_strip_nulls", "superuser"),
        ("auth.sign_out", "There is no such function"),
        ("", "schema.name(jsonb)"),
    ] {
        let error = refused(bed.admin.batch_execute(&insert(function)).await, "hook_invalid");
        assert!(error.detail.contains(why), "{function}: {error}");
    }
    let temporary =
        text(&bed.admin, "select nspname from pg_namespace where oid = pg_my_temp_schema()").await.unwrap().unwrap();
    let error =
        refused(bed.admin.batch_execute(&insert(&format!("{temporary}.temporary(jsonb)"))).await, "hook_invalid");
    assert_eq!(error.detail, "It is temporary.");
    bed.admin.batch_execute("alter function app.good(jsonb) owner to workos_auth_owner").await.unwrap();
    let error = refused(bed.admin.batch_execute(&insert("app.good")).await, "hook_invalid");
    assert!(error.detail.contains("of the extension"), "{error}");
    bed.admin.batch_execute(&format!("alter function app.good(jsonb) owner to {hooker}")).await.unwrap();
    refused_as(bed.admin.batch_execute("insert into auth.hooks values ('token', null)").await, "22004");
    refused_as(bed.admin.batch_execute("insert into auth.hooks values ('tokens', 'app.good')").await, "23514");

    bed.admin.batch_execute(&insert("app.good(jsonb)")).await.unwrap();
    refused(bed.admin.batch_execute("update auth.hooks set function = 'app.text'").await, "hook_invalid");
    for good in ["APP.good", "app.\"Größe\"(jsonb)", "app.good ( JSONB )", "\"app\".\"good\"(pg_catalog.jsonb)"] {
        bed.admin.execute("update auth.hooks set function = $1", &[&good]).await.unwrap();
        bed.sign_in(ALICE).await;
    }
}

#[tokio::test]
async fn a_hook_is_looked_at_again_when_it_runs() {
    let bed = bed("looked_at_again").await;
    hook(&bed, "token", SEE).await;
    let hooker = format!("{}_hooker", bed.database);
    let ask = |detail: &'static str| {
        let bed = &bed;
        async move {
            // Also over a connection, and in a transaction, that has run it before.
            let pending = start(&bed.admin, ALICE).await;
            let error = refused(exchange(&bed.admin, &pending).await, "hook_failed");
            assert!(error.detail.contains(detail), "{error}");
        }
    };
    bed.sign_in(ALICE).await;
    bed.admin.batch_execute("alter function app.on_token(jsonb) owner to postgres").await.unwrap();
    ask("Its owner is a superuser").await;
    bed.admin
        .batch_execute(&format!("alter function app.on_token(jsonb) owner to {hooker}; alter role {hooker} superuser"))
        .await
        .unwrap();
    ask("Its owner is a superuser").await;
    bed.admin.batch_execute(&format!("alter role {hooker} nosuperuser")).await.unwrap();
    bed.sign_in(ALICE).await;
    bed.admin.batch_execute("alter function app.on_token(jsonb) rename to other").await.unwrap();
    ask("There is no such function").await;
    bed.admin.batch_execute("drop schema app cascade").await.unwrap();
    ask("There is no such function").await;
    // What somebody wrote past the trigger.
    bed.admin
        .batch_execute("set session_replication_role = replica; update auth.hooks set function = 'nothing'; reset session_replication_role")
        .await
        .unwrap();
    ask("It is not written as schema.name(jsonb).").await;
    no_hooks(&bed).await;
    bed.sign_in(ALICE).await;
}

/// The catalog is read as it is now, whatever the transaction's snapshot shows.
#[tokio::test]
async fn a_snapshot_of_before_does_not_bring_an_owner_back() {
    let bed = bed("snapshot").await;
    hook(&bed, "token", SEE).await;
    let backend = bed.superuser().await;
    for isolation in ["read committed", "repeatable read", "serializable"] {
        let pending = start(&backend, ALICE).await;
        backend
            .batch_execute(&format!("begin isolation level {isolation}; table auth.hooks; select app.on_token('{{}}')"))
            .await
            .unwrap();
        bed.admin.batch_execute("alter function app.on_token(jsonb) owner to postgres").await.unwrap();
        let error = refused(exchange(&backend, &pending).await, "hook_failed");
        assert!(error.detail.contains("superuser"), "{isolation}: {error}");
        backend.batch_execute("rollback").await.unwrap();
        bed.admin
            .batch_execute(&bed.named("alter function app.on_token(jsonb) owner to DATABASE_hooker"))
            .await
            .unwrap();
        let pending = start(&backend, ALICE).await;
        backend.batch_execute(&format!("begin isolation level {isolation}")).await.unwrap();
        exchange(&backend, &pending).await.unwrap();
        backend.batch_execute("commit").await.unwrap();
    }
    assert_eq!(seen(&bed).await.len(), 3, "what was rolled back is not there");
}

#[tokio::test]
async fn administrators_name_hooks_whose_rights_they_have() {
    let bed = bed("administrators").await;
    let hooker = format!("{}_hooker", bed.database);
    let operator = bed.role("operator", "").await;
    let backend = bed.backend().await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    function(&bed, "app.on_token", SEE).await;
    let insert = "insert into auth.hooks (event, function) values ('token', 'app.on_token(jsonb)')";
    let as_operator = bed.connect(&operator).await;
    let error = refused_as(as_operator.batch_execute(insert).await, "42501");
    assert!(error.detail.contains("rights of its owner"), "{error}");
    bed.admin.batch_execute(&format!("grant {hooker} to {operator}")).await.unwrap();
    as_operator.batch_execute(insert).await.unwrap();
    let by = text(&as_operator, "select created_by || ' ' || function from auth.hooks").await.unwrap();
    assert_eq!(by.unwrap(), format!("{operator} app.on_token(jsonb)"));
    // The hook runs whoever signs in: they need no right on it.
    workos_end_to_end::bed::sign_in(&backend, ALICE).await;
    as_operator.batch_execute("update auth.hooks set event = 'signed_in'").await.unwrap();
    assert_eq!(as_operator.execute("delete from auth.hooks", &[]).await.unwrap(), 1);
    for statement in ["table auth.hooks", insert, "delete from auth.hooks", "truncate auth.hooks"] {
        refused_as(backend.batch_execute(statement).await, "42501");
    }
    refused_as(as_operator.batch_execute("truncate auth.hooks").await, "42501");
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

/// Lets the hooker write into the tables, which nobody should.
async fn allow(bed: &Bed<'_>, rights: &str) {
    let hooker = format!("{}_hooker", bed.database);
    bed.admin.batch_execute(&format!("grant {rights} to {hooker}; alter role {hooker} bypassrls")).await.unwrap();
}

#[tokio::test]
async fn a_hook_that_ends_the_session_or_bans_the_person_gets_no_token_out() {
    let bed = bed("ending").await;
    allow(&bed, "select, delete, update on auth.sessions, auth.users, auth.organization_memberships").await;
    let ends =
        "begin delete from auth.sessions where id = (document #>> '{claims,session_id}')::uuid; return document; end";
    let bans = "begin update auth.users set banned_until = 'infinity' where id = (document ->> 'user_id')::uuid; return document; end";
    let unbans = "begin update auth.users set banned_until = '2020-01-01' where id = (document ->> 'user_id')::uuid; return document; end";
    let deletes = "begin update auth.users set deleted_at = now() where id = (document ->> 'user_id')::uuid; return document; end";
    let removes = "begin delete from auth.users where id = (document ->> 'user_id')::uuid; return document; end";
    for event in ["signed_in", "token", "user_created"] {
        for body in [ends, bans, deletes, removes] {
            if event == "user_created" && body == ends {
                continue;
            }
            no_hooks(&bed).await;
            hook(&bed, event, body).await;
            let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "hook_failed");
            assert!(error.detail.contains("ended the session"), "{event} {body}: {error}");
            assert_eq!(bed.count("select count(*) from auth.users").await, 0);
        }
        no_hooks(&bed).await;
        hook(&bed, event, unbans).await;
        bed.sign_in(ALICE).await;
        bed.admin.batch_execute("delete from auth.users").await.unwrap();
    }
    // A change of rights: seen by the token that comes after, refused where it would come too late.
    let raises = "begin
        update auth.organization_memberships set permissions = '{new}' where user_id = (document ->> 'user_id')::uuid;
        return document; end";
    no_hooks(&bed).await;
    hook(&bed, "signed_in", raises).await;
    let session = bed.sign_in(ALICE).await;
    assert_eq!((&session.claims["permissions"], &session.claims["claims_version"]), (&json!(["new"]), &json!(1)));
    no_hooks(&bed).await;
    hook(&bed, "token", &raises.replace("{new}", "{newer}")).await;
    let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "hook_failed");
    assert!(error.detail.contains("changed the person's rights"), "{error}");
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

#[tokio::test]
async fn a_token_that_a_hook_makes_too_large_names_the_claim_and_one_that_it_thins_fits() {
    let bed = bed("sizes").await;
    hook(&bed, "token", "begin return jsonb_set(document, '{claims,large}', to_jsonb(repeat('x', 20000))); end").await;
    let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "token_too_large");
    assert!(error.detail.contains("The largest claim is large; bytes: large 20002, "), "{error}");

    no_hooks(&bed).await;
    bed.sign_in(ALICE).await;
    let groups = "update auth.organization_memberships
        set permissions = array(select 'permission:' || i from generate_series(1, 2000) as i)";
    bed.admin.batch_execute(groups).await.unwrap();
    let error = refused(exchange(&bed.admin, &start(&bed.admin, ALICE).await).await, "token_too_large");
    assert!(error.detail.contains("The largest claim is permissions"), "{error}");
    hook(&bed, "token", "begin return jsonb_set(document, '{claims,permissions}', (document #> '{claims,permissions}') -> 0 || '[]'); end").await;
    let session = bed.sign_in(ALICE).await;
    assert_eq!(session.claims["permissions"], json!(["permission:1"]));
}

/// A STABLE function, and one in SQL, see what the sign-in has written; what one hook writes, the next one sees.
#[tokio::test]
async fn a_hook_of_any_volatility_sees_the_account() {
    let bed = bed("volatility").await;
    allow(&bed, "select on auth.users, auth.sessions").await;
    let hooker = format!("{}_hooker", bed.database);
    let sql = format!(
        "set role {hooker};
         create function app.created(document jsonb) returns jsonb stable strict language plpgsql security definer set work_mem = '6MB' as $$
             begin
                 if not exists (select from auth.users where id = (document ->> 'user_id')::uuid) then raise 'nobody'; end if;
                 return null;
             end $$;
         create function app.signed(document jsonb) returns jsonb language sql as
             $$ insert into app.seen (said) select 'session' from auth.sessions where id = (document #>> '{{claims,session_id}}')::uuid
                returning document $$;
         create function app.token(document jsonb) returns jsonb stable language sql as
             $$ select jsonb_set(document, '{{claims,seen}}', to_jsonb((select count(*) from app.seen where said = 'session'))) $$;
         reset role;
         insert into auth.hooks (event, function) values ('user_created', 'app.created'), ('signed_in', 'app.signed'), ('token', 'app.token')"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    for seen in 1..=2 {
        assert_eq!(bed.sign_in(ALICE).await.claims["seen"], json!(seen));
    }
}

#[tokio::test]
async fn a_rollback_takes_what_a_hook_wrote_along() {
    let bed = bed("rollback").await;
    hook(&bed, "signed_in", SEE).await;
    let client: Client = bed.superuser().await;
    let pending = start(&client, ALICE).await;
    client.batch_execute("begin").await.unwrap();
    exchange(&client, &pending).await.unwrap();
    client.batch_execute("rollback").await.unwrap();
    assert!(seen(&bed).await.is_empty());
    // One answer a statement, and so one run of the hook.
    let pending = start(&client, ALICE).await;
    let sql = "select (auth.exchange_code($1, $2, $3)).*";
    client.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!(seen(&bed).await.len(), 1);
}

#[tokio::test]
async fn hooks_survive_dump_and_restore() {
    let bed = bed("hooks_dumped").await;
    hook(&bed, "token", "begin return jsonb_set(document, '{claims,restored}', 'true'); end").await;
    function(&bed, "app.\"Größe\"", SEE).await;
    bed.admin
        .batch_execute("insert into auth.hooks (event, function) values ('signed_in', 'app.\"Größe\"(jsonb)')")
        .await
        .unwrap();
    bed.sign_in(ALICE).await;
    for format in ["plain", "custom"] {
        let file = bed.cluster.root_key_path().with_file_name(format!("hooks_{format}.dump"));
        let dump = bed
            .cluster
            .command("pg_dump")
            .args([&format!("--format={format}"), "--file"])
            .arg(&file)
            .arg(&bed.database)
            .output()
            .unwrap();
        assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
        let database = format!("{}_{format}", bed.database);
        bed.cluster.create_database(&database).await.unwrap();
        let mut restore = match format {
            "plain" => bed.cluster.command("psql"),
            _ => bed.cluster.command("pg_restore"),
        };
        match format {
            "plain" => restore.args(["--quiet", "--set=ON_ERROR_STOP=1", "--file"]).arg(&file),
            _ => restore.arg("--exit-on-error").arg(&file),
        };
        let restore = restore.arg(format!("--dbname={database}")).output().unwrap();
        assert!(restore.status.success(), "{format}: {}", String::from_utf8_lossy(&restore.stderr));
        let restored = bed.cluster.connect(&database, workos_testbed::cluster::SUPERUSER).await.unwrap();
        restored.batch_execute("select auth.take_over_installation()").await.unwrap();
        let session = workos_end_to_end::bed::sign_in(&restored, ALICE).await;
        assert_eq!(session.claims["restored"], json!(true), "{format}");
        assert_eq!(text(&restored, "select count(*) from app.seen").await.unwrap().unwrap(), "2", "{format}");
    }
}

/// The row names a function. Whoever may put another one in its place is nobody whom an administrator chose.
#[tokio::test]
async fn a_function_that_was_put_in_its_place_is_not_called() {
    let bed = bed("in_its_place").await;
    let (mallory, hooker) = (bed.role("mallory", "").await, format!("{}_hooker", bed.database));
    // A schema of Mallory's, in which the hooker has a function.
    bed.admin
        .batch_execute(&format!(
            "create schema shared authorization {mallory}; grant usage, create on schema shared to {hooker}"
        ))
        .await
        .unwrap();
    function(&bed, "shared.on_token", "begin return document; end").await;
    bed.admin
        .batch_execute("insert into auth.hooks (event, function) values ('token', 'shared.on_token(jsonb)')")
        .await
        .unwrap();
    let owner = "select function_owner from auth.hooks";
    assert_eq!(text(&bed.admin, owner).await.unwrap().as_deref(), Some(&*hooker));
    let backend = bed.backend().await;
    exchange(&backend, &start(&backend, ALICE).await).await.unwrap();

    let forged = "create function shared.on_token(document jsonb) returns jsonb language sql as $$
        select jsonb_set(document, '{claims,plan}', '\"stolen\"') $$";
    let as_mallory = bed.connect(&mallory).await;
    as_mallory.batch_execute(&format!("drop function shared.on_token(jsonb); {forged}")).await.unwrap();
    let pending = start(&backend, ALICE).await;
    let before = bed.contents().await;
    let refusal = refused(exchange(&backend, &pending).await, "hook_failed");
    assert!(refusal.detail.contains(&format!("It belongs to {mallory} now. It belonged to {hooker}")), "{refusal}");
    assert!(refusal.hint.contains("UPDATE auth.hooks"), "{refusal}");
    assert_eq!(bed.contents().await, before);
    // Nor may Mallory make it the hook, nor say whose it is.
    refused_as(as_mallory.batch_execute("update auth.hooks set function = function").await, "42501");
    let said = format!("update auth.hooks set function_owner = '{hooker}'");
    bed.admin.batch_execute(&said).await.unwrap();
    assert_eq!(text(&bed.admin, owner).await.unwrap().as_deref(), Some(&*mallory), "the extension fills it in");
    // An administrator who looked at it has said yes.
    exchange(&backend, &start(&backend, ALICE).await).await.unwrap();

    // The same function, given to somebody else; another in its place by a change of names; a role that is called otherwise.
    for (what, change) in [
        ("given away", format!("alter function shared.on_token(jsonb) owner to {hooker}")),
        (
            "renamed",
            format!(
                "alter function shared.on_token(jsonb) rename to old; set role {mallory};
                 create function shared.on_token(document jsonb) returns jsonb language sql as 'select document'; reset role"
            ),
        ),
        ("another name", format!("alter role {mallory} rename to {mallory}_2")),
    ] {
        exchange(&backend, &start(&backend, ALICE).await).await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        bed.admin.batch_execute(&change).await.unwrap();
        refused(exchange(&backend, &start(&backend, ALICE).await).await, "hook_failed");
        bed.admin.batch_execute("update auth.hooks set function = function").await.unwrap();
    }
    // Whose it was is in the audit log.
    let audited = "select count(*) from auth.audit_log_entries where action like 'hook_%' and payload::text like '%function_owner%'";
    assert!(bed.count(audited).await >= 5);
}
