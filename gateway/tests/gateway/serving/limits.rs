//! Rate limits: what is counted for an address, what for a session, and what a proxy changes.

use std::time::{Duration, Instant};

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;
use workos_end_to_end::{ALICE, ANNA};

use crate::common::{self, CHALLENGE, Gateway, PAGE, REFRESH, eventually, ok, pkce, send, told};

/// A request of each kind that is limited, which is refused for another reason.
const LIMITED: [&str; 3] = ["/authorize", "/callback", "/token"];

/// Supabase's clients take every 4xx of `/token` for the end of the session.
fn too_many(path: &str) -> u16 {
    if path == "/token" { 503 } else { 429 }
}

async fn from(gateway: &Gateway, path: &str, forwarded_for: &str) -> Response {
    let request = match path {
        "/token" => gateway.post("/token", &json!({})),
        path => gateway.get(path),
    };
    request.header("x-forwarded-for", forwarded_for).send().await.unwrap()
}

#[tokio::test]
async fn too_many_requests_of_one_address_are_429_and_other_addresses_are_unharmed() {
    let flags = ["--rate-limit", "1", "--rate-limit-burst", "3", "--trusted-proxies", "127.0.0.0/8,10.0.0.0/8"];
    let gateway = Gateway::start("op_limits", &flags).await;
    for path in LIMITED {
        // The endpoints count apart.
        for _ in 0..3 {
            assert_ne!(from(&gateway, path, "198.51.100.1").await.status(), too_many(path), "{path}");
        }
        for forwarded_for in [
            "198.51.100.1",
            // What a client writes itself stands on the left; the right-most that is no proxy of ours counts.
            "203.0.113.5, 198.51.100.1",
            "203.0.113.6, 198.51.100.1, 10.1.2.3",
            "198.51.100.1:4711",
            "::ffff:198.51.100.1",
        ] {
            let answer = from(&gateway, path, forwarded_for).await;
            let wait = answer.headers()[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap();
            assert!((1..=61).contains(&wait), "{wait}");
            assert_eq!(
                told(answer).await,
                (too_many(path), "over_request_rate_limit".into()),
                "{path} {forwarded_for}"
            );
        }
        for other in ["198.51.100.2", "198.51.100.1, 198.51.100.3", "2001:db8::1"] {
            assert_ne!(from(&gateway, path, other).await.status(), too_many(path), "{path} {other}");
        }
    }
    // One customer's network of IPv6 counts once.
    for host in 2..4 {
        assert_ne!(from(&gateway, "/authorize", &format!("2001:db8::{host}")).await.status(), 429);
    }
    assert_eq!(from(&gateway, "/authorize", "2001:db8::ffff:4").await.status(), 429);
    assert_ne!(from(&gateway, "/authorize", "2001:db8:0:1::4").await.status(), 429);
    // What costs little is not limited.
    for path in ["/user", "/settings", "/health", "/ready", "/.well-known/jwks.json"] {
        for _ in 0..5 {
            assert_ne!(from(&gateway, path, "198.51.100.1").await.status(), 429, "{path}");
        }
    }
    let line =
        |log: &str| log.lines().any(|line| line.contains("\"address\":\"198.51.100.1\"") && line.contains("429"));
    eventually("the log has the address", async || line(&gateway.log())).await;
}

#[tokio::test]
async fn refreshes_are_counted_for_each_session_and_not_for_a_company() {
    let flags = ["--rate-limit", "1", "--rate-limit-burst", "3"];
    let gateway = Gateway::start("op_sessions", &flags).await;
    // A sign-in is counted for the address: from here on there is one.
    let mut loud = gateway.sign_in(ALICE).await;
    let quiet = gateway.sign_in(ANNA).await;
    for _ in 0..3 {
        loud = ok(gateway.refresh(&loud["refresh_token"]).await).await;
    }
    let answer = gateway.refresh(&loud["refresh_token"]).await;
    assert!(answer.headers()[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(told(answer).await, (503, "over_request_rate_limit".into()));
    // It lives, and the others of the address are none the worse.
    ok(gateway.user(&loud).await).await;
    let quiet = ok(gateway.refresh(&quiet["refresh_token"]).await).await;
    // Guessing is counted for the address, under whatever names.
    let guess = async |n: u8| gateway.refresh(&json!(char::from(b'A' + n).to_string().repeat(60))).await;
    for n in 0..3 {
        assert_eq!(told(guess(n).await).await, (400, "refresh_token_not_found".into()), "{n}");
    }
    for n in 3..5 {
        assert_eq!(told(guess(n).await).await, (503, "over_request_rate_limit".into()), "{n}");
    }
    assert_eq!(told(gateway.refresh(&quiet["refresh_token"]).await).await, (503, "over_request_rate_limit".into()));
}

#[tokio::test]
async fn changes_of_an_account_are_counted_for_each_session() {
    let gateway = Gateway::start("op_changes", &["--rate-limit", "1", "--rate-limit-burst", "2"]).await;
    let (loud, quiet) = (gateway.sign_in(ALICE).await, gateway.sign_in(ANNA).await);
    let bearer = |session: &Value| session["access_token"].as_str().unwrap().to_owned();
    let rename = async |session: &Value| {
        let body = json!({ "data": { "name": "A" } });
        send(gateway.http.put(gateway.at("/user")).bearer_auth(bearer(session)).json(&body)).await
    };
    let link = format!(
        "/user/identities/authorize?provider=workos&organization=org_acme&redirect_to={PAGE}&{}",
        pkce(CHALLENGE)
    );
    let begin_link = async |session: &Value| send(gateway.get(&link).bearer_auth(bearer(session))).await;
    ok(rename(&loud).await).await;
    assert_eq!(begin_link(&loud).await.status(), 302);
    // One count for all that writes.
    let unlink = gateway.at(&format!("/user/identities/{}", Uuid::nil()));
    let unlinked = send(gateway.http.delete(unlink).bearer_auth(bearer(&loud))).await;
    for answer in [rename(&loud).await, begin_link(&loud).await, unlinked] {
        assert!(answer.headers()[RETRY_AFTER].to_str().unwrap().parse::<u64>().unwrap() > 0);
        assert_eq!(told(answer).await, (429, "over_request_rate_limit".into()));
    }
    let flows = "select count(*) from auth.flow_states where link_user_id is not null";
    assert_eq!(gateway.bed.count(flows).await, 1);
    // It reads, and the other one changes what it likes.
    ok(gateway.user(&loud).await).await;
    ok(rename(&quiet).await).await;
}

/// The id of a session is no secret: it stands in tokens that applications pass on and log.
#[tokio::test]
async fn whoever_only_knows_a_session_uses_nothing_of_it_up() {
    let flags = ["--rate-limit", "1", "--rate-limit-burst", "2", "--trusted-proxies", "127.0.0.0/8"];
    let gateway = Gateway::start("op_known", &flags).await;
    let session = gateway.sign_in(ALICE).await;
    let (refresh, access) = (session["refresh_token"].as_str().unwrap(), session["access_token"].as_str().unwrap());
    let forged_refresh = format!("{}{}", &refresh[..28], "A".repeat(refresh.len() - 28));
    let forged_access = format!("{}A", access.rsplit_once('.').unwrap().0);
    for number in 1..=5 {
        let stranger = format!("198.51.100.{number}");
        let token = gateway.http.post(gateway.at(REFRESH)).json(&json!({ "refresh_token": forged_refresh }));
        let answer = send(token.header("x-forwarded-for", &stranger)).await;
        assert_eq!(told(answer).await, (400, "refresh_token_not_found".into()));
        let change =
            gateway.http.put(gateway.at("/user")).bearer_auth(&forged_access).json(&json!({ "data": { "name": "M" } }));
        assert_eq!(send(change.header("x-forwarded-for", &stranger)).await.status(), 401);
    }
    let change = gateway.http.put(gateway.at("/user")).bearer_auth(access).json(&json!({ "data": { "name": "A" } }));
    ok(send(change).await).await;
    let session = ok(gateway.refresh(&session["refresh_token"]).await).await;
    ok(gateway.refresh(&session["refresh_token"]).await).await;
}

#[tokio::test]
async fn a_header_of_somebody_who_is_no_proxy_changes_nothing() {
    let gateway = Gateway::start("op_spoofed", &["--rate-limit", "1", "--rate-limit-burst", "3"]).await;
    for path in LIMITED {
        for last in 1..=3 {
            assert_ne!(from(&gateway, path, &format!("198.51.100.{last}")).await.status(), too_many(path), "{path}");
        }
        for forwarded_for in ["198.51.100.4", "127.0.0.1", "", "10.0.0.1, 198.51.100.5"] {
            let answer = from(&gateway, path, forwarded_for).await;
            assert_eq!(
                told(answer).await,
                (too_many(path), "over_request_rate_limit".into()),
                "{path} {forwarded_for}"
            );
        }
    }
}

#[tokio::test]
async fn who_waits_as_long_as_told_is_served_again() {
    let gateway = Gateway::start("op_again", &["--rate-limit", "60", "--rate-limit-burst", "1"]).await;
    let deadline = Instant::now() + common::PATIENCE;
    let refused = loop {
        let answer = from(&gateway, "/token", "").await;
        if answer.status() == too_many("/token") {
            break answer;
        }
        assert!(Instant::now() < deadline, "never 429");
    };
    let wait = refused.headers()[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!(wait <= 2, "{wait}");
    sleep(Duration::from_secs(wait)).await;
    assert_ne!(from(&gateway, "/token", "").await.status(), 429);
}
