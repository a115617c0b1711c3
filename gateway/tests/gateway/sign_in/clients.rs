//! What Supabase's clients for Kotlin, Dart and Swift send, and the members that they cannot read an answer without. Each was read in their
//! sources: supabase-kt 3.7, gotrue-dart 2.27, auth-swift 2.55.

use base64::Engine;
use base64::engine::general_purpose::{URL_SAFE, URL_SAFE_NO_PAD};
use reqwest::header::COOKIE;
use serde_json::{Value, json};
use url::Url;
use workos_auth_core::pkce::{CodeVerifier, sha256};
use workos_end_to_end::{ALICE, ANNA};

use crate::common::{
    CHALLENGE, Gateway, PAGE, PKCE, SITE_URL, VERIFIER, ok, pkce, redirect, refused, send, token, told,
};

const DEEP_LINK: &str = "com.example.app://login-callback";

async fn list(gateway: &Gateway, pattern: &str) {
    gateway.bed.admin.execute("insert into auth.redirect_urls (pattern) values ($1)", &[&pattern]).await.unwrap();
}

async fn exchange(gateway: &Gateway, code: Option<String>, verifier: &str) -> reqwest::Response {
    send(gateway.post(PKCE, &json!({ "auth_code": code, "code_verifier": verifier }))).await
}

#[tokio::test]
async fn kotlins_verifier_ends_in_padding_and_is_good() {
    let gateway = Gateway::start("clients_kotlin", &[]).await;
    let verifier = URL_SAFE.encode([7; 64]);
    assert!(verifier.len() == 88 && verifier.ends_with("=="), "{verifier}");
    let challenge = URL_SAFE_NO_PAD.encode(sha256(&verifier));
    let end =
        gateway.browse(&format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(&challenge)), ALICE.email).await;
    // What is padded is another secret than what is not.
    for wrong in [verifier.trim_end_matches('='), &URL_SAFE.encode([8; 64])] {
        let answer = exchange(&gateway, end.query("code"), wrong).await;
        assert_eq!(told(answer).await, (400, "bad_code_verifier".into()), "{wrong}");
    }
    for weak in ["", "==", &"=".repeat(88), &format!("{}==", "a".repeat(42)), &format!("{}===", "a".repeat(85))] {
        assert_eq!(exchange(&gateway, end.query("code"), weak).await.status(), 400, "{weak}");
    }
    ok(exchange(&gateway, end.query("code"), &verifier).await).await;
}

#[tokio::test]
async fn kotlin_writes_null_for_no_page() {
    let gateway = Gateway::start("clients_null", &[]).await;
    let end = gateway.browse(&format!("organization=org_acme&redirect_to=null&{}", pkce(CHALLENGE)), ALICE.email).await;
    assert!(end.url.as_str().starts_with(&format!("{SITE_URL}/?code=")), "{}", end.url);
}

#[tokio::test]
async fn an_app_is_come_back_to_by_a_deep_link() {
    let gateway = Gateway::start("clients_deep", &[]).await;
    let query = |more: &str| format!("organization=org_acme&redirect_to={DEEP_LINK}{more}");
    let path = format!("/authorize?provider=workos&{}", query(""));
    let (status, code, message) = refused(send(gateway.get(&path)).await).await;
    assert_eq!((status, code.as_str()), (400, "redirect_to_not_allowed"));
    assert!(message.contains("com.example.app://login-callback"), "{message}");
    list(&gateway, "com.example.app://**").await;
    let end = gateway.browse(&format!("{}&{}", query("/a/b%3Fc%3Dd"), pkce(CHALLENGE)), ALICE.email).await;
    assert!(end.url.as_str().starts_with(&format!("{DEEP_LINK}/a/b?c=d&code=")), "{}", end.url);
    ok(exchange(&gateway, end.query("code"), VERIFIER).await).await;
    // supabase-kt and gotrue-dart read an implicit sign-in from the fragment.
    let end = gateway.browse(&query(""), ANNA.email).await;
    assert!(end.url.as_str().starts_with(&format!("{DEEP_LINK}#access_token=")), "{}", end.url);
    for name in ["access_token", "expires_in", "expires_at", "refresh_token", "token_type"] {
        assert!(end.fragment().contains_key(name), "{name}");
    }
    // Its error, too, comes back to the app.
    let refusal = format!("organization=org_hooli&redirect_to={DEEP_LINK}&{}", pkce(CHALLENGE));
    let end = gateway.browse(&refusal, ALICE.email).await;
    assert!(end.url.as_str().starts_with(&format!("{DEEP_LINK}?error=")), "{}", end.url);
}

#[tokio::test]
async fn what_workos_refuses_has_a_name_and_a_code() {
    let gateway = Gateway::start("clients_codes", &[]).await;
    for (query, error) in
        [("organization=org_hooli", "connection_unlinked"), ("organization=org_unknown", "organization_invalid")]
    {
        let end = gateway.browse(&format!("{query}&redirect_to={PAGE}&{}", pkce(CHALLENGE)), ALICE.email).await;
        for name in ["error", "error_code"] {
            assert_eq!(end.query(name).as_deref(), Some(error), "{name} of {}", end.url);
            assert_eq!(end.fragment()[name], error, "{name} of {}", end.url);
        }
    }
}

#[tokio::test]
async fn a_link_that_is_opened_twice_begins_two_sign_ins() {
    let gateway = Gateway::start("clients_twice", &[]).await;
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    // A double click, and what looks at a link before a person does.
    let ((first, _), (second, _)) =
        (gateway.to_callback(&query, ALICE.email).await, gateway.to_callback(&query, ALICE.email).await);
    assert_ne!(first, second);
    for callback in [second, first] {
        let end = redirect(send(gateway.http.get(callback)).await);
        let session = ok(exchange(&gateway, end.query("code"), VERIFIER).await).await;
        assert_eq!(session["user"]["email"], ALICE.email);
    }
}

