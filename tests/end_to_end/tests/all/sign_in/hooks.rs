//! Hooks: what they are given, what they see, and what they may change in a token.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, exchange, is_good, set_session, start};
use workos_end_to_end::hooks::{SEE, SEE_AND_SAY_NOTHING, allow, bed, function, hook, no_hooks, seen};
use workos_end_to_end::sql::{refused, text};

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
