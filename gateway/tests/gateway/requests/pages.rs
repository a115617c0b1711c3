//! What a browser shows where no application is told of a failure: a page for people, in which nothing that was sent is markup.

use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{RequestBuilder, Response};
use serde_json::Value;
use workos_end_to_end::Bed;

use crate::common::{CHALLENGE, Gateway, PAGE, Program, free_port, pkce, send, set_up};

/// As Chromium asks for a page.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,\
    application/signed-exchange;v=b3;q=0.7";

fn browses(request: RequestBuilder) -> RequestBuilder {
    request.header(ACCEPT, BROWSER)
}

/// The text of a page, which must be whole by itself.
async fn page(answer: Response, what: &str) -> String {
    let headers = answer.headers().clone();
    let text = answer.text().await.unwrap();
    assert_eq!(headers[CONTENT_TYPE], "text/html; charset=utf-8", "{what}: {text}");
    for (name, value) in
        [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer")]
    {
        assert_eq!(headers[name], value, "{what}: {name}");
    }
    let nonce = text.split_once("nonce=\"").unwrap().1.split_once('"').unwrap().0;
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(headers["content-security-policy"], policy.as_str(), "{what}");
    assert_eq!(headers.get_all(CONTENT_TYPE).iter().count(), 1, "{what}");
    assert!(text.starts_with("<!doctype html>\n<html lang=\"en\">"), "{what}: {text}");
    for outside in ["src=", "href=", "url(", "@import", "<script", "<form", "http-equiv"] {
        assert!(!text.contains(outside), "{what}: {outside} in {text}");
    }
    let code = headers["x-sb-error-code"].to_str().unwrap();
    let id = headers["x-request-id"].to_str().unwrap();
    assert!(text.contains(&format!("({code}, request {id})")), "{what}: {text}");
    text
}

#[tokio::test]
async fn a_browser_is_shown_a_page_that_says_what_to_do_and_a_program_gets_json() {
    let gateway = Gateway::start("told", &[]).await;
    let good = format!("provider=workos&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    for (path, status, title) in [
        ("/authorize".to_owned(), 400, "This sign-in cannot begin"),
        ("/authorize?provider=workos".into(), 400, "This sign-in cannot begin"),
        ("/authorize?provider=google".into(), 400, "This sign-in cannot begin"),
        ("/authorize?provider=workos&invite_token=x".into(), 404, "This sign-in cannot begin"),
        (
            "/authorize?provider=workos&organization=org_acme&redirect_to=https://evil.test/".into(),
            400,
            "This sign-in cannot begin",
        ),
        (format!("/authorize?{good}&organization=org_globex"), 400, "This sign-in cannot begin"),
        ("/authorize?provider=workos&organization=%00".into(), 400, "This sign-in cannot begin"),
    ] {
        let answer = send(browses(gateway.get(&path))).await;
        assert_eq!(answer.status(), status, "{path}");
        let code = answer.headers()["x-sb-error-code"].clone();
        let text = page(answer, &path).await;
        assert!(text.contains(&format!("<title>{title}</title>")), "{path}: {text}");
        assert!(text.contains("Go back to the application and sign in again."), "{path}: {text}");
        // The same for a program, in the form that Supabase's clients know.
        for accept in [Some("application/json"), Some("*/*"), Some("application/json, text/plain, */*"), None] {
            let request = gateway.get(&path);
            let answer = send(accept.into_iter().fold(request, |request, accept| request.header(ACCEPT, accept))).await;
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/json", "{path} {accept:?}");
            assert_eq!((answer.status().as_u16(), &answer.headers()["x-sb-error-code"]), (status, &code), "{path}");
            let body: Value = answer.json().await.unwrap();
            assert_eq!(
                (&body["code"], &body["error_code"]),
                (&status.into(), &code.to_str().unwrap().into()),
                "{path}"
            );
        }
        // As for Supabase's client with skipBrowserRedirect.
        let skips = format!("{path}{}skip_http_redirect=true", if path.contains('?') { "&" } else { "?" });
        let answer = send(browses(gateway.get(&skips))).await;
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json", "{skips}");
    }
    // What succeeds is a redirect, and other endpoints are no browser's.
    assert_eq!(send(browses(gateway.get(&format!("/authorize?{good}")))).await.status(), 302);
    assert_eq!(send(browses(gateway.get("/callback?state=x&code=x"))).await.status(), 302);
    assert_eq!(send(browses(gateway.get("/user"))).await.headers()[CONTENT_TYPE], "application/json");
}

#[tokio::test]
async fn nothing_that_was_sent_is_markup() {
    let gateway = Gateway::start("markup", &["--trusted-proxies", "127.0.0.1"]).await;
    for (sent, shown) in [
        ("%3Cscript%3Ealert(1)%3C/script%3E", "&lt;script&gt;alert(1)&lt;/script&gt;"),
        ("%22%20onload%3D%22x", "&quot; onload=&quot;x"),
        ("%27%26%3Cb%3E", "&#39;&amp;&lt;b&gt;"),
        ("%3C%2Ftitle%3E%3Cimg%20src%3Dx%3E", "&lt;/title&gt;&lt;img src=x&gt;"),
    ] {
        let answer = send(browses(gateway.get(&format!("/authorize?provider={sent}")))).await;
        let text = answer.text().await.unwrap();
        assert!(text.contains(&format!("Provider {shown} could not be found")), "{text}");
        for markup in ["<script", "<img", "<b>", "onload=\""] {
            assert!(!text.contains(markup), "{markup} in {text}");
        }
    }
}

#[tokio::test]
async fn what_passes_is_told_to_wait_for() {
    // Too many of them.
    let gateway = Gateway::start("many", &["--rate-limit", "1", "--rate-limit-burst", "1"]).await;
    for path in ["/authorize", "/callback"] {
        send(browses(gateway.get(path))).await;
        let answer = send(browses(gateway.get(path))).await;
        assert_eq!(answer.status(), 429, "{path}");
        let wait = answer.headers()[RETRY_AFTER].to_str().unwrap().to_owned();
        let text = page(answer, path).await;
        assert!(text.contains("Too many sign-ins at once"), "{path}: {text}");
        assert!(text.contains(&format!("Wait {wait} seconds, and then reload this page.")), "{path}: {text}");
    }

    // No database.
    let bed = Bed::shared("away").await;
    let role = set_up(&bed).await;
    let url = format!("postgres://{role}@127.0.0.1:{}/app", free_port());
    let gateway = Program::start_in(&bed, &[("DATABASE_URL", &url)], &["--max-body", "100"]).await;
    let good = format!("/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let form = gateway.http.post(gateway.at("/callback")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    for (what, request) in [
        ("authorize", gateway.get(&good)),
        ("callback", gateway.get("/callback?state=x&code=x")),
        ("a form", form.try_clone().unwrap().body("state=x&code=x")),
    ] {
        let answer = send(browses(request)).await;
        assert_eq!(answer.status(), 503, "{what}");
        let text = page(answer, what).await;
        assert!(text.contains("You cannot be signed in at the moment"), "{what}: {text}");
        assert!(text.contains("Wait a moment, and then reload this page."), "{what}: {text}");
        assert!(!text.contains(&role) && !text.contains("127.0.0.1"), "{what}: {text}");
    }
    let answer = send(browses(form.body("x".repeat(101)))).await;
    assert_eq!(answer.status(), 413);
    page(answer, "a form that is too large").await;
}
