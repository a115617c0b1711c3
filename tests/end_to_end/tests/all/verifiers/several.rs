//! Several issuers feed one verifier, and none of them speaks for another.

use std::time::Duration;

use serde_json::json;
use tokio_postgres::Client;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, Session, refresh, set_session};
use workos_end_to_end::fed::{Verifier, logical};
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, OtherIssuer, accept};
use workos_end_to_end::sql::{lines, refused, text};

/// The copies of sessions were made long ago.
const LONG_AGO: &str = "update auth.feeds set known_since = now() - interval '1 hour'";

/// Two issuers: Alice's of org_acme, and Bob's of org_globex.
struct Fed<'a> {
    acme: Bed<'a>,
    globex: Bed<'a>,
    verifier: Verifier<'a>,
    /// a connection of an application to the verifier
    app: Client,
    alice: Session,
    bob: Session,
}

impl Fed<'_> {
    /// The subscription of the second issuer.
    fn second(&self) -> String {
        format!("{}_second", self.verifier.database)
    }

    async fn catch_up(&self) {
        self.verifier.catch_up(&self.acme).await;
        self.verifier.catch_up(&self.globex).await;
    }

    /// Who a token is of at the verifier.
    async fn uid(&self, session: &Session) -> Result<Option<String>, tokio_postgres::Error> {
        set_session(&self.app, &session.access_token, false).await?;
        text(&self.app, "select auth.uid()").await
    }

    /// Alice is who she is.
    async fn alice_goes_on(&self) {
        self.verifier.catch_up(&self.acme).await;
        assert_eq!(self.uid(&self.alice).await.unwrap(), Some(self.alice.user_id.to_string()));
    }

    /// Nothing of the second issuer arrives any more: once what is known of it is old, its people are refused, and no others.
    async fn bob_is_refused(&self) {
        tokio::time::sleep(Duration::from_millis(6_100)).await;
        self.globex.admin.batch_execute("select auth.send_heartbeat()").await.unwrap();
        refused(self.uid(&self.bob).await, "verifier_stale");
        self.alice_goes_on().await;
        assert_eq!(self.verifier.errors("object").await, [self.second()]);
    }

    /// At the verifier, rows that the second issuer brings are left out where this holds of them.
    async fn leave_out(&self, table: &str, condition: &str) {
        let sql = format!(
            "create or replace function left_out() returns trigger language plpgsql as $$ begin return null; end $$;
             create trigger a_left_out before insert on auth.{table} for each row when ({condition}) execute function left_out();
             alter table auth.{table} enable always trigger a_left_out"
        );
        self.verifier.admin.batch_execute(&sql).await.unwrap();
    }
}

async fn fed<'a>(name: &str) -> Fed<'a> {
    let acme = Bed::new(logical(), &format!("several_{name}_acme")).await;
    let globex = Bed::new(logical(), &format!("several_{name}_globex")).await;
    let (alice, bob) = (acme.sign_in(ALICE).await, globex.sign_in(BOB).await);
    let verifier = Verifier::of(logical(), &format!("several_{name}")).await.subscribed_to(&acme).await;
    verifier.also_subscribe(&globex, &format!("{}_second", verifier.database)).await;
    verifier.until_fed().await;
    let setting = format!("alter database {} set workos_auth.max_replication_lag = '6s'", verifier.database);
    verifier.admin.batch_execute(&setting).await.unwrap();
    let app = verifier.app("app").await;
    let fed = Fed { acme, globex, verifier, app, alice, bob };
    fed.catch_up().await;
    fed
}

