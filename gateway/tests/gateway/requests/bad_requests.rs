//! What clients should not send: wrong methods, bodies, parameters and tokens. Each gets the right status and code.

use reqwest::Method;
use reqwest::header::{ALLOW, AUTHORIZATION, COOKIE, HeaderValue};
use serde_json::{Value, json};
use workos_end_to_end::ALICE;

use crate::common::{
    self, CHALLENGE, Gateway, PAGE, PKCE, REFRESH, VERIFIER, eventually, ok, pkce, raw, send, token, told,
};

const SOME_ID: &str = "/user/identities/00000000-0000-4000-8000-000000000001";
/// Larger than any body that is read.
const TWO_MEGABYTES: usize = 2 * 1024 * 1024;

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
    for path in ["", "/", "/x", "/authorize/", "//authorize", "/Authorize", "/token/", "/metrics", "/signup/", "/oauth"]
    {
        for method in [Method::GET, Method::POST] {
            let answer = send(gateway.http.request(method, gateway.at(path))).await;
            assert_eq!(told(answer).await, (404, "not_found".into()), "{path}");
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
        ("?grant_type=PKCE", "invalid_credentials"),
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
        (REFRESH, json!({ "refresh_token": "\0" }), 400, "refresh_token_not_found"),
        (REFRESH, json!({ "refresh_token": "no such token" }), 400, "refresh_token_not_found"),
        (REFRESH, json!({ "refresh_token": "\u{1f511}".repeat(9000) }), 400, "refresh_token_not_found"),
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
async fn a_request_has_one_host_that_is_one() {
    let port = common::free_port();
    let gateway = Gateway::start("bad_hosts", &["--admin-listen", &format!("127.0.0.1:{port}")]).await;
    let admin = format!("http://127.0.0.1:{port}");
    for (version, hosts, status) in [
        ("1.1", &[&b""[..]][..], 200),
        ("1.1", &[b"api.example.com"], 200),
        ("1.1", &[b"api.example.com:443"], 200),
        ("1.1", &[b"127.0.0.1:9999"], 200),
        ("1.1", &[b"[::1]:9999"], 200),
        ("1.1", &[], 400),
        ("1.1", &[b"a", b"a"], 400),
        ("1.1", &[b"a", b"b"], 400),
        ("1.1", &[b"a", b""], 400),
        ("1.1", &[b"\xff"], 400),
        ("1.1", &[b"a b"], 400),
        ("1.1", &[b"a/b"], 400),
        ("1.1", &[b"a?b"], 400),
        ("1.1", &[b"user@a"], 400),
        ("1.0", &[], 200),
        ("1.0", &[b"a"], 200),
        ("1.0", &[b"a", b"b"], 400),
        ("1.0", &[b"\xff"], 400),
    ] {
        for (url, path) in
            [(&gateway.url, "/auth/v1/health"), (&admin, "/health"), (&gateway.url, "http://a/auth/v1/health")]
        {
            let mut request = format!("GET {path} HTTP/{version}\r\nconnection: close\r\n").into_bytes();
            for host in hosts {
                request.extend([b"host: ", *host, b"\r\n"].concat());
            }
            request.extend(b"\r\n");
            let answer = raw(url, &request).await;
            let shown = String::from_utf8_lossy(&request);
            assert!(answer.starts_with(&format!("HTTP/{version} {status} ")), "{shown}: {answer}");
            assert_eq!(answer.contains("\"validation_failed\""), status == 400, "{shown}: {answer}");
        }
    }
}

#[tokio::test]
async fn what_several_lines_or_bytes_that_are_no_text_say_counts_for_nobody() {
    let gateway = Gateway::start("bad_lines", &["--trusted-proxies", "127.0.0.1"]).await;
    let session = gateway.sign_in(ALICE).await;
    let seen = async |lines: &[&[u8]]| {
        let mut request = gateway.get("/health");
        for line in lines {
            request = request.header("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        let id = send(request).await.headers()["x-request-id"].to_str().unwrap().to_owned();
        let line = || gateway.log().lines().find(|line| line.contains(&id)).map(str::to_owned);
        eventually("it is in the log", async || line().is_some()).await;
        serde_json::from_str::<Value>(&line().unwrap()).unwrap()["address"].as_str().unwrap().to_owned()
    };
    for (lines, expected) in [
        (&[&b"1.2.3.9"[..]][..], "1.2.3.9"),
        // The client's own line, and what the proxy made of something that is no text.
        (&[b"1.2.3.9", b"\xff"], "127.0.0.1"),
        (&[b"1.2.3.9", b"caf\xc3\xa9"], "127.0.0.1"),
        (&[b"1.2.3.9", b"\xff, 198.51.100.7"], "198.51.100.7"),
        (&[b"1.2.3.9, \xff"], "127.0.0.1"),
        (&[b"1.2.3.9", b"unknown"], "127.0.0.1"),
        (&[b"1.2.3.9", b"_secret:80"], "127.0.0.1"),
    ] {
        let shown = lines.iter().map(|line| line.escape_ascii().to_string()).collect::<Vec<_>>();
        assert_eq!(seen(lines).await, expected, "{shown:?}");
    }

    let id = async |lines: &[&[u8]]| {
        let mut request = gateway.get("/health");
        for line in lines {
            request = request.header("x-request-id", HeaderValue::from_bytes(line).unwrap());
        }
        send(request).await.headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    assert_eq!(id(&[b"proxy-1"]).await, "proxy-1");
    for lines in [&[&b"mine"[..], b"proxy-1"][..], &[b"proxy-1", b"\xff"], &[b"\xff", b"proxy-1"], &[b"\xff"]] {
        let id = id(lines).await;
        assert!(id.len() == 36 && id.parse::<uuid::Uuid>().is_ok(), "{id}");
    }

    let good = format!("Bearer {}", token(&session));
    for other in [&b"\xff"[..], b"Bearer x", good.as_bytes(), b""] {
        for [first, second] in [[good.as_bytes(), other], [other, good.as_bytes()]] {
            let lines = [first, second].map(|line| HeaderValue::from_bytes(line).unwrap());
            let [first, second] = lines.clone();
            let answer = send(gateway.get("/user").header(AUTHORIZATION, first).header(AUTHORIZATION, second)).await;
            assert_eq!(told(answer).await, (401, "no_authorization".into()), "{lines:?}");
        }
    }

    // Another application of the same host has a cookie that is no text: ours beside it still binds.
    let (callback, cookie) =
        gateway.to_callback(&format!("organization=org_acme&redirect_to={PAGE}"), ALICE.email).await;
    let cookies = [b"theme=d\xfcster; ", cookie.as_bytes(), b"; caf\xc3\xa9=1"].concat();
    let answer = send(gateway.http.get(callback).header(COOKIE, HeaderValue::from_bytes(&cookies).unwrap())).await;
    let end = common::redirect(answer);
    assert!(end.fragment().contains_key("access_token"), "{}", end.url);
}
