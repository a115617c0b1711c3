//! What a callback can bring that is wrong: each has its own SQLSTATE, and the sign-in that waits is not burnt.

use std::time::Duration;

use workos_end_to_end::case;
use workos_end_to_end::{ALICE, BOB, Bed, Pending, exchange, refusal, refused, start};
use workos_testbed::Workos;
use workos_testbed::workos::{CLIENT_ID, CLIENT_SECRET, REDIRECT_URI};

/// Well-formed, and nobody's.
const STRANGER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

async fn configure(bed: &Bed<'_>, client_id: &str, secret: Option<&str>, api_url: &str, enabled: bool) {
    let sql = "select auth.configure_workos($1, $2, $3, api_url => $4, enabled => $5)";
    bed.admin.execute(sql, &[&client_id, &REDIRECT_URI, &secret, &api_url, &enabled]).await.unwrap();
}

#[tokio::test]
async fn wrong_arguments_burn_nothing_and_ask_nobody() {
    let bed = Bed::shared("arguments").await;
    let app = bed.backend().await;
    let one = start(&app, ALICE).await;
    let other = start(&app, BOB).await;
    let (code, verifier, state) = (Some(one.code.as_str()), Some(one.verifier.as_str()), Some(one.state.as_str()));
    let (long, short, too_long) = ("c".repeat(2049), "v".repeat(42), "v".repeat(129));
    let before = bed.contents().await;
    for (code, verifier, state, name) in [
        (None, verifier, state, "null_value"),
        (None, None, None, "null_value"),
        (Some(""), verifier, state, "authorization_code_invalid"),
        (Some("a b"), verifier, state, "authorization_code_invalid"),
        (Some("a\nb"), verifier, state, "authorization_code_invalid"),
        (Some("käse"), verifier, state, "authorization_code_invalid"),
        (Some(&long), verifier, state, "authorization_code_invalid"),
        (code, None, None, "code_verifier_required"),
        (code, None, state, "code_verifier_required"),
        (code, Some(""), state, "code_verifier_invalid"),
        (code, Some(&short), state, "code_verifier_invalid"),
        (code, Some(&too_long), state, "code_verifier_invalid"),
        (code, Some("dBjftJeZ4CVP+mB92K27uhbUJU1p1r/wW1gFWFOEjXk"), state, "code_verifier_invalid"),
        (code, Some(STRANGER), None, "flow_state_not_found"),
        (code, Some(STRANGER), Some(STRANGER), "flow_state_not_found"),
        (code, Some(STRANGER), Some(""), "flow_state_not_found"),
        (code, Some(STRANGER), state, "bad_code_verifier"),
        (code, None, Some(STRANGER), "flow_state_not_found"),
        (code, None, Some(""), "flow_state_not_found"),
        (code, verifier, Some(STRANGER), "flow_state_not_found"),
        (code, verifier, Some(""), "flow_state_not_found"),
        (code, verifier, Some(&other.state), "bad_code_verifier"),
        (code, Some(&other.verifier), state, "bad_code_verifier"),
    ] {
        let result = app.query_one("select auth.exchange_code($1, $2, $3)", &[&code, &verifier, &state]).await;
        assert!(result.is_err(), "{name}: {code:?} {verifier:?} {state:?}");
        refused(result, name);
        assert_eq!(bed.contents().await, before, "{name}");
    }
    assert!(bed.token_requests().is_empty(), "WorkOS was asked");
    for pending in [&one, &other] {
        exchange(&app, pending).await.unwrap();
    }
}

#[tokio::test]
async fn a_code_is_exchanged_once() {
    let bed = Bed::shared("reused").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    exchange(&app, &pending).await.unwrap();
    let before = bed.contents().await;
    refused(exchange(&app, &pending).await, "flow_state_not_found");
    let next = start(&app, ALICE).await;
    // A code that was used, in a sign-in of its own: WorkOS refuses it, the sign-in still waits.
    refused(exchange(&app, &Pending { code: pending.code.clone(), ..next.clone() }).await, "workos_invalid_grant");
    assert_eq!(bed.token_requests().len(), 2);
    exchange(&app, &next).await.unwrap();
    assert_ne!(bed.contents().await, before);
}

#[tokio::test]
async fn an_unknown_code_leaves_the_sign_in_waiting() {
    let bed = Bed::shared("unknown").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let before = bed.contents().await;
    let unknown = Pending { code: "01J3X0000000000000000UNKNOWN".into(), ..pending.clone() };
    let refusal = refused(exchange(&app, &unknown).await, "workos_invalid_grant");
    assert!(refusal.detail.contains("invalid_grant") && !refusal.detail.contains(&unknown.code), "{refusal}");
    assert_eq!(bed.contents().await, before);
    exchange(&app, &pending).await.unwrap();
}

