//! Policies that are tested as somebody.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::made::{create, session_of};
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_end_to_end::{Bed, set_session};

/// Notes of two organizations, and a role that may read its own.
async fn notes(bed: &Bed<'_>) -> String {
    let people = bed.role("people", "").await;
    bed.admin
        .batch_execute(&format!(
            "create table notes (organization text, owner uuid, note text);
             alter table notes enable row level security;
             create policy own on notes using (organization = auth.organization_id() or owner = auth.uid());
             grant all on notes to {people};
             insert into notes values ('org_acme', null, 'of acme'), ('org_globex', null, 'of globex')"
        ))
        .await
        .unwrap();
    people
}

#[tokio::test]
async fn a_policy_is_tested_as_somebody() {
    let bed = Bed::shared("as_somebody").await;
    let people = notes(&bed).await;
    let alice = bed.sign_in(ALICE).await;
    let before = bed.contents().await;
    let client = bed.superuser().await;
    client.batch_execute("begin").await.unwrap();
    let sql = format!("select auth.as_user('{}', '{people}')", alice.user_id);
    let claims: Value = client.query_one(&sql, &[]).await.unwrap().get(0);
    assert_eq!(
        (&claims["sub"], &claims["org_id"], claims.get("act")),
        (&json!(alice.user_id), &json!("org_acme"), None)
    );
    assert_eq!((&claims["org_role"], &claims["amr"][0]["method"]), (&json!("admin"), &json!("as_user")));
    assert_eq!(text(&client, "select string_agg(note, ',') from notes").await.unwrap().as_deref(), Some("of acme"));
    let who = text(&client, "select current_user || ' ' || auth.uid()").await.unwrap();
    assert_eq!(who, Some(format!("{people} {}", alice.user_id)));
    // Another person in the same transaction: back to who may ask first.
    let bea = create_as(&client, "bea@globex.com", "org_globex").await;
    client.batch_execute(&format!("select auth.as_user('{bea}', '{people}')")).await.unwrap();
    assert_eq!(text(&client, "select string_agg(note, ',') from notes").await.unwrap().as_deref(), Some("of globex"));
    client.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.contents().await, before);
    let row = client.query_one("select auth.uid(), current_user::text", &[]).await.unwrap();
    assert_eq!((row.get::<_, Option<Uuid>>(0), row.get::<_, &str>(1)), (None, "postgres"));
    // Within a savepoint it ends with that.
    client.batch_execute(&format!("begin; savepoint s; {sql}; rollback to s")).await.unwrap();
    let row = client.query_one("select auth.uid(), current_user::text", &[]).await.unwrap();
    assert_eq!((row.get::<_, Option<Uuid>>(0), row.get::<_, &str>(1)), (None, "postgres"));
    client.batch_execute("commit").await.unwrap();
}

async fn create_as(client: &Client, email: &str, organization: &str) -> Uuid {
    client.batch_execute("reset role").await.unwrap();
    create(client, email, Some(organization)).await
}

