//! The setting `workos_auth.session_token`.
//!
//! Anybody may set it in their own session, and nobody can read it: `SHOW`, `current_setting` and `pg_settings` refuse it or show
//! nothing, and it is taken from nowhere but a session's own SET, so that nobody can plant one.

use std::cell::Cell;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;
use std::sync::LazyLock;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::prelude::*;
use workos_auth_core::token::{Hashed, MAX_TOKEN_LEN};
use workos_auth_core::{Error, ErrorCode, Result};
use zeroize::Zeroizing;

use super::replacing::{SIGNED_IN_BY_OTHERS, is_sent_by_client, may_set};
use super::run_cache;
use crate::error::{sqlstate, unexpected};
use crate::postgres::citus;
use crate::postgres::runs::TokenHash;
use crate::postgres::setting::{self, Lifetime};
use crate::settings;

const NAME: &CStr = c"workos_auth.session_token";

/// SQLSTATE; message, detail and hint, for Postgres, which keeps the pointers until it has raised the error.
struct Refusal(c_int, [CString; 3]);

impl Refusal {
    fn new(code: ErrorCode, detail: &str) -> Self {
        let texts = [code.message(), detail, code.hint()].map(|text| CString::new(text).unwrap_or_default());
        Self(sqlstate::number(code.sqlstate()), texts)
    }

    /// Says so of the value that the check hook refuses.
    ///
    /// # Safety
    /// Called by the check hook, which returns false.
    unsafe fn refuse(&'static self) -> bool {
        // SAFETY: variables of the backend, which Postgres reads when the hook has returned.
        unsafe {
            let Self(sqlstate, [message, detail, hint]) = self;
            pg_sys::GUC_check_errcode(*sqlstate);
            pg_sys::GUC_check_errmsg_string = message.as_ptr().cast_mut();
            pg_sys::GUC_check_errdetail_string = detail.as_ptr().cast_mut();
            pg_sys::GUC_check_errhint_string = hint.as_ptr().cast_mut();
        }
        forget_context();
        false
    }
}

static SIGNS_NOBODY_IN: LazyLock<Refusal> =
    LazyLock::new(|| Refusal::new(ErrorCode::SessionChanged, SIGNED_IN_BY_OTHERS));
static SETS_HERE_ALONE: LazyLock<Refusal> = LazyLock::new(|| {
    Refusal::new(
        ErrorCode::SessionNotHandedOn,
        "A SET statement does not always reach the nodes that the client's queries run on.",
    )
});

static SETTING: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

struct State {
    /// what Postgres's GUC machinery holds now; it owns the memory
    value: Cell<*const c_char>,
    is_unverified: Cell<bool>,
    /// Whether [`assign`] sets what may be set.
    is_allowed: Cell<bool>,
    /// While the setting is declared, Postgres has the value looked at that it had before the library was loaded.
    is_declared: Cell<bool>,
    /// Another node of Citus enters this backend: no token outlives its transaction, after which the connection is for somebody else.
    ends_with_transaction: Cell<bool>,
    /// The transaction is over, and nothing was set since. Postgres takes back what was local to it.
    is_over: Cell<bool>,
    /// What other nodes of Citus were told in this transaction.
    handed_on: Cell<TokenHash>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    value: Cell::new(ptr::null()),
    is_unverified: Cell::new(true),
    is_allowed: Cell::new(false),
    is_declared: Cell::new(false),
    ends_with_transaction: Cell::new(false),
    is_over: Cell::new(false),
    handed_on: Cell::new(None),
};

/// Declares the setting.
pub fn define() {
    let flags = settings::flags(GucFlags::NO_SHOW_ALL | GucFlags::SUPERUSER_ONLY | GucFlags::DISALLOW_IN_FILE);
    // SAFETY: the hooks neither panic nor raise.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            NAME,
            c"The access token of the current session.",
            c"Set it with auth.set_session($1). It is verified when a claim is read, and shown to nobody.",
            &SETTING,
            GucContext::Userset,
            flags,
            Some(check),
            Some(assign_hook),
            Some(show),
        );
    }
    STATE.is_declared.set(true);
}

/// The error that is raised next has no CONTEXT: it would have the text of the statement that a function runs, and with it the token.
fn forget_context() {
    // SAFETY: a variable of the backend; whoever catches the error sets it back.
    unsafe { pg_sys::error_context_stack = ptr::null_mut() };
}

