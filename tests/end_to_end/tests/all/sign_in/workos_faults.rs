//! WorkOS at its worst: each failure has its own SQLSTATE, shows no secret, writes nothing, and says truly whether the same
//! sign-in can be tried again.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_end_to_end::{ALICE, Bed, GINA, Pending, Person, Refusal, exchange, refused, start, start_with};
use workos_simulator::{Fault, FaultKind, Missing, RetryAfter};
use workos_testbed::Workos;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

/// What can be done with the same code after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Code {
    /// It is good: the very same call succeeds.
    Good,
    /// WorkOS saw it: the same call says `workos_invalid_grant`, and the hint of the failure said to start again, or what to mend.
    Spent,
}
use Code::{Good, Spent};

/// Has one exchange meet the faults, and checks everything that holds for all of them.
async fn meets(bed: &Bed<'_>, app: &Client, person: Person, faults: &[FaultKind], name: &str, code: Code) -> Refusal {
    let pending = start(app, person).await;
    for fault in faults {
        bed.simulator().set_fault(Fault::token(fault.clone()).times(1)).unwrap();
    }
    bed.simulator().clear_requests();
    let before = bed.contents().await;
    let result = exchange(app, &pending).await;
    assert!(result.is_err(), "{faults:?} did no harm");
    let refusal = refused(result, name);
    assert_eq!(bed.contents().await, before, "{faults:?} left something behind");
    assert_eq!(bed.token_requests().len(), 1, "{faults:?}: a code is shown once");
    shows_no_secret(bed, &pending, &refusal.to_string());

    bed.simulator().clear_faults();
    let again = exchange(app, &pending).await;
    match code {
        Good => drop(again.unwrap_or_else(|error| panic!("{faults:?}: the code is good, but: {error:?}"))),
        Spent => drop(refused(again, "workos_invalid_grant")),
    }
    refusal
}

/// Neither our secret nor anything that the sign-in is bound to.
fn shows_no_secret(bed: &Bed<'_>, pending: &Pending, text: &str) {
    let mut secrets =
        vec![CLIENT_SECRET.to_owned(), pending.code.clone(), pending.verifier.clone(), pending.state.clone()];
    for request in bed.token_requests() {
        secrets.extend(request.field("code_verifier").map(str::to_owned));
    }
    for secret in &secrets {
        assert!(!text.contains(secret.as_str()), "{text} shows {secret}");
    }
    for token in ["sso_token_", "provider_access_", "provider_refresh_"] {
        assert!(!text.contains(token), "{text} shows a token");
    }
}

fn status(code: u16, body: Option<serde_json::Value>) -> FaultKind {
    FaultKind::Status { code, body }
}

#[tokio::test]
async fn refusals() {
    let bed = Bed::shared("refusals").await;
    let app = bed.backend().await;
    let oauth = |error: &str| Some(json!({ "error": error, "error_description": "Because of X." }));
    let message = Some(json!({ "message": "Because of X." }));
    for (code, body, name) in [
        (400, oauth("invalid_client"), "workos_invalid_client"),
        (401, oauth("invalid_client"), "workos_invalid_client"),
        (400, oauth("unauthorized_client"), "workos_invalid_client"),
        (401, message.clone(), "workos_invalid_client"),
        (403, message.clone(), "workos_invalid_client"),
        (400, oauth("invalid_grant"), "workos_invalid_grant"),
        (400, oauth("unsupported_grant_type"), "workos_rejected"),
        (400, Some(json!({ "code": "something_new", "message": "Because of X." })), "workos_rejected"),
        (404, message.clone(), "workos_not_found"),
        (422, message.clone(), "workos_unprocessable"),
        (429, message.clone(), "workos_rate_limited"),
        (500, message.clone(), "workos_unavailable"),
        (502, message.clone(), "workos_unavailable"),
        (503, message.clone(), "workos_unavailable"),
        (418, message, "workos_rejected"),
    ] {
        let refusal = meets(&bed, &app, ALICE, &[status(code, body)], name, Good).await;
        assert!(refusal.detail.contains(&format!("WorkOS answered {code}")), "{refusal}");
        assert!(refusal.detail.contains("Because of X"), "{refusal}");
        assert!(refusal.detail.contains("(X-Request-ID "), "{refusal}");
    }
    // A redirect is nothing a token endpoint does: it is not followed.
    meets(&bed, &app, ALICE, &[status(302, None)], "workos_rejected", Good).await;
    let refusal = meets(&bed, &app, ALICE, &[status(500, Some(json!("<html>")))], "workos_unavailable", Good).await;
    assert!(!refusal.detail.contains("<html>"), "{refusal}");
}

