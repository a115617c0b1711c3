//! What WorkOS refuses at `POST /user_management/authenticate`, and how little of its words goes on.

use serde_json::{Value, json};
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, come_back, sign_in};
use workos_end_to_end::bed::{Bed, exchange};
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refusal, refused};
use workos_simulator::{Change, FaultKind, NewUser};

const EMAIL: &str = "ann.secret@acme.com";

/// Each in the form in which WorkOS sends it (its OpenAPI file of 2026-08-07); every name stands in the unit tests of the core.
fn refusals(words: &str) -> [(u16, Value, &'static str); 9] {
    [
        (400, json!({"error": "invalid_grant", "error_description": words}), "workos_invalid_grant"),
        (400, json!({"error": "invalid_client", "error_description": words}), "workos_invalid_client"),
        (
            400,
            json!({"error": "sso_required", "error_description": words, "email": EMAIL, "connection_ids": ["conn_1"]}),
            "sso_required",
        ),
        (400, json!({"message": "Must use SSO for selected organization"}), "sso_required"),
        (400, json!({"error": "invitation_cannot_be_used_for_email", "error_description": words}), "authkit_refused"),
        (400, json!({"code": "invalid_credentials", "message": words}), "workos_rejected"),
        (
            403,
            json!({"code": "mfa_challenge", "message": words, "pending_authentication_token": "pending_secret"}),
            "authkit_step_required",
        ),
        (429, json!({"code": "daily_quota_exceeded", "message": words}), "workos_rate_limited"),
        (500, json!({"message": words}), "workos_unavailable"),
    ]
}

#[tokio::test]
async fn a_refusal_has_a_name_and_shows_neither_code_nor_address() {
    let bed = Bed::shared("names").await;
    let app = bed.with_authkit().await;
    bed.person(EMAIL, &[]);
    for is_tried in [false, true] {
        let mut pending = come_back(&app, EMAIL).await;
        for (code, body, name) in refusals(&format!("The code '{}' of '{EMAIL}' is invalid.", pending.code)) {
            case!(is_tried, body);
            bed.fault_once(FaultKind::Status { code, body: Some(body.clone()) });
            let refused = if is_tried {
                refusal(
                    app.query_one(
                        "select * from auth.try_exchange_code($1, $2, $3)",
                        &[&pending.code, &pending.verifier, &pending.state],
                    )
                    .await,
                )
            } else {
                refused(exchange(&app, &pending).await, name)
            };
            let shown = refused.to_string();
            assert!(
                !shown.contains(EMAIL) && !shown.contains(&pending.code) && !shown.contains("pending_secret"),
                "{body}: {shown}"
            );
            pending = come_back(&app, EMAIL).await;
        }
    }
    let log = bed.log();
    let audit = lines(&bed.admin, "select e::text from auth.audit_log_entries as e").await.unwrap().join("\n");
    for text in [&log, &audit] {
        assert!(!text.contains(EMAIL) && !text.contains("pending_secret"), "{text}");
    }
}

#[tokio::test]
async fn what_the_hosted_pages_would_have_asked_for() {
    let bed = Bed::shared("steps").await;
    let app = bed.with_authkit().await;
    bed.person(EMAIL, &["org_acme", "org_globex"]);
    let error = refused(sign_in(&app, AUTHKIT, EMAIL).await, "organization_selection_required");
    assert!(error.detail.contains("org_acme, org_globex") && error.hint.contains("organization =>"), "{error}");
    sign_in(&app, AUTHKIT_OF_ACME, EMAIL).await.unwrap();
    refused(sign_in(&app, "provider => 'authkit', organization => 'org_initech'", EMAIL).await, "authkit_refused");
    let unverified = NewUser { email: "new@acme.com".into(), email_unverified: true, ..NewUser::default() };
    bed.workos.simulator().change(Change::CreateUser(unverified)).unwrap();
    refused(sign_in(&app, AUTHKIT, "new@acme.com").await, "authkit_step_required");
}
