//! Hooks: the administrator's own functions, which `auth.hooks` names. They run in the transaction of the sign-in, before the access
//! token is signed, with the rights of their owner and no more.
//!
//! A hook gets a document and, where it is the `token` hook, returns it with other claims; what it may change stands in `core::hook`.
//! Whatever goes wrong refuses the sign-in.

use std::cell::Cell;
use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use pgrx::{FromDatum, IntoDatum, JsonB};
use serde_json::{Map, Value, json};
use uuid::Uuid;
use workos_auth_core::hook::{self, Event, FunctionName};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::current_session;
use crate::error::sqlstate;
use crate::postgres::jsonb::Jsonb;
use crate::postgres::roles::{restricted_as, role_name};
use crate::postgres::runs;
use crate::store::hooks::{self as store, Function};
use crate::store::sessions::StoredSession;
use crate::store::{RequestClient, scan};

/// Whose account was made, and by what.
pub struct NewUser<'a> {
    /// `users.id`
    pub user_id: Uuid,
    /// how, as in `amr`
    pub method: &'a str,
    /// the identity's address, which `users.email` may not have
    pub email: Option<&'a str>,
    /// WorkOS's organization
    pub organization_id: Option<&'a str>,
    /// WorkOS's connection
    pub connection_id: Option<&'a str>,
}

/// An account was made, with its identity and membership.
///
/// # Errors
/// `hook_failed`.
pub fn user_created(user: &NewUser) -> Result<()> {
    let Some(hook) = Hook::of(Event::UserCreated) else { return Ok(()) };
    let claims = || store::user_claims(user.user_id)?.ok_or_else(|| hook.failed(GONE));
    let mut before = claims()?;
    for (name, value) in [("org_id", user.organization_id), ("connection_id", user.connection_id)] {
        before.extend(value.map(|value| (name.to_owned(), json!(value))));
    }
    hook.run(document(hook.event, user.user_id, user.method, user.email, &before))?;
    claims().map(drop)
}

/// A session was opened; `claims` are those that its token is going to have. True if a hook ran, which may have changed what the
/// token is made from.
///
/// # Errors
/// `hook_failed`.
pub fn signed_in(
    row: &StoredSession,
    client: &RequestClient,
    method: &str,
    claims: impl FnOnce() -> Result<Claims>,
) -> Result<bool> {
    let Some(hook) = Hook::of(Event::SignedIn) else { return Ok(false) };
    let mut document = document(hook.event, row.user_id, method, row.email.as_deref(), &claims()?);
    document["ip"] = json!(client.ip);
    document["user_agent"] = json!(client.user_agent());
    hook.run(document)?;
    store::claims_version(row.id).ok_or_else(|| hook.failed(GONE))?;
    Ok(true)
}

/// An access token is about to be signed; returns the claims that it gets.
///
/// # Errors
/// `hook_failed`, `hook_refused`.
pub fn token(row: &StoredSession, method: &str, claims: Claims) -> Result<Claims> {
    let Some(hook) = Hook::of(Event::Token) else { return Ok(claims) };
    let returned = hook.run(document(hook.event, row.user_id, method, row.email.as_deref(), &claims))?;
    // What cannot be parsed is not NULL, and not what was asked for either.
    let returned = returned.map(|json| json.parse().ok_or_else(|| hook.failed(&unreadable()))).transpose()?;
    if let Some(words) = hook::refusal(returned.as_ref()).map_err(|why| hook.failed(why))? {
        return Err(Error::with_detail(ErrorCode::HookRefused, words));
    }
    let claims = hook::apply(&claims, returned.as_ref()).map_err(|why| hook.failed(&why))?;
    match store::claims_version(row.id) {
        None => Err(hook.failed(GONE)),
        Some(version) if version != row.claims_version => Err(hook.failed(STALE)),
        Some(_) => Ok(claims),
    }
}

/// Refuses what may not be a hook, and what is not the caller's to have run: a hook runs with the rights of its owner, so whoever
/// names it must have them too. Returns the name of the owner.
///
/// # Errors
/// `hook_invalid`, `insufficient_privilege`.
pub fn check(function: &str) -> Result<String> {
    let name = FunctionName::parse(function)?;
    let invalid = |why: &str| Error::with_detail(ErrorCode::HookInvalid, why);
    let function = store::function(&name).ok_or_else(|| invalid("There is no such function of one jsonb."))?;
    if let Some(why) = function.facts.refusal() {
        return Err(invalid(why));
    }
    // SAFETY: catalog look-ups of the current role, which is the one that writes the row.
    match unsafe { pg_sys::has_privs_of_role(pg_sys::GetUserId(), function.owner) } {
        true => Ok(role_name(function.owner)),
        false => {
            let detail = "A hook runs with the rights of its owner, which the current role does not have.";
            Err(Error::with_detail(ErrorCode::InsufficientPrivilege, detail)
                .hint("Own the function, be a member of the role that does, or ask a superuser."))
        }
    }
}

type Claims = Map<String, Value>;

const GONE: &str = "It ended the session, or banned or deleted the person.";
const STALE: &str =
    "It changed the person's rights, which the token no longer tells: that is for the hook signed_in to do.";
const NESTED: &str = "It was called by what a hook did: hooks do not run within hooks.";

