//! What readers found in a run of a query: all that is left to look at while the same run goes on.

use std::cell::Cell;
use std::ptr;

use super::verified::Verified;
use crate::postgres::runs;

/// What the readers of claims found.
pub static SESSION: RunCache<Verified> = RunCache::new();

/// The last answer, and in which run of a query it was given.
pub struct RunCache<T> {
    run: Cell<u64>,
    answer: Cell<*const T>,
}

// SAFETY: a backend has one thread.
unsafe impl<T> Sync for RunCache<T> {}

/// No run has this number.
const NO_RUN: u64 = u64::MAX;

impl<T> RunCache<T> {
    /// With no answer.
    pub const fn new() -> Self {
        Self { run: Cell::new(NO_RUN), answer: Cell::new(ptr::null()) }
    }

    /// The answer of the current run, if it has one.
    #[inline(always)]
    pub fn get(&self) -> Option<*const T> {
        match self.run.get() == runs::current_run() {
            true => Some(self.answer.get()),
            false => None,
        }
    }

    /// Keeps an answer for the current run. Outside of a run nothing is kept.
    pub fn set(&self, answer: *const T) {
        match runs::current_run() {
            0 => {}
            run => {
                self.answer.set(answer);
                self.run.set(run);
            }
        }
    }

    /// Has the next reader look again.
    pub fn forget(&self) {
        self.run.set(NO_RUN);
    }
}
