//! People of AuthKit: their memberships, accounts and sessions end at WorkOS.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::set_session;
use workos_end_to_end::issuer::{OtherIssuer, accept};
use workos_end_to_end::sql::{lines, refused, text};

const AUTHKIT: &str = "https://api.example.com";

/// A database that trusts AuthKit, with a person whom WorkOS knows as `user_ada`.
async fn bed(name: &str) -> (Bed<'static>, OtherIssuer, Client) {
    let bed = Bed::shared(name).await;
    let authkit = OtherIssuer::new(AUTHKIT, Algorithm::Rs256);
    authkit.is_trusted_by(&bed).await;
    bed.happens(json!({ "create_user": { "id": "user_ada", "email": "ada@acme.com" } }));
    bed.happens(json!({ "create_membership": { "id": "om_ada", "user": "user_ada", "organization": "org_acme", "roles": ["editor"] } }));
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    (bed, authkit, app)
}

fn status(status: &str) -> Value {
    json!({ "update_membership": { "id": "om_ada", "status": status } })
}

#[tokio::test]
async fn a_membership_that_ends_ends_its_sessions() {
    for (case, change) in [
        ("inactive", status("inactive")),
        ("deleted", json!({ "delete_membership": { "id": "om_ada" } })),
        ("user_deleted", json!({ "delete_user": { "id": "user_ada" } })),
        ("organization", json!({ "delete_organization": { "id": "org_acme" } })),
    ] {
        let (bed, authkit, app) = bed(case).await;
        // A membership of somebody who was never here is kept.
        bed.follow().await;
        let token = authkit.token("ada", json!({}));
        accept(&bed.admin, &token).await.unwrap();
        let roles = "select role || ' ' || roles::text from auth.organization_memberships";
        assert_eq!(lines(&bed.admin, roles).await.unwrap(), ["editor {editor}"], "{case}");
        set_session(&app, &token, false).await.unwrap();
        app.batch_execute("select auth.uid()").await.unwrap();

        bed.happens(change);
        bed.follow().await;
        refused(app.query("select auth.uid()", &[]).await, "session_not_found");
        // Nor by a token of later: WorkOS would not give one.
        let later = authkit.token("ada", json!({ "sid": "session_later", "auth_time": workos_end_to_end::issuer::now() + 2, "iat": workos_end_to_end::issuer::now() + 2 }));
        refused(accept(&bed.admin, &later).await, "member_removed");
    }
}

#[tokio::test]
async fn a_membership_that_is_good_again_lets_the_person_in_again() {
    let (bed, authkit, app) = bed("again").await;
    let token = authkit.token("ada", json!({}));
    accept(&bed.admin, &token).await.unwrap();
    bed.happens(status("inactive"));
    bed.follow().await;
    bed.happens(status("active"));
    bed.follow().await;
    refused(set_session(&app, &token, false).await, "session_not_found");
    let now = workos_end_to_end::issuer::now();
    let later = authkit.token("ada", json!({ "sid": "session_later", "auth_time": now + 2, "iat": now + 2 }));
    accept(&bed.admin, &later).await.unwrap();
    set_session(&app, &later, false).await.unwrap();
}

/// What has not been accepted yet at WorkOS's last word, and is a moment later, keeps nobody out.
#[tokio::test]
async fn a_membership_that_is_pending_keeps_nobody_out() {
    let (bed, authkit, app) = bed("pending").await;
    bed.happens(status("pending"));
    bed.follow().await;
    let token = authkit.token("ada", json!({}));
    accept(&bed.admin, &token).await.unwrap();
    set_session(&app, &token, false).await.unwrap();
}

/// Whoever leaves before anything is known here is out all the same, also with a token of before.
#[tokio::test]
async fn a_removal_before_anything_is_known_is_remembered() {
    let (bed, authkit, _) = bed("before").await;
    let token = authkit.token("ada", json!({}));
    bed.happens(json!({ "delete_membership": { "id": "om_ada" } }));
    let mut events = bed.told_after(None);
    events.reverse();
    workos_end_to_end::told::apply(&bed.admin, &workos_end_to_end::told::page(&events), None).await.unwrap();
    assert_eq!(lines(&bed.admin, "select status from auth.workos_memberships").await.unwrap(), ["deleted"]);
    refused(accept(&bed.admin, &token).await, "session_not_found");
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn a_session_that_is_revoked_ends_alone() {
    let (bed, authkit, app) = bed("revoked").await;
    bed.happens(json!({ "create_session": { "id": "session_one", "user": "user_ada", "organization": "org_acme" } }));
    let (one, two) =
        (authkit.token("ada", json!({ "sid": "session_one" })), authkit.token("ada", json!({ "sid": "session_two" })));
    accept(&bed.admin, &one).await.unwrap();
    set_session(&app, &one, false).await.unwrap();
    bed.happens(json!({ "revoke_session": { "id": "session_one" } }));
    bed.follow().await;
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
    set_session(&app, &two, false).await.unwrap();
}

/// One membership of two is good.
#[tokio::test]
async fn an_older_word_and_an_older_membership_end_nothing() {
    let (bed, authkit, app) = bed("older").await;
    let token = authkit.token("ada", json!({}));
    for status in [status("inactive"), status("active")] {
        bed.workos.simulator().advance_clock(Duration::from_secs(1));
        bed.happens(status);
    }
    let mut events = bed.told_after(None);
    events.reverse();
    workos_end_to_end::told::apply(&bed.admin, &workos_end_to_end::told::page(&events), None).await.unwrap();
    assert_eq!(
        text(&bed.admin, "select status from auth.workos_memberships").await.unwrap().as_deref(),
        Some("active")
    );
    accept(&bed.admin, &token).await.unwrap();
    set_session(&app, &token, false).await.unwrap();
}
