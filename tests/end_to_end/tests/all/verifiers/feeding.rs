//! A verifier reads the issuer's tokens as the issuer does, and learns at once of what changes there.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, is_good, refresh, set_session};
use workos_end_to_end::fed::{Verifier, grants, logical};
use workos_end_to_end::sql::{lines, refused, text};

/// The copy of sessions was made long ago.
const LONG_AGO: &str = "update auth.feeds set known_since = now() - interval '1 hour'";

const READERS: &str = "select auth.uid(), auth.role(), auth.email(), auth.session_id(), auth.organization_id(), auth.connection_id(),
    auth.jwt(), auth.issuer(), auth.subject(), auth.has_role('admin', 'org_acme'), auth.in_group('admins'), auth.has_permission('p'), auth.jwks()";

#[tokio::test]
async fn a_verifier_reads_what_the_issuer_signs() {
    let issuer = Bed::new(logical(), "feeding_reads").await;
    let alice = issuer.sign_in(ALICE).await;
    let verifier = Verifier::of(logical(), "feeding_reads_there").await.subscribed_to(&issuer).await;
    let app = verifier.app("app").await;
    set_session(&app, &alice.access_token, false).await.unwrap();
    let role = issuer.role("app", "").await;
    let at_home = issuer.connect(&role).await;
    set_session(&at_home, &alice.access_token, false).await.unwrap();
    assert_eq!(lines(&app, READERS).await.unwrap(), lines(&at_home, READERS).await.unwrap());

    // Nobody is known there, and nothing that is secret.
    for table in ["users", "identities", "organization_memberships", "providers", "data_keys"] {
        assert_eq!(text(&verifier.admin, &format!("select count(*) from auth.{table}")).await.unwrap().unwrap(), "0");
    }
    let rows = "select count(*), count(user_id), count(refresh_token_salt), count(email), count(ip) from auth.sessions";
    assert_eq!(lines(&verifier.admin, rows).await.unwrap(), ["1|0|0|0|0"]);
    assert_eq!(
        lines(&verifier.admin, "select count(*), count(private_key) from auth.signing_keys").await.unwrap(),
        ["1|0"]
    );
    let organizations = "select id, issuer, require_sso from auth.organizations";
    assert_eq!(lines(&verifier.admin, organizations).await.unwrap(), ["org_acme|NULL|f"]);
    let lock_key = "select encode(lock_key, 'hex') from auth.installation";
    let lock_keys = (text(&verifier.admin, lock_key).await.unwrap(), text(&issuer.admin, lock_key).await.unwrap());
    assert!(lock_keys.0.is_some() && lock_keys.0 != lock_keys.1);

    // A session that opens, is refreshed, and ends.
    let bob = issuer.sign_in(BOB).await;
    verifier.catch_up(&issuer).await;
    let backend = issuer.superuser().await;
    let again = refresh(&backend, &bob.refresh_token).await.unwrap();
    verifier.catch_up(&issuer).await;
    for token in [&bob.access_token, &again.access_token] {
        set_session(&app, token, false).await.unwrap();
    }
    at_home.execute("select auth.sign_out($1, 'local')", &[&again.access_token]).await.unwrap();
    verifier.catch_up(&issuer).await;
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
    set_session(&app, &alice.access_token, false).await.unwrap();
    is_good(&app, &alice).await;

    // Rights that change make a token stale there, too.
    let change =
        format!("update auth.organization_memberships set roles = '{{auditor}}' where user_id = '{}'", alice.user_id);
    set_session(&app, &alice.access_token, false).await.unwrap();
    issuer.admin.batch_execute(&change).await.unwrap();
    verifier.catch_up(&issuer).await;
    refused(app.query("select auth.uid()", &[]).await, "session_stale");

    // A key that is retired is refused by connections that are open.
    let alice = issuer.sign_in(ALICE).await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &alice.access_token, false).await.unwrap();
    let kid = text(&issuer.admin, "select auth.rotate_signing_key()").await.unwrap().unwrap();
    let retire = format!("select auth.retire_signing_key(kid) from auth.signing_keys where kid <> '{kid}'");
    issuer.admin.batch_execute(&retire).await.unwrap();
    verifier.catch_up(&issuer).await;
    refused(app.query("select auth.uid()", &[]).await, "bad_jwt_key");
    let bob = issuer.sign_in(BOB).await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &bob.access_token, false).await.unwrap();
    assert!(text(&app, "select auth.jwks()").await.unwrap().unwrap().contains(&kid));
}

