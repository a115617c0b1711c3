//! The current session: read, set and taken off.

use std::cell::{Cell, RefCell};
use std::ptr;
use std::rc::Rc;

use pgrx::prelude::*;
use workos_auth_core::token::Hashed;
use workos_auth_core::{Error, ErrorCode, Result};

use super::purpose::Purpose;
use super::run_cache;
use super::verified::{Origin, Verified};
use super::verify::{self, verify, verify_bearer, verify_for};
use super::{client_role, request_claims, token};
use crate::error::or_raise;
use crate::postgres::pinning::{Read, pin};
use crate::postgres::roles::{self, bypasses_rls, role_name};
use crate::postgres::runs::{self, TokenHash};
use crate::postgres::statement::Statement;
use crate::settings::{self, RlsGuard};

thread_local! {
    static CURRENT: RefCell<Option<(Statement, Option<Rc<Verified>>)>> = const { RefCell::new(None) };
}

/// The current session, or `None`: the way of the readers, once a row.
///
/// Within one run of a query nothing can change but the token, and assigning that empties the cache: time is the statement's,
/// and a transaction does not end under a query.
///
/// # Safety
/// Raises an ERROR, so the caller holds nothing that needs to be dropped. What is returned is good as long as the running query, and outside
/// of one until the next look.
#[inline(always)]
pub unsafe fn session_of_run<'a>() -> Option<&'a Verified> {
    let session = match run_cache::SESSION.get() {
        Some(session) => session,
        None => refresh_run_cache(),
    };
    // SAFETY: NULL, or a session that the pin of the running query keeps, and outside of one CURRENT.
    unsafe { session.as_ref() }
}

/// The first look of a run; every look outside of a run.
#[cold]
#[inline(never)]
#[pg_guard]
extern "C-unwind" fn refresh_run_cache() -> *const Verified {
    runs::leave_out_dead();
    let session = or_raise(current()).map_or(ptr::null(), |session| Rc::as_ptr(&session));
    if session.is_null() {
        request_claims::notice_without_session();
    }
    run_cache::SESSION.set(session);
    session
}

/// The current session, verified in this statement and pinned to the running queries; `None` without one.
///
/// # Errors
/// One code a check, class WA5: a bad token is never an anonymous visitor. `session_changed` if a running query has read
/// another session.
pub fn current() -> Result<Option<Rc<Verified>>> {
    let statement = Statement::current();
    let known = match token::is_unverified() {
        true => None,
        false => CURRENT.with_borrow(Clone::clone),
    };
    let still_good = match &known {
        Some((verified_in, _)) if *verified_in == statement => true,
        Some((_, Some(session))) => verify::recheck(session)?,
        Some((_, None)) => true,
        None => false,
    };
    let session = match known {
        Some((_, session)) if still_good => session,
        _ => token::current().map(|token| verify(&token)).transpose()?,
    };
    token::mark_verified();
    remember(statement, session.clone());
    let read = session.clone().map(|session| session as Read);
    pin(&session.as_ref().map(|session| session.hash), read.as_ref())?;
    Ok(session)
}

/// Whose token a reader would find now. It is not verified: that is for those who read it.
pub fn unverified_identity() -> TokenHash {
    match token::is_unverified() {
        true => token::current().map(|token| *Hashed::new(&token).hash()),
        false => CURRENT.with_borrow(|known| known.as_ref().and_then(|(_, session)| Some(session.as_ref()?.hash))),
    }
}

fn remember(statement: Statement, session: Option<Rc<Verified>>) {
    let is_known = CURRENT.with_borrow(|known| match (known, &session) {
        (Some((_, Some(known))), Some(session)) => Rc::ptr_eq(known, session),
        (Some((_, known)), session) => known.is_none() && session.is_none(),
        (None, _) => false,
    });
    if !is_known {
        run_cache::SESSION.forget();
    }
    CURRENT.set(Some((statement, session)));
}

/// Refuses a query of which other nodes of Citus would run a part for somebody else.
#[pg_guard]
pub extern "C-unwind" fn require_handed_on() {
    or_raise(token::require_handed_on());
}

/// The transaction is over: called while Postgres ends it, so nothing may be raised.
pub fn transaction_ended() {
    run_cache::SESSION.forget();
    token::transaction_ended();
    client_role::transaction_ended();
}

