//! WorkOS's own emulator makes what SQL asks for: the witness that is not ours. It knows no IT contacts.

use workos_end_to_end::emulator::{API_KEY, Emulator};
use workos_end_to_end::{Bed, exchange, lines, refused, start_with, text};
use workos_testbed::workos::REDIRECT_URI;

#[tokio::test]
async fn a_customer_is_set_up() {
    let emulator = Emulator::start().await;
    let bed = Bed::shared("emulator").await;
    let configure = "select auth.configure_workos('client_emulated', $1, $2, api_url => $3)";
    bed.admin.execute(configure, &[&REDIRECT_URI, &API_KEY, &emulator.url]).await.unwrap();
    let create = "select auth.workos_create_organization('Pied Piper', '../customer/7', '{piper.example}')";
    let id = text(&bed.admin, create).await.unwrap().unwrap();
    assert_eq!(id, emulator.id("organizations", "Pied Piper").await);
    // It takes an external_id as often as somebody sends it: the second call has found the first one's.
    assert_eq!(text(&bed.admin, create).await.unwrap(), Some(id.clone()));

    let add =
        |domain: &str| format!("select txt_name, txt_value, state from auth.workos_add_domain('{id}', '{domain}')");
    let known = lines(&bed.admin, &add("piper.example")).await.unwrap();
    assert!(known[0].starts_with("piper.example|verification_token=") && known[0].ends_with("|pending"), "{known:?}");
    assert_eq!(
        lines(&bed.admin, &add("piper.test")).await.unwrap(),
        lines(&bed.admin, &add("piper.test")).await.unwrap()
    );

    let link = format!("select auth.workos_portal_link('{id}', 'sso', 'https://app.example.com/settings')");
    let link = text(&bed.admin, &link).await.unwrap().unwrap();
    assert_eq!(link, format!("{}/portal/sso/{id}", emulator.url));
    let invite = format!("select auth.workos_invite_it_contact('{id}', 'it@piper.example', '{{sso}}')");
    refused(bed.admin.batch_execute(&invite).await, "workos_not_found");
    refused(
        bed.admin.batch_execute("select auth.workos_add_domain('org_nobody', 'piper.example')").await,
        "workos_not_found",
    );

    // Of one that the emulator's seed has made, people sign in.
    let acme = emulator.id("organizations", "Acme Corp").await;
    let app = bed.backend().await;
    let alice = start_with(&app, &format!("organization => '{acme}'"), "alice@acme.com").await;
    assert_eq!(exchange(&app, &alice).await.unwrap().organization_id, Some(acme));
}
