//! A server that is killed, as by a power cut that spares the disk: no process of it gets to do anything any more.

use std::fs;
use std::thread::sleep;
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Cluster, PATIENCE, POLL};
use crate::error::{Error, Result};

impl Cluster {
    /// Kills the server with every process of it (SIGKILL), and starts it again, which recovers from the WAL.
    ///
    /// # Errors
    /// The processes do not end, or the server does not start in time.
    pub fn crash(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else { return self.launch() };
        // The watcher would remove everything.
        self.guard = None;
        let send = |pid: u32, signal| i32::try_from(pid).map(|pid| kill(Pid::from_raw(pid), signal));
        // Stopped first, so that it makes no further process. Not reaped yet, so the process id is still its own.
        let _ = send(server.id(), Signal::SIGSTOP);
        let children = children(server.id());
        for pid in &children {
            let _ = send(*pid, Signal::SIGKILL);
        }
        server.kill().map_err(Error::io("kill postgres"))?;
        server.wait().map_err(Error::io("look after postgres"))?;
        // Whoever lived on would still write into the files that the next server takes over.
        let deadline = Instant::now() + PATIENCE;
        while children.iter().any(|pid| is_running(*pid)) {
            if Instant::now() > deadline {
                return Err(Error::Timeout { what: "the end of the killed server's processes", after: PATIENCE });
            }
            sleep(POLL);
        }
        self.launch()
    }
}

/// State and parent of a process, from `/proc/PID/stat`; the name before them stands in parentheses and may hold anything.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_whitespace();
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

fn children(parent: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| stat(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// A zombie that nobody has reaped yet runs no more.
fn is_running(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'))
}
