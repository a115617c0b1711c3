//! The authorize URL, and sign-ins of callers that hold their own challenge, or none.

use std::time::{Duration, SystemTime};

use tokio_postgres::Client;
use url::Url;
use workos_end_to_end::case;
use workos_end_to_end::{ALICE, ANNA, Bed, Pending, Person, exchange, refused, start};
use workos_testbed::browser_sign_in;

/// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

async fn url(client: &Client, arguments: &str) -> Result<String, tokio_postgres::Error> {
    Ok(client.query_one(&format!("select auth.workos_authorize_url({arguments})"), &[]).await?.get(0))
}

fn values(url: &str, name: &str) -> Vec<String> {
    let url = Url::parse(url).unwrap();
    url.query_pairs().filter(|(key, _)| key == name).map(|(_, value)| value.into_owned()).collect()
}

#[tokio::test]
async fn a_caller_with_its_own_challenge_exchanges_with_its_own_verifier() {
    let bed = Bed::shared("own").await;
    let app = bed.backend().await;
    // Supabase's clients send the method in lower case.
    for method in ["", ", code_challenge_method => 'S256'", ", code_challenge_method => 's256'"] {
        case!(method);
        let url =
            url(&app, &format!("organization => 'org_acme', code_challenge => '{CHALLENGE}'{method}")).await.unwrap();
        assert!(!url.contains(CHALLENGE), "the client's challenge is not WorkOS's business: {url}");
        let callback = browser_sign_in(&url, Some(ALICE.email)).await.unwrap();
        let sql = "select email from auth.exchange_code($1, verifier => $2)";
        let row = app.query_one(sql, &[&callback.code, &VERIFIER]).await.unwrap();
        assert_eq!(row.get::<_, &str>(0), ALICE.email);
    }
}

#[tokio::test]
async fn a_challenge_serves_as_many_sign_ins_as_are_begun_with_it_and_the_state_tells_them_apart() {
    let bed = Bed::shared("twice").await;
    let app = bed.backend().await;
    let arguments = format!("organization => 'org_acme', code_challenge => '{CHALLENGE}'");
    let mut begun = Vec::new();
    for email in [ALICE.email, ANNA.email] {
        let url = url(&app, &arguments).await.unwrap();
        let callback = browser_sign_in(&url, Some(email)).await.unwrap();
        begun.push(Pending { url, code: callback.code, verifier: VERIFIER.into(), state: callback.state });
    }
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 2);
    // Without it WorkOS might be shown one sign-in's code with the other's verifier, and the code would be spent.
    let by_verifier = "select email from auth.exchange_code($1, verifier => $2)";
    let refusal = refused(app.query_one(by_verifier, &[&begun[0].code, &VERIFIER]).await, "code_challenge_in_use");
    assert!(refusal.detail.contains("state"), "{refusal}");
    assert!(bed.token_requests().is_empty(), "WorkOS was asked");
    let session = exchange(&app, &begun[1]).await.unwrap();
    assert_eq!(session.email, ANNA.email);
    // One is left.
    let row = app.query_one(by_verifier, &[&begun[0].code, &VERIFIER]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), ALICE.email);
    // One that has expired is in nobody's way.
    url(&app, &arguments).await.unwrap();
    bed.admin.batch_execute("update auth.flow_states set expires_at = now() - interval '1 s'").await.unwrap();
    let url = url(&app, &arguments).await.unwrap();
    let callback = browser_sign_in(&url, Some(ALICE.email)).await.unwrap();
    app.query_one(by_verifier, &[&callback.code, &VERIFIER]).await.unwrap();
}

#[tokio::test]
async fn a_sign_in_without_challenge_is_found_by_its_state_alone() {
    let bed = Bed::shared("state").await;
    let app = bed.backend().await;
    let url = url(&app, "organization => 'org_acme'").await.unwrap();
    assert_eq!(values(&url, "code_challenge").len(), 1, "toward WorkOS there always is one");
    let callback = browser_sign_in(&url, Some(ALICE.email)).await.unwrap();
    // A verifier that nobody asked for does not fit the state's flow, and burns nothing.
    let sql = "select * from auth.exchange_code($1, $2, $3)";
    refused(app.query_one(sql, &[&callback.code, &VERIFIER, &callback.state]).await, "bad_code_verifier");
    refused(app.query_one("select auth.exchange_code($1)", &[&callback.code]).await, "code_verifier_required");
    assert!(bed.token_requests().is_empty());
    let sql = "select email from auth.exchange_code($1, state => $2)";
    let row = app.query_one(sql, &[&callback.code, &callback.state]).await.unwrap();
    assert_eq!(row.get::<_, &str>(0), ALICE.email);
}

