//! Several issuers in one database: a token of one never speaks for the organization of another.

use serde_json::json;
use workos_auth_core::token::Algorithm;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, refresh, set_session, start};
use workos_end_to_end::issuer::{AUTHKIT_CLIENT, OtherIssuer, accept};
use workos_end_to_end::sql::{lines, refused, refused_as, text};

const OIDC: &str = "https://login.example.com";
const ANOTHER: &str = "https://login.example.org";
const AUTHKIT: &str = "https://api.example.com";

/// An OpenID provider whose tokens name an organization.
async fn oidc(bed: &Bed<'_>, name: &str) -> OtherIssuer {
    let issuer = OtherIssuer::new(name, Algorithm::Es256);
    let sql =
        r#"select auth.trust_issuer($1, 'oidc', jwks => $2, audience => $3, claims => '{"organization": "org_id"}')"#;
    bed.admin.execute(sql, &[&issuer.name, &issuer.jwks(), &AUTHKIT_CLIENT]).await.unwrap();
    issuer
}

fn of(issuer: &OtherIssuer, person: &str, organization: &str) -> String {
    issuer.token(person, json!({ "org_id": organization, "client_id": null, "aud": AUTHKIT_CLIENT }))
}

#[tokio::test]
async fn an_organization_is_spoken_for_by_its_own_issuer_alone() {
    let bed = Bed::shared("own").await;
    let (one, other) = (oidc(&bed, OIDC).await, oidc(&bed, ANOTHER).await);
    let authkit = OtherIssuer::new(AUTHKIT, Algorithm::Es256);
    authkit.is_trusted_by(&bed).await;
    let backend = bed.backend().await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;

    // Of WorkOS, from a sign-in: AuthKit speaks for it, and nobody else.
    bed.sign_in(ALICE).await;
    accept(&backend, &authkit.token("ann", json!({}))).await.unwrap();
    for issuer in [&one, &other] {
        refused(accept(&backend, &of(issuer, "eve", "org_acme")).await, "organization_of_another_issuer");
    }
    // Nothing of Eve is left.
    assert_eq!(text(&bed.admin, "select count(*) from auth.users").await.unwrap().as_deref(), Some("2"));

    // Of an issuer: who came first.
    let token = of(&one, "kim", "org_kim");
    accept(&backend, &token).await.unwrap();
    set_session(&app, &token, false).await.unwrap();
    assert_eq!(text(&app, "select auth.organization_id()").await.unwrap().as_deref(), Some("org_kim"));
    let issuer = "select issuer from auth.organizations where id = 'org_kim'";
    assert_eq!(text(&bed.admin, issuer).await.unwrap().as_deref(), Some(OIDC));
    refused(accept(&backend, &of(&other, "eve", "org_kim")).await, "organization_of_another_issuer");
    refused(
        accept(&backend, &authkit.token("eve", json!({ "org_id": "org_kim" }))).await,
        "organization_of_another_issuer",
    );

    // Nor as a member of it, whoever made them one.
    let stranger = of(&other, "lee", "org_lee");
    let lee = accept(&backend, &stranger).await.unwrap();
    let member = "insert into auth.organization_memberships (organization_id, user_id) values ('org_kim', $1)";
    bed.admin.execute(member, &[&lee]).await.unwrap();
    refused(set_session(&app, &of(&other, "lee", "org_kim"), false).await, "organization_of_another_issuer");

    // An administrator says otherwise, and it counts in the next statement of a connection that is open.
    let operator = bed.role("operator", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{operator}')")).await.unwrap();
    let operator = bed.connect(&operator).await;
    set_session(&app, &token, false).await.unwrap();
    let change = |to: &str| format!("select auth.set_organization_issuer('org_kim', {to})");
    operator.batch_execute(&change(&format!("'{ANOTHER}'"))).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "organization_of_another_issuer");
    set_session(&app, &of(&other, "lee", "org_kim"), false).await.unwrap();
    operator.batch_execute(&change("null")).await.unwrap();
    refused(app.query("select auth.uid()", &[]).await, "organization_of_another_issuer");

    // Whose it cannot be.
    for (issuer, why) in [("https://nobody.example.com", "no such row"), (AUTHKIT, "pass NULL")] {
        let error = refused(operator.batch_execute(&change(&format!("'{issuer}'"))).await, "validation_failed");
        assert!(error.detail.contains(why), "{error}");
    }
    let unknown = "select auth.set_organization_issuer('org_nobody')";
    assert_eq!(text(&operator, unknown).await.unwrap().as_deref(), Some("0"));
    refused(operator.batch_execute("select auth.set_organization_issuer(null)").await, "null_value");
    let update = "update auth.organizations set issuer = null";
    refused_as(operator.batch_execute(update).await, "42501");
    let audit = "select payload ->> 'issuer' from auth.audit_log_entries where action = 'organization_assigned' order by created_at";
    assert_eq!(lines(&bed.admin, audit).await.unwrap(), [ANOTHER, "NULL"]);
}

/// An issuer that names a customer's organization before the customer's people do would have them among its own.
#[tokio::test]
async fn a_sign_in_does_not_join_an_organization_that_an_issuer_has_taken() {
    let bed = Bed::shared("taken").await;
    let issuer = oidc(&bed, OIDC).await;
    let backend = bed.backend().await;
    accept(&backend, &of(&issuer, "eve", "org_acme")).await.unwrap();
    let pending = start(&backend, ALICE).await;
    let exchange = "select * from auth.exchange_code($1, $2, $3)";
    let answer = backend.query(exchange, &[&pending.code, &pending.verifier, &pending.state]).await;
    refused(answer, "organization_of_another_issuer");
    let create = "select auth.create_user('bob@acme.com', 'org_acme')";
    refused(bed.admin.batch_execute(create).await, "organization_of_another_issuer");
    bed.admin.batch_execute("update auth.organizations set issuer = null").await.unwrap();
    bed.sign_in(ALICE).await;
    // Whoever was there before is out.
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    refused(set_session(&app, &of(&issuer, "eve", "org_acme"), false).await, "organization_of_another_issuer");
}

/// What sign-ins with WorkOS began in an organization ends when it is handed over, and nothing of it begins again.
#[tokio::test]
async fn workos_speaks_no_more_for_an_organization_that_is_handed_over() {
    let bed = Bed::shared("handed_over").await;
    let issuer = oidc(&bed, OIDC).await;
    let alice = bed.sign_in(ALICE).await;
    let role = bed.role("app", "").await;
    let app = bed.connect(&role).await;
    set_session(&app, &alice.access_token, false).await.unwrap();
    let assign = format!("select auth.set_organization_issuer('org_acme', '{}')", issuer.name);
    assert_eq!(text(&bed.admin, &assign).await.unwrap().as_deref(), Some("1"));
    refused(app.query("select auth.uid()", &[]).await, "session_not_found");
    refused(refresh(&bed.admin, &alice.refresh_token).await, "refresh_token_not_found");
    let create = format!("select auth.create_session('{}', 'org_acme')", alice.user_id);
    refused(bed.admin.batch_execute(&create).await, "organization_of_another_issuer");
    // An identity of WorkOS does not move into it either.
    bed.admin.batch_execute("insert into auth.organizations (id) values ('org_other')").await.unwrap();
    let moves =
        |to: &str| format!("select auth.move_identity(id, '{to}') from auth.identities where provider = 'workos'");
    bed.admin.batch_execute(&moves("org_other")).await.unwrap();
    refused(bed.admin.batch_execute(&moves("org_acme")).await, "organization_of_another_issuer");
    accept(&bed.admin, &of(&issuer, "kim", "org_acme")).await.unwrap();
}
