//! What clients rely on: sign-in with and without PKCE, refresh, the user, sign-out.

use reqwest::StatusCode;
use reqwest::header::COOKIE;
use serde_json::{Value, json};
use workos_end_to_end::{ALICE, ANNA, Bed};

use crate::common::{
    self, CHALLENGE, Gateway, PAGE, SITE_URL, VERIFIER, database_port, ok, pkce, redirect, refused, waits_for_lock,
};

fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

#[tokio::test]
async fn a_sign_in_with_pkce_gives_the_session_that_supabases_clients_expect() {
    let gateway = Gateway::start("gw_pkce", &[]).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}%3Ftab%3D1&scopes=openid&{}", pkce(CHALLENGE));
    let end = gateway.browse(&query, ALICE.email).await;
    assert_eq!((end.status, end.query("tab").as_deref(), end.cookies.len()), (302, Some("1"), 0));
    let body = json!({ "auth_code": end.query("code"), "code_verifier": VERIFIER });
    let answer = gateway.post("/token?grant_type=pkce", &body).header("user-agent", "Tester/1").send().await.unwrap();
    let headers = answer.headers().clone();
    let session = ok(answer).await;

    assert_eq!(session["token_type"], "bearer");
    assert!((3595..=3600).contains(&session["expires_in"].as_i64().unwrap()), "{session}");
    assert!(session["provider_token"].as_str().unwrap().starts_with("sso_token_"));
    let claims =
        gateway.bed.superuser().await.query_one("select auth.verify_token($1)", &[&token(&session)]).await.unwrap();
    let claims: Value = claims.get(0);
    assert_eq!((&claims["exp"], &claims["iss"]), (&session["expires_at"], &json!(gateway.url)));
    let user = &session["user"];
    assert_eq!(
        (&user["email"], &user["aud"], &user["role"]),
        (&json!(ALICE.email), &json!("authenticated"), &json!("authenticated"))
    );
    assert_eq!(user["app_metadata"], json!({ "provider": "workos", "providers": ["workos"] }));
    assert_eq!(user["identities"][0]["provider"], "workos");
    assert_eq!(headers["sb-auth-user-id"], user["id"].as_str().unwrap());
    assert_eq!(headers["sb-auth-session-id"], claims["session_id"].as_str().unwrap());
    assert_eq!(
        (&headers["cache-control"], &headers["referrer-policy"]),
        (&"no-store".parse().unwrap(), &"no-referrer".parse().unwrap())
    );
    let from = "select host(ip) || ' ' || user_agent from auth.sessions";
    assert_eq!(gateway.bed.admin.query_one(from, &[]).await.unwrap().get::<_, String>(0), "127.0.0.1 Tester/1");

    assert_eq!(ok(gateway.user(&session).await).await["id"], user["id"]);
    // Once.
    let again = gateway.post("/token?grant_type=pkce", &body).send().await.unwrap();
    let (status, code, _) = refused(again).await;
    assert_eq!((status, code.as_str()), (404, "flow_state_not_found"));
}

#[tokio::test]
async fn a_wrong_verifier_does_not_spend_the_code() {
    let gateway = Gateway::start("gw_verifier", &[]).await;
    let end =
        gateway.browse(&format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE)), ALICE.email).await;
    let exchange = async |verifier: &str| {
        let body = json!({ "auth_code": end.query("code"), "code_verifier": verifier });
        gateway.post("/token?grant_type=pkce", &body).send().await.unwrap()
    };
    let (status, code, _) = refused(exchange(&"x".repeat(43)).await).await;
    assert_eq!((status, code.as_str()), (400, "bad_code_verifier"));
    ok(exchange(VERIFIER).await).await;
}

#[tokio::test]
async fn an_implicit_sign_in_ends_in_the_browser_that_began_it() {
    let gateway = Gateway::start("gw_implicit", &[]).await;
    let query = format!("connection=conn_acme&redirect_to={PAGE}");
    let (callback, cookie) = gateway.to_callback(&query, ALICE.email).await;
    assert!(cookie.starts_with("workos-auth-"), "{cookie}");
    let end = redirect(gateway.http.get(callback).header(COOKIE, &cookie).send().await.unwrap());
    assert!(end.url.as_str().starts_with(&format!("{PAGE}#access_token=")), "{}", end.url);
    assert!(end.cookies[0].contains("Max-Age=0"), "{:?}", end.cookies);
    let session = json!(end.fragment());
    assert_eq!((&session["token_type"], &session["sb"]), (&json!("bearer"), &json!("")));
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}

