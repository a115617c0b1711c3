//! `auth.use_request_token()`: whatever a request's headers hold, it is their token's session, none at all, or PT401.

use serde_json::{Value, json};
use tokio_postgres::Client;
use workos_end_to_end::bed::{BOB, set_session};
use workos_end_to_end::sql::{refused, refused_as, text};
use workos_end_to_end::{Bed, Mint, Refusal};

/// What a request of PostgREST's does first, in a transaction that stays open where it is served.
async fn request(client: &Client, headers: &str) -> Result<Option<String>, tokio_postgres::Error> {
    client.batch_execute("begin").await?;
    client.query_one("select set_config('request.headers', $1, true)", &[&headers]).await?;
    let outcome = async {
        client.query_one("select auth.use_request_token()", &[]).await?;
        text(client, "select auth.uid()").await
    };
    let outcome = outcome.await;
    client.batch_execute("rollback").await?;
    outcome
}

fn authorization(value: Value) -> String {
    json!({ "authorization": value, "host": "example.com" }).to_string()
}

#[tokio::test]
async fn a_bad_token_is_no_anonymous_visitor() {
    let mint = Mint::new("requests").await;
    let role = mint.bed.role("web", "").await;
    let web = mint.bed.connect(&role).await;
    let alice = Some(mint.session.user_id.to_string());
    let bob = mint.bed.sign_in(BOB).await;
    let good = &mint.session.access_token;
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let swapped = format!("{signed}.{}", bob.access_token.rsplit_once('.').unwrap().1);
    let unsigned = format!("{signed}.");
    // Somebody left a session on the connection: no request is served with it.
    set_session(&web, &bob.access_token, false).await.unwrap();
    for (what, token, name) in [
        ("nothing", "", "bad_jwt"),
        ("a word", "x", "bad_jwt"),
        ("another scheme behind", &format!("Bearer {good}"), "bad_jwt"),
        ("two tokens", &format!("{good} {good}"), "bad_jwt"),
        ("two tokens and a comma", &format!("{good}, {good}"), "bad_jwt"),
        ("quotes", &format!("\"{good}\""), "bad_jwt"),
        ("a part", signed, "bad_jwt"),
        ("a parameter", &format!("{good};x=1"), "bad_jwt"),
        ("not ASCII", "ж.ж.ж", "bad_jwt"),
        ("1 MB", &"A".repeat(1 << 20), "bad_jwt"),
        ("no signature", &unsigned, "bad_jwt_signature"),
        ("another's signature", &swapped, "bad_jwt_signature"),
        ("expired", &mint.token(json!({ "exp": 1 })), "bad_jwt_expired"),
        ("of no session", &mint.token(json!({ "session_id": uuid::Uuid::nil() })), "session_not_found"),
        ("of another installation", &mint.token(json!({ "iss": "somebody" })), "bad_jwt_issuer"),
    ] {
        let refusal: Refusal = {
            let outcome = request(&web, &authorization(json!(format!("Bearer {token}")))).await;
            assert!(outcome.is_err(), "{what}: {outcome:?}");
            refused_as(outcome, "PT401")
        };
        assert!(refusal.detail.starts_with(&format!("{name}: ")), "{what}: {refusal}");
        assert!(
            !refusal.to_string().contains(&signature[..12]) && !refusal.to_string().contains(&signed[..12]),
            "{what}"
        );
        let next = request(&web, &authorization(json!(format!("Bearer {good}")))).await.unwrap();
        assert_eq!(next, alice, "{what}: the next request");
    }
    for headers in
        ["x", "[]", "null", "\"Bearer x\"", "{", "{}{}", r#"{"authorization":1}"#, r#"{"authorization":["Bearer x"]}"#]
    {
        let refusal = refused_as(request(&web, headers).await, "PT401");
        assert!(refusal.detail.starts_with("bad_jwt: "), "{headers}: {refusal}");
    }
    for headers in [
        "{}",
        "",
        r#"{"authorization":null}"#,
        r#"{"authorization":""}"#,
        r#"{"authorization":"Basic Ym9iOng="}"#,
        r#"{"authorization":"Bearerx y"}"#,
        r#"{"proxy-authorization":"Bearer x"}"#,
    ] {
        assert_eq!(request(&web, headers).await.unwrap(), None, "{headers}");
    }
    for scheme in ["Bearer ", "bearer ", "BEARER ", " Bearer  ", "Bearer\t"] {
        let served = request(&web, &authorization(json!(format!("{scheme}{good}")))).await;
        assert_eq!(served.unwrap_or_else(|error| panic!("{scheme:?}: {error:?}")), alice, "{scheme:?}");
    }
    // It ends with the request.
    assert_eq!(text(&web, "select auth.uid()").await.unwrap(), Some(bob.user_id.to_string()));
}

#[tokio::test]
async fn a_role_that_policies_do_not_bind_is_no_web_role() {
    let bed = Bed::shared("unbound").await;
    let role = bed.role("web", "bypassrls").await;
    let web = bed.connect(&role).await;
    let bob = bed.sign_in(BOB).await;
    let headers = authorization(json!(format!("Bearer {}", bob.access_token)));
    refused(request(&web, &headers).await, "role_bypasses_rls");
    assert_eq!(text(&web, "select auth.uid()").await.unwrap(), None);
}

/// A trigger of somebody's table runs in the request's transaction, and reads settings.
#[tokio::test]
async fn a_token_that_was_taken_stands_in_no_setting() {
    let mint = Mint::new("requests_taken").await;
    let role = mint.bed.role("web", "").await;
    let web = mint.bed.connect(&role).await;
    let token = &mint.session.access_token;
    let bob = mint.bed.sign_in(BOB).await;
    let bob_client = mint.bed.connect(&role).await;
    let headers = "select current_setting('request.headers')";
    web.batch_execute("begin").await.unwrap();
    // Supabase's client keeps the tokens in a cookie on a server, in an encoding of its own. Proxies pass headers on by other names.
    let (cookie, bearer) = ("sb-auth-token=base64-e30", format!("Bearer {token}"));
    let given = json!({
        "authorization": bearer, "host": "example.com", "cookie": cookie, "x-forwarded-authorization": bearer, "x-list": [bearer],
    });
    let cookies = json!({ "sb-auth-token": "base64-e30" }).to_string();
    let sql = "select set_config('request.headers', $1, true), set_config('request.cookies', $2, true)";
    web.query_one(sql, &[&given.to_string(), &cookies]).await.unwrap();
    web.query_one("select auth.use_request_token()", &[]).await.unwrap();
    assert_eq!(text(&web, "select current_setting('request.cookies')").await.unwrap().as_deref(), Some("{}"));
    let taken = text(&web, headers).await.unwrap().unwrap();
    let signature = token.rsplit_once('.').unwrap().1;
    assert!(!taken.contains(signature) && taken.contains(r#""host":"example.com""#), "{taken}");
    assert!(!taken.contains("base64-e30"), "{taken}");
    // Nor where nobody is signed in by it.
    let cookies_alone = json!({ "host": "example.com", "cookie": cookie }).to_string();
    bob_client.batch_execute("begin").await.unwrap();
    bob_client.query_one(sql, &[&cookies_alone, &cookies]).await.unwrap();
    bob_client.query_one("select auth.use_request_token()", &[]).await.unwrap();
    let left = "select current_setting('request.headers') || current_setting('request.cookies')";
    assert_eq!(text(&bob_client, left).await.unwrap().as_deref(), Some(r#"{"host":"example.com"}{}"#));
    bob_client.batch_execute("rollback").await.unwrap();
    // A second call of the same transaction finds the session that the first one took.
    web.query_one("select auth.use_request_token()", &[]).await.unwrap();
    let alice = Some(mint.session.user_id.to_string());
    assert_eq!(text(&web, "select auth.uid()").await.unwrap(), alice);
    // The hash is nobody's token: with another session, or none, it is refused.
    for other in [Some(&bob.access_token), None] {
        web.batch_execute("rollback; begin").await.unwrap();
        if let Some(other) = other {
            set_session(&web, other, true).await.unwrap();
        }
        web.query_one("select set_config('request.headers', $1, true)", &[&taken]).await.unwrap();
        let refusal = refused_as(web.query_one("select auth.use_request_token()", &[]).await, "PT401");
        assert!(refusal.detail.starts_with("bad_jwt: "), "{refusal}");
    }
    web.batch_execute("rollback").await.unwrap();
}