#[tokio::test]
async fn the_request_id_is_the_one_of_the_answer() {
    let bed = Bed::shared("request_id").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    bed.simulator().set_fault(Fault::token(status(503, None)).times(1)).unwrap();
    let refusal = refused(exchange(&app, &pending).await, "workos_unavailable");
    let id = bed.token_requests()[0].request_id.clone();
    assert!(refusal.detail.contains(&format!("(X-Request-ID {id})")), "{refusal}");
}

#[tokio::test]
async fn slow_down() {
    let bed = Bed::shared("slow_down").await;
    let app = bed.backend().await;
    for (retry_after, shown) in [
        (None, None),
        (Some(RetryAfter::Seconds(7)), Some("Retry-After: 7.")),
        (Some(RetryAfter::Date(60)), Some(" GMT.")),
    ] {
        let refusal =
            meets(&bed, &app, ALICE, &[FaultKind::RateLimited { retry_after }], "workos_rate_limited", Good).await;
        match shown {
            Some(shown) => assert!(refusal.detail.contains(shown), "{refusal}"),
            None => assert!(!refusal.detail.contains("Retry-After"), "{refusal}"),
        }
    }
}

#[tokio::test]
async fn what_workos_says_is_cut_cleaned_and_never_a_secret() {
    let bed = Bed::shared("words").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let says = |text: &str| status(400, Some(json!({ "error": "invalid_grant", "error_description": text })));
    for text in [
        format!("The secret {CLIENT_SECRET} and the code {} are wrong.", pending.code),
        format!("code={}", pending.code.to_uppercase()),
        format!("…{}…", &pending.code[..pending.code.len().min(14)]),
    ] {
        bed.simulator().set_fault(Fault::token(says(&text)).times(1)).unwrap();
        let refusal = refused(exchange(&app, &pending).await, "workos_invalid_grant");
        assert!(!refusal.to_string().to_lowercase().contains(&pending.code.to_lowercase()[..12]), "{refusal}");
        shows_no_secret(&bed, &pending, &refusal.to_string());
    }
    let long = format!("{}\u{7}\u{1b}[31m\r\n{}", "a".repeat(100), "b".repeat(10_000));
    bed.simulator().set_fault(Fault::token(says(&long)).times(1)).unwrap();
    let refusal = refused(exchange(&app, &pending).await, "workos_invalid_grant");
    assert!(refusal.detail.len() < 600 && !refusal.detail.chars().any(char::is_control), "{refusal}");
    exchange(&app, &pending).await.unwrap();
}

#[tokio::test]
async fn answers_that_cannot_be_read() {
    let bed = Bed::shared("unreadable").await;
    let app = bed.backend().await;
    for (fault, name) in [
        (FaultKind::Html, "workos_answer_malformed"),
        (FaultKind::EmptyBody, "workos_answer_malformed"),
        (FaultKind::MalformedJson, "workos_answer_malformed"),
        (FaultKind::TruncatedBody, "workos_answer_malformed"),
        (FaultKind::OversizedBody { bytes: 2 << 20, chunked: false }, "workos_answer_too_large"),
        (FaultKind::OversizedBody { bytes: 64 << 20, chunked: true }, "workos_answer_too_large"),
        (FaultKind::Reset, "workos_connection_lost"),
    ] {
        meets(&bed, &app, ALICE, &[fault], name, Spent).await;
    }
    // Not JSON, but with a status that says enough; the code was never looked at.
    for (body, name) in [
        (json!([]), "workos_answer_malformed"),
        (json!("x"), "workos_answer_malformed"),
        (json!({}), "workos_profile_incomplete"),
    ] {
        meets(&bed, &app, ALICE, &[status(200, Some(body))], name, Good).await;
    }
    // Large is not too large.
    bed.simulator()
        .set_fault(Fault::token(FaultKind::OversizedBody { bytes: 900_000, chunked: true }).times(1))
        .unwrap();
    exchange(&app, &start(&app, ALICE).await).await.unwrap();
}

