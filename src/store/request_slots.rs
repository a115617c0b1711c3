//! The places of `workos_auth.max_concurrent_requests`: how many backends of the cluster wait for WorkOS at a time.
//!
//! The library need not be preloaded, so it has no shared memory, and the lock manager keeps the order. A place is a lock that nobody
//! waits for. Whoever comes takes the turnstile, another lock, and looks for a free place only while holding it. Postgres hands the
//! turnstile on in the order in which backends came for it. Its holder waits on its latch, which is set by whoever gives a place back.

use std::time::{Duration, Instant};

use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use super::locks::{TransactionLock, tag};
use crate::error::sqlstate;
use crate::postgres::transaction::in_subtransaction;
use crate::postgres::wait_event::WaitEvent;
use crate::settings;

const SLOT: u16 = 7;
const TURNSTILE: u16 = 12;

const MAGIC: u32 = 0x776f_726b; // "work": keeps clear of other extensions that use the same trick

/// How long a free place may go unnoticed where whoever gave it back could not say so, such as a backend that was terminated.
const TICK: Duration = Duration::from_millis(100);

thread_local! {
    static QUEUE: WaitEvent = const { WaitEvent::new(c"WorkosRequestQueue") };
}

/// A place, until it is dropped.
pub struct RequestSlot {
    lock: Option<TransactionLock>,
    slots: u32,
}

impl Drop for RequestSlot {
    fn drop(&mut self) {
        drop(self.lock.take());
        // While an error unwinds nothing may be called that could raise another: the next backend finds the place by its own look.
        if !std::thread::panicking() {
            wake_holder(self.slots);
        }
    }
}

/// Takes a place, waiting for at most `patience`, or refused at once where that is zero.
///
/// A cancel, a termination and the caller's `statement_timeout` and `lock_timeout` end the wait with their own errors.
///
/// # Errors
/// `over_request_rate_limit`
pub fn take(patience: Duration) -> Result<RequestSlot> {
    let slots = settings::max_concurrent_requests();
    if patience.is_zero() {
        return try_any(slots).ok_or_else(|| refused(slots, Duration::ZERO));
    }
    let bound = Bound::new(patience);
    let turnstile = match TransactionLock::try_take(turnstile(slots)) {
        Some(lock) => lock,
        None => wait_for_turnstile(slots, &bound)?,
    };
    let slot = match try_any(slots) {
        Some(slot) => slot,
        None => wait_for_slot(slots, &bound)?,
    };
    drop(turnstile);
    Ok(slot)
}

/// Until when a call waits, by our settings and by its own `lock_timeout`.
struct Bound {
    began: Instant,
    patience: Duration,
    lock_timeout: Option<Duration>,
}

impl Bound {
    fn new(patience: Duration) -> Self {
        // SAFETY: reads a setting of Postgres's, in milliseconds; 0 is off.
        let lock_timeout = u64::from(unsafe { pg_sys::LockTimeout }.max(0).unsigned_abs());
        let lock_timeout = (lock_timeout > 0).then(|| Duration::from_millis(lock_timeout));
        Self { began: Instant::now(), patience, lock_timeout }
    }

    /// What is left of it; zero where it is over.
    fn left(&self) -> Duration {
        let whole = self.lock_timeout.map_or(self.patience, |timeout| timeout.min(self.patience));
        whole.saturating_sub(self.began.elapsed())
    }

