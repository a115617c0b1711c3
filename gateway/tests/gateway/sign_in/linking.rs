//! Further ways into an account: who may add and remove them.

use reqwest::Response;
use serde_json::{Value, json};
use url::Url;
use workos_auth_core::pkce::CodeVerifier;
use workos_end_to_end::{ALICE, ANNA, BOB};

use crate::common::{CHALLENGE, Gateway, PAGE, Redirect, VERIFIER, ok, pkce, redirect, refused, told};

fn token(session: &Value) -> &str {
    session["access_token"].as_str().unwrap()
}

/// What `linkIdentity` asks.
async fn link(gateway: &Gateway, session: &Value, more: &str) -> Response {
    let path = format!("/user/identities/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}{more}");
    gateway.get(&path).bearer_auth(token(session)).send().await.unwrap()
}

/// The URL of a link that is tied to [`VERIFIER`].
async fn linking(gateway: &Gateway, session: &Value) -> Url {
    let answer = link(gateway, session, &format!("&skip_http_redirect=true&{}", pkce(CHALLENGE))).await;
    let body = ok(answer).await;
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["url"].as_str().unwrap().parse().unwrap()
}

/// A browser without anything goes there as somebody, and comes back to the page.
async fn browse(gateway: &Gateway, mut url: Url, email: &str) -> Redirect {
    url.query_pairs_mut().append_pair("login_hint", email);
    let back = redirect(gateway.http.get(url).send().await.unwrap());
    redirect(gateway.http.get(back.url).send().await.unwrap())
}

async fn exchange(gateway: &Gateway, end: &Redirect, verifier: &str) -> Response {
    let code = end.query("code").unwrap_or_else(|| panic!("no code: {}", end.url));
    let body = json!({ "auth_code": code, "code_verifier": verifier });
    gateway.post("/token?grant_type=pkce", &body).send().await.unwrap()
}

async fn unlink(gateway: &Gateway, session: &Value, id: &str) -> Response {
    let url = gateway.at(&format!("/user/identities/{id}"));
    gateway.http.delete(url).bearer_auth(token(session)).send().await.unwrap()
}

async fn identities(gateway: &Gateway, session: &Value) -> Vec<Value> {
    ok(gateway.user(session).await).await["identities"].as_array().unwrap().clone()
}

