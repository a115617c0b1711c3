//! What a browser meets: the gateway, the page of `examples/browser`, and a stand-in that shows its login page.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, io, thread};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use workos_testbed::{Error, Workos};

use crate::failure::{Failure, Result};
use crate::origin;
use crate::stage::{DATABASE, Stage};

/// How long a program may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(50);
/// How often it is looked whether all are still there.
const WATCH_EVERY: Duration = Duration::from_millis(300);
/// So many lines of a log are shown.
const LOG_TAIL: usize = 10;

/// Where everything will be: the database must know it before the programs start.
pub struct Plan {
    pub workos: Workos,
    gateway_port: u16,
    page_port: u16,
}

impl Plan {
    /// Starts the stand-in with its login page, and finds two ports that are free now.
    pub fn make() -> Result<Self> {
        // Both are held until both are known, so that they differ.
        let ports = || {
            let sockets = [TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?, TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?];
            Ok::<_, io::Error>([sockets[0].local_addr()?.port(), sockets[1].local_addr()?.port()])
        };
        let [gateway_port, page_port] = ports().map_err(|error| unexpected("no port is free", &error))?;
        Ok(Self { workos: Workos::start_interactive()?, gateway_port, page_port })
    }

    /// What Supabase's client is given.
    pub fn supabase_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// What a browser is given.
    pub fn page_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.page_port)
    }

    /// The gateway's own URL, which is the issuer of the tokens.
    pub fn gateway_url(&self) -> String {
        format!("{}/auth/v1", self.supabase_url())
    }

    /// Starts the gateway and, where this machine can, the page.
    ///
    /// # Errors
    /// One of them does not start; the end of its log.
    pub fn open(self, stage: &Stage) -> Result<Site> {
        let database = |user: &str| format!("postgres://{user}@127.0.0.1:{}/{DATABASE}", stage.cluster.port());
        let log = |name: &str| stage.cluster.log_path().with_file_name(name);
        let own = env::current_exe().map_err(|error| unexpected("this program is nowhere", &error))?;
        let program = own.with_file_name("workos-auth-gateway");
        if !program.is_file() {
            return Err(Failure::no_gateway());
        }
        let mut gateway = Command::new(program);
        gateway.args(["--listen", &format!("127.0.0.1:{}", self.gateway_port), "--public-url", &self.gateway_url()]);
        gateway.env("DATABASE_URL", database("gateway"));
        let mut programs = vec![Program::start("gateway", gateway, log("gateway.log"), self.gateway_port)?];

        let page_dir = page_dir();
        if let Ok(dir) = &page_dir {
            let mut page = Command::new("node");
            page.arg("server.js").current_dir(dir).env("DATABASE_URL", database("app"));
            page.env("SUPABASE_URL", self.supabase_url()).env("PORT", self.page_port.to_string());
            programs.push(Program::start("page", page, log("page.log"), self.page_port)?);
        }
        Ok(Site { programs, missing: page_dir.err(), plan: self })
    }
}

/// The running programs. Dropping it ends them.
pub struct Site {
    programs: Vec<Program>,
    /// Why there is no page.
    pub missing: Option<&'static str>,
    pub plan: Plan,
}

impl Site {
    /// Returns when one of the programs has ended, with the end of its log.
    pub async fn watch(&mut self) -> Failure {
        loop {
            if let Some(failure) = self.programs.iter_mut().find_map(Program::ended) {
                return failure;
            }
            tokio::time::sleep(WATCH_EVERY).await;
        }
    }

    /// The logs, and whose they are.
    pub fn logs(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        self.programs.iter().map(|program| (program.name, program.log.as_path()))
    }
}

/// A process that ends with this value.
struct Program {
    name: &'static str,
    process: Child,
    log: PathBuf,
}

impl Program {
    fn start(name: &'static str, mut command: Command, log: PathBuf, port: u16) -> Result<Self> {
        let open = || {
            let file = File::create(&log)?;
            Ok::<_, io::Error>((file.try_clone()?, file))
        };
        let (out, err) = open().map_err(|error| unexpected("a log cannot be written", &error))?;
        // Ctrl-C is for the demo, which then ends it.
        command.process_group(0).stdin(Stdio::null()).stdout(out).stderr(err);
        let process = command.spawn().map_err(|error| unexpected(&format!("the {name} does not start"), &error))?;
        let mut program = Self { name, process, log };
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(failure) = program.ended() {
                return Err(failure);
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(program);
            }
            thread::sleep(POLL);
        }
        Err(Error::Timeout { what: "the start of the gateway or the page", after: PATIENCE }.into())
    }

    fn ended(&mut self) -> Option<Failure> {
        let status = self.process.try_wait().ok()??;
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n");
        Some(Failure::unexpected(format!("the {} has ended ({status}); its log ends with:\n{tail}", self.name)))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if !matches!(self.process.try_wait(), Ok(None)) {
            return;
        }
        // Not reaped yet, so the process id is still its own.
        if let Ok(pid) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !matches!(self.process.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(POLL);
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Where the page is. It is the one part of the demo that needs Node, and that no package has.
///
/// # Errors
/// What it lacks here.
fn page_dir() -> std::result::Result<PathBuf, &'static str> {
    let dir = origin::page_dir().ok_or("it is in the source (make demo)")?;
    let node = Command::new("node").arg("--version").stdin(Stdio::null()).output();
    if !node.is_ok_and(|output| output.status.success()) {
        return Err("this machine has no Node (make setup-tests installs it)");
    }
    if !dir.join("node_modules/.package-lock.json").exists() {
        return Err("its packages are not there (cd examples/browser && npm ci)");
    }
    Ok(dir)
}

fn unexpected(what: &str, error: &io::Error) -> Failure {
    Failure::unexpected(format!("{what}: {error}"))
}
