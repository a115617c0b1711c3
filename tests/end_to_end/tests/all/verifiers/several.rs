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
    let organizations = "select o.id, s.subname from auth.organizations as o join pg_subscription as s on s.oid = o.subscription order by 1";
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

/// The second issuer signs for an organization of the first. The verifier has left out its claim to the organization, which would stop it.
#[tokio::test]
async fn a_token_that_names_an_organization_of_another_issuer() {
    let fed = fed("tenant").await;
    fed.leave_out("organizations", "new.id = 'org_acme'").await;
    let disable = format!("alter subscription {} disable", fed.second());
    fed.verifier.admin.batch_execute(&disable).await.unwrap();
    let long_ago = "update auth.feeds set known_since = now() - interval '1 hour'";
    fed.verifier.admin.batch_execute(long_ago).await.unwrap();
    // Its session is on its way, and then it is there.
    let intruder = fed.globex.sign_in(ALICE).await;
    refused(fed.uid(&intruder).await, "organization_of_another_issuer");
    let enable = format!("alter subscription {} enable", fed.second());
    fed.verifier.admin.batch_execute(&enable).await.unwrap();
    fed.catch_up().await;
    let arrived = format!("select count(*) from auth.sessions where id = '{}'", intruder.session_id);
    assert_eq!(text(&fed.verifier.admin, &arrived).await.unwrap().as_deref(), Some("1"));
    refused(fed.uid(&intruder).await, "organization_of_another_issuer");
    // An organization that nobody has brought is not theirs either.
    fed.verifier.admin.batch_execute("delete from auth.organizations where id = 'org_globex'").await.unwrap();
    refused(fed.uid(&fed.bob).await, "organization_of_another_issuer");
    fed.alice_goes_on().await;
}

#[tokio::test]
async fn an_organization_at_two_issuers_stops_the_second() {
    let fed = fed("claim").await;
    let alice = fed.globex.sign_in(ALICE).await;
    fed.verifier.until_logged("organizations_pkey").await;
    fed.bob_is_refused().await;
    // As docs/verifiers.md says: it goes there, and what this issuer has brought is copied anew. The first one goes on meanwhile.
    refused(fed.verifier.admin.batch_execute("select auth.become_verifier()").await, "verifier_is_fed");
    let remove = format!(
        "select auth.delete_user('{}'); delete from auth.organizations where id = 'org_acme'",
        alice.user_id
    );
    fed.globex.admin.batch_execute(&remove).await.unwrap();
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

    // Another trusted issuer's name, and the first one's.
    let other = OtherIssuer::new("https://login.example.com", Algorithm::Es256);
    let as_other = "select auth.trust_issuer($1, 'authkit', jwks => $2, client_id => $3)";
    fed.verifier.admin.execute(as_other, &[&other.name, &other.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    let sign_as = |name: &str| format!("alter database {} set workos_auth.issuer = '{name}'", fed.globex.database);
    fed.globex.admin.batch_execute(&sign_as(&other.name)).await.unwrap();
    fed.globex.superuser().await.batch_execute("select auth.send_heartbeat()").await.unwrap();
    fed.verifier.until_logged("a subscription changes what it has not brought").await;
    fed.bob_is_refused().await;
    let first = text(&fed.acme.admin, "select 'urn:uuid:' || id from auth.installation").await.unwrap().unwrap();
    fed.verifier.admin.execute("select auth.distrust_issuer($1)", &[&other.name]).await.unwrap();
    fed.globex.admin.batch_execute(&sign_as(&first)).await.unwrap();
    fed.globex.superuser().await.batch_execute("select auth.send_heartbeat()").await.unwrap();
    fed.verifier.until_logged("heartbeat_issuer_key").await;
    fed.bob_is_refused().await;
}

/// An administrator of the verifier gives no issuer an organization.
#[tokio::test]
async fn administrators_write_organizations_of_their_own_alone() {
    let fed = fed("by_hand").await;
    let operator = fed.verifier.app("operator").await;
    let grant = format!("select auth.grant_admin('{}_operator')", fed.verifier.database);
    fed.verifier.admin.batch_execute(&grant).await.unwrap();
    operator.batch_execute("insert into auth.organizations (id) values ('org_own')").await.unwrap();
    let taken =
        "insert into auth.organizations (id, subscription) select 'org_taken', subscription from auth.feeds limit 1";
    let error = operator.batch_execute(taken).await.unwrap_err();
    assert_eq!(error.code().unwrap().code(), "42501", "{error:?}");
}
