//! Sign-ins that an identity provider begins, where `workos_auth.idp_initiated` is `restart`: they are begun again in the browser that
//! came, and end in that one alone.

use std::path::Path;

use reqwest::header::{CONTENT_TYPE, COOKIE};
use serde_json::json;
use url::Url;
use workos_end_to_end::{ALICE, ANNA, Bed};
use workos_simulator::{Endpoint, Fault, FaultKind};
use workos_testbed::workos::CLIENT_ID;

use crate::common::{self, Gateway, PAGE, Redirect, SITE_URL, database_port, ok, redirect};

/// As WorkOS names what it says.
const DISABLED: &str = "/callback?error=idp_initiated_sso_disabled&error_description=IdP-initiated%20SSO%20is%20disabled\
    &connection_id=conn_acme&organization_id=org_acme";

async fn restarting(database: &str, flags: &[&str]) -> Gateway {
    let bed = Bed::shared(database).await;
    bed.set("workos_auth.idp_initiated", "restart").await;
    let port = database_port(&bed);
    Gateway::start_through(bed, port, flags).await
}

/// WorkOS's redirect where the connection allows no sign-in that an identity provider began: without a state, for nobody asked.
async fn unsolicited(gateway: &Gateway) -> Url {
    let fault = FaultKind::CallbackError { code: "idp_initiated_sso_disabled".to_owned(), description: None };
    let simulator = gateway.bed.simulator();
    simulator.set_fault(Fault { endpoint: Endpoint::Authorize, times: Some(1), kind: fault }).unwrap();
    let mut url: Url = format!("{}/sso/authorize", gateway.bed.workos.url()).parse().unwrap();
    url.query_pairs_mut()
        .append_pair("response_type", "code")
        .append_pair("client_id", CLIENT_ID)
        .append_pair("redirect_uri", &gateway.at("/callback"))
        .append_pair("connection", "conn_acme");
    let back = redirect(gateway.http.get(url).send().await.unwrap());
    assert!(back.url.as_str().starts_with(&gateway.at("/callback?error=")) && back.query("state").is_none());
    back.url
}

/// The browser goes to WorkOS and comes back: the callback, which is not asked yet.
async fn to_workos(gateway: &Gateway, begun: &Redirect, email: &str) -> Url {
    assert!(begun.url.as_str().starts_with(&gateway.bed.workos.url()), "{}", begun.url);
    let mut url = begun.url.clone();
    url.query_pairs_mut().append_pair("login_hint", email);
    let back = redirect(gateway.http.get(url).send().await.unwrap());
    assert!(back.url.as_str().starts_with(&gateway.at("/callback?")), "{}", back.url);
    back.url
}

async fn come_back(gateway: &Gateway, callback: &Url, cookie: &str) -> Redirect {
    redirect(gateway.http.get(callback.clone()).header(COOKIE, cookie).send().await.unwrap())
}

fn is_signed_in(end: &Redirect) -> bool {
    end.url.as_str().starts_with(SITE_URL) && end.fragment().contains_key("access_token")
}

#[tokio::test]
async fn a_restarted_sign_in_ends_at_the_site_with_tokens_in_the_browser_that_came() {
    let gateway = restarting("idp_restart", &[]).await;
    let begun = redirect(gateway.http.get(unsolicited(&gateway).await).send().await.unwrap());
    assert_eq!((begun.status, begun.query("connection").as_deref()), (302, Some("conn_acme")));
    let state = begun.query("state").unwrap();
    let [cookie] = &begun.cookies[..] else { panic!("{:?}", begun.cookies) };
    assert!(cookie.starts_with("workos-auth-") && cookie.contains(&format!("={state};")), "{cookie}");
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
    let callback = to_workos(&gateway, &begun, ALICE.email).await;
    let end = come_back(&gateway, &callback, &begun.cookie()).await;
    assert!(is_signed_in(&end), "{}", end.url);
    assert!(end.cookies[0].contains("Max-Age=0"), "{:?}", end.cookies);
    let session = json!(end.fragment());
    assert_eq!(ok(gateway.user(&session).await).await["email"], ALICE.email);
}