#[tokio::test]
async fn no_answer_in_time() {
    let bed = Bed::shared("slow").await;
    bed.set("workos_auth.request_timeout", "1s").await;
    let app = bed.backend().await;
    for fault in [FaultKind::Hang, FaultKind::Drip { ms: 100 }, FaultKind::Delay { ms: 20_000 }] {
        let began = Instant::now();
        let refusal = meets(&bed, &app, ALICE, std::slice::from_ref(&fault), "workos_timeout", Spent).await;
        assert!(began.elapsed() < Duration::from_secs(10), "{fault:?} was waited for");
        assert!(refusal.detail.contains("1 s") && refusal.hint.contains("Start the sign-in again"), "{refusal}");
    }
    // A late answer within the time is an answer.
    bed.simulator().set_fault(Fault::token(FaultKind::Delay { ms: 300 }).times(1)).unwrap();
    exchange(&app, &start(&app, ALICE).await).await.unwrap();
}

#[tokio::test]
async fn nobody_listens() {
    let mut bed = Bed::shared("refused").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    // Another simulator takes the place of the stopped one, on its port, so the code itself is unknown there.
    let port = bed.simulator().port();
    bed.workos = Workos::start().unwrap();
    let before = bed.contents().await;
    let refusal = refused(exchange(&app, &pending).await, "workos_unreachable");
    assert!(refusal.hint.contains("The code is still good"), "{refusal}");
    assert!(!refusal.to_string().contains(&pending.code) && !refusal.to_string().contains(CLIENT_SECRET), "{refusal}");
    assert_eq!(bed.contents().await, before);
    let options = workos_simulator::Options { port, ..Default::default() };
    let _back = workos_simulator::Simulator::start(options).unwrap();
    // It is asked again, and refuses a code that it never gave.
    refused(exchange(&app, &pending).await, "workos_invalid_grant");
}

#[tokio::test]
async fn profiles_that_nobody_can_be_signed_in_with() {
    let bed = Bed::shared("profiles").await;
    let app = bed.backend().await;
    for member in ["email", "id", "connection_id"] {
        for missing in [Missing::Absent, Missing::Null, Missing::Empty] {
            let fault = FaultKind::MissingProfileFields { names: vec![member.into()], missing };
            let refusal = meets(&bed, &app, ALICE, &[fault], "workos_profile_incomplete", Spent).await;
            assert!(refusal.detail.contains(member) && refusal.detail.contains("X-Request-ID"), "{refusal}");
            assert!(refusal.hint.contains(member) && !refusal.hint.contains("proxy"), "{refusal}");
        }
    }
    for (patch, name) in [
        (json!({ "email": "alice" }), "workos_profile_incomplete"),
        (json!({ "email": "alice @acme.com" }), "workos_profile_incomplete"),
        (json!({ "email": 7 }), "workos_profile_incomplete"),
        (json!({ "email": format!("{}@acme.com", "a".repeat(400)) }), "workos_profile_incomplete"),
        (json!({ "id": "prof_\u{0}alice" }), "workos_profile_malformed"),
        (json!({ "organization_id": " " }), "workos_profile_malformed"),
        (json!({ "groups": { "admins": true } }), "workos_profile_malformed"),
        (json!({ "groups": ["a\u{0}"] }), "workos_profile_malformed"),
        (json!({ "roles": [["admin"]] }), "workos_profile_malformed"),
        (json!({ "permissions": true }), "workos_profile_malformed"),
    ] {
        meets(&bed, &app, ALICE, &[FaultKind::ProfileOverrides { patch }], name, Spent).await;
    }
    // What nobody needs may be missing.
    let names = [
        "first_name",
        "last_name",
        "name",
        "idp_id",
        "role",
        "roles",
        "groups",
        "custom_attributes",
        "raw_attributes",
        "connection_type",
    ];
    for missing in [Missing::Absent, Missing::Null] {
        let fault = FaultKind::MissingProfileFields { names: names.map(str::to_owned).to_vec(), missing };
        bed.simulator().set_fault(Fault::token(fault).times(1)).unwrap();
        exchange(&app, &start(&app, ALICE).await).await.unwrap();
    }
}

