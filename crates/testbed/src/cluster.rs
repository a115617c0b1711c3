//! A Postgres cluster of one's own: made, started, restarted and thrown away by this process.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::sync::{Mutex, OnceCell};
use tokio_postgres::{Client, Config, NoTls};

use crate::error::{Error, Result};
use crate::extension::{create_extension, sql_version};
use crate::guard::Guard;
use crate::postgres::Installation;
use crate::server_copy::ServerCopy;

mod crash;
mod standby;
mod upgrade;

/// The superuser that `initdb` makes.
pub const SUPERUSER: &str = "postgres";

/// How long a start, a stop or a reload may take. Generous: the machine may be compiling meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const POLL: Duration = Duration::from_millis(20);

/// A port is found free and then used, so somebody else may take it in between.
pub(crate) const PORT_ATTEMPTS: u32 = 5;

/// The kernel's limit for the path of a Unix socket is 108 bytes; the rest is for our names and Postgres's.
const LONGEST_TEMP_DIR: usize = 50;

/// How many lines of a log an error shows.
const LOG_TAIL: usize = 20;

/// How the line of a log begins in which a server with assertions says that one failed (`ExceptionalCondition`).
const FAILED_ASSERTION: &str = "TRAP: ";

/// What every cluster here is set to: quick rather than durable, and the same wherever it runs.
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
fsync = off
full_page_writes = off
synchronous_commit = off
shared_buffers = '32MB'
max_connections = 100
max_worker_processes = 32
max_parallel_workers = 32
timezone = 'UTC'
log_timezone = 'UTC'
lc_messages = 'C'
logging_collector = off
log_destination = 'stderr'
log_line_prefix = '%m [%p] %q[%d] '
";

/// A running cluster. Dropping it ends the server and removes everything it wrote.
///
/// It listens on a free port of 127.0.0.1 and on a Unix socket, and trusts everyone: never put anything into it
/// that matters. When the caller is root, the server runs as the OS user `postgres`. A server with assertions
/// (`--enable-cassert`) that failed one fails the test: at the drop, which panics, at a restart, or at the next
/// [`Cluster::shared`].
#[derive(Debug)]
pub struct Cluster {
    // Dropped in this order, after `drop` has stopped the server.
    guard: Option<Guard>,
    server: Option<Child>,
    installation: Installation,
    environment: Vec<(String, String)>,
    port: u16,
    root_key: OnceCell<()>,
    extended: Mutex<usize>,
    base: TempDir,
}

/// A database with the extension and nothing else, which others are copies of.
const TEMPLATE: &str = "template_of_workos_auth";

/// From this database on they are copies: a cluster of one or two needs no template.
const COPIED_FROM: usize = 2;

/// Several tests at a time, each with as many connections and calls of WorkOS as it likes.
static SHARED: LazyLock<Result<Cluster>> =
    LazyLock::new(|| Cluster::start_with(&["max_connections = 300", "workos_auth.max_concurrent_requests = 200"]));

impl Cluster {
    /// Makes and starts a cluster with the server that `PG_CONFIG` names (default: `pg_config` on the path).
    ///
    /// # Errors
    /// No server is installed, or it does not start; the error then shows the end of its log.
    pub fn start() -> Result<Self> {
        Self::start_with(&[])
    }

