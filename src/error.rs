//! The last moment of an error: a [`workos_auth_core::Error`] becomes a Postgres ERROR with its own SQLSTATE.
//!
//! What an error says stands in `crates/core/src/error.rs`, one row a failure.

use std::backtrace::Backtrace;
use std::cell::Cell;
use std::env;
use std::ffi::{c_int, c_void};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

unsafe extern "C-unwind" {
    /// Sets the SQLSTATE of the error being raised (`elog.h`); pgrx keeps it out of its bindings.
    fn errcode(sqlerrcode: c_int) -> c_int;
}

/// Keeps Rust backtraces out of errors, whatever the environment of the server asks for: pgrx puts them into DETAIL of each error that
/// Postgres raises below it, where clients read them, and making one takes longer than a sign-in. Called first of all, from `_PG_init`.
pub fn switch_backtraces_off() {
    const VARIABLE: &str = "RUST_LIB_BACKTRACE";
    let before = env::var_os(VARIABLE);
    // SAFETY: a backend, and the postmaster, has one thread. What else runs in the process finds its variable again afterwards.
    unsafe {
        env::set_var(VARIABLE, "0");
        // The first one looks at the environment, and none does later.
        drop(Backtrace::capture());
        match before {
            Some(value) => env::set_var(VARIABLE, value),
            None => env::remove_var(VARIABLE),
        }
    }
}

/// Returns the value, or raises the error.
pub fn or_raise<T>(result: Result<T>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => raise(error),
    }
}

/// Raises `error` as a Postgres ERROR.
pub fn raise(error: Error) -> ! {
    let code = error.code();
    sqlstate::override_next(error.sqlstate());
    let mut report = ErrorReport::new(PgSqlErrorCode::ERRCODE_INTERNAL_ERROR, code.message(), "");
    if let Some(detail) = error.detail() {
        report = report.set_detail(detail);
    }
    if let Some(hint) = error.hint_text() {
        report = report.set_hint(hint);
    }
    report.report(PgLogLevel::ERROR);
    unreachable!("an ERROR does not return")
}

/// Shows a WARNING; `code` must be one of Postgres's own.
pub fn warn(code: PgSqlErrorCode, message: &'static str, detail: &str, hint: &str) {
    ErrorReport::new(code, message, "").set_detail(detail).set_hint(hint).report(PgLogLevel::WARNING);
}

/// Tells the server's log, and nobody else, of a failure that is not raised: `what` is fixed, and no error holds a secret.
pub fn log(what: &'static str, error: &Error) {
    let detail =
        format!("{} ({}): {}. {}", error.sqlstate(), error.code().name(), error, error.detail().unwrap_or_default());
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, what, "")
        .set_detail(detail.trim_end())
        .report(PgLogLevel::LOG_SERVER_ONLY);
}

/// What Postgres or pgrx itself refused, for places where nothing better can be said. The detail holds no values.
pub fn unexpected(what: &str) -> Error {
    Error::with_detail(ErrorCode::Unexpected, what)
}

/// SQLSTATEs that pgrx's closed enum of codes cannot express: ours, and those that other people's triggers raise.
///
/// pgrx turns an error into a Rust panic and back, and on the way back knows only the codes of its enum. Postgres calls
/// the functions on `error_context_stack` while it completes an error, and lets them change it (`elog.c`, `errfinish`):
/// so the code is put there just before the error is raised. Whoever catches the error restores the stack.
pub mod sqlstate {
    use super::*;

    struct Frame(Cell<pg_sys::ErrorContextCallback>);

    // SAFETY: a backend has one thread.
    unsafe impl Sync for Frame {}

    static OVERRIDE: Frame = Frame(Cell::new(pg_sys::ErrorContextCallback {
        previous: std::ptr::null_mut(),
        callback: Some(set),
        arg: std::ptr::null_mut(),
    }));

