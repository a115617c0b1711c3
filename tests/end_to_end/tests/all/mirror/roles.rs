//! Roles, whose permissions change for everybody who has them.

use std::time::Duration;

use serde_json::{Value, json};
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, Session, is_good, reader, refresh};
use workos_end_to_end::sql::{lines, refused, text};

fn permissions(organization: Option<&str>, slug: &str, permissions: &[&str]) -> Value {
    json!({ "organization": organization, "slug": slug, "permissions": permissions })
}

#[tokio::test]
async fn older_tokens_of_whoever_has_the_role_are_stale_and_no_row_of_theirs_is_written() {
    let bed = Bed::shared("stale").await;
    bed.happens(json!({ "create_role": permissions(None, "admin", &["posts:read", "posts:write"]) }));
    bed.follow().await;
    let (alice, anna, bob) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await, bed.sign_in(BOB).await);
    assert_eq!(alice.claims["permissions"], json!(["posts:read", "posts:write"]));
    assert_eq!(anna.claims["permissions"], json!([]));
    let role = bed.role("app", "").await;
    let as_alice = reader(&bed, &role, &alice).await;
    let (as_anna, as_bob) = (reader(&bed, &role, &anna).await, reader(&bed, &role, &bob).await);
    for app in [&as_alice, &as_bob] {
        assert_eq!(text(app, "select auth.has_permission('posts:write')").await.unwrap().as_deref(), Some("t"));
    }

    let rows = "select xmin::text || ' ' || ctid::text from auth.sessions union all select xmin::text || ' ' || ctid::text from auth.organization_memberships order by 1";
    let before = lines(&bed.admin, rows).await.unwrap();
    bed.happens(json!({ "set_role_permissions": permissions(None, "admin", &["posts:read"]) }));
    bed.follow().await;
    assert_eq!(lines(&bed.admin, rows).await.unwrap(), before);
    for app in [&as_alice, &as_bob] {
        let refusal = refused(app.query("select auth.has_permission('posts:write')", &[]).await, "session_stale");
        assert!(refusal.detail.contains("role"), "{refusal}");
    }
    is_good(&as_anna, &anna).await;
    let next = refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    assert_eq!(next.claims["permissions"], json!(["posts:read"]));
    is_good(&reader(&bed, &role, &next).await, &next).await;

    // The same once more changes nothing.
    bed.happens(json!({ "set_role_permissions": permissions(None, "admin", &["posts:read"]) }));
    bed.follow().await;
    is_good(&reader(&bed, &role, &next).await, &next).await;
    bed.happens(json!({ "delete_role": { "slug": "admin" } }));
    bed.follow().await;
    let app = bed.connect(&role).await;
    refused(app.query("select auth.set_session($1)", &[&next.access_token]).await, "session_stale");
    assert_eq!(refresh(&bed.admin, &next.refresh_token).await.unwrap().claims["permissions"], json!([]));
}

#[tokio::test]
async fn a_role_of_one_organization_is_none_of_another() {
    let bed = Bed::shared("one").await;
    bed.happens(json!({ "create_role": permissions(Some("org_acme"), "admin", &["acme:all"]) }));
    bed.happens(json!({ "create_role": permissions(None, "admin", &["all:read"]) }));
    bed.follow().await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    assert_eq!(
        (&alice.claims["permissions"], &bob.claims["permissions"]),
        (&json!(["acme:all"]), &json!(["all:read"]))
    );
    bed.happens(json!({ "set_role_permissions": permissions(Some("org_acme"), "admin", &[]) }));
    bed.follow().await;
    let role = bed.role("app", "").await;
    is_good(&reader(&bed, &role, &bob).await, &bob).await;
    let app = bed.connect(&role).await;
    refused(app.query("select auth.set_session($1)", &[&alice.access_token]).await, "session_stale");
}

/// What was told of an earlier time is not taken, and a role that WorkOS says nothing of is what the sign-in said.
#[tokio::test]
async fn an_older_word_loses_and_an_unknown_role_is_left_alone() {
    let bed = Bed::shared("older").await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin.batch_execute("update auth.organization_memberships set permissions = '{hand:written}'").await.unwrap();
    let next = refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    assert_eq!(next.claims["permissions"], json!(["hand:written"]));

    bed.happens(json!({ "create_role": permissions(None, "admin", &["new"]) }));
    bed.workos.simulator().advance_clock(Duration::from_secs(1));
    bed.happens(json!({ "set_role_permissions": permissions(None, "admin", &["newer"]) }));
    let mut events = bed.told_after(None);
    events.reverse();
    workos_end_to_end::told::apply(&bed.admin, &workos_end_to_end::told::page(&events), None).await.unwrap();
    assert_eq!(text(&bed.admin, "select permissions from auth.roles").await.unwrap().as_deref(), Some("{newer}"));
    assert_eq!(refresh(&bed.admin, &next.refresh_token).await.unwrap().claims["permissions"], json!(["newer"]));
}

/// A token hook may thin the roles of a token out; its permissions are those of the role all the same.
#[tokio::test]
async fn a_token_that_does_not_say_the_role_is_stale_as_well() {
    let bed = Bed::shared("hook").await;
    bed.admin
        .batch_execute(&bed.named(
            "create role DATABASE_hooks; create schema hooks authorization DATABASE_hooks; set role DATABASE_hooks;
             create function hooks.thin(event jsonb) returns jsonb language sql as $$ select event #- '{claims,org_roles}' $$;
             reset role; insert into auth.hooks (event, function) values ('token', 'hooks.thin(jsonb)')",
        ))
        .await
        .unwrap();
    bed.happens(json!({ "create_role": permissions(None, "admin", &["posts:write"]) }));
    bed.follow().await;
    let alice = bed.sign_in(ALICE).await;
    assert_eq!(alice.claims["org_roles"], json!([]));
    bed.happens(json!({ "set_role_permissions": permissions(None, "admin", &[]) }));
    bed.follow().await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    refused(app.query("select auth.set_session($1)", &[&alice.access_token]).await, "session_stale");
}

/// Verifiers know of sessions alone: where heartbeats are sent, the sessions of whoever has the role say that older tokens are stale.
#[tokio::test]
async fn sessions_are_written_where_verifiers_are_fed() {
    let bed = Bed::shared("verifiers").await;
    bed.admin
        .batch_execute(
            "insert into auth.heartbeat (installation_id, beat, sent_at) select id, 1, now() from auth.installation",
        )
        .await
        .unwrap();
    let (alice, anna) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    bed.happens(json!({ "create_role": permissions(None, "admin", &["posts:write"]) }));
    bed.follow().await;
    let version =
        |session: &Session| format!("select claims_version from auth.sessions where id = '{}'", session.session_id);
    assert_eq!(text(&bed.admin, &version(&alice)).await.unwrap().as_deref(), Some("1"));
    assert_eq!(text(&bed.admin, &version(&anna)).await.unwrap().as_deref(), Some("0"));
}
