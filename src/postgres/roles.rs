//! Roles: what they may do, and acting as one.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use super::portals::hiding_portals;
use super::setting::{self, Lifetime};

/// A right of the caller beyond EXECUTE on the function.
#[derive(Debug, Clone, Copy)]
pub enum Right {
    /// `pg_read_server_files`
    ReadServerFiles,
    /// `pg_write_server_files`
    WriteServerFiles,
    /// superuser
    Superuser,
}

/// Refuses a caller without the right; superusers have each. For functions that are not SECURITY DEFINER.
pub fn require_right(right: Right, detail: &str) -> Result<()> {
    // The OIDs of the predefined roles are fixed (pg_authid.dat); their names in C changed between versions.
    // SAFETY: catalog look-ups of the current role.
    let allowed = unsafe {
        let role = pg_sys::GetUserId();
        match right {
            Right::ReadServerFiles => pg_sys::has_privs_of_role(role, pg_sys::Oid::from(4569)),
            Right::WriteServerFiles => pg_sys::has_privs_of_role(role, pg_sys::Oid::from(4570)),
            Right::Superuser => pg_sys::superuser_arg(role),
        }
    };
    if allowed { Ok(()) } else { Err(Error::with_detail(ErrorCode::InsufficientPrivilege, detail)) }
}

/// Whose rights count now.
pub fn current() -> pg_sys::Oid {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetUserId() }
}

/// Whether Postgres runs the query of a foreign key: nothing else has this flag (ri_PerformCheck).
pub fn is_foreign_keys() -> bool {
    let (mut user, mut context) = (pg_sys::InvalidOid, 0);
    // SAFETY: valid pointers.
    unsafe { pg_sys::GetUserIdAndSecContext(&mut user, &mut context) };
    context & FOREIGN_KEYS != 0
}

/// It is not for what a foreign key's query sets off.
const FOREIGN_KEYS: i32 = pg_sys::SECURITY_NOFORCE_RLS.cast_signed();

/// The name of a role; of one that is gone, its number.
pub fn role_name(role: pg_sys::Oid) -> String {
    // SAFETY: looks a name up, which is copied; missing_ok.
    unsafe {
        let name = pg_sys::GetUserNameFromId(role, true);
        match name.is_null() {
            true => role.to_u32().to_string(),
            false => CStr::from_ptr(name).to_string_lossy().into_owned(),
        }
    }
}

/// Whose a table is; none of one that is gone.
pub fn owner_of_table(table: pg_sys::Oid) -> Option<pg_sys::Oid> {
    // SAFETY: a catalog look-up by OID; the row is read before it is released.
    unsafe {
        let row = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(table));
        if row.is_null() {
            return None;
        }
        let owner = (*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_class>()).relowner;
        pg_sys::ReleaseSysCache(row);
        Some(owner)
    }
}

/// Whether row-level security does not bind a role: a superuser, or one with BYPASSRLS.
pub fn bypasses_rls(role: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups.
    unsafe { pg_sys::superuser_arg(role) || pg_sys::has_bypassrls_privilege(role) }
}

/// Whether the current role may become another one.
pub fn may_become(role: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups of the current role.
    unsafe {
        #[cfg(feature = "pg15")]
        let may = pg_sys::is_member_of_role(pg_sys::GetUserId(), role);
        #[cfg(not(feature = "pg15"))]
        let may = pg_sys::member_can_set_role(pg_sys::GetUserId(), role);
        may
    }
}

/// SET LOCAL ROLE, which Postgres also asks the session's own user for the right to, and refuses in a SECURITY DEFINER function.
pub fn set_local_role(name: &str) -> Result<()> {
    let name = CString::new(name).map_err(|_| Error::invalid("as_role", "it holds a NUL character."))?;
    setting::set(c"role", &name, Lifetime::Transaction);
    Ok(())
}

/// Runs `f` with the rights of a role and no others, as VACUUM runs the functions of an index (vacuumlazy.c): within a
/// security-restricted operation, which takes on no other role and leaves nothing behind that would run later with other rights.
/// Every setting is what it was before, afterwards.
///
/// An error needs no undoing here: the abort of the (sub)transaction restores user and settings.
pub fn restricted_as<T>(role: pg_sys::Oid, f: impl FnOnce() -> Result<T>) -> Result<T> {
    restricted_to(role, || {
        set_safe_search_path();
        f()
    })
}

/// Runs a question about a table of others as Postgres asks one for a foreign key (ri_PerformCheck, ri_triggers.c): with the rights of the
/// table's owner, whom its policies do not bind then, and within a security-restricted operation.
///
/// An error needs no undoing here, as above.
pub fn reading_as_owner<T>(owner: pg_sys::Oid, f: impl FnOnce() -> Result<T>) -> Result<T> {
    let flags =
        pg_sys::SECURITY_RESTRICTED_OPERATION | pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_NOFORCE_RLS;
    let ask = || {
        set_safe_search_path();
        f()
    };
    with_context(owner, |context| context | flags.cast_signed(), || leaving_nothing(ask))
}

/// The same as [`restricted_as`], with the search path that there is.
pub fn restricted_to<T>(role: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    restricted_within(role, || leaving_nothing(f))
}

fn restricted(context: i32) -> i32 {
    let flags = pg_sys::SECURITY_RESTRICTED_OPERATION | pg_sys::SECURITY_LOCAL_USERID_CHANGE;
    context & !FOREIGN_KEYS | flags.cast_signed()
}