    /// Five characters to Postgres's number (`MAKE_SQLSTATE`): six bits each.
    fn number(sqlstate: &str) -> c_int {
        sqlstate.bytes().take(5).enumerate().fold(0, |n, (i, b)| n | ((c_int::from(b) - 0x30) & 0x3f) << (6 * i))
    }

    /// The error raised next, and no other, gets this SQLSTATE.
    pub(super) fn override_next(sqlstate: &str) {
        push(number(sqlstate));
    }

    fn push(number: c_int) {
        // SAFETY: the frame is static, so it outlives the stack it is linked into, whose frames are all there; it is never linked twice,
        // which would close the stack to a ring.
        unsafe {
            let frame = OVERRIDE.0.as_ptr();
            (*frame).arg = number as usize as *mut c_void;
            let mut link = &raw mut pg_sys::error_context_stack;
            while !(*link).is_null() {
                match *link == frame {
                    true => *link = (*frame).previous,
                    false => link = &raw mut (**link).previous,
                }
            }
            (*frame).previous = pg_sys::error_context_stack;
            pg_sys::error_context_stack = frame;
        }
    }

    unsafe extern "C-unwind" fn set(arg: *mut c_void) {
        // SAFETY: called by errfinish, where errcode is allowed; it only stores the number.
        unsafe { errcode(arg as usize as c_int) };
    }

    /// A SQLSTATE as its five characters: the reverse of [`number`].
    pub fn text(number: c_int) -> String {
        (0..5).map(|i| char::from(((number >> (6 * i)) & 0x3f) as u8 + b'0')).collect()
    }

    /// The SQLSTATE of the last error that was raised in [`listening`].
    pub struct LastSqlstate<'a>(&'a Cell<c_int>);

    impl LastSqlstate<'_> {
        /// Its five characters.
        pub fn text(&self) -> String {
            text(self.0.get())
        }
    }

    /// Runs `f`, in which Postgres may raise an error of any SQLSTATE, such as a trigger's own; keeps the SQLSTATE, and tells `f`
    /// of it where that catches the error.
    pub fn listening<T>(f: impl FnOnce(&LastSqlstate) -> T) -> T {
        struct Listener {
            frame: Box<pg_sys::ErrorContextCallback>,
            heard: Box<Cell<c_int>>,
        }

        impl Drop for Listener {
            fn drop(&mut self) {
                // SAFETY: pgrx restored the stack to what it was when `f` was called, with this frame on top, or
                // `raise` put its own frame above, whose code then stands.
                unsafe {
                    if pg_sys::error_context_stack == &raw mut *self.frame {
                        pg_sys::error_context_stack = self.frame.previous;
                        if std::thread::panicking() && self.heard.get() != 0 {
                            push(self.heard.get());
                        }
                    } else if pg_sys::error_context_stack == OVERRIDE.0.as_ptr() {
                        (*OVERRIDE.0.as_ptr()).previous = self.frame.previous;
                    }
                }
            }
        }

        unsafe extern "C-unwind" fn hear(arg: *mut c_void) {
            // SAFETY: arg is the `heard` of a Listener that is alive while its frame is linked; called by errfinish, where
            // geterrcode is allowed.
            unsafe {
                let number = pg_sys::geterrcode();
                // Notices and warnings pass by here too: classes 00 and 01.
                if number & 0xfff > 1 << 6 {
                    (*arg.cast::<Cell<c_int>>()).set(number);
                }
            }
        }

        let heard = Box::new(Cell::new(0));
        let mut listener = Listener {
            frame: Box::new(pg_sys::ErrorContextCallback {
                // SAFETY: reading a global of this single-threaded backend.
                previous: unsafe { pg_sys::error_context_stack },
                callback: Some(hear),
                arg: std::ptr::from_ref(&*heard).cast_mut().cast(),
            }),
            heard,
        };
        // SAFETY: the frame is boxed and unlinked by Drop before it is freed.
        unsafe { pg_sys::error_context_stack = &mut *listener.frame };
        let value = f(&LastSqlstate(&listener.heard));
        drop(listener);
        value
    }
}
