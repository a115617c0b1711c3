//! A name that a person gave themselves stays; one that the identity provider gave follows it.

use serde_json::{Value, json};
use workos_end_to_end::accounts::{Accounts, GOOGLE, OKTA};
use workos_end_to_end::{Session, exchange, profile, start_with};
use workos_simulator::Profile;

async fn comes(at: &Accounts, id: &str, connection: &str, first: Option<&str>, last: Option<&str>) -> Session {
    let named = Profile {
        first_name: first.map(str::to_owned),
        last_name: last.map(str::to_owned),
        ..profile(id, connection, "ann@initech.com", id)
    };
    at.bed.simulator().put_profile(named).unwrap();
    let pending = start_with(&at.app, &format!("connection => '{connection}'"), "ann@initech.com").await;
    exchange(&at.app, &pending).await.unwrap()
}

fn names(session: &Session) -> (Value, Value) {
    let metadata = &session.claims["user_metadata"];
    (metadata["name"].clone(), metadata["full_name"].clone())
}

async fn update(at: &Accounts, session: &Session, changes: Value) {
    at.app.query_one("select auth.update_user($1, $2)", &[&session.access_token, &changes]).await.unwrap();
}

#[tokio::test]
async fn a_name_of_ones_own_survives_the_next_sign_in() {
    let at = Accounts::new("own", &[]).await;
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Lee")).await;
    assert_eq!(names(&ann), (json!("Ann Lee"), json!("Ann Lee")));
    update(&at, &ann, json!({ "full_name": "Dr. Ann Lee", "avatar_url": "https://example.com/ann.png" })).await;
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Lee")).await;
    assert_eq!(names(&ann), (json!("Ann Lee"), json!("Dr. Ann Lee")));
    assert_eq!(ann.claims["user_metadata"]["avatar_url"], "https://example.com/ann.png");
    // The other one follows the identity provider.
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Smith")).await;
    assert_eq!(names(&ann), (json!("Ann Smith"), json!("Dr. Ann Lee")));
    // One that was removed comes again.
    update(&at, &ann, json!({ "name": null })).await;
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Smith")).await;
    assert_eq!(names(&ann), (json!("Ann Smith"), json!("Dr. Ann Lee")));
    // As given back by the identity provider, it follows it again.
    update(&at, &ann, json!({ "full_name": "Ann Smith", "name": "Ann Smith" })).await;
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Jones")).await;
    assert_eq!(names(&ann), (json!("Ann Jones"), json!("Ann Jones")));
    // Whose word the rest is.
    update(&at, &ann, json!({ "email": "x@example.com", "email_verified": false, "sub": "prof_9" })).await;
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Jones")).await;
    let metadata = &ann.claims["user_metadata"];
    assert_eq!(
        (&metadata["email"], &metadata["email_verified"], &metadata["sub"]),
        (&json!("ann@initech.com"), &json!(true), &json!("prof_1"))
    );
}

#[tokio::test]
async fn a_name_that_any_identity_gave_is_followed() {
    let at = Accounts::new("several", &[]).await;
    let first = comes(&at, "prof_1", OKTA, None, None).await;
    assert_eq!(names(&first), (Value::Null, Value::Null));
    let first = comes(&at, "prof_1", OKTA, Some("Ann"), None).await;
    assert_eq!(names(&first), (json!("Ann"), json!("Ann")));
    // Another connection of the same organization joins the account.
    let second = comes(&at, "prof_2", GOOGLE, Some("Annabel"), Some("Lee")).await;
    assert_eq!((second.user_id, names(&second)), (first.user_id, (json!("Annabel Lee"), json!("Annabel Lee"))));
    let first = comes(&at, "prof_1", OKTA, Some("Ann"), None).await;
    assert_eq!(names(&first), (json!("Ann"), json!("Ann")));
}

/// Somebody whom an administrator made, with a name, before they came.
#[tokio::test]
async fn a_name_that_was_there_before_the_first_sign_in_stays() {
    let at = Accounts::new("before", &[]).await;
    at.admin(
        "select auth.create_user(email => 'ann@initech.com', organization => 'org_initech');
        update auth.users set raw_user_meta_data = '{\"full_name\": \"Ann of Sales\"}'",
    )
    .await;
    let ann = comes(&at, "prof_1", OKTA, Some("Ann"), Some("Lee")).await;
    assert_eq!((ann.is_new_user, names(&ann)), (false, (json!("Ann Lee"), json!("Ann of Sales"))));
}
