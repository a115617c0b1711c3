//! pg_upgrade, to the version that `NEWER_PG_CONFIG` names, or from the installed version to itself, which it allows: the cluster gets another
//! system identifier, and its databases are made anew around their old files.

use std::{fs, mem};

use nix::sys::signal::Signal;

use super::{Cluster, run};
use crate::error::{Error, Result};
use crate::postgres::Installation;

impl Cluster {
    /// Stops the server, upgrades the cluster into a new data directory in the place of the old one, and starts the newer server on it.
    ///
    /// # Errors
    /// pg_upgrade refuses, or the server does not stop or start in time.
    pub async fn upgrade(&mut self) -> Result<()> {
        self.forget_column_versions().await?;
        self.stop(Signal::SIGINT)?;
        let (old, new) = (self.base.path().join("old_data"), self.data_dir());
        fs::rename(&new, &old).map_err(Error::io("put the old data directory aside"))?;
        let older = mem::replace(&mut self.installation, Installation::newer()?);
        self.initdb()?;
        let configuration = "postgresql.conf";
        fs::copy(old.join(configuration), new.join(configuration)).map_err(Error::io("copy postgresql.conf"))?;

        let mut upgrade = self.command("pg_upgrade");
        upgrade.arg("--old-bindir").arg(older.bin_dir()).arg("--new-bindir").arg(self.installation.bin_dir());
        upgrade.arg("--old-datadir").arg(&old).arg("--new-datadir").arg(&new);
        upgrade.arg("--socketdir").arg(self.socket_dir()).args(["--username", super::SUPERUSER]);
        run(upgrade, "pg_upgrade")?;
        self.launch()
    }

    /// A newer minor release than the one that is upgraded to may number each column in its options: 15.20 does. pg_upgrade of 18.6 takes the
    /// number for a setting that it does not know. With releases of one day there is nothing to forget.
    async fn forget_column_versions(&self) -> Result<()> {
        let databases = "SELECT datname::text FROM pg_database WHERE datallowconn";
        let databases = self.connect("postgres", super::SUPERUSER).await?.query(databases, &[]).await?;
        for row in databases {
            let database: String = row.try_get(0)?;
            let client = self.connect(&database, super::SUPERUSER).await?;
            let forget = r"UPDATE pg_attribute SET attoptions = NULL WHERE attoptions::text ~ '^\{pg_attver=\d+\}$'";
            client.batch_execute(forget).await?;
        }
        Ok(())
    }
}
