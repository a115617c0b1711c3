//! What the handlers share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use uuid::Uuid;

use crate::directory::Directory;
use crate::expiring::Expiring;
use crate::fault::Faults;
use crate::record::Requests;

/// "Authorization codes are good for 10 minutes, once" (WorkOS's reference of `/sso/token`).
const CODE_LIFETIME: Duration = Duration::from_secs(600);
/// The `expires_in` of the token answer.
pub(crate) const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// The simulator's whole memory.
#[derive(Debug)]
pub(crate) struct State {
    pub interactive: bool,
    started: Instant,
    memory: Mutex<Memory>,
}

/// What changes.
#[derive(Debug)]
pub(crate) struct Memory {
    pub directory: Directory,
    pub codes: Expiring<Grant>,
    pub tokens: Expiring<Value>,
    pub faults: Faults,
    pub requests: Requests,
    /// How far the clock was put forward.
    advanced: Duration,
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

impl Memory {
    /// Puts the clock forward.
    pub fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }
}

impl State {
    pub fn new(directory: Directory, interactive: bool, request_log: usize) -> Self {
        let memory = Memory {
            directory,
            codes: Expiring::new(CODE_LIFETIME),
            tokens: Expiring::new(TOKEN_LIFETIME),
            faults: Faults::default(),
            requests: Requests::new(request_log),
            advanced: Duration::ZERO,
        };
        Self { interactive, started: Instant::now(), memory: Mutex::new(memory) }
    }

    /// The memory; held for a moment only, never across an await.
    pub fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time on the simulator's clock, counted from its start.
    pub fn now(&self, memory: &Memory) -> Duration {
        self.started.elapsed().saturating_add(memory.advanced)
    }

    /// The time on the simulator's clock in seconds since 1970.
    pub fn unix_now(&self, memory: &Memory) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_add(memory.advanced).as_secs()
    }
}

/// 244 random bits behind a prefix.
pub(crate) fn random(prefix: &str) -> String {
    format!("{prefix}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}
