//! `auth.create_visitor_token`: a key that clients send while nobody is signed in.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::made::administrator;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_end_to_end::waiting::pass;
use workos_end_to_end::{Bed, case};

async fn visitors(bed: &Bed<'_>) -> String {
    let name = format!("{}_anon", bed.database);
    bed.admin.batch_execute(&format!("create role {name} nologin")).await.unwrap();
    name
}

async fn key(client: &Client, arguments: &str) -> Result<String, tokio_postgres::Error> {
    Ok(client.query_one(&format!("select auth.create_visitor_token({arguments})"), &[]).await?.get(0))
}

/// What PostgREST does for a request with this bearer token.
async fn request(client: &Client, role: &str, token: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let headers = json!({ "authorization": format!("Bearer {token}"), "apikey": token }).to_string();
    client.batch_execute(&format!("begin; set local role {role}")).await?;
    client.query_one("select set_config('request.headers', $1, true)", &[&headers]).await?;
    let outcome = async {
        client.batch_execute("select auth.use_request_token()").await?;
        text(client, "select concat_ws('|', auth.uid(), auth.role(), auth.jwt())").await
    };
    let outcome = outcome.await;
    client.batch_execute("rollback").await?;
    outcome
}

fn payload(token: &str) -> Value {
    use base64::Engine;
    let payload = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    workos_auth_core::json::read::<workos_auth_core::json::Free>(&bytes).unwrap().0
}

#[tokio::test]
async fn a_visitors_key_is_a_request_of_nobody() {
    let bed = Bed::shared("nobody").await;
    let anon = visitors(&bed).await;
    let admin = administrator(&bed).await;
    let key = key(&admin, &format!("'{anon}', '30 days'")).await.unwrap();
    let claims = payload(&key);
    assert_eq!((&claims["role"], &claims["aud"]), (&json!(anon), &json!("authenticated")));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 30 * 86400);
    assert_eq!((claims.get("sub"), claims.get("session_id")), (None, None));

    let web = bed.role("web", "").await;
    bed.admin.batch_execute(&format!("grant {anon} to {web}")).await.unwrap();
    let web = bed.connect(&web).await;
    assert_eq!(request(&web, &anon, &key).await.unwrap(), Some(anon.clone()));
    // Also on a connection that somebody left a session on, and again from what the backend remembers.
    let alice = bed.sign_in(ALICE).await;
    set_session(&web, &alice.access_token, false).await.unwrap();
    for _ in 0..3 {
        assert_eq!(request(&web, &anon, &key).await.unwrap(), Some(anon.clone()));
    }
    // It is nobody's token, wherever somebody's is needed.
    for call in [
        "auth.set_session($1)",
        "auth.verify_token($1)",
        "auth.get_user($1)",
        "auth.update_user($1, '{}')",
        "auth.sign_out($1)",
        "auth.my_sessions($1)",
        "auth.link_identity($1, 'org_acme')",
        "auth.unlink_identity($1, gen_random_uuid())",
    ] {
        case!(call);
        let refusal = refused(web.execute(&format!("select {call}"), &[&key]).await, "no_authorization");
        assert!(refusal.detail.contains("visitor") && !refusal.to_string().contains(&key), "{refusal}");
    }
    let entries = lines(
        &bed.admin,
        "select action, payload ->> 'role', payload ? 'kid' from auth.audit_log_entries where action ~ 'visitor'",
    )
    .await;
    assert_eq!(entries.unwrap(), [format!("visitor_token_created|{anon}|t")]);
}

