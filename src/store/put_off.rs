//! Constraints that are put off to the end of the transaction, around a statement of ours that may set off code of others.

use pgrx::prelude::*;
use workos_auth_core::Result;

use super::spi::{failed, utility};
use crate::error::sqlstate;
use crate::postgres::roles::{as_outer_user, as_superuser};

/// Whether constraints are to be deferred again.
#[must_use]
pub struct PutOff(bool);

impl PutOff {
    /// Nothing was settled.
    pub fn nothing() -> Self {
        Self(false)
    }

    /// Defers the constraints that are initially deferred.
    pub fn again(&self) -> Result<()> {
        if !self.0 {
            return Ok(());
        }
        // What was set off may have deferred others, too.
        as_outer_user(|| utility("SET CONSTRAINTS ALL IMMEDIATE"))?;
        match initially_deferred()?.as_slice() {
            [] => Ok(()),
            // By name, which the caller may not have the right to. It runs no code.
            names => as_superuser(|| utility(&format!("SET CONSTRAINTS {} DEFERRED", names.join(", ")))),
        }
    }
}

/// Before a statement that is watched: has what is deferred checked now, as whoever calls, as it would be at the end of the transaction, and
/// nothing deferred from here on.
///
/// Within a security-restricted operation nothing is deferred.
pub fn settle_constraints() -> Result<PutOff> {
    // SAFETY: reads the state of the backend.
    if unsafe { pg_sys::InSecurityRestrictedOperation() } {
        return Ok(PutOff::nothing());
    }
    as_outer_user(|| utility("SET CONSTRAINTS ALL IMMEDIATE"))?;
    Ok(PutOff(true))
}

/// By name, which all of a schema's constraints of that name share. Those that are there now, whatever the transaction's snapshot is, and not
/// those of temporary tables of other sessions: what is not there cannot be named. Nor can a name that one which is not deferrable shares.
fn initially_deferred() -> Result<Vec<String>> {
    // Few constraints are deferred, and only these are looked at any further.
    const NAMES: &str =
        "WITH c AS MATERIALIZED (SELECT DISTINCT connamespace, conname FROM pg_catalog.pg_constraint WHERE condeferred)
         SELECT pg_catalog.format('%I.%I', n.nspname, c.conname)
         FROM pg_catalog.pg_namespace AS n JOIN c ON n.oid OPERATOR(pg_catalog.=) c.connamespace
         WHERE NOT pg_catalog.pg_is_other_temp_schema(n.oid)
             AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS o WHERE o.conname OPERATOR(pg_catalog.=) c.conname
                 AND o.connamespace OPERATOR(pg_catalog.=) c.connamespace AND NOT o.condeferrable)";
    // SAFETY: taken off below; where an error is raised, the abort takes it off.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let names = sqlstate::listening(|_| {
        Spi::connect(|client| {
            let names = client.select(NAMES, None, &[]).map_err(failed)?;
            names.map(|row| Ok(row.get::<String>(1).map_err(failed)?.unwrap_or_default())).collect()
        })
    });
    // SAFETY: as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    names
}