fn id_of(identities: &[Value], email: &str) -> String {
    let found = identities.iter().find(|identity| identity["email"] == email);
    found.unwrap_or_else(|| panic!("{email} in {identities:?}"))["identity_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_link_adds_an_identity_and_an_unlink_takes_it_away() {
    let gateway = Gateway::start("link_way", &[]).await;
    let alice = gateway.sign_in(ALICE).await;
    let end = browse(&gateway, linking(&gateway, &alice).await, ANNA.email).await;
    assert!(end.url.as_str().starts_with(&format!("{PAGE}?code=")), "{}", end.url);
    // Nothing is written before the verifier is shown.
    assert_eq!(identities(&gateway, &alice).await.len(), 1);
    let linked = ok(exchange(&gateway, &end, VERIFIER).await).await;
    assert_eq!(linked["user"]["id"], alice["user"]["id"]);
    assert_eq!(linked["user"]["identities"].as_array().unwrap().len(), 2);
    // It opens the account.
    let again = gateway.sign_in(ANNA).await;
    assert_eq!(again["user"]["id"], alice["user"]["id"]);

    // A colleague's groups are others: what the first token says is out of date, and it shows the account all the same.
    ok(gateway.user(&alice).await).await;
    let alice = ok(gateway.refresh(&alice["refresh_token"]).await).await;
    let both = identities(&gateway, &alice).await;
    // By the session that the link was answered with, which a client keeps in place of the first.
    assert_eq!(ok(unlink(&gateway, &linked, &id_of(&both, ANNA.email)).await).await, json!({}));
    // What it opened has ended; what the other one opened has not, nor the session that asked.
    assert_eq!(told(gateway.user(&again).await).await, (401, "session_not_found".into()));
    ok(gateway.refresh(&linked["refresh_token"]).await).await;
    let left = identities(&gateway, &alice).await;
    assert_eq!(left.len(), 1);
    let answer = unlink(&gateway, &alice, &id_of(&left, ALICE.email)).await;
    assert_eq!(told(answer).await, (422, "single_identity_not_deletable".into()));
    assert_ne!(gateway.sign_in(ANNA).await["user"]["id"], alice["user"]["id"]);
}

#[tokio::test]
async fn without_skip_http_redirect_the_browser_is_sent_on() {
    let gateway = Gateway::start("link_redirect", &[]).await;
    let alice = gateway.sign_in(ALICE).await;
    for more in ["", "&skip_http_redirect=false", "&skip_http_redirect=1"] {
        let challenge = CodeVerifier::generate().unwrap().challenge();
        let end = redirect(link(&gateway, &alice, &format!("{more}&{}", pkce(challenge.value()))).await);
        assert_eq!(end.status, 302, "{more}");
        assert!(end.url.as_str().starts_with(&gateway.bed.workos.url()), "{}", end.url);
        assert_eq!(end.query("redirect_uri").unwrap(), gateway.at("/callback"));
        assert!(end.query("skip_http_redirect").is_none(), "{}", end.url);
    }
}

#[tokio::test]
async fn a_link_that_another_persons_browser_completes_changes_nothing() {
    let gateway = Gateway::start("link_other", &[]).await;
    let mallory = gateway.sign_in(ALICE).await;
    let before = gateway.bed.count("select count(*) from auth.sessions").await;
    // Anna follows Mallory's link and signs in at WorkOS: her page has a code, and not the verifier.
    let end = browse(&gateway, linking(&gateway, &mallory).await, ANNA.email).await;
    for verifier in [CHALLENGE, &"v".repeat(43)] {
        assert_eq!(told(exchange(&gateway, &end, verifier).await).await, (400, "bad_code_verifier".into()));
    }
    let counts = async || {
        let of = "select count(*) from auth.identities where user_id <>";
        let others = gateway.bed.count(&format!("{of} '{}'", mallory["user"]["id"].as_str().unwrap())).await;
        (others, gateway.bed.count("select count(*) from auth.sessions").await)
    };
    assert_eq!(counts().await, (0, before));
    assert_eq!(identities(&gateway, &mallory).await.len(), 1);
    assert_eq!(gateway.bed.count("select count(*) from auth.users").await, 1);
    // The account is hers alone, whatever is done with the link.
    let anna = gateway.sign_in(ANNA).await;
    assert_ne!(anna["user"]["id"], mallory["user"]["id"]);
    let (status, code, _) = refused(exchange(&gateway, &end, VERIFIER).await).await;
    assert_eq!((status, code.as_str()), (422, "identity_already_exists"));
    assert_eq!(identities(&gateway, &mallory).await.len(), 1);
    assert_eq!(identities(&gateway, &anna).await.len(), 1);
}

/// Older clients for JavaScript remove their session where the exchange refuses, and not where the page is told.
#[tokio::test]
async fn what_a_link_meets_is_told_to_the_page() {
    let gateway = Gateway::start("link_told", &[]).await;
    let (alice, anna) = (gateway.sign_in(ALICE).await, gateway.sign_in(ANNA).await);
    for (email, organization, code) in [
        (ALICE.email, "org_acme", "identity_already_exists"),
        (ANNA.email, "org_acme", "identity_already_exists"),
        (BOB.email, "org_globex", "cross_organization_link_disabled"),
    ] {
        let path = format!(
            "/user/identities/authorize?provider=workos&organization={organization}&redirect_to={PAGE}&skip_http_redirect=true&{}",
            pkce(CHALLENGE)
        );
        let answer = gateway.get(&path).bearer_auth(token(&alice)).send().await.unwrap();
        let url = ok(answer).await["url"].as_str().unwrap().parse().unwrap();
        let end = browse(&gateway, url, email).await;
        assert!(end.url.as_str().starts_with(PAGE), "{}", end.url);
        assert_eq!((end.query("error_code").as_deref(), end.query("code")), (Some(code), None), "{email}: {}", end.url);
    }
    // Nothing was written, and nobody is signed out.
    assert_eq!(identities(&gateway, &alice).await.len(), 1);
    for session in [&alice, &anna] {
        ok(gateway.refresh(&session["refresh_token"]).await).await;
    }
}

#[tokio::test]
async fn a_link_without_a_challenge_is_refused_in_words() {
    let gateway = Gateway::start("link_implicit", &[]).await;
    let alice = gateway.sign_in(ALICE).await;
    let (status, code, message) = refused(link(&gateway, &alice, "&skip_http_redirect=true").await).await;
    assert_eq!((status, code.as_str()), (400, "validation_failed"));
    assert!(message.contains("flowType: 'pkce'"), "{message}");
}

#[tokio::test]
async fn a_link_ends_with_the_session_that_began_it() {
    let gateway = Gateway::start("link_ended", &[]).await;
    let alice = gateway.sign_in(ALICE).await;
    let end = browse(&gateway, linking(&gateway, &alice).await, ANNA.email).await;
    let out = gateway.http.post(gateway.at("/logout")).bearer_auth(token(&alice)).send().await.unwrap();
    assert_eq!(out.status(), 204);
    let (status, code, message) = refused(exchange(&gateway, &end, VERIFIER).await).await;
    assert!((400..500).contains(&status), "{status} {code} {message}");
    assert_eq!(gateway.bed.count("select count(*) from auth.identities").await, 1);
    assert_eq!(gateway.bed.count("select count(*) from auth.sessions").await, 0);
}

#[tokio::test]
async fn a_link_needs_a_token_and_a_challenge() {
    let gateway = Gateway::start("link_refused", &[]).await;
    let alice = gateway.sign_in(ALICE).await;
    let path = "/user/identities/authorize?provider=workos&organization=org_acme";
    let answer = gateway.get(path).send().await.unwrap();
    assert_eq!(told(answer).await, (401, "no_authorization".into()));
    let challenge = pkce(CHALLENGE);
    for (more, code) in [
        (String::new(), "validation_failed"),
        ("&skip_http_redirect=true".to_owned(), "validation_failed"),
        (format!("&provider=workos&{challenge}"), "validation_failed"),
        (format!("&redirect_to={PAGE}&{challenge}"), "validation_failed"),
        (format!("&workos_provider=GoogleOAuth&{challenge}"), "selector_conflict"),
        (format!("&skip_http_redirect=true&skip_http_redirect=true&{challenge}"), "validation_failed"),
    ] {
        assert_eq!(told(link(&gateway, &alice, &more).await).await, (400, code.into()), "{more}");
    }
    let path = format!(
        "/user/identities/authorize?provider=workos&organization=org_acme&redirect_to=https://evil.example/&{challenge}"
    );
    let answer = gateway.get(&path).bearer_auth(token(&alice)).send().await.unwrap();
    assert_eq!(told(answer).await, (400, "redirect_to_not_allowed".into()));
    // Whoever is refused leaves nothing behind.
    assert_eq!(gateway.bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn only_ones_own_identities_are_unlinked() {
    let gateway = Gateway::start("link_unlink", &[]).await;
    let (alice, bob) = (gateway.sign_in(ALICE).await, gateway.sign_in(BOB).await);
    let end = browse(&gateway, linking(&gateway, &alice).await, ANNA.email).await;
    let alice = ok(exchange(&gateway, &end, VERIFIER).await).await;
    let hers = identities(&gateway, &alice).await;
    let anna = id_of(&hers, ANNA.email);
    for id in ["x", "1", "00000000-0000-4000-8000-00000000000g", "..%2f..%2fuser", "%27;--", &"1".repeat(5000)] {
        let (status, code, message) = refused(unlink(&gateway, &alice, id).await).await;
        assert_eq!(
            (status, code.as_str(), message.as_str()),
            (404, "validation_failed", "identity_id must be an UUID"),
            "{id}"
        );
    }
    let unknown = refused(unlink(&gateway, &alice, "00000000-0000-4000-8000-000000000001").await).await;
    // Somebody else's is as unknown as one that is not there.
    let his = id_of(&identities(&gateway, &bob).await, BOB.email);
    assert_eq!(refused(unlink(&gateway, &alice, &his).await).await, unknown);
    assert_eq!((unknown.0, unknown.1.as_str()), (422, "identity_not_found"));
    let answer = gateway.http.delete(gateway.at(&format!("/user/identities/{anna}"))).send().await.unwrap();
    assert_eq!(told(answer).await, (401, "no_authorization".into()));
    assert_eq!(refused(unlink(&gateway, &bob, &anna).await).await.0, 422);
    assert_eq!((identities(&gateway, &alice).await.len(), identities(&gateway, &bob).await.len()), (2, 1));

    // Two at once leave one.
    let alices = id_of(&hers, ALICE.email);
    let fresh = gateway.sign_in(ALICE).await;
    let (one, other) = tokio::join!(unlink(&gateway, &fresh, &alices), unlink(&gateway, &fresh, &anna));
    let statuses = [one.status().as_u16(), other.status().as_u16()];
    assert!(statuses.contains(&200) && statuses != [200, 200], "{statuses:?}");
    assert!(statuses.iter().all(|status| *status < 500), "{statuses:?}");
    let sql =
        format!("select count(*) from auth.identities where user_id = '{}'", alice["user"]["id"].as_str().unwrap());
    assert_eq!(gateway.bed.count(&sql).await, 1);
}
