//! A sign-out here, and the session of AuthKit that stays in the browser.

use reqwest::redirect::Policy;
use tokio_postgres::{Client, Error};
use workos_end_to_end::authkit::{AUTHKIT, AUTHKIT_OF_ACME, sign_in};
use workos_end_to_end::bed::{ALICE, Bed, Session, is_good, reader, refresh};
use workos_end_to_end::brokered::parameter;
use workos_end_to_end::sql::{lines, refused};
use workos_simulator::{Fault, FaultKind};

const BACK: &str = "https://app.example.com/bye?from=todos";

async fn logout_url(client: &Client, session: &Session, return_to: Option<&str>) -> Result<Option<String>, Error> {
    let sql = "select auth.workos_logout_url($1, $2)";
    client.query_one(sql, &[&session.access_token, &return_to]).await.map(|row| row.get(0))
}

async fn sign_out(client: &Client, session: &Session, scope: &str) -> Result<i64, Error> {
    let sql = "select auth.sign_out_of_workos($1, $2)";
    client.query_one(sql, &[&session.access_token, &scope]).await.map(|row| row.get(0))
}

/// Which session of AuthKit's it began with.
async fn name(bed: &Bed<'_>, session: &Session) -> String {
    let sql = "select authkit_session_id from auth.sessions where id = $1";
    bed.admin.query_one(sql, &[&session.session_id]).await.unwrap().get(0)
}

/// Which sessions WorkOS has ended, in their order.
fn ended(bed: &Bed<'_>) -> Vec<String> {
    let events = bed.workos.simulator().events().into_iter().filter(|event| event["event"] == "session.revoked");
    events.map(|event| event["data"]["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn the_browser_is_sent_to_the_page_that_ends_it() {
    let bed = Bed::shared("page").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    let session = sign_in(&app, AUTHKIT_OF_ACME, "ann@acme.com").await.unwrap();
    let name = name(&bed, &session).await;

    let url = logout_url(&app, &session, Some(BACK)).await.unwrap().unwrap();
    assert!(url.starts_with(&format!("{}/user_management/sessions/logout?", bed.workos.url())), "{url}");
    assert_eq!((parameter(&url, "session_id"), parameter(&url, "return_to")), (name.clone(), BACK.to_owned()));
    let short = logout_url(&app, &session, None).await.unwrap().unwrap();
    assert!(short.ends_with(&format!("?session_id={name}")), "{short}");
    for place in ["/bye", "http://app.example.com/", "https://ann@app.example.com/", "javascript:alert(1)", ""] {
        let error = refused(logout_url(&app, &session, Some(place)).await, "validation_failed");
        assert!(error.detail.contains("return_to"), "{place}: {error}");
    }
    // The URL alone ends nothing.
    assert_eq!(ended(&bed), Vec::<String>::new());
    refresh(&app, &session.refresh_token).await.unwrap();

    let browser = reqwest::Client::builder().redirect(Policy::none()).no_proxy().build().unwrap();
    let answer = browser.get(&url).send().await.unwrap();
    assert_eq!(answer.headers()["location"], BACK);
    assert_eq!(ended(&bed), [name]);

    // Single sign-on has no session at WorkOS.
    let alice = bed.sign_in(ALICE).await;
    assert_eq!(logout_url(&app, &alice, Some(BACK)).await.unwrap(), None);
    app.query("select auth.sign_out($1)", &[&session.access_token]).await.unwrap();
    refused(logout_url(&app, &session, None).await, "session_not_found");
}

#[tokio::test]
async fn the_database_ends_it_where_it_is_asked_to() {
    let bed = Bed::shared("database").await;
    let app = bed.with_authkit().await;
    bed.person("ann@acme.com", &["org_acme"]);
    let mut sessions = Vec::new();
    for _ in 0..5 {
        sessions.push(sign_in(&app, AUTHKIT, "ann@acme.com").await.unwrap());
    }
    let mut names = Vec::new();
    for session in &sessions {
        names.push(name(&bed, session).await);
    }
    let alice = bed.sign_in(ALICE).await;
    let role = bed.role("app", "").await;
    let as_ann = reader(&bed, &role, &sessions[4]).await;

    // Nothing ends where WorkOS does not answer.
    for (fault, error) in [
        (FaultKind::Status { code: 500, body: None }, "workos_unavailable"),
        (FaultKind::Status { code: 401, body: None }, "workos_invalid_client"),
    ] {
        bed.workos.simulator().set_fault(Fault::api(fault).times(1)).unwrap();
        let refusal = refused(sign_out(&app, &sessions[4], "global").await, error);
        assert!(refusal.hint.contains("auth.sign_out"), "{refusal}");
        is_good(&as_ann, &sessions[4]).await;
    }
    for (scope, error) in [("everywhere", "validation_failed"), ("", "validation_failed")] {
        refused(sign_out(&app, &sessions[4], scope).await, error);
    }
    assert_eq!(ended(&bed), Vec::<String>::new());

    assert_eq!(sign_out(&app, &sessions[0], "local").await.unwrap(), 1);
    assert_eq!(ended(&bed), [names[0].clone()]);
    is_good(&as_ann, &sessions[4]).await;
    // WorkOS has ended this one by itself, and does not know it any more.
    bed.workos.simulator().set_fault(Fault::api(FaultKind::Status { code: 404, body: None }).times(1)).unwrap();
    assert_eq!(sign_out(&app, &sessions[1], "local").await.unwrap(), 1);
    assert!(bed.log().contains(&names[1]));

    // Two sessions that began with one of AuthKit's: what stays keeps it.
    let shared = "update auth.sessions set authkit_session_id = $1 where id = $2";
    bed.superuser().await.execute(shared, &[&names[4], &sessions[3].session_id]).await.unwrap();
    assert_eq!(sign_out(&app, &sessions[4], "others").await.unwrap(), 2);
    assert_eq!(ended(&bed), [names[0].clone(), names[2].clone()]);
    assert_eq!(sign_out(&app, &sessions[4], "global").await.unwrap(), 1);
    assert_eq!(ended(&bed), [names[0].clone(), names[2].clone(), names[4].clone()]);
    refused(as_ann.query("select auth.uid()", &[]).await, "session_not_found");

    // Nothing is asked where nothing began there.
    bed.workos.simulator().clear_requests();
    assert_eq!(sign_out(&app, &alice, "global").await.unwrap(), 1);
    assert_eq!(bed.workos.simulator().requests().len(), 0);
    let audit = "select concat_ws(' ', payload ->> 'scope', payload ->> 'sessions', payload ->> 'at_workos') from auth.audit_log_entries
        where action = 'logout' order by created_at, id";
    assert_eq!(
        lines(&bed.admin, audit).await.unwrap(),
        ["local 1 1", "local 1 0", "others 2 1", "global 1 1", "global 1 0"]
    );
}
