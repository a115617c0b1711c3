//! What goes wrong on demand, as a client sees it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant, SystemTime};

use crate::common::{CHALLENGE, VERIFIER, authorize, code, exchange, http, start, token_fields, token_request};
use reqwest::blocking::Response;
use serde_json::{Value, json};
use workos_simulator::{Fault, FaultKind, Missing, RetryAfter, Simulator};

const ACME: [(&str, &str); 1] = [("organization", "org_acme")];

/// The answer to a good exchange under a fault that is set for one request, and whether the code survived it.
fn under(simulator: &Simulator, kind: FaultKind) -> (reqwest::Result<Response>, bool) {
    let code = code(simulator, &ACME);
    simulator.set_fault(Fault::token(kind).times(1)).unwrap();
    let response = token_request(simulator).form(&token_fields(&code, &[])).send();
    (response, exchange(simulator, &code, &[]).0 == 200)
}

#[test]
fn a_status_is_answered_instead_and_the_code_stays_good() {
    let simulator = start();
    for code in [200, 302, 401, 403, 404, 408, 422, 500, 502, 503, 504, 599] {
        let (response, survived) = under(&simulator, FaultKind::Status { code, body: None });
        let response = response.unwrap();
        assert_eq!(response.status().as_u16(), code);
        assert!(response.headers().contains_key("x-request-id"));
        assert!(response.json::<Value>().unwrap()["message"].is_string());
        assert!(survived, "{code}");
    }
    let body = json!({"error": "unauthorized_client", "error_description": "no"});
    let (response, _) = under(&simulator, FaultKind::Status { code: 400, body: Some(body.clone()) });
    assert_eq!(response.unwrap().json::<Value>().unwrap(), body);
}

