//! Webhooks: who wants them, what is still to be sent, and the sending.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::clock::Timestamp;
use crate::random::Random;

/// "Up to six retries" after the first try (WorkOS's documentation).
const RETRIES: u32 = 6;

/// How webhooks are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WebhookSettings {
    /// Whether they wait instead, until this is false again.
    pub held: bool,
    /// How often each one is sent: "you may receive the same event more than once" (WorkOS's documentation).
    pub times: u32,
    /// Whether those that wait are sent in another order, by which seed: "the order is not guaranteed" (WorkOS's documentation).
    pub reorder: Option<u64>,
    /// How many milliseconds there are before the first retry, and twice as many before each further one. WorkOS retries for three days.
    pub retry_after_ms: u64,
    /// How many seconds the time in the signature is off.
    pub clock_skew_seconds: i64,
}

impl Default for WebhookSettings {
    fn default() -> Self {
        Self { held: false, times: 1, reorder: None, retry_after_ms: 1000, clock_skew_seconds: 0 }
    }
}

/// The Webhook Endpoint object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "object", rename = "webhook_endpoint")]
pub(crate) struct WebhookEndpoint {
    pub id: String,
    pub endpoint_url: String,
    pub secret: String,
    pub status: WebhookStatus,
    pub events: Vec<String>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

/// Whether an endpoint gets webhooks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookStatus {
    Enabled,
    Disabled,
}

/// A webhook that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookAttempt {
    /// `we_…`
    pub endpoint: String,
    /// `event_…`
    pub event: String,
    /// What came back; `None`: nothing in time.
    pub status: Option<u16>,
}

/// A webhook that is to be sent.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub endpoint: String,
    pub event: String,
    pub body: String,
    due: Instant,
    retries: u32,
}

/// What the sender does next.
#[derive(Debug)]
pub(crate) enum Next {
    Send(Delivery, Box<WebhookEndpoint>),
    WaitUntil(Instant),
    Wait,
}

/// Endpoints, what is to be sent and what was.
#[derive(Debug, Default)]
pub(crate) struct Webhooks {
    pub settings: WebhookSettings,
    pub endpoints: IndexMap<String, WebhookEndpoint>,
    pub attempts: Vec<WebhookAttempt>,
    pub changed: Arc<Notify>,
    waiting: Vec<Delivery>,
    random: Random,
}

impl Webhooks {
    pub fn set(&mut self, settings: WebhookSettings) {
        self.random = Random::new(settings.reorder.unwrap_or_default());
        self.settings = settings;
        self.changed.notify_one();
    }

    /// Has an event sent to whoever wants it. It is not held back, as the Events API does.
    pub fn push(&mut self, id: &str, event: &str, body: &str) {
        let wants = |endpoint: &&WebhookEndpoint| {
            endpoint.status == WebhookStatus::Enabled && endpoint.events.iter().any(|e| e == event)
        };
        for endpoint in self.endpoints.values().filter(wants) {
            for _ in 0..self.settings.times {
                self.waiting.push(Delivery {
                    endpoint: endpoint.id.clone(),
                    event: id.to_owned(),
                    body: body.to_owned(),
                    due: Instant::now(),
                    retries: 0,
                });
            }
        }
        self.changed.notify_one();
    }

    /// What to do now.
    pub fn next(&mut self) -> Next {
        let now = Instant::now();
        if self.settings.held {
            return Next::Wait;
        }
        let due: Vec<usize> =
            (0_usize..).zip(&self.waiting).filter(|(_, one)| one.due <= now).map(|(at, _)| at).collect();
        let chosen = match self.settings.reorder {
            Some(_) if !due.is_empty() => due.get(self.random.at_most(due.len().saturating_sub(1))),
            _ => due.first(),
        };
        let Some(chosen) = chosen else {
            return self.waiting.iter().map(|one| one.due).min().map_or(Next::Wait, Next::WaitUntil);
        };
        let delivery = self.waiting.remove(*chosen);
        match self.endpoints.get(&delivery.endpoint) {
            Some(endpoint) => Next::Send(delivery, Box::new(endpoint.clone())),
            // It was deleted meanwhile.
            None => Next::WaitUntil(now),
        }
    }

    /// Writes down what came back, and tries again where it was no success.
    pub fn done(&mut self, mut delivery: Delivery, status: Option<u16>) {
        let (endpoint, event) = (delivery.endpoint.clone(), delivery.event.clone());
        self.attempts.push(WebhookAttempt { endpoint, event, status });
        if status.is_none_or(|status| !(200..300).contains(&status)) && delivery.retries < RETRIES {
            let pause = Duration::from_millis(self.settings.retry_after_ms.saturating_mul(1 << delivery.retries));
            delivery.due = Instant::now() + pause;
            delivery.retries = delivery.retries.saturating_add(1);
            self.waiting.push(delivery);
        }
    }

    /// `WorkOS-Signature`: `t=<ms>, v1=<hex>`, a HMAC of `<ms>.<body>` with SHA-256 (WorkOS's documentation). The time is the real one: a
    /// receiver compares it with its own clock.
    pub fn signature(&self, secret: &str, body: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let time = now.saturating_add(self.settings.clock_skew_seconds.saturating_mul(1000));
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let tag = hmac::sign(&key, format!("{time}.{body}").as_bytes());
        let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        format!("t={time}, v1={hex}")
    }
}
