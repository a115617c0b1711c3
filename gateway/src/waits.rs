//! How long requests wait for a connection, and how many give up.

use std::time::Instant;

use prometheus::{Histogram, HistogramOpts, IntCounter, Registry};

/// The figures of one queue.
#[derive(Debug, Clone)]
pub struct Waits {
    seconds: Histogram,
    timeouts: IntCounter,
}

impl Waits {
    /// `prefix` begins the names of its figures, `what` is what is waited for.
    ///
    /// # Errors
    /// A name stands twice.
    pub fn new(registry: &Registry, prefix: &str, what: &str) -> prometheus::Result<Self> {
        let seconds =
            HistogramOpts::new(format!("{prefix}_wait_seconds"), format!("How long requests waited for {what}"))
                .buckets(vec![0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]);
        let waits = Self {
            seconds: Histogram::with_opts(seconds)?,
            timeouts: IntCounter::new(
                format!("{prefix}_timeouts_total"),
                format!("Requests that waited in vain for {what}: 503"),
            )?,
        };
        registry.register(Box::new(waits.seconds.clone()))?;
        registry.register(Box::new(waits.timeouts.clone()))?;
        Ok(waits)
    }

    /// One has what it waited for, or has given up.
    pub fn ended(&self, began: Instant, is_timeout: bool) {
        self.seconds.observe(began.elapsed().as_secs_f64());
        if is_timeout {
            self.timeouts.inc();
        }
    }
}

/// The queues on the way to the database.
#[derive(Debug, Clone)]
pub struct DatabaseWaits {
    /// For a connection of the pool.
    pub connection: Waits,
    /// For one of those that may wait for WorkOS.
    pub sign_in: Waits,
}

impl DatabaseWaits {
    /// Registers their figures.
    ///
    /// # Errors
    /// A name stands twice.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        Ok(Self {
            connection: Waits::new(
                registry,
                "gateway_database_connection",
                "a connection to the database, a new one's making included",
            )?,
            sign_in: Waits::new(registry, "gateway_sign_in_connection", "a connection that may wait for WorkOS")?,
        })
    }
}