#[test]
fn too_many_requests_says_when_to_come_back() {
    let simulator = start();
    let retry_after = |retry_after| {
        let (response, survived) = under(&simulator, FaultKind::RateLimited { retry_after });
        let response = response.unwrap();
        assert!(survived && response.status() == 429);
        response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(retry_after(None), None);
    assert_eq!(retry_after(Some(RetryAfter::Seconds(7))).as_deref(), Some("7"));
    let date = httpdate::parse_http_date(&retry_after(Some(RetryAfter::Date(60))).unwrap()).unwrap();
    let wait = date.duration_since(SystemTime::now()).unwrap().as_secs();
    assert!((50..=60).contains(&wait), "{wait}");
}

#[test]
fn json_only_refuses_a_form_and_keeps_the_code() {
    let simulator = start();
    simulator.set_fault(Fault::token(FaultKind::JsonOnly)).unwrap();
    let code = code(&simulator, &ACME);
    let (status, answer) = exchange(&simulator, &code, &[]);
    assert_eq!(status, 400);
    assert_eq!(answer, json!({"message": "Problems parsing JSON", "code": "invalid_request_body"}));
    let fields: std::collections::BTreeMap<_, _> = token_fields(&code, &[]).into_iter().collect();
    assert_eq!(token_request(&simulator).json(&fields).send().unwrap().status(), 200);
}

#[test]
fn damaged_bodies_cost_the_code() {
    let simulator = start();
    type Check = fn(Response);
    let checks: [(FaultKind, Check); 7] = [
        (FaultKind::TruncatedBody, |response| {
            let announced = response.content_length().unwrap();
            assert!(announced > 100);
            assert!(response.bytes().is_err());
        }),
        (FaultKind::OversizedBody { bytes: 1_000_000, chunked: false }, |response| {
            assert_eq!(response.content_length(), Some(1_000_000));
            assert_eq!(response.json::<Value>().unwrap()["profile"]["id"], "prof_alice");
        }),
        (FaultKind::OversizedBody { bytes: 1_000_000, chunked: true }, |response| {
            assert_eq!(response.content_length(), None);
            assert_eq!(response.bytes().unwrap().len(), 1_000_000);
        }),
        (FaultKind::MalformedJson, |response| {
            let text = response.text().unwrap();
            assert!(text.contains("prof_alice") && serde_json::from_str::<Value>(&text).is_err());
        }),
        (FaultKind::Html, |response| {
            assert!(response.headers()["content-type"].to_str().unwrap().starts_with("text/html"));
            assert!(response.text().unwrap().starts_with("<!doctype html>"));
        }),
        (FaultKind::EmptyBody, |response| assert!(response.bytes().unwrap().is_empty())),
        (FaultKind::Drip { ms: 1 }, |response| {
            assert_eq!(response.json::<Value>().unwrap()["profile"]["id"], "prof_alice");
        }),
    ];
    for (kind, check) in checks {
        let name = format!("{kind:?}");
        let (response, survived) = under(&simulator, kind);
        let response = response.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        check(response);
        assert!(!survived, "{name}");
    }
}

#[test]
fn a_drip_outlasts_a_deadline_that_begins_anew_with_every_byte() {
    let simulator = start();
    let code = code(&simulator, &ACME);
    simulator.set_fault(Fault::token(FaultKind::Drip { ms: 50 }).times(1)).unwrap();
    let client = reqwest::blocking::Client::builder().timeout(Duration::from_millis(400)).build().unwrap();
    let url = format!("{}/sso/token", simulator.url());
    let result = client.post(url).form(&token_fields(&code, &[])).send().and_then(Response::bytes);
    assert!(result.unwrap_err().is_timeout());
}

#[test]
fn delays_add_up_and_a_hang_never_ends() {
    let simulator = start();
    simulator.set_fault(Fault::token(FaultKind::Delay { ms: 150 }).times(1)).unwrap();
    let begun = Instant::now();
    let (response, survived) = under(&simulator, FaultKind::Delay { ms: 150 });
    assert_eq!(response.unwrap().status(), 200);
    assert!(!survived && begun.elapsed() >= Duration::from_millis(300));

    let code = code(&simulator, &ACME);
    simulator.set_fault(Fault::token(FaultKind::Hang).times(1)).unwrap();
    let client = reqwest::blocking::Client::builder().timeout(Duration::from_millis(300)).build().unwrap();
    let url = format!("{}/sso/token", simulator.url());
    assert!(client.post(&url).form(&token_fields(&code, &[])).send().unwrap_err().is_timeout());
    assert_eq!(exchange(&simulator, &code, &[]).0, 400, "the code is spent");
}

#[test]
fn a_reset_is_a_reset_and_the_code_is_spent() {
    let simulator = start();
    let code = code(&simulator, &ACME);
    simulator.set_fault(Fault::token(FaultKind::Reset).times(1)).unwrap();
    let body = format!("client_id=client_demo&client_secret=sk_test_demo&grant_type=authorization_code&code={code}");
    let mut stream = TcpStream::connect(("127.0.0.1", simulator.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let head = "POST /sso/token HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    let mut answer = Vec::new();
    let error = stream.read_to_end(&mut answer).unwrap_err();
    assert_eq!((error.kind(), answer.len()), (std::io::ErrorKind::ConnectionReset, 0));
    assert_eq!(exchange(&simulator, &code, &[]).0, 400);
}

#[test]
fn the_profile_lies() {
    let simulator = start();
    let profile = |kind| {
        let (response, survived) = under(&simulator, kind);
        assert!(!survived);
        response.unwrap().json::<Value>().unwrap()["profile"].take()
    };
    let organization = profile(FaultKind::WrongOrganization);
    assert!(organization["organization_id"] != "org_acme" && organization["organization_id"].is_string());
    assert_eq!(organization["connection_id"], "conn_acme");
    let connection = profile(FaultKind::WrongConnection);
    assert!(connection["connection_id"] != "conn_acme" && connection["connection_id"].is_string());
    let kind = profile(FaultKind::WrongConnectionType);
    assert!(kind["connection_type"] != "OktaSAML" && kind["connection_type"].is_string());

    for (missing, expected) in
        [(Missing::Absent, None), (Missing::Null, Some(Value::Null)), (Missing::Empty, Some(json!("")))]
    {
        let names = vec!["email".to_owned(), "id".to_owned(), "organization_id".to_owned()];
        let profile = profile(FaultKind::MissingProfileFields { names: names.clone(), missing });
        for name in names {
            assert_eq!(profile.get(&name), expected.as_ref(), "{name}");
        }
        assert_eq!(profile["idp_id"], "okta-alice");
    }

    let patch = json!({"email": "mallory@acme.com", "role": {"slug": "owner"}, "groups": null, "id": 7});
    let overridden = profile(FaultKind::ProfileOverrides { patch });
    assert_eq!(overridden["email"], "mallory@acme.com");
    assert_eq!(overridden["role"]["slug"], "owner");
    assert_eq!(overridden["id"], 7);
    assert!(overridden.get("groups").is_none());
}

#[test]
fn pkce_can_be_ignored_as_workos_may() {
    let simulator = start();
    let pkce = [("organization", "org_acme"), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
    simulator.set_fault(Fault::token(FaultKind::PkceIgnored)).unwrap();
    for verifier in ["", CHALLENGE, VERIFIER] {
        assert_eq!(exchange(&simulator, &code(&simulator, &pkce), &[("code_verifier", verifier)]).0, 200);
    }
    let (_, answer) = exchange(&simulator, &code(&simulator, &pkce), &[("client_secret", "wrong")]);
    assert_eq!(answer["error"], "invalid_client", "nothing else is ignored");
    simulator.clear_faults();
    assert_eq!(exchange(&simulator, &code(&simulator, &pkce), &[]).0, 400);
}

#[test]
fn the_authorize_endpoint_fails_too() {
    let simulator = start();
    simulator.set_fault(Fault::authorize(FaultKind::Status { code: 503, body: None }).times(1)).unwrap();
    assert_eq!(authorize(&simulator, &ACME).status(), 503);
    simulator.set_fault(Fault::authorize(FaultKind::Reset).times(1)).unwrap();
    let url = format!("{}/sso/authorize?client_id=client_demo", simulator.url());
    assert!(http().get(url).send().is_err());
    code(&simulator, &ACME);
}

#[test]
fn a_simulator_that_is_dropped_lets_nobody_hang() {
    let simulator = start();
    simulator.set_fault(Fault::authorize(FaultKind::Hang)).unwrap();
    let url = format!("{}/sso/authorize", simulator.url());
    let waiting = std::thread::spawn(move || http().get(url).send());
    let deadline = Instant::now() + Duration::from_secs(5);
    while simulator.requests().is_empty() {
        assert!(Instant::now() < deadline, "the request never came");
        std::thread::sleep(Duration::from_millis(5));
    }
    let port = simulator.port();
    drop(simulator);
    assert!(!waiting.join().unwrap().unwrap_err().is_timeout());
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
}