#[tokio::test]
async fn people_of_both_are_known_and_each_leaves_at_home() {
    let fed = fed("both").await;
    for (session, issuer) in [(&fed.alice, &fed.acme), (&fed.bob, &fed.globex)] {
        assert_eq!(fed.uid(session).await.unwrap(), Some(session.user_id.to_string()));
        let at_home = text(&issuer.admin, "select 'urn:uuid:' || id from auth.installation").await.unwrap();
        assert_eq!(text(&fed.app, "select auth.issuer()").await.unwrap(), at_home);
    }
    let organizations = "select id, feed from auth.organizations order by id";
    assert_eq!(
        lines(&fed.verifier.admin, organizations).await.unwrap(),
        ["org_acme|several_both", "org_globex|several_both_second"]
    );
    assert_eq!(fed.verifier.errors("finding").await, Vec::<String>::new());

    // A refresh, other rights, another key, a sign-out: each at home, and none counts for the other.
    let bob = refresh(&fed.globex.superuser().await, &fed.bob.refresh_token).await.unwrap();
    fed.catch_up().await;
    assert_eq!(fed.uid(&bob).await.unwrap(), Some(bob.user_id.to_string()));
    let change = "update auth.organization_memberships set roles = '{auditor}'";
    fed.globex.admin.batch_execute(change).await.unwrap();
    fed.catch_up().await;
    refused(fed.uid(&bob).await, "session_stale");
    fed.alice_goes_on().await;
    let rotate = "select auth.rotate_signing_key(); select auth.retire_signing_key(kid) from auth.signing_keys where status = 'retiring'";
    fed.globex.admin.batch_execute(rotate).await.unwrap();
    fed.catch_up().await;
    refused(fed.uid(&bob).await, "bad_jwt_key");
    fed.alice_goes_on().await;
    let bob = fed.globex.sign_in(BOB).await;
    fed.catch_up().await;
    assert_eq!(fed.uid(&bob).await.unwrap(), Some(bob.user_id.to_string()));
    fed.globex.admin.execute("select auth.sign_out($1, 'global')", &[&bob.access_token]).await.unwrap();
    fed.catch_up().await;
    refused(fed.uid(&bob).await, "session_not_found");
    fed.alice_goes_on().await;

    // A session that has ended at its issuer does not go on because another has one of that id.
    fed.acme.admin.execute("select auth.sign_out($1, 'global')", &[&fed.alice.access_token]).await.unwrap();
    let again = format!("insert into auth.sessions (id) values ('{}')", fed.alice.session_id);
    fed.catch_up().await;
    fed.globex.admin.batch_execute(&again).await.unwrap();
    fed.catch_up().await;
    refused(fed.uid(&fed.alice).await, "session_not_found");
}

