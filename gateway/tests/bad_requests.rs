//! What clients should not send: wrong methods, bodies, parameters and headers. Each gets the right status and code, nothing of it gets
//! into a header of the answer, and neither answers nor the log show a secret.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{CHALLENGE, Gateway, PAGE, SITE_URL, VERIFIER, eventually, ok, pkce, raw, redirect, refused, told};
use reqwest::header::{ALLOW, AUTHORIZATION, COOKIE, HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use workos_end_to_end::ALICE;

const PKCE: &str = "/token?grant_type=pkce";
const REFRESH: &str = "/token?grant_type=refresh_token";
const SOME_ID: &str = "/user/identities/00000000-0000-4000-8000-000000000001";
/// Larger than any body that is read.
const TWO_MEGABYTES: usize = 2 * 1024 * 1024;

fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

async fn send(request: RequestBuilder) -> Response {
    request.send().await.unwrap()
}

/// The endpoints with the methods that they have, as their `Allow` says.
const ENDPOINTS: &[(&str, &str)] = &[
    ("/authorize", "GET"),
    ("/callback", "GET,POST"),
    ("/token", "POST"),
    ("/user", "GET,HEAD,PUT"),
    ("/user/identities/authorize", "GET,HEAD"),
    (SOME_ID, "DELETE"),
    ("/logout", "POST"),
    ("/settings", "GET,HEAD"),
    ("/.well-known/jwks.json", "GET,HEAD"),
    ("/.well-known/openid-configuration", "GET,HEAD"),
    ("/health", "GET,HEAD"),
    ("/ready", "GET,HEAD"),
];

#[tokio::test]
async fn a_wrong_method_is_405_and_says_which_are_right() {
    let gateway = Gateway::start("bad_methods", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    for (path, allowed) in ENDPOINTS {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if allowed.split(',').any(|allowed| allowed == method) {
                continue;
            }
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let request = || gateway.http.request(method.clone(), gateway.at(path));
            let answer = send(request().bearer_auth(token(&session))).await;
            let allow = answer.headers()[ALLOW].to_str().unwrap();
            assert_eq!((answer.status().as_u16(), allow), (405, *allowed), "{method} {path}");
            assert_eq!(answer.text().await.unwrap(), "", "{method} {path}");
            // Below /user, whoever is nobody is told that first.
            let answer = send(request()).await;
            let expected = if path.starts_with("/user") { 401 } else { 405 };
            assert_eq!(answer.status(), expected, "{method} {path}");
            if expected == 401 && method != Method::HEAD {
                assert_eq!(told(answer).await, (401, "no_authorization".into()), "{method} {path}");
            }
        }
    }
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
}

#[tokio::test]
async fn an_unknown_path_is_404() {
    let gateway = Gateway::start("bad_paths", &[]).await;
    for path in
        ["", "/", "/x", "/authorize/", "//authorize", "/Authorize", "/token/", "/admin/users", "/metrics", "/signup"]
    {
        for method in [Method::GET, Method::POST] {
            let answer = send(gateway.http.request(method, gateway.at(path))).await;
            assert_eq!(answer.status(), 404, "{path}");
            assert_eq!(answer.text().await.unwrap(), "404 page not found\n", "{path}");
        }
    }
    let root = gateway.url.trim_end_matches("/auth/v1");
    for path in ["/", "/authorize", "/auth/v1/%2e%2e/token", "/auth/v1%2ftoken", "/auth/v2/token"] {
        assert_eq!(send(gateway.http.get(format!("{root}{path}"))).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_body_that_is_missing_or_no_json_is_bad_json() {
    let gateway = Gateway::start("bad_bodies", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let deep = "[".repeat(60_000);
    let bodies: &[&[u8]] = &[
        b"",
        b"{",
        b"null",
        b"[]",
        b"\"auth_code\"",
        b"17",
        b"{} {}",
        b"\xff\xfe",
        b"{\"data\":{\"a\":\"\xff\"},\"auth_code\":\"\xff\",\"refresh_token\":\"\xff\"}",
        b"{\"data\":{\"a\":\"\\ud800\"},\"auth_code\":\"\\ud800\",\"refresh_token\":\"\\ud800\"}",
        b"{\"data\":1,\"auth_code\":1,\"refresh_token\":1}",
        b"{\"data\":{},\"data\":{},\"auth_code\":\"a\",\"auth_code\":\"b\",\"refresh_token\":\"a\",\"refresh_token\":\"b\"}",
        b"auth_code=a&code_verifier=b&refresh_token=c&data=d",
        b"<html></html>",
        deep.as_bytes(),
    ];
    for body in bodies {
        for content_type in [
            "",
            "application/json",
            "application/x-www-form-urlencoded",
            "text/plain",
            "multipart/form-data",
            "nonsense",
        ] {
            for request in [
                gateway.http.post(gateway.at(PKCE)),
                gateway.http.post(gateway.at(REFRESH)),
                gateway.http.put(gateway.at("/user")).bearer_auth(token(&session)),
            ] {
                let answer = send(request.header("content-type", content_type).body(body.to_vec())).await;
                let shown = String::from_utf8_lossy(body);
                let shown = shown.get(..60).unwrap_or(&shown);
                assert_eq!(told(answer).await, (400, "bad_json".into()), "{content_type}: {shown}");
            }
        }
    }
    // The content type is not looked at, as Supabase Auth does not.
    let body = json!({ "refresh_token": session["refresh_token"] }).to_string();
    let answer = send(gateway.http.post(gateway.at(REFRESH)).header("content-type", "text/plain").body(body)).await;
    assert_eq!(ok(answer).await["token_type"], "bearer");
}

#[tokio::test]
async fn a_body_of_two_megabytes_is_413_and_the_answer_arrives() {
    let gateway = Gateway::start("bad_sizes", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    for (path, allowed) in ENDPOINTS {
        let method = Method::from_bytes(allowed.split(',').next().unwrap().as_bytes()).unwrap();
        let request = gateway.http.request(method, gateway.at(path)).bearer_auth(token(&session));
        let answer = send(request.body(vec![b' '; TWO_MEGABYTES])).await;
        assert_eq!(told(answer).await, (413, "request_entity_too_large".into()), "{path}");
    }
    // Without saying how long it is.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    for (method, path) in [("POST", PKCE), ("POST", REFRESH), ("PUT", "/user"), ("POST", "/callback")] {
        let head = format!(
            "{method} /auth/v1{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\
            transfer-encoding: chunked\r\n\r\n",
            token(&session)
        );
        let answer = raw(&gateway.url, format!("{head}{}0\r\n\r\n", chunk.repeat(32)).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("\"request_entity_too_large\""), "{answer}");
    }
    // A length that is none, and two that differ.
    for lengths in ["content-length: x", "content-length: -1", "content-length: 1\r\ncontent-length: 2"] {
        let request = format!("POST /auth/v1{REFRESH} HTTP/1.1\r\nhost: x\r\n{lengths}\r\nconnection: close\r\n\r\n");
        let answer = raw(&gateway.url, request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{lengths}: {answer}");
    }
    // Nothing of it holds the server up.
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}

#[tokio::test]
async fn parameters_that_are_missing_repeated_or_unknown_are_refused_by_name() {
    let gateway = Gateway::start("bad_parameters", &[]).await;
    let good = format!("provider=workos&organization=org_acme&redirect_to={PAGE}");
    let with = |more: &str| format!("/authorize?{good}&{more}");
    let long = "x".repeat(129);
    for (path, status, code) in [
        ("/authorize".to_owned(), 400, "validation_failed"),
        ("/authorize?provider=".to_owned(), 400, "validation_failed"),
        ("/authorize?provider=github&organization=org_acme".to_owned(), 400, "validation_failed"),
        (format!("/authorize?provider=workos&redirect_to={PAGE}"), 400, "selector_missing"),
        (with("workos_provider=GoogleOAuth"), 400, "selector_conflict"),
        (with("provider=workos"), 400, "validation_failed"),
        (with("organization=org_globex"), 400, "validation_failed"),
        (with(&format!("redirect_to={PAGE}")), 400, "validation_failed"),
        (with("invite_token=x"), 404, "user_not_found"),
        (with(&format!("code_challenge={CHALLENGE}")), 400, "validation_failed"),
        (with("code_challenge_method=s256"), 400, "validation_failed"),
        (with(&pkce("short")), 400, "validation_failed"),
        (with(&pkce(&long)), 400, "validation_failed"),
        (with(&pkce(&format!("{}%2B", &CHALLENGE[1..]))), 400, "validation_failed"),
        (with(&pkce(&"x".repeat(44))), 400, "code_challenge_invalid"),
        (with(&format!("code_challenge={CHALLENGE}&code_challenge_method=md5")), 400, "validation_failed"),
        (
            with(&format!("code_challenge={CHALLENGE}&code_challenge_method=plain")),
            400,
            "code_challenge_method_not_allowed",
        ),
        (with(&format!("{}&code_challenge=x", pkce(CHALLENGE))), 400, "validation_failed"),
        (
            "/authorize?provider=workos&organization=o&redirect_to=javascript:alert(1)".to_owned(),
            400,
            "redirect_to_malformed",
        ),
        (
            "/authorize?provider=workos&organization=o&redirect_to=//evil.example".to_owned(),
            400,
            "redirect_to_malformed",
        ),
        (
            "/authorize?provider=workos&organization=o&redirect_to=http://localhost:3000@evil.example/".to_owned(),
            400,
            "redirect_to_malformed",
        ),
    ] {
        assert_eq!(told(send(gateway.get(&path)).await).await, (status, code.into()), "{path}");
    }
    assert_eq!(gateway.bed.count("select count(*) from auth.flow_states").await, 0);

    for (query, code) in [
        ("", "invalid_credentials"),
        ("?grant_type=", "invalid_credentials"),
        ("?grant_type=password", "invalid_credentials"),
        ("?grant_type=PKCE", "invalid_credentials"),
        ("?grant_type=id_token", "invalid_credentials"),
        ("?grant_type=pkce&grant_type=pkce", "validation_failed"),
        ("?grant_type=pkce&grant_type=refresh_token", "validation_failed"),
        ("?grant_type=pkce%00", "validation_failed"),
    ] {
        let body = json!({ "refresh_token": "r", "auth_code": "a", "code_verifier": "v" });
        let answer = send(gateway.post(&format!("/token{query}"), &body)).await;
        assert_eq!(told(answer).await, (400, code.into()), "{query}");
    }

    for (path, body, status, code) in [
        (PKCE, json!({}), 400, "validation_failed"),
        (PKCE, json!({ "auth_code": "a" }), 400, "validation_failed"),
        (PKCE, json!({ "code_verifier": "v" }), 400, "validation_failed"),
        (PKCE, json!({ "auth_code": "", "code_verifier": "" }), 400, "validation_failed"),
        (PKCE, json!({ "auth_code": null, "code_verifier": null }), 400, "validation_failed"),
        (PKCE, json!({ "auth_code": "a\0", "code_verifier": VERIFIER }), 400, "validation_failed"),
        (PKCE, json!({ "auth_code": "a", "code_verifier": format!("{VERIFIER}\0") }), 400, "validation_failed"),
        (PKCE, json!({ "auth_code": "a", "code_verifier": VERIFIER }), 404, "flow_state_not_found"),
        (
            PKCE,
            json!({ "auth_code": "x".repeat(20_000), "code_verifier": "\u{1f511}".repeat(9000) }),
            400,
            "authorization_code_invalid",
        ),
        (REFRESH, json!({}), 400, "validation_failed"),
        (REFRESH, json!({ "refresh_token": "" }), 400, "validation_failed"),
        (REFRESH, json!({ "refresh_token": "\0" }), 400, "validation_failed"),
        (REFRESH, json!({ "refresh_token": "no such token" }), 400, "validation_failed"),
        (REFRESH, json!({ "refresh_token": "\u{1f511}".repeat(9000) }), 400, "validation_failed"),
    ] {
        assert_eq!(told(send(gateway.post(path, &body)).await).await, (status, code.into()), "{path} {body}");
    }
}

#[tokio::test]
async fn what_stands_for_a_token_and_is_none_is_401() {
    let gateway = Gateway::start("bad_tokens", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let good = token(&session);
    let (head, rest) = good.split_once('.').unwrap();
    let (payload, signature) = rest.split_once('.').unwrap();
    // {"alg":"none"}
    let unsigned = format!("eyJhbGciOiJub25lIn0.{payload}.");
    for (value, code) in [
        (String::new(), "no_authorization"),
        ("Bearer".to_owned(), "no_authorization"),
        ("Bearer ".to_owned(), "no_authorization"),
        (good.to_owned(), "no_authorization"),
        (format!("Basic {good}"), "no_authorization"),
        ("Bearer x".to_owned(), "bad_jwt"),
        ("Bearer ..".to_owned(), "bad_jwt"),
        (format!("Bearer {head}.{payload}"), "bad_jwt"),
        (format!("Bearer {head}.{payload}."), "bad_jwt"),
        (format!("Bearer {head}.{payload}.{}", signature.chars().rev().collect::<String>()), "bad_jwt"),
        (format!("Bearer {good} {good}"), "bad_jwt"),
        (format!("Bearer {unsigned}"), "bad_jwt"),
        (format!("Bearer {}", "x".repeat(20_000)), "bad_jwt"),
    ] {
        for (method, path) in [("GET", "/user"), ("PUT", "/user"), ("POST", "/logout"), ("DELETE", SOME_ID)] {
            let request = gateway.http.request(method.parse().unwrap(), gateway.at(path));
            let answer = send(request.header(AUTHORIZATION, &value).json(&json!({ "data": {} }))).await;
            let shown = value.get(..30).unwrap_or(&value);
            assert_eq!(told(answer).await, (401, code.into()), "{method} {path} {shown}");
        }
    }
    let answer = gateway.get("/user").header(AUTHORIZATION, HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap());
    assert_eq!(told(send(answer).await).await, (401, "no_authorization".into()));
    // Two of them: which one counts would be anybody's guess.
    let answer = gateway.get("/user").header(AUTHORIZATION, format!("Bearer {good}")).header(AUTHORIZATION, "Bearer x");
    assert_eq!(told(send(answer).await).await, (401, "no_authorization".into()));
    // A cookie or a parameter is no token: a foreign page could have them sent.
    let answer =
        gateway.get(&format!("/user?access_token={good}&jwt={good}")).header(COOKIE, format!("access_token={good}"));
    assert_eq!(told(send(answer).await).await, (401, "no_authorization".into()));
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
}

/// What would end a header, if it got into one.
const BREAKS: &[&str] = &[
    "%0d%0aX-Injected:%201%0d%0a%0d%0a",
    "%0aX-Injected:%201",
    "%0dX-Injected:%201",
    "%E5%98%8A%E5%98%8DX-Injected:%201",
];

fn one_answer(answer: &str, what: &str) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{what}: {answer}"));
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{what}: {answer}");
    assert!(!head.to_ascii_lowercase().contains("\nx-injected") && !head.contains("\rX"), "{what}: {answer}");
    let bare = head.replace("\r\n", "");
    assert!(!bare.contains(['\r', '\n', '\0']), "{what}: {answer}");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    assert_eq!(length.parse::<usize>().unwrap(), body.len(), "{what}: {answer}");
}

#[tokio::test]
async fn line_breaks_in_parameters_get_into_no_header() {
    let gateway = Gateway::start("bad_breaks", &[]).await;
    let get = async |path: &str| {
        let request = format!("GET /auth/v1{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
        raw(&gateway.url, request.as_bytes()).await
    };
    for br in BREAKS {
        // Before WorkOS: in what is ours, and in what goes on to it.
        for name in
            ["redirect_to", "organization", "connection", "state", "login_hint", "domain_hint", "prompt", "provider"]
        {
            for value in [format!("{PAGE}{br}"), br.to_string()] {
                let rest = if name == "organization" { "" } else { "&organization=org_acme" };
                let rest = if name == "provider" { rest.to_owned() } else { format!("{rest}&provider=workos") };
                let path = format!("/authorize?{name}={value}{rest}&{}", pkce(CHALLENGE));
                let answer = get(&path).await;
                one_answer(&answer, &path);
                assert!(answer.starts_with("HTTP/1.1 302 ") || answer.starts_with("HTTP/1.1 4"), "{path}: {answer}");
                gateway.bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
            }
        }
        // In the name of one.
        let path = format!("/authorize?provider=workos&organization=org_acme&{br}=x&{}", pkce(CHALLENGE));
        one_answer(&get(&path).await, &path);
        gateway.bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();

        // After it: without a state the browser goes to the application, with one to its page.
        for name in ["state", "code", "error", "error_description", "connection", "organization"] {
            for path in
                [format!("/callback?{name}={br}"), format!("/callback?{name}=x{br}&error=access_denied{br}&state={br}")]
            {
                let answer = get(&path).await;
                one_answer(&answer, &path);
                assert!(answer.starts_with("HTTP/1.1 302 "), "{path}: {answer}");
                assert!(answer.contains(&format!("\r\nlocation: {SITE_URL}")), "{path}: {answer}");
            }
        }
        for (name, value) in [("error", format!("access_denied{br}")), ("error_description", format!("no{br}"))] {
            let query = format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
            let (callback, _) = gateway.to_callback(&query, ALICE.email).await;
            let state = callback.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
            let rest = if name == "error" { "" } else { "&error=access_denied" };
            let path = format!("/callback?{name}={value}{rest}&state={state}");
            let answer = get(&path).await;
            one_answer(&answer, &path);
            assert!(answer.contains(&format!("\r\nlocation: {PAGE}?error=")), "{path}: {answer}");
        }
    }
    // Not decoded by anybody: the request itself is broken.
    for line in [
        "GET /auth/v1/settings\r\nX-Injected: 1 HTTP/1.1",
        "GET /auth/v1/settings?a=\x01 HTTP/1.1",
        "GET  /auth/v1/settings HTTP/1.1",
    ] {
        let answer = raw(&gateway.url, format!("{line}\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{line:?}: {answer}");
    }
}

#[tokio::test]
async fn the_applications_page_in_redirect_to_ends_where_the_list_says() {
    let gateway = Gateway::start("bad_safe", &[]).await;
    for br in BREAKS {
        let query = format!("provider=workos&organization=org_acme&redirect_to={PAGE}%3Fa={br}&{}", pkce(CHALLENGE));
        let answer = send(gateway.get(&format!("/authorize?{query}"))).await;
        match answer.status().as_u16() {
            // Control characters are refused; what is none is a parameter like others.
            400 => assert_eq!(told(answer).await.1, "redirect_to_malformed", "{br}"),
            302 => assert!(br.starts_with("%E5"), "{br}"),
            other => panic!("{br}: {other}"),
        }
        gateway.bed.admin.batch_execute("delete from auth.flow_states").await.unwrap();
    }
}

#[tokio::test]
async fn own_urls_and_addresses_come_from_no_header() {
    let gateway = Gateway::start("bad_headers", &["--cors-origins", "https://app.example.com"]).await;
    let hostile = |request: RequestBuilder| {
        request
            .header("host", "evil.example")
            .header("origin", "https://evil.example")
            .header("referer", "https://evil.example/")
            .header("forwarded", "for=198.51.100.7;host=evil.example;proto=https")
            .header("x-forwarded-host", "evil.example")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-port", "443")
            .header("x-forwarded-prefix", "/evil")
            .header("x-forwarded-for", "198.51.100.7")
            .header("x-real-ip", "198.51.100.7")
            .header("x-original-url", "/evil")
            .header("x-request-id", "mine")
            .header("x-http-method-override", "DELETE")
    };
    let query = format!("/authorize?provider=workos&organization=org_acme&{}", pkce(CHALLENGE));
    let begun = redirect(send(hostile(gateway.get(&query))).await);
    assert_eq!(begun.query("redirect_uri").unwrap(), gateway.at("/callback"));
    let mut url = begun.url.clone();
    url.query_pairs_mut().append_pair("login_hint", ALICE.email);
    let callback = redirect(send(gateway.http.get(url)).await).url;
    let end = redirect(send(hostile(gateway.http.get(callback))).await);
    assert!(end.url.as_str().starts_with(&format!("{SITE_URL}/?code=")), "{}", end.url);
    let body = json!({ "auth_code": end.query("code"), "code_verifier": VERIFIER });
    let answer = send(hostile(gateway.post(PKCE, &body))).await;
    let headers = answer.headers().clone();
    assert_ne!(headers["x-request-id"], "mine");
    for name in ["access-control-allow-origin", "access-control-allow-credentials", "set-cookie"] {
        assert!(!headers.contains_key(name), "{name}");
    }
    let session = ok(answer).await;
    ok(send(hostile(gateway.post(REFRESH, &json!({ "refresh_token": session["refresh_token"] })))).await).await;
    let ip = gateway.bed.admin.query_one("select host(ip) from auth.sessions", &[]).await.unwrap();
    assert_eq!(ip.get::<_, String>(0), "127.0.0.1");
    let found = ok(send(hostile(gateway.get("/.well-known/openid-configuration"))).await).await;
    assert_eq!((&found["issuer"], &found["token_endpoint"]), (&json!(gateway.url), &json!(gateway.at("/token"))));
    for path in ["/settings", "/.well-known/jwks.json", "/health", "/ready"] {
        let text = send(hostile(gateway.get(path))).await.text().await.unwrap();
        assert!(!text.contains("evil"), "{path}: {text}");
    }
    // A browser asks first, and is told that its page may not.
    let ask = gateway.http.request(Method::OPTIONS, gateway.at("/token"));
    let answer = send(hostile(ask).header("access-control-request-method", "POST")).await;
    assert!(!answer.headers().contains_key("access-control-allow-origin"));
    let origin = "https://app.example.com";
    let ask = gateway.http.request(Method::OPTIONS, gateway.at("/token")).header("origin", origin);
    let answer = send(ask.header("access-control-request-method", "POST")).await;
    assert_eq!(answer.headers()["access-control-allow-origin"], origin);
}

#[tokio::test]
async fn bytes_that_are_no_text_break_nothing() {
    let gateway = Gateway::start("bad_bytes", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    // A User-Agent that is no UTF-8, at sign-in and at refresh.
    let agent = HeaderValue::from_bytes(b"Caf\xe9/1 \xff\xfe").unwrap();
    let body = json!({ "refresh_token": session["refresh_token"] });
    let session = ok(send(gateway.post(REFRESH, &body).header(USER_AGENT, &agent)).await).await;
    let end =
        gateway.browse(&format!("organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE)), ALICE.email).await;
    let body = json!({ "auth_code": end.query("code"), "code_verifier": VERIFIER });
    ok(send(gateway.post(PKCE, &body).header(USER_AGENT, &agent)).await).await;
    let sql = "select count(*) from auth.sessions where user_agent like 'Caf_/1 %'";
    assert_eq!(gateway.bed.count(sql).await, 2);
    // As long as a head may be.
    let body = json!({ "refresh_token": session["refresh_token"] });
    let session = ok(send(gateway.post(REFRESH, &body).header(USER_AGENT, "x".repeat(50_000))).await).await;

    for bytes in ["%00", "%ff", "%c3%28", "%ed%a0%80", "%", "%zz", "\u{fffd}"] {
        for (path, expected) in [
            (format!("/authorize?provider={bytes}&organization=org_acme"), &[400][..]),
            (format!("/authorize?provider=workos&organization={bytes}&redirect_to={PAGE}"), &[400, 302]),
            (
                format!("/authorize?provider=workos&organization=org_acme&login_hint={bytes}&redirect_to={PAGE}"),
                &[400, 302],
            ),
            (format!("/authorize?provider=workos&organization=org_acme&{bytes}=x&redirect_to={PAGE}"), &[400, 302]),
            (format!("/authorize?provider=workos&organization=org_acme&redirect_to={bytes}"), &[400]),
            (
                format!("/authorize?provider=workos&organization=org_acme&{}", pkce(&format!("{bytes}{CHALLENGE}"))),
                &[400],
            ),
            (format!("/callback?state={bytes}"), &[302]),
            (format!("/callback?code={bytes}&state=x"), &[302]),
            (format!("/callback?error={bytes}&error_description={bytes}&{bytes}={bytes}"), &[302]),
        ] {
            let answer = send(gateway.get(&path)).await;
            let status = answer.status().as_u16();
            assert!(expected.contains(&status), "{path}: {status}");
            match status {
                302 if path.starts_with("/callback") => {
                    assert!(answer.headers()[LOCATION].to_str().unwrap().starts_with(SITE_URL), "{path}");
                }
                302 => {}
                _ => drop(refused(answer).await),
            }
        }
        let request =
            gateway.http.delete(gateway.at(&format!("/user/identities/{bytes}"))).bearer_auth(token(&session));
        assert_eq!(told(send(request).await).await, (404, "validation_failed".into()), "{bytes}");
        let request = gateway.http.post(gateway.at(&format!("/logout?scope={bytes}"))).bearer_auth(token(&session));
        assert_eq!(told(send(request).await).await, (400, "validation_failed".into()), "{bytes}");
    }
    // Bytes of the path itself, a NUL in a header, a cookie that is no text.
    for (request, status) in [
        (&b"GET /auth/v1/\xff\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"[..], "40"),
        (b"GET /auth/v1/settings?\xff=\xfe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", ""),
        (b"GET /auth/v1/settings HTTP/1.1\r\nhost: x\r\nx-a: \0\r\nconnection: close\r\n\r\n", "400"),
        (b"GET /auth/v1/callback?state=x HTTP/1.1\r\nhost: x\r\ncookie: \xff=\xfe; workos-auth-x=x\r\nconnection: close\r\n\r\n", "302"),
        (b"GET /auth/v1/settings HTTP/1.1\r\nhost: \xff\r\norigin: \xff\r\nx-forwarded-for: \xff\r\nconnection: close\r\n\r\n", "200"),
        (b"GET /auth/v1/settings HTTP/1.1\r\nx-supabase-api-version: \xff\r\nhost: x\r\nconnection: close\r\n\r\n", "200"),
    ] {
        let answer = raw(&gateway.url, request).await;
        let shown = String::from_utf8_lossy(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && !answer.starts_with("HTTP/1.1 5"), "{shown}: {answer}");
    }
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
}

#[tokio::test]
async fn errors_have_the_form_of_the_version_that_is_asked_for() {
    let gateway = Gateway::start("bad_forms", &[]).await;
    for (path, status, code) in [
        ("/authorize", 400, "validation_failed"),
        ("/authorize?provider=workos", 400, "selector_missing"),
        ("/user", 401, "no_authorization"),
        ("/user/identities/authorize", 401, "no_authorization"),
    ] {
        let answer = send(gateway.get(path)).await;
        assert!(!answer.headers().contains_key("x-supabase-api-version"), "{path}");
        assert_eq!(told(answer).await, (status, code.into()), "{path}");

        let answer = send(gateway.get(path).header("x-supabase-api-version", "2024-01-01")).await;
        let headers = answer.headers().clone();
        assert_eq!(
            (answer.status().as_u16(), &headers["x-supabase-api-version"]),
            (status, &"2024-01-01".parse().unwrap())
        );
        assert_eq!(
            (&headers["x-sb-error-code"], &headers["content-type"]),
            (&code.parse().unwrap(), &"application/json".parse().unwrap())
        );
        let body: Value = answer.json().await.unwrap();
        assert_eq!(body["code"], code, "{path}");
        assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["code", "message"], "{path}");
    }
}

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
