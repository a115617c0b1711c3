//! Whose account somebody of AuthKit is: the second table of docs/accounts.md, in the database. Each row in full stands in the unit tests
//! of `core::accounts::by_authkit`.

use serde_json::json;
use uuid::Uuid;
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back, sign_in};
use workos_end_to_end::bed::{ALICE, Bed};
use workos_end_to_end::sql::{lines, refused, text};

const AUTHKIT_OF_GLOBEX: &str = "provider => 'authkit', organization => 'org_globex'";

#[tokio::test]
async fn one_person_in_several_organizations_is_one_account() {
    let bed = Bed::shared("spans").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme", "org_globex"]);
    let acme = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let globex = sign_in(&app, AUTHKIT_OF_GLOBEX, "ann@acme.com").await.unwrap();
    assert_eq!((globex.user_id, globex.is_new_user), (acme.user_id, false));
    assert_eq!(acme.claims["org_id"], "org_acme");
    assert_eq!(globex.claims["org_id"], "org_globex");
    let members = "select organization_id || ' ' || role from auth.organization_memberships order by 1";
    assert_eq!(lines(&bed.admin, members).await.unwrap(), ["org_acme member", "org_globex member"]);
    bed.admin.execute("select auth.ban_user($1)", &[&acme.user_id]).await.unwrap();
    refused(sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await, "user_banned");
}

#[tokio::test]
async fn somebody_of_single_sign_on_is_found_again_and_stays_that_customers() {
    let bed = Bed::shared("meets").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    let groups = "select groups::text from auth.organization_memberships where organization_id = 'org_acme'";
    let before = text(&bed.admin, groups).await.unwrap();
    bed.person(ALICE.email, &["org_acme", "org_globex"]);

    let again = sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await.unwrap();
    assert_eq!((again.user_id, again.is_new_user), (alice.user_id, false));
    assert_eq!(again.claims["app_metadata"]["providers"], json!(["workos", "authkit"]));
    assert_eq!(again.claims["org_role"], "member");
    // AuthKit says nothing of groups.
    assert_eq!(text(&bed.admin, groups).await.unwrap(), before);
    let linked = "select count(*) from auth.audit_log_entries where action = 'identity_linked' and payload ->> 'provider' = 'authkit'";
    assert_eq!(text(&bed.admin, linked).await.unwrap().as_deref(), Some("1"));

    // Acme's identity provider can sign in as this account: it is nobody's in Globex.
    for elsewhere in [AUTHKIT_OF_GLOBEX] {
        let error = refused(sign_in(&app, elsewhere, ALICE.email).await, "cross_organization_link_disabled");
        assert!(error.detail.contains("org_acme"), "{error}");
    }
    bed.set("workos_auth.link_across_organizations", "on").await;
    let app = bed.backend().await;
    assert_eq!(sign_in(&app, AUTHKIT_OF_GLOBEX, ALICE.email).await.unwrap().user_id, alice.user_id);
    // And single sign-on goes on as before.
    assert_eq!(bed.sign_in(ALICE).await.user_id, alice.user_id);
}

#[tokio::test]
async fn an_account_of_another_customer_is_another() {
    let bed = Bed::shared("apart").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    bed.person(ALICE.email, &["org_globex"]);
    let other = sign_in(&app, AUTHKIT, ALICE.email).await.unwrap();
    assert!(other.is_new_user && other.user_id != alice.user_id);
    let holders = "select count(*) from auth.users where email = 'alice@acme.com'";
    assert_eq!(text(&bed.admin, holders).await.unwrap().as_deref(), Some("1"));
}

/// The address may be a successor's.
#[tokio::test]
async fn the_account_of_somebody_who_is_no_member_any_more_is_joined_by_nobody() {
    let bed = Bed::shared("taken_out").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    bed.admin.execute("select auth.remove_member($1, 'org_acme')", &[&alice.user_id]).await.unwrap();
    bed.person(ALICE.email, &["org_acme"]);
    let other = sign_in(&app, AUTHKIT_OF_ACME, ALICE.email).await.unwrap();
    assert!(other.is_new_user && other.user_id != alice.user_id);
    assert_eq!(bed.sign_in(ALICE).await.user_id, alice.user_id);
}

#[tokio::test]
async fn an_address_that_is_not_verified_says_nothing() {
    let bed = Bed::shared("unverified").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    bed.person(ALICE.email, &["org_acme"]);
    bed.answer_once(&json!({"user": {"email_verified": false}}), &json!({}));
    let pending = come_back(&app, ALICE.email).await;
    let sql = "select user_id, is_new_user, email, claims ->> 'email' from auth.exchange_code($1, $2, $3)";
    let row = app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let user_id: Uuid = row.get(0);
    assert!(row.get::<_, bool>(1) && user_id != alice.user_id);
    assert_eq!((row.get::<_, Option<&str>>(2), row.get::<_, &str>(3)), (None, ""));
    let said = "select count(*) from auth.users as u left join auth.identities as i on i.user_id = u.id
        where u.id = $1 and (u.email is not null or i.email is not null or i.identity_data ? 'email' or u.raw_user_meta_data ? 'email')";
    let row = bed.admin.query_one(said, &[&user_id]).await.unwrap();
    assert_eq!(row.get::<_, i64>(0), 0);
    // Once it is verified, the account is known, and has joined nobody.
    let verified = sign_in(&app, AUTHKIT, ALICE.email).await.unwrap();
    assert_eq!((verified.user_id, verified.email.as_str()), (user_id, ALICE.email));
}

#[tokio::test]
async fn nobody_is_made_where_sign_ups_are_off() {
    let bed = Bed::shared("closed").await;
    bed.set("workos_auth.allow_signup", "off").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    refused(sign_in(&app, AUTHKIT, "ann@acme.com").await, "signup_disabled");
}