/// The same as [`restricted_to`], for a part of what [`leaving_nothing`] runs.
pub fn restricted_within<T>(role: pg_sys::Oid, f: impl FnOnce() -> T) -> T {
    with_context(role, restricted, f)
}

/// Every setting that `f` changes is what it was before, afterwards. It reaches no cursor of its caller's, and leaves none behind.
///
/// An error needs no undoing here: the abort of the (sub)transaction restores the settings.
pub fn leaving_nothing<T>(f: impl FnOnce() -> T) -> T {
    hiding_portals(|| with_settings(Settings::Undone, f))
}

/// Runs `f`, which runs no code of others, as the superuser that the cluster was made with.
///
/// An error needs no undoing here: the abort of the (sub)transaction restores the user.
pub fn as_superuser<T>(f: impl FnOnce() -> T) -> T {
    let local = pg_sys::SECURITY_LOCAL_USERID_CHANGE.cast_signed();
    with_context(pg_sys::Oid::from(pg_sys::BOOTSTRAP_SUPERUSERID), |context| context | local, f)
}

/// What becomes of the settings that somebody SETs meanwhile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Settings {
    /// They stay, as those that a SECURITY DEFINER function sets.
    Kept,
    Undone,
}

fn with_settings<T>(settings: Settings, f: impl FnOnce() -> T) -> T {
    // SAFETY: begins a nest level, and ends it.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        let value = f();
        pg_sys::AtEOXact_GUC(settings == Settings::Kept, level);
        value
    }
}

/// Runs `f` as what runs at the end of the transaction runs: as the role that the client acts as, below every SECURITY DEFINER function. What
/// it sets is undone, and it reaches no cursor: our own statements come after it, and those of whoever called us.
///
/// An error needs no undoing here: the abort of the (sub)transaction restores user and settings.
pub fn as_outer_user<T>(f: impl FnOnce() -> T) -> T {
    // SAFETY: reads a variable: whom Postgres itself goes back to when the transaction ends.
    let user = unsafe { pg_sys::GetOuterUserId() };
    // A role that is taken on meanwhile goes with the settings, before the user comes back.
    with_context(user, |_| 0, || leaving_nothing(f))
}

/// Runs `f` as a role, in the security context that `change` makes of the present one.
fn with_context<T>(role: pg_sys::Oid, change: impl FnOnce(i32) -> i32, f: impl FnOnce() -> T) -> T {
    let mut user = pg_sys::InvalidOid;
    let mut context = 0;
    // SAFETY: the calls of fmgr_security_definer (fmgr.c), lazy_vacuum_rel and their like, in their order, with valid pointers.
    unsafe {
        pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
        pg_sys::SetUserIdAndSecContext(role, change(context));
        let value = f();
        pg_sys::SetUserIdAndSecContext(user, context);
        value
    }
}

/// A search path that nobody can plant anything in, until the end of the nest level of settings.
fn set_safe_search_path() {
    setting::set(c"search_path", SAFE_SEARCH_PATH, Lifetime::NestLevel);
}

/// Takes the rights of `workos_auth_owner` in place of those that the process began with, and a search path that nobody can plant anything
/// in, for the rest of the process: for one that is ours alone.
pub fn become_owner() {
    // SAFETY: in a transaction, outside of every security context; a constant string.
    unsafe { pg_sys::SetCurrentRoleId(pg_sys::get_role_oid(OWNER.as_ptr(), false), false) };
    setting::set_as_superuser(c"search_path", SAFE_SEARCH_PATH, Lifetime::Session);
}

const OWNER: &CStr = c"workos_auth_owner";
const SAFE_SEARCH_PATH: &CStr = c"pg_catalog, pg_temp";

/// `workos_auth_owner`; the invalid OID where it is gone.
pub fn owner() -> pg_sys::Oid {
    // SAFETY: looks a constant name up; missing_ok.
    unsafe { pg_sys::get_role_oid(OWNER.as_ptr(), true) }
}

/// `workos_auth_nobody`.
///
/// # Errors
/// `role_unusable`.
pub fn nobody() -> Result<pg_sys::Oid> {
    // SAFETY: looks a name up; missing_ok.
    let role = unsafe { pg_sys::get_role_oid(c"workos_auth_nobody".as_ptr(), true) };
    let unusable = |detail: &str| Err(Error::with_detail(ErrorCode::RoleUnusable, detail));
    match role {
        pg_sys::InvalidOid => unusable("Triggers of others run as workos_auth_nobody, which is not there."),
        role if bypasses_rls(role) => {
            unusable("Triggers of others run as workos_auth_nobody, which is a superuser or has BYPASSRLS.")
        }
        role => Ok(role),
    }
}

/// Runs `f` with the rights of `workos_auth_owner` and a search path that nobody can plant anything in: what SECURITY DEFINER
/// does, for a function that must look at the rights of its caller first.
///
/// An error needs no undoing here: the abort of the (sub)transaction restores user and settings.
pub fn as_owner<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    // SAFETY: looks a constant name up.
    let owner = unsafe { pg_sys::get_role_oid(OWNER.as_ptr(), false) };
    let local = pg_sys::SECURITY_LOCAL_USERID_CHANGE.cast_signed();
    let act = || {
        set_safe_search_path();
        f()
    };
    with_context(owner, |context| context | local, || with_settings(Settings::Kept, act))
}