#[tokio::test]
async fn a_code_that_expired_at_workos() {
    let bed = Bed::shared("old_code").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    bed.simulator().advance_clock(Duration::from_secs(11 * 60));
    let refusal = refused(exchange(&app, &pending).await, "workos_invalid_grant");
    assert!(refusal.hint.contains("ten minutes"), "{refusal}");
}

#[tokio::test]
async fn the_code_of_another_sign_in_is_refused_by_workos_itself() {
    let bed = Bed::shared("mixed").await;
    let app = bed.backend().await;
    let mine = start(&app, ALICE).await;
    let attackers = start(&app, BOB).await;
    // Code injection: the attacker's code in the victim's browser (RFC 9700, section 4.5).
    refused(exchange(&app, &Pending { code: attackers.code, ..mine }).await, "workos_invalid_grant");
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
}

#[tokio::test]
async fn an_expired_sign_in_is_refused_and_still_there() {
    let bed = Bed::shared("expired").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    bed.admin.batch_execute("update auth.flow_states set expires_at = now() - interval '1 s'").await.unwrap();
    let before = bed.contents().await;
    let refusal = refused(exchange(&app, &pending).await, "flow_state_expired");
    assert!(refusal.hint.contains("workos_auth.flow_ttl"), "{refusal}");
    // Without its verifier nobody learns that it was there.
    let stranger = Pending { verifier: STRANGER.into(), state: STRANGER.into(), ..pending };
    refused(exchange(&app, &stranger).await, "flow_state_not_found");
    assert_eq!(bed.contents().await, before);
    assert!(bed.token_requests().is_empty());
}

#[tokio::test]
async fn the_provider_is_what_it_was_or_the_sign_in_waits() {
    let bed = Bed::shared("changed").await;
    let app = bed.backend().await;
    let elsewhere = Workos::start().unwrap();
    let pending = start(&app, ALICE).await;
    let here = bed.workos.url();

    configure(&bed, CLIENT_ID, None, &here, false).await;
    refused(exchange(&app, &pending).await, "provider_disabled");
    refused(app.query("select auth.start_sign_in('org_acme')", &[]).await, "provider_disabled");
    refused(app.query("select auth.workos_authorize_url('org_acme')", &[]).await, "provider_disabled");

    configure(&bed, "client_other", Some("sk_test_other"), &here, true).await;
    refused(exchange(&app, &pending).await, "provider_changed");
    configure(&bed, CLIENT_ID, Some(CLIENT_SECRET), &elsewhere.url(), true).await;
    refused(exchange(&app, &pending).await, "provider_changed");
    assert!(
        bed.token_requests().is_empty() && elsewhere.simulator().requests().is_empty(),
        "a code was shown to another"
    );

    configure(&bed, CLIENT_ID, Some(CLIENT_SECRET), &here, true).await;
    exchange(&app, &pending).await.unwrap();
}

#[tokio::test]
async fn ip_and_user_agent_are_the_callers_to_leave_out() {
    let bed = Bed::shared("client").await;
    let app = bed.backend().await;
    let sql = "select (auth.exchange_code($1, $2, $3, null, null)).session_id";
    let pending = start(&app, ALICE).await;
    app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions where ip is null and user_agent is null").await, 1);
    // Long, empty and odd ones are no reason to refuse anybody.
    for agent in [String::new(), "x".repeat(100_000), "ü\u{1F600}\n\u{1}".into()] {
        let pending = start(&app, ALICE).await;
        let sql = "select (auth.exchange_code($1, $2, $3, '127.0.0.1', $4)).session_id";
        let row = app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state, &agent]).await.unwrap();
        let id: uuid::Uuid = row.get(0);
        let sql = "select left($2, 1000) = user_agent from auth.sessions where id = $1";
        assert!(bed.admin.query_one(sql, &[&id, &agent]).await.unwrap().get::<_, bool>(0));
    }
}

#[tokio::test]
async fn nobody_but_a_granted_role_signs_anybody_in() {
    let bed = Bed::shared("ungranted").await;
    let app = bed.backend().await;
    let anybody = bed.connect(&bed.role("anybody", "").await).await;
    let pending = start(&app, ALICE).await;
    assert_eq!(refusal(exchange(&anybody, &pending).await).sqlstate, "42501");
    for function in ["start_sign_in", "workos_authorize_url"] {
        case!(function);
        let sql = format!("select auth.{function}('org_acme')");
        assert_eq!(refusal(anybody.query(&sql, &[]).await).sqlstate, "42501");
    }
    exchange(&app, &pending).await.unwrap();
}
