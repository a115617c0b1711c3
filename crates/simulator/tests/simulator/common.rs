//! A browser and a backend for the simulator's tests. Every request has a deadline.

use std::collections::HashMap;
use std::time::Duration;

use reqwest::blocking::{Client, RequestBuilder, Response};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use serde_json::Value;
use workos_simulator::{Options, Simulator};

pub const REDIRECT: &str = "http://localhost:3000/callback";
pub const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// The challenge of [`VERIFIER`]: RFC 7636, appendix B.
pub const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

pub type Pairs<'a> = &'a [(&'a str, &'a str)];

pub fn start() -> Simulator {
    Simulator::start(Options::default()).unwrap()
}

pub fn http() -> Client {
    Client::builder().redirect(Policy::none()).timeout(Duration::from_secs(10)).build().unwrap()
}

/// `base` with the parameters of `more` in place of or beside its own.
pub fn merged<'a, const N: usize>(base: [(&'a str, &'a str); N], more: Pairs<'a>) -> Vec<(&'a str, &'a str)> {
    let kept = base.into_iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name));
    kept.chain(more.iter().copied()).collect()
}

fn without_empty<'a>(pairs: Vec<(&'a str, &'a str)>) -> Vec<(&'a str, &'a str)> {
    pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// A good request but for its selector; an empty value takes a parameter away.
pub fn authorize(simulator: &Simulator, parameters: Pairs) -> Response {
    let base = [("client_id", "client_demo"), ("redirect_uri", REDIRECT), ("response_type", "code"), ("state", "s")];
    let url = format!("{}/sso/authorize", simulator.url());
    http().get(url).query(&without_empty(merged(base, parameters))).send().unwrap()
}

/// Where a 302 leads, and its parameters.
pub fn redirect(response: &Response) -> (String, HashMap<String, String>) {
    assert_eq!(response.status(), StatusCode::FOUND);
    let mut url = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    let parameters = url.query_pairs().into_owned().collect();
    url.set_query(None);
    (url.into(), parameters)
}

/// A code for what `parameters` ask for.
pub fn code(simulator: &Simulator, parameters: Pairs) -> String {
    let (_, mut callback) = redirect(&authorize(simulator, parameters));
    callback.remove("code").unwrap_or_else(|| panic!("no code: {callback:?}"))
}

pub fn token_request(simulator: &Simulator) -> RequestBuilder {
    http().post(format!("{}/sso/token", simulator.url()))
}

/// A good exchange; an empty value takes a field away.
pub fn token_fields<'a>(code: &'a str, more: Pairs<'a>) -> Vec<(&'a str, &'a str)> {
    let base = [
        ("client_id", "client_demo"),
        ("client_secret", "sk_test_demo"),
        ("grant_type", "authorization_code"),
        ("code", code),
    ];
    without_empty(merged(base, more))
}

/// Exchanges a code as every SDK does.
pub fn exchange(simulator: &Simulator, code: &str, more: Pairs) -> (StatusCode, Value) {
    let response = token_request(simulator).form(&token_fields(code, more)).send().unwrap();
    (response.status(), response.json().unwrap())
}

/// Asks the REST API with the key of the demo; a body that is null is none.
pub fn api(simulator: &Simulator, method: Method, path: &str, body: Value) -> (u16, Value) {
    let request = http().request(method, format!("{}{path}", simulator.url())).bearer_auth("sk_test_demo");
    let request = if body.is_null() { request } else { request.json(&body) };
    let response = request.send().unwrap();
    let status = response.status().as_u16();
    let body = response.text().unwrap();
    (status, if body.is_empty() { Value::Null } else { serde_json::from_str(&body).unwrap() })
}
