//! `GET /user` with a token that a trusted issuer has signed: its person is made known where the flag says so.

use reqwest::StatusCode;
use serde_json::{Value, json};
use workos_auth_core::token::Algorithm;
use workos_end_to_end::issuer::OtherIssuer;
use workos_end_to_end::sql::text;

use crate::common::{Gateway, ok, refused, send};

const ISSUER: &str = "https://api.example.com";

#[tokio::test]
async fn people_of_trusted_issuers_are_made_known_where_the_flag_says_so() {
    let refusing = Gateway::start("refusing", &[]).await;
    let accepting = Gateway::start("accepting", &["--accept-tokens"]).await;
    for (gateway, accepts) in [(&refusing, false), (&accepting, true)] {
        let issuer = OtherIssuer::new(ISSUER, Algorithm::Es256);
        issuer.is_trusted_by(&gateway.bed).await;
        let token = issuer.token("ann", json!({}));
        let people = async || text(&gateway.bed.admin, "select count(*) from auth.users").await.unwrap().unwrap();
        for method in [reqwest::Method::GET, reqwest::Method::PUT] {
            let request = || {
                let request = gateway.http.request(method.clone(), gateway.at("/user")).bearer_auth(&token);
                if method == reqwest::Method::PUT {
                    request.json(&json!({ "data": { "theme": "dark" } }))
                } else {
                    request
                }
            };
            if accepts {
                let user: Value = ok(send(request()).await).await;
                assert_eq!(user["identities"][0]["provider"], ISSUER, "{user}");
                assert_eq!(people().await, "1");
            } else {
                let (status, code, _) = refused(send(request()).await).await;
                assert_eq!((status, &*code), (StatusCode::FORBIDDEN.as_u16(), "person_not_accepted"));
                assert_eq!(people().await, "0");
            }
        }
        // A token that is not good makes nobody known, and neither does one of a session that ended here.
        for (what, token) in [
            ("another's signature", OtherIssuer::new(ISSUER, Algorithm::Es256).token("eve", json!({}))),
            ("expired", issuer.token("eve", json!({ "exp": 1 }))),
        ] {
            let before = people().await;
            refused(send(gateway.get("/user").bearer_auth(&token)).await).await;
            assert_eq!(people().await, before, "{what}");
        }
        gateway
            .bed
            .admin
            .batch_execute("select auth.revoke_session('https://api.example.com', 'session_eve')")
            .await
            .unwrap();
        let (_, code, _) = refused(send(gateway.get("/user").bearer_auth(issuer.token("eve", json!({})))).await).await;
        assert_eq!(code, "session_not_found");
    }
}
