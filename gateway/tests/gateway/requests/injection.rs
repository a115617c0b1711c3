//! Bytes that are meant to do harm: nothing of them gets into a header of the answer, and none of them breaks anything.

use reqwest::header::{HeaderValue, LOCATION, USER_AGENT};
use reqwest::{Method, RequestBuilder};
use serde_json::json;
use workos_end_to_end::ALICE;

use crate::common::{
    CHALLENGE, Gateway, PAGE, PKCE, REFRESH, SITE_URL, VERIFIER, ok, pkce, raw, redirect, refused, send, token, told,
};

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
        (b"GET /auth/v1/settings HTTP/1.1\r\nhost: x\r\norigin: \xff\r\nx-forwarded-for: \xff\r\nconnection: close\r\n\r\n", "200"),
        (b"GET /auth/v1/settings HTTP/1.1\r\nx-supabase-api-version: \xff\r\nhost: x\r\nconnection: close\r\n\r\n", "200"),
    ] {
        let answer = raw(&gateway.url, request).await;
        let shown = String::from_utf8_lossy(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")) && !answer.starts_with("HTTP/1.1 5"), "{shown}: {answer}");
    }
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
}
