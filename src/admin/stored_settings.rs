//! `auth.reset_setting`.

use std::ffi::CString;

use pgrx::pg_sys;
use workos_auth_core::{Error, Result};

use crate::postgres::roles::{Right, require_right};
use crate::postgres::transaction::require_writable;
use crate::store::stored_settings;

const PREFIX: &str = "workos_auth.";

/// Takes a setting out of what `ALTER ROLE` and `ALTER DATABASE` keep, whatever its name and value are; says how many there were. NULL is
/// every role, or every database.
///
/// # Errors
/// `insufficient_privilege`; `validation_failed` for a setting of another prefix, and for a database that is not there.
pub fn reset(setting: Option<&str>, role: Option<pg_sys::Oid>, database: Option<&str>) -> Result<i64> {
    require_writable()?;
    let setting = setting.ok_or_else(|| Error::null("setting"))?;
    require_right(Right::Superuser, "What roles and databases have of settings is a superuser's to change here.")?;
    let is_ours = setting.get(..PREFIX.len()).is_some_and(|prefix| prefix.eq_ignore_ascii_case(PREFIX));
    if !is_ours || setting.contains('=') {
        return Err(Error::invalid("setting", "it is no name that begins with workos_auth."));
    }
    let database = match database {
        Some(name) => database_of(name).ok_or_else(|| Error::invalid("database", "there is no such database."))?,
        None => pg_sys::InvalidOid,
    };
    let forgotten = stored_settings::forget(setting, role.unwrap_or(pg_sys::InvalidOid), database)?;
    Ok(i64::try_from(forgotten).unwrap_or(i64::MAX))
}

fn database_of(name: &str) -> Option<pg_sys::Oid> {
    let name = CString::new(name).ok()?;
    // SAFETY: looks a name up; missing_ok.
    let database = unsafe { pg_sys::get_database_oid(name.as_ptr(), true) };
    if database == pg_sys::InvalidOid { None } else { Some(database) }
}
