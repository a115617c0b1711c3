//! An organization that requires single sign-on: which sessions of it there are, and which ones end.

use serde_json::json;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, refresh, set_session};
use workos_end_to_end::issuer::{OtherIssuer, accept};
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_end_to_end::waiting::{now, pass};

const AUTHKIT: &str = "https://api.example.com";
const REQUIRE: &str = "select auth.require_sso('org_acme')";
const ALLOW: &str = "select auth.require_sso('org_acme', false)";

/// Opens a session without a sign-in: its access token and its refresh token.
async fn create(client: &Client, arguments: &str) -> Result<(String, Option<String>), tokio_postgres::Error> {
    let sql = format!("select access_token, refresh_token from auth.create_session({arguments})");
    client.query_one(&sql, &[]).await.map(|row| (row.get(0), row.get(1)))
}

fn of(user_id: Uuid, further: &str) -> String {
    format!("'{user_id}', organization => 'org_acme'{further}")
}

#[tokio::test]
async fn what_began_otherwise_ends_and_the_rest_goes_on() {
    let bed = Bed::shared("ends").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let operator = bed.role("operator", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{operator}')")).await.unwrap();
    let operator = bed.connect(&operator).await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;

    let (custom, custom_refresh) = create(&operator, &of(alice.user_id, "")).await.unwrap();
    let (support, _) = create(&operator, &of(alice.user_id, ", actor => 'sue', reason => 'case 7'")).await.unwrap();
    let (of_none, _) = create(&operator, &format!("'{}'", alice.user_id)).await.unwrap();
    let of_other = format!("'{}', organization => 'org_globex'", bob.user_id);
    let (of_other, _) = create(&operator, &of_other).await.unwrap();
    set_session(&app, &custom, false).await.unwrap();

    assert_eq!(text(&operator, REQUIRE).await.unwrap().as_deref(), Some("1"));
    // In the next statement of a connection that is open.
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
    refused(refresh(&bed.admin, &custom_refresh.unwrap()).await, "refresh_token_not_found");
    for goes_on in [&alice.access_token, &support, &of_none, &of_other, &bob.access_token] {
        set_session(&app, goes_on, false).await.unwrap();
        app.batch_execute("select auth.uid()").await.unwrap();
    }
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    bed.sign_in(ALICE).await;

    // Once more, nothing ends. Then it is allowed again.
    assert_eq!(text(&operator, REQUIRE).await.unwrap().as_deref(), Some("1"));
    assert_eq!(text(&operator, ALLOW).await.unwrap().as_deref(), Some("1"));
    create(&operator, &of(alice.user_id, "")).await.unwrap();
    let audit = "select concat_ws(' ', organization_id, payload ->> 'required', payload ->> 'sessions') from auth.audit_log_entries
        where action = 'organization_sso_changed' order by created_at";
    assert_eq!(lines(&bed.admin, audit).await.unwrap(), ["org_acme true 1", "org_acme true 0", "org_acme false 0"]);
}

#[tokio::test]
async fn nobody_opens_a_session_without_it_but_support_staff() {
    let bed = Bed::shared("opened").await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin.batch_execute(REQUIRE).await.unwrap();
    let error = refused(create(&bed.admin, &of(alice.user_id, "")).await, "sso_required");
    assert_eq!(error.sqlstate, "WA525");
    assert!(error.detail.contains("require_sso") && error.hint.contains("auth.require_sso"), "{error}");
    create(&bed.admin, &of(alice.user_id, ", actor => 'sue', reason => 'case 7'")).await.unwrap();
    create(&bed.admin, &format!("'{}'", alice.user_id)).await.unwrap();
    // A test of policies is one person's until the end of its transaction, and leaves no session.
    let role = bed.role("app", "").await;
    let policies =
        format!("begin; select auth.as_user('{}', '{role}'); select auth.organization_id(); commit", alice.user_id);
    bed.admin.batch_execute(&policies).await.unwrap();
    let status = "select http_status from auth.error_codes where name = 'sso_required'";
    assert_eq!(text(&bed.admin, status).await.unwrap().as_deref(), Some("403"));
    assert_eq!(
        bed.count("select count(*) from auth.sessions where organization_id is not null and actor is null").await,
        1
    );
}

/// A session that was there all the same, as of a restored row, is not renewed.
#[tokio::test]
async fn a_session_that_began_otherwise_is_not_refreshed() {
    let bed = Bed::shared("refreshed").await;
    let alice = bed.sign_in(ALICE).await;
    let (_, custom) = create(&bed.admin, &of(alice.user_id, "")).await.unwrap();
    let custom = custom.unwrap();
    bed.admin.batch_execute("update auth.organizations set require_sso = true where id = 'org_acme'").await.unwrap();
    refused(refresh(&bed.admin, &custom).await, "sso_required");
    refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    bed.admin.batch_execute("update auth.organizations set require_sso = false").await.unwrap();
    refresh(&bed.admin, &custom).await.unwrap();
}

/// Whoever opens a session at the same time either comes before, and it ends, or waits and is refused.
#[tokio::test]
async fn a_session_that_is_opened_meanwhile_does_not_slip_through() {
    let bed = Bed::shared("meanwhile").await;
    let alice = bed.sign_in(ALICE).await;
    let of_acme = "select count(*) from auth.sessions where organization_id = 'org_acme' and connection_id is null";

    let mut first = bed.superuser().await;
    let first = first.transaction().await.unwrap();
    let open = format!("select auth.create_session({})", of(alice.user_id, ""));
    first.batch_execute(&open).await.unwrap();
    let second = bed.superuser().await;
    let waiting = tokio::spawn(async move { second.batch_execute(REQUIRE).await });
    bed.until_waiting(1).await;
    first.commit().await.unwrap();
    waiting.await.unwrap().unwrap();
    assert_eq!(bed.count(of_acme).await, 0);

    bed.admin.batch_execute(ALLOW).await.unwrap();
    let mut first = bed.superuser().await;
    let first = first.transaction().await.unwrap();
    first.batch_execute(REQUIRE).await.unwrap();
    let second = bed.superuser().await;
    let waiting = tokio::spawn(async move { second.batch_execute(&open).await });
    bed.until_waiting(1).await;
    first.commit().await.unwrap();
    refused(waiting.await.unwrap(), "sso_required");
    assert_eq!(bed.count(of_acme).await, 0);
}

/// AuthKit speaks for WorkOS's organizations, and may have asked for a password.
#[tokio::test]
async fn no_token_of_another_issuer_counts_there() {
    let bed = Bed::shared("issuers").await;
    let authkit = OtherIssuer::new(AUTHKIT, Algorithm::Es256);
    authkit.is_trusted_by(&bed).await;
    bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    let backend = bed.backend().await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    let ann = authkit.token("ann", json!({}));
    accept(&backend, &ann).await.unwrap();
    set_session(&app, &ann, false).await.unwrap();

    bed.admin.batch_execute(REQUIRE).await.unwrap();
    // Of a session that began later.
    pass(now()).await;
    let later = authkit.token("ann", json!({ "sid": "session_later", "auth_time": now() }));
    let error = refused(set_session(&app, &later, false).await, "sso_required");
    assert_eq!(error.sqlstate, "WA525");
    refused(accept(&backend, &later).await, "sso_required");
    // Who is not known stays so, also where sessions are not looked at.
    let eve = authkit.token("eve", json!({ "auth_time": now() }));
    let people = "select count(*) from auth.users";
    let before = bed.count(people).await;
    for checks in ["on", "off"] {
        bed.set("workos_auth.check_sessions", checks).await;
        let backend = bed.backend().await;
        refused(accept(&backend, &eve).await, "sso_required");
        assert_eq!(bed.count(people).await, before, "{checks}");
    }
    bed.set("workos_auth.check_sessions", "on").await;
    // The person's token of another organization is as good as before, and one of none.
    let other = authkit.token("ann", json!({ "org_id": "org_globex", "sid": "session_other" }));
    accept(&backend, &other).await.unwrap();

    // What was begun before has ended for good.
    bed.admin.batch_execute(ALLOW).await.unwrap();
    let app = bed.connect(&role).await;
    refused(set_session(&app, &ann, false).await, "session_not_found");
    set_session(&app, &later, false).await.unwrap();
    // In the next statement of a connection that is open.
    bed.admin.batch_execute("update auth.organizations set require_sso = true where id = 'org_acme'").await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "sso_required");
}

