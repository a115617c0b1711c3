//! PgBouncer in front of a cluster: what stands between a backend and Postgres in most deployments.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio_postgres::{Client, Config};

use crate::cluster::{
    Cluster, PATIENCE, POLL, PORT_ATTEMPTS, SUPERUSER, client_config, connect, free_port, make_base, open_log, tail,
};
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::postgres::Installation;

const PROGRAM: &str = "pgbouncer";

/// Where Debian's package puts it, which is on the path of root alone.
const DEBIANS: &str = "/usr/sbin/pgbouncer";

/// A running PgBouncer that lets everyone in, as the cluster behind it does. Dropping it ends it.
///
/// It has a pool for each database and role.
#[derive(Debug)]
pub struct PgBouncer {
    // Dropped in this order, after `drop` has stopped the process.
    _guard: Guard,
    process: Child,
    port: u16,
    base: TempDir,
}

impl PgBouncer {
    /// Starts one in front of `cluster`, on a free port of 127.0.0.1. `settings` are further lines for the section
    /// `[pgbouncer]` of its configuration, such as `pool_mode = transaction`.
    ///
    /// # Errors
    /// It is not installed, or does not start; the error then shows the end of its log.
    pub fn start(cluster: &Cluster, settings: &[&str]) -> Result<Self> {
        let installation = Installation::find()?;
        let mut attempt = 1;
        loop {
            match Self::launch(&installation, cluster.port(), settings) {
                Err(Error::NotStarted { log, .. })
                    if attempt < PORT_ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    fn launch(installation: &Installation, server: u16, settings: &[&str]) -> Result<Self> {
        let base = make_base(installation)?;
        let port = free_port()?;
        let configuration = base.path().join("pgbouncer.ini");
        // Who may log in is asked of the server, as the superuser.
        let text = format!(
            "[databases]\n* = host={host} port={server}\n[pgbouncer]\nlisten_addr = {host}\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_user = {SUPERUSER}\n{settings}\n",
            host = Ipv4Addr::LOCALHOST,
            settings = settings.join("\n"),
        );
        fs::write(&configuration, text).map_err(Error::io("write pgbouncer.ini"))?;
        fs::set_permissions(&configuration, Permissions::from_mode(0o644)).map_err(Error::io("write pgbouncer.ini"))?;
        let log = open_log(&log_path(base.path()))?;
        let errors = log.try_clone().map_err(Error::io("open pgbouncer's log"))?;
        let mut command = Command::new(program());
        command.arg(&configuration).env_clear().env("TZ", "UTC").current_dir(base.path());
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        // It refuses root, as Postgres does.
        installation.drop_privileges(&mut command);
        let process = command.spawn().map_err(Error::io("start pgbouncer; make setup-tests installs it"))?;
        let guard = Guard::over(installation, process.id(), base.path())?;
        let mut pooler = Self { _guard: guard, process, port, base };
        pooler.wait_until_ready()?;
        Ok(pooler)
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything it has logged so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(log_path(self.base.path())).map_err(Error::io("read pgbouncer's log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// As [`Cluster::connect`], through the pooler.
    ///
    /// # Errors
    /// The pooler or the server refuses.
    pub async fn connect(&self, database: &str, user: &str) -> Result<Client> {
        connect(&self.config(database, user)).await
    }

    /// As [`Cluster::config`], through the pooler.
    pub fn config(&self, database: &str, user: &str) -> Config {
        client_config(self.port, database, user)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let reason = loop {
            if let Some(status) = self.process.try_wait().map_err(Error::io("look after pgbouncer"))? {
                break format!("pgbouncer ended with {status}");
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                break format!("pgbouncer was not ready within {PATIENCE:?}");
            }
            sleep(POLL);
        };
        Err(Error::NotStarted { reason, log: tail(&self.log()?) })
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        // QUIT ends it at once in every version; from 1.23 on, TERM waits for its clients. Not reaped yet, so the process id is still its own.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGQUIT);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // An error means that there is nothing to wait for.
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            sleep(POLL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn log_path(base: &Path) -> PathBuf {
    base.join("pgbouncer.log")
}

fn program() -> &'static Path {
    let debians = Path::new(DEBIANS);
    if debians.is_file() { debians } else { Path::new(PROGRAM) }
}
