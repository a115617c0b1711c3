//! What the readers of one run of a query have found.

use std::cell::Cell;
use std::ptr;

use super::verified::Verified;

/// What the last reader found, and in which run of a query: all that is left to look at while the same run goes on.
pub struct Seen {
    pub run: Cell<u64>,
    pub session: Cell<*const Verified>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for Seen {}

/// No run has this number.
pub const NO_RUN: u64 = u64::MAX;

pub static SEEN: Seen = Seen { run: Cell::new(NO_RUN), session: Cell::new(ptr::null()) };

/// Another token was assigned.
pub fn forget_seen() {
    SEEN.run.set(NO_RUN);
}