#[tokio::test]
async fn a_sign_in_with_challenge_is_not_exchanged_by_its_state_alone() {
    let bed = Bed::shared("needs").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let sql = "select email from auth.exchange_code($1, state => $2)";
    refused(app.query_one(sql, &[&pending.code, &pending.state]).await, "code_verifier_required");
    assert!(bed.token_requests().is_empty());
    exchange(&app, &pending).await.unwrap();
}

#[tokio::test]
async fn sign_ins_without_challenge_can_be_forbidden() {
    let bed = Bed::shared("require").await;
    bed.set("workos_auth.require_code_challenge", "on").await;
    let app = bed.backend().await;
    refused(url(&app, "organization => 'org_acme'").await, "code_challenge_required");
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
    url(&app, &format!("organization => 'org_acme', code_challenge => '{CHALLENGE}'")).await.unwrap();
    let pending = start(&app, ALICE).await;
    exchange(&app, &pending).await.unwrap();
}

#[tokio::test]
async fn plain_is_refused_unless_it_is_allowed() {
    let bed = Bed::shared("plain").await;
    let app = bed.backend().await;
    let arguments =
        format!("organization => 'org_acme', code_challenge => '{VERIFIER}', code_challenge_method => 'plain'");
    refused(url(&app, &arguments).await, "code_challenge_method_not_allowed");

    bed.set("workos_auth.allow_plain_pkce", "on").await;
    let app = bed.backend().await;
    let url = url(&app, &arguments).await.unwrap();
    assert_eq!(values(&url, "code_challenge_method"), ["S256"], "never toward WorkOS");
    let callback = browser_sign_in(&url, Some(ALICE.email)).await.unwrap();
    let pending = Pending { url, code: callback.code, verifier: VERIFIER.into(), state: callback.state };
    // Who knows only the S256 of the verifier does not have it.
    refused(exchange(&app, &Pending { verifier: CHALLENGE.into(), ..pending.clone() }).await, "bad_code_verifier");
    exchange(&app, &pending).await.unwrap();
}

#[tokio::test]
async fn an_s256_challenge_is_not_taken_for_a_plain_one() {
    let bed = Bed::shared("downgrade").await;
    bed.set("workos_auth.allow_plain_pkce", "on").await;
    let app = bed.backend().await;
    let url = url(&app, &format!("organization => 'org_acme', code_challenge => '{CHALLENGE}'")).await.unwrap();
    let callback = browser_sign_in(&url, Some(ALICE.email)).await.unwrap();
    // A challenge is a well-formed verifier; whoever saw it must not get in with it.
    let stolen = Pending { url, code: callback.code, verifier: CHALLENGE.into(), state: callback.state };
    refused(exchange(&app, &stolen).await, "bad_code_verifier");
    assert!(bed.token_requests().is_empty());
    exchange(&app, &Pending { verifier: VERIFIER.into(), ..stolen }).await.unwrap();
}

#[tokio::test]
async fn every_parameter_reaches_workos() {
    let bed = Bed::shared("params").await;
    let app = bed.backend().await;
    let url = url(
        &app,
        r#"provider => 'GoogleOAuth', login_hint => 'gina@gmail.com', domain_hint => 'gmail.com', params => '{
            "provider_scopes": ["email", "https://www.googleapis.com/auth/drive.readonly"],
            "provider_query_params": {"hd": "gmail.com", "access_type": "offline & more"},
            "prompt": "login", "nonce": null, "max_age": 60, "flag": true}'"#,
    )
    .await
    .unwrap();
    browser_sign_in(&url, None).await.unwrap();
    let seen = bed.simulator().requests();
    let authorize = seen.iter().find(|request| request.path == "/sso/authorize").unwrap();
    let all = |name: &str| -> Vec<&str> {
        authorize.query.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str()).collect()
    };
    assert_eq!(all("provider_scopes"), ["email", "https://www.googleapis.com/auth/drive.readonly"]);
    assert_eq!(all("provider_query_params[hd]"), ["gmail.com"]);
    assert_eq!(all("provider_query_params[access_type]"), ["offline & more"]);
    for (name, value) in [
        ("provider", "GoogleOAuth"),
        ("login_hint", "gina@gmail.com"),
        ("domain_hint", "gmail.com"),
        ("prompt", "login"),
        ("max_age", "60"),
        ("flag", "true"),
        ("client_id", "client_demo"),
    ] {
        assert_eq!(all(name), [value], "{name}");
    }
    assert!(all("nonce").is_empty(), "null says nothing");
}

