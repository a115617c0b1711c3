//! Figures for Prometheus. Labels are the server's own words, never a client's.

mod sign_ins;

use std::time::Duration;

use prometheus::{
    Encoder, Gauge, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::database::{Database, Figures};
use crate::waits::DatabaseWaits;
use sign_ins::SignIns;

/// The figures of one process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    errors: IntCounterVec,
    seconds: HistogramVec,
    in_flight: IntGauge,
    connections: Connections,
    pool: Pool,
    waits: DatabaseWaits,
    /// Sign-ins and refreshes.
    pub sign_ins: SignIns,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// A name stands twice.
    pub fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("gateway_requests_total", "Requests, by endpoint, method and status"),
                &["endpoint", "method", "status"],
            )?,
            errors: IntCounterVec::new(
                Opts::new("gateway_errors_total", "Refused requests, by endpoint and error code"),
                &["endpoint", "code"],
            )?,
            seconds: HistogramVec::new(
                HistogramOpts::new("gateway_request_seconds", "How long requests took, by endpoint")
                    .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0]),
                &["endpoint"],
            )?,
            in_flight: IntGauge::new("gateway_requests_in_flight", "Requests that are being answered")?,
            connections: Connections {
                open: IntGauge::new("gateway_connections", "Connections of clients")?,
                given_up: IntCounter::new(
                    "gateway_connections_given_up_total",
                    "Connections without a request that were closed in favour of others",
                )?,
            },
            pool: Pool::new(&registry)?,
            waits: DatabaseWaits::new(&registry)?,
            sign_ins: SignIns::new(&registry)?,
            registry,
        };
        let build = Gauge::with_opts(
            Opts::new("gateway_build_info", "Which version this is").const_label("version", env!("CARGO_PKG_VERSION")),
        )?;
        build.set(1.0);
        metrics.registry.register(Box::new(build))?;
        metrics.registry.register(Box::new(metrics.requests.clone()))?;
        metrics.registry.register(Box::new(metrics.errors.clone()))?;
        metrics.registry.register(Box::new(metrics.seconds.clone()))?;
        metrics.registry.register(Box::new(metrics.in_flight.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.open.clone()))?;
        metrics.registry.register(Box::new(metrics.connections.given_up.clone()))?;
        // The process's memory, processor time and file descriptors, which Linux tells.
        #[cfg(target_os = "linux")]
        metrics.registry.register(Box::new(prometheus::process_collector::ProcessCollector::for_self()))?;
        Ok(metrics)
    }

    /// A request begins; it counts until the answer is dropped.
    pub fn begin(&self) -> InFlight {
        self.in_flight.inc();
        InFlight(self.in_flight.clone())
    }

    /// Those of the listeners' connections.
    pub fn connections(&self) -> Connections {
        self.connections.clone()
    }

    /// Those of the queues on the way to the database.
    pub fn waits(&self) -> DatabaseWaits {
        self.waits.clone()
    }

    /// A request was answered.
    pub fn count(&self, endpoint: &str, method: &str, status: u16, error: Option<&str>, took: Duration) {
        self.requests.with_label_values(&[endpoint, method, &status.to_string()]).inc();
        self.seconds.with_label_values(&[endpoint]).observe(took.as_secs_f64());
        if let Some(code) = error {
            self.errors.with_label_values(&[endpoint, code]).inc();
        }
    }

    /// In Prometheus's text format.
    ///
    /// # Errors
    /// A figure cannot be written.
    pub fn text(&self, database: &Database) -> prometheus::Result<Vec<u8>> {
        self.pool.set(&database.figures());
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text)?;
        Ok(text)
    }
}

/// The figures of connections to the database.
#[derive(Debug)]
struct Pool {
    connections: IntGauge,
    used: IntGauge,
    waiting: IntGauge,
    sign_in_connections: IntGauge,
    sign_in_used: IntGauge,
    sign_in_waiting: IntGauge,
}

impl Pool {
    fn new(registry: &Registry) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        Ok(Self {
            connections: gauge("gateway_database_connections", "Connections to the database")?,
            used: gauge("gateway_database_connections_in_use", "Connections that a request has")?,
            waiting: gauge("gateway_database_connections_waited_for", "Requests that wait for a connection")?,
            sign_in_connections: gauge(
                "gateway_sign_in_connections",
                "Connections that may wait for WorkOS at a time",
            )?,
            sign_in_used: gauge("gateway_sign_in_connections_in_use", "Connections that may be waiting for WorkOS")?,
            sign_in_waiting: gauge(
                "gateway_sign_in_connections_waited_for",
                "Sign-ins that wait for such a connection",
            )?,
        })
    }

    fn set(&self, figures: &Figures) {
        for (gauge, value) in [
            (&self.connections, figures.connections),
            (&self.used, figures.used),
            (&self.waiting, figures.waiting),
            (&self.sign_in_connections, figures.sign_ins.size),
            (&self.sign_in_used, figures.sign_ins.used),
            (&self.sign_in_waiting, figures.sign_ins.waiting),
        ] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }
}

/// The figures of connections of clients.
#[derive(Debug, Clone)]
pub struct Connections {
    open: IntGauge,
    given_up: IntCounter,
}

impl Connections {
    /// One more.
    pub fn opened(&self) {
        self.open.inc();
    }

    /// One less.
    pub fn closed(&self) {
        self.open.dec();
    }

    /// One has to close for another.
    pub fn given_up(&self) {
        self.given_up.inc();
    }
}

/// Ends its request's count.
#[derive(Debug)]
pub struct InFlight(IntGauge);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.dec();
    }
}
