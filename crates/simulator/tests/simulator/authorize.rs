//! `GET /sso/authorize`: who gets a code, who gets an error, and who gets no redirect at all.

use crate::common::{self, CHALLENGE, REDIRECT, authorize, code, exchange, http, redirect, start};
use workos_simulator::{CallbackError, Fault, FaultKind};

/// The profile that a code stands for.
fn profile(simulator: &workos_simulator::Simulator, parameters: common::Pairs) -> String {
    let (_, answer) = exchange(simulator, &code(simulator, parameters), &[]);
    answer["profile"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn selectors_and_hints_choose_the_person() {
    let simulator = start();
    for (parameters, expected) in [
        (&[("organization", "org_acme")][..], "prof_alice"),
        (&[("connection", "conn_acme")], "prof_alice"),
        (&[("connection", "conn_acme"), ("login_hint", "anna@acme.com")], "prof_anna"),
        (&[("organization", "org_acme"), ("login_hint", "ANNA@acme.COM")], "prof_anna"),
        (&[("organization", "org_globex")], "prof_bob"),
        (&[("provider", "GoogleOAuth")], "prof_gina"),
        (&[("connection", "conn_google")], "prof_gina"),
        (&[("connection", "conn_initech_google")], "prof_ivan"),
        // RFC 6749, section 3.1: a parameter without a value counts as omitted.
        (&[("organization", "org_acme"), ("domain_hint", "globex.com")], "prof_alice"),
    ] {
        assert_eq!(profile(&simulator, parameters), expected, "{parameters:?}");
    }
}

#[test]
fn the_state_comes_back_exactly_as_sent() {
    let simulator = start();
    for state in ["s", "a b+c&d=e%20é#/?\"<>", &"x".repeat(4000)] {
        let response = authorize(&simulator, &[("organization", "org_acme"), ("state", state)]);
        let (target, callback) = redirect(&response);
        assert_eq!((target.as_str(), callback["state"].as_str()), (REDIRECT, state));
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers()["cache-control"], "no-store");
    }
    let (_, callback) = redirect(&authorize(&simulator, &[("organization", "org_acme"), ("state", "")]));
    assert!(!callback.contains_key("state"));
    let (_, callback) = redirect(&authorize(&simulator, &[("organization", "nope"), ("state", "a b&c")]));
    assert_eq!(callback["state"], "a b&c");
}

#[test]
fn every_documented_error_with_a_natural_cause() {
    let simulator = start();
    for (parameters, expected) in [
        (&[][..], CallbackError::InvalidConnectionSelector),
        (&[("organization", "org_acme"), ("connection", "conn_acme")], CallbackError::InvalidConnectionSelector),
        (&[("organization", "org_acme"), ("provider", "GoogleOAuth")], CallbackError::InvalidConnectionSelector),
        (&[("provider", "authkit")], CallbackError::InvalidConnectionSelector),
        (&[("domain", "acme.com")], CallbackError::DomainConnectionSelectorNotAllowed),
        (&[("organization", "org_acme"), ("domain", "acme.com")], CallbackError::DomainConnectionSelectorNotAllowed),
        (&[("organization", "org_nobody")], CallbackError::OrganizationInvalid),
        (&[("organization", "org_empty")], CallbackError::OrganizationInvalid),
        (&[("organization", "org_initech")], CallbackError::AmbiguousConnectionSelector),
        (&[("organization", "org_hooli")], CallbackError::ConnectionUnlinked),
        (&[("connection", "conn_hooli")], CallbackError::ConnectionUnlinked),
        (&[("organization", "org_umbrella")], CallbackError::ConnectionInvalid),
        (&[("connection", "conn_umbrella")], CallbackError::ConnectionInvalid),
        (&[("connection", "conn_nobody")], CallbackError::ConnectionInvalid),
        (&[("provider", "XeroOAuth")], CallbackError::ConnectionInvalid),
        (&[("provider", "GitHubOAuth")], CallbackError::ConnectionStrategyInvalid),
        (
            &[("organization", "org_acme"), ("login_hint", "bob@globex.com")],
            CallbackError::ProfileNotAllowedOutsideOrganization,
        ),
        (
            &[("connection", "conn_acme"), ("login_hint", "evil@acme.com.evil.com")],
            CallbackError::ProfileNotAllowedOutsideOrganization,
        ),
        (&[("organization", "org_acme"), ("login_hint", "nobody@acme.com")], CallbackError::AccessDenied),
        (&[("provider", "GoogleOAuth"), ("login_hint", "alice@acme.com")], CallbackError::AccessDenied),
    ] {
        let (target, callback) = redirect(&authorize(&simulator, parameters));
        assert_eq!(target, REDIRECT);
        assert_eq!(callback.get("error").map(String::as_str), Some(expected.code()), "{parameters:?}");
        assert_eq!(callback["error_description"], expected.description());
        assert_eq!(callback["state"], "s");
        assert!(!callback.contains_key("code"));
    }
}

#[test]
fn every_documented_error_on_demand() {
    let simulator = start();
    assert_eq!(CallbackError::ALL.len(), 14);
    for error in CallbackError::ALL {
        let kind = FaultKind::CallbackError { code: error.code().into(), description: None };
        simulator.set_fault(Fault::authorize(kind).times(1)).unwrap();
        let (target, callback) = redirect(&authorize(&simulator, &[("organization", "org_acme")]));
        assert_eq!((target.as_str(), callback["error"].as_str()), (REDIRECT, error.code()));
        assert_eq!(callback["error_description"], error.description());
        let with_ids = *error == CallbackError::IdpInitiatedSsoDisabled;
        assert_eq!(callback.get("connection_id").map(String::as_str), with_ids.then(|| "conn_acme"));
        assert_eq!(callback.get("organization_id").map(String::as_str), with_ids.then(|| "org_acme"));
    }
    code(&simulator, &[("organization", "org_acme")]);

    let hostile = FaultKind::CallbackError {
        code: "<script>".into(),
        description: Some("a\r\nSet-Cookie: x=1&state=forged".into()),
    };
    simulator.set_fault(Fault::authorize(hostile)).unwrap();
    let response = authorize(&simulator, &[("organization", "org_acme")]);
    assert!(!response.headers().contains_key("set-cookie"));
    let (_, callback) = redirect(&response);
    assert_eq!((callback["error"].as_str(), callback["state"].as_str()), ("<script>", "s"));
    assert_eq!(callback["error_description"], "a\r\nSet-Cookie: x=1&state=forged");
}

#[test]
fn a_redirect_uri_that_is_not_listed_is_never_followed() {
    let simulator = start();
    simulator
        .set_fault(
            Fault::authorize(FaultKind::CallbackError { code: "server_error".into(), description: None }).times(1),
        )
        .unwrap();
    for parameters in [
        &[("redirect_uri", "https://evil.example/callback")][..],
        &[("redirect_uri", "http://localhost:3000/callback/../evil")],
        &[("redirect_uri", "http://localhost:3000@evil.example/callback")],
        &[("redirect_uri", "http://localhost:3000/callback#")],
        &[("redirect_uri", "javascript:alert(1)")],
        &[("redirect_uri", "\"><script>alert(1)</script>")],
        // Listed, but for another client.
        &[("redirect_uri", "https://other.example/callback")],
        &[("redirect_uri", "")],
        &[("client_id", "client_nobody")],
        &[("client_id", "")],
        &[("client_id", "client_demo"), ("client_id", "client_other")],
        &[("redirect_uri", REDIRECT), ("redirect_uri", "https://evil.example/callback")],
    ] {
        let response = authorize(&simulator, &common::merged([("organization", "org_acme")], parameters));
        assert_eq!(response.status(), 400, "{parameters:?}");
        assert!(!response.headers().contains_key("location"));
        assert!(response.headers().contains_key("x-request-id"));
        let page = response.text().unwrap();
        assert!(!page.contains("<script"), "{page}");
    }
}

#[test]
fn any_port_of_a_loopback_host_will_do_where_listed() {
    let simulator = start();
    for uri in ["http://localhost:49152/callback", "http://127.0.0.1:1/callback"] {
        let (target, callback) =
            redirect(&authorize(&simulator, &[("organization", "org_acme"), ("redirect_uri", uri)]));
        assert_eq!(target, uri);
        assert!(callback.contains_key("code"));
    }
}

#[test]
fn what_oauth_forbids_is_refused() {
    let simulator = start();
    for (parameters, expected) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("response_type", "")], "invalid_request"),
        (&[("code_challenge", CHALLENGE)], "invalid_request"),
        (&[("code_challenge", CHALLENGE), ("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge", CHALLENGE), ("code_challenge_method", "s256")], "invalid_request"),
        (&[("code_challenge_method", "S256")], "invalid_request"),
        (&[("code_challenge", "short"), ("code_challenge_method", "S256")], "invalid_request"),
        (&[("code_challenge", &CHALLENGE[1..]), ("code_challenge_method", "S256")], "invalid_request"),
        (&[("code_challenge", &format!("{CHALLENGE}=")), ("code_challenge_method", "S256")], "invalid_request"),
        (&[("code_challenge", &CHALLENGE.replace('-', "+")), ("code_challenge_method", "S256")], "invalid_request"),
        (&[("organization", "org_acme"), ("organization", "org_globex")], "invalid_request"),
        (&[("state", "a"), ("state", "b")], "invalid_request"),
    ] {
        let parameters = common::merged([("organization", "org_acme")], parameters);
        let (_, callback) = redirect(&authorize(&simulator, &parameters));
        assert_eq!(callback.get("error").map(String::as_str), Some(expected), "{parameters:?}");
        assert!(!callback.contains_key("code"));
    }
}

#[test]
fn other_methods_and_paths_answer_json_with_a_request_id() {
    let simulator = start();
    for (method, path, expected) in [("POST", "/sso/authorize", 405), ("GET", "/sso/token", 405), ("GET", "/nope", 404)]
    {
        let method = method.parse().unwrap();
        let response = http().request(method, format!("{}{path}", simulator.url())).send().unwrap();
        assert_eq!(response.status(), expected, "{path}");
        assert!(response.headers().contains_key("x-request-id"));
        assert!(response.json::<serde_json::Value>().unwrap()["message"].is_string());
    }
}