#[tokio::test]
async fn more_groups_than_a_token_can_carry() {
    let bed = Bed::shared("large").await;
    let app = bed.backend().await;
    let groups: Vec<String> = (0..1000).map(|n| format!("a group of some length, number {n}")).collect();
    let many = FaultKind::ProfileOverrides { patch: json!({ "groups": groups }) };
    let refusal = meets(&bed, &app, ALICE, &[many], "token_too_large", Spent).await;
    assert!(refusal.detail.contains("The largest claim is groups"), "{refusal}");
    assert!(refusal.hint.contains("auth.hooks"), "{refusal}");
    // There is no other limit: a hook thins them out.
    bed.admin
        .batch_execute(&bed.named(
            "create role DATABASE_hooks; create schema app; grant usage on schema app to DATABASE_hooks;
             create function app.few(document jsonb) returns jsonb language sql as
                 $$ select jsonb_set(document, '{claims,groups}', jsonb_path_query_array(document, '$.claims.groups[0 to 9]')) $$;
             alter function app.few owner to DATABASE_hooks; insert into auth.hooks (event, function) values ('token', 'app.few(jsonb)')",
        ))
        .await
        .unwrap();
    let groups: Vec<String> = (0..1500).map(|n| format!("group {n}")).collect();
    let many = FaultKind::ProfileOverrides { patch: json!({ "groups": groups }) };
    bed.simulator().set_fault(Fault::token(many).times(1)).unwrap();
    let session = exchange(&app, &start(&app, ALICE).await).await.unwrap();
    assert_eq!(session.claims["groups"].as_array().map(Vec::len), Some(10));
    assert_eq!(bed.count("select cardinality(groups)::bigint from auth.organization_memberships").await, 1500);
}

/// What no sign-in stands on is kept where it can be, and told of in the log where it cannot.
#[tokio::test]
async fn forms_that_refuse_nobody() {
    let bed = Bed::shared("forms").await;
    let app = bed.backend().await;
    let huge: Value = serde_json::from_str("1e200000").unwrap();
    for (patch, left_out) in [
        (json!({ "raw_attributes": ["a", 1] }), ""),
        (json!({ "raw_attributes": "text" }), ""),
        (json!({ "custom_attributes": [1, 2] }), ""),
        (json!({ "first_name": ["Ada"] }), "first_name is not a text"),
        (json!({ "name": "n".repeat(10_000) }), "name is longer than 512 bytes"),
        (json!({ "first_name": "n".repeat(512), "last_name": "n".repeat(512) }), ""),
        (json!({ "connection_type": null }), ""),
        (json!({ "connection_type": 7, "idp_id": 4711 }), ""),
        (json!({ "idp_id": {"a": 1} }), "idp_id is not a text"),
        (json!({ "email": "alice@acme.com " }), ""),
        (json!({ "custom_attributes": { "a": "b\u{0}", "c": 1 } }), "a part of custom_attributes"),
        (json!({ "custom_attributes": { "n": [huge] } }), "a part of custom_attributes"),
        (json!({ "role": "admin" }), ""),
        (json!({ "groups": "Admins" }), ""),
        (json!({ "groups": [{"name": "Admins"}, "ops"] }), ""),
        (json!({ "novel": "a\u{0}" }), ""),
    ] {
        let before = bed.log().matches("a part of a WorkOS profile was left out").count();
        bed.simulator().set_fault(Fault::token(FaultKind::ProfileOverrides { patch: patch.clone() }).times(1)).unwrap();
        let session =
            exchange(&app, &start(&app, ALICE).await).await.unwrap_or_else(|error| panic!("{patch}: {error:?}"));
        let log = bed.log();
        let told = log.matches("a part of a WorkOS profile was left out").count() - before;
        assert_eq!(told, usize::from(!left_out.is_empty()), "{patch}");
        assert!(log.contains(left_out), "{patch}: {left_out}");
        if let Some(groups) = patch.get("groups") {
            let first = if groups.is_array() { json!(["Admins", "ops"]) } else { json!(["Admins"]) };
            assert_eq!(session.claims["groups"], first, "{patch}");
        }
    }
    let kept = "select idp_id, identity_data -> 'custom_attributes' from auth.identities";
    let row = bed.admin.query_one(kept, &[]).await.unwrap();
    assert_eq!(row.get::<_, Option<&str>>(0), Some("okta-alice"));
}