#[tokio::test]
async fn an_implicit_sign_in_that_comes_back_in_another_browser_writes_nothing() {
    let gateway = Gateway::start("gw_csrf", &[]).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let (_, others) = gateway.to_callback(&query, ANNA.email).await;
    for cookie in ["", "workos-auth-=x; a=b", &others] {
        let (callback, own) = gateway.to_callback(&query, ALICE.email).await;
        let end = redirect(gateway.http.get(callback.clone()).header(COOKIE, cookie).send().await.unwrap());
        assert_eq!((end.status, end.query("error").as_deref()), (302, Some("access_denied")));
        assert!(end.url.as_str().starts_with(PAGE) && !end.url.as_str().contains("token"), "{}", end.url);
        assert_eq!(gateway.bed.count("select count(*) from auth.users").await, 0);
        assert_eq!(gateway.bed.count("select count(*) from auth.audit_log_entries where action = 'login'").await, 0);
        // It is over, also for the browser that began it.
        let end = redirect(gateway.http.get(callback).header(COOKIE, own).send().await.unwrap());
        assert!(end.query("error").is_some() && !end.fragment().contains_key("access_token"), "{}", end.url);
        assert_eq!(gateway.bed.count("select count(*) from auth.sessions").await, 0);
    }
}

#[tokio::test]
async fn a_refresh_gives_new_tokens_and_a_stolen_one_ends_the_session() {
    let gateway = Gateway::start("gw_refresh", &[]).await;
    let first = gateway.sign_in(ALICE).await;
    let second = ok(gateway.refresh(&first["refresh_token"]).await).await;
    assert_ne!(second["refresh_token"], first["refresh_token"]);
    assert_eq!((second["user"]["id"].clone(), second.get("provider_token")), (first["user"]["id"].clone(), None));
    let third = ok(gateway.refresh(&second["refresh_token"]).await).await;
    let fourth = ok(gateway.refresh(&third["refresh_token"]).await).await;
    gateway.bed.admin.batch_execute("update auth.sessions set refreshed_at = now() - interval '1 min'").await.unwrap();
    let (status, code, _) = refused(gateway.refresh(&first["refresh_token"]).await).await;
    assert_eq!((status, code.as_str()), (400, "refresh_token_already_used"));
    // A worker of the database ends it, since the transaction was refused.
    common::eventually("the session has ended", async || gateway.user(&fourth).await.status() != StatusCode::OK).await;
}

#[tokio::test]
async fn twenty_refreshes_at_once_all_get_the_same_counter() {
    let gateway = Gateway::start("gw_twenty", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let request =
            gateway.post("/token?grant_type=refresh_token", &json!({ "refresh_token": session["refresh_token"] }));
        running.spawn(async move { ok(request.send().await.unwrap()).await["refresh_token"].clone() });
    }
    let tokens = running.join_all().await;
    assert!(tokens.iter().all(|token| token == &tokens[0]), "{tokens:?}");
    ok(gateway.refresh(&tokens[0]).await).await;
}

#[tokio::test]
async fn a_database_whose_transactions_are_serializable_is_served_alike() {
    let bed = Bed::shared("gw_serializable").await;
    bed.set("default_transaction_isolation", "serializable").await;
    let port = database_port(&bed);
    let gateway = Gateway::start_through(bed, port, &[]).await;
    let session = gateway.sign_in(ALICE).await;
    // The session's row changes while a refresh waits for it: to a transaction with one snapshot that is a failure.
    let other = gateway.bed.superuser().await;
    other.batch_execute("begin; update auth.sessions set updated_at = now()").await.unwrap();
    let (refreshed, ()) = tokio::join!(gateway.refresh(&session["refresh_token"]), async {
        waits_for_lock(&gateway).await;
        other.batch_execute("commit").await.unwrap();
    });
    ok(refreshed).await;
}

