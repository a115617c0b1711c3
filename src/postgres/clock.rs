//! Time: Postgres's clock, and waiting.

use std::time::Duration;

use pgrx::prelude::*;
use workos_auth_core::Result;

use crate::error::unexpected;

/// 2000-01-01, which Postgres counts from, in seconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800;
const MICROS: i64 = 1_000_000;

/// The clock, in Postgres's own microseconds: as a `timestamptz` holds them.
pub fn now() -> i64 {
    // SAFETY: reads the clock.
    unsafe { pg_sys::GetCurrentTimestamp() }
}

/// When the statement began, in Postgres's own microseconds.
pub fn statement_start() -> i64 {
    // SAFETY: in a transaction, as every SQL function is.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

/// When the transaction began: `now()`.
///
/// # Errors
/// `unexpected_failure`: Postgres has no such time.
pub fn transaction_start() -> Result<TimestampWithTimeZone> {
    // SAFETY: in a transaction, as every SQL function is.
    let micros = unsafe { pg_sys::GetCurrentTransactionStartTimestamp() };
    TimestampWithTimeZone::try_from(micros).map_err(|_| unexpected("A time is out of range."))
}

/// The clock, as a `timestamptz`.
///
/// # Errors
/// `unexpected_failure`: Postgres has no such time.
pub fn timestamp_now() -> Result<TimestampWithTimeZone> {
    TimestampWithTimeZone::try_from(now()).map_err(|_| unexpected("A time is out of range."))
}

/// Postgres's own microseconds, which count from 2000, as whole seconds since 1970.
pub fn unix_seconds(micros: i64) -> i64 {
    micros.div_euclid(MICROS) + POSTGRES_EPOCH
}

/// Postgres's own microseconds, which count from 2000, as microseconds since 1970.
pub fn unix_micros(micros: i64) -> i64 {
    micros.saturating_add(POSTGRES_EPOCH * MICROS)
}

/// Seconds since 1970 as a `timestamptz`.
///
/// # Errors
/// `unexpected_failure`: Postgres has no such time.
pub fn timestamp(unix: i64) -> Result<TimestampWithTimeZone> {
    unix.checked_sub(POSTGRES_EPOCH)
        .and_then(|seconds| seconds.checked_mul(MICROS))
        .and_then(|micros| TimestampWithTimeZone::try_from(micros).ok())
        .ok_or_else(|| unexpected("A time is out of range."))
}

/// Microseconds since 1970 as a `timestamptz`.
///
/// # Errors
/// `unexpected_failure`: Postgres has no such time.
pub fn timestamp_of_micros(unix: i64) -> Result<TimestampWithTimeZone> {
    unix.checked_sub(POSTGRES_EPOCH * MICROS)
        .and_then(|micros| TimestampWithTimeZone::try_from(micros).ok())
        .ok_or_else(|| unexpected("A time is out of range."))
}

/// Sleeps, unless something wants attention: cancelling and terminating raise their errors as anywhere else.
pub fn sleep(time: Duration) {
    // SAFETY: the backend's own latch, in the order of pg_sleep (misc.c).
    unsafe {
        let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
        let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        pg_sys::WaitLatch(pg_sys::MyLatch, events.cast_signed(), millis, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    pgrx::check_for_interrupts!();
}