#[tokio::test]
async fn a_policy_is_not_tested_by_who_passes_it_by() {
    let bed = Bed::shared("by_whom").await;
    let people = notes(&bed).await;
    let alice = bed.sign_in(ALICE).await.user_id;
    let bypasses = bed.role("bypasses", "bypassrls").await;
    let stranger = bed.role("stranger", "").await;
    let operator = bed.role("operator", "").await;
    bed.admin
        .batch_execute(&format!("select auth.grant_admin('{operator}'); grant {people}, {bypasses} to {operator}"))
        .await
        .unwrap();
    let before = bed.contents().await;
    let as_operator = bed.connect(&operator).await;
    for client in [&bed.admin, &as_operator] {
        let call = async |arguments: String| {
            let result = client.batch_execute(&format!("begin; select auth.as_user({arguments})")).await;
            client.batch_execute("rollback").await.unwrap();
            result
        };
        refused(call(format!("'{alice}', '{bypasses}'")).await, "role_bypasses_rls");
        refused(call(format!("'{alice}', 'nobody_at_all'")).await, "validation_failed");
        refused(call(format!("null, '{people}'")).await, "null_value");
        refused(call(format!("gen_random_uuid(), '{people}'")).await, "user_not_found");
    }
    for setting in ["error", "off"] {
        bed.set("workos_auth.rls_guard", setting).await;
        let superuser = bed.superuser().await;
        refused(superuser.batch_execute(&format!("select auth.as_user('{alice}')")).await, "role_bypasses_rls");
    }
    // As themselves, whom policies bind; and as nobody they are not a member of, superusers least of all.
    as_operator
        .batch_execute(&format!("begin; select auth.as_user('{alice}'); select auth.uid(); rollback"))
        .await
        .unwrap();
    for role in [&*stranger, "postgres", "workos_auth_owner", "workos_auth_nobody"] {
        let result = as_operator.batch_execute(&format!("begin; select auth.as_user('{alice}', '{role}')")).await;
        let refusal = refused_as(result, "42501");
        assert!(refusal.detail.contains("not a member"), "{role}: {refusal}");
        as_operator.batch_execute("rollback").await.unwrap();
    }
    // The rights are those of who asks now, not of who logged in.
    let lowered = format!("begin; set local role {operator}; select auth.as_user('{alice}', '{stranger}')");
    refused_as(bed.admin.batch_execute(&lowered).await, "42501");
    bed.admin.batch_execute("rollback").await.unwrap();
    // Nor does a function of the administrator's lend them.
    bed.admin
        .batch_execute(&format!(
            "create function lend(id uuid, role name) returns jsonb language sql security definer as 'select auth.as_user(id, role)';
             grant execute on function lend to {stranger}"
        ))
        .await
        .unwrap();
    let as_stranger = bed.connect(&stranger).await;
    refused_as(as_stranger.batch_execute(&format!("select lend('{alice}', '{people}')")).await, "42501");
    bed.admin.batch_execute("update auth.users set banned_until = 'infinity'").await.unwrap();
    refused(as_operator.batch_execute(&format!("select auth.as_user('{alice}', '{people}')")).await, "user_banned");
    bed.admin.batch_execute("update auth.users set banned_until = null").await.unwrap();
    assert_eq!(without_users(bed.contents().await), without_users(before));
}

fn without_users(contents: Vec<(String, String)>) -> Vec<(String, String)> {
    contents.into_iter().filter(|(table, _)| table != "users").collect()
}

#[tokio::test]
async fn somebody_of_several_organizations_is_tested_in_none() {
    let bed = Bed::shared("of_several").await;
    let people = notes(&bed).await;
    let alice = bed.sign_in(ALICE).await.user_id;
    let sql = "insert into auth.organizations (id) values ('org_globex');
               insert into auth.organization_memberships (organization_id, user_id) select 'org_globex', id from auth.users";
    bed.admin.batch_execute(sql).await.unwrap();
    bed.admin.batch_execute(&format!("begin; select auth.as_user('{alice}', '{people}')")).await.unwrap();
    assert_eq!(text(&bed.admin, "select auth.organization_id()").await.unwrap(), None);
    bed.admin.batch_execute("rollback").await.unwrap();
    // In one that is named.
    let row = session_of(&bed.admin, alice, ", 'org_globex'").await.unwrap();
    bed.admin.batch_execute(&format!("begin; set local role {people}")).await.unwrap();
    set_session(&bed.admin, row.get("access_token"), true).await.unwrap();
    assert_eq!(text(&bed.admin, "select note from notes").await.unwrap().as_deref(), Some("of globex"));
    bed.admin.batch_execute("rollback").await.unwrap();
}

#[tokio::test]
async fn one_query_does_not_become_two_people() {
    let bed = Bed::shared("two_people").await;
    let people = notes(&bed).await;
    let alice = bed.sign_in(ALICE).await.user_id;
    let bea = create(&bed.admin, "bea@globex.com", Some("org_globex")).await;
    let operator = bed.role("operator", "").await;
    bed.admin
        .batch_execute(&format!("select auth.grant_admin('{operator}'); grant {people} to {operator}"))
        .await
        .unwrap();
    let as_operator = bed.connect(&operator).await;
    let sql = format!("begin; select auth.uid(), auth.as_user(u) from unnest(array['{alice}', '{bea}']::uuid[]) u");
    refused(as_operator.batch_execute(&sql).await, "session_changed");
}
