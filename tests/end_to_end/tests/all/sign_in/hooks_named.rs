//! Which functions may be hooks, who names them, and what becomes of a hook whose function changes.

use workos_end_to_end::bed::{ALICE, exchange, start};
use workos_end_to_end::hooks::{SEE, bed, function, hook, no_hooks, seen};
use workos_end_to_end::sql::{refused, refused_as, text};

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