#[tokio::test]
async fn a_browser_is_shown_a_page_or_sent_on_whatever_it_opens() {
    let gateway = Gateway::start("clients_pages", &[]).await;
    let query = format!("provider=workos&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    for path in [
        format!("/authorize?{query}"),
        format!("/authorize?{query}"),
        "/authorize?provider=workos".to_owned(),
        "/authorize?provider=github".to_owned(),
        "/callback".to_owned(),
        "/callback?code=x&state=y".to_owned(),
    ] {
        let answer = send(gateway.get(&path).header("accept", "text/html,*/*;q=0.8")).await;
        let is_page =
            answer.headers().get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
        assert!(is_page || answer.status().is_redirection(), "{path}: {}", answer.status());
    }
}

/// The members without which no client can read it.
fn has(object: &Value, members: &[&str]) {
    for member in members {
        assert!(object.get(member).is_some_and(|value| !value.is_null()), "{member} in {object}");
    }
}

#[tokio::test]
async fn sessions_users_identities_and_claims_have_what_parsers_need() {
    let gateway = Gateway::start("clients_parsers", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    for session in [&session, &ok(gateway.refresh(&session["refresh_token"]).await).await] {
        has(session, &["access_token", "token_type", "expires_in", "expires_at", "refresh_token", "user"]);
        assert!(session["expires_in"].is_u64() && session["expires_at"].is_u64(), "{session}");
        let user = &session["user"];
        has(user, &["id", "aud", "role", "app_metadata", "user_metadata", "created_at", "updated_at", "identities"]);
        for identity in user["identities"].as_array().unwrap() {
            has(
                identity,
                &["identity_id", "id", "user_id", "identity_data", "provider", "created_at", "last_sign_in_at"],
            );
        }
        // RFC 3339, which all of them parse.
        for date in
            [&user["created_at"], &user["identities"][0]["created_at"], &user["identities"][0]["last_sign_in_at"]]
        {
            let date = date.as_str().unwrap();
            assert!(date.ends_with('Z') && date.as_bytes()[10] == b'T', "{date}");
        }
        let payload = token(session).split('.').nth(1).unwrap();
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        has(&claims, &["iss", "sub", "aud", "exp", "iat", "role", "aal", "session_id", "amr", "is_anonymous"]);
        // supabase-kt takes no other member here, and no method that it does not know.
        let amr = claims["amr"].as_array().unwrap();
        assert_eq!(amr.len(), 1);
        assert_eq!(amr[0], json!({ "method": "oauth", "timestamp": amr[0]["timestamp"].as_i64().unwrap() }));
        // What it used to say besides stands beside it.
        assert_eq!(
            (&claims["app_metadata"]["provider"], &claims["connection_id"]),
            (&json!("workos"), &json!("conn_acme"))
        );
    }
}

#[tokio::test]
async fn a_hook_that_refuses_is_quoted() {
    let gateway = Gateway::start("clients_hook", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let owner = gateway.bed.role("hooks", "").await;
    let sql = format!(
        "create schema app; grant usage, create on schema app to {owner};
         create function app.refuse(document jsonb) returns jsonb language sql as
             $$ select '{{\"error\": {{\"http_code\": 402, \"message\": \"Buy a seat: first\"}}}}'::jsonb $$;
         alter function app.refuse(jsonb) owner to {owner};
         insert into auth.hooks (event, function) values ('token', 'app.refuse(jsonb)')"
    );
    gateway.bed.admin.batch_execute(&sql).await.unwrap();
    let in_words = (402, "hook_refused".to_owned(), "Buy a seat: first".to_owned());
    assert_eq!(refused(gateway.refresh(&session["refresh_token"]).await).await, in_words);
    let verifier = CodeVerifier::generate().unwrap();
    let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(verifier.challenge().value()));
    let end = gateway.browse(&query, ANNA.email).await;
    assert_eq!(refused(exchange(&gateway, end.query("code"), verifier.expose()).await).await, in_words);
    // Without a verifier it is the page that is told.
    let (callback, cookie) =
        gateway.to_callback(&format!("organization=org_acme&redirect_to={PAGE}"), ANNA.email).await;
    let end = redirect(send(gateway.http.get(callback).header(COOKIE, cookie)).await);
    let told = (end.query("error_code").unwrap(), end.query("error_description").unwrap());
    assert_eq!(told, ("hook_refused".to_owned(), "Buy a seat: first".to_owned()), "{}", end.url);
    // Nobody was made, and the session that is there is none the worse.
    assert_eq!(gateway.bed.count("select count(*) from auth.users").await, 1);
    gateway.bed.admin.batch_execute("delete from auth.hooks").await.unwrap();
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}

#[tokio::test]
async fn a_host_and_a_port_are_no_address() {
    let gateway = Gateway::start("clients_port", &[]).await;
    for (page, code, shown) in [
        ("localhost:3000/x", "redirect_to_malformed", "a host and a port"),
        ("https://localhost:4000/x", "redirect_to_not_allowed", "https://localhost:4000)"),
    ] {
        let url = format!("/authorize?provider=workos&organization=org_acme&redirect_to={page}&{}", pkce(CHALLENGE));
        let (status, name, message) = refused(send(gateway.get(&url)).await).await;
        assert_eq!((status, name.as_str()), (400, code), "{page}");
        assert!(message.contains(shown), "{page}: {message}");
    }
    let url: Url = SITE_URL.parse().unwrap();
    assert_eq!(url.scheme(), "http");
}
