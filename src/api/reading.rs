//! Reading: what everyone may call, in policies too. Declared in `sql/40_reading.sql`.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic in a reader ends the server")]

use pgrx::JsonB;
use pgrx::prelude::*;
use workos_auth_core::{Error, token};

use crate::current_session::{self, Set, Verified, client_role, session_of_run};
use crate::error::or_raise;
use crate::postgres::bare_function::{self, Arguments, called};
use crate::postgres::jsonb::Built;
use crate::postgres::varlena::Varlena;

bare_function::functions! {
    /// `auth.uid()`
    fn uid(_) { Some(&session_of_run()?.sub) }

    /// `auth.session_id()`
    fn session_id(_) { session_of_run()?.session_id.as_ref() }

    /// `auth.role()`
    fn role(_) {
        match session_of_run() {
            Some(session) => session.role.as_ref(),
            None => Some(&*client_role()),
        }
    }

    /// `auth.email()`
    fn email(_) { session_of_run()?.email.as_ref() }

    /// `auth.organization_id()`
    fn organization_id(_) { session_of_run()?.org_id.as_ref() }

    /// `auth.connection_id()`
    fn connection_id(_) { session_of_run()?.connection_id.as_ref() }

    /// `auth.issuer()`
    fn issuer(_) { Some(&session_of_run()?.issuer) }

    /// `auth.subject()`
    fn subject(_) { Some(&session_of_run()?.subject) }

    /// `auth.recently_authenticated(within)`
    fn recently_authenticated(arguments) {
        let within = arguments.interval_seconds(0).unwrap_or_else(|| refuse_null_interval());
        let session = session_of_run()?;
        Some(session.auth_time.is_some_and(|time| current_session::now().saturating_sub(time) <= within))
    }

    /// `auth.has_feature(feature)`
    fn has_feature(arguments) { holds(arguments, List::Features) }

    /// `auth.session_claims()` and `auth.jwt()`
    fn session_claims(_) { Some(claims(session_of_run()?)) }

    /// `auth.has_role(role)`
    fn has_role(arguments) { holds(arguments, List::Roles) }

    /// `auth.has_role(role, organization)`
    fn has_role_in(arguments) { holds_in(arguments, List::Roles) }

    /// `auth.in_group("group")`
    fn in_group(arguments) { holds(arguments, List::Groups) }

    /// `auth.in_group("group", organization)`
    fn in_group_in(arguments) { holds_in(arguments, List::Groups) }

    /// `auth.has_permission(permission)`
    fn has_permission(arguments) { holds(arguments, List::Permissions) }

    /// `auth.has_permission(permission, organization)`
    fn has_permission_in(arguments) { holds_in(arguments, List::Permissions) }
}

/// The claims as `jsonb`.
#[inline(always)]
fn claims(session: &Verified) -> &Varlena {
    match session.built_json() {
        Some(json) => json,
        // SAFETY: what `build_json` returns is within the session.
        None => unsafe { &*build_json(session) },
    }
}

#[cold]
#[inline(never)]
#[pg_guard]
extern "C-unwind" fn build_json(session: &Verified) -> *const Varlena {
    std::ptr::from_ref(or_raise(session.json()))
}

/// What a session has several of.
#[derive(Clone, Copy)]
#[repr(C)]
enum List {
    Roles,
    Groups,
    Permissions,
    Features,
}

impl List {
    #[inline(always)]
    fn of(self, session: &Verified) -> &Set {
        match self {
            List::Roles => &session.org_roles,
            List::Groups => &session.groups,
            List::Permissions => &session.permissions,
            List::Features => &session.features,
        }
    }
}

/// Whether a list of the session holds the argument. NULL without a session.
///
/// # Safety
/// The function is declared with a `text`.
#[inline(always)]
unsafe fn holds(arguments: Arguments, list: List) -> Option<bool> {
    // SAFETY: by the caller's word.
    unsafe {
        let value = arguments.text(0).unwrap_or_else(|| refuse_null(list));
        Some(list.of(session_of_run()?).contains(value))
    }
}

/// The same, in a session of the organization of the second argument only; NULL is none.
///
/// # Safety
/// The function is declared with two of `text`.
#[inline(always)]
unsafe fn holds_in(arguments: Arguments, list: List) -> Option<bool> {
    // SAFETY: by the caller's word.
    unsafe {
        let value = arguments.text(0).unwrap_or_else(|| refuse_null(list));
        let session = session_of_run()?;
        let of_organization = match (arguments.text(1), &session.org_id) {
            (Some(wanted), Some(organization)) => organization.payload() == wanted,
            _ => false,
        };
        Some(of_organization && list.of(session).contains(value))
    }
}

#[cold]
#[inline(never)]
#[pg_guard]
extern "C-unwind" fn refuse_null(list: List) -> ! {
    or_raise(Err(Error::null(match list {
        List::Roles => "role",
        List::Groups => "group",
        List::Permissions => "permission",
        List::Features => "feature",
    })))
}

#[cold]
#[inline(never)]
#[pg_guard]
extern "C-unwind" fn refuse_null_interval() -> ! {
    or_raise(Err(Error::null("within")))
}

#[pg_extern(sql = false)]
fn set_session(access_token: Option<&str>, is_local: Option<bool>, fcinfo: pg_sys::FunctionCallInfo) -> Built {
    let function = called(fcinfo);
    let access_token = or_raise(access_token.ok_or_else(|| Error::null("access_token")));
    let is_local = or_raise(is_local.ok_or_else(|| Error::null("is_local")));
    or_raise(current_session::set(access_token, is_local, function).and_then(|session| session.json().map(Built::new)))
}

#[pg_extern(sql = false)]
fn clear_session() {
    or_raise(current_session::clear());
}

#[pg_extern(sql = false)]
fn use_request_token(fcinfo: pg_sys::FunctionCallInfo) {
    or_raise(current_session::use_request_token(called(fcinfo)));
}

#[pg_extern(sql = false)]
fn verify_token(access_token: Option<&str>) -> Built {
    let access_token = or_raise(access_token.ok_or_else(|| Error::null("access_token")));
    or_raise(current_session::verify(access_token).and_then(|session| session.json().map(Built::new)))
}

#[pg_extern(sql = false)]
fn jwks() -> JsonB {
    JsonB(token::jwks(current_session::public_keys().iter()))
}
