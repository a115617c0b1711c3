//! The current session: the token in `workos_auth.session_token`, verified once and then read from memory.
//!
//! Whoever may set the token still cannot forge it: its signature is checked before any claim is read, and its session's row is
//! looked at once a statement.

mod keys;
mod token;
mod verify;

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::prelude::*;
use workos_auth_core::token::Claims;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::settings::{self, RlsGuard};

pub use keys::{issuer, public_keys};
pub use verify::{now, verify};

/// Declares the setting that holds the token, and the callback that drops cached keys. Called once, from `_PG_init`.
pub fn define() {
    token::define();
    keys::register();
}

/// Which statement of which transaction this is. A claim verified in one statement is verified again in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Statement {
    started: i64,
    transaction: u32,
}

impl Statement {
    fn current() -> Self {
        // SAFETY: reads of the backend's own state; MyProc is set in every backend.
        unsafe {
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            let transaction = (*pg_sys::MyProc).vxid.lxid;
            #[cfg(not(any(feature = "pg17", feature = "pg18")))]
            let transaction = (*pg_sys::MyProc).lxid;
            Self { started: pg_sys::GetCurrentStatementStartTimestamp(), transaction }
        }
    }
}

thread_local! {
    static CURRENT: RefCell<Option<(Statement, Option<Rc<Claims>>)>> = const { RefCell::new(None) };
}

/// The claims of the current session, verified; `None` without a session.
///
/// # Errors
/// One code a check, class WA5: a bad token is never an anonymous visitor.
pub fn current() -> Result<Option<Rc<Claims>>> {
    let statement = Statement::current();
    if !token::changed() {
        let known =
            CURRENT.with_borrow(|known| known.as_ref().filter(|(s, _)| *s == statement).map(|(_, c)| c.clone()));
        if let Some(claims) = known {
            return Ok(claims);
        }
    }
    let claims = token::current().map(|token| verify(&token)).transpose()?;
    token::seen();
    CURRENT.with_borrow_mut(|known| *known = Some((statement, claims.clone())));
    Ok(claims)
}

/// The claims of the current session, or `no_authorization`.
pub fn required() -> Result<Rc<Claims>> {
    current()?.ok_or_else(|| Error::new(ErrorCode::NoAuthorization))
}

/// Has the next reader look again, also within this statement: after a sign-out.
pub fn look_again() {
    token::mark_changed();
}

/// Verifies a token and makes it the current session.
pub fn set(access_token: &str, is_local: bool) -> Result<Rc<Claims>> {
    check_role()?;
    let claims = verify(access_token)?;
    // SAFETY: reads the transaction state.
    if is_local && !unsafe { pg_sys::IsInTransactionBlock(true) } {
        crate::error::warn(
            PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
            "the session ends with this statement",
            "A session that is local to the transaction has effect in a transaction block only.",
            "Run BEGIN first, or pass is_local => false.",
        );
    }
    token::assign(Some(access_token), is_local)?;
    Ok(claims)
}

/// Takes the session off the connection, and off the transaction that may have set another.
pub fn clear() -> Result<()> {
    token::assign(None, false)
}

/// Refuses a role that row-level security does not bind, as far as `workos_auth.rls_guard` says.
fn check_role() -> Result<()> {
    // SAFETY: catalog look-ups of the current role.
    let bypasses = unsafe {
        let role = pg_sys::GetUserId();
        pg_sys::superuser_arg(role) || pg_sys::has_bypassrls_privilege(role)
    };
    let detail = "The current role is a superuser or has BYPASSRLS: it reads every row, whoever is signed in.";
    match settings::rls_guard() {
        RlsGuard::Error if bypasses => Err(Error::with_detail(ErrorCode::RoleBypassesRls, detail)),
        RlsGuard::Warning if bypasses => {
            let code = ErrorCode::RoleBypassesRls;
            crate::error::warn(PgSqlErrorCode::ERRCODE_WARNING, code.message(), detail, code.hint());
            Ok(())
        }
        _ => Ok(()),
    }
}
