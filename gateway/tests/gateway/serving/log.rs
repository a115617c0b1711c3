//! The log lines: whom a request was about, and that a proxy is not trusted.

use serde_json::{Value, json};
use workos_end_to_end::ALICE;

use crate::common::{CHALLENGE, Gateway, PAGE, PKCE, VERIFIER, eventually, ok, pkce, redirect, refused, send, token};

/// The lines about requests of an endpoint, once there are so many.
async fn lines(gateway: &Gateway, endpoint: &str, count: usize) -> Vec<Value> {
    let found = || {
        let log = gateway.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["endpoint"] == endpoint).collect::<Vec<_>>()
    };
    eventually(endpoint, async || found().len() >= count).await;
    found()
}

#[tokio::test]
async fn a_line_names_sign_in_organization_person_and_session_and_no_token() {
    let gateway = Gateway::start("ids", &[]).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
    let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let flow: String = gateway.bed.admin.query_one("select id::text from auth.flow_states", &[]).await.unwrap().get(0);
    let code = redirect(send(gateway.http.get(callback.clone()).header("cookie", cookie)).await).query("code").unwrap();
    let exchange = json!({ "auth_code": code, "code_verifier": VERIFIER });
    let session = ok(send(gateway.post(PKCE, &exchange)).await).await;
    let fresh = ok(gateway.refresh(&session["refresh_token"]).await).await;
    ok(gateway.user(&fresh).await).await;
    let forged = format!("{}x", token(&fresh));
    send(gateway.get("/user").bearer_auth(&forged)).await;

    let row = gateway.bed.admin.query_one("select user_id::text, id::text from auth.sessions", &[]).await.unwrap();
    let (user, id): (String, String) = (row.get(0), row.get(1));
    let ids = |line: &Value| ["flow", "organization", "user", "session"].map(|name| line[name].clone());
    let (flow, organization) = (json!(flow), json!("org_acme"));
    let person = [organization.clone(), json!(user), json!(id)];
    let [org, user, id] = &person;
    let null = Value::Null;
    let authorize = lines(&gateway, "/authorize", 1).await;
    assert_eq!(ids(&authorize[0]), [flow.clone(), organization, null.clone(), null.clone()]);
    let callback = lines(&gateway, "/callback", 1).await;
    assert_eq!(ids(&callback[0]), [flow.clone(), null.clone(), null.clone(), null.clone()]);
    let tokens = lines(&gateway, "/token", 2).await;
    assert_eq!(ids(&tokens[0]), [flow.clone(), org.clone(), user.clone(), id.clone()]);
    assert_eq!(ids(&tokens[1]), [null.clone(), org.clone(), user.clone(), id.clone()]);
    let users = lines(&gateway, "/user", 2).await;
    assert_eq!(ids(&users[0]), [null.clone(), org.clone(), user.clone(), id.clone()]);
    // What the database has not accepted says nothing.
    assert_eq!(ids(&users[1]), [null.clone(), null.clone(), null.clone(), null]);
    let log = gateway.log();
    for secret in [&code, &state, token(&session), token(&fresh), fresh["refresh_token"].as_str().unwrap(), VERIFIER] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}

#[tokio::test]
async fn a_refused_sign_in_has_one_name_in_every_log() {
    let gateway = Gateway::start("refused", &[]).await;
    gateway.sign_in(ALICE).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let code = gateway.browse(&query, ALICE.email).await.query("code").unwrap();
    let ban = "select auth.ban_user(user_id) from auth.find_user('alice@acme.com')";
    gateway.bed.admin.execute(ban, &[]).await.unwrap();
    let answer = send(gateway.post(PKCE, &json!({ "auth_code": code, "code_verifier": VERIFIER }))).await;
    // As it is told where nothing is committed.
    let (status, name, message) = refused(answer).await;
    assert_eq!((status, name.as_str(), message.as_str()), (403, "user_banned", "the user is banned"));
    let sql = "select payload ->> 'flow_id' from auth.audit_log_entries where action = 'login_refused'";
    let flow: String = gateway.bed.admin.query_one(sql, &[]).await.unwrap().get(0);
    let line = lines(&gateway, "/token", 2).await.pop().unwrap();
    assert_eq!(
        (&line["flow"], &line["code"], &line["sqlstate"]),
        (&json!(flow), &json!("user_banned"), &json!("WA402"))
    );

    // A callback that fails is a redirect, and its line says why.
    let begun = send(gateway.get(&format!("/authorize?provider=workos&{query}"))).await;
    let state = redirect(begun).query("state").unwrap();
    send(gateway.get(&format!("/callback?error=access_denied&state={state}"))).await;
    let line = lines(&gateway, "/callback", 3).await.pop().unwrap();
    let sql = "select payload ->> 'flow_id' from auth.audit_log_entries
        where action = 'login_refused' and user_id is null order by created_at desc limit 1";
    let flow: String = gateway.bed.admin.query_one(sql, &[]).await.unwrap().get(0);
    assert_eq!((&line["status"], &line["code"], &line["flow"]), (&json!(302), &json!("access_denied"), &json!(flow)));
}

#[tokio::test]
async fn that_a_proxy_is_not_trusted_is_said_once() {
    let gateway = Gateway::start("proxy", &[]).await;
    ok(send(gateway.get("/health")).await).await;
    let said = || gateway.log().matches("X-Forwarded-For is not believed").count();
    assert_eq!(said(), 0);
    for last in 1..=3 {
        ok(send(gateway.get("/health").header("x-forwarded-for", format!("198.51.100.{last}"))).await).await;
    }
    lines(&gateway, "/health", 4).await;
    assert_eq!(said(), 1);
    let log = gateway.log();
    let line = log.lines().find(|line| line.contains("X-Forwarded-For")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["peer"], "127.0.0.1");

    // One that is named says what it says.
    let trusting = Gateway::start("trusted", &["--trusted-proxies", "127.0.0.1"]).await;
    ok(send(trusting.get("/health").header("x-forwarded-for", "198.51.100.1")).await).await;
    lines(&trusting, "/health", 1).await;
    assert!(!trusting.log().contains("X-Forwarded-For"));
}
