//! What the handlers share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::Clock;
use crate::events::{Log, NewEvent};
use crate::expiring::Expiring;
use crate::fault::Faults;
use crate::objects::portal::PortalLink;
use crate::record::Requests;
use crate::registry::Registry;
use crate::webhooks::Webhooks;

/// "Authorization codes are good for 10 minutes, once" (WorkOS's reference of `/sso/token`).
const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// The `expires_in` of the token answer.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
/// How long WorkOS waits for the answer to its question is not documented.
const QUESTION_LIFETIME: Duration = Duration::from_secs(600);
/// A session's, which WorkOS's dashboard sets.
const REFRESH_TOKEN_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// "Links expire after five minutes" (WorkOS's documentation of the Admin Portal).
const PORTAL_LINK_LIFETIME: Duration = Duration::from_secs(300);

/// The simulator's whole memory.
#[derive(Debug)]
pub(crate) struct State {
    pub interactive: bool,
    memory: Mutex<Memory>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct Memory {
    pub clock: Clock,
    pub registry: Registry,
    pub codes: Expiring<Grant>,
    pub authkit_codes: Expiring<AuthkitGrant>,
    /// By what WorkOS takes with the answer: sign-ins of which it has asked for the organization.
    pub authkit_questions: Expiring<AuthkitGrant>,
    /// By their refresh tokens.
    pub authkit_sessions: Expiring<AuthkitSession>,
    pub tokens: Expiring<Value>,
    pub faults: Faults,
    pub requests: Requests,
    pub events: Log,
    pub webhooks: Webhooks,
    pub portal_links: Expiring<PortalLink>,
}

/// What a code stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grant {
    pub client_id: String,
    pub redirect_uri: String,
    /// The S256 code challenge (RFC 7636).
    pub code_challenge: Option<String>,
    pub profile_id: String,
}

/// What a code of AuthKit stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthkitGrant {
    pub client_id: String,
    /// The S256 code challenge (RFC 7636).
    pub code_challenge: Option<String>,
    pub user_id: String,
    /// The organization that was asked for.
    pub organization_id: Option<String>,
}

/// What a refresh token of AuthKit stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AuthkitSession {
    pub client_id: String,
    pub user_id: String,
    /// `session_…`
    pub id: String,
    /// `authentication_method`: "a refresh repeats the session's original method" (WorkOS's emulator).
    pub method: String,
    /// When the person signed in, in seconds since 1970; a refresh does not move it (WorkOS's documentation of reauthentication).
    pub auth_time: u64,
}

impl Memory {
    /// Tells of what happened. Answers the event's id.
    pub fn emit(&mut self, event: &str, data: Value) -> String {
        self.put_event(NewEvent { id: None, event: event.to_owned(), data, organization_id: None })
    }

    /// Tells of what a test says. Answers the event's id.
    pub fn put_event(&mut self, new: NewEvent) -> String {
        let client = self.registry.clients.keys().next();
        let actor = json!({ "id": "workos", "source": "system", "name": null });
        let context = json!({ "client_id": client, "actor": actor });
        let event = self.events.push(new, Some(context), self.clock.timestamp(), self.clock.now());
        let body = event.json(self.events.settings.dates).to_string();
        self.webhooks.push(&event.id, &event.event, &body);
        event.id
    }
}

impl State {
    pub fn new(registry: Registry, interactive: bool, request_log: usize) -> Self {
        let memory = Memory {
            clock: Clock::default(),
            registry,
            codes: Expiring::new(CODE_LIFETIME),
            authkit_codes: Expiring::new(CODE_LIFETIME),
            authkit_questions: Expiring::new(QUESTION_LIFETIME),
            authkit_sessions: Expiring::new(REFRESH_TOKEN_LIFETIME),
            tokens: Expiring::new(TOKEN_LIFETIME),
            faults: Faults::default(),
            requests: Requests::new(request_log),
            events: Log::default(),
            webhooks: Webhooks::default(),
            portal_links: Expiring::new(PORTAL_LINK_LIFETIME),
        };
        Self { interactive, memory: Mutex::new(memory) }
    }

    /// The memory; held for a moment only, never across an await.
    pub fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
