//! The three bundles of rights. What is in them stands in `sql/80_rights.sql`.

use pgrx::pg_sys;
use workos_auth_core::{Result, error};

use super::query;

/// A bundle of rights.
#[derive(Debug, Clone, Copy)]
pub enum Bundle {
    /// for the backend's role
    SignIn,
    /// for whoever asks WorkOS in the database's place
    Broker,
    /// for administrators
    Admin,
}

impl Bundle {
    fn name(self) -> &'static str {
        match self {
            Bundle::SignIn => "sign_in",
            Bundle::Broker => "broker",
            Bundle::Admin => "admin",
        }
    }
}

/// Gives a bundle to a role, and returns its name.
pub fn grant(bundle: Bundle, role: pg_sys::Oid) -> Result<String> {
    each(bundle, role, "GRANT %s ON %s TO %I")
}

/// Takes a bundle back from a role, and returns its name.
pub fn revoke(bundle: Bundle, role: pg_sys::Oid) -> Result<String> {
    each(bundle, role, "REVOKE %s ON %s FROM %I")
}

/// Runs a statement for each right of a bundle: its form takes privilege, object and role.
fn each(bundle: Bundle, role: pg_sys::Oid, statement: &str) -> Result<String> {
    // SAFETY: looks a name up; missing_ok.
    let name = unsafe { pg_sys::GetUserNameFromId(role, true) };
    if name.is_null() {
        return Err(error::Error::invalid("role", "there is no such role."));
    }
    // SAFETY: a C string that Postgres has just made.
    let name = unsafe { std::ffi::CStr::from_ptr(name) }.to_string_lossy();
    let statements = query::rows(
        "SELECT pg_catalog.format($1, r.privilege, r.object, $2) FROM auth.rights() AS r WHERE r.bundle OPERATOR(pg_catalog.=) $3",
        &[statement.into(), name.as_ref().into(), bundle.name().into()],
        |row| row.get::<String>(1),
    )?;
    statements.iter().try_for_each(|statement| query::utility(statement))?;
    Ok(name.into_owned())
}
