//! The three bundles of rights. What is in them stands in `sql/80_rights.sql`.

use pgrx::pg_sys;
use workos_auth_core::{Result, error};

use super::{query, spi};

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
    statements.iter().try_for_each(|statement| spi::utility(statement))?;
    Ok(name.into_owned())
}

/// Runs a GRANT that an update script has put together.
pub fn give(statement: &str) -> Result<()> {
    spi::utility(statement)
}

/// What a role has or may that no stranger may have; `None` for a role that has nothing but what was granted to itself. A member of another
/// role can become that one.
pub fn more_than_a_visitors(role: pg_sys::Oid) -> Result<Option<String>> {
    query::row(
        "SELECT CASE
             WHEN r.rolsuper THEN 'is a superuser'
             WHEN r.rolbypassrls THEN 'has BYPASSRLS'
             WHEN r.rolcreaterole OR r.rolcreatedb OR r.rolreplication THEN 'may make roles or databases, or replicate'
             WHEN EXISTS (SELECT FROM pg_catalog.pg_auth_members AS m WHERE m.member OPERATOR(pg_catalog.=) r.oid)
                 THEN 'is a member of another role'
             WHEN EXISTS (SELECT FROM pg_catalog.pg_database AS d WHERE d.datdba OPERATOR(pg_catalog.=) r.oid) THEN 'owns a database'
             WHEN EXISTS (
                 SELECT FROM auth.rights() AS g
                 WHERE g.bundle OPERATOR(pg_catalog.<>) 'everyone' AND g.privilege OPERATOR(pg_catalog.=) 'EXECUTE'
                     AND pg_catalog.has_function_privilege(r.oid, pg_catalog.substr(g.object, pg_catalog.strpos(g.object, ' ') OPERATOR(pg_catalog.+) 1), 'EXECUTE')
             ) THEN 'has rights that auth.grant_sign_in or auth.grant_admin gave' END
         FROM pg_catalog.pg_roles AS r WHERE r.oid OPERATOR(pg_catalog.=) $1",
        &[role.into()],
        |row| row.nullable::<String>(1),
    )
    .map(Option::flatten)
}