#[tokio::test]
async fn a_person_changes_their_user_metadata_and_nothing_else() {
    let gateway = Gateway::start("gw_user", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let put = async |body: Value| {
        gateway.http.put(gateway.at("/user")).bearer_auth(token(&session)).json(&body).send().await.unwrap()
    };
    let user = ok(put(json!({ "data": { "theme": "dark", "shoe": null }, "code_challenge": null })).await).await;
    assert_eq!(
        (&user["user_metadata"]["theme"], &user["user_metadata"]["full_name"]),
        (&json!("dark"), &json!("Alice Admin"))
    );
    assert_eq!(ok(put(json!({ "email": "" })).await).await["user_metadata"]["theme"], "dark");
    for (body, status, code) in [
        (json!({ "app_metadata": { "admin": true } }), 403, "not_admin"),
        (json!({ "email": "mallory@acme.com" }), 400, "validation_failed"),
        (json!({ "password": "correct horse" }), 400, "validation_failed"),
        (json!({ "data": ["no object"] }), 400, "bad_json"),
        (json!({ "data": { "long": "x".repeat(5000) } }), 422, "user_metadata_too_large"),
        (json!({ "data": { "nul": "\0" } }), 400, "validation_failed"),
    ] {
        let (found, name, message) = refused(put(body.clone()).await).await;
        assert_eq!((found, name.as_str()), (status, code), "{body}: {message}");
    }
    let now = ok(gateway.user(&session).await).await;
    assert_eq!((&now["email"], &now["app_metadata"]["admin"]), (&json!(ALICE.email), &Value::Null));
}

#[tokio::test]
async fn a_sign_out_ends_what_its_scope_says() {
    let gateway = Gateway::start("gw_logout", &[]).await;
    let out = async |session: &Value, scope: &str| {
        gateway.http.post(gateway.at(&format!("/logout{scope}"))).bearer_auth(token(session)).send().await.unwrap()
    };
    let alive = async |session: &Value| gateway.user(session).await.status().is_success();
    let (one, two, three) = (gateway.sign_in(ALICE).await, gateway.sign_in(ALICE).await, gateway.sign_in(ALICE).await);
    let anna = gateway.sign_in(ANNA).await;
    let (status, code, message) = refused(out(&one, "?scope=everyone").await).await;
    assert_eq!(
        (status, code.as_str(), message.as_str()),
        (400, "validation_failed", "Unsupported logout scope \"everyone\"")
    );
    assert_eq!(out(&three, "?scope=local").await.status(), 204);
    assert_eq!((alive(&one).await, alive(&two).await, alive(&three).await), (true, true, false));
    assert_eq!(out(&two, "?scope=others").await.status(), 204);
    assert_eq!((alive(&one).await, alive(&two).await), (false, true));
    assert_eq!(out(&two, "").await.status(), 204);
    assert_eq!((alive(&two).await, alive(&anna).await), (false, true));
    let (status, code, _) = refused(gateway.user(&two).await).await;
    assert_eq!((status, code.as_str()), (401, "session_not_found"));
    let (_, code, _) = refused(gateway.refresh(&two["refresh_token"]).await).await;
    assert_eq!(code, "refresh_token_not_found");
}

#[tokio::test]
async fn what_workos_says_no_to_is_told_to_the_application() {
    let gateway = Gateway::start("gw_refused", &[]).await;
    for (query, error) in [
        ("organization=org_hooli", "connection_unlinked"),
        ("organization=org_umbrella", "connection_invalid"),
        ("organization=org_unknown", "organization_invalid"),
        ("workos_provider=GitHubOAuth", "connection_strategy_invalid"),
    ] {
        let end = gateway.browse(&format!("{query}&redirect_to={PAGE}&{}", pkce(CHALLENGE)), ALICE.email).await;
        assert!(end.url.as_str().starts_with(PAGE), "{}", end.url);
        assert_eq!(end.query("error").as_deref(), Some(error), "{}", end.url);
        assert!(end.url.fragment().unwrap().contains(&format!("error={error}")), "{}", end.url);
    }
}

#[tokio::test]
async fn a_redirect_that_is_not_allowed_is_an_error_or_with_the_flag_the_site() {
    let gateway = Gateway::start("gw_strict", &[]).await;
    let query = format!(
        "/authorize?provider=workos&organization=org_acme&redirect_to=https://evil.example/&{}",
        pkce(CHALLENGE)
    );
    let (status, code, message) = refused(gateway.get(&query).send().await.unwrap()).await;
    assert_eq!((status, code.as_str()), (400, "redirect_to_not_allowed"));
    assert!(message.contains("https://evil.example"), "{message}");

    let gateway = Gateway::start("gw_lenient", &["--redirect-fallback"]).await;
    let query = format!("organization=org_acme&redirect_to=https://evil.example/&{}", pkce(CHALLENGE));
    let end = gateway.browse(&query, ALICE.email).await;
    assert!(end.url.as_str().starts_with(SITE_URL) && end.query("code").is_some(), "{}", end.url);
}

#[tokio::test]
async fn what_is_not_ours_goes_on_to_workos_and_what_is_does_not() {
    let gateway = Gateway::start("gw_through", &[]).await;
    let query = format!(
        "/authorize?provider=WorkOS&organization=org_acme&redirect_to={PAGE}&scopes=a&prompt=login&provider_scopes=x\
        &provider_scopes=y&client_secret=s&State=mine&apikey=k&login_hint=alice@acme.com&{}",
        pkce(CHALLENGE)
    );
    let url = redirect(gateway.get(&query).send().await.unwrap()).url;
    let sent: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let values =
        |name: &str| sent.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    assert_eq!(
        (values("prompt"), values("provider_scopes"), values("login_hint")),
        (vec!["login"], vec!["x", "y"], vec!["alice@acme.com"])
    );
    for name in ["scopes", "client_secret", "apikey", "redirect_to", "State", "provider"] {
        assert!(values(name).is_empty(), "{name} in {url}");
    }
    assert_ne!(values("code_challenge"), [CHALLENGE]);
}