    /// As [`Cluster::start`], with further lines for `postgresql.conf`, such as `wal_level = logical`.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(settings: &[&str]) -> Result<Self> {
        Self::start_in(&[], settings)
    }

    /// As [`Cluster::start_with`], with further variables in the server's environment, such as `RUST_BACKTRACE`.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_in(environment: &[(&str, &str)], settings: &[&str]) -> Result<Self> {
        Self::start_of(Installation::find()?, environment, settings)
    }

    /// As [`Cluster::start`], with the server that `NEWER_PG_CONFIG` names, if it names one.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_newer() -> Result<Self> {
        Self::start_of(Installation::newer()?, &[], &[])
    }

    /// As [`Cluster::start_with`], with a copy of the server.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_from(copy: &ServerCopy, settings: &[&str]) -> Result<Self> {
        Self::start_of(copy.installation()?, &[], settings)
    }

    fn start_of(installation: Installation, environment: &[(&str, &str)], settings: &[&str]) -> Result<Self> {
        let mut cluster = Self::new(installation)?;
        cluster.environment = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        cluster.initdb()?;
        cluster.append_conf(SETTINGS)?;
        cluster.append_conf(&format!("unix_socket_directories = '{}'", cluster.socket_dir().display()))?;
        cluster.append_conf(&settings.join("\n"))?;
        cluster.start_on_a_free_port()?;
        Ok(cluster)
    }

    /// One cluster for all the tests of a program, booted by the first that asks: a second each is saved. Tests that
    /// share it have a database each; roles and settings are everyone's.
    ///
    /// # Errors
    /// As [`Cluster::start`], the same for everyone who asks.
    ///
    /// # Panics
    /// The server failed an assertion: nobody drops this one.
    pub fn shared() -> std::result::Result<&'static Self, &'static Error> {
        let shared = SHARED.as_ref();
        if let Ok(cluster) = shared {
            panic_at_an_assertion(cluster.assertions());
        }
        shared
    }

    /// The TCP port on 127.0.0.1; it stays the same over [`Cluster::restart`].
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the Unix socket, which `psql -h` takes for a host.
    pub fn socket_dir(&self) -> PathBuf {
        self.base.path().join("socket")
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.base.path().join("data")
    }

    /// Where a root key may be put: outside the data directory, in a directory that only the server's OS user
    /// (and root) can use. The file does not exist at first.
    pub fn root_key_path(&self) -> PathBuf {
        self.base.path().join("keys").join("root.key")
    }

    /// The process id of the server.
    pub fn pid(&self) -> Option<u32> {
        self.server.as_ref().map(Child::id)
    }

    /// The file that the server logs into.
    pub fn log_path(&self) -> PathBuf {
        self.base.path().join("server.log")
    }

    /// Everything the server has logged so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(self.log_path()).map_err(Error::io("read the server's log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The same without what was logged for other databases.
    ///
    /// # Errors
    /// As [`Cluster::log`].
    pub fn log_of(&self, database: &str) -> Result<String> {
        let mut is_of_another = false;
        let of_this = |line: &&str| {
            // A line that begins with a tab goes on with the entry before it.
            if !line.starts_with('\t') {
                is_of_another = database_of(line).is_some_and(|of| of != database);
            }
            !is_of_another
        };
        Ok(self.log()?.lines().filter(of_this).collect::<Vec<_>>().join("\n"))
    }

    /// Adds lines to `postgresql.conf`; they count after [`Cluster::reload`] or [`Cluster::restart`].
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append_conf(&self, lines: &str) -> Result<()> {
        let mut file = OpenOptions::new()
            .append(true)
            .open(self.data_dir().join("postgresql.conf"))
            .map_err(Error::io("open postgresql.conf"))?;
        writeln!(file, "{lines}").map_err(Error::io("write postgresql.conf"))
    }

    /// Makes the server read its configuration again, and returns once new connections have the new settings.
    /// Open connections follow at their next statement.
    ///
    /// # Errors
    /// The server cannot be asked, or does not reload in time.
    pub async fn reload(&self) -> Result<()> {
        const LOADED: &str = "select pg_catalog.pg_conf_load_time()";
        let client = self.connect("postgres", SUPERUSER).await?;
        let before: SystemTime = client.query_one(LOADED, &[]).await?.get(0);
        client.execute("select pg_catalog.pg_reload_conf()", &[]).await?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            // A new backend inherits the postmaster's, so this sees what the postmaster has read.
            let now: SystemTime = self.connect("postgres", SUPERUSER).await?.query_one(LOADED, &[]).await?.get(0);
            if now != before {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err(Error::Timeout { what: "the reload", after: PATIENCE })
    }

    /// Shuts the server down in an orderly way, cutting open connections, and starts it again.
    ///
    /// # Errors
    /// The server does not stop or start in time, or had failed an assertion.
    pub fn restart(&mut self) -> Result<()> {
        self.stop(Signal::SIGINT)?;
        self.launch()
    }

    /// Makes the cluster's root key at [`Cluster::root_key_path`] and configures it; once, however often it is called.
    /// `client` is a superuser's connection to a database that has the extension.
    ///
    /// # Errors
    /// The key cannot be made, or the server does not reload.
    pub async fn create_root_key(&self, client: &Client) -> Result<()> {
        let create = || async {
            let path = self.root_key_path().display().to_string();
            client.execute("select auth.create_root_key($1)", &[&path]).await?;
            self.append_conf(&format!("workos_auth.root_key_file = '{path}'"))?;
            self.reload().await?;
            // A connection that is open hears of it in its own time.
            const NAMED: &str = "select pg_catalog.current_setting('workos_auth.root_key_file', true)";
            let deadline = Instant::now() + PATIENCE;
            while client.query_one(NAMED, &[]).await?.get::<_, Option<String>>(0).as_deref() != Some(&*path) {
                if Instant::now() > deadline {
                    return Err(Error::Timeout { what: "the root key's name", after: PATIENCE });
                }
                tokio::time::sleep(POLL).await;
            }
            Ok(())
        };
        self.root_key.get_or_try_init(create).await.copied()
    }

    /// Connects over TCP. A task of the current tokio runtime drives the connection until the client is dropped.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn connect(&self, database: &str, user: &str) -> Result<Client> {
        connect(&self.config(database, user)).await
    }

    /// The settings of [`Cluster::connect`], for callers that want notices, options or a pool.
    pub fn config(&self, database: &str, user: &str) -> Config {
        client_config(self.port, database, user)
    }

    /// Makes an empty database.
    ///
    /// # Errors
    /// There is one of that name already.
    pub async fn create_database(&self, name: &str) -> Result<()> {
        // template0, which nobody else can be connected to, so that databases can be made in parallel.
        self.copy_database("template0", name).await
    }

    async fn copy_database(&self, template: &str, name: &str) -> Result<()> {
        let quoted = name.replace('"', "\"\"");
        let client = self.connect("postgres", SUPERUSER).await?;
        Ok(client.batch_execute(&format!("create database \"{quoted}\" template {template}")).await?)
    }

    /// Makes a database with the extension in it, with the SQL of a release; without one, of that of the whole process. One at a time: roles are the
    /// cluster's, and two at once would make `workos_auth_owner` twice.
    ///
    /// # Errors
    /// There is one of that name already, or the extension cannot be made.
    pub async fn create_database_with_extension(&self, name: &str, version: Option<&str>) -> Result<()> {
        let mut extended = self.extended.lock().await;
        if version.is_some() {
            return self.extend(name, version).await;
        }
        let version = sql_version();
        if *extended == COPIED_FROM {
            self.extend(TEMPLATE, version.as_deref()).await?;
            let client = self.connect("postgres", SUPERUSER).await?;
            client
                .batch_execute(&format!("alter database {TEMPLATE} is_template true allow_connections false"))
                .await?;
        }
        *extended += 1;
        match *extended > COPIED_FROM {
            true => self.copy_database(TEMPLATE, name).await,
            false => self.extend(name, version.as_deref()).await,
        }
    }

    async fn extend(&self, name: &str, version: Option<&str>) -> Result<()> {
        self.create_database(name).await?;
        let client = self.connect(name, SUPERUSER).await?;
        Ok(client.batch_execute(&create_extension(version)).await?)
    }

    fn new(installation: Installation) -> Result<Self> {
        let base = make_base(&installation)?;
        let (environment, root_key, extended) = (Vec::new(), OnceCell::new(), Mutex::const_new(0));
        Ok(Self { guard: None, server: None, installation, environment, port: 0, root_key, extended, base })
    }

    fn initdb(&self) -> Result<()> {
        let mut command = self.installation.command("initdb", self.base.path());
        // 18 has checksums by itself, and pg_upgrade wants them alike on both sides.
        command
            .arg("--pgdata")
            .arg(self.data_dir())
            .args([
                "--auth=trust",
                "--encoding=UTF8",
                "--locale=C.UTF-8",
                "--data-checksums",
                "--no-sync",
                "--no-instructions",
            ])
            .arg(format!("--username={SUPERUSER}"));
        run(command, "initdb")
    }

    fn start_on_a_free_port(&mut self) -> Result<()> {
        let mut attempt = 1;
        loop {
            self.port = free_port()?;
            match self.launch() {
                Err(Error::NotStarted { log, .. })
                    if attempt < PORT_ATTEMPTS && log.contains("Address already in use") =>
                {
                    attempt += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// Starts the server on [`Cluster::port`] and waits until it takes connections.
    fn launch(&mut self) -> Result<()> {
        let log = open_log(&self.log_path())?;
        let errors = log.try_clone().map_err(Error::io("open the server's log"))?;
        // A server that was killed leaves its status behind. The rest of the file is for the next one, which removes its memory.
        if let Ok(text) = fs::read_to_string(self.pid_file()) {
            let lines: Vec<&str> = text.lines().take(STATUS_LINE).collect();
            fs::write(self.pid_file(), lines.join("\n") + "\n").map_err(Error::io("write postmaster.pid"))?;
        }
        let mut command = self.installation.command("postgres", self.base.path());
        command.arg("-D").arg(self.data_dir()).args(["-p", &self.port.to_string()]);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A terminal's Ctrl-C goes to the whole process group; ending the server is the guard's business.
        command.process_group(0).stdin(Stdio::null()).stdout(log).stderr(errors);
        let server = self.server.insert(command.spawn().map_err(Error::io("start postgres"))?);
        self.guard = Some(Guard::over(&self.installation, server.id(), self.base.path())?);
        self.wait_until_ready()
    }

    fn pid_file(&self) -> PathBuf {
        self.data_dir().join("postmaster.pid")
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let reason = loop {
            let Some(server) = &mut self.server else { break "it is not running".to_owned() };
            if let Some(status) = server.try_wait().map_err(Error::io("look after postgres"))? {
                self.server = None;
                self.guard = None;
                break format!("it ended with {status}");
            }
            if is_ready(&self.pid_file()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                break format!("it was not ready within {PATIENCE:?}");
            }
            sleep(POLL);
        };
        Err(Error::NotStarted { reason, log: tail(&self.log()?) })
    }

    /// Fails if the server has failed an assertion.
    ///
    /// # Errors
    /// The lines of its log that say so, or the log cannot be read.
    pub fn assertions(&self) -> Result<()> {
        let log = self.log()?;
        let failed: Vec<&str> = log.lines().filter(|line| line.starts_with(FAILED_ASSERTION)).collect();
        if failed.is_empty() { Ok(()) } else { Err(Error::Assertion(failed.join("\n"))) }
    }

    /// Ends the server with `signal` (INT: fast shutdown, QUIT: immediate shutdown), by force if it dawdles.
    fn stop(&mut self, signal: Signal) -> Result<()> {
        let Some(mut server) = self.server.take() else { return Ok(()) };
        let deadline = Instant::now() + PATIENCE;
        // Not reaped yet, so the process id is still its own.
        if let Ok(pid) = i32::try_from(server.id()) {
            let _ = kill(Pid::from_raw(pid), signal);
        }
        while Instant::now() < deadline {
            if server.try_wait().map_err(Error::io("look after postgres"))?.is_some() {
                self.guard = None;
                return self.assertions();
            }
            sleep(POLL);
        }
        server.kill().map_err(Error::io("kill postgres"))?;
        server.wait().map_err(Error::io("look after postgres"))?;
        self.guard = None;
        Err(Error::Timeout { what: "the shutdown", after: PATIENCE })
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // What is left over dies with the guard.
        let stopped = self.stop(Signal::SIGQUIT);
        if !std::thread::panicking() {
            panic_at_an_assertion(stopped);
        }
    }
}

/// Whatever else goes wrong at the end of a cluster fails no test.
#[allow(clippy::panic)]
fn panic_at_an_assertion(end: Result<()>) {
    if let Err(error @ Error::Assertion(_)) = end {
        panic!("{error}");
    }
}

/// The settings of a connection to a port of 127.0.0.1.
pub(crate) fn client_config(port: u16, database: &str, user: &str) -> Config {
    let mut config = Config::new();
    config.host(Ipv4Addr::LOCALHOST.to_string()).port(port).dbname(database).user(user);
    config
}

/// Connects. A task of the current tokio runtime drives the connection until the client is dropped.
pub(crate) async fn connect(config: &Config) -> Result<Client> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(async move {
        // What ends a connection is told to whoever uses its client.
        let _ = connection.await;
    });
    Ok(client)
}

/// The directory that everything of one cluster is in.
pub(crate) fn make_base(installation: &Installation) -> Result<TempDir> {
    let temp = std::env::temp_dir();
    let parent = if temp.as_os_str().len() > LONGEST_TEMP_DIR { Path::new("/tmp") } else { temp.as_path() };
    let base = tempfile::Builder::new()
        .prefix("workos-pg-")
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(parent)
        .map_err(Error::io("make a directory"))?;
    installation.give(base.path())?;
    for name in ["socket", "keys"] {
        let dir = base.path().join(name);
        fs::create_dir(&dir).map_err(Error::io("make a directory"))?;
        installation.give(&dir)?;
    }
    Ok(base)
}

pub(crate) fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).map_err(Error::io("open the server's log"))
}

pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::io("find a free port"))?;
    Ok(listener.local_addr().map_err(Error::io("find a free port"))?.port())
}

/// Which line of `postmaster.pid`, counted from 0, is the server's status, as `pg_ctl` reads it (`LOCK_FILE_LINE_PM_STATUS` of
/// Postgres's `utils/pidfile.h`).
const STATUS_LINE: usize = 7;

/// The database whose entry begins with this line of the log, by `log_line_prefix`; `None` where it is no database's.
fn database_of(line: &str) -> Option<&str> {
    let (_, after_time) = line.split_once(" [")?;
    let (_, after_process) = after_time.split_once("] ")?;
    after_process.strip_prefix('[')?.split_once("] ").map(|(database, _)| database)
}

fn is_ready(pid_file: &Path) -> bool {
    fs::read_to_string(pid_file)
        .is_ok_and(|text| text.lines().nth(STATUS_LINE).is_some_and(|line| line.trim() == "ready"))
}

fn run(mut command: Command, program: &'static str) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().map_err(Error::io(program))?;
    if output.status.success() {
        return Ok(());
    }
    let status = match output.status.signal() {
        Some(signal) => format!("signal {signal}"),
        None => output.status.to_string(),
    };
    let text = [output.stdout, output.stderr].concat();
    Err(Error::Program { program, status, output: tail(&String::from_utf8_lossy(&text)) })
}

pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
}
