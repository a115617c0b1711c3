//! A hot standby verifies and reads, without a root key, and refuses what writes before it looks at anything else.

use tokio_postgres::types::Type;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, is_good, set_session, start};
use workos_end_to_end::case;
use workos_end_to_end::parallel::force_parallel;
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Every function that writes into the database, with arguments that make no sense.
const WRITERS: &[&str] = &[
    "auth.start_sign_in()",
    "auth.start_sign_in(organization => '', provider => 'x', params => '[]')",
    "auth.workos_authorize_url()",
    "auth.workos_authorize_url(code_challenge => 'short')",
    "auth.handle_callback(null, null)",
    "auth.handle_callback('x', 'y', 'access_denied')",
    "auth.exchange_code(null)",
    "auth.exchange_code('', '', '')",
    "auth.refresh_session(null)",
    "auth.refresh_session('x', null, 'x')",
    "auth.sign_out(null)",
    "auth.sign_out('x', 'nowhere')",
    "auth.sign_out_of_workos(null)",
    "auth.select_organization(null, null)",
    "auth.select_organization('00000000-0000-4000-8000-000000000001', '', 'x')",
    "auth.switch_organization(null, null)",
    "auth.switch_organization('x', '')",
    "auth.sign_out_of_workos('x', 'nowhere')",
    "auth.configure_authkit(null, null)",
    "auth.configure_authkit('', '', '', '/no/such/file', 'ftp://x', null, 'x')",
    "auth.configure_workos(null, null)",
    "auth.configure_workos('', '', '', '/no/such/file', 'ftp://x', null)",
    "auth.grant_sign_in(null)",
    "auth.revoke_sign_in(null)",
    "auth.grant_admin(null)",
    "auth.revoke_admin(null)",
    "auth.become_new_installation()",
    "auth.take_over_installation()",
    "auth.reseal(null)",
    "auth.reseal('/no/such/file')",
    "auth.abandon_sealed_data()",
    "auth.add_signing_key()",
    "auth.rotate_signing_key()",
    "auth.rotate_signing_key(null)",
    "auth.retire_signing_key(null)",
    "auth.retire_signing_key('no such key')",
    "auth.ban_user(null)",
    "auth.ban_user(gen_random_uuid(), '-infinity')",
    "auth.unban_user(null)",
    "auth.revoke_sessions(null)",
    "auth.revoke_session(null)",
    "auth.revoke_organization(null)",
    "auth.remove_member(null, null)",
    "auth.delete_user(null)",
    "auth.move_identity(null, null)",
    "auth.merge_users(null, null)",
    "auth.reset_setting(null)",
    "auth.cleanup(0)",
    "auth.publish_sessions(null)",
    "auth.send_heartbeat()",
    "auth.become_verifier()",
    "auth.stop_verifying()",
    "auth.set_organization_issuer(null)",
    "auth.workos_create_organization(null)",
    "auth.workos_add_domain(null, null)",
    "auth.workos_invite_it_contact(null, null, '{x}')",
    "auth.workos_portal_link(null, 'x')",
    "auth.require_sso(null)",
    "auth.start_sign_in_by_email(null)",
    "auth.workos_authorize_url_by_email(null)",
    "auth.update_user(null, null)",
    "auth.update_user('x', '[]')",
    "auth.link_identity(null)",
    "auth.link_identity('x', '', params => '[]')",
    "auth.unlink_identity(null, null)",
    "auth.unlink_identity('x', gen_random_uuid())",
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
        case!(call);
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
    // With a good token, sign_out is refused there as well, and nothing has ended.
    refused(client.query("select auth.sign_out($1)", &[&alice.access_token]).await, "read_only");
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
    at_home.execute("select auth.sign_out($1, 'local')", &[&alice.access_token]).await.unwrap();
    primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    client.batch_execute("rollback").await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    client.query("select auth.verify_token($1)", &[&again.access_token]).await.unwrap();

    // Nothing was asked of WorkOS from there.
    assert_eq!(bed.token_requests().len(), 2);
}

