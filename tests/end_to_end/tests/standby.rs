//! A hot standby verifies and reads, without a root key, and refuses what writes before it looks at anything else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, exchange, set_session, start};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Every function that writes into the database, with arguments that make no sense.
const WRITERS: &[&str] = &[
    "auth.start_sign_in()",
    "auth.start_sign_in(organization => '', provider => 'x', params => '[]')",
    "auth.workos_authorize_url()",
    "auth.workos_authorize_url(code_challenge => 'short')",
    "auth.exchange_code(null)",
    "auth.exchange_code('', '', '')",
    "auth.sign_out(null)",
    "auth.sign_out('nowhere')",
    "auth.configure_workos(null, null)",
    "auth.configure_workos('', '', '', '/no/such/file', 'ftp://x', null)",
    "auth.grant_sign_in(null)",
    "auth.revoke_sign_in(null)",
    "auth.grant_admin(null)",
    "auth.revoke_admin(null)",
];

#[tokio::test]
async fn a_standby_reads_and_does_not_write() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "replicated").await;
    let app = bed.role("app", "").await;
    let alice = bed.sign_in(ALICE).await;
    // No root key is configured there, nor would it be found.
    let standby = primary.start_standby(&["workos_auth.root_key_file = ''"]).unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let admin = standby.connect("replicated", SUPERUSER).await.unwrap();
    assert_eq!(text(&admin, "select pg_is_in_recovery()").await.unwrap().as_deref(), Some("t"));

    for call in WRITERS {
        let error = refused(admin.batch_execute(&format!("select {call}")).await, "read_only");
        assert_eq!(error.sqlstate, "25006");
        assert!(error.detail.contains("standby") && error.hint.contains("primary"), "{call}: {error}");
    }

    let client = standby.connect("replicated", &app).await.unwrap();
    set_session(&client, &alice.access_token, false).await.unwrap();
    let readers = "select auth.uid(), auth.role(), auth.email(), auth.session_id(), auth.organization_id(), auth.connection_id(), auth.jwt(),
        auth.has_role('admin', 'org_acme'), auth.in_group('admins'), auth.has_permission('p'), auth.jwks()";
    let there = lines(&client, readers).await.unwrap();
    let at_home = bed.connect(&app).await;
    set_session(&at_home, &alice.access_token, false).await.unwrap();
    assert_eq!(there, lines(&at_home, readers).await.unwrap());
    client.query("select auth.verify_token($1)", &[&alice.access_token]).await.unwrap();
    // With a session of its own, sign_out is refused there as well, and nothing has ended.
    refused(client.batch_execute("select auth.sign_out()").await, "read_only");
    assert_eq!(lines(&client, readers).await.unwrap(), there);
    client.batch_execute("begin isolation level repeatable read").await.unwrap();
    assert_eq!(lines(&client, readers).await.unwrap(), there);
    client.batch_execute("commit").await.unwrap();

    // A changed key reaches open sessions there, in both directions.
    bed.admin.batch_execute("update auth.signing_keys set status = 'retired'").await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
    assert_eq!(text(&client, "select auth.jwks()").await.unwrap().as_deref(), Some(r#"{"keys": []}"#));
    bed.admin.batch_execute("update auth.signing_keys set status = 'active'").await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    assert_eq!(lines(&client, readers).await.unwrap(), there);

    // A sign-in and a sign-out on the primary, too; in a transaction that began before, as well.
    let again = bed.sign_in(ALICE).await;
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    client.query("select auth.verify_token($1)", &[&again.access_token]).await.unwrap();
    client.batch_execute("begin isolation level repeatable read; select auth.uid()").await.unwrap();
    at_home.batch_execute("select auth.sign_out('local')").await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    client.batch_execute("rollback").await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    client.query("select auth.verify_token($1)", &[&again.access_token]).await.unwrap();

    // Nothing was asked of WorkOS from there.
    assert_eq!(bed.token_requests().len(), 2);
}

#[tokio::test]
async fn a_read_only_transaction_is_told_apart_from_a_standby() {
    let bed = Bed::new(Cluster::shared().unwrap(), "read_only").await;
    let app = bed.role("app", "").await;
    let client = bed.connect(&app).await;
    let pending = start(&bed.admin, ALICE).await;
    let before = bed.contents().await;
    for call in WRITERS {
        bed.admin.batch_execute("begin read only").await.unwrap();
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "read_only");
        assert!(error.detail.contains("read-only") && error.hint.contains("READ WRITE"), "{call}: {error}");
        bed.admin.batch_execute("rollback").await.unwrap();
    }
    bed.admin.batch_execute("begin read only").await.unwrap();
    refused(exchange(&bed.admin, &pending).await, "read_only");
    bed.admin.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.contents().await, before);
    assert_eq!(bed.token_requests().len(), 0);

    // Reading is no writing.
    let session = exchange(&bed.admin, &pending).await.unwrap();
    client.batch_execute("begin read only").await.unwrap();
    set_session(&client, &session.access_token, true).await.unwrap();
    assert_eq!(text(&client, "select auth.uid()").await.unwrap(), Some(session.user_id.to_string()));
    refused(client.batch_execute("select auth.sign_out()").await, "read_only");
    client.batch_execute("rollback").await.unwrap();
}
