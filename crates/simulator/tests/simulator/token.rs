//! `POST /sso/token`, `GET /sso/profile` and the lists.

use std::time::Duration;

use crate::common::{self, CHALLENGE, REDIRECT, VERIFIER, code, exchange, http, start, token_fields, token_request};
use serde_json::{Value, json};

const PKCE: [(&str, &str); 3] =
    [("organization", "org_acme"), ("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];

#[test]
fn a_form_and_json_give_the_profile_of_the_openapi_description() {
    let simulator = start();
    for as_json in [false, true] {
        let code = code(&simulator, &[("organization", "org_acme")]);
        let fields = token_fields(&code, &[]);
        let request = token_request(&simulator);
        let request = match as_json {
            true => request.json(&fields.iter().copied().collect::<std::collections::BTreeMap<_, _>>()),
            false => request.form(&fields),
        };
        let response = request.send().unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.headers().contains_key("x-request-id"));
        assert_eq!(response.headers()["cache-control"], "no-store");
        let mut answer: Value = response.json().unwrap();
        let access_token = answer.as_object_mut().unwrap().remove("access_token").unwrap();
        assert!(access_token.as_str().unwrap().len() > 40);
        assert_eq!(
            answer,
            json!({
                "token_type": "Bearer",
                "expires_in": 600,
                "profile": {
                    "object": "profile",
                    "id": "prof_alice",
                    "organization_id": "org_acme",
                    "connection_id": "conn_acme",
                    "connection_type": "OktaSAML",
                    "idp_id": "okta-alice",
                    "email": "alice@acme.com",
                    "first_name": "Alice",
                    "last_name": "Admin",
                    "name": "Alice Admin",
                    "role": {"slug": "admin"},
                    "roles": [{"slug": "admin"}],
                    "groups": ["engineering", "admins"],
                    "custom_attributes": {"department": "Engineering", "cost_center": "4711"},
                    "raw_attributes": {},
                },
            })
        );
    }
}

#[test]
fn a_provider_has_no_organization_and_brings_its_own_tokens() {
    let simulator = start();
    let (status, answer) = exchange(&simulator, &code(&simulator, &[("provider", "GoogleOAuth")]), &[]);
    assert_eq!(status, 200);
    assert_eq!(answer["profile"]["organization_id"], Value::Null);
    assert_eq!(answer["profile"]["role"], Value::Null);
    assert_eq!(answer["oauth_tokens"]["provider"], "GoogleOAuth");
    for member in ["access_token", "refresh_token", "expires_at", "scopes"] {
        assert!(!answer["oauth_tokens"][member].is_null(), "{member}");
    }
}

#[test]
fn a_code_is_good_once_however_many_ask() {
    let simulator = start();
    let code = code(&simulator, &[("organization", "org_acme")]);
    let answers: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| exchange(&simulator, &code, &[]).0)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().as_u16()).collect()
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    let (status, answer) = exchange(&simulator, &code, &[]);
    let expected =
        json!({"error": "invalid_grant", "error_description": "The code has expired or has already been used."});
    assert_eq!((status.as_u16(), answer), (400, expected));
}

#[test]
fn a_code_is_good_for_ten_minutes() {
    let simulator = start();
    let young = code(&simulator, &[("organization", "org_acme")]);
    let old = code(&simulator, &[("organization", "org_acme")]);
    simulator.advance_clock(Duration::from_secs(590));
    assert_eq!(exchange(&simulator, &young, &[]).0, 200);
    simulator.advance_clock(Duration::from_secs(10));
    let (status, answer) = exchange(&simulator, &old, &[]);
    assert_eq!((status.as_u16(), answer["error"].as_str()), (400, Some("invalid_grant")));
}

#[test]
fn what_is_wrong_is_refused_and_says_whether_the_code_is_spent() {
    let simulator = start();
    for (fields, expected, spent) in [
        (&[("client_secret", "sk_test_wrong")][..], "invalid_client", false),
        (&[("client_secret", "")], "invalid_client", false),
        (&[("client_secret", "sk_test_other")], "invalid_client", false),
        (&[("client_id", "client_nobody")], "invalid_client", false),
        (&[("client_id", "")], "invalid_client", false),
        // A good client, but not the code's own.
        (&[("client_id", "client_other"), ("client_secret", "sk_test_other")], "invalid_grant", false),
        (&[("grant_type", "refresh_token")], "unsupported_grant_type", false),
        (&[("grant_type", "")], "unsupported_grant_type", false),
        (&[("code", "")], "invalid_request", false),
        (&[("code", "sso_code_of_nobody")], "invalid_grant", false),
        (&[("code", "a"), ("code", "b")], "invalid_request", false),
        (&[("redirect_uri", "http://127.0.0.1:3000/callback")], "invalid_grant", true),
        (&[("code_verifier", "")], "invalid_grant", true),
        (&[("code_verifier", CHALLENGE)], "invalid_grant", true),
    ] {
        let code = code(&simulator, &PKCE);
        let fields = common::merged([("code_verifier", VERIFIER), ("redirect_uri", REDIRECT)], fields);
        let (status, answer) = exchange(&simulator, &code, &fields);
        assert_eq!((status.as_u16(), answer["error"].as_str()), (400, Some(expected)), "{fields:?}");
        assert!(answer["error_description"].is_string());
        let (status, _) = exchange(&simulator, &code, &[("code_verifier", VERIFIER)]);
        assert_eq!(status.as_u16(), if spent { 400 } else { 200 }, "{fields:?}");
    }
}

