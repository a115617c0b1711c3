//! Webhooks: who gets them, how they are signed, and what is sent again.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::common::{api, start};
use aws_lc_rs::hmac;
use reqwest::Method;
use serde_json::{Value, json};
use workos_simulator::{EventSettings, NewEvent, Simulator, WebhookSettings};

const PATIENCE: Duration = Duration::from_secs(10);

/// A request as it came.
struct Received {
    signature: String,
    body: String,
}

impl Received {
    fn event(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn id(&self) -> String {
        self.event()["id"].as_str().unwrap().to_owned()
    }
}

/// Whoever gets webhooks: it answers these statuses, and 200 after them.
fn receiver(statuses: &'static [u16]) -> (String, Receiver<Received>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, received) = channel();
    // It ends with the first request that nobody waits for any longer.
    thread::spawn(move || {
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut signature, mut length) = (String::new(), 0);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 2 {
                match line.trim_end().split_once(": ") {
                    Some((name, value)) if name.eq_ignore_ascii_case("workos-signature") => {
                        signature = value.to_owned()
                    }
                    Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                        length = value.parse().unwrap()
                    }
                    _ => {}
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let status = statuses.next().unwrap_or(&200);
            let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            reader.get_mut().write_all(answer.as_bytes()).unwrap();
            if sender.send(Received { signature, body: String::from_utf8(body).unwrap() }).is_err() {
                return;
            }
        }
    });
    (url, received)
}

fn endpoint(simulator: &Simulator, url: &str, events: &[&str]) -> Value {
    let body = json!({"endpoint_url": url, "events": events});
    let (status, endpoint) = api(simulator, Method::POST, "/webhook_endpoints", body);
    assert_eq!(status, 201, "{endpoint}");
    endpoint
}

fn put(simulator: &Simulator, event: &str) -> String {
    simulator.put_event(NewEvent { id: None, event: event.into(), data: json!({"é": 1.50}), organization_id: None })
}

fn next(received: &Receiver<Received>) -> Received {
    received.recv_timeout(PATIENCE).unwrap()
}

#[test]
fn a_webhook_comes_at_once_and_is_signed() {
    let simulator = start();
    simulator.set_events(EventSettings { hold_back_ms: 60_000, ..EventSettings::default() });
    let (url, received) = receiver(&[]);
    let endpoint = endpoint(&simulator, &url, &["user.deleted"]);
    put(&simulator, "user.created");
    let id = put(&simulator, "user.deleted");
    let webhook = next(&received);
    assert_eq!(webhook.event(), simulator.events()[1], "it is the event, and the other type is not sent");
    assert_eq!(webhook.id(), id);
    let path = "/events?events=user.deleted";
    assert_eq!(
        api(&simulator, Method::GET, path, json!(null)).1["data"],
        json!([]),
        "the Events API still holds it back"
    );

    let (time, hash) = webhook.signature.strip_prefix("t=").unwrap().split_once(", v1=").unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    assert!(now - time.parse::<u128>().unwrap() < 60_000, "milliseconds");
    let key = hmac::Key::new(hmac::HMAC_SHA256, endpoint["secret"].as_str().unwrap().as_bytes());
    let tag = hmac::sign(&key, format!("{time}.{}", webhook.body).as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hash, hex);
}

#[test]
fn what_is_not_taken_is_sent_again() {
    let simulator = start();
    simulator.set_webhooks(WebhookSettings { retry_after_ms: 50, ..WebhookSettings::default() });
    let (url, received) = receiver(&[500, 302]);
    endpoint(&simulator, &url, &["user.deleted"]);
    let id = put(&simulator, "user.deleted");
    for _ in 0..3 {
        assert_eq!(next(&received).id(), id);
    }
    let deadline = Instant::now() + PATIENCE;
    while simulator.webhook_attempts().len() < 3 {
        assert!(Instant::now() < deadline, "{:?}", simulator.webhook_attempts());
        thread::sleep(Duration::from_millis(10));
    }
    let statuses: Vec<_> = simulator.webhook_attempts().iter().map(|attempt| attempt.status).collect();
    assert_eq!(statuses, [Some(500), Some(302), Some(200)]);
}

#[test]
fn six_retries_are_the_end() {
    let simulator = start();
    simulator.set_webhooks(WebhookSettings { retry_after_ms: 1, ..WebhookSettings::default() });
    let (url, received) = receiver(&[503; 7]);
    endpoint(&simulator, &url, &["user.deleted"]);
    let lost = put(&simulator, "user.deleted");
    for _ in 0..7 {
        assert_eq!(next(&received).id(), lost);
    }
    assert!(received.recv_timeout(Duration::from_millis(500)).is_err(), "no eighth, which was due after 64 ms");
    let id = put(&simulator, "user.deleted");
    assert_eq!(next(&received).id(), id);
}