fn unreadable() -> String {
    format!("What it returned is {}.", Jsonb::UNREADABLE)
}

fn document(event: Event, user_id: Uuid, method: &str, email: Option<&str>, claims: &Claims) -> Value {
    json!({
        "event": event.as_str(),
        "user_id": user_id,
        "authentication_method": method,
        "email": email,
        "claims": claims,
    })
}

/// A row of `auth.hooks`.
struct Hook {
    event: Event,
    function: String,
    /// Whose the function was when the row was written.
    owner: Option<String>,
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// One hook at a time, so that none can call itself for ever.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        match RUNNING.replace(true) {
            true => None,
            false => Some(Self),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        RUNNING.set(false);
    }
}

impl Hook {
    /// The one that the administrator has named, if any.
    fn of(event: Event) -> Option<Self> {
        scan::hook(event.as_str()).map(|(function, owner)| Self { event, function, owner })
    }

    fn failed(&self, why: &str) -> Error {
        Error::with_detail(ErrorCode::HookFailed, format!("The hook {}, {}: {why}", self.event.as_str(), self.function))
    }

    /// Calls the function as its owner, with nobody's session, in a security-restricted operation. What it set is undone.
    fn run(&self, document: Value) -> Result<Option<Jsonb>> {
        let _turn = Turn::take().ok_or_else(|| self.failed(NESTED))?;
        // It may have been dropped, or given to somebody else, since its row was written.
        let name =
            FunctionName::parse(&self.function).map_err(|error| self.failed(error.detail().unwrap_or_default()))?;
        let function = store::function(&name).ok_or_else(|| self.failed("There is no such function."))?;
        if let Some(why) = function.facts.refusal() {
            return Err(self.failed(why));
        }
        // The row names it. Whoever may create functions in its schema can put another one in its place, which is not what was named.
        let owner = role_name(function.owner);
        if self.owner.as_ref() != Some(&owner) {
            let was = self.owner.as_deref().unwrap_or("nobody");
            let why = format!("It belongs to {owner} now. It belonged to {was} when the row was written.");
            return Err(self.failed(&why).hint(
                "Look at the function. If it is to be the hook, run UPDATE auth.hooks SET function = function WHERE event = '…'. A superuser may, and an administrator who has the rights of its owner.",
            ));
        }
        let returned = restricted_as(function.owner, || {
            current_session::clear_for_now()?;
            runs::without_running_queries(|| self.call(&function, document))
        })?;
        current_session::hand_on_again()?;
        Ok(returned)
    }

    /// The hook's own error becomes ours. Nothing is undone for it: ours ends the statement.
    fn call(&self, function: &Function, document: Value) -> Result<Option<Jsonb>> {
        sqlstate::listening(|last| {
            let outcome = PgTryBuilder::new(AssertUnwindSafe(|| Ok(invoke(function.oid, document))))
                .catch_others(|caught| Err(Box::new(caught)))
                .execute();
            let report = match outcome {
                Ok(returned) => return Ok(returned),
                Err(caught) => match *caught {
                    CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => report,
                    panic => panic.rethrow(),
                },
            };
            let sqlstate = match report.sql_error_code() {
                // All that pgrx cannot express.
                PgSqlErrorCode::ERRCODE_INTERNAL_ERROR => last.text(),
                code => sqlstate::text(code as i32),
            };
            // What is no fault of the hook's: the whole transaction may be run again (class 40), or somebody ended it (class 57).
            if matches!(sqlstate.get(..2), Some("40" | "57")) {
                CaughtError::PostgresError(report).rethrow();
            }
            let message: String = report.message().chars().take(MESSAGE).collect();
            Err(self.failed(&format!("It raised {sqlstate}: {message}")))
        })
    }
}

/// How much of a hook's own message is shown, in characters.
const MESSAGE: usize = 1000;

/// Calls a function of one `jsonb` that returns `jsonb`, which must be known to be one.
fn invoke(function: pg_sys::Oid, document: Value) -> Option<Jsonb> {
    let document = JsonB(document).into_datum()?;
    // SAFETY: as `FunctionCall1Coll` (fmgr.c) does, which cannot return NULL; the call information has room for one argument. The
    // snapshot shows a STABLE function what this statement has written.
    unsafe {
        let mut info = pg_sys::FmgrInfo::default();
        pg_sys::fmgr_info(function, &mut info);
        let size = size_of::<pg_sys::FunctionCallInfoBaseData>() + size_of::<pg_sys::NullableDatum>();
        let call = pg_sys::palloc0(size).cast::<pg_sys::FunctionCallInfoBaseData>();
        (*call).flinfo = &mut info;
        (*call).nargs = 1;
        let argument = (*call).args.as_mut_slice(1).as_mut_ptr();
        (*argument).value = document;
        (*argument).isnull = false;
        let address = info.fn_addr?;
        pg_sys::CommandCounterIncrement();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        let returned = pg_sys::ffi::pg_guard_ffi_boundary(|| address(call));
        let returned = Jsonb::from_datum(returned, (*call).isnull);
        pg_sys::PopActiveSnapshot();
        // What it wrote is seen by what comes next.
        pg_sys::CommandCounterIncrement();
        returned
    }
}
