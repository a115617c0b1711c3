//! The cluster and the stand-in for WorkOS that the tour is told on.

use workos_testbed::{Cluster, Workos};

use crate::failure::Result;

/// The database of the tour: the one that every cluster has.
pub const DATABASE: &str = "postgres";

/// Everything that is running. Dropping it ends it and removes what it wrote.
pub struct Stage {
    pub cluster: Cluster,
    pub workos: Workos,
}

impl Stage {
    /// Starts them.
    ///
    /// # Errors
    /// One of them does not start.
    pub fn set() -> Result<Self> {
        Ok(Self { workos: Workos::start()?, cluster: Cluster::start()? })
    }
}