/// The current session if there is a good one, for those who only write down who asks: looking neither pins it to a query nor
/// raises over a bad token, which is not verified again in the same statement.
pub fn current_if_good() -> Option<Rc<Verified>> {
    thread_local! {
        static BAD: Cell<Option<(Statement, [u8; 32])>> = const { Cell::new(None) };
    }
    let statement = Statement::current();
    if !token::is_unverified() {
        match CURRENT.with_borrow(Clone::clone) {
            Some((verified_in, session)) if verified_in == statement || session.is_none() => return session,
            Some((_, Some(session))) if verify::recheck(&session) == Ok(true) => return Some(session),
            _ => {}
        }
    }
    let token = token::current()?;
    let this = Some((statement, *Hashed::new(&token).hash()));
    if BAD.get() == this {
        return None;
    }
    let verified = verify(&token).ok();
    if verified.is_none() {
        BAD.set(this);
    }
    verified
}

/// The session of an access token that a caller hands over to show that it may act for the person, whoever's session is the current one:
/// code that merely runs in the person's transaction cannot read the token.
///
/// # Errors
/// `null_value`, and one code a check, class WA5.
pub fn of_token(access_token: Option<&str>) -> Result<Rc<Verified>> {
    of_token_for(Purpose::Acting, access_token)
}

/// The same of a token that need not be good for everything.
///
/// # Errors
/// As above.
pub fn of_token_for(purpose: Purpose, access_token: Option<&str>) -> Result<Rc<Verified>> {
    verify_for(purpose, access_token.ok_or_else(|| Error::null("access_token"))?)
}

/// The current session, or `no_authorization`.
pub fn required() -> Result<Rc<Verified>> {
    current()?.ok_or_else(|| Error::new(ErrorCode::NoAuthorization))
}

/// Has the next reader look again, also within this statement: after a sign-out.
pub fn recheck_on_next_read() {
    token::mark_unverified();
}

/// Verifies a token and makes it the current session, by a call of `function`.
///
/// # Errors
/// One code a check, class WA5. `session_changed` where the caller may not ([`replacing`](super::replacing)).
pub fn set(access_token: &str, is_local: bool, function: pg_sys::Oid) -> Result<Rc<Verified>> {
    check_role()?;
    put_on(access_token, verify(access_token)?, is_local, function)
}

/// Makes the bearer of a request's token the current person of the transaction; with a visitor's key, there is no session.
pub fn set_bearer(token: &str, function: pg_sys::Oid) -> Result<()> {
    match verify_bearer(token)? {
        None => clear_for_now(),
        Some(session) => {
            take_on_role(&session)?;
            check_role()?;
            put_on(token, session, true, function).map(drop)
        }
    }
}

/// The role that PostgREST takes on is the token's own word, which of an issuer's token means nothing here: SET LOCAL ROLE to that of
/// `auth.trusted_issuers`, where it says one. Verifying has found that sessions may have it; Postgres asks whether the connection may.
fn take_on_role(session: &Verified) -> Result<()> {
    let Origin::Trusted(trusted) = &session.origin else { return Ok(()) };
    match &trusted.issuer.database_role {
        Some(role) if role_name(roles::current()) != *role => roles::set_local_role(role),
        _ => Ok(()),
    }
}

fn put_on(access_token: &str, session: Rc<Verified>, is_local: bool, function: pg_sys::Oid) -> Result<Rc<Verified>> {
    // As SET LOCAL, which says nothing within a function or a DO block.
    // SAFETY: reads the transaction state.
    if is_local && runs::is_clients_own() && !unsafe { pg_sys::IsInTransactionBlock(true) } {
        crate::error::warn(
            PgSqlErrorCode::ERRCODE_NO_ACTIVE_SQL_TRANSACTION,
            "the session ends with this statement",
            "A session that is local to the transaction has effect in a transaction block only.",
            "Run BEGIN first. What auth.set_session is told with is_local => false lasts as long as the connection.",
        );
    }
    token::assign(access_token, &session.hash, is_local, function)?;
    // The next reader need not find it by its hash.
    token::mark_verified();
    remember(Statement::current(), Some(Rc::clone(&session)));
    Ok(session)
}

/// Takes the session off the connection, and off the transaction that may have set another.
pub fn clear() -> Result<()> {
    token::clear(false)
}

/// There is no session until the settings' nest level ends.
pub fn clear_for_now() -> Result<()> {
    token::clear(true)
}

/// Refuses a role that row-level security does not bind, as far as `workos_auth.rls_guard` says.
fn check_role() -> Result<()> {
    // SAFETY: reads the current role.
    let bypasses = bypasses_rls(unsafe { pg_sys::GetUserId() });
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
