//! How long a call to WorkOS may take, from the wait for its turn to the last byte of the answer.

use std::time::{Duration, Instant};

/// When a call must have ended, from the wait for a place to the last byte of the answer.
pub struct Deadline {
    began: Instant,
    /// How long the call may take, `workos_auth.request_timeout`.
    pub limit: Duration,
    /// How long it has waited for its turn.
    pub waited: Duration,
}

/// What the wait for a place leaves WorkOS to answer in: a request that is cut off may have spent its code.
const TIME_TO_ANSWER: Duration = Duration::from_secs(1);

impl Deadline {
    /// From now on.
    pub fn new(limit: Duration) -> Self {
        Self { began: Instant::now(), limit, waited: Duration::ZERO }
    }

    /// How long to wait for a place at most.
    pub fn patience(&self) -> Duration {
        self.limit - TIME_TO_ANSWER.min(self.limit / 2)
    }

    /// The wait for its turn is over.
    pub fn has_its_turn(&mut self) {
        self.waited = self.began.elapsed();
    }

    /// What is left of it.
    pub fn left(&self) -> Duration {
        self.limit.saturating_sub(self.began.elapsed())
    }
}
