//! What a background worker does as no other backend does: it connects by itself, begins its own transactions and catches their errors, and
//! nobody waits for it.

use std::ffi::{c_char, c_int};
use std::panic::AssertUnwindSafe;
use std::ptr;
use std::time::Duration;

use pgrx::bgworkers::BackgroundWorker;
use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use workos_auth_core::{Error, Result};

use super::clock;
use super::setting::{self, Lifetime};
use crate::error::sqlstate;

unsafe extern "C-unwind" {
    /// Postgres's own handler of SIGTERM (`tcopprot.h`), without pgrx's lock around it: it only sets flags.
    fn die(signal: c_int);
    /// The same of SIGHUP (`interrupt.h`).
    fn SignalHandlerForConfigReload(signal: c_int);
}

/// Where a worker works.
#[derive(Debug, Clone, Copy)]
pub enum Database<'a> {
    /// The database of this number.
    Oid(pg_sys::Oid),
    /// The database of this name.
    Name(&'a str),
}

/// Called first by a worker: hears signals, and connects to the database as the superuser that the cluster was made with. Settings that the
/// database or that role has for clients do not keep it from its work.
///
/// Where there is no such database the process ends here.
pub fn begin(database: Database) {
    #[cfg(not(feature = "pg18"))]
    use pg_sys::pqsignal;
    #[cfg(feature = "pg18")]
    use pg_sys::pqsignal_be as pqsignal;
    // SAFETY: the order of worker_spi, Postgres's own example: handlers, signals, connection.
    unsafe {
        pqsignal(pg_sys::SIGTERM.cast_signed(), Some(die));
        pqsignal(pg_sys::SIGHUP.cast_signed(), Some(SignalHandlerForConfigReload));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    match database {
        Database::Oid(oid) => BackgroundWorker::connect_worker_to_spi_by_oid(Some(oid), None),
        Database::Name(name) => BackgroundWorker::connect_worker_to_spi(Some(name), None),
    }
    for (name, value) in [
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
        (c"default_transaction_deferrable", c"off"),
        (c"statement_timeout", c"0"),
        (c"idle_in_transaction_session_timeout", c"0"),
        (c"idle_session_timeout", c"0"),
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        (c"transaction_timeout", c"0"),
        // Long, but not for ever: whoever waits keeps a worker's place.
        (c"lock_timeout", c"60s"),
    ] {
        setting::set_as_superuser(name, value, Lifetime::Session);
    }
}

/// Why something failed.
#[derive(Debug)]
pub struct Failure {
    /// Five characters.
    pub sqlstate: String,
    /// The message of Postgres, or of whoever raised the error; of an error of ours its name and detail too.
    pub message: String,
    /// Whether it is an error of ours, which holds no secret.
    pub is_ours: bool,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let mut message = format!("{}: {error}", error.code().name());
        if let Some(detail) = error.detail() {
            message.push_str(". ");
            message.push_str(detail);
        }
        Self { sqlstate: error.sqlstate().to_owned(), message, is_ours: true }
    }
}

/// Runs `f` in a transaction, which is rolled back where it fails.
///
/// # Errors
/// Whatever is raised but for the end of the process.
pub fn transaction<T>(f: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failure> {
    catching(|| {
        // SAFETY: the order of worker_spi; a worker has no transaction but those begun here.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let value = f()?;
        // SAFETY: as above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(value)
    })
}

/// Waits, or until something wakes the worker. The server's settings are read again where somebody asked for it.
pub fn wait(time: Duration) {
    // A cancel is for a statement, and there is none.
    let _ = catching(|| {
        clock::sleep(time);
        // SAFETY: a flag of the handler's; outside of a transaction, as in PostgresMain.
        unsafe {
            let pending = &raw mut pg_sys::ConfigReloadPending;
            if pending.read_volatile() != 0 {
                pending.write_volatile(0);
                pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
            }
        }
        Ok(())
    });
}

/// Shows in `pg_stat_activity` what the worker does, or that it waits.
pub fn show(what: Option<&'static std::ffi::CStr>) {
    let (state, text) = match what {
        Some(what) => (pg_sys::BackendState::STATE_RUNNING, what.as_ptr()),
        None => (pg_sys::BackendState::STATE_IDLE, ptr::null::<c_char>()),
    };
    // SAFETY: Postgres copies the text. Outside of a transaction it may count what the last one did.
    unsafe {
        if what.is_none() {
            pg_sys::pgstat_report_stat(true);
        }
        pg_sys::pgstat_report_activity(state, text);
    }
}

fn catching<T>(f: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failure> {
    // SAFETY: reads a variable. An error leaves frames on the stack that are gone.
    let errors = unsafe { pg_sys::error_context_stack };
    let outcome = sqlstate::listening(|last| {
        PgTryBuilder::new(AssertUnwindSafe(|| f().map_err(Caught::Ours)))
            .catch_others(|cause| Err(Caught::Raised(Box::new(cause))))
            .execute()
            .map_err(|caught| match caught {
                Caught::Ours(error) => Failure::from(&error),
                Caught::Raised(cause) => raised(&cause, last.text()),
            })
    });
    if outcome.is_err() {
        // SAFETY: what PostgresMain does where an error arrives; nothing where no transaction runs.
        unsafe {
            pg_sys::error_context_stack = errors;
            pg_sys::AbortCurrentTransaction();
        }
    }
    outcome
}

enum Caught {
    Ours(Error),
    Raised(Box<CaughtError>),
}

fn raised(cause: &CaughtError, sqlstate: String) -> Failure {
    let (CaughtError::PostgresError(report)
    | CaughtError::ErrorReport(report)
    | CaughtError::RustPanic { ereport: report, .. }) = cause;
    // What was raised in Rust has not come by Postgres.
    let sqlstate = if sqlstate == "00000" { sqlstate::text(report.sql_error_code() as i32) } else { sqlstate };
    Failure { sqlstate, message: report.message().to_owned(), is_ours: false }
}