#[test]
fn pkce_holds_both_ways() {
    let simulator = start();
    let (status, _) =
        exchange(&simulator, &code(&simulator, &PKCE), &[("code_verifier", VERIFIER), ("redirect_uri", REDIRECT)]);
    assert_eq!(status, 200);
    // A verifier for a code that was asked for without a challenge: somebody stripped it off (RFC 9700).
    let code = code(&simulator, &[("organization", "org_acme")]);
    let (status, answer) = exchange(&simulator, &code, &[("code_verifier", VERIFIER)]);
    assert_eq!((status.as_u16(), answer["error"].as_str()), (400, Some("invalid_grant")));
}

#[test]
fn a_body_must_be_what_it_says() {
    let simulator = start();
    let code = code(&simulator, &[("organization", "org_acme")]);
    let form = format!("client_id=client_demo&client_secret=sk_test_demo&grant_type=authorization_code&code={code}");
    for (content_type, body, error) in [
        ("application/json", form.as_str(), "invalid_request_body"),
        ("application/json", "[]", "invalid_request_body"),
        ("application/json", "{\"code\": 1}", "invalid_request_body"),
        ("application/json", "", "invalid_request_body"),
        ("text/plain", &form, "invalid_request"),
        ("multipart/form-data", &form, "invalid_request"),
    ] {
        let response =
            token_request(&simulator).header("content-type", content_type).body(body.to_owned()).send().unwrap();
        assert_eq!(response.status(), 400, "{content_type} {body}");
        let answer: Value = response.json().unwrap();
        assert!(answer["code"] == error || answer["error"] == error, "{content_type} {body}: {answer}");
    }
    let secret_in_header = token_request(&simulator)
        .basic_auth("client_demo", Some("sk_test_demo"))
        .form(&token_fields(&code, &[("client_id", ""), ("client_secret", "")]))
        .send()
        .unwrap();
    assert_eq!(secret_in_header.json::<Value>().unwrap()["error"], "invalid_client");

    let content_type = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
    let response = token_request(&simulator).header("content-type", content_type).body(form).send().unwrap();
    assert_eq!(response.status(), 200);

    let huge = token_request(&simulator).form(&[("code", "x".repeat(2 * 1024 * 1024))]).send();
    // The simulator may hang up while the body is still on its way.
    assert!(huge.map_or(true, |response| response.status() == 413));
}

#[test]
fn the_access_token_gives_the_profile_for_ten_minutes() {
    let simulator = start();
    let (_, answer) = exchange(&simulator, &code(&simulator, &[("organization", "org_acme")]), &[]);
    let token = answer["access_token"].as_str().unwrap();
    let url = format!("{}/sso/profile", simulator.url());
    let profile: Value = http().get(&url).bearer_auth(token).send().unwrap().json().unwrap();
    assert_eq!(profile, answer["profile"]);

    let refused = |request: reqwest::blocking::RequestBuilder| {
        let response = request.send().unwrap();
        assert_eq!(response.status(), 401);
        assert_eq!(response.json::<Value>().unwrap(), json!({"error": "Unauthorized"}));
    };
    refused(http().get(&url));
    refused(http().get(&url).bearer_auth("sk_test_demo"));
    refused(http().get(&url).basic_auth(token, Some("")));
    simulator.advance_clock(Duration::from_secs(600));
    refused(http().get(&url).bearer_auth(token));
}

#[test]
fn connections_and_organizations_are_found_by_key_only() {
    let simulator = start();
    let get = |path: &str, key: &str| http().get(format!("{}{path}", simulator.url())).bearer_auth(key).send().unwrap();
    let ids = |path: &str| -> Vec<String> {
        let answer: Value = get(path, "sk_test_demo").json().unwrap();
        assert_eq!(answer["object"], "list");
        assert_eq!(answer["list_metadata"], json!({"before": null, "after": null}));
        answer["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids("/connections").len(), 9);
    assert_eq!(ids("/connections?organization_id=org_initech"), ["conn_initech_google", "conn_initech_okta"]);
    assert_eq!(ids("/connections?connection_type=GoogleOAuth"), ["conn_google"]);
    assert_eq!(ids("/connections?domain=globex.com"), ["conn_globex"]);
    assert_eq!(ids("/connections?search=entra"), ["conn_globex"]);
    assert_eq!(ids("/organizations?domains=acme.com,globex.com"), ["org_globex", "org_acme"]);
    assert_eq!(ids("/organizations?search=INITECH"), ["org_initech"]);

    let connection: Value = get("/connections/conn_hooli", "sk_test_demo").json().unwrap();
    assert_eq!(
        (&connection["state"], &connection["status"], &connection["organization_id"]),
        (&json!("draft"), &json!("unlinked"), &json!("org_hooli"))
    );
    assert_eq!(connection["domains"][0]["domain"], "hooli.com");
    let organization: Value = get("/organizations/org_acme", "sk_test_demo").json().unwrap();
    assert_eq!((&organization["name"], &organization["domains"][0]["state"]), (&json!("Acme"), &json!("verified")));

    for path in ["/connections", "/connections/conn_acme", "/organizations", "/organizations/org_acme"] {
        assert_eq!(get(path, "sk_test_wrong").status(), 401, "{path}");
        assert_eq!(http().get(format!("{}{path}", simulator.url())).send().unwrap().status(), 401, "{path}");
    }
    for path in ["/connections/nope", "/organizations/nope", "/connections/%2e%2e%2f"] {
        assert_eq!(get(path, "sk_test_demo").status(), 404, "{path}");
    }
}
