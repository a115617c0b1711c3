//! `/_simulator/…`, the record of requests, and what is added at run time.

use crate::common::{authorize, code, exchange, http, redirect, start};
use reqwest::StatusCode;
use serde_json::{Value, json};
use workos_simulator::{Options, Profile, Simulator};

fn post(simulator: &Simulator, what: &str, body: &Value) -> StatusCode {
    http().post(format!("{}/_simulator/{what}", simulator.url())).json(body).send().unwrap().status()
}

fn get(simulator: &Simulator, what: &str) -> Value {
    http().get(format!("{}/_simulator/{what}", simulator.url())).send().unwrap().json().unwrap()
}

fn delete(simulator: &Simulator, what: &str) -> StatusCode {
    http().delete(format!("{}/_simulator/{what}", simulator.url())).send().unwrap().status()
}

#[test]
fn faults_are_set_and_cleared_over_http() {
    let simulator = start();
    for kind in [
        json!("hang"),
        json!("reset"),
        json!("truncated_body"),
        json!("malformed_json"),
        json!("html"),
        json!("empty_body"),
        json!("wrong_organization"),
        json!("wrong_connection"),
        json!("wrong_connection_type"),
        json!("pkce_ignored"),
        json!("json_only"),
        json!({"delay": {"ms": 5}}),
        json!({"drip": {"ms": 5}}),
        json!({"oversized_body": {"bytes": 100}}),
        json!({"status": {"code": 500, "body": {"message": "no"}}}),
        json!({"rate_limited": {"retry_after": {"seconds": 3}}}),
        json!({"rate_limited": {"retry_after": {"date": 3}}}),
        json!({"missing_profile_fields": {"names": ["email"], "as": "null"}}),
        json!({"profile_overrides": {"patch": {"email": "x@y.z"}}}),
    ] {
        let fault = json!({"endpoint": "token", "times": 2, "kind": kind});
        assert_eq!(post(&simulator, "faults", &fault), 204, "{fault}");
    }
    assert_eq!(get(&simulator, "faults")["faults"].as_array().unwrap().len(), 19);
    assert_eq!(delete(&simulator, "faults"), 204);
    assert_eq!(get(&simulator, "faults"), json!({"faults": []}));

    for (endpoint, kind) in [("events", "repeated_events"), ("events", "event_filter_ignored"), ("api", "reset")] {
        assert_eq!(post(&simulator, "faults", &json!({"endpoint": endpoint, "kind": kind})), 204, "{kind}");
    }
    assert_eq!(delete(&simulator, "faults"), 204);

    let fault = json!({"endpoint": "authorize", "kind": {"callback_error": {"code": "server_error"}}});
    assert_eq!(post(&simulator, "faults", &fault), 204);
    let (_, callback) = redirect(&authorize(&simulator, &[("organization", "org_acme")]));
    assert_eq!(callback["error"], "server_error");
    assert_eq!(delete(&simulator, "faults"), 204);
    code(&simulator, &[("organization", "org_acme")]);
}

#[test]
fn a_fault_that_is_none_is_refused() {
    let simulator = start();
    for fault in [
        json!({}),
        json!({"endpoint": "token", "kind": "explode"}),
        json!({"endpoint": "nowhere", "kind": "hang"}),
        json!({"endpoint": "token", "kind": "hang", "tmes": 1}),
        json!({"endpoint": "token", "kind": "hang", "times": 0}),
        json!({"endpoint": "token", "kind": {"delay": {"ms": -1}}}),
        json!({"endpoint": "token", "kind": {"delay": {"ms": 1, "seconds": 1}}}),
        json!({"endpoint": "token", "kind": {"status": {"code": 99}}}),
        json!({"endpoint": "token", "kind": {"callback_error": {"code": "server_error"}}}),
        json!({"endpoint": "api", "kind": "repeated_events"}),
    ] {
        assert_eq!(post(&simulator, "faults", &fault), 422, "{fault}");
    }
    assert_eq!(get(&simulator, "faults"), json!({"faults": []}));
}

#[test]
fn the_clock_goes_forward_over_http() {
    let simulator = start();
    let code = code(&simulator, &[("organization", "org_acme")]);
    assert_eq!(post(&simulator, "clock", &json!({"advance_seconds": 600})), 204);
    assert_eq!(post(&simulator, "clock", &json!({"advance_seconds": -600})), 422);
    assert_eq!(exchange(&simulator, &code, &[]).1["error"], "invalid_grant");
}

