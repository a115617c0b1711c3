//! Who a verifier may be, what it refuses to do, and who may say so.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::case;
use workos_end_to_end::fed::{Verifier, logical};
use workos_end_to_end::sql::{lines, refused, refused_as, text};

/// Every function that signs somebody in or out, or says who the installation is. `$TOKEN` is a token that is good there.
const ISSUERS_OWN: &[&str] = &[
    "auth.configure_workos('client_x', 'https://app.example.com/callback', 'sk_x')",
    "auth.start_sign_in(organization => 'org_acme')",
    "auth.workos_authorize_url(organization => 'org_acme')",
    "auth.exchange_code('code', 'verifierverifierverifierverifierverifierver', 'state')",
    "auth.refresh_session('$REFRESH')",
    "auth.switch_organization('$REFRESH', 'org_globex')",
    "auth.select_organization('00000000-0000-4000-8000-000000000001', 'org_acme', 'verifierverifierverifierverifierverifierver')",
    "auth.create_session('00000000-0000-4000-8000-000000000001', 'org_acme')",
    "auth.create_user('bob@acme.com', 'org_acme')",
    "auth.import_supabase('{}', '[]')",
    "auth.create_visitor_token('only_mints_there_visitor')",
    "auth.rotate_signing_key()",
    "auth.add_signing_key()",
    "auth.become_new_installation()",
    "auth.take_over_installation()",
    "auth.require_ready()",
    "auth.sign_out('$TOKEN')",
    "auth.sign_out('$TOKEN', 'local')",
    "auth.update_user('$TOKEN', '{}')",
    "auth.get_user('$TOKEN')",
    "auth.revoke_session('00000000-0000-4000-8000-000000000001'::uuid)",
    "auth.revoke_sessions('00000000-0000-4000-8000-000000000001')",
    "auth.revoke_organization('org_acme')",
    "auth.ban_user('00000000-0000-4000-8000-000000000001', 'infinity')",
    "auth.delete_user('00000000-0000-4000-8000-000000000001')",
    "auth.remove_member('00000000-0000-4000-8000-000000000001', 'org_acme')",
    "auth.remove_orphans()",
    "auth.workos_create_organization('Acme')",
    "auth.require_sso('org_acme')",
    "auth.workos_add_domain('org_acme', 'acme.com')",
    "auth.workos_invite_it_contact('org_acme', 'it@acme.com', '{sso}')",
    "auth.workos_portal_link('org_acme', 'sso')",
    "auth.publish_sessions()",
    "auth.send_heartbeat()",
];

#[tokio::test]
async fn a_verifier_mints_nothing_and_ends_nothing() {
    let issuer = Bed::new(logical(), "only_mints").await;
    let alice = issuer.sign_in(ALICE).await;
    let verifier = Verifier::of(logical(), "only_mints_there").await.subscribed_to(&issuer).await;
    verifier.catch_up(&issuer).await;
    verifier.admin.batch_execute("create role only_mints_there_visitor").await.unwrap();
    let before = lines(&verifier.admin, "table auth.sessions").await.unwrap();
    for call in ISSUERS_OWN {
        case!(call);
        let sql = call.replace("$TOKEN", &alice.access_token).replace("$REFRESH", &alice.refresh_token);
        let error = refused(verifier.admin.batch_execute(&format!("select {sql}")).await, "verifier_only");
        assert!(error.hint.contains("issuer's database"), "{call}: {error}");
    }
    // The hint says where.
    verifier.admin.batch_execute("update auth.verifier set issuer_database = 'app at db1.example.com'").await.unwrap();
    let error = refused(verifier.admin.batch_execute("select auth.rotate_signing_key()").await, "verifier_only");
    assert!(error.hint.contains("app at db1.example.com"), "{error}");
    // The clean-up leaves what was fed alone, however long it is there.
    verifier
        .admin
        .batch_execute("update auth.sessions set not_after = now() - interval '1 day'; select auth.cleanup()")
        .await
        .unwrap();
    assert_eq!(lines(&verifier.admin, "select id from auth.sessions").await.unwrap().len(), before.len());
    let app = verifier.app("app").await;
    set_session(&app, &alice.access_token, false).await.unwrap();
    assert!(text(&app, "select auth.uid()").await.unwrap().is_some());
}

