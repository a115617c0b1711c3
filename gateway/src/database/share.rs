//! The part of the connections that calls may have which wait for WorkOS. The rest is for those that do not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::error::{ApiError, Result};
use crate::waits::Waits;

/// A number of connections, out of those of the pool.
#[derive(Debug)]
pub struct Share {
    size: usize,
    free: Arc<Semaphore>,
    waiting: AtomicUsize,
    within: Duration,
    waits: Waits,
}

/// How it stands.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// How many there are.
    pub size: usize,
    /// How many are in use.
    pub used: usize,
    /// How many requests wait for one.
    pub waiting: usize,
}

impl Share {
    /// So many connections, for which a request waits so long.
    pub fn new(size: usize, within: Duration, waits: Waits) -> Self {
        Self { size, free: Arc::new(Semaphore::new(size)), waiting: AtomicUsize::new(0), within, waits }
    }

    /// The right to one, until it is dropped. First come, first served; who waits has no connection yet.
    ///
    /// # Errors
    /// 503 where none was free in time.
    pub async fn enter(&self) -> Result<OwnedSemaphorePermit> {
        let _waiting = Waiting::new(&self.waiting);
        let began = Instant::now();
        let entered = timeout(self.within, Arc::clone(&self.free).acquire_owned()).await;
        self.waits.ended(began, entered.is_err());
        match entered {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(ApiError::busy("Each connection for sign-ins (--sign-in-connections) waits for WorkOS.")),
        }
    }

    /// How it stands.
    pub fn figures(&self) -> Figures {
        let used = self.size.saturating_sub(self.free.available_permits());
        Figures { size: self.size, used, waiting: self.waiting.load(Ordering::Relaxed) }
    }
}

/// Counts somebody who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
