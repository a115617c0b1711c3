//! Somebody who signs in through AuthKit leaves, as WorkOS's events tell it.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back, sign_in};
use workos_end_to_end::bed::{ALICE, ANNA, Bed, Pending, Session, exchange, is_good, reader, refresh, set_session};
use workos_end_to_end::brokered;
use workos_end_to_end::issuer::{OtherIssuer, accept};
use workos_end_to_end::sql::{lines, refused, text};
use workos_end_to_end::told::{apply, event, page};

const SESSIONS: &str = "select count(*) from auth.sessions";

/// A database with AuthKit, and Ann, an editor of Acme; followed.
async fn bed(name: &str) -> (Bed<'static>, Client) {
    let bed = Bed::shared(name).await;
    let app = bed.with_authkit().await;
    bed.happens(json!({ "create_user": { "id": "user_ann", "email": "ann@acme.com" } }));
    join(&bed, "om_ann", "org_acme");
    bed.follow().await;
    (bed, app)
}

fn join(bed: &Bed<'_>, id: &str, organization: &str) {
    bed.happens(json!({ "create_membership": { "id": id, "user": "user_ann", "organization": organization, "roles": ["editor"] } }));
}

fn status(status: &str) -> Value {
    json!({ "update_membership": { "id": "om_ann", "status": status } })
}

/// A connection of a role without rights on which the session is the current one.
async fn reads(bed: &Bed<'_>, role: &str, session: &Session) -> Client {
    let role = bed.role(role, "").await;
    let reader = reader(bed, &role, session).await;
    is_good(&reader, session).await;
    reader
}

#[tokio::test]
async fn who_leaves_is_out_and_stays_out_until_workos_says_otherwise() {
    let renewed = json!({ "create_membership": { "id": "om_2", "user": "user_ann", "organization": "org_acme", "roles": ["editor"] } });
    for (case, leaves, comes_back) in [
        ("inactive", status("inactive"), status("active")),
        ("deleted", json!({ "delete_membership": { "id": "om_ann" } }), renewed),
    ] {
        let (bed, app) = bed(case).await;
        let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
        join(&bed, "om_globex", "org_globex");
        let globex =
            sign_in(&app, "provider => 'authkit', organization => 'org_globex'", "ann@acme.com").await.unwrap();
        let (as_ann, in_globex) = (reads(&bed, "acme", &session).await, reads(&bed, "globex", &globex).await);

        bed.happens(leaves);
        bed.follow().await;
        refused(as_ann.query("select auth.uid()", &[]).await, "session_not_found");
        refused(refresh(&app, &session.refresh_token).await, "refresh_token_not_found");
        // One organization's word ends nothing in another.
        is_good(&in_globex, &globex).await;
        refresh(&app, &globex.refresh_token).await.unwrap();
        let members = "select organization_id from auth.organization_memberships";
        assert_eq!(lines(&bed.admin, members).await.unwrap(), ["org_globex"], "{case}");

        // WorkOS lets them in before this database has been told.
        bed.happens(comes_back);
        refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, "member_removed");
        bed.follow().await;
        let again = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
        assert_eq!((again.user_id, again.is_new_user), (session.user_id, false), "{case}");
        refresh(&app, &again.refresh_token).await.unwrap();
    }
}

#[tokio::test]
async fn a_user_who_is_deleted_leaves_everything() {
    let (bed, app) = bed("user").await;
    let acme = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    bed.happens(status("inactive"));
    let alone = sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap();
    assert_eq!(alone.organization_id, None);
    let pending = [come_back(&app, "ann@acme.com").await, come_back(&app, "ann@acme.com").await];
    let removal = page(&[event("event_1", "user.deleted", json!({ "id": "user_ann" }))]);
    apply(&bed.admin, &removal, bed.cursor().await.as_deref()).await.unwrap();
    assert_eq!(bed.count(SESSIONS).await, 0);
    for session in [&acme, &alone] {
        refused(refresh(&app, &session.refresh_token).await, "refresh_token_not_found");
    }
    let refusal = refused(exchange(&app, &pending[0]).await, "member_removed");
    assert!(refusal.detail.contains("auth.workos_removals"), "{refusal}");
    bed.happens(status("active"));
    refused(exchange(&app, &pending[1]).await, "member_removed");
}

