//! What happened at WorkOS, in the order in which `GET /events` tells it.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::clock::Timestamp;
use crate::ids;
use crate::random::Random;

/// "Events are available for 90 days" (WorkOS's documentation).
const KEPT: i64 = 90 * 24 * 60 * 60;

/// How events are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EventSettings {
    /// So many milliseconds pass before an event is listed: "a few seconds", as WorkOS's staff says of its API. Webhooks come at once.
    pub hold_back_ms: u64,
    /// How `created_at` is written.
    pub dates: DateFormat,
    /// Whether events of several organizations that are held back at once change places, by which seed. Those of one organization never
    /// do: "events are processed in order per organization" (WorkOS's documentation).
    pub reorder: Option<u64>,
}

impl Default for EventSettings {
    fn default() -> Self {
        Self { hold_back_ms: 3000, dates: DateFormat::Iso, reorder: None }
    }
}

/// The two ways in which WorkOS's documentation writes dates of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DateFormat {
    /// `2026-01-15T12:00:00.000Z`
    #[default]
    Iso,
    /// `2023-04-28 20:05:31.093`, which is UTC.
    Spaced,
}

/// An event that a test puts in. Its type may be one that nobody knows, and its id one that has been.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    /// `event_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// `user.deleted`, …
    pub event: String,
    /// What the type says.
    pub data: Value,
    /// Whose it is, for the filter and the order; that of `data` where none is given.
    #[serde(default)]
    pub organization_id: Option<String>,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub id: String,
    pub event: String,
    pub organization_id: Option<String>,
    pub created_at: Timestamp,
    data: Value,
    context: Option<Value>,
    /// On the simulator's clock.
    happened: Duration,
}

impl Event {
    /// The Event object.
    pub fn json(&self, dates: DateFormat) -> Value {
        let created_at = match dates {
            DateFormat::Iso => self.created_at.iso(),
            DateFormat::Spaced => self.created_at.spaced(),
        };
        let Self { id, event, data, context, .. } = self;
        let mut object = json!({ "object": "event", "id": id, "event": event, "data": data, "created_at": created_at });
        if let Some(context) = context {
            object["context"] = context.clone();
        }
        object
    }
}

/// All events, also those that are held back. They are never forgotten: a simulator lives as long as a test.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub settings: EventSettings,
    events: Vec<Event>,
    /// How many of them are listed. They keep their places, and so do those before them.
    listed: usize,
    random: Random,
}

impl Log {
    pub fn set(&mut self, settings: EventSettings) {
        self.random = Random::new(settings.reorder.unwrap_or_default());
        self.settings = settings;
    }

    /// Writes an event down.
    pub fn push(&mut self, new: NewEvent, context: Option<Value>, created_at: Timestamp, now: Duration) -> Event {
        self.list(now);
        let NewEvent { id, event, data, organization_id } = new;
        let organization_id = organization_id.or_else(|| organization_of(&event, &data));
        let id = id.unwrap_or_else(|| ids::id("event_", created_at));
        let event = Event { id, event, organization_id, created_at, data, context, happened: now };
        let place = match self.settings.reorder {
            Some(_) => self.place_among_held(&event),
            None => self.events.len(),
        };
        self.events.insert(place, event.clone());
        event
    }

    /// A place behind all that are listed and all of the same organization.
    fn place_among_held(&mut self, event: &Event) -> usize {
        let of_same = |other: &Event| other.organization_id == event.organization_id;
        let behind = self.events.iter().rposition(of_same).map_or(0, |last| last.saturating_add(1));
        let first = behind.max(self.listed);
        first.saturating_add(self.random.at_most(self.events.len().saturating_sub(first)))
    }

    /// Those that are listed now, oldest first: an event that is held back holds back all behind it, so that no cursor passes it by.
    pub fn list(&mut self, now: Duration) -> &[Event] {
        let hold_back = Duration::from_millis(self.settings.hold_back_ms);
        let due = |event: &Event| event.happened.saturating_add(hold_back) <= now;
        while self.events.get(self.listed).is_some_and(due) {
            self.listed = self.listed.saturating_add(1);
        }
        self.events.get(..self.listed).unwrap_or_default()
    }

    /// Those that are listed and not yet too old.
    pub fn kept(&mut self, now: Duration, today: Timestamp) -> &[Event] {
        let listed = self.list(now);
        let oldest = today.plus_seconds(KEPT.saturating_neg());
        let first = listed.iter().position(|event| event.created_at >= oldest).unwrap_or(listed.len());
        listed.get(first..).unwrap_or_default()
    }

    /// All of them, in their order.
    pub fn all(&self) -> Vec<Value> {
        self.events.iter().map(|event| event.json(self.settings.dates)).collect()
    }
}

/// Which organization an event is of. Those of users are of none: "user events have no organization" (WorkOS's documentation).
fn organization_of(event: &str, data: &Value) -> Option<String> {
    let places = ["/organization_id", "/user/organization_id", "/organization_domain/organization_id"];
    let more = ["/connection/organization_id", "/sso/organization_id"];
    let own = event.starts_with("organization.").then(|| data.pointer("/id")).flatten();
    let found = own.or_else(|| places.iter().chain(&more).find_map(|place| data.pointer(place)));
    found.and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_one_organization_keep_their_order_and_listed_ones_their_places() {
        let mut log = Log::default();
        log.set(EventSettings { hold_back_ms: 1000, reorder: Some(7), ..EventSettings::default() });
        let mut listed: Vec<String> = Vec::new();
        let mut pushed = Vec::new();
        for n in 0_u64..200 {
            let now = Duration::from_millis(n * 100);
            // Three that have events held back at any time, and many that have not.
            let organization_id = Some(format!("org_{}", if n % 2 == 0 { n % 3 } else { n % 40 }));
            let new = NewEvent { id: Some(n.to_string()), event: "x".into(), data: json!({}), organization_id };
            pushed.push(log.push(new, None, Timestamp::SEEDED, now).id);
            let all: Vec<_> = log.list(now).iter().map(|event| event.id.clone()).collect();
            assert_eq!(all.get(..listed.len()), Some(listed.as_slice()), "{n}");
            listed = all;
        }
        let all: Vec<_> = log.list(Duration::from_secs(60)).to_vec();
        assert_eq!(all.len(), 200);
        assert_ne!(all.iter().map(|event| event.id.clone()).collect::<Vec<_>>(), pushed, "they changed places");
        for organization in 0_u64..40 {
            let own = all.iter().filter(|event| event.organization_id == Some(format!("org_{organization}")));
            let own: Vec<u64> = own.filter_map(|event| event.id.parse().ok()).collect();
            assert!(own.is_sorted(), "{own:?}");
        }
    }
}