/// Neither an invitation nor an identity that is moved is a way in: the sign-in is one through the organization.
#[tokio::test]
async fn who_is_invited_or_moved_signs_in_through_the_organization() {
    let bed = Bed::shared("moved").await;
    let bob = bed.sign_in(BOB).await;
    bed.admin.batch_execute("insert into auth.organizations (id) values ('org_acme')").await.unwrap();
    bed.admin.batch_execute(REQUIRE).await.unwrap();
    let invited = text(&bed.admin, "select auth.create_user('alice@acme.com', 'org_acme')").await.unwrap().unwrap();
    refused(create(&bed.admin, &of(invited.parse().unwrap(), "")).await, "sso_required");
    let alice = bed.sign_in(ALICE).await;
    assert_eq!(alice.user_id.to_string(), invited);

    let moves = "select auth.move_identity(id, 'org_acme') from auth.identities where email = 'bob@globex.com'";
    bed.admin.batch_execute(moves).await.unwrap();
    refused(refresh(&bed.admin, &bob.refresh_token).await, "refresh_token_not_found");
    assert_eq!(bed.count("select count(*) from auth.sessions where organization_id = 'org_acme'").await, 1);
    refused(create(&bed.admin, &of(bob.user_id, "")).await, "not_a_member");
}

#[tokio::test]
async fn administrators_say_it_and_by_the_function_alone() {
    let bed = Bed::shared("said").await;
    bed.sign_in(ALICE).await;
    let (backend, operator) = (bed.backend().await, bed.role("operator", "").await);
    bed.admin.batch_execute(&format!("select auth.grant_admin('{operator}')")).await.unwrap();
    let operator = bed.connect(&operator).await;
    refused_as(backend.batch_execute(REQUIRE).await, "42501");
    refused_as(operator.batch_execute("update auth.organizations set require_sso = true").await, "42501");
    assert_eq!(text(&operator, "select auth.require_sso('org_nobody')").await.unwrap().as_deref(), Some("0"));
    for (call, argument) in [("null", "organization"), ("'org_acme', null", "required")] {
        let error = refused(operator.batch_execute(&format!("select auth.require_sso({call})")).await, "null_value");
        assert!(error.detail.contains(argument), "{error}");
    }
    let foreign = "insert into auth.organizations (id, issuer) values ('org_foreign', 'https://login.example.com')";
    bed.admin.batch_execute(foreign).await.unwrap();
    refused(operator.batch_execute("select auth.require_sso('org_foreign')").await, "organization_of_another_issuer");
    assert_eq!(
        bed.count("select count(*) from auth.audit_log_entries where action = 'organization_sso_changed'").await,
        0
    );
    // Nothing has happened where the transaction is rolled back.
    operator.batch_execute(&format!("begin; {REQUIRE}; rollback")).await.unwrap();
    let required = "select require_sso from auth.organizations where id = 'org_acme'";
    assert_eq!(text(&operator, required).await.unwrap().as_deref(), Some("f"));
}

