//! Runs the program of `workos_auth.root_key_command`, which prints the root key: a key management service's, or Vault's.
//!
//! Not by `OpenPipeStream`, as Postgres runs its own programs: that one waits as long as the program takes. Here the backend waits at its
//! latch, so that a cancel or the end of the server ends the wait; and at the end the program is gone, whatever became of it.

use std::ffi::{CStr, c_int};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use workos_auth_core::seal::RootKey;
use workos_auth_core::{Error, ErrorCode, Result};
use zeroize::Zeroizing;

use crate::error::unexpected;

/// More than any form of a key has, white space included.
const MOST: usize = 256;

/// How long a program that has closed its standard output may go unnoticed when it ends.
const TICK: Duration = Duration::from_millis(10);

/// Runs a command of the shell and takes what it prints for the root key. Its standard error is the server's: its log.
///
/// # Errors
/// `root_key_command_failed`, `root_key_command_timeout`, `root_key_command_malformed`, `root_key_command_too_large`. None of them shows a byte
/// of what was printed.
pub fn run(command: &str, limit: Duration) -> Result<RootKey> {
    let deadline = Deadline { at: Instant::now() + limit, limit };
    let mut program = Program::start(command)?;
    let printed = program.read(&deadline)?;
    let status = program.wait(&deadline)?;
    if !status.success() {
        return Err(failed(&ended_with(status)));
    }
    RootKey::from_output(&printed)
}

fn failed(why: &str) -> Error {
    Error::with_detail(ErrorCode::RootKeyCommandFailed, format!("workos_auth.root_key_command: {why}."))
}

/// As Postgres says it of `archive_command`.
fn ended_with(status: ExitStatus) -> String {
    // SAFETY: makes a C string, in the current memory context.
    unsafe { CStr::from_ptr(pg_sys::wait_result_to_str(status.into_raw())) }.to_string_lossy().into_owned()
}

struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    fn left(&self) -> Result<Duration> {
        match self.at.checked_duration_since(Instant::now()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => {
                let detail = format!("It was ended after {} s.", self.limit.as_secs());
                Err(Error::with_detail(ErrorCode::RootKeyCommandTimeout, detail))
            }
        }
    }
}

/// The process group of the program that runs, or 0: for the end of the backend, where nothing is dropped.
static RUNNING: AtomicI32 = AtomicI32::new(0);

/// A running program. Dropped before it has ended, it is killed, with what it started: so an error leaves no process behind, and no zombie.
struct Program {
    child: Child,
    output: ChildStdout,
    has_ended: bool,
}

impl Program {
    fn start(command: &str) -> Result<Self> {
        register_end();
        // SAFETY: counts a file descriptor that Postgres does not know of.
        if !unsafe { pg_sys::AcquireExternalFD() } {
            return Err(unexpected("The server has no file descriptor left."));
        }
        let program = spawn(command).inspect_err(|_| {
            // SAFETY: takes the count back.
            unsafe { pg_sys::ReleaseExternalFD() };
        });
        let program = program.map_err(|error| failed(&format!("it cannot be started: {error}")))?;
        do_not_block(&program.output).map_err(|error| failed(&format!("its output cannot be read: {error}")))?;
        Ok(program)
    }

    /// Everything that it prints.
    fn read(&mut self, deadline: &Deadline) -> Result<Zeroizing<Vec<u8>>> {
        // Room for all of it, lest the buffer move and leave a copy behind.
        let mut printed = Zeroizing::new(vec![0; MOST + 1]);
        let mut filled = 0;
        loop {
            let left = deadline.left()?;
            match self.output.read(printed.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait_for(Some(&self.output), left),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(&format!("its output cannot be read: {error}"))),
            }
            if filled > MOST {
                let detail = format!("It printed more than {MOST} bytes.");
                return Err(Error::with_detail(ErrorCode::RootKeyCommandTooLarge, detail));
            }
        }
        printed.truncate(filled);
        Ok(printed)
    }

    /// Its end.
    fn wait(&mut self, deadline: &Deadline) -> Result<ExitStatus> {
        loop {
            let ended = self.child.try_wait().map_err(|error| failed(&format!("it cannot be waited for: {error}")))?;
            if let Some(status) = ended {
                self.has_ended = true;
                return Ok(status);
            }
            wait_for(None, deadline.left()?.min(TICK));
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let group = RUNNING.swap(0, Ordering::Relaxed);
        if !self.has_ended {
            kill(group);
            // What is killed ends at once, and nothing can be done about a wait that fails.
            let _ = self.child.wait();
        }
        // SAFETY: takes back what `start` counted.
        unsafe { pg_sys::ReleaseExternalFD() };
    }
}

fn spawn(command: &str) -> io::Result<Program> {
    let mut shell = Command::new("/bin/sh");
    // A process group of its own, which can be killed as a whole.
    shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
    // SAFETY: between fork and exec, two system calls that touch no memory.
    unsafe {
        shell.pre_exec(|| {
            // A backend that is killed cannot kill the program. And none of its files and connections is the program's.
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            Ok(())
        });
    }
    let mut child = shell.spawn()?;
    RUNNING.store(child.id().cast_signed(), Ordering::Relaxed);
    match child.stdout.take() {
        Some(output) => Ok(Program { child, output, has_ended: false }),
        None => Err(io::ErrorKind::BrokenPipe.into()),
    }
}

fn kill(group: i32) {
    if group > 0 {
        // SAFETY: a system call. The program has not been waited for, so its process id, and its group's, are still its own.
        unsafe { libc::killpg(group, libc::SIGKILL) };
    }
}

/// Has the program killed where the backend ends while it waits: FATAL unwinds nothing. Once.
fn register_end() {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if !REGISTERED.swap(true, Ordering::Relaxed) {
        // SAFETY: a function of this library, which is never unloaded.
        unsafe { pg_sys::on_proc_exit(Some(end), pg_sys::Datum::null()) };
    }
}

unsafe extern "C-unwind" fn end(_code: c_int, _arg: pg_sys::Datum) {
    kill(RUNNING.swap(0, Ordering::Relaxed));
}

/// Waits until there is something to read, an interrupt, or the time is over. Cancel and termination raise their own errors.
fn wait_for(output: Option<&ChildStdout>, time: Duration) {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let mut pipe = pg_sys::PGINVALID_SOCKET;
    if let Some(output) = output {
        events |= pg_sys::WL_SOCKET_READABLE;
        pipe = output.as_raw_fd();
    }
    // Rounded up, lest the last millisecond be spent in going round.
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX).saturating_add(1);
    // SAFETY: the backend's own latch, in the order of pg_sleep (misc.c); the pipe is open.
    unsafe {
        pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, events.cast_signed(), pipe, millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}

fn do_not_block(pipe: &ChildStdout) -> io::Result<()> {
    // SAFETY: system calls on an open file descriptor.
    let is_set = unsafe {
        let flags = libc::fcntl(pipe.as_raw_fd(), libc::F_GETFL);
        flags >= 0 && libc::fcntl(pipe.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) >= 0
    };
    if is_set { Ok(()) } else { Err(io::Error::last_os_error()) }
}