/// Single sign-on of the organization is no matter of AuthKit's.
#[tokio::test]
async fn a_user_who_is_deleted_keeps_single_sign_on() {
    let bed = Bed::shared("keeps").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    bed.happens(json!({ "create_user": { "id": "user_alice", "email": ALICE.email } }));
    bed.happens(json!({ "create_membership": { "id": "om_alice", "user": "user_alice", "organization": "org_acme", "roles": ["editor"] } }));
    bed.follow().await;
    let session = sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await.unwrap();
    assert_eq!(session.user_id, alice.user_id);
    bed.happens(json!({ "delete_user": { "id": "user_alice" } }));
    bed.follow().await;
    assert_eq!(bed.count(SESSIONS).await, 0);
    let members = "select organization_id from auth.organization_memberships";
    assert_eq!(lines(&bed.admin, members).await.unwrap(), ["org_acme"]);
    let again = bed.sign_in(ALICE).await;
    assert_eq!((again.user_id, again.is_new_user), (alice.user_id, false));
    refresh(&app, &again.refresh_token).await.unwrap();
}

#[tokio::test]
async fn a_code_that_is_kept_gives_no_role_back() {
    let (bed, _) = Bed::brokered("demoted").await;
    let app = bed.with_authkit().await;
    bed.happens(json!({ "create_user": { "id": "user_ann", "email": "ann@acme.com" } }));
    join(&bed, "om_ann", "org_acme");
    bed.follow().await;
    let begun = format!("{AUTHKIT_OF_ACME}, redirect_to => 'http://localhost:3000/app'");
    let pending = brokered::come_back(&app, &begun, "ann@acme.com").await;
    let landing = brokered::callback(&app, &pending).await.unwrap();
    bed.happens(json!({ "update_membership": { "id": "om_ann", "roles": ["viewer"] } }));
    bed.follow().await;
    let code = brokered::parameter(&landing.0, "code");
    let session = exchange(&app, &Pending { code, ..pending }).await.unwrap();
    assert_eq!(session.claims["org_role"], "viewer");
    assert_eq!(refresh(&app, &session.refresh_token).await.unwrap().claims["org_role"], "viewer");
}

#[tokio::test]
async fn an_organization_that_is_deleted_takes_its_sessions_along() {
    let (bed, app) = bed("organization").await;
    let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let as_ann = reads(&bed, "app", &session).await;
    let removal = page(&[event("event_1", "organization.deleted", json!({ "id": "org_acme" }))]);
    apply(&bed.admin, &removal, bed.cursor().await.as_deref()).await.unwrap();
    refused(as_ann.query("select auth.uid()", &[]).await, "session_not_found");
    refused(refresh(&app, &session.refresh_token).await, "refresh_token_not_found");
    refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, "member_removed");
    assert_eq!(bed.count(SESSIONS).await, 0);
}

#[tokio::test]
async fn a_session_that_is_revoked_ends_alone() {
    let (bed, app) = bed("revoked").await;
    let one = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let two = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let name = format!("select authkit_session_id from auth.sessions where id = '{}'", one.session_id);
    let name = text(&bed.admin, &name).await.unwrap().unwrap();
    let (as_one, as_two) = (reads(&bed, "one", &one).await, reads(&bed, "two", &two).await);
    bed.happens(json!({ "revoke_session": { "id": name } }));
    bed.follow().await;
    refused(as_one.query("select auth.uid()", &[]).await, "session_not_found");
    refused(refresh(&app, &one.refresh_token).await, "refresh_token_not_found");
    is_good(&as_two, &two).await;
    refresh(&app, &two.refresh_token).await.unwrap();
}

/// What was here before the database began to act upon removals.
#[tokio::test]
async fn a_session_that_is_left_over_is_not_refreshed() {
    for (case, leaves) in [("left", status("inactive")), ("gone", json!({ "delete_user": { "id": "user_ann" } }))] {
        let (bed, app) = bed(case).await;
        let alice = bed.sign_in(ALICE).await;
        let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
        bed.set("workos_auth.deprovision", "off").await;
        bed.happens(leaves);
        let admin = bed.superuser().await;
        let cursor = bed.cursor().await;
        apply(&admin, &page(&bed.told_after(cursor.as_deref())), cursor.as_deref()).await.unwrap();
        let app = bed.backend().await;
        let session = refresh(&app, &session.refresh_token).await.unwrap();
        bed.set("workos_auth.deprovision", "end_sessions").await;
        let app = bed.backend().await;
        refused(refresh(&app, &session.refresh_token).await, "member_removed");
        refresh(&app, &alice.refresh_token).await.unwrap();
    }
}

