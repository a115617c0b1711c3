//! Whatever breaks between an issuer and a verifier, nobody is let in by what is old.

use serde_json::json;
use tokio_postgres::Client;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::fed::{Verifier, logical};
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, OtherIssuer, accept};
use workos_end_to_end::sql::{refused, text};

/// An issuer, a verifier whose readers accept what is six seconds old, and Alice there.
async fn fed(name: &str) -> (Bed<'static>, Verifier<'static>, Client, String) {
    let issuer = Bed::new(logical(), &format!("closed_{name}")).await;
    let alice = issuer.sign_in(ALICE).await;
    let verifier = Verifier::of(logical(), &format!("closed_{name}_there")).await.subscribed_to(&issuer).await;
    let setting = format!("alter database {} set workos_auth.max_replication_lag = '6s'", verifier.database);
    verifier.admin.batch_execute(&setting).await.unwrap();
    let app = verifier.app("app").await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &alice.access_token, false).await.unwrap();
    assert!(text(&app, "select auth.uid()").await.unwrap().is_some());
    (issuer, verifier, app, alice.access_token)
}

/// Alice is signed out at the issuer, which goes on sending heartbeats. None of it arrives: within the lag she may still be in, and never after it.
async fn is_shut(issuer: &Bed<'_>, app: &Client, token: &str) {
    issuer.admin.execute("select auth.sign_out($1, 'global')", &[&token]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(6_100)).await;
    issuer.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    for query in ["select auth.uid()", "select auth.jwt()", "select auth.has_role('admin')"] {
        refused(app.query(query, &[]).await, "verifier_stale");
    }
    refused(set_session(app, token, false).await, "verifier_stale");
}

async fn open_again(issuer: &Bed<'_>, verifier: &Verifier<'_>, app: &Client) {
    verifier.catch_up(issuer).await;
    let alice = issuer.sign_in(ALICE).await;
    verifier.catch_up(issuer).await;
    set_session(app, &alice.access_token, false).await.unwrap();
}

#[tokio::test]
async fn a_link_that_is_paused() {
    let (issuer, verifier, app, token) = fed("paused").await;
    let subscription = &verifier.database;
    verifier.admin.batch_execute(&format!("alter subscription {subscription} disable")).await.unwrap();
    is_shut(&issuer, &app, &token).await;
    let findings = verifier.errors("finding").await;
    assert!(
        findings.iter().any(|finding| finding.contains("older than workos_auth.max_replication_lag")),
        "{findings:?}"
    );
    verifier.admin.batch_execute(&format!("alter subscription {subscription} enable")).await.unwrap();
    verifier.catch_up(&issuer).await;
    refused(set_session(&app, &token, false).await, "session_not_found");
    open_again(&issuer, &verifier, &app).await;
}

