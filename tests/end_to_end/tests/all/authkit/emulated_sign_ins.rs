//! WorkOS's own emulator, driven through a sign-in with AuthKit. Of what it answers, no token has an organization, roles or `auth_time`.
#![allow(clippy::disallowed_methods)]

use workos_end_to_end::authkit::AUTHKIT;
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
}
