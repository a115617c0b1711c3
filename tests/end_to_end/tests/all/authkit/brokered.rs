//! AuthKit in brokered mode, and where a broker asks it in the database's place.

use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back as come_back_directly};
use workos_end_to_end::bed::{Bed, Pending, exchange};
use workos_end_to_end::brokered::{begin, callback, come_back, come_back_implicitly, parameter, redirect};
use workos_end_to_end::carried::{ask, exchange_by_broker, exchange_request};
use workos_end_to_end::sql::lines;

const APP: &str = "redirect_to => 'http://localhost:3000/app'";

#[tokio::test]
async fn a_code_of_our_own_stands_for_the_answer() {
    let (bed, _) = Bed::brokered("codes").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    let pending = come_back(&app, &format!("{AUTHKIT_OF_ACME}, {APP}"), "ann@acme.com").await;
    let landing = callback(&app, &pending).await.unwrap();
    let code = parameter(&landing.0, "code");
    let session = exchange(&app, &Pending { code, ..pending }).await.unwrap();
    assert_eq!((session.organization_id.as_deref(), session.email.as_str()), (Some("org_acme"), "ann@acme.com"));
    let kept = lines(&bed.admin, "select authkit_session_id from auth.sessions").await.unwrap();
    assert!(kept[0].starts_with("session_"), "{kept:?}");

    let implicit = come_back_implicitly(&app, &format!("{AUTHKIT_OF_ACME}, {APP}"), "ann@acme.com").await;
    let landing = callback(&app, &implicit).await.unwrap();
    assert!(landing.0.contains("#access_token="), "{}", landing.0);
}

#[tokio::test]
async fn a_redirect_with_an_error_shows_none_of_its_words() {
    let (bed, _) = Bed::brokered("errors").await;
    let app = bed.with_authkit().await;
    let words = "The invitation is not for ann.secret@acme.com";
    let (_, state, _) = begin(&app, &format!("{AUTHKIT}, {APP}")).await;
    let landing = redirect(&app, None, Some(&state), Some("access_denied"), Some(words)).await.unwrap();
    assert_eq!(parameter(&landing.0, "error"), "access_denied");
    assert!(!landing.0.contains("secret"), "{}", landing.0);
    let audit = lines(&bed.admin, "select e::text from auth.audit_log_entries as e where action = 'login_refused'")
        .await
        .unwrap();
    assert!(audit.len() == 1 && !audit[0].contains("secret"), "{audit:?}");
}

#[tokio::test]
async fn a_broker_asks_where_it_is_told_to() {
    let bed = Bed::shared("carried").await;
    let app = bed.with_authkit().await;
    let broker = bed.broker().await;
    bed.person("ann@acme.com", &[]);
    let pending = come_back_directly(&app, "ann@acme.com").await;
    let session = exchange_by_broker(&broker, &pending).await.unwrap();
    assert_eq!(session.email, "ann@acme.com");
    let pending = come_back_directly(&app, "ann@acme.com").await;
    let request = exchange_request(&broker, &pending).await.unwrap();
    assert_eq!(request.url, format!("{}/user_management/authenticate", bed.workos.url()));
    assert_eq!(ask(&request).await.status, Some(200));
}
