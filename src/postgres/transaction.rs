//! What the transaction around us allows, and subtransactions of it.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::error::{sqlstate, unexpected};

/// Refuses what writes on a standby and in a read-only transaction, before anything else is looked at.
pub fn require_writable() -> Result<()> {
    // SAFETY: reads globals of the backend.
    let (standby, read_only) = unsafe { (pg_sys::RecoveryInProgress(), pg_sys::XactReadOnly) };
    match (standby, read_only) {
        (true, _) => Err(Error::with_detail(ErrorCode::ReadOnly, "This server is a standby.")),
        (false, true) => Err(Error::with_detail(ErrorCode::ReadOnly, "The transaction is read-only.")
            .hint("Begin the transaction READ WRITE.")),
        (false, false) => Ok(()),
    }
}

/// Runs `f` in a subtransaction: its writes are kept together or not at all, and its failure is an answer, not the end of the
/// transaction. What Postgres raises in it, such as somebody's trigger, comes back as `unexpected_failure`.
///
/// Raised all the same is what an answer would hide: a cancel, a shutdown, a conflict that asks to run the transaction again, a server that
/// is out of memory or space, damaged data, and a panic.
pub fn in_subtransaction<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    match subtransaction(f) {
        Ok(value) => Ok(value),
        Err(Failure::Ours(error)) => Err(error),
        Err(Failure::Raised(cause)) => match &*cause {
            CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)
                if !must_be_raised(report.sql_error_code()) =>
            {
                Err(unexpected(&format!("Postgres raised {:?}.", report.sql_error_code())))
            }
            _ => cause.rethrow(),
        },
    }
}

/// Runs `f` in a subtransaction, which is undone where `f` returns an error of ours. What Postgres raises in it is raised all the same.
pub fn undone_if_refused<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    sqlstate::listening(|_| match subtransaction(f) {
        Ok(value) => Ok(value),
        Err(Failure::Ours(error)) => Err(error),
        Err(Failure::Raised(cause)) => cause.rethrow(),
    })
}

fn subtransaction<T>(f: impl FnOnce() -> Result<T>) -> std::result::Result<T, Failure> {
    // SAFETY: the sequence of PL/pgSQL's blocks with EXCEPTION (pl_exec.c). The error context is restored too, since an error leaves
    // frames on it that are gone.
    let (context, owner, errors) = unsafe {
        let saved = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner, pg_sys::error_context_stack);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(saved.0);
        saved
    };
    let back = |end: unsafe extern "C-unwind" fn()| {
        // SAFETY: as above; `end` ends the subtransaction that was begun here.
        unsafe {
            pg_sys::error_context_stack = errors;
            pg_sys::MemoryContextSwitchTo(context);
            end();
            pg_sys::MemoryContextSwitchTo(context);
            pg_sys::CurrentResourceOwner = owner;
        }
    };
    let outcome = PgTryBuilder::new(AssertUnwindSafe(|| f().map_err(Failure::Ours)))
        .catch_others(|cause| Err(Failure::Raised(Box::new(cause))))
        .execute();
    back(if outcome.is_ok() { release } else { roll_back });
    outcome
}

enum Failure {
    Ours(Error),
    Raised(Box<CaughtError>),
}

unsafe extern "C-unwind" fn release() {
    // SAFETY: called in the subtransaction.
    unsafe { pg_sys::ReleaseCurrentSubTransaction() }
}

unsafe extern "C-unwind" fn roll_back() {
    // SAFETY: as above.
    unsafe { pg_sys::RollbackAndReleaseCurrentSubTransaction() }
}

/// Class 40 asks to run the transaction again; 53, 57 and 58 are the server's own trouble, XX001 and XX002 its damaged data.
fn must_be_raised(code: PgSqlErrorCode) -> bool {
    let sqlstate = sqlstate::text(code as i32);
    ["40", "53", "57", "58", "XX001", "XX002"].iter().any(|raised| sqlstate.starts_with(raised))
}