#[tokio::test]
async fn an_answer_that_is_not_what_was_asked_for() {
    let bed = Bed::shared("mismatch").await;
    let app = bed.backend().await;
    let by_connection = Person { selector: "connection => 'conn_acme'", ..ALICE };
    for (person, fault, name, asked) in [
        (ALICE, FaultKind::WrongOrganization, "organization_mismatch", "org_acme"),
        (by_connection, FaultKind::WrongConnection, "connection_mismatch", "conn_acme"),
        (GINA, FaultKind::WrongConnectionType, "provider_mismatch", "GoogleOAuth"),
    ] {
        let refusal = meets(&bed, &app, person, &[fault], name, Spent).await;
        assert!(refusal.detail.contains(asked), "{refusal}");
    }
    let none = FaultKind::MissingProfileFields { names: vec!["organization_id".into()], missing: Missing::Null };
    let refusal = meets(&bed, &app, ALICE, &[none], "organization_mismatch", Spent).await;
    assert!(refusal.detail.contains("none"), "{refusal}");
}

#[tokio::test]
async fn a_wrong_client_secret_is_said_to_be_one() {
    let bed = Bed::shared("secret").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let configure = "select auth.configure_workos($1, $2, $3, api_url => $4)";
    let wrong = "sk_test_a_wrong_secret_to_look_for";
    bed.admin.execute(configure, &[&CLIENT_ID, &REDIRECT_URI, &wrong, &bed.workos.url()]).await.unwrap();
    let refusal = refused(exchange(&app, &pending).await, "workos_invalid_client");
    assert!(!refusal.to_string().contains(wrong), "{refusal}");
    assert!(refusal.hint.contains("auth.configure_workos"), "{refusal}");
    bed.admin.execute(configure, &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET, &bed.workos.url()]).await.unwrap();
    exchange(&app, &pending).await.unwrap();
}

/// The log holds errors with their details; the statements that failed bind their values, so none stands there.
#[tokio::test]
async fn no_secret_is_in_the_servers_log() {
    let bed = Bed::shared("logged").await;
    let app = bed.backend().await;
    let mut all = Vec::new();
    for fault in
        [status(500, None), FaultKind::Html, FaultKind::TruncatedBody, FaultKind::Reset, FaultKind::WrongOrganization]
    {
        let pending = start_with(&app, ALICE.selector, ALICE.email).await;
        bed.simulator().set_fault(Fault::token(fault).times(1)).unwrap();
        assert!(exchange(&app, &pending).await.is_err());
        all.push(pending);
    }
    let log = bed.log();
    assert!(log.contains("WorkOS has trouble of its own"), "errors are not logged at all");
    for pending in &all {
        for secret in [&pending.code, &pending.verifier, &pending.state] {
            assert!(!log.contains(secret.as_str()), "the log holds {secret}");
        }
    }
    for request in bed.token_requests() {
        assert!(!log.contains(request.field("code_verifier").unwrap()), "the log holds an upstream verifier");
    }
    assert!(!log.contains(CLIENT_SECRET), "the log holds the client secret");
}
