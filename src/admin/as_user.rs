//! Makes somebody the current person for the rest of the transaction: for tests of policies.

use std::cell::RefCell;
use std::ffi::CStr;
use std::rc::Rc;
use std::time::Duration;

use pgrx::prelude::*;
use serde_json::json;
use uuid::Uuid;
use workos_auth_core::secret::AccessToken;
use workos_auth_core::{Error, ErrorCode, Result};

use super::session::{find, open};
use crate::audit::audit;
use crate::current_session::{self, Verified};
use crate::error::or_raise;
use crate::postgres::roles::{as_owner, bypasses_rls, may_become, set_local_role};
use crate::postgres::transaction::require_writable;
use crate::settings;
use crate::store::{Subject, sessions};

/// What the claim `amr` says of such a session.
const METHOD: &str = "as_user";

/// A test takes no longer.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Opens a session of the user, puts it on the transaction, and becomes `as_role` for as long.
///
/// # Errors
/// `role_bypasses_rls`, whatever `workos_auth.rls_guard` says: a test as such a role tests nothing. `insufficient_privilege`,
/// `user_not_found`, `user_banned`, `user_deleted`.
pub fn as_user(user_id: Option<Uuid>, as_role: Option<&CStr>, function: pg_sys::Oid) -> Result<Rc<Verified>> {
    require_writable()?;
    let user_id = user_id.ok_or_else(|| Error::null("user_id"))?;
    let role = as_role.map(role).transpose()?;
    // SAFETY: reads the current role.
    if bypasses_rls(role.unwrap_or_else(|| unsafe { pg_sys::GetUserId() })) {
        return Err(Error::with_detail(
            ErrorCode::RoleBypassesRls,
            "The role that the test would run as is a superuser or has BYPASSRLS: it reads every row, whoever is signed in.",
        )
        .hint("Pass as_role, such as as_role => 'authenticated'."));
    }
    let name = as_role.map(CStr::to_string_lossy);
    let (token, session_id) = as_owner(|| token(user_id, name.as_deref()))?;
    OPENED.with_borrow_mut(|opened| opened.push(session_id));
    if let Some(name) = &name {
        set_local_role(name)?;
    }
    current_session::set(token.expose(), true, function)
}

/// The role, if the caller is a member of it.
fn role(name: &CStr) -> Result<pg_sys::Oid> {
    // SAFETY: a catalog look-up by a C string; missing_ok.
    let role = unsafe { pg_sys::get_role_oid(name.as_ptr(), true) };
    if role == pg_sys::InvalidOid {
        return Err(Error::invalid("as_role", "there is no such role."));
    }
    if !may_become(role) {
        return Err(Error::with_detail(
            ErrorCode::InsufficientPrivilege,
            "The current role is not a member of the role in as_role.",
        ));
    }
    Ok(role)
}

/// The session is of the organization that the person belongs to; of none if there are several, for which there is `create_session`.
fn token(user_id: Uuid, role: Option<&str>) -> Result<(AccessToken, Uuid)> {
    let user = find(user_id)?;
    let organization = match user.memberships.as_slice() {
        [only] => Some(only.as_str()),
        _ => None,
    };
    let session = open(&user, organization, METHOD, None, settings::session_ttl().min(LONGEST))?;
    let subject = Subject::of_session(user_id, session.session_id, organization, None);
    audit("session_impersonated", &subject, json!({ "method": METHOD, "role": role }))?;
    Ok((session.access_token, session.session_id))
}

thread_local! {
    /// The sessions that were opened here in this transaction.
    static OPENED: RefCell<Vec<Uuid>> = const { RefCell::new(Vec::new()) };
}

/// Ends the sessions that were opened here in this transaction, which is about to commit: a test of policies leaves none. Called by
/// Postgres's own hook of the commit, after everything else that runs in the transaction.
#[pg_guard]
pub extern "C-unwind" fn end_sessions_before_commit() {
    let opened = OPENED.take();
    if opened.is_empty() {
        return;
    }
    // SAFETY: in a transaction. No query runs any more whose snapshot could serve; an error unwinds to the abort, which drops this one.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()) };
    or_raise(as_owner(|| opened.iter().try_for_each(|id| sessions::end_one(*id).map(drop))));
    // SAFETY: pushed above.
    unsafe { pg_sys::PopActiveSnapshot() };
}

/// The transaction is over. Allocates and raises nothing.
pub fn transaction_ended() {
    let _ = OPENED.try_with(|opened| opened.try_borrow_mut().map(|mut opened| opened.clear()));
}
