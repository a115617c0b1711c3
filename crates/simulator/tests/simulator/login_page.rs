//! The login page of `--interactive`.

use std::collections::HashMap;

use crate::common::{self, CHALLENGE, VERIFIER, authorize, exchange, http, redirect};
use reqwest::blocking::Response;
use workos_simulator::{Options, Profile, Simulator};

fn start() -> Simulator {
    Simulator::start(Options { interactive: true, ..Options::default() }).unwrap()
}

/// What a browser sends when a button of the page is pressed.
fn press(simulator: &Simulator, page: &str, button: (&str, &str)) -> Response {
    let request = page.split("name=\"request\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let form = HashMap::from([("request", request.replace("&amp;", "&")), (button.0, button.1.to_owned())]);
    http().post(format!("{}/sso/authorize/continue", simulator.url())).form(&form).send().unwrap()
}

#[test]
fn a_person_is_picked_and_signed_in() {
    let simulator = start();
    let asked = [
        ("organization", "org_acme"),
        ("state", "a b&c=\"<"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let response = authorize(&simulator, &asked);
    assert_eq!(response.status(), 200);
    assert!(response.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    assert_eq!(response.headers()["cache-control"], "no-store");
    let page = response.text().unwrap();
    for text in ["Sign in to Acme", "OktaSAML", "Alice Admin", "alice@acme.com", "anna@acme.com", "Cancel", "viewport"]
    {
        assert!(page.contains(text), "{text}");
    }
    assert!(!page.contains("bob@globex.com") && !page.contains("http://") && !page.contains("https://"));

    let (target, callback) = redirect(&press(&simulator, &page, ("profile", "prof_anna")));
    assert_eq!((target.as_str(), callback["state"].as_str()), (common::REDIRECT, "a b&c=\"<"));
    let (status, answer) = exchange(&simulator, &callback["code"], &[("code_verifier", VERIFIER)]);
    assert_eq!((status.as_u16(), answer["profile"]["id"].as_str()), (200, Some("prof_anna")));
}

#[test]
fn cancelling_is_access_denied() {
    let simulator = start();
    let page = authorize(&simulator, &[("provider", "GoogleOAuth")]).text().unwrap();
    assert!(page.contains("Sign in to Google"));
    let (_, callback) = redirect(&press(&simulator, &page, ("cancel", "1")));
    assert_eq!((callback["error"].as_str(), callback["state"].as_str()), ("access_denied", "s"));
}

#[test]
fn nobody_of_another_connection_can_be_picked() {
    let simulator = start();
    let page = authorize(&simulator, &[("organization", "org_acme")]).text().unwrap();
    let (_, callback) = redirect(&press(&simulator, &page, ("profile", "prof_bob")));
    assert_eq!((callback["error"].as_str(), callback.get("code")), ("access_denied", None));
}

#[test]
fn the_hidden_request_is_checked_anew() {
    let simulator = start();
    let url = format!("{}/sso/authorize/continue", simulator.url());
    for request in
        ["", "client_id=client_demo&redirect_uri=https://evil.example/&response_type=code&organization=org_acme"]
    {
        let form = HashMap::from([("request", request), ("profile", "prof_alice")]);
        let response = http().post(&url).form(&form).send().unwrap();
        assert_eq!(response.status(), 400);
        assert!(!response.headers().contains_key("location"));
    }
}

#[test]
fn errors_are_redirected_and_the_hinted_person_stands_first() {
    let simulator = start();
    let (_, callback) = redirect(&authorize(&simulator, &[("organization", "org_initech")]));
    assert_eq!(callback["error"], "ambiguous_connection_selector");
    let (_, callback) = redirect(&authorize(&simulator, &[("organization", "org_acme"), ("response_type", "token")]));
    assert_eq!(callback["error"], "unsupported_response_type");
    let hinted = [("organization", "org_acme"), ("login_hint", "anna@acme.com")];
    let page = authorize(&simulator, &hinted).text().unwrap();
    assert!(page.find("prof_anna").unwrap() < page.find("prof_alice").unwrap());
}

#[test]
fn names_are_escaped() {
    let simulator = start();
    let evil = "\"><script>alert(1)</script>";
    simulator
        .put_profile(Profile {
            id: evil.into(),
            connection: "conn_acme".into(),
            email: evil.into(),
            first_name: Some(evil.into()),
            last_name: None,
            idp_id: "x".into(),
            role: None,
            roles: None,
            groups: vec![],
            custom_attributes: Default::default(),
        })
        .unwrap();
    let page = authorize(&simulator, &[("organization", "org_acme"), ("state", evil)]).text().unwrap();
    assert!(page.contains("&lt;script&gt;") && !page.contains("<script"));
}