/// The verifier has not heard of the session yet: what it has heard is older than the token.
#[tokio::test]
async fn a_fresh_sign_in_is_accepted_at_once_and_one_that_ended_is_not() {
    let issuer = Bed::new(logical(), "feeding_fresh").await;
    let verifier = Verifier::of(logical(), "feeding_fresh_there").await.subscribed_to(&issuer).await;
    let app = verifier.app("app").await;
    verifier.catch_up(&issuer).await;
    // All there was has just been copied: for a while, whoever is not there has ended.
    verifier.admin.batch_execute(LONG_AGO).await.unwrap();
    // What follows does not arrive.
    verifier.admin.batch_execute("alter subscription feeding_fresh_there disable").await.unwrap();
    let alice = issuer.sign_in(ALICE).await;
    assert_eq!(text(&verifier.admin, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("0"));
    set_session(&app, &alice.access_token, false).await.unwrap();
    assert_eq!(text(&app, "select auth.uid()").await.unwrap(), Some(alice.user_id.to_string()));

    // It arrives, and ends: its token is as young as before, and no longer on its way.
    verifier.admin.batch_execute("alter subscription feeding_fresh_there enable").await.unwrap();
    verifier.catch_up(&issuer).await;
    assert_eq!(text(&verifier.admin, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("1"));
    issuer.admin.execute("select auth.revoke_session($1)", &[&alice.session_id]).await.unwrap();
    verifier.catch_up(&issuer).await;
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
    refused(set_session(&app, &alice.access_token, false).await, "session_not_found");

    // Everybody is signed out by TRUNCATE.
    let bob = issuer.sign_in(BOB).await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &bob.access_token, false).await.unwrap();
    issuer.admin.batch_execute("truncate auth.sessions").await.unwrap();
    verifier.catch_up(&issuer).await;
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");

    // A token that is older than what was heard has no such grace.
    verifier.admin.batch_execute("alter subscription feeding_fresh_there disable").await.unwrap();
    let alice = issuer.sign_in(ALICE).await;
    // All there was has just been truncated.
    refused(set_session(&app, &alice.access_token, false).await, "session_not_found");
    verifier.admin.batch_execute(LONG_AGO).await.unwrap();
    set_session(&app, &alice.access_token, false).await.unwrap();
    let later = "update auth.heartbeat set beat = beat + 1, sent_at = now() + interval '11 s'";
    verifier.admin.batch_execute(later).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
}

/// Row-level security hides every row from a connection without BYPASSRLS: the copy is "ready", and empty.
#[tokio::test]
async fn a_copy_that_is_silently_empty_lets_nobody_in() {
    let issuer = Bed::new(logical(), "feeding_empty").await;
    let alice = issuer.sign_in(ALICE).await;
    let verifier = Verifier::of(logical(), "feeding_empty_there").await;
    issuer.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
    let link = issuer.role("link", "replication").await;
    issuer.admin.batch_execute(&grants(&link)).await.unwrap();
    verifier.subscribe(&issuer, &link, "").await;
    verifier.until_fed().await;
    assert_eq!(text(&verifier.admin, "select count(*) from auth.sessions").await.unwrap().as_deref(), Some("0"));
    let app = verifier.app("app").await;
    let error = refused(set_session(&app, &alice.access_token, false).await, "verifier_stale");
    assert!(error.detail.contains("BYPASSRLS"), "{error}");
    let findings = verifier.errors("finding").await;
    assert!(findings.iter().any(|finding| finding.contains("BYPASSRLS")), "{findings:?}");
    // Streamed heartbeats have nothing to change there.
    issuer.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    refused(set_session(&app, &alice.access_token, false).await, "verifier_stale");
}

/// A whole issuer moves to another server by logical replication: its rows are there what they were.
#[tokio::test]
async fn whoever_does_not_verify_is_fed_rows_as_they_are() {
    let issuer = Bed::new(logical(), "feeding_moves").await;
    issuer.sign_in(ALICE).await;
    let there = Verifier::of(logical(), "feeding_moves_there").await;
    there.admin.batch_execute("select auth.stop_verifying()").await.unwrap();
    let there = there.subscribed_to(&issuer).await;
    let alice = issuer.sign_in(ALICE).await;
    there.catch_up(&issuer).await;
    let session = alice.session_id;
    issuer.admin.batch_execute(&format!("delete from auth.sessions where id = '{session}'")).await.unwrap();
    there.catch_up(&issuer).await;
    let rows = "select 'session', id::text, subscription::text from auth.sessions
        union all select 'key', kid, subscription::text from auth.signing_keys
        union all select 'organization', id, feed from auth.organizations
        union all select 'heartbeat', installation_id::text || is_whole, subscription::text from auth.heartbeat
        union all select 'feed', name, null from auth.feeds
        union all select 'ended', sid, null from auth.ended_sessions order by 1, 2";
    assert_eq!(lines(&there.admin, rows).await.unwrap(), lines(&issuer.admin, rows).await.unwrap());
}
