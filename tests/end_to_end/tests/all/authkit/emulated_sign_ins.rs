//! WorkOS's own emulator, driven through a sign-in with AuthKit. Of what it answers, no token has an organization, roles or `auth_time`.
#![allow(clippy::disallowed_methods)]

use workos_end_to_end::authkit::AUTHKIT;
use workos_end_to_end::bed::refresh;
use workos_end_to_end::emulator::{API_KEY, Emulator};
use workos_end_to_end::{Bed, Pending, exchange, refused, start_with};
use workos_testbed::workos::REDIRECT_URI;

#[tokio::test]
async fn the_happy_path() {
    let emulator = Emulator::start().await;
    let bed = Bed::shared("emulator").await;
    let configure = "select auth.configure_authkit('client_emulated', $1, client_secret => $2, api_url => $3)";
    bed.admin.execute(configure, &[&REDIRECT_URI, &API_KEY, &emulator.url]).await.unwrap();
    let app = bed.backend().await;

    let carol = start_with(&app, AUTHKIT, "carol@acme.com").await;
    assert!(carol.url.starts_with(&format!("{}/user_management/authorize?", emulator.url)), "{}", carol.url);
    let session = exchange(&app, &carol).await.unwrap();
    assert_eq!((session.email.as_str(), session.is_new_user), ("carol@acme.com", true));
    assert_eq!(session.claims["user_metadata"]["full_name"], "Carol Cole");
    let again = start_with(&app, AUTHKIT, "carol@acme.com").await;
    let again = exchange(&app, &again).await.unwrap();
    assert_eq!((again.user_id, again.is_new_user), (session.user_id, false));

    // A code that was used already, in a sign-in of its own.
    let next = start_with(&app, AUTHKIT, "carol@acme.com").await;
    refused(exchange(&app, &Pending { code: carol.code.clone(), ..next.clone() }).await, "workos_invalid_grant");
    exchange(&app, &next).await.unwrap();

    // It does not ask who is a member, and goes on with the token of before.
    let organizations = organizations_of(&emulator).await;
    let switch = "select organization_id, claims ->> 'org_id', session_id from auth.switch_organization($1, $2)";
    let mut token = session.refresh_token.clone();
    for organization in &organizations {
        let row = app.query_one(switch, &[&token, organization]).await.unwrap();
        assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), (organization.as_str(), organization.as_str()));
        assert_eq!(row.get::<_, uuid::Uuid>(2), session.session_id);
        token = refresh(&app, &token).await.unwrap().refresh_token;
    }
}

async fn organizations_of(emulator: &Emulator) -> Vec<String> {
    let url = format!("{}/organizations", emulator.url);
    let answer = reqwest::Client::new().get(url).bearer_auth(API_KEY).send().await.unwrap();
    let list: serde_json::Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    list["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}
