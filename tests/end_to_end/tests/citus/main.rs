//! Row-level security on the nodes of Citus. It needs a Citus that is installed: `make test-citus` says how.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

/// A coordinator and workers.
mod nodes;

mod handed_on;
mod page;
mod tables;
mod workers;