#[tokio::test]
async fn a_link_whose_conflict_stops_it() {
    let (issuer, verifier, app, token) = fed("conflict").await;
    // A row of the verifier's own is in the way of the next sign-in.
    verifier
        .admin
        .batch_execute("create function in_the_way() returns trigger language plpgsql as $$ begin raise exception 'in the way'; end $$;
            create trigger in_the_way before insert on auth.sessions for each row execute function in_the_way();
            alter table auth.sessions enable always trigger in_the_way")
        .await
        .unwrap();
    issuer.sign_in(ALICE).await;
    is_shut(&issuer, &app, &token).await;
    verifier.admin.batch_execute("drop trigger in_the_way on auth.sessions").await.unwrap();
    open_again(&issuer, &verifier, &app).await;
    refused(set_session(&app, &token, false).await, "session_not_found");
}

/// The slot is gone, and with it what was not sent. A new one at today's position goes on as if nothing had been lost.
#[tokio::test]
async fn a_slot_that_was_lost_and_made_again() {
    let (issuer, verifier, app, token) = fed("slot").await;
    let name = &verifier.database;
    verifier.admin.batch_execute(&format!("alter subscription {name} disable")).await.unwrap();
    issuer.until(&format!("(select not active from pg_replication_slots where slot_name = '{name}')")).await;
    issuer.admin.batch_execute(&format!("select pg_drop_replication_slot('{name}')")).await.unwrap();
    is_shut(&issuer, &app, &token).await;
    issuer
        .admin
        .batch_execute(&format!("select pg_create_logical_replication_slot('{name}', 'pgoutput')"))
        .await
        .unwrap();
    verifier.admin.batch_execute(&format!("alter subscription {name} enable")).await.unwrap();
    verifier.catch_up(&issuer).await;
    let error = refused(set_session(&app, &token, false).await, "verifier_stale");
    assert!(error.detail.starts_with("Heartbeats are missing"), "{error}");
    // The next heartbeats mend nothing.
    verifier.catch_up(&issuer).await;
    refused(set_session(&app, &token, false).await, "verifier_stale");

    // As the finding says: drop, empty, copy.
    let remedies = verifier.errors("remedy").await;
    assert!(remedies.iter().any(|remedy| remedy.contains("auth.become_verifier()")), "{remedies:?}");
    refused(verifier.admin.batch_execute("select auth.become_verifier()").await, "verifier_is_fed");
    verifier.admin.batch_execute(&format!("drop subscription {name}")).await.unwrap();
    let error = refused(set_session(&app, &token, false).await, "verifier_stale");
    assert!(error.detail.starts_with("No subscription"), "{error}");
    verifier.admin.batch_execute("select auth.become_verifier()").await.unwrap();
    let link = format!("{}_to_{name}", issuer.database);
    verifier.subscribe(&issuer, &link, "").await;
    verifier.until_fed().await;
    refused(set_session(&app, &token, false).await, "session_not_found");
    open_again(&issuer, &verifier, &app).await;
}

/// A publisher that was restored counts its heartbeats anew from where the backup was.
#[tokio::test]
async fn a_publisher_that_was_restored() {
    let (issuer, verifier, app, token) = fed("restored").await;
    issuer.admin.batch_execute("update auth.heartbeat set beat = 0").await.unwrap();
    issuer.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    verifier.until("(select beat = 1 from auth.heartbeat)").await;
    let error = refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    assert!(error.detail.starts_with("Heartbeats are missing"), "{error}");
    refused(set_session(&app, &token, false).await, "verifier_stale");
}

/// What is published no more arrives no more, while heartbeats would: so none is sent.
#[tokio::test]
async fn a_publication_that_lost_a_part() {
    let (issuer, verifier, app, token) = fed("part").await;
    let all = "set table auth.sessions (id, claims_version), auth.signing_keys (kid, algorithm, public_key, status), auth.organizations (id, issuer),
        auth.heartbeat (installation_id, beat, sent_at, issuer, audience)";
    for broken in [
        "drop table auth.sessions".to_owned(),
        "drop table auth.signing_keys".into(),
        "drop table auth.organizations".into(),
        "set (publish = 'insert, update, truncate')".into(),
        "set (publish = 'insert, update, delete')".into(),
        all.replace("(id, claims_version)", "(id)"),
        all.replace("(id, claims_version)", "(id, claims_version) where (claims_version < 1)"),
        all.replace("public_key, ", ""),
    ] {
        issuer.admin.batch_execute(&format!("alter publication workos_auth {broken}")).await.unwrap();
        refused(issuer.admin.batch_execute("select auth.send_heartbeat()").await, "publication_incomplete");
        let remedy = "select remedy from auth.check() where object = 'workos_auth' and severity = 'error'";
        let remedy = text(&issuer.admin, remedy).await.unwrap().unwrap_or_else(|| panic!("{broken}: no finding"));
        issuer.admin.batch_execute(&remedy).await.unwrap();
        issuer.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    }
    // Verifiers refuse meanwhile.
    issuer.admin.batch_execute("alter publication workos_auth drop table auth.sessions").await.unwrap();
    issuer.admin.execute("select auth.sign_out($1, 'global')", &[&token]).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(6_100)).await;
    refused(issuer.admin.batch_execute("select auth.send_heartbeat()").await, "publication_incomplete");
    refused(app.query("select auth.uid()", &[]).await, "verifier_stale");

    // What happened meanwhile does not come again, once it is mended.
    issuer.admin.batch_execute("select auth.publish_sessions()").await.unwrap();
    for _ in 0..2 {
        verifier.catch_up(&issuer).await;
        let error = refused(set_session(&app, &token, false).await, "verifier_stale");
        assert!(error.detail.starts_with("Heartbeats are missing") && error.hint.contains("anew"), "{error}");
    }
}