#[tokio::test]
async fn and_in_another_browser_with_access_denied() {
    let gateway = restarting("idp_other", &[]).await;
    let begun = async || redirect(gateway.get(DISABLED).send().await.unwrap());
    let others = begun().await.cookie();
    for cookie in ["", "workos-auth-=x; a=b", &others] {
        // Somebody has a victim's browser finish what they began in theirs.
        let own = begun().await;
        let callback = to_workos(&gateway, &own, ANNA.email).await;
        let end = come_back(&gateway, &callback, cookie).await;
        assert_eq!(end.query("error").as_deref(), Some("access_denied"), "{cookie}: {}", end.url);
        assert!(end.url.as_str().starts_with(SITE_URL) && !end.url.as_str().contains("token"), "{cookie}: {}", end.url);
        // It is over, also for the browser that began it.
        let end = come_back(&gateway, &callback, &own.cookie()).await;
        assert!(!is_signed_in(&end), "{cookie}: {}", end.url);
    }
    assert_eq!(gateway.bed.count("select count(*) from auth.users").await, 0);
    assert_eq!(gateway.bed.count("select count(*) from auth.sessions").await, 0);
}

#[tokio::test]
async fn the_names_of_connection_and_organization_may_be_those_of_the_authorize_endpoint_and_the_method_post() {
    let gateway = restarting("idp_post", &[]).await;
    let form = DISABLED.split_once('?').unwrap().1.replace("connection_id", "connection").replace("n_id=", "n=");
    assert!(form.ends_with("&connection=conn_acme&organization=org_acme"), "{form}");
    let request = gateway.http.post(gateway.at("/callback")).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let begun = redirect(request.body(form).send().await.unwrap());
    assert_eq!((begun.status, begun.cookies.len()), (303, 1));
    let callback = to_workos(&gateway, &begun, ALICE.email).await;
    let end = come_back(&gateway, &callback, &begun.cookie()).await;
    assert!(is_signed_in(&end), "{}", end.url);
}

#[tokio::test]
async fn over_tls_a_restart_is_bound_by_a_host_cookie() {
    let directory = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let file = |name: &str, text: String| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (certificate, key) =
        (file("certificate.pem", made.cert.pem()), file("key.pem", made.signing_key.serialize_pem()));
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    let flags = ["--tls-certificate", &text(&certificate), "--tls-key", &text(&key)];
    let gateway = restarting("idp_tls", &flags).await;
    let begun = redirect(gateway.get(DISABLED).send().await.unwrap());
    let [cookie] = &begun.cookies[..] else { panic!("{:?}", begun.cookies) };
    assert!(cookie.starts_with("__Host-workos-auth-") && cookie.ends_with("; Secure"), "{cookie}");
    for (cookie, signs_in) in [(begun.cookie().replace("__Host-", ""), false), (begun.cookie(), true)] {
        let callback = to_workos(&gateway, &begun, ALICE.email).await;
        let end = come_back(&gateway, &callback, &cookie).await;
        // The first try spends the state.
        assert!(!is_signed_in(&end), "{cookie} {signs_in}");
    }
    let begun = redirect(gateway.get(DISABLED).send().await.unwrap());
    let callback = to_workos(&gateway, &begun, ALICE.email).await;
    assert!(is_signed_in(&come_back(&gateway, &callback, &begun.cookie()).await));
}

