//! Sign-ins through AuthKit, for which Supabase's client asks by a parameter.

use serde_json::json;
use workos_testbed::workos::CLIENT_SECRET;

use crate::common::{CHALLENGE, Gateway, PAGE, VERIFIER, ok, pkce};

#[tokio::test]
async fn a_sign_in_through_authkit_gives_such_a_session_too() {
    let gateway = Gateway::start("gw_authkit", &[]).await;
    let switch_on = "select auth.configure_authkit(client_id, redirect_uri, client_secret => $1, api_url => api_url) from auth.providers";
    gateway.bed.admin.execute(switch_on, &[&CLIENT_SECRET]).await.unwrap();
    gateway.bed.person("ann@acme.com", &["org_acme"]);
    let query = format!("workos_provider=authkit&organization=org_acme&redirect_to={PAGE}&{}", pkce(CHALLENGE));
    let end = gateway.browse(&query, "ann@acme.com").await;
    let body = json!({ "auth_code": end.query("code"), "code_verifier": VERIFIER });
    let session = ok(gateway.post("/token?grant_type=pkce", &body).send().await.unwrap()).await;
    assert_eq!((&session["user"]["email"], session.get("provider_token")), (&json!("ann@acme.com"), None));
    let kept =
        "select count(*) from auth.sessions where authkit_session_id like 'session_%' and organization_id = 'org_acme'";
    assert_eq!(gateway.bed.count(kept).await, 1);
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}
