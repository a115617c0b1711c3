//! `POST /sso`, which Supabase's `signInWithSSO({ domain })` asks.

use reqwest::header::COOKIE;
use serde_json::{Value, json};
use workos_end_to_end::ALICE;

use crate::common::{CHALLENGE, Gateway, PAGE, VERIFIER, ok, redirect, refused, send, told};

const DOMAINS: &str = "insert into auth.organizations (id) values ('org_acme'), ('org_globex');
    insert into auth.organization_domains (organization_id, domain) values ('org_acme', 'acme.com'), ('org_acme', 'both.example'), ('org_globex', 'both.example')";

async fn gateway(name: &'static str, flags: &[&str]) -> Gateway {
    let gateway = Gateway::start(name, flags).await;
    gateway.bed.admin.batch_execute(DOMAINS).await.unwrap();
    gateway
}

/// As supabase-js sends it.
fn wanted(domain: &str, challenge: Option<&str>) -> Value {
    json!({
        "domain": domain, "redirect_to": PAGE, "skip_http_redirect": true, "code_challenge": challenge,
        "code_challenge_method": challenge.map(|_| "s256"),
    })
}

#[tokio::test]
async fn a_domain_leads_to_its_organization() {
    let gateway = gateway("domain", &[]).await;
    let begun = ok(gateway.post("/sso", &wanted("ACME.com", Some(CHALLENGE))).send().await.unwrap()).await;
    let url = begun["url"].as_str().unwrap();
    assert!(url.contains("organization=org_acme") && !url.contains("login_hint"), "{url}");
    let back = redirect(gateway.http.get(format!("{url}&login_hint={}", ALICE.email)).send().await.unwrap());
    let end = redirect(gateway.http.get(back.url).send().await.unwrap());
    assert!(end.url.as_str().starts_with(PAGE), "{}", end.url);
    let body = json!({ "auth_code": end.query("code"), "code_verifier": VERIFIER });
    let session = ok(gateway.post("/token?grant_type=pkce", &body).send().await.unwrap()).await;
    assert_eq!(session["user"]["email"], ALICE.email);
}

/// Without a challenge the browser is bound, as at `/authorize`. Without skip_http_redirect it is sent there.
#[tokio::test]
async fn an_implicit_sign_in_is_bound_to_its_browser() {
    let gateway = gateway("implicit", &[]).await;
    let body = json!({ "domain": "acme.com", "redirect_to": PAGE, "provider_id": "" });
    let begun = redirect(gateway.post("/sso", &body).send().await.unwrap());
    assert_eq!(begun.status, 303);
    assert!(begun.cookie().starts_with("workos-auth-"), "{}", begun.cookie());
    let back = redirect(gateway.http.get(format!("{}&login_hint={}", begun.url, ALICE.email)).send().await.unwrap());
    let end = redirect(gateway.http.get(back.url).header(COOKIE, begun.cookie()).send().await.unwrap());
    assert!(end.fragment().contains_key("access_token"), "{}", end.url);
}

#[tokio::test]
async fn there_is_one_answer_for_every_other_domain() {
    let gateway = gateway("unknown", &[]).await;
    let mut answers = Vec::new();
    for domain in
        ["unknown.example", "both.example", "sub.acme.com", "x@acme.com", "@acme.com", "acme.com ' or true --", "é"]
    {
        answers.push(refused(send(gateway.post("/sso", &wanted(domain, Some(CHALLENGE)))).await).await);
    }
    answers.dedup();
    let [(status, code, message)] = answers.as_slice() else { panic!("{answers:?}") };
    assert_eq!((*status, code.as_str()), (404, "sso_provider_not_found"));
    assert!(!message.is_empty());
    assert_eq!(gateway.bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused() {
    let gateway = gateway("refused", &[]).await;
    for (body, status, code) in [
        (json!({}), 400, "validation_failed"),
        (json!({ "domain": "", "provider_id": "" }), 400, "validation_failed"),
        (json!({ "domain": "acme.com", "provider_id": "x" }), 400, "validation_failed"),
        (json!({ "domain": "acme.com\0" }), 400, "validation_failed"),
        (json!({ "domain": "acme.com", "redirect_to": "https://evil.example" }), 400, "redirect_to_not_allowed"),
        (json!({ "domain": "acme.com", "code_challenge": CHALLENGE }), 400, "validation_failed"),
        (
            json!({ "domain": "acme.com", "code_challenge": "x", "code_challenge_method": "s256" }),
            400,
            "validation_failed",
        ),
        (json!({ "domain": 1 }), 400, "bad_json"),
        (json!({ "provider_id": "5a9d9d5a-0000-4000-8000-000000000000" }), 404, "sso_provider_not_found"),
    ] {
        assert_eq!(told(send(gateway.post("/sso", &body)).await).await, (status, code.into()), "{body}");
    }
    assert_eq!(gateway.get("/sso").send().await.unwrap().status(), 405);
}

/// Each is a row, as at `/authorize`.
#[tokio::test]
async fn an_address_begins_so_many_sign_ins() {
    let gateway = gateway("limit", &["--rate-limit", "1", "--rate-limit-burst", "2"]).await;
    for _ in 0..2 {
        ok(gateway.post("/sso", &wanted("acme.com", Some(CHALLENGE))).send().await.unwrap()).await;
    }
    let answer = send(gateway.post("/sso", &wanted("acme.com", Some(CHALLENGE)))).await;
    assert_eq!(told(answer).await, (429, "over_request_rate_limit".into()));
}
