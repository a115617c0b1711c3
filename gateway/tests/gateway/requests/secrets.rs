//! Neither answers nor the log show a secret.

use reqwest::header::{AUTHORIZATION, COOKIE, LOCATION};
use serde_json::{Value, json};
use workos_end_to_end::ALICE;

use crate::common::{CHALLENGE, Gateway, PAGE, PKCE, REFRESH, VERIFIER, eventually, ok, pkce, redirect, send, token};

#[tokio::test]
async fn neither_answers_nor_the_log_show_a_secret() {
    let gateway = Gateway::start("bad_secrets", &["--log", "debug"]).await;
    let (callback, cookie) =
        gateway.to_callback(&format!("organization=org_acme&redirect_to={PAGE}"), ALICE.email).await;
    let part = |name: &str| callback.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
    let (state, workos_code) = (part("state"), part("code"));
    let implicit = redirect(send(gateway.http.get(callback.clone()).header(COOKIE, &cookie)).await).fragment();
    let end =
        gateway.browse(&format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE)), ALICE.email).await;
    let code = end.query("code").unwrap();
    let body = json!({ "auth_code": code, "code_verifier": VERIFIER });
    let session = ok(send(gateway.post(PKCE, &body)).await).await;
    let (access, refresh) = (token(&session), session["refresh_token"].as_str().unwrap());
    let secrets = [
        &state,
        &workos_code,
        &code,
        VERIFIER,
        access,
        refresh,
        session["provider_token"].as_str().unwrap(),
        &implicit["access_token"],
        &implicit["refresh_token"],
        &implicit["provider_token"],
    ];

    // Each of them where it does not belong.
    let mut answers = Vec::new();
    for secret in secrets {
        for request in [
            gateway.get(&format!("/{secret}")),
            gateway.get(&format!("/user/identities/{secret}")),
            gateway.http.delete(gateway.at(&format!("/user/identities/{secret}"))).bearer_auth(access),
            gateway.get(&format!("/callback?state={secret}&code={secret}")),
            gateway.post(&format!("/token?grant_type={secret}"), &json!({})),
            gateway.post(PKCE, &json!({ "auth_code": secret, "code_verifier": secret })),
            gateway.post(PKCE, &json!({ "auth_code": [secret], "code_verifier": { secret: secret } })),
            gateway.http.post(gateway.at(PKCE)).body(format!("{{\"auth_code\": {secret}")),
            gateway.post(REFRESH, &json!({ "refresh_token": format!("{secret}x") })),
            gateway.http.post(gateway.at(REFRESH)).body(format!("refresh_token={secret}")),
            gateway.http.put(gateway.at("/user")).bearer_auth(secret).body(format!("{{{secret}")),
            gateway.get("/user").header(AUTHORIZATION, secret),
            gateway.get("/user").bearer_auth(format!("{secret}x")),
            gateway.get("/user").header("x-request-id", secret).header("user-agent", secret).header("cookie", secret),
        ] {
            let answer = send(request).await;
            let location = answer.headers().get(LOCATION).map(|to| to.to_str().unwrap().to_owned());
            let status = answer.status().as_u16();
            assert!(status < 500, "{status}");
            let headers = format!("{:?}", answer.headers());
            answers.push(format!("{status} {location:?} {headers} {}", answer.text().await.unwrap()));
        }
    }
    // The log is read beside this.
    let lines = || gateway.log().lines().filter(|line| line.contains("\"endpoint\"")).count();
    eventually("every request is in the log", async || lines() > answers.len()).await;
    let log = gateway.log();
    for secret in secrets {
        for text in answers.iter().map(String::as_str).chain(log.lines()) {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
    for text in answers.iter().map(String::as_str).chain(log.lines()) {
        assert!(!text.contains("panicked") && !text.contains(".rs:") && !text.contains("backtrace"), "{text}");
    }
    for line in log.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        assert!(!line["endpoint"].as_str().unwrap_or_default().contains('?'), "{line}");
    }
}