/// The token, if there is one. A copy, since verifying it may run code that sets another.
pub fn current() -> Option<Zeroizing<String>> {
    let value = STATE.value.get();
    if value.is_null() {
        return None;
    }
    // SAFETY: the assign hook was given this pointer, and is given another before it is freed. The bytes may be in any
    // encoding; what is not UTF-8 is no token and fails as malformed.
    let text = unsafe { CStr::from_ptr(value) }.to_string_lossy();
    (!text.is_empty()).then(|| Zeroizing::new(text.into_owned()))
}

/// Whether the value has been assigned since it was last verified.
pub fn is_unverified() -> bool {
    STATE.is_unverified.get()
}

/// The current value has been verified.
pub fn mark_verified() {
    STATE.is_unverified.set(false);
}

/// Has the value verified again.
pub fn mark_unverified() {
    STATE.is_unverified.set(true);
    run_cache::SESSION.forget();
}

/// Sets the token, for the transaction or for the session, by a call of `function`.
///
/// # Errors
/// `session_changed` where the code that runs now may not ([`replacing`](super::replacing)). Postgres's own error of SET would have a CONTEXT
/// where a function raises it again.
pub fn assign(token: &str, hash: &[u8; 32], is_local: bool, function: pg_sys::Oid) -> Result<()> {
    refuse_for_node()?;
    let is_current = current().is_some_and(|current| *current == token);
    if !may_set(Some(*hash), is_current, Some(function)) {
        forget_context();
        return Err(Error::with_detail(ErrorCode::SessionChanged, SIGNED_IN_BY_OTHERS));
    }
    allowed(|| write(token, is_local))
}

/// Runs `f`, in which the check hook takes what is set.
fn allowed<T>(f: impl FnOnce() -> T) -> T {
    struct Back(bool);

    impl Drop for Back {
        fn drop(&mut self) {
            STATE.is_allowed.set(self.0);
        }
    }

    let _back = Back(STATE.is_allowed.replace(true));
    f()
}

/// Clears the token, for the transaction or for the session.
pub fn clear(is_local: bool) -> Result<()> {
    write("", is_local)
}

/// The transaction is over: called while Postgres ends it, so nothing may be raised.
pub fn transaction_ended() {
    STATE.handed_on.set(None);
    if STATE.ends_with_transaction.get() {
        STATE.is_over.set(true);
        // SAFETY: the value that is current.
        unsafe { wipe(STATE.value.get()) };
        mark_unverified();
    }
}

/// Makes a value empty.
///
/// # Safety
/// `value` is NULL, or what Postgres holds as the setting's value.
unsafe fn wipe(value: *const c_char) {
    // SAFETY: the caller's word. Each value is a copy that Postgres has made of what was set; the one at the start is NULL.
    unsafe {
        if !value.is_null() && *value != 0 {
            *value.cast_mut() = 0;
        }
    }
}

/// Has the nodes of Citus on which this transaction runs queries know the session, too.
fn hand_on(token: &str, is_local: bool) -> Result<()> {
    // SAFETY: reads the transaction state.
    let is_in_subtransaction = unsafe { pg_sys::GetCurrentTransactionNestLevel() } > 1;
    match () {
        () if token.is_empty() && STATE.handed_on.get().is_none() => return Ok(()),
        () if !is_local && !token.is_empty() => {
            return Err(not_handed_on("Citus hands on what is local to a transaction, and nothing else."));
        }
        () if is_in_subtransaction => {
            return Err(not_handed_on(
                "This is within a savepoint or an exception block, at the end of which Citus would forget it.",
            ));
        }
        () => citus::set_local(NAME, token)?,
    }
    STATE.handed_on.set(hash(token));
    Ok(())
}

/// The same of the session that is current, where Postgres has taken back another one in this backend alone.
pub fn hand_on_again() -> Result<()> {
    let token = current().unwrap_or_default();
    match citus::propagates_settings() && hash(&token) != STATE.handed_on.get() {
        true => allowed(|| hand_on(&token, true)),
        false => Ok(()),
    }
}

/// Refuses to have other nodes of Citus run a query for somebody else than this one would.
///
/// # Errors
/// `session_not_handed_on`
pub fn require_handed_on() -> Result<()> {
    let is_same = || hash(&current().unwrap_or_default()) == STATE.handed_on.get();
    match citus::is_entered_by_node() || is_same() {
        true => Ok(()),
        false => Err(not_handed_on(
            "The other nodes were told of another session, or of none: this one was set, taken off or taken back in a way that Citus does not hand on.",
        )),
    }
}