/// Between two heartbeats a table leaves the publication, and comes back: neither of them finds anything missing.
#[tokio::test]
async fn a_publication_that_was_mended_before_anybody_looked() {
    let leaves = "alter publication workos_auth drop table auth.sessions";
    let returns = "alter publication workos_auth add table auth.sessions (id, claims_version)";
    for (name, leaves, returns) in [
        ("table", leaves, returns),
        (
            "kinds",
            "alter publication workos_auth set (publish = 'insert, update, truncate')",
            "alter publication workos_auth set (publish = 'insert, update, delete, truncate')",
        ),
        ("mended", leaves, "select auth.publish_sessions()"),
    ] {
        let (issuer, verifier, app, token) = fed(name).await;
        // Saying it again changes nothing, nor does another publication.
        issuer
            .admin
            .batch_execute("select auth.publish_sessions(); select auth.publish_sessions('another')")
            .await
            .unwrap();
        verifier.catch_up(&issuer).await;
        app.query("select auth.uid()", &[]).await.unwrap();
        issuer.admin.batch_execute(leaves).await.unwrap();
        issuer.admin.execute("select auth.sign_out($1, 'global')", &[&token]).await.unwrap();
        issuer.admin.batch_execute(returns).await.unwrap();
        verifier.catch_up(&issuer).await;
        let error = refused(set_session(&app, &token, false).await, "verifier_stale");
        assert!(error.detail.starts_with("Heartbeats are missing"), "{name}: {error}");
    }
}

/// One table by a subscription of its own may be older than another's heartbeat.
#[tokio::test]
async fn tables_that_arrive_by_different_subscriptions() {
    let (issuer, verifier, app, token) = fed("two").await;
    let name = &verifier.database;
    issuer
        .admin
        .batch_execute(
            "create publication sessions_alone for table auth.sessions (id, claims_version);
             create publication the_rest for table auth.signing_keys (kid, algorithm, public_key, status), auth.organizations (id, issuer),
                auth.heartbeat (installation_id, beat, sent_at, issuer, audience)",
        )
        .await
        .unwrap();
    for publication in ["sessions_alone", "the_rest"] {
        let slot = format!("select pg_create_logical_replication_slot('{name}_{publication}', 'pgoutput')");
        issuer.admin.batch_execute(&slot).await.unwrap();
    }
    verifier.admin.batch_execute(&format!("drop subscription {name}")).await.unwrap();
    for publication in ["sessions_alone", "the_rest"] {
        let sql = format!(
            "create subscription {name}_{publication} connection 'host=127.0.0.1 port={} dbname={} user={}_to_{name}' publication {publication}
             with (create_slot = false, slot_name = '{name}_{publication}', copy_data = false)",
            issuer.cluster.port(),
            issuer.database,
            issuer.database,
        );
        verifier.admin.batch_execute(&sql).await.unwrap();
    }
    verifier.until("(select count(*) = 4 and bool_and(srsubstate = 'r') from pg_subscription_rel)").await;
    let error = refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    assert!(error.detail.starts_with("No subscription"), "{error}");
    refused(set_session(&app, &token, false).await, "verifier_stale");
    drop(issuer);
}

/// While sessions are still being copied, those that are not there yet have not ended, and those that are may be old.
#[tokio::test]
async fn a_copy_that_is_under_way_or_stuck() {
    let (issuer, verifier, app, token) = fed("copying").await;
    let name = &verifier.database;
    verifier.begin_anew().await;
    // In the way of the copy of sessions alone.
    verifier
        .admin
        .batch_execute("insert into auth.sessions (id) select id from (values (gen_random_uuid())) as v (id)")
        .await
        .unwrap();
    let id = text(&issuer.admin, "select id from auth.sessions").await.unwrap().unwrap();
    verifier.admin.batch_execute(&format!("update auth.sessions set id = '{id}'")).await.unwrap();
    verifier.subscribe(&issuer, &format!("{}_to_{name}", issuer.database), "").await;
    verifier.until("(select count(*) = 3 from pg_subscription_rel where srsubstate = 'r')").await;
    verifier.catch_up(&issuer).await;
    refused(set_session(&app, &token, false).await, "verifier_stale");
    verifier.admin.batch_execute("delete from auth.sessions").await.unwrap();
    verifier.until_fed().await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &token, false).await.unwrap();
}

