//! Clients that send a visitor's key as apikey and as bearer token, as Supabase's do while nobody is signed in.

use reqwest::Method;
use serde_json::json;
use workos_end_to_end::ALICE;
use workos_end_to_end::sql::text;

use crate::common::{Gateway, ok, send, token, told};

#[tokio::test]
async fn a_visitors_key_is_nobody() {
    let gateway = Gateway::start("visitors", &[]).await;
    let bed = &gateway.bed;
    bed.admin.batch_execute(&bed.named("create role DATABASE_anon nologin")).await.unwrap();
    // A connection that knows the settings which the gateway was set up with.
    let admin = bed.superuser().await;
    let key = text(&admin, &bed.named("select auth.create_visitor_token('DATABASE_anon')")).await.unwrap().unwrap();
    // Where somebody is needed there is nobody.
    for (method, path, body) in [
        (Method::GET, "/user", None),
        (Method::PUT, "/user", Some(json!({ "data": { "a": 1 } }))),
        (Method::POST, "/logout", None),
        (Method::DELETE, "/user/identities/00000000-0000-4000-8000-000000000001", None),
    ] {
        let mut request =
            gateway.http.request(method.clone(), gateway.at(path)).bearer_auth(&key).header("apikey", &key);
        if let Some(body) = &body {
            request = request.json(body);
        }
        let (status, code) = told(send(request).await).await;
        assert_eq!(status, 401, "{method} {path}");
        assert_eq!(code, "no_authorization", "{method} {path}");
    }
    // And where nobody is needed, it is no hindrance.
    for path in ["/settings", "/.well-known/jwks.json", "/health"] {
        let answer = send(gateway.get(path).bearer_auth(&key).header("apikey", &key)).await;
        assert_eq!(answer.status(), 200, "{path}");
    }
    let session = gateway.sign_in(ALICE).await;
    let refresh = json!({ "refresh_token": session["refresh_token"] });
    let request = gateway.post("/token?grant_type=refresh_token", &refresh).bearer_auth(&key).header("apikey", &key);
    let refreshed = ok(send(request).await).await;
    let user = ok(send(gateway.get("/user").bearer_auth(token(&refreshed)).header("apikey", &key)).await).await;
    assert_eq!(user["email"], ALICE.email);
}