/// Whoever belongs to no other organization is banned, where that is asked for.
#[tokio::test]
async fn a_ban_asks_where_else_somebody_is_a_member() {
    for (case, is_member, signs_in, expected) in
        [("ban", false, false, "t"), ("ban_not", true, true, "f"), ("ban_unseen", true, false, "f")]
    {
        let (bed, app) = bed(case).await;
        bed.set("workos_auth.deprovision", "ban").await;
        sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
        if is_member {
            join(&bed, "om_globex", "org_globex");
            bed.follow().await;
        }
        if signs_in {
            sign_in(&app, "provider => 'authkit', organization => 'org_globex'", "ann@acme.com").await.unwrap();
        }
        bed.happens(status("inactive"));
        let admin = bed.superuser().await;
        let cursor = bed.cursor().await;
        apply(&admin, &page(&bed.told_after(cursor.as_deref())), cursor.as_deref()).await.unwrap();
        let banned = "select banned_until is not null from auth.users";
        assert_eq!(text(&bed.admin, banned).await.unwrap().as_deref(), Some(expected), "{case}");
    }
}

#[tokio::test]
async fn another_role_makes_older_tokens_stale() {
    let (bed, app) = bed("role").await;
    let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let as_ann = reads(&bed, "app", &session).await;
    bed.happens(json!({ "update_membership": { "id": "om_ann", "roles": ["viewer"] } }));
    bed.follow().await;
    refused(as_ann.query("select auth.uid()", &[]).await, "session_stale");
    assert_eq!(refresh(&app, &session.refresh_token).await.unwrap().claims["org_role"], "viewer");
}

/// A sign-in that is not committed when the removal comes: of a membership that is known here, of one that is not, without an
/// organization, and by a directory.
#[tokio::test]
async fn a_sign_in_that_comes_first_ends() {
    let membership = json!({ "id": "om_ann", "user_id": "user_ann", "organization_id": "org_acme", "status": "inactive",
        "role": { "slug": "editor" }, "updated_at": "2027-01-15T12:00:00.000Z" });
    // That it is deleted counts, whatever state the event gives it.
    let directory_user = json!({ "id": "directory_user_ann", "directory_id": "directory_acme", "organization_id": "org_acme",
        "idp_id": "okta-ann", "email": "ann@acme.com", "state": "active", "updated_at": "2027-01-15T12:00:00.000Z" });
    for (case, is_known, arguments, kind, data) in [
        ("known", true, AUTHKIT_OF_ACME, "organization_membership.updated", &membership),
        ("unknown", false, AUTHKIT_OF_ACME, "organization_membership.updated", &membership),
        ("unknown_deleted", false, AUTHKIT_OF_ACME, "organization_membership.deleted", &membership),
        ("without", true, AUTHKIT, "user.deleted", &json!({ "id": "user_ann" })),
        ("of_directory", true, AUTHKIT_OF_ACME, "dsync.user.deleted", &directory_user),
    ] {
        let (bed, app) = bed(case).await;
        if !is_known {
            bed.admin.batch_execute("delete from auth.workos_memberships").await.unwrap();
        }
        if arguments == AUTHKIT {
            bed.happens(status("inactive"));
        }
        let mut removal = event("event_1", kind, data.clone());
        // No event tells of what is later than itself.
        removal["created_at"] = membership["updated_at"].clone();
        let removal = page(&[removal]);
        let cursor = bed.cursor().await;
        let mut backend = bed.superuser().await;
        let transaction = backend.transaction().await.unwrap();
        sign_in(&transaction, arguments, "ann@acme.com").await.unwrap();
        let applier = bed.superuser().await;
        let committing = async {
            bed.until_waiting(1).await;
            transaction.commit().await.unwrap();
        };
        let (applied, ()) = tokio::join!(apply(&applier, &removal, cursor.as_deref()), committing);
        assert_eq!(applied.unwrap(), 1, "{case}");
        assert_eq!(bed.count(SESSIONS).await, 0, "{case}");
        drop(app);
    }
}

/// One account, by both ways to sign in.
#[tokio::test]
async fn who_left_by_a_directory_does_not_come_back_through_authkit() {
    let bed = Bed::shared("directory").await;
    let app = bed.with_authkit().await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    bed.person(ALICE.email, &["org_acme"]);
    let again = sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await.unwrap();
    assert_eq!(again.user_id, alice.user_id);
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_alice", "departure": "deleted" } }));
    bed.follow().await;
    refused(refresh(&app, &again.refresh_token).await, "refresh_token_not_found");
    refused(sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await, "member_removed");
    // Nor does whoever never was here: by the address, which WorkOS has verified.
    bed.person(ANNA.email, &["org_acme"]);
    bed.happens(json!({ "directory_user_departs": { "id": "directory_user_anna", "departure": "deleted" } }));
    bed.follow().await;
    refused(sign_in(&app, AUTHKIT_OF_ACME, ANNA.email).await, "member_removed");
    assert_eq!(bed.count(SESSIONS).await, 0);
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
}