#[tokio::test]
async fn what_start_returns_has_the_types_and_the_times_it_says() {
    let bed = Bed::shared("types").await;
    bed.set("workos_auth.flow_ttl", "10min").await;
    let app = bed.backend().await;
    let sql = "select pg_typeof(url)::text, pg_typeof(state)::text, pg_typeof(code_verifier)::text, pg_typeof(expires_at)::text,
                   state, code_verifier, expires_at from auth.start_sign_in(organization => 'org_acme')";
    let row = app.query_one(sql, &[]).await.unwrap();
    let types: Vec<&str> = (0..4).map(|column| row.get(column)).collect();
    assert_eq!(types, ["text", "text", "text", "timestamp with time zone"]);
    for secret in [row.get::<_, &str>("state"), row.get::<_, &str>("code_verifier")] {
        assert!(
            secret.len() == 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "256 bits"
        );
    }
    let left = row.get::<_, SystemTime>("expires_at").duration_since(SystemTime::now()).unwrap();
    assert!(left > Duration::from_secs(480) && left <= Duration::from_secs(601), "{left:?}");

    let sql = "select attribute.attname::text || ' ' || format_type(attribute.atttypid, attribute.atttypmod)
               from pg_attribute attribute where attrelid = 'auth.session'::regclass order by attnum";
    let columns: Vec<String> = bed.admin.query(sql, &[]).await.unwrap().iter().map(|row| row.get(0)).collect();
    assert_eq!(
        columns,
        [
            "access_token text",
            "refresh_token text",
            "expires_at timestamp with time zone",
            "session_id uuid",
            "user_id uuid",
            "email text",
            "organization_id text",
            "is_new_user boolean",
            "redirect_to text",
            "provider_token text",
            "claims jsonb",
        ]
    );
}

#[tokio::test]
async fn redirect_to_may_be_the_site_itself_or_what_is_listed() {
    let bed = Bed::shared("redirects").await;
    bed.set("workos_auth.site_url", "https://app.example.com").await;
    bed.admin
        .batch_execute("insert into auth.redirect_urls (pattern) values ('https://*-team.vercel.app/**')")
        .await
        .unwrap();
    let app = bed.backend().await;
    for allowed in
        ["https://app.example.com/a?b=c#d", "https://pr-7-team.vercel.app/x/y", "http://localhost:3000/todos"]
    {
        let person =
            Person { selector: "organization => 'org_acme', redirect_to => current_setting('test.to')", ..ALICE };
        app.execute("select set_config('test.to', $1, false)", &[&allowed]).await.unwrap();
        let pending = start(&app, person).await;
        assert_eq!(exchange(&app, &pending).await.unwrap().redirect_to.as_deref(), Some(allowed));
    }
    for refused_url in [
        "https://app.example.com.evil.com/",
        "https://evil-team.vercel.app.evil.com/x",
        "http://localhost:3001/",
        "http://app.example.com/",
    ] {
        let sql = "select auth.start_sign_in(organization => 'org_acme', redirect_to => $1)";
        refused(app.query_one(sql, &[&refused_url]).await, "redirect_to_not_allowed");
    }
}

#[tokio::test]
async fn starting_removes_flows_that_expired() {
    let bed = Bed::shared("expired").await;
    let app = bed.backend().await;
    for _ in 0..5 {
        start(&app, ALICE).await;
    }
    bed.admin.batch_execute("update auth.flow_states set expires_at = now() - interval '1 s'").await.unwrap();
    for left in [4, 3, 3, 4] {
        case!(left);
        start(&app, ALICE).await;
        assert_eq!(bed.count("select count(*) from auth.flow_states").await, left);
    }
}
