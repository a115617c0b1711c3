//! What every request can reach.

use std::sync::Once;

use crate::config::Config;
use crate::database::Database;
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::workos::Workos;

/// What every request can reach. Nothing in it outlives the process or has to be shared with another one.
#[allow(missing_debug_implementations, reason = "of connections there is nothing to show")]
pub struct App {
    /// Flags and environment
    pub config: Config,
    /// The SQL functions
    pub database: Database,
    /// WorkOS, where this server asks it
    pub workos: Option<Workos>,
    /// For each address
    pub limits: Limits,
    /// For Prometheus
    pub metrics: Metrics,
    /// That a proxy is not trusted is said once
    pub has_warned_of_proxy: Once,
}