#[tokio::test]
async fn who_may_become_a_verifier_and_stop() {
    let issuer = Bed::new(logical(), "only_becomes").await;
    let error = refused(issuer.admin.batch_execute("select auth.become_verifier()").await, "installation_exists");
    assert!(error.detail.contains("auth.providers"), "{error}");
    issuer.admin.batch_execute("delete from auth.providers").await.unwrap();
    let error = refused(issuer.admin.batch_execute("select auth.become_verifier()").await, "installation_exists");
    assert!(error.detail.contains("auth.data_keys"), "{error}");

    let verifier = Verifier::of(logical(), "only_becomes_there").await;
    let operator = "only_becomes_operator";
    verifier
        .admin
        .batch_execute(&format!("create role {operator} login; select auth.grant_admin('{operator}')"))
        .await
        .unwrap();
    let operator = verifier.cluster.connect(&verifier.database, operator).await.unwrap();
    for call in ["become_verifier()", "stop_verifying()", "publish_sessions()"] {
        refused_as(operator.batch_execute(&format!("select auth.{call}")).await, "42501");
    }
    // Administrators see what there is.
    for table in ["heartbeat", "verifier", "feeds"] {
        operator.batch_execute(&format!("table auth.{table}")).await.unwrap();
    }
    // It is a verifier still, and says the same when it is asked again.
    verifier.admin.batch_execute("select auth.become_verifier('elsewhere')").await.unwrap();
    assert_eq!(lines(&verifier.admin, "select issuer_database from auth.verifier").await.unwrap(), ["elsewhere"]);
    // Then it is an empty database again, which an administrator sets up.
    verifier.admin.batch_execute("select auth.stop_verifying(); select auth.stop_verifying()").await.unwrap();
    assert_eq!(text(&verifier.admin, "select count(*) from auth.verifier").await.unwrap().as_deref(), Some("0"));
    let actions = "select action from auth.audit_log_entries order by created_at";
    assert_eq!(
        lines(&verifier.admin, actions).await.unwrap(),
        ["became_verifier", "admin_granted", "became_verifier", "stopped_verifying"]
    );
}

#[tokio::test]
async fn what_a_publication_must_be() {
    let issuer = Bed::new(logical(), "only_publishes").await;
    // Nobody hears it: nothing is written.
    assert_eq!(text(&issuer.admin, "select auth.send_heartbeat()").await.unwrap(), None);
    assert_eq!(text(&issuer.admin, "select count(*) from auth.heartbeat").await.unwrap().as_deref(), Some("0"));
    issuer.admin.batch_execute("create publication everything for all tables").await.unwrap();
    refused(issuer.admin.batch_execute("select auth.publish_sessions('everything')").await, "validation_failed");
    issuer.admin.batch_execute("drop publication everything").await.unwrap();

    // Of any name, beside tables of others, again and again.
    issuer
        .admin
        .batch_execute("create table mine (id int primary key); create publication \"Odd \"\"name\" for table mine; select auth.publish_sessions('Odd \"name')")
        .await
        .unwrap();
    issuer
        .admin
        .batch_execute("select auth.publish_sessions('Odd \"name'); select auth.publish_sessions()")
        .await
        .unwrap();
    let published =
        "select pubname, tablename, attnames from pg_publication_tables order by pubname collate \"C\", tablename";
    let ours = |name: &str| {
        [
            format!("{name}|heartbeat|{{installation_id,beat,sent_at,issuer,audience}}"),
            format!("{name}|organizations|{{id,issuer}}"),
            format!("{name}|sessions|{{id,claims_version}}"),
            format!("{name}|signing_keys|{{kid,algorithm,public_key,status}}"),
        ]
    };
    let mut expected = ours("Odd \"name").to_vec();
    expected.insert(1, "Odd \"name|mine|{id}".into());
    expected.extend(ours("workos_auth"));
    assert_eq!(lines(&issuer.admin, published).await.unwrap(), expected);
    assert!(text(&issuer.admin, "select auth.send_heartbeat()").await.unwrap().is_some());
    refused(issuer.admin.batch_execute("select auth.publish_sessions(null)").await, "null_value");
    refused(issuer.admin.batch_execute("select auth.publish_sessions('')").await, "validation_failed");
    // What shows secrets to a subscriber is a finding.
    issuer.admin.batch_execute("create publication everything for all tables").await.unwrap();
    let finding = "select finding from auth.check() where object = 'everything'";
    let finding = text(&issuer.admin, finding).await.unwrap().unwrap();
    assert!(finding.contains("sealed"), "{finding}");
    issuer.admin.batch_execute("drop publication everything").await.unwrap();
    issuer.admin.batch_execute("create publication leaky for table auth.sessions, auth.heartbeat").await.unwrap();
    let finding = "select finding from auth.check() where object = 'leaky'";
    assert!(text(&issuer.admin, finding).await.unwrap().is_some_and(|finding| finding.contains("refresh_token_salt")));
}
