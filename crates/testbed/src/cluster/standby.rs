//! A second server that follows the first by streaming replication, and the programs that come with the server.

use std::process::{Command, Stdio};
use std::time::Instant;

use tokio_postgres::Client;

use super::{Cluster, PATIENCE, POLL, SUPERUSER, run};
use crate::error::{Error, Result};
use crate::postgres::Installation;
use crate::server_copy::ServerCopy;

impl Cluster {
    /// A hot standby of this cluster: a base backup that follows by streaming. It has the primary's configuration, as it is
    /// now, and then these lines of its own. End it before the primary.
    ///
    /// # Errors
    /// The base backup fails, or the standby does not start.
    pub fn start_standby(&self, settings: &[&str]) -> Result<Self> {
        self.follow(Installation::find()?, settings)
    }

    /// The same with a copy of the server.
    ///
    /// # Errors
    /// As [`Cluster::start_standby`].
    pub fn start_standby_from(&self, copy: &ServerCopy, settings: &[&str]) -> Result<Self> {
        self.follow(copy.installation()?, settings)
    }

    fn follow(&self, installation: Installation, settings: &[&str]) -> Result<Self> {
        let mut standby = Self::new(installation)?;
        let mut backup = self.command("pg_basebackup");
        backup.arg("--pgdata").arg(standby.data_dir());
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--wal-method=stream", "--no-sync"]);
        run(backup, "pg_basebackup")?;
        standby.append_conf(&format!("unix_socket_directories = '{}'", standby.socket_dir().display()))?;
        standby.append_conf(&settings.join("\n"))?;
        standby.start_on_a_free_port()?;
        Ok(standby)
    }

    /// Returns once `standby` has replayed everything that `primary`, a superuser's connection to this cluster outside of a
    /// transaction, can see.
    ///
    /// # Errors
    /// It does not catch up in time.
    pub async fn wait_for_replay(&self, primary: &Client, standby: &Self) -> Result<()> {
        // No commit waits for the WAL here, save this one: with it all that came before is written, and so sent.
        let flush = "begin; set local synchronous_commit = local; select pg_logical_emit_message(true, '', ''); commit";
        primary.batch_execute(flush).await?;
        let end: String = primary.query_one("select pg_current_wal_flush_lsn()::text", &[]).await?.get(0);
        let follower = standby.connect("postgres", SUPERUSER).await?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            let sql = "select pg_last_wal_replay_lsn() >= $1::text::pg_lsn";
            if follower.query_one(sql, &[&end]).await?.get(0) {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::Timeout { what: "the replay on the standby", after: PATIENCE })
    }

    /// One of the server's own programs, such as `pg_dump` or `psql`, set to connect to this cluster as its superuser.
    pub fn command(&self, program: &str) -> Command {
        let mut command = self.installation.command(program, self.base.path());
        command.env("PGHOST", self.socket_dir()).env("PGPORT", self.port.to_string()).env("PGUSER", SUPERUSER);
        command.stdin(Stdio::null());
        command
    }
}