/// Where accounts are never joined, one person has one for each way.
#[tokio::test]
async fn another_account_of_the_address_leaves_too_and_none_is_made_afterwards() {
    let bed = Bed::shared("twice").await;
    bed.set("workos_auth.account_linking", "none").await;
    let app = bed.with_authkit().await;
    bed.with_directory().await;
    let alice = bed.sign_in(ALICE).await;
    bed.person(ALICE.email, &["org_acme"]);
    let other = sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await.unwrap();
    assert_ne!(other.user_id, alice.user_id);
    let departs = |who: &str| json!({ "directory_user_departs": { "id": format!("directory_user_{who}"), "departure": "deleted" } });
    bed.happens(departs("alice"));
    bed.follow().await;
    assert_eq!(bed.count(SESSIONS).await, 0);
    for session in [&alice, &other] {
        refused(refresh(&app, &session.refresh_token).await, "refresh_token_not_found");
    }
    refused(sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await, "member_removed");

    // An account that was made before the departure has the row, and is not who comes now.
    let anna = bed.sign_in(ANNA).await;
    bed.happens(departs("anna"));
    bed.follow().await;
    bed.person(ANNA.email, &["org_acme"]);
    for email_verified in [true, false] {
        bed.answer_once(&json!({"user": {"email_verified": email_verified}}), &json!({}));
        refused(sign_in(&app, AUTHKIT_OF_ACME, ANNA.email).await, "member_removed");
    }
    refused(refresh(&app, &anna.refresh_token).await, "refresh_token_not_found");
    assert_eq!(bed.count(SESSIONS).await, 0);
}

/// WorkOS's own tokens say no address: only the id tells that it is the same person.
#[tokio::test]
async fn an_issuers_token_of_who_left_by_a_directory_or_is_banned_is_refused() {
    let (bed, app) = bed("tokens").await;
    let issuer = OtherIssuer::new("https://api.workos.com", Algorithm::Es256);
    issuer.is_trusted_by(&bed).await;
    let there = json!({ "id": "directory_user_ann", "directory_id": "directory_acme", "organization_id": "org_acme",
        "idp_id": "okta-ann", "email": "ann@acme.com", "state": "active", "updated_at": "2026-01-10T12:00:00.000Z" });
    let tell = async |id: &str, kind: &str| {
        let cursor = bed.cursor().await;
        apply(&bed.admin, &page(&[event(id, kind, there.clone())]), cursor.as_deref()).await.unwrap()
    };
    tell("event_1", "dsync.user.created").await;
    let ann = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let token = issuer.token("ann", json!({}));
    accept(&app, &token).await.unwrap();
    set_session(&app, &token, false).await.unwrap();
    bed.admin.execute("select auth.ban_user($1)", &[&ann.user_id]).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "user_banned");
    refused(accept(&app, &issuer.token("ann", json!({}))).await, "user_banned");
    bed.admin.execute("select auth.unban_user($1)", &[&ann.user_id]).await.unwrap();
    app.query("select auth.uid()", &[]).await.unwrap();

    tell("event_2", "dsync.user.deleted").await;
    refused(app.query("select auth.uid()", &[]).await, "member_removed");
    refused(accept(&app, &issuer.token("ann", json!({}))).await, "member_removed");
}

/// A demotion by the directory counts for a sign-in through AuthKit as well.
#[tokio::test]
async fn the_role_of_a_directory_comes_before_that_of_authkit() {
    let (bed, app) = bed("directory_role").await;
    let there = json!({ "id": "directory_user_ann", "directory_id": "directory_acme", "organization_id": "org_acme", "idp_id": "okta-ann",
        "email": "ann@acme.com", "state": "active", "role": { "slug": "viewer" }, "roles": [{ "slug": "viewer" }],
        "updated_at": "2026-01-10T12:00:00.000Z" });
    let cursor = bed.cursor().await;
    let told = page(&[event("event_1", "dsync.user.created", there)]);
    apply(&bed.admin, &told, cursor.as_deref()).await.unwrap();
    let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    assert_eq!(session.claims["org_role"], "viewer");
}

#[tokio::test]
async fn a_mirror_that_is_too_old_lets_nobody_in() {
    let bed = Bed::shared("overdue").await;
    bed.set("workos_auth.sync_max_age", "10min").await;
    bed.set("workos_auth.sync_overdue", "refuse_sign_in").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    bed.person("bea@example.com", &[]);
    refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, "mirror_stale");
    sign_in(&app, AUTHKIT, "bea@example.com").await.unwrap();
}