#[tokio::test]
async fn it_ends_with_its_time_and_with_its_signing_key() {
    let bed = Bed::shared("ends").await;
    let anon = visitors(&bed).await;
    let admin = administrator(&bed).await;
    let short = key(&admin, &format!("'{anon}', '3 seconds'")).await.unwrap();
    let key = key(&admin, &format!("'{anon}'")).await.unwrap();
    assert_eq!(payload(&key)["exp"].as_i64().unwrap() - payload(&key)["iat"].as_i64().unwrap(), 365 * 86400);
    // A backend that has seen it looks at its time again.
    assert!(request(&bed.admin, &anon, &short).await.is_ok());
    pass(payload(&short)["exp"].as_i64().unwrap()).await;
    let refusal = refused_as(request(&bed.admin, &anon, &short).await, "PT401");
    assert!(refusal.detail.starts_with("bad_jwt_expired"), "{refusal}");

    admin.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    assert!(request(&bed.admin, &anon, &key).await.is_ok());
    // What auth.check() says may be retired is not what visitors' keys were signed with.
    let old = "update auth.signing_keys set activated_at = activated_at - interval '9 days', created_at = created_at - interval '9 days'";
    bed.admin.batch_execute(old).await.unwrap();
    let idle = "select count(*) from auth.check() where finding ~ 'retiring key'";
    assert_eq!(bed.count(idle).await, 0);
    bed.admin.batch_execute("update auth.signing_keys set visitors_until = now() - interval '1 s'").await.unwrap();
    assert_eq!(bed.count(idle).await, 1);
    let kid = "select kid from auth.signing_keys where status = 'retiring'";
    let kid = text(&bed.admin, kid).await.unwrap().unwrap();
    admin.execute("select auth.retire_signing_key($1)", &[&kid]).await.unwrap();
    let refusal = refused_as(request(&bed.admin, &anon, &key).await, "PT401");
    assert!(refusal.detail.starts_with("bad_jwt_key"), "{refusal}");
}

#[tokio::test]
async fn which_roles_may_be_named() {
    let bed = Bed::shared("roles").await;
    let anon = visitors(&bed).await;
    let admin = administrator(&bed).await;
    let role = |name: &str| format!("{}_{name}", bed.database);
    bed.admin
        .batch_execute(&bed.named(
            "create role DATABASE_super superuser; create role DATABASE_bypass bypassrls; create role DATABASE_maker createrole;
             create role DATABASE_member; grant DATABASE_bypass to DATABASE_member; create role DATABASE_backend2;
             select auth.grant_sign_in('DATABASE_backend2'); create role DATABASE_people;
             alter database DATABASE set workos_auth.allowed_roles = 'authenticated, DATABASE_people';
             do $$ begin create role service_role nologin; exception when duplicate_object or unique_violation then null; end $$",
        ))
        .await
        .unwrap();
    let admin_role = text(&admin, "select current_user").await.unwrap().unwrap();
    let again = bed.connect(&admin_role).await;
    for (name, why) in [
        (role("super"), "is a superuser"),
        (role("bypass"), "has BYPASSRLS"),
        (role("maker"), "may make roles"),
        (role("member"), "is a member of another role"),
        (role("backend2"), "auth.grant_sign_in"),
        (admin_role.clone(), "auth.grant_admin"),
        (role("people"), "workos_auth.allowed_roles"),
        ("service_role".to_owned(), "stands for the server"),
        ("postgres".to_owned(), "is a superuser"),
    ] {
        case!(name);
        let refusal = refused(key(&again, &format!("'{name}'")).await, "visitor_role_not_allowed");
        assert!(refusal.detail.contains(why), "{refusal}");
    }
    for (arguments, name) in [
        ("'there_is_no_such_role'".to_owned(), "validation_failed"),
        ("null".to_owned(), "null_value"),
        (format!("'{anon}', null"), "null_value"),
        (format!("'{anon}', '0'"), "validation_failed"),
        (format!("'{anon}', '-1 day'"), "validation_failed"),
        (format!("'{anon}', '11 years'"), "validation_failed"),
    ] {
        case!(arguments);
        refused(key(&again, &arguments).await, name);
    }
    // Backends and people make none.
    for client in [bed.backend().await, bed.connect(&bed.role("stranger", "").await).await] {
        refused_as(key(&client, &format!("'{anon}'")).await, "42501");
    }
}

/// A token that is half a person's and half a visitor's is neither.
#[tokio::test]
async fn a_forged_key_is_refused() {
    let mint = workos_end_to_end::Mint::new("forged").await;
    let anon = visitors(&mint.bed).await;
    let good = key(&mint.bed.admin, &format!("'{anon}'")).await.unwrap();
    let (signed, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{signed}.{}", mint.session.access_token.rsplit_once('.').unwrap().1);
    for (what, token) in [
        ("another's signature", forged),
        ("without a role", mint.token(json!({ "sub": null, "session_id": null, "role": null }))),
        ("a role that is no text", mint.token(json!({ "sub": null, "session_id": null, "role": 7 }))),
    ] {
        case!(what);
        refused_as(request(&mint.bed.admin, &anon, &token).await, "PT401");
    }
}
