//! Who may set a customer up, with what, and where.

use workos_end_to_end::case;
use workos_end_to_end::sql::{refusal, refused, refused_as};
use workos_end_to_end::{Bed, configure_workos};
use workos_testbed::workos::CLIENT_SECRET;

const CALLS: [&str; 4] = [
    "auth.workos_create_organization('Acme')",
    "auth.workos_add_domain('org_acme', 'acme.example')",
    "auth.workos_invite_it_contact('org_acme', 'it@acme.com', '{sso}')",
    "auth.workos_portal_link('org_acme', 'sso')",
];

#[tokio::test]
async fn administrators_and_nobody_else() {
    let bed = Bed::shared("nobody_else").await;
    let broker = bed.role("broker", "").await;
    let grant = format!("select auth.grant_broker('{broker}'); grant all on all tables in schema auth to {broker}");
    bed.admin.batch_execute(&grant).await.unwrap();
    for (who, client) in [
        ("a backend", bed.backend().await),
        ("anybody", bed.connect(&bed.role("anybody", "").await).await),
        ("a broker", bed.connect(&broker).await),
    ] {
        for call in CALLS {
            case!(who, call);
            refused_as(client.batch_execute(&format!("select {call}")).await, "42501");
        }
    }
    assert!(bed.simulator().requests().is_empty());
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_before_workos_is_asked() {
    let bed = Bed::shared("bad_input").await;
    for (call, argument) in [
        ("auth.workos_create_organization(null)", "name"),
        ("auth.workos_create_organization('Acme', domains => array[null])", "domains"),
        ("auth.workos_add_domain(null, 'acme.com')", "organization"),
        ("auth.workos_add_domain('org_acme', null)", "domain"),
        ("auth.workos_invite_it_contact(null, 'it@acme.com', '{sso}')", "organization"),
        ("auth.workos_invite_it_contact('org_acme', null, '{sso}')", "email"),
        ("auth.workos_invite_it_contact('org_acme', 'it@acme.com', null)", "intents"),
        ("auth.workos_invite_it_contact('org_acme', 'it@acme.com', array[null])", "intents"),
        ("auth.workos_portal_link(null, 'sso')", "organization"),
        ("auth.workos_portal_link('org_acme', null)", "intent"),
    ] {
        case!(call);
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "null_value");
        assert_eq!(error.detail, format!("The argument {argument} is NULL."));
    }
    for (call, argument) in [
        ("auth.workos_create_organization('')", "name"),
        (r"auth.workos_create_organization(E'Acme\nInc')", "name"),
        ("auth.workos_create_organization(repeat('x', 256))", "name"),
        ("auth.workos_create_organization(repeat('x', 100000000))", "name"),
        ("auth.workos_create_organization('Acme', '')", "external_id"),
        ("auth.workos_create_organization('Acme', '..')", "external_id"),
        ("auth.workos_create_organization('Acme', '.')", "external_id"),
        (r"auth.workos_create_organization('Acme', E'a\tb')", "external_id"),
        ("auth.workos_create_organization('Acme', 'é')", "external_id"),
        ("auth.workos_create_organization('Acme', repeat('x', 129))", "external_id"),
        ("auth.workos_create_organization('Acme', domains => '{acme}')", "domains"),
        ("auth.workos_create_organization('Acme', domains => '{https://acme.com}')", "domains"),
        ("auth.workos_create_organization('Acme', domains => array_fill('acme.com'::text, array[101]))", "domains"),
        ("auth.workos_add_domain('', 'acme.com')", "organization"),
        ("auth.workos_add_domain('..', 'acme.com')", "organization"),
        ("auth.workos_add_domain('org_acme/../org_globex', 'acme.com')", "organization"),
        ("auth.workos_add_domain('org_acme?', 'acme.com')", "organization"),
        ("auth.workos_add_domain(repeat('x', 256), 'acme.com')", "organization"),
        ("auth.workos_add_domain('org_acme', '')", "domain"),
        ("auth.workos_add_domain('org_acme', 'it@acme.com')", "domain"),
        ("auth.workos_add_domain('org_acme', '*.acme.com')", "domain"),
        ("auth.workos_add_domain('org_acme', 'bücher.example')", "domain"),
        ("auth.workos_invite_it_contact('org_acme', 'acme.com', '{sso}')", "email"),
        ("auth.workos_invite_it_contact('org_acme', 'it@acme.com', '{}')", "intents"),
        ("auth.workos_invite_it_contact('org_acme', 'it@acme.com', '{audit_logs}')", "intents"),
        ("auth.workos_portal_link('org_acme', 'everything')", "intent"),
        ("auth.workos_portal_link('org_acme', 'sso', 'http://app.example.com')", "return_url"),
        ("auth.workos_portal_link('org_acme', 'sso', 'http://localhost:3000')", "return_url"),
        ("auth.workos_portal_link('org_acme', 'sso', 'javascript:alert(1)')", "return_url"),
        ("auth.workos_portal_link('org_acme', 'sso', success_url => '/done')", "success_url"),
        ("auth.workos_portal_link('org_acme', 'sso', success_url => 'https://u:p@app.example.com')", "success_url"),
    ] {
        case!(call);
        let error = refused(bed.admin.batch_execute(&format!("select {call}")).await, "validation_failed");
        assert!(error.detail.starts_with(&format!("The argument {argument} cannot be used: ")), "{error}");
        assert!(error.to_string().len() < 1000, "{}", error.to_string().len());
    }
    assert!(bed.simulator().requests().is_empty());
}

#[tokio::test]
async fn not_in_a_transaction_that_only_reads() {
    let bed = Bed::shared("only_reads").await;
    for call in CALLS {
        case!(call);
        bed.admin.batch_execute("begin read only").await.unwrap();
        refused(bed.admin.batch_execute(&format!("select {call}")).await, "read_only");
        bed.admin.batch_execute("rollback").await.unwrap();
    }
    assert!(bed.simulator().requests().is_empty());
}

/// Customers may be set up before the first sign-in is let in.
#[tokio::test]
async fn also_while_sign_ins_are_switched_off() {
    let bed = Bed::shared("switched_off").await;
    bed.admin.batch_execute("update auth.providers set enabled = false").await.unwrap();
    for call in CALLS {
        case!(call);
        bed.admin.batch_execute(&format!("select {call}")).await.unwrap();
    }
    refused(bed.admin.batch_execute("select auth.start_sign_in('org_acme')").await, "provider_disabled");
    bed.admin.batch_execute("delete from auth.providers").await.unwrap();
    for call in CALLS {
        case!(call);
        refused(bed.admin.batch_execute(&format!("select {call}")).await, "provider_not_configured");
    }
    // With a key that does not open, the error says what to do, and nothing of the key.
    bed.admin.batch_execute(&configure_workos(&format!(", client_secret => '{CLIENT_SECRET}'"))).await.unwrap();
    bed.admin.batch_execute("update auth.providers set client_secret = '\\x00'").await.unwrap();
    for call in CALLS {
        case!(call);
        let error = refusal(bed.admin.batch_execute(&format!("select {call}")).await);
        assert_eq!(error.sqlstate, "WA118", "{error}");
    }
}
