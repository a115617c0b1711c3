//! The gateway as a process, and what it and Postgres use.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use workos_testbed::{Error, Result};

/// Of `/proc/PID/stat`, in which Linux counts hundredths of a second.
const TICK: Duration = Duration::from_millis(10);
/// How long the gateway may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running gateway, which ends with this value.
pub struct Gateway {
    process: Child,
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
        let program = env::current_exe().map(|own| own.with_file_name("workos-auth-gateway"));
        let program = program.map_err(|error| Error::Other(format!("where this program is, is unknown: {error}")))?;
        let url = format!("http://127.0.0.1:{port}/auth/v1");
        let process = Command::new(&program)
            .env_clear()
            .env("DATABASE_URL", database)
            .args(["--listen", &format!("127.0.0.1:{port}"), "--public-url", &url])
            .args(["--pool-size", "20", "--rate-limit", "0"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Error::Other(format!("{} does not start: {error}", program.display())))?;
        let mut gateway = Self { process, url };
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE && matches!(gateway.process.try_wait(), Ok(None)) {
            let answer = http.get(format!("{}/health", gateway.url)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(gateway);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(Error::Other("the gateway does not answer".into()))
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