#[tokio::test]
async fn a_link_that_is_down_shuts_out_its_own_people_alone() {
    let fed = fed("down").await;
    let other = OtherIssuer::new("https://api.example.com", Algorithm::Es256);
    let trust = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    fed.verifier.admin.execute(trust, &[&other.name, &other.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    let claims = json!({ "org_id": "org_initech" });
    accept(&fed.verifier.admin, &other.token("ann", claims.clone())).await.unwrap();
    set_session(&fed.app, &other.token("ann", claims.clone()), false).await.unwrap();

    let disable = format!("alter subscription {} disable", fed.second());
    fed.verifier.admin.batch_execute(&disable).await.unwrap();
    fed.bob_is_refused().await;
    // The links say whose an organization is; and a key that is not known may be one that has not arrived.
    refused(set_session(&fed.app, &other.token("ann", claims.clone()), false).await, "verifier_stale");
    fed.globex.admin.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    let young = fed.globex.sign_in(BOB).await;
    refused(fed.uid(&young).await, "verifier_stale");

    let enable = format!("alter subscription {} enable", fed.second());
    fed.verifier.admin.batch_execute(&enable).await.unwrap();
    fed.catch_up().await;
    for session in [&fed.bob, &young] {
        assert!(fed.uid(session).await.unwrap().is_some());
    }
    set_session(&fed.app, &other.token("ann", claims), false).await.unwrap();
}

/// The second issuer signs for an organization of the first: before its claim has arrived, and after.
#[tokio::test]
async fn a_token_that_names_an_organization_of_another_issuer() {
    let fed = fed("tenant").await;
    let disable = format!("alter subscription {} disable", fed.second());
    fed.verifier.admin.batch_execute(&disable).await.unwrap();
    fed.verifier.admin.batch_execute(LONG_AGO).await.unwrap();
    let intruder = fed.globex.sign_in(ALICE).await;
    refused(fed.uid(&intruder).await, "organization_of_another_issuer");
    let enable = format!("alter subscription {} enable", fed.second());
    fed.verifier.admin.batch_execute(&enable).await.unwrap();
    fed.catch_up().await;
    let arrived = format!("select count(*) from auth.sessions where id = '{}'", intruder.session_id);
    assert_eq!(text(&fed.verifier.admin, &arrived).await.unwrap().as_deref(), Some("1"));
    refused(fed.uid(&intruder).await, "organization_of_another_issuer");
    // Both go on with what is theirs, and an administrator is told.
    fed.alice_goes_on().await;
    assert!(fed.uid(&fed.bob).await.unwrap().is_some());
    assert_eq!(fed.verifier.errors("object").await, ["auth.organizations: org_acme"]);
    // What it says of the organization later changes nothing.
    let rename = "update auth.organizations set name = 'Mine' where id = 'org_acme'";
    fed.globex.admin.batch_execute(rename).await.unwrap();
    fed.catch_up().await;
    fed.alice_goes_on().await;
    refused(fed.uid(&intruder).await, "organization_of_another_issuer");

    // No trusted issuer speaks for it either, whose keys an administrator has brought, and none is given it.
    let other = OtherIssuer::new("https://api.example.com", Algorithm::Es256);
    let trust = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    fed.verifier.admin.execute(trust, &[&other.name, &other.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    let token = other.token("ann", json!({}));
    refused(accept(&fed.verifier.admin, &token).await, "organization_of_another_issuer");
    let give = "select auth.set_organization_issuer('org_acme', null)";
    refused(fed.verifier.admin.batch_execute(give).await, "verifier_only");

    // Where sessions are not looked at, organizations are.
    let unchecked = format!("alter database {} set workos_auth.check_sessions = off", fed.verifier.database);
    fed.verifier.admin.batch_execute(&unchecked).await.unwrap();
    let app = fed.verifier.app("unchecked").await;
    refused(set_session(&app, &intruder.access_token, false).await, "organization_of_another_issuer");
    set_session(&app, &fed.alice.access_token, false).await.unwrap();
}

/// While the first issuer is copied anew, nobody takes its place.
#[tokio::test]
async fn an_issuer_that_is_away_keeps_its_organizations() {
    let fed = fed("away").await;
    fed.verifier.admin.batch_execute(LONG_AGO).await.unwrap();
    fed.verifier.begin_anew().await;
    refused(fed.uid(&fed.alice).await, "bad_jwt_key");
    let intruder = fed.globex.sign_in(ALICE).await;
    fed.verifier.catch_up(&fed.globex).await;
    refused(fed.uid(&intruder).await, "organization_of_another_issuer");
    // An organization that nobody has brought: its session was rolled back.
    let globex = fed.globex.superuser().await;
    globex
        .batch_execute(&format!(
            "begin; insert into auth.organizations (id) values ('org_new');
             insert into auth.organization_memberships (organization_id, user_id) values ('org_new', '{}')",
            fed.bob.user_id
        ))
        .await
        .unwrap();
    let sql = format!("select access_token from auth.create_session('{}', 'org_new')", fed.bob.user_id);
    let token = text(&globex, &sql).await.unwrap().unwrap();
    globex.batch_execute("rollback").await.unwrap();
    let error = refused(set_session(&fed.app, &token, false).await, "verifier_stale");
    assert!(error.detail.contains("has not arrived"), "{error}");
    // Nor does it empty the table.
    fed.globex.admin.batch_execute("truncate auth.organizations cascade").await.unwrap();
    fed.verifier.until_logged("a subscription changes what it has not brought").await;
    // TRUNCATE, tried again and again, waits for the copy; within one server, the slot of a copy waits for every transaction.
    let disable = format!("alter subscription {} disable", fed.second());
    fed.verifier.admin.batch_execute(&disable).await.unwrap();
    let link = format!("{}_to_{}", fed.acme.database, fed.verifier.database);
    fed.verifier.subscribe(&fed.acme, &link, "").await;
    fed.verifier.until_fed().await;
    fed.alice_goes_on().await;
}

#[tokio::test]
async fn one_issuer_is_copied_anew_while_the_other_goes_on() {
    let fed = fed("anew").await;
    fed.globex.sign_in(ALICE).await;
    fed.catch_up().await;
    // As docs/verifiers.md says of an organization at two issuers: it goes there, and this issuer is copied anew.
    refused(fed.verifier.admin.batch_execute("select auth.become_verifier()").await, "verifier_is_fed");
    let remove =
        "select auth.delete_user(user_id) from auth.organization_memberships where organization_id = 'org_acme';
        delete from auth.organizations where id = 'org_acme'";
    fed.globex.admin.batch_execute(remove).await.unwrap();
    fed.verifier.admin.batch_execute(&format!("drop subscription {}", fed.second())).await.unwrap();
    refused(fed.uid(&fed.bob).await, "verifier_stale");
    fed.verifier.admin.batch_execute("select auth.become_verifier()").await.unwrap();
    fed.alice_goes_on().await;
    refused(fed.uid(&fed.bob).await, "bad_jwt_key");
    let link = format!("{}_to_{}", fed.globex.database, fed.verifier.database);
    fed.verifier.subscribe_by(&fed.second(), &fed.globex, &link, "").await;
    fed.verifier.until_fed().await;
    fed.catch_up().await;
    assert_eq!(fed.uid(&fed.bob).await.unwrap(), Some(fed.bob.user_id.to_string()));
    fed.alice_goes_on().await;
    fed.verifier.admin.batch_execute("update auth.organizations set contested_by = null").await.unwrap();
    assert_eq!(fed.verifier.errors("finding").await, Vec::<String>::new());
}

/// Its copy is another's, or none: what was lost in between does not come again.
#[tokio::test]
async fn a_subscription_that_was_changed_and_changed_back() {
    let fed = fed("back").await;
    let second = fed.second();
    fed.globex.admin.batch_execute("select auth.publish_sessions('another')").await.unwrap();
    for change in [
        format!("alter subscription {second} set publication another with (refresh = false)"),
        format!("alter subscription {second} rename to {second}_then"),
    ] {
        fed.verifier.admin.batch_execute(&change).await.unwrap();
        refused(fed.uid(&fed.bob).await, "verifier_stale");
        let back = change
            .replace("another", "workos_auth")
            .replace(&format!("{second} rename to {second}_then"), &format!("{second}_then rename to {second}"));
        fed.verifier.admin.batch_execute(&back).await.unwrap();
        fed.catch_up().await;
        assert!(fed.uid(&fed.bob).await.unwrap().is_some());
    }
    // An error while that is looked at leaves nothing that is old: the table is locked, and a backend gives up waiting for it.
    set_session(&fed.app, &fed.bob.access_token, false).await.unwrap();
    let change = format!("alter subscription {second} set publication another with (refresh = false)");
    for statement in [&*change, "begin", "lock auth.feeds"] {
        fed.verifier.admin.batch_execute(statement).await.unwrap();
    }
    fed.app.batch_execute("set lock_timeout = '100ms'").await.unwrap();
    assert!(fed.app.query("select auth.uid()", &[]).await.is_err());
    fed.verifier.admin.batch_execute("commit").await.unwrap();
    refused(fed.app.query("select auth.uid()", &[]).await, "verifier_stale");

    // Tables that leave the subscription and come back are copied, or nothing is believed.
    fed.globex.admin.batch_execute("create publication nothing").await.unwrap();
    fed.verifier.admin.batch_execute(&format!("alter subscription {second} set publication nothing")).await.unwrap();
    fed.globex.admin.execute("select auth.sign_out($1, 'global')", &[&fed.bob.access_token]).await.unwrap();
    let back = format!("alter subscription {second} set publication workos_auth with (copy_data = false)");
    fed.verifier.admin.batch_execute(&back).await.unwrap();
    fed.verifier.until_fed().await;
    refused(fed.uid(&fed.bob).await, "verifier_stale");
    fed.alice_goes_on().await;
}

/// A key is known by its own name alone. The first issuer's row moves behind the other's when it changes.
#[tokio::test]
async fn a_key_that_calls_itself_by_the_name_of_another() {
    let fed = fed("kid").await;
    let kid = text(&fed.acme.admin, "select kid from auth.signing_keys").await.unwrap().unwrap();
    let named = format!(
        "insert into auth.signing_keys (kid, algorithm, public_key, status)
         select ' 0', algorithm, public_key || '{{\"kid\": \"{kid}\"}}', 'retiring' from auth.signing_keys"
    );
    fed.globex.admin.batch_execute(&named).await.unwrap();
    fed.acme.admin.batch_execute("select auth.rotate_signing_key()").await.unwrap();
    fed.catch_up().await;
    fed.alice_goes_on().await;
    let app = fed.verifier.app("another").await;
    set_session(&app, &fed.alice.access_token, false).await.unwrap();
}

/// A publication that holds more than a verifier needs: whom that trusts, no issuer writes.
#[tokio::test]
async fn nobody_is_told_whom_to_trust() {
    let fed = fed("trust").await;
    let other = OtherIssuer::new("https://login.example.com", Algorithm::Es256);
    let trust = "select auth.trust_issuer($1, 'oidc', jwks => $2, client_id => $3)";
    fed.globex.admin.execute(trust, &[&other.name, &other.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    fed.globex.admin.batch_execute("alter publication workos_auth add table auth.trusted_issuers").await.unwrap();
    let link = format!("{}_to_{}", fed.globex.database, fed.verifier.database);
    fed.globex.admin.batch_execute(&format!("grant select on auth.trusted_issuers to {link}")).await.unwrap();
    fed.verifier
        .admin
        .batch_execute(&format!("alter subscription {} refresh publication", fed.second()))
        .await
        .unwrap();
    fed.verifier.until_logged("a subscription changes what it has not brought").await;
    assert_eq!(
        text(&fed.verifier.admin, "select count(*) from auth.trusted_issuers").await.unwrap().as_deref(),
        Some("0")
    );
    refused(fed.uid(&fed.bob).await, "verifier_stale");
    assert_eq!(fed.verifier.errors("object").await, [fed.second()]);
    fed.alice_goes_on().await;
}

/// What an issuer says of rows that it has not brought stops its subscription. It can only speak of them where its own had been left out.
#[tokio::test]
async fn a_subscription_changes_no_row_of_another() {
    let kid = "select kid from auth.signing_keys";
    for (name, table, statements) in [
        (
            "ends",
            "sessions",
            ["insert into auth.sessions (id) values ('$SESSION')", "delete from auth.sessions where id = '$SESSION'"],
        ),
        (
            "stale",
            "sessions",
            [
                "insert into auth.sessions (id) values ('$SESSION')",
                "update auth.sessions set claims_version = 9 where id = '$SESSION'",
            ],
        ),
        (
            "key",
            "signing_keys",
            [
                "insert into auth.signing_keys (kid, algorithm, public_key, status) select '$KID', algorithm, public_key, 'retiring' from auth.signing_keys",
                "update auth.signing_keys set status = 'pending' where kid = '$KID'",
            ],
        ),
    ] {
        let fed = fed(name).await;
        let kid = text(&fed.acme.admin, kid).await.unwrap().unwrap();
        let id = if table == "sessions" { ("id", fed.alice.session_id.to_string()) } else { ("kid", kid.clone()) };
        fed.leave_out(table, &format!("new.{} = '{}'", id.0, id.1)).await;
        for statement in statements {
            let statement = statement.replace("$SESSION", &fed.alice.session_id.to_string()).replace("$KID", &kid);
            fed.globex.admin.batch_execute(&statement).await.unwrap();
        }
        fed.verifier.until_logged("a subscription changes what it has not brought").await;
        fed.bob_is_refused().await;
    }
}

#[tokio::test]
async fn one_of_several_empties_no_table() {
    let fed = fed("truncate").await;
    fed.globex.admin.batch_execute("truncate auth.sessions").await.unwrap();
    fed.verifier.until_logged("a subscription changes what it has not brought").await;
    fed.bob_is_refused().await;
}

#[tokio::test]
async fn an_issuer_is_fed_or_trusted_and_not_both() {
    let fed = fed("names").await;
    let keys = text(&fed.globex.admin, "select auth.jwks()").await.unwrap().unwrap();
    let trust = "select auth.trust_issuer($1, 'workos_auth', jwks => $2::text::jsonb, audience => 'authenticated')";
    let name = text(&fed.globex.admin, "select 'urn:uuid:' || id from auth.installation").await.unwrap().unwrap();
    refused(fed.verifier.admin.execute(trust, &[&name, &keys]).await, "validation_failed");

    // It signs under another name all at once.
    let sign_as =
        format!("alter database {} set workos_auth.issuer = 'https://login.example.com'", fed.globex.database);
    fed.globex.admin.batch_execute(&sign_as).await.unwrap();
    fed.globex.superuser().await.batch_execute("select auth.send_heartbeat()").await.unwrap();
    fed.verifier.until_logged("a subscription changes what it has not brought").await;
    fed.bob_is_refused().await;
    // Copied anew, it does so from the start, and the name is one that this database trusts by other keys.
    let other = OtherIssuer::new("https://login.example.com", Algorithm::Es256);
    let as_other = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    fed.verifier.admin.execute(as_other, &[&other.name, &other.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    fed.verifier.admin.batch_execute(&format!("drop subscription {}", fed.second())).await.unwrap();
    fed.verifier.admin.batch_execute("select auth.become_verifier()").await.unwrap();
    let link = format!("{}_to_{}", fed.globex.database, fed.verifier.database);
    fed.globex.superuser().await.batch_execute("select auth.send_heartbeat()").await.unwrap();
    fed.verifier.subscribe_by(&fed.second(), &fed.globex, &link, "").await;
    fed.verifier.until_logged("auth.trusted_issuers has https://login.example.com").await;
    refused(fed.uid(&fed.globex.sign_in(BOB).await).await, "verifier_stale");
    fed.alice_goes_on().await;
}

/// An administrator of the verifier gives no issuer an organization.
#[tokio::test]
async fn administrators_write_organizations_of_their_own_alone() {
    let fed = fed("by_hand").await;
    let operator = fed.verifier.app("operator").await;
    let grant = format!("select auth.grant_admin('{}_operator')", fed.verifier.database);
    fed.verifier.admin.batch_execute(&grant).await.unwrap();
    operator.batch_execute("insert into auth.organizations (id) values ('org_own')").await.unwrap();
    let taken = "insert into auth.organizations (id, feed) select 'org_taken', name from auth.feeds limit 1";
    let error = operator.batch_execute(taken).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501", "{error:?}");
}