#[tokio::test]
async fn without_the_checks_of_sessions_a_token_is_good_until_it_expires() {
    let (issuer, verifier, app, token) = fed("unchecked").await;
    verifier.admin.batch_execute(&format!("alter subscription {} disable", verifier.database)).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(6_100)).await;
    refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    verifier
        .admin
        .batch_execute(&format!("alter database {} set workos_auth.check_sessions = off", verifier.database))
        .await
        .unwrap();
    let app = verifier.app("another").await;
    set_session(&app, &token, false).await.unwrap();
    drop(issuer);
}

/// Whatever a subscription was told to leave out of its copy may have ended since.
#[tokio::test]
async fn a_subscription_that_copied_nothing_or_was_changed() {
    let (issuer, verifier, app, token) = fed("uncopied").await;
    let name = &verifier.database;
    // Another publication, to which heartbeats go on.
    let other = "create publication other for table auth.sessions (id, claims_version), auth.signing_keys, auth.organizations (id, issuer),
        auth.heartbeat (installation_id, beat, sent_at, issuer, audience) with (publish = 'insert, update, truncate')";
    issuer.admin.batch_execute(other).await.unwrap();
    let change = format!("alter subscription {name} set publication other with (refresh = false)");
    verifier.admin.batch_execute(&change).await.unwrap();
    let error = refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    assert!(error.detail.contains("changed since"), "{error}");
    let back = format!("alter subscription {name} set publication workos_auth with (refresh = false)");
    verifier.admin.batch_execute(&back).await.unwrap();
    app.query("select auth.uid()", &[]).await.unwrap();
    issuer.admin.batch_execute("drop publication other").await.unwrap();

    // A new subscription that takes what is there for copied.
    verifier.admin.batch_execute(&format!("drop subscription {name}")).await.unwrap();
    let link = format!("{}_to_{name}", issuer.database);
    verifier.subscribe(&issuer, &link, ", copy_data = false").await;
    verifier.until_fed().await;
    refused(set_session(&app, &token, false).await, "verifier_stale");
    // What it brings finds rows in its way that it has not brought.
    issuer.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    verifier.until_logged("a subscription changes what it has not brought").await;
    refused(set_session(&app, &token, false).await, "verifier_stale");
}

/// A database that is fed without anybody having said that it verifies: a schema that was restored, or an extension that was made anew.
#[tokio::test]
async fn a_fed_database_that_is_no_verifier() {
    let (issuer, verifier, app, token) = fed("uncalled").await;
    verifier.admin.batch_execute("delete from auth.verifier").await.unwrap();
    let error = refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    assert!(error.detail.contains("auth.become_verifier() was not called"), "{error}");
    let errors = verifier.errors("finding").await;
    assert!(errors.iter().any(|finding| finding.contains("auth.become_verifier() was not called")), "{errors:?}");
    refused(verifier.admin.batch_execute("select auth.become_verifier()").await, "verifier_is_fed");
    verifier.begin_anew().await;
    verifier.subscribe(&issuer, &format!("{}_to_{}", issuer.database, verifier.database), "").await;
    verifier.until_fed().await;
    verifier.catch_up(&issuer).await;
    set_session(&app, &token, false).await.unwrap();
}

/// The issuer's count of heartbeats begins anew: nothing says what came before it.
#[tokio::test]
async fn a_heartbeat_that_was_deleted_at_the_issuer() {
    let (issuer, verifier, app, token) = fed("deleted").await;
    issuer.admin.batch_execute("delete from auth.heartbeat").await.unwrap();
    issuer.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
    verifier.until("(select beat = 1 from auth.heartbeat)").await;
    for _ in 0..2 {
        let error = refused(set_session(&app, &token, false).await, "verifier_stale");
        assert!(error.detail.starts_with("Heartbeats are missing"), "{error}");
        verifier.catch_up(&issuer).await;
    }
}

/// Tokens of other issuers are as little believed there.
#[tokio::test]
async fn tokens_of_other_issuers_where_the_link_is_down() {
    let (issuer, verifier, app, _) = fed("others").await;
    let other = OtherIssuer::new("https://api.example.com", Algorithm::Es256);
    let trust = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    verifier.admin.execute(trust, &[&other.name, &other.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    let token = other.token("ann", json!({ "org_id": "org_initech" }));
    accept(&verifier.admin, &token).await.unwrap();
    set_session(&app, &token, false).await.unwrap();
    verifier.admin.batch_execute(&format!("drop subscription {}", verifier.database)).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "verifier_stale");
    refused(set_session(&app, &token, false).await, "verifier_stale");
    drop(issuer);
}