/// A session that was opened since the snapshot would not be seen, and go on.
#[tokio::test]
async fn a_transaction_with_a_snapshot_of_its_own_does_not_switch_it_on() {
    let bed = Bed::shared("snapshot").await;
    bed.sign_in(ALICE).await;
    for level in ["repeatable read", "serializable"] {
        bed.admin.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
        let error = refused(bed.admin.query(REQUIRE, &[]).await, "conflict");
        assert!(error.hint.contains("READ COMMITTED"), "{error}");
        bed.admin.batch_execute("rollback").await.unwrap();
        bed.admin.batch_execute(&format!("begin isolation level {level}; {ALLOW}; commit")).await.unwrap();
    }
}

/// Nobody could sign in to an organization of another issuer by WorkOS.
#[tokio::test]
async fn an_organization_that_is_handed_over_asks_for_it_no_more() {
    let bed = Bed::shared("handed").await;
    bed.sign_in(ALICE).await;
    let issuer = OtherIssuer::new("https://login.example.com", Algorithm::Es256);
    let trust = r#"select auth.trust_issuer($1, 'oidc', jwks => $2, audience => 'app', claims => '{"organization": "org_id"}')"#;
    bed.admin.execute(trust, &[&issuer.name, &issuer.jwks()]).await.unwrap();
    bed.admin.batch_execute(REQUIRE).await.unwrap();
    let assign = format!("select auth.set_organization_issuer('org_acme', '{}')", issuer.name);
    bed.admin.batch_execute(&assign).await.unwrap();
    let asks = "select require_sso from auth.organizations where id = 'org_acme'";
    assert_eq!(text(&bed.admin, asks).await.unwrap().as_deref(), Some("f"));
    bed.admin.batch_execute(&format!("select auth.set_organization_issuer('org_acme'); {REQUIRE}")).await.unwrap();
    assert_eq!(text(&bed.admin, asks).await.unwrap().as_deref(), Some("t"));
    bed.admin.batch_execute("select auth.set_organization_issuer('org_acme')").await.unwrap();
    assert_eq!(text(&bed.admin, asks).await.unwrap().as_deref(), Some("t"));
}
