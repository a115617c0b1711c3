//! The gateway as a process, and what it and Postgres use.

use std::fs::OpenOptions;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use workos_testbed::{Error, Result};

/// Of `/proc/PID/stat`, in which Linux counts hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// How long the gateway may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway, which ends with this value.
pub struct Gateway {
    process: Child,
    database: String,
    port: u16,
    log: Option<PathBuf>,
    /// what clients call it
    pub url: String,
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that was free a moment ago.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    let port = || Ok::<_, std::io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    port().map_err(|error| Error::Other(format!("no port is free: {error}")))
}

impl Gateway {
    /// Starts the program beside this one, with 20 connections and no rate limit. Its log is written and thrown away.
    ///
    /// # Errors
    /// It was not built, or does not start.
    pub async fn start(database: &str, port: u16) -> Result<Self> {
        Self::start_with(database, port, None).await
    }

    /// The same, with its log in a file.
    ///
    /// # Errors
    /// As [`Gateway::start`].
    pub async fn start_logging(database: &str, port: u16, log: &Path) -> Result<Self> {
        Self::start_with(database, port, Some(log.to_owned())).await
    }

    async fn start_with(database: &str, port: u16, log: Option<PathBuf>) -> Result<Self> {
        let url = format!("http://127.0.0.1:{port}/auth/v1");
        let process = launch(database, port, log.as_deref())?;
        let mut gateway = Self { process, database: database.to_owned(), port, log, url };
        gateway.wait_until_healthy().await?;
        Ok(gateway)
    }

    /// Ends it in an orderly way, and starts it again at its port.
    ///
    /// # Errors
    /// It does not end, or not start.
    pub async fn restart(&mut self) -> Result<()> {
        let pid = i32::try_from(self.process.id()).map_err(|error| Error::Other(error.to_string()))?;
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        let begin = Instant::now();
        while matches!(self.process.try_wait(), Ok(None)) {
            if begin.elapsed() > PATIENCE {
                return Err(Error::Other("the gateway does not end".into()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.process = launch(&self.database, self.port, self.log.as_deref())?;
        self.wait_until_healthy().await
    }

    async fn wait_until_healthy(&mut self) -> Result<()> {
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && matches!(self.process.try_wait(), Ok(None)) {
            let answer = http.get(format!("{}/health", self.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Error::Other("the gateway does not answer".into()))
    }

    /// What it has logged.
    ///
    /// # Errors
    /// It logs into no file, or that cannot be read.
    pub fn log(&self) -> Result<String> {
        let path = self.log.as_deref().ok_or_else(|| Error::Other("the gateway logs into no file".into()))?;
        fs::read_to_string(path).map_err(|error| Error::Other(format!("{}: {error}", path.display())))
    }

    /// User and system time so far, of all its threads.
    pub fn cpu(&self) -> Duration {
        stat(self.process.id()).map(|stat| stat.own).unwrap_or_default()
    }

    /// Resident memory in MB: now, and the most so far.
    pub fn memory(&self) -> [f64; 2] {
        let path = format!("/proc/{}/status", self.process.id());
        ["VmRSS:", "VmHWM:"].map(|name| megabytes(&path, name))
    }
}

fn launch(database: &str, port: u16, log: Option<&Path>) -> Result<Child> {
    let program = env::current_exe().map(|own| own.with_file_name("workos-auth-gateway"));
    let program = program.map_err(|error| Error::Other(format!("where this program is, is unknown: {error}")))?;
    let failed = |error: std::io::Error| Error::Other(format!("{} does not start: {error}", program.display()));
    let (stdout, stderr) = match log {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path).map_err(failed)?;
            (file.try_clone().map_err(failed)?.into(), file.into())
        }
        None => (Stdio::null(), Stdio::null()),
    };
    Command::new(&program)
        .env_clear()
        .env("DATABASE_URL", database)
        .args(["--listen", &format!("127.0.0.1:{port}"), "--public-url", &format!("http://127.0.0.1:{port}/auth/v1")])
        .args(["--pool-size", "20", "--rate-limit", "0"])
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr)
        .spawn()
        .map_err(failed)
}

/// User and system time of a cluster so far: the postmaster, its children, and those of them that ended.
pub fn postgres_cpu(postmaster: u32) -> Duration {
    let ended = stat(postmaster).map(|stat| stat.own + stat.ended_children).unwrap_or_default();
    children(postmaster).iter().filter_map(|pid| stat(*pid)).fold(ended, |sum, stat| sum + stat.own)
}

/// Memory of a cluster in MB, shared pages divided among those who share them.
pub fn postgres_memory(postmaster: u32) -> f64 {
    let processes = children(postmaster).into_iter().chain([postmaster]);
    let each = processes.map(|pid| megabytes(&format!("/proc/{pid}/smaps_rollup"), "Pss:"));
    // One that has just ended has no memory.
    each.filter(|megabytes| megabytes.is_finite()).sum()
}

struct Stat {
    parent: u32,
    own: Duration,
    ended_children: Duration,
}

/// proc_pid_stat(5): the name, in parentheses, is the second field.
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u32>().ok().map(|ticks| TICK * ticks);
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: ticks(11)? + ticks(12)?,
        ended_children: ticks(13)? + ticks(14)?,
    })
}

fn children(of: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == of)).collect()
}

/// A line of a file of `/proc` that gives kB.
fn megabytes(path: &str, name: &str) -> f64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(f64::NAN) / 1024.0
}
