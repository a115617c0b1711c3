//! The browser against the real simulator.

use url::Url;
use workos_testbed::workos::{CLIENT_ID, REDIRECT_URI};
use workos_testbed::{Error, Workos, browser_sign_in};

fn authorize_url(workos: &Workos, client_id: &str, organization: &str) -> String {
    let parameters = [
        ("client_id", client_id),
        ("redirect_uri", REDIRECT_URI),
        ("response_type", "code"),
        ("organization", organization),
        ("state", "a state & more"),
    ];
    Url::parse_with_params(&format!("{}/sso/authorize", workos.url()), parameters).unwrap().into()
}

#[tokio::test]
async fn a_sign_in_ends_with_a_code_and_its_state() {
    let workos = Workos::start().unwrap();
    let url = authorize_url(&workos, CLIENT_ID, "org_acme");
    let callback = browser_sign_in(&url, Some("alice@acme.com")).await.unwrap();
    assert!(!callback.code.is_empty());
    assert_eq!(callback.state, "a state & more");
    let other = browser_sign_in(&url, None).await.unwrap();
    assert_ne!(other.code, callback.code);
}

#[tokio::test]
async fn a_refused_sign_in_tells_workos_s_error() {
    let workos = Workos::start().unwrap();
    match browser_sign_in(&authorize_url(&workos, CLIENT_ID, "org_nobody"), None).await.unwrap_err() {
        Error::Refused { error, state, .. } => {
            assert_eq!((error.as_str(), state.as_deref()), ("organization_invalid", Some("a state & more")));
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_unknown_client_is_not_sent_back() {
    let workos = Workos::start().unwrap();
    let error = browser_sign_in(&authorize_url(&workos, "client_nobody", "org_acme"), None).await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
}
