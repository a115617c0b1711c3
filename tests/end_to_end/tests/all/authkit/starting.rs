//! How AuthKit is switched on, and what it is asked for.

use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back, sign_in};
use workos_end_to_end::bed::{ALICE, Bed, configure_authkit, configure_workos, exchange};
use workos_end_to_end::brokered::parameter;
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_testbed::workos::CLIENT_SECRET;

const PRODUCT: &str = "select product from auth.providers";

fn start(arguments: &str) -> String {
    format!("select url from auth.start_sign_in({arguments})")
}

#[tokio::test]
async fn it_is_switched_on_by_the_product_and_by_nothing_else() {
    let bed = Bed::shared("switch").await;
    let product = || async { text(&bed.admin, PRODUCT).await.unwrap().unwrap() };
    assert_eq!(product().await, "sso");
    let error = refused(bed.admin.query(&start(AUTHKIT), &[]).await, "authkit_not_configured");
    assert!(error.hint.contains("auth.configure_authkit"), "{error}");

    let app = bed.with_authkit().await;
    assert_eq!(product().await, "authkit");
    bed.person("ann@acme.com", &[]);
    sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap();
    // What names no product leaves it: another secret, for one.
    bed.admin
        .batch_execute(&configure_workos(&format!(
            ", client_secret => '{CLIENT_SECRET}', api_url => '{}'",
            bed.workos.url()
        )))
        .await
        .unwrap();
    assert_eq!(product().await, "authkit");
    // Single sign-on goes on beside it.
    bed.sign_in(ALICE).await;

    let pending = come_back(&app, "ann@acme.com").await;
    let off = configure_authkit(&format!(", product => 'sso', api_url => '{}'", bed.workos.url()));
    bed.admin.batch_execute(&off).await.unwrap();
    refused(app.query(&start(AUTHKIT), &[]).await, "authkit_not_configured");
    // Nor does one end that was under way.
    refused(exchange(&app, &pending).await, "authkit_not_configured");
    let said = "select string_agg(payload ->> 'product', ' ' order by created_at) from auth.audit_log_entries where action = 'provider_configured'";
    assert_eq!(text(&bed.admin, said).await.unwrap().as_deref(), Some("authkit sso"));
    for (product, sqlstate) in [("'AuthKit'", "22023"), ("''", "22023"), ("null", "22004")] {
        let call = configure_authkit(&format!(", product => {product}"));
        refused_as(bed.admin.batch_execute(&call).await, sqlstate);
    }
}

#[tokio::test]
async fn what_is_asked_for_stands_in_the_url() {
    let bed = Bed::shared("urls").await;
    let app = bed.with_authkit().await;
    let arguments = format!(
        "{AUTHKIT_OF_ACME}, login_hint => 'ann@acme.com', params => '{}'",
        r#"{"screen_hint": "sign-up", "max_age": 60, "invitation_token": "inv_1"}"#
    );
    let url = text(&app, &start(&arguments)).await.unwrap().unwrap();
    assert!(url.starts_with(&format!("{}/user_management/authorize?", bed.workos.url())), "{url}");
    for (name, value) in [
        ("provider", "authkit"),
        ("organization_id", "org_acme"),
        ("login_hint", "ann@acme.com"),
        ("screen_hint", "sign-up"),
        ("max_age", "60"),
        ("invitation_token", "inv_1"),
        ("code_challenge_method", "S256"),
        ("response_type", "code"),
    ] {
        assert_eq!(parameter(&url, name), value, "{name}");
    }
    let kept = "select concat_ws(' ', organization, connection, provider) from auth.flow_states";
    assert_eq!(text(&bed.admin, kept).await.unwrap().as_deref(), Some("org_acme authkit"));
    for (arguments, name) in [
        (format!("{AUTHKIT}, connection => 'conn_acme'"), "selector_conflict"),
        (format!("{AUTHKIT}, params => '{{\"organization_id\": \"org_globex\"}}'"), "reserved_parameter"),
        (format!("{AUTHKIT}, params => '{{\"screen_hint\": \"up\"}}'"), "parameter_invalid"),
        (format!("{AUTHKIT}, params => '{{\"max_age\": -1}}'"), "parameter_invalid"),
    ] {
        refused(app.query(&start(&arguments), &[]).await, name);
    }
}

#[tokio::test]
async fn nobody_links_a_person_of_authkit() {
    let bed = Bed::shared("links").await;
    let app = bed.with_authkit().await;
    let alice = bed.sign_in(ALICE).await;
    let sql = "select url from auth.link_identity($1, provider => 'authkit')";
    refused_as(app.query(sql, &[&alice.access_token]).await, "22023");
}