fn refuse_for_node() -> Result<()> {
    match citus::is_entered_by_node() {
        true => Err(not_handed_on("This backend runs a part of a query for another node, whose session it has.")),
        false => Ok(()),
    }
}

fn not_handed_on(why: &'static str) -> Error {
    forget_context();
    Error::with_detail(ErrorCode::SessionNotHandedOn, why)
}

/// Of nobody's token, which is empty, none.
fn hash(token: &str) -> TokenHash {
    (!token.is_empty()).then(|| *Hashed::new(token).hash())
}

fn write(token: &str, is_local: bool) -> Result<()> {
    refuse_for_node()?;
    if citus::propagates_settings() {
        hand_on(token, is_local)?;
    }
    let value = CString::new(token).map_err(|_| Error::invalid("access_token", "it holds a NUL character."))?;
    let value = Zeroizing::new(value.into_bytes_with_nul());
    let until = match is_local {
        true => Lifetime::Transaction,
        false => Lifetime::Session,
    };
    let value = CStr::from_bytes_with_nul(&value).map_err(|_| unexpected("The token is no C string."))?;
    setting::set(NAME, value, until);
    Ok(())
}

/// Takes a non-empty value only from a session's own SET. From anywhere else (ALTER ROLE, ALTER DATABASE, PGOPTIONS, the startup
/// packet) it would be planted: it is ignored with a warning, so that nobody is locked out. The value is never printed.
unsafe extern "C-unwind" fn check(
    newval: *mut *mut c_char,
    _extra: *mut *mut c_void,
    source: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: Postgres passes a pointer to its own copy of the value, which may be NULL. Writing one NUL byte into it makes it empty.
    unsafe {
        let value = *newval;
        STATE.is_over.set(false);
        if value.is_null() || *value == 0 {
            return true;
        }
        STATE.ends_with_transaction.set(citus::is_entered_by_node());
        if STATE.ends_with_transaction.get() && !STATE.is_declared.get() {
            // Set before the library was loaded: nobody knows in which transaction.
            *value = 0;
            return true;
        }
        if source < pg_sys::GucSource::PGC_S_INTERACTIVE {
            *value = 0;
            warn_planted();
            return true;
        }
        if libc::strnlen(value, MAX_TOKEN_LEN + 1) > MAX_TOKEN_LEN {
            // Set here, since Postgres's own message would print the value.
            pg_sys::GUC_check_errmsg_string =
                c"invalid value for workos_auth.session_token: it is longer than 64 kB".as_ptr().cast_mut();
            return false;
        }
        let is_allowed = || {
            let token = CStr::from_ptr(value).to_string_lossy();
            let is_current = current().is_some_and(|current| *current == *token);
            may_set(Some(*Hashed::new(&token).hash()), is_current, None)
        };
        // A test is for a value that is kept elsewhere, as by CREATE FUNCTION … SET.
        let is_set = source != pg_sys::GucSource::PGC_S_TEST && STATE.is_declared.get();
        if is_set && STATE.ends_with_transaction.get() {
            if !is_sent_by_client() {
                return SETS_HERE_ALONE.refuse();
            }
            // Others may see what a backend runs.
            let shown = c"SET LOCAL workos_auth.session_token";
            pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, shown.as_ptr());
        }
        if is_set && !STATE.is_allowed.get() {
            if !is_allowed() {
                return SIGNS_NOBODY_IN.refuse();
            }
            if citus::is_entered_by_client() {
                return SETS_HERE_ALONE.refuse();
            }
        }
    }
    true
}

#[pg_guard]
extern "C-unwind" fn warn_planted() {
    crate::error::warn(
        PgSqlErrorCode::ERRCODE_WARNING,
        "workos_auth.session_token is ignored unless the session itself sets it",
        "It came from ALTER ROLE, ALTER DATABASE, connection options or a configuration file.",
        "Use select auth.set_session($1).",
    );
}

/// Nobody is shown the value: flags alone would leave it to superusers and members of `pg_read_all_settings`, and to their triggers
/// in other people's sessions. Parallel workers are given the variable itself.
unsafe extern "C-unwind" fn show() -> *const c_char {
    c"".as_ptr()
}

unsafe extern "C-unwind" fn assign_hook(newval: *const c_char, _extra: *mut c_void) {
    if STATE.is_over.get() {
        // SAFETY: what Postgres takes back to is a value of the setting.
        unsafe { wipe(newval) };
    }
    STATE.value.set(newval);
    mark_unverified();
}
