//! The last moment of an error: a [`workos_auth_core::Error`] becomes a Postgres ERROR with its own SQLSTATE.
//!
//! What an error says stands in `crates/core/src/error.rs`, one row a failure.

use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::env;
use std::ffi::{CStr, CString, c_char, c_int, c_void};

use pgrx::pg_sys::panic::ErrorReport;
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

unsafe extern "C-unwind" {
    /// Sets the SQLSTATE of the error being raised (`elog.h`); pgrx keeps it out of its bindings.
    fn errcode(sqlerrcode: c_int) -> c_int;
    /// Adds to its CONTEXT.
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
    /// Gives the server's log another DETAIL than the client.
    fn errdetail_log(format: *const c_char, ...) -> c_int;
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
    sqlstate::override_next(&error);
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

/// Shows a NOTICE.
pub fn notice(message: &'static str, detail: &str, hint: &str) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, message, "")
        .set_detail(detail)
        .set_hint(hint)
        .report(PgLogLevel::NOTICE);
}

/// Tells the server's log, and nobody else, of a failure that is not raised: `what` is fixed, and no error holds a secret.
pub fn log(what: &'static str, error: &Error) {
    let detail = error.log_detail().or_else(|| error.detail().map(str::to_owned)).unwrap_or_default();
    log_line(what, format!("{} ({}): {}. {detail}", error.sqlstate(), error.code().name(), error).trim_end());
}

/// Tells the server's log, and nobody else: `what` is fixed, and `detail` holds no secret.
pub fn log_line(what: &'static str, detail: &str) {
    ErrorReport::new(PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION, what, "")
        .set_detail(detail)
        .report(PgLogLevel::LOG_SERVER_ONLY);
}

/// What Postgres or pgrx itself refused, for places where nothing better can be said. The detail holds no values.
pub fn unexpected(what: &str) -> Error {
    Error::with_detail(ErrorCode::Unexpected, what)
}

/// What pgrx loses of an error: SQLSTATEs that its closed enum of codes cannot express, ours and those that other people's triggers raise,
/// the DETAIL that is for the server's log alone, and where the error was raised: CONTEXT, and the names of schema, table, column, data
/// type and constraint.
///
/// pgrx turns an error into a Rust panic and back. Postgres calls the functions on `error_context_stack` while it completes an error, and
/// lets them change it (`elog.c`, `errfinish`): so what was lost is put there just before the error is raised again. Whoever catches the
/// error restores the stack.
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

    thread_local! {
        /// What the error gets that is raised next.
        static NEXT: RefCell<Lost> = RefCell::default();
    }

    /// What is lost of an error.
    #[derive(Default)]
    struct Lost {
        /// 0 where there was no error.
        sqlstate: c_int,
        log_detail: Option<CString>,
        context: Option<CString>,
        /// By their identifiers, `PG_DIAG_…` (postgres_ext.h).
        names: Vec<(u8, CString)>,
    }

    impl Lost {
        /// The error being raised, as far as the frames above this one have completed it; `None` for a warning or a notice.
        ///
        /// # Safety
        /// In a function on `error_context_stack`, called by errfinish.
        unsafe fn of_this_error() -> Option<Self> {
            // SAFETY: the caller's word. The copy is made in a memory context of its own kind, and freed; its texts are C strings or NULL.
            unsafe {
                // An error here ends the server: what passes is a message for the log, and memory must not be asked for.
                if pg_sys::CritSectionCount != 0 {
                    return None;
                }
                let sqlstate = pg_sys::geterrcode();
                if text(sqlstate) == OUT_OF_MEMORY {
                    return Some(Self { sqlstate, ..Self::default() });
                }
                let before = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
                let error = pg_sys::CopyErrorData();
                let copied = |text: *const c_char| (!text.is_null()).then(|| CStr::from_ptr(text).to_owned());
                let names = [
                    (pg_sys::PG_DIAG_SCHEMA_NAME, (*error).schema_name),
                    (pg_sys::PG_DIAG_TABLE_NAME, (*error).table_name),
                    (pg_sys::PG_DIAG_COLUMN_NAME, (*error).column_name),
                    (pg_sys::PG_DIAG_DATATYPE_NAME, (*error).datatype_name),
                    (pg_sys::PG_DIAG_CONSTRAINT_NAME, (*error).constraint_name),
                ];
                let names = names.into_iter().filter_map(|(field, name)| Some((field, copied(name)?))).collect();
                let (log_detail, context) = (copied((*error).detail_log), copied((*error).context));
                let lost = Self { sqlstate, log_detail, context, names };
                let is_error = (*error).elevel >= PgLogLevel::ERROR as c_int;
                pg_sys::FreeErrorData(error);
                pg_sys::MemoryContextSwitchTo(before);
                is_error.then(|| lost)
            }
        }

        /// Gives it to the error being raised.
        ///
        /// # Safety
        /// As above.
        unsafe fn give(&self) {
            // SAFETY: the caller's word; Postgres copies the texts.
            unsafe {
                errcode(self.sqlstate);
                if let Some(detail) = &self.log_detail {
                    errdetail_log(c"%s".as_ptr(), detail.as_ptr());
                }
                if let Some(context) = &self.context {
                    errcontext_msg(c"%s".as_ptr(), context.as_ptr());
                }
                for (field, name) in &self.names {
                    pg_sys::err_generic_string(c_int::from(*field), name.as_ptr());
                }
            }
        }
    }

    const OUT_OF_MEMORY: &str = "53200";

    /// Five characters to Postgres's number (`MAKE_SQLSTATE`): six bits each.
    pub fn number(sqlstate: &str) -> c_int {
        sqlstate.bytes().take(5).enumerate().fold(0, |n, (i, b)| n | ((c_int::from(b) - 0x30) & 0x3f) << (6 * i))
    }

    /// The error raised next, and no other, gets this one's SQLSTATE, and its DETAIL for the log.
    pub(super) fn override_next(error: &Error) {
        let log_detail = error.log_detail().and_then(|detail| CString::new(detail).ok());
        push(Lost { sqlstate: number(error.sqlstate()), log_detail, ..Lost::default() });
    }

    fn push(lost: Lost) {
        NEXT.set(lost);
        // SAFETY: the frame is static, so it outlives the stack it is linked into, whose frames are all there. It is never linked twice,
        // which would close the stack to a ring: where it is linked already, it is taken out first.
        unsafe {
            let frame = OVERRIDE.0.as_ptr();
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

    unsafe extern "C-unwind" fn set(_: *mut c_void) {
        // SAFETY: called by errfinish.
        NEXT.with_borrow(|lost| unsafe { lost.give() });
    }

    /// A SQLSTATE as its five characters: the reverse of [`number`].
    pub fn text(number: c_int) -> String {
        (0..5).map(|i| char::from(((number >> (6 * i)) & 0x3f) as u8 + b'0')).collect()
    }

    /// The last error that was raised in [`listening`].
    pub struct LastError<'a>(&'a RefCell<Lost>);

    impl LastError<'_> {
        /// The five characters of its SQLSTATE.
        pub fn text(&self) -> String {
            text(self.0.borrow().sqlstate)
        }

        /// Its CONTEXT: the functions that it was raised in.
        pub fn context(&self) -> String {
            self.0.borrow().context.as_ref().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
        }

        /// The column that it is about, as `schema.table.column`, if it is about one.
        pub fn column(&self) -> Option<String> {
            let lost = self.0.borrow();
            let name = |wanted| {
                let (_, name) = lost.names.iter().find(|(field, _)| *field == wanted)?;
                Some(name.to_string_lossy().into_owned())
            };
            let parts =
                [pg_sys::PG_DIAG_SCHEMA_NAME, pg_sys::PG_DIAG_TABLE_NAME, pg_sys::PG_DIAG_COLUMN_NAME].map(name);
            parts.into_iter().collect::<Option<Vec<_>>>().map(|parts| parts.join("."))
        }
    }

    /// Runs `f`, in which Postgres may raise an error of any SQLSTATE, such as a trigger's own; keeps what pgrx loses of it, and tells `f`
    /// of the SQLSTATE where that catches the error.
    pub fn listening<T>(f: impl FnOnce(&LastError) -> T) -> T {
        struct Listener {
            frame: Box<pg_sys::ErrorContextCallback>,
            heard: Box<RefCell<Lost>>,
        }

        impl Drop for Listener {
            fn drop(&mut self) {
                // SAFETY: pgrx restored the stack to what it was when `f` was called, with this frame on top, or
                // `raise` put its own frame above, whose code then stands.
                unsafe {
                    if pg_sys::error_context_stack == &raw mut *self.frame {
                        pg_sys::error_context_stack = self.frame.previous;
                        let heard = self.heard.take();
                        if std::thread::panicking() && heard.sqlstate != 0 {
                            push(heard);
                        }
                    } else if pg_sys::error_context_stack == OVERRIDE.0.as_ptr() {
                        (*OVERRIDE.0.as_ptr()).previous = self.frame.previous;
                    }
                }
            }
        }

        unsafe extern "C-unwind" fn hear(arg: *mut c_void) {
            // SAFETY: arg is the `heard` of a Listener that is alive while its frame is linked; called by errfinish.
            unsafe {
                if let Some(lost) = Lost::of_this_error() {
                    (*arg.cast::<RefCell<Lost>>()).replace(lost);
                }
            }
        }

        let heard = Box::new(RefCell::default());
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
        let value = f(&LastError(&listener.heard));
        drop(listener);
        value
    }
}
