//! Somebody signs in while WorkOS tells that they have left: one of the two comes first.

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, exchange, start};
use workos_end_to_end::issuer::{OtherIssuer, accept};
use workos_end_to_end::sql::{refused, refused_as};
use workos_end_to_end::told::{apply, event, page};

/// What the events tell of; whether the database knew of the directory user before.
#[tokio::test]
async fn a_sign_in_that_comes_first_ends_and_one_that_comes_later_is_refused() {
    for (case, is_known, has_signed_in) in [("known", true, true), ("new", true, false), ("unknown", false, false)] {
        let bed = Bed::shared(case).await;
        bed.happens(
            json!({ "create_directory": { "id": "directory_acme", "organization": "org_acme", "name": "Acme", "users": [
            { "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" },
        ] } }),
        );
        if is_known {
            bed.follow().await;
        }
        if has_signed_in {
            bed.sign_in(ALICE).await;
        }
        bed.happens(json!({ "directory_user_departs": { "id": "directory_user_alice" } }));
        let removal = bed.told_after(None).into_iter().rfind(|event| event["event"] == "dsync.user.deleted").unwrap();
        let (removal, cursor) = (page(&[removal]), bed.cursor().await);

        // The sign-in is first, and not committed when the page comes.
        let mut backend = bed.superuser().await;
        let pending = start(&backend, ALICE).await;
        let later = start(&backend, ALICE).await;
        let transaction = backend.transaction().await.unwrap();
        exchange(&transaction, &pending).await.unwrap();
        let applier = bed.superuser().await;
        let applying = apply(&applier, &removal, cursor.as_deref());
        let committing = async {
            bed.until_waiting(1).await;
            transaction.commit().await.unwrap();
        };
        let (applied, ()) = tokio::join!(applying, committing);
        assert_eq!(applied.unwrap(), 1, "{case}");
        assert_eq!(bed.count("select count(*) from auth.sessions").await, 0, "{case}");
        refused(exchange(&bed.admin, &later).await, "member_removed");
    }
}

#[tokio::test]
async fn a_page_that_comes_first_refuses_the_sign_in_that_waits() {
    for (case, is_known) in [("page", true), ("page_unknown", false)] {
        let bed = Bed::shared(case).await;
        bed.happens(
            json!({ "create_directory": { "id": "directory_acme", "organization": "org_acme", "name": "Acme", "users": [
            { "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" },
        ] } }),
        );
        if is_known {
            bed.follow().await;
        }
        bed.happens(json!({ "directory_user_departs": { "id": "directory_user_alice" } }));
        let removal = bed.told_after(None).into_iter().rfind(|event| event["event"] == "dsync.user.deleted").unwrap();
        let backend = bed.superuser().await;
        let pending = start(&backend, ALICE).await;
        let mut applier = bed.superuser().await;
        let transaction = applier.transaction().await.unwrap();
        apply(&transaction, &page(&[removal]), bed.cursor().await.as_deref()).await.unwrap();
        let signing_in = exchange(&backend, &pending);
        let committing = async {
            bed.until_waiting(1).await;
            transaction.commit().await.unwrap();
        };
        let (signed_in, ()) = tokio::join!(signing_in, committing);
        refused(signed_in, "member_removed");
        assert_eq!(bed.count("select count(*) from auth.sessions").await, 0, "{case}");
    }
}

/// A transaction that keeps a snapshot of before does not let anybody in who has left since.
#[tokio::test]
async fn an_older_snapshot_lets_nobody_in() {
    for (case, is_known) in [("snapshot", true), ("snapshot_unknown", false)] {
        let bed = Bed::shared(case).await;
        bed.happens(
            json!({ "create_directory": { "id": "directory_acme", "organization": "org_acme", "name": "Acme", "users": [
            { "id": "directory_user_alice", "idp_id": "okta-alice", "email": "alice@acme.com" },
        ] } }),
        );
        if is_known {
            bed.follow().await;
        }
        bed.happens(json!({ "directory_user_departs": { "id": "directory_user_alice" } }));
        let removal = bed.told_after(None).into_iter().rfind(|event| event["event"] == "dsync.user.deleted").unwrap();
        let mut backend = bed.superuser().await;
        let pending = start(&backend, ALICE).await;
        let transaction = backend
            .build_transaction()
            .isolation_level(tokio_postgres::IsolationLevel::RepeatableRead)
            .start()
            .await
            .unwrap();
        transaction.batch_execute("select count(*) from auth.directory_users").await.unwrap();
        apply(&bed.admin, &page(&[removal]), bed.cursor().await.as_deref()).await.unwrap();
        match is_known {
            true => refused_as(exchange(&transaction, &pending).await, "40001"),
            false => refused(exchange(&transaction, &pending).await, "member_removed"),
        };
    }
}

/// The organization goes while somebody signs in there.
#[tokio::test]
async fn a_sign_in_to_an_organization_that_goes_ends_too() {
    let bed = Bed::shared("organization").await;
    bed.sign_in(ALICE).await;
    let removal = page(&[event("event_1", "organization.deleted", json!({ "id": "org_acme" }))]);
    let mut backend = bed.superuser().await;
    let pending = start(&backend, ALICE).await;
    let transaction = backend.transaction().await.unwrap();
    exchange(&transaction, &pending).await.unwrap();
    let applier = bed.superuser().await;
    let committing = async {
        bed.until_waiting(1).await;
        transaction.commit().await.unwrap();
    };
    let (applied, ()) = tokio::join!(apply(&applier, &removal, None), committing);
    applied.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
}

/// A person of AuthKit is made known here while their membership ends.
#[tokio::test]
async fn a_membership_that_ends_while_its_token_is_accepted_is_no_way_in() {
    let bed = Bed::shared("membership").await;
    let authkit = OtherIssuer::new("https://api.example.com", Algorithm::Rs256);
    authkit.is_trusted_by(&bed).await;
    bed.happens(json!({ "create_user": { "id": "user_ada", "email": "ada@acme.com" } }));
    bed.happens(json!({ "create_membership": { "id": "om_ada", "user": "user_ada", "organization": "org_acme" } }));
    bed.follow().await;
    bed.happens(json!({ "update_membership": { "id": "om_ada", "status": "inactive" } }));
    let cursor = bed.cursor().await;
    let removal = page(&bed.told_after(cursor.as_deref()));
    let token = authkit.token("ada", json!({}));
    let mut backend = bed.superuser().await;
    let transaction = backend.transaction().await.unwrap();
    transaction.query_one("select auth.accept_token($1)", &[&token]).await.unwrap();
    let applier = bed.superuser().await;
    let committing = async {
        bed.until_waiting(1).await;
        transaction.commit().await.unwrap();
    };
    let (applied, ()) = tokio::join!(apply(&applier, &removal, cursor.as_deref()), committing);
    applied.unwrap();
    assert_eq!(bed.count("select count(*) from auth.organization_memberships").await, 0);
    refused(accept(&bed.admin, &token).await, "session_not_found");
}