#[tokio::test]
async fn a_standby_follows_sessions_and_keys_and_takes_over() {
    let primary = Cluster::start().unwrap();
    let bed = Bed::new(&primary, "followed").await;
    let app = bed.role("app", "").await;
    let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
    let table = format!(
        "create table todos (owner uuid, organization text, title text) with (parallel_workers = 2);
         insert into todos values ('{}', 'org_acme', 'alice'), ('{}', 'org_globex', 'bob'), (null, null, 'nobody');
         alter table todos enable row level security;
         create policy own on todos using (owner = auth.uid() and auth.has_role('admin', organization));
         grant select on todos to {app}",
        alice.user_id, bob.user_id
    );
    bed.admin.batch_execute(&table).await.unwrap();
    let standby = primary.start_standby(&["workos_auth.root_key_file = ''"]).unwrap();
    let replay = async || primary.wait_for_replay(&bed.admin, &standby).await.unwrap();
    let there = async || standby.connect("followed", &app).await.unwrap();
    replay().await;

    // Row-level security, for the transaction, for the connection, in workers, for nobody.
    let client = there().await;
    for parallel in [false, true] {
        case!(parallel);
        if parallel {
            force_parallel(&client).await;
        }
        for (session, title) in [(&alice, "alice"), (&bob, "bob")] {
            case!(title);
            client.batch_execute("begin").await.unwrap();
            set_session(&client, &session.access_token, true).await.unwrap();
            assert_eq!(lines(&client, "select title from todos").await.unwrap(), [title]);
            client.batch_execute("commit").await.unwrap();
            assert_eq!(text(&client, "select auth.uid()").await.unwrap(), None);
            set_session(&client, &session.access_token, false).await.unwrap();
            assert_eq!(lines(&client, "select title from todos").await.unwrap(), [title]);
            is_good(&client, session).await;
            client.batch_execute("select auth.clear_session()").await.unwrap();
            assert_eq!(lines(&client, "select title from todos").await.unwrap().len(), 0);
        }
    }
    refused(set_session(&client, "no.token", false).await, "bad_jwt");

    // A key rotated on the primary, while sessions are open: one that reads, one in a transaction, one idle, one parallel.
    let (idle, inside) = (there().await, there().await);
    let open = [&client, &idle, &inside];
    for client in open {
        set_session(client, &alice.access_token, false).await.unwrap();
        is_good(client, &alice).await;
    }
    inside.batch_execute("begin isolation level repeatable read; select auth.uid()").await.unwrap();
    let old = text(&bed.admin, "select kid from auth.signing_keys where status = 'active'").await.unwrap().unwrap();
    let new = text(&bed.admin, "select auth.rotate_signing_key()").await.unwrap().unwrap();
    assert_ne!(old, new);
    let anna = bed.sign_in(ANNA).await;
    replay().await;
    for client in open {
        // The old key's token is good, and the new key's as well.
        is_good(client, &alice).await;
        client.query_typed("select auth.verify_token($1)", &[(&anna.access_token, Type::TEXT)]).await.unwrap();
        set_session(client, &anna.access_token, false).await.unwrap();
        is_good(client, &anna).await;
        set_session(client, &alice.access_token, false).await.unwrap();
        let keys = "select string_agg(key->>'kid', ' ' order by key->>'kid') from jsonb_array_elements(auth.jwks()->'keys') key";
        let mut both = [old.as_str(), &new];
        both.sort();
        assert_eq!(text(client, keys).await.unwrap(), Some(both.join(" ")));
    }
    bed.admin.execute("select auth.retire_signing_key($1)", &[&old]).await.unwrap();
    replay().await;
    for client in open {
        refused(client.batch_execute("select auth.uid()").await, "bad_jwt_key");
        client.batch_execute("rollback").await.unwrap();
        refused(client.batch_execute("select title from todos").await, "bad_jwt_key");
        refused(set_session(client, &bob.access_token, false).await, "bad_jwt_key");
        set_session(client, &anna.access_token, false).await.unwrap();
        is_good(client, &anna).await;
    }

    // A change of rights, an end of the session: each in the next statement of any transaction.
    for level in ["read committed", "repeatable read"] {
        let session = bed.sign_in(ALICE).await;
        replay().await;
        for (change, name) in [
            ("update auth.sessions set claims_version = 1 where id = $1", "session_stale"),
            ("delete from auth.sessions where id = $1", "session_not_found"),
        ] {
            client.batch_execute("select auth.clear_session()").await.unwrap();
            idle.batch_execute(&format!("set workos_auth.session_token = '{}'", session.access_token)).await.unwrap();
            client.batch_execute(&format!("set workos_auth.session_token = '{}'", session.access_token)).await.unwrap();
            client
                .batch_execute(&format!("begin isolation level {level}; select count(*) from pg_class"))
                .await
                .unwrap();
            bed.admin.execute(change, &[&session.session_id]).await.unwrap();
            replay().await;
            refused(client.batch_execute("select title from todos").await, name);
            client.batch_execute("rollback").await.unwrap();
            refused(idle.batch_execute("select auth.uid()").await, name);
        }
    }

    // What only a primary does is refused as before, whoever asks.
    let backend = bed.backend().await;
    let pending = start(&backend, ALICE).await;
    replay().await;
    let follower = standby.connect("followed", "followed_backend").await.unwrap();
    refused(follower.batch_execute("select auth.start_sign_in(organization => 'org_acme')").await, "read_only");
    refused(exchange(&follower, &pending).await, "read_only");
    assert_eq!(bed.token_requests().len(), 5);

    // It takes over: open connections and their sessions go on.
    set_session(&client, &anna.access_token, false).await.unwrap();
    set_session(&idle, &anna.access_token, false).await.unwrap();
    let admin = standby.connect("followed", SUPERUSER).await.unwrap();
    assert_eq!(text(&admin, "select pg_promote()").await.unwrap().as_deref(), Some("t"));
    for client in [&client, &idle, &there().await] {
        set_session(client, &anna.access_token, false).await.unwrap();
        is_good(client, &anna).await;
        assert_eq!(lines(client, "select title from todos").await.unwrap().len(), 0);
        refused(set_session(client, &bob.access_token, false).await, "bad_jwt_key");
    }
    // Signing in needs the root key, and says so.
    refused(exchange(&follower, &pending).await, "root_key_required");
    let key = primary.root_key_path().display().to_string();
    standby.append_conf(&format!("workos_auth.root_key_file = '{key}'")).unwrap();
    standby.reload().await.unwrap();
    let follower = standby.connect("followed", "followed_backend").await.unwrap();
    let session = exchange(&follower, &pending).await.unwrap();
    set_session(&client, &session.access_token, false).await.unwrap();
    is_good(&client, &session).await;
    assert_eq!(lines(&client, "select title from todos").await.unwrap(), ["alice"]);
    client.execute("select auth.sign_out($1)", &[&session.access_token]).await.unwrap();
    refused(client.batch_execute("select auth.uid()").await, "session_not_found");
    // The token of the one is a stranger's to the other, from here on.
    refused(set_session(&bed.connect(&app).await, &session.access_token, false).await, "session_not_found");
}

#[tokio::test]
async fn a_read_only_transaction_is_told_apart_from_a_standby() {
    let bed = Bed::shared("read_only").await;
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
    refused(client.query("select auth.sign_out($1)", &[&session.access_token]).await, "read_only");
    client.batch_execute("rollback").await.unwrap();
}