#[test]
fn webhooks_come_twice_and_in_another_order() {
    let simulator = start();
    let held = WebhookSettings { held: true, times: 2, reorder: Some(5), ..WebhookSettings::default() };
    simulator.set_webhooks(held);
    let (url, received) = receiver(&[]);
    endpoint(&simulator, &url, &["user.deleted"]);
    let made: Vec<_> = (0..10).map(|_| put(&simulator, "user.deleted")).collect();
    assert!(received.recv_timeout(Duration::from_millis(100)).is_err(), "they are held");
    simulator.set_webhooks(WebhookSettings { held: false, ..held });
    let mut came: Vec<_> = (0..20).map(|_| next(&received).id()).collect();
    let twice: Vec<_> = made.iter().flat_map(|id| [id.clone(), id.clone()]).collect();
    assert_ne!(came, twice);
    came.sort();
    let mut sorted = twice;
    sorted.sort();
    assert_eq!(came, sorted);
}

#[test]
fn the_signature_may_be_old() {
    let simulator = start();
    simulator.set_webhooks(WebhookSettings { clock_skew_seconds: -600, ..WebhookSettings::default() });
    let (url, received) = receiver(&[]);
    endpoint(&simulator, &url, &["user.deleted"]);
    put(&simulator, "user.deleted");
    let signature = next(&received).signature;
    let time: u128 = signature.strip_prefix("t=").unwrap().split_once(',').unwrap().0.parse().unwrap();
    let age = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() - time;
    assert!((600_000..660_000).contains(&age), "{age}");
}

#[test]
fn endpoints_are_made_changed_and_deleted() {
    let simulator = start();
    let (url, received) = receiver(&[]);
    let made = endpoint(&simulator, &url, &["user.deleted"]);
    let path = format!("/webhook_endpoints/{}", made["id"].as_str().unwrap());
    let post = |body: Value| {
        let (status, answer) = api(&simulator, Method::POST, "/webhook_endpoints", body);
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    assert_eq!(post(json!({"endpoint_url": url, "events": ["user.created"]})), (409, "duplicate_endpoint".into()));
    let invalid = (422, "invalid_request_parameters".to_owned());
    for event in ["vault.data.read", "dsync.token.created", "authentication.mfa_failed"] {
        assert_eq!(post(json!({"endpoint_url": "http://localhost:1/", "events": [event]})), invalid, "{event}");
    }
    for wrong in ["http://example.com/", "https://example.com/", "/hook", "ftp://127.0.0.1/"] {
        assert_eq!(
            post(json!({"endpoint_url": wrong, "events": ["user.created"]})),
            (422, "invalid_url".into()),
            "{wrong}"
        );
    }
    assert_eq!(post(json!({"endpoint_url": "http://localhost:1/", "events": []})), invalid);

    let (status, disabled) = api(&simulator, Method::PATCH, &path, json!({"status": "disabled"}));
    assert_eq!((status, &disabled["status"]), (200, &json!("disabled")));
    put(&simulator, "user.deleted");
    let patch = json!({"status": "enabled", "events": ["user.created"]});
    assert_eq!(api(&simulator, Method::PATCH, &path, patch).1["secret"], made["secret"]);
    put(&simulator, "user.deleted");
    let id = put(&simulator, "user.created");
    assert_eq!(next(&received).id(), id);
    let (_, all) = api(&simulator, Method::GET, "/webhook_endpoints", json!(null));
    assert_eq!(all["data"][0]["id"], made["id"]);
    assert_eq!(api(&simulator, Method::DELETE, &path, json!(null)).0, 204);
    for method in [Method::DELETE, Method::PATCH] {
        assert_eq!(api(&simulator, method, &path, json!({})).0, 404);
    }
    put(&simulator, "user.created");
    assert!(received.recv_timeout(Duration::from_millis(100)).is_err());
    let settings = json!({"held": true, "times": 1, "retry_after_ms": 5});
    assert_eq!(api(&simulator, Method::PUT, "/_simulator/webhooks/settings", settings).0, 204);
    let (_, log) = api(&simulator, Method::GET, "/_simulator/webhooks", json!(null));
    assert_eq!(log["attempts"], json!([{"endpoint": made["id"], "event": id, "status": 200}]));
}