#[tokio::test]
async fn a_browser_is_bound_to_no_sign_in_but_the_one_that_is_begun_for_it() {
    let gateway = restarting("idp_bound", &[]).await;
    // Mallory begins a sign-in, and puts its state where the gateway could take it for a restart's: into the page of another one.
    let page = |state: &str| {
        let callback = url::form_urlencoded::byte_serialize(gateway.at("/callback").as_bytes()).collect::<String>();
        let inner = format!("{PAGE}?state={state}&redirect_uri={callback}&response_type=code");
        url::form_urlencoded::byte_serialize(inner.as_bytes()).collect::<String>()
    };
    let query = format!("organization=org_acme&redirect_to={PAGE}");
    let (mallorys, _) = gateway.to_callback(&query, ANNA.email).await;
    let mallorys_state = mallorys.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    for finish in ["error=access_denied", "error=idp_initiated_sso_disabled&connection_id=conn_acme", "code=nonsense"] {
        let query = format!("organization=org_acme&redirect_to={}", page(&mallorys_state));
        let (other, _) = gateway.to_callback(&query, ANNA.email).await;
        let state = other.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
        // The victim's browser follows Mallory's link.
        let end = redirect(gateway.get(&format!("/callback?{finish}&state={state}")).send().await.unwrap());
        assert!(
            end.url.as_str().starts_with(PAGE) && end.query("state").as_deref() == Some(&mallorys_state),
            "{}",
            end.url
        );
        assert!(end.cookies.is_empty(), "{finish}: {:?}", end.cookies);
        // A state of nobody, and two of them.
        for state in ["state=nonsense", &format!("state={state}&state={mallorys_state}")] {
            let path = format!("/callback?{finish}&{state}&redirect_uri={}", gateway.at("/callback"));
            let end = redirect(gateway.get(&path).send().await.unwrap());
            let bound = end.cookies.iter().any(|cookie| cookie.contains(&mallorys_state));
            assert!(!bound, "{path}: {:?}", end.cookies);
            assert_eq!(end.cookies.is_empty(), end.url.as_str().starts_with(SITE_URL), "{path}: {}", end.url);
        }
    }
    // What names no connection, or another error, begins nothing.
    for query in ["error=idp_initiated_sso_disabled", "error=access_denied&connection_id=conn_acme", "code=x", "x=y"] {
        let end = redirect(gateway.get(&format!("/callback?{query}")).send().await.unwrap());
        assert!(end.url.as_str().starts_with(SITE_URL) && end.cookies.is_empty(), "{query}: {}", end.url);
    }
    assert_eq!(gateway.bed.count("select count(*) from auth.users").await, 0);
}

#[tokio::test]
async fn a_site_whose_address_looks_like_a_restart_is_none() {
    // The site's own address has all the words; it names another callback than ours.
    let gateway = restarting("idp_site", &[]).await;
    let site = format!("{SITE_URL}/?state=abcdefghijklmnopqrstuvwxyz&redirect_uri={SITE_URL}/callback");
    gateway.bed.set("workos_auth.site_url", &site).await;
    let sql = "select count(pg_terminate_backend(pid, 10000)) from pg_stat_activity where usename = $1";
    let callback = async || redirect(gateway.get("/callback?error=access_denied").send().await.unwrap());
    // A connection that was on its way read the setting before, and is seen only in the next round.
    common::eventually("every connection knows the site", async || {
        gateway.bed.admin.query_one(sql, &[&gateway.role]).await.unwrap();
        gateway.get("/ready").send().await.unwrap().status() == 200 && callback().await.query("state").is_some()
    })
    .await;
    let end = callback().await;
    assert!(end.url.as_str().starts_with(SITE_URL), "{}", end.url);
    assert!(end.cookies.is_empty(), "{:?}", end.cookies);
}

#[tokio::test]
async fn where_nothing_is_restarted_no_browser_is_bound() {
    let gateway = Gateway::start("idp_refused", &[]).await;
    let end = redirect(gateway.get(DISABLED).send().await.unwrap());
    assert_eq!(end.query("error_code").as_deref(), Some("bad_oauth_callback"), "{}", end.url);
    assert!(end.cookies.is_empty() && end.url.as_str().starts_with(SITE_URL), "{}", end.url);
}
