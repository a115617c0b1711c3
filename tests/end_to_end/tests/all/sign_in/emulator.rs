//! WorkOS's own emulator, driven through the whole flow: the witness that is not ours.
#![allow(clippy::disallowed_methods)]

use serde_json::json;
use workos_end_to_end::emulator::{API_KEY, Emulator};
use workos_end_to_end::{Bed, Pending, exchange, refused, set_session, start_with};
use workos_testbed::workos::REDIRECT_URI;

#[tokio::test]
async fn the_whole_flow() {
    let emulator = Emulator::start().await;
    let bed = Bed::shared("emulator").await;
    let configure = "select auth.configure_workos('client_emulated', $1, $2, api_url => $3)";
    bed.admin.execute(configure, &[&REDIRECT_URI, &API_KEY, &emulator.url]).await.unwrap();
    let app = bed.backend().await;
    let (acme, globex) =
        (emulator.id("organizations", "Acme Corp").await, emulator.id("organizations", "Globex").await);
    let connection = emulator.id("connections", "Acme SSO").await;

    let alice = start_with(&app, &format!("organization => '{acme}'"), "alice@acme.com").await;
    assert!(alice.url.starts_with(&emulator.url), "{}", alice.url);
    let session = exchange(&app, &alice).await.unwrap();
    assert_eq!((session.email.as_str(), session.is_new_user), ("alice@acme.com", true));
    assert_eq!(session.organization_id.as_deref(), Some(acme.as_str()));
    for (name, value) in [
        ("org_id", json!(acme)),
        ("connection_id", json!(connection)),
        ("email", json!("alice@acme.com")),
        ("groups", json!(["admins", "engineering"])),
    ] {
        assert_eq!(session.claims[name], value, "{name}");
    }
    assert_eq!(session.claims["user_metadata"]["full_name"], "Alice Admin");

    app.batch_execute("begin").await.unwrap();
    set_session(&app, &session.access_token, true).await.unwrap();
    let sql = "select auth.uid(), auth.organization_id(), auth.in_group('admins', $1), auth.in_group('admins', $2)";
    let row = app.query_one(sql, &[&acme, &globex]).await.unwrap();
    assert_eq!((row.get::<_, uuid::Uuid>(0), row.get::<_, &str>(1)), (session.user_id, acme.as_str()));
    assert_eq!((row.get::<_, bool>(2), row.get::<_, bool>(3)), (true, false));
    app.batch_execute("commit").await.unwrap();

    // Again: the same person; another: another.
    let by_connection = start_with(&app, &format!("connection => '{connection}'"), "alice@acme.com").await;
    let again = exchange(&app, &by_connection).await.unwrap();
    assert_eq!((again.user_id, again.is_new_user), (session.user_id, false));
    let bob = start_with(&app, &format!("organization => '{globex}'"), "bob@globex.com").await;
    let bob = exchange(&app, &bob).await.unwrap();
    assert_ne!(bob.user_id, session.user_id);
    assert_eq!(bob.organization_id.as_deref(), Some(globex.as_str()));

    // A code that was used already, in a sign-in of its own.
    let next = start_with(&app, &format!("organization => '{acme}'"), "alice@acme.com").await;
    let used = Pending { code: alice.code.clone(), ..next.clone() };
    let refusal = refused(exchange(&app, &used).await, "workos_invalid_grant");
    assert!(refusal.detail.contains("invalid_code"), "{refusal}");
    exchange(&app, &next).await.unwrap();

    // The emulator checks no verifier: what protects here is our own check.
    let mine = start_with(&app, &format!("organization => '{acme}'"), "alice@acme.com").await;
    let bobs = start_with(&app, &format!("organization => '{globex}'"), "bob@globex.com").await;
    refused(exchange(&app, &Pending { code: bobs.code, ..mine }).await, "organization_mismatch");
}
