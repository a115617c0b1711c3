//! What the end-to-end tests, the demo and the benchmarks stand on: a throw-away Postgres cluster with the
//! extension's library at hand, and a WorkOS stand-in that the cluster can be configured for.
//!
//! | module | what it does |
//! |---|---|
//! | [`cluster`] | boots, restarts and stops a cluster of its own |
//! | [`server_copy`] | a server with other files of the extension |
//! | [`workos`] | sets the extension up against the simulator, and plays the browser |
//! | [`pgbouncer`] | a pooler in front of a cluster |
//! | [`error`] | what can go wrong meanwhile |
//!
//! ```no_run
//! # async fn example() -> workos_testbed::Result<()> {
//! use workos_testbed::{Cluster, Workos};
//!
//! let cluster = Cluster::start()?;
//! let workos = Workos::start()?;
//! let client = workos.install(&cluster, "postgres").await?;
//! let row = client.query_one("select * from auth.start_sign_in(organization => 'org_acme')", &[]).await?;
//! let callback = workos_testbed::browser_sign_in(row.get("url"), Some("alice@acme.com")).await?;
//! # let _ = callback; Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

pub mod cluster;
pub mod error;
mod extension;
mod guard;
pub mod pgbouncer;
mod postgres;
pub mod server_copy;
pub mod workos;

pub use cluster::Cluster;
pub use error::{Error, Result};
pub use pgbouncer::PgBouncer;
pub use postgres::server_major;
pub use server_copy::ServerCopy;
pub use workos::{Browser, Callback, Workos, browser_sign_in};