#[test]
fn people_and_connections_come_and_change_at_run_time() {
    let simulator = start();
    let connection =
        json!({"id": "conn_empty", "name": "New", "organization": "org_empty", "connection_type": "OktaSAML"});
    let person = json!({
        "id": "prof_new", "connection": "conn_empty", "email": "new@empty.example", "idp_id": "n",
        "roles": ["a", "b"], "custom_attributes": {"depth": {"of": [1, 2]}},
    });
    assert_eq!(post(&simulator, "profiles", &person), 422, "its connection does not exist yet");
    assert_eq!(post(&simulator, "connections", &connection), 204);
    assert_eq!(post(&simulator, "profiles", &person), 204);
    let sign_in = || {
        let code = code(&simulator, &[("organization", "org_empty")]);
        exchange(&simulator, &code, &[]).1["profile"].take()
    };
    let profile = sign_in();
    assert_eq!((&profile["email"], &profile["name"]), (&json!("new@empty.example"), &Value::Null));
    assert_eq!(profile["roles"], json!([{"slug": "a"}, {"slug": "b"}]));
    assert_eq!(profile["custom_attributes"]["depth"]["of"][1], 2);

    let mut renamed: Profile = serde_json::from_value(person).unwrap();
    renamed.email = "renamed@empty.example".into();
    simulator.put_profile(renamed).unwrap();
    assert_eq!(sign_in()["email"], "renamed@empty.example");

    let mut inactive = connection.clone();
    inactive["state"] = "inactive".into();
    assert_eq!(post(&simulator, "connections", &inactive), 204);
    let (_, callback) = redirect(&authorize(&simulator, &[("organization", "org_empty")]));
    assert_eq!(callback["error"], "connection_invalid");
    let organization = json!({"id": "org_new", "name": "New", "domains": ["new.example"]});
    assert_eq!(post(&simulator, "organizations", &organization), 204);
    let mut moved = connection;
    moved["organization"] = "org_nobody".into();
    assert_eq!(post(&simulator, "connections", &moved), 422);
}

#[test]
fn requests_are_written_down_as_they_came() {
    let simulator = start();
    let code = code(&simulator, &[("organization", "org_acme"), ("state", "a b&c")]);
    exchange(&simulator, &code, &[("client_secret", "wrong &=")]);
    http().get(format!("{}/health", simulator.url())).send().unwrap();

    let requests = simulator.requests();
    let paths: Vec<_> = requests.iter().map(|r| (r.method.as_str(), r.path.as_str())).collect();
    assert_eq!(paths, [("GET", "/sso/authorize"), ("POST", "/sso/token")]);
    assert_eq!(requests[0].parameter("state"), Some("a b&c"));
    assert_eq!(requests[0].parameter("organization"), Some("org_acme"));
    assert_eq!(requests[0].content_type, None);
    assert_eq!(requests[1].field("code"), Some(code.as_str()));
    assert_eq!(requests[1].field("client_secret"), Some("wrong &="));
    assert_eq!(requests[1].field("code_verifier"), None);
    assert_eq!(requests[1].header("authorization"), None);
    assert_eq!(requests[1].content_type.as_deref(), Some("application/x-www-form-urlencoded"));

    let answer = get(&simulator, "requests");
    assert_eq!(answer["requests"], serde_json::to_value(&requests).unwrap());
    assert_eq!(answer["forgotten"], 0);
    assert_eq!(delete(&simulator, "requests"), 204);
    assert!(simulator.requests().is_empty());
}

#[test]
fn the_request_id_of_an_answer_names_its_request() {
    let simulator = start();
    let response = authorize(&simulator, &[]);
    assert_eq!(response.headers()["x-request-id"], simulator.requests()[0].request_id.as_str());
}

#[test]
fn the_record_has_an_end() {
    let simulator = Simulator::start(Options { request_log: 2, ..Options::default() }).unwrap();
    for state in ["1", "2", "3"] {
        authorize(&simulator, &[("state", state)]);
    }
    let states: Vec<_> = simulator.requests().iter().map(|r| r.parameter("state").unwrap().to_owned()).collect();
    assert_eq!(states, ["2", "3"]);
    assert_eq!(get(&simulator, "requests")["forgotten"], 1);
}

#[test]
fn a_port_that_is_taken_is_an_error_and_one_that_is_free_again_is_not() {
    let first = start();
    let again = Options { port: first.port(), ..Options::default() };
    assert_eq!(Simulator::start(again.clone()).unwrap_err().kind(), std::io::ErrorKind::AddrInUse);
    code(&first, &[("organization", "org_acme")]);
    drop(first);
    code(&Simulator::start(again).unwrap(), &[("organization", "org_acme")]);
}
