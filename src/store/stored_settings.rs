//! `pg_db_role_setting`: what `ALTER ROLE` and `ALTER DATABASE` keep.

use pgrx::datum::DatumWithOid;
use pgrx::pg_sys;
use workos_auth_core::Result;

use super::query;

/// Takes a setting out of what is kept for a role in a database; the invalid OID stands for all. Says how many there were.
///
/// Once the library is loaded, `ALTER … RESET` refuses what can only be set in the configuration file, and in some minor versions of Postgres
/// a name that no library knows.
pub fn forget(setting: &str, role: pg_sys::Oid, database: pg_sys::Oid) -> Result<u64> {
    let setting = setting.to_ascii_lowercase();
    let args: [DatumWithOid; 3] = [setting.as_str().into(), number(role), number(database)];
    // A row is never left without a setting.
    let whole = query::execute(
        "DELETE FROM pg_catalog.pg_db_role_setting AS s
         WHERE s.setrole OPERATOR(pg_catalog.=) $2::pg_catalog.oid AND s.setdatabase OPERATOR(pg_catalog.=) $3::pg_catalog.oid AND NOT EXISTS (
             SELECT FROM pg_catalog.unnest(s.setconfig) AS c
             WHERE pg_catalog.lower(pg_catalog.split_part(c, '=', 1)) OPERATOR(pg_catalog.<>) $1)",
        &args,
    )?;
    let part = query::execute(
        "UPDATE pg_catalog.pg_db_role_setting AS s
         SET setconfig = ARRAY(
             SELECT c.entry FROM pg_catalog.unnest(s.setconfig) WITH ORDINALITY AS c (entry, position)
             WHERE pg_catalog.lower(pg_catalog.split_part(c.entry, '=', 1)) OPERATOR(pg_catalog.<>) $1 ORDER BY c.position)
         WHERE s.setrole OPERATOR(pg_catalog.=) $2::pg_catalog.oid AND s.setdatabase OPERATOR(pg_catalog.=) $3::pg_catalog.oid AND EXISTS (
             SELECT FROM pg_catalog.unnest(s.setconfig) AS c
             WHERE pg_catalog.lower(pg_catalog.split_part(c, '=', 1)) OPERATOR(pg_catalog.=) $1)",
        &args,
    )?;
    Ok(whole + part)
}

/// As a number, since the invalid OID would be passed as NULL.
fn number<'a>(oid: pg_sys::Oid) -> DatumWithOid<'a> {
    i64::from(oid.to_u32()).into()
}