    /// The error of a call whose time is over: whoever came first, the caller's own `lock_timeout` or our setting.
    fn error(&self, slots: u32) -> Error {
        if self.lock_timeout.is_some_and(|timeout| timeout <= self.patience) {
            // Postgres's own words.
            ereport!(ERROR, PgSqlErrorCode::ERRCODE_LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout");
        }
        refused(slots, self.began.elapsed())
    }
}

fn refused(slots: u32, waited: Duration) -> Error {
    let detail = match waited.is_zero() {
        true => format!("All {slots} of them are taken."),
        false => format!("All {slots} of them are taken; this call has waited {:.1} s for one.", waited.as_secs_f64()),
    };
    Error::with_detail(ErrorCode::TooManyRequests, detail)
}

/// One for each number of places: databases that set another number have a queue of their own.
fn turnstile(slots: u32) -> pg_sys::LOCKTAG {
    tag(TURNSTILE, 0, MAGIC, slots)
}

fn try_any(slots: u32) -> Option<RequestSlot> {
    // Backends begin at different places, so that they seldom try the same one.
    // SAFETY: reads a global of the backend.
    let first = unsafe { pg_sys::MyProcPid }.unsigned_abs() % slots;
    (0..slots)
        .map(|i| (first + i) % slots)
        .find_map(|slot| TransactionLock::try_take(tag(SLOT, 0, MAGIC, slot)))
        .map(|lock| RequestSlot { lock: Some(lock), slots })
}

/// Waits in Postgres's own queue for a lock, which is in order, and which a cancel or a termination leaves.
fn wait_for_turnstile(slots: u32, bound: &Bound) -> Result<TransactionLock> {
    let _shown = QUEUE.with(WaitEvent::show);
    sqlstate::listening(|last| {
        let outcome = in_subtransaction(|| {
            let _limits = LockWaitLimits::set(bound.left());
            let lock = TransactionLock::take(turnstile(slots));
            // A time-out that fires while the lock is granted is raised here, not later.
            pgrx::check_for_interrupts!();
            Ok(lock)
        });
        match outcome {
            Ok(lock) => Ok(lock.handed_to_transaction()),
            Err(_) if last.text() == LOCK_NOT_AVAILABLE => Err(bound.error(slots)),
            Err(other) => Err(other),
        }
    })
}

const LOCK_NOT_AVAILABLE: &str = "55P03";

/// Bounds a wait in the lock manager, and keeps it out of deadlock detection until dropped.
///
/// Nobody who holds the turnstile or a place waits for a lock, so no circle goes through it. A check for one, by each of a hundred backends
/// that wait for longer than `deadlock_timeout`, would stop all locking in the cluster meanwhile, and `log_lock_waits` would report them.
struct LockWaitLimits {
    lock_timeout: i32,
    deadlock_timeout: i32,
}

impl LockWaitLimits {
    fn set(left: Duration) -> Self {
        // SAFETY: settings of Postgres's, read when a wait begins; a backend has one thread.
        unsafe {
            let before = Self { lock_timeout: pg_sys::LockTimeout, deadlock_timeout: pg_sys::DeadlockTimeout };
            pg_sys::LockTimeout = i32::try_from(left.as_millis()).unwrap_or(i32::MAX).max(1);
            pg_sys::DeadlockTimeout = i32::MAX;
            before
        }
    }
}

impl Drop for LockWaitLimits {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe {
            pg_sys::LockTimeout = self.lock_timeout;
            pg_sys::DeadlockTimeout = self.deadlock_timeout;
        }
    }
}

/// Waits as the holder of the turnstile.
fn wait_for_slot(slots: u32, bound: &Bound) -> Result<RequestSlot> {
    let _shown = QUEUE.with(WaitEvent::show);
    let events = (pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH).cast_signed();
    loop {
        let left = bound.left();
        if left.is_zero() {
            return Err(bound.error(slots));
        }
        // Rounded up, so that the last of it is not spent spinning.
        let millis = i64::try_from(left.min(TICK).as_millis()).unwrap_or_default() + 1;
        // SAFETY: the backend's own latch. It is reset before we look, so that a place that is given back afterwards ends the next wait.
        unsafe {
            pg_sys::WaitLatch(pg_sys::MyLatch, events, millis, pg_sys::PG_WAIT_EXTENSION);
            pg_sys::ResetLatch(pg_sys::MyLatch);
        }
        pgrx::check_for_interrupts!();
        if let Some(slot) = try_any(slots) {
            return Ok(slot);
        }
    }
}

/// Wakes whoever holds the turnstile. It has taken it before it looked for a place, so it is seen here, or it sees the place.
fn wake_holder(slots: u32) {
    let tag = turnstile(slots);
    let mut count = 0;
    // SAFETY: a valid tag. The answer is an array of `count` in the current memory context; a process's entry in shared memory is
    // never freed, and a latch may be set for nothing.
    unsafe {
        let holders = pg_sys::GetLockConflicts(&tag, pg_sys::ExclusiveLock.cast_signed(), &mut count);
        for i in 0..usize::try_from(count).unwrap_or_default() {
            let process = process(&*holders.add(i));
            if !process.is_null() {
                pg_sys::SetLatch(&raw mut (*process).procLatch);
            }
        }
        pg_sys::pfree(holders.cast());
    }
}

#[cfg(any(feature = "pg15", feature = "pg16"))]
unsafe fn process(holder: &pg_sys::VirtualTransactionId) -> *mut pg_sys::PGPROC {
    unsafe extern "C-unwind" {
        /// NULL where there is no such backend any more (`sinvaladt.h`); pgrx keeps it out of its bindings.
        fn BackendIdGetProc(backend: std::ffi::c_int) -> *mut pg_sys::PGPROC;
    }

    // SAFETY: takes any number, and raises nothing.
    unsafe { BackendIdGetProc(holder.backendId) }
}

#[cfg(not(any(feature = "pg15", feature = "pg16")))]
unsafe fn process(holder: &pg_sys::VirtualTransactionId) -> *mut pg_sys::PGPROC {
    // SAFETY: takes any number, and raises nothing; NULL where there is no such backend any more.
    unsafe { pg_sys::ProcNumberGetProc(holder.procNumber) }
}
