//! Endpoints of Supabase Auth that are not there: they answer as where the method is switched off.

use reqwest::Method;
use serde_json::json;
use workos_end_to_end::ALICE;

use crate::common::{Gateway, send, token, told};

#[tokio::test]
async fn what_is_switched_off_has_supabases_name_for_that() {
    let gateway = Gateway::start("off_names", &[]).await;
    let session = gateway.sign_in(ALICE).await;
    let (email, phone) =
        (json!({ "email": "a@acme.com", "password": "x" }), json!({ "phone": "+4912345", "email": "" }));
    for (path, body, status, code) in [
        ("/signup", &email, 400, "email_provider_disabled"),
        ("/signup", &phone, 400, "phone_provider_disabled"),
        ("/signup", &json!({ "data": {} }), 422, "anonymous_provider_disabled"),
        ("/signup", &json!([]), 422, "anonymous_provider_disabled"),
        ("/otp", &email, 422, "email_provider_disabled"),
        ("/otp", &phone, 400, "phone_provider_disabled"),
        ("/otp", &json!({}), 400, "validation_failed"),
        ("/magiclink", &email, 422, "email_provider_disabled"),
        ("/recover", &email, 400, "email_provider_disabled"),
        ("/resend", &email, 400, "email_provider_disabled"),
        ("/resend", &phone, 400, "phone_provider_disabled"),
        ("/verify", &email, 422, "otp_disabled"),
        ("/sso/saml/acs", &json!({}), 404, "saml_provider_disabled"),
        ("/passkeys/authentication/options", &json!({}), 404, "passkey_disabled"),
        ("/oauth/token", &json!({}), 404, "feature_disabled"),
        ("/user/oauth/grants", &json!({}), 404, "feature_disabled"),
        ("/token?grant_type=password", &email, 422, "email_provider_disabled"),
        ("/token?grant_type=password", &phone, 422, "phone_provider_disabled"),
        ("/token?grant_type=id_token", &json!({ "id_token": "x" }), 400, "provider_disabled"),
        ("/token?grant_type=web3", &json!({}), 422, "web3_provider_disabled"),
        ("/token?grant_type=x", &json!({}), 400, "invalid_credentials"),
    ] {
        assert_eq!(told(send(gateway.post(path, body)).await).await, (status, code.into()), "{path} {body}");
    }
    for (method, path, status, code) in [
        (Method::GET, "/reauthenticate", 400, "email_provider_disabled"),
        (Method::POST, "/factors", 422, "mfa_totp_enroll_not_enabled"),
        (Method::POST, "/factors/1/challenge", 422, "mfa_totp_verify_not_enabled"),
        (Method::POST, "/factors/1/verify", 422, "mfa_totp_verify_not_enabled"),
        (Method::DELETE, "/factors/1", 404, "mfa_factor_not_found"),
        (Method::GET, "/admin/users", 403, "not_admin"),
        (Method::POST, "/admin/users", 403, "not_admin"),
        (Method::PUT, "/admin/users/1", 403, "not_admin"),
        (Method::POST, "/admin/generate_link", 403, "not_admin"),
        (Method::POST, "/invite", 403, "not_admin"),
    ] {
        let request = || gateway.http.request(method.clone(), gateway.at(path)).json(&json!({}));
        let answer = send(request().bearer_auth(token(&session))).await;
        assert_eq!(told(answer).await, (status, code.into()), "{method} {path}");
        // Who nobody knows is told that first.
        assert_eq!(told(send(request()).await).await, (401, "no_authorization".into()), "{method} {path}");
        let answer = send(request().bearer_auth("sb_secret_key")).await;
        assert_eq!(told(answer).await, (401, "bad_jwt".into()), "{method} {path}");
    }
}
