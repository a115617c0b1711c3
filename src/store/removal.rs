//! Removes rows that tables of others may reference.
//!
//! A foreign key with ON DELETE CASCADE or SET NULL fires the AFTER triggers of the referencing table at the end of the statement that
//! removed the referenced row, as the user of that statement, and a deferred trigger when the transaction commits, as whoever commits.
//! So the triggers of a removal run as `workos_auth_nobody`, who has no rights, and none of them is put off.

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use super::query;
use super::transaction::{as_outer_user, bypasses_rls};
use crate::error::{sqlstate, unexpected};
use crate::execution;

/// Runs a statement that removes rows of a table, and says how many rows it wrote.
///
/// Where a trigger of others may fire, the constraints of the transaction that are deferred are checked first, as whoever calls, and those
/// that are initially deferred are deferred again afterwards.
pub fn remove(table: &CStr, sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    let nobody = nobody()?;
    let put_off = match fires_triggers_of_others(table) {
        true => settle_constraints()?,
        false => Vec::new(),
    };
    let removed = execution::with_triggers_as(nobody, sql, || query::execute(sql, args))?;
    if !put_off.is_empty() {
        as_outer_user(|| utility(&format!("SET CONSTRAINTS {} DEFERRED", put_off.join(", "))))?;
    }
    Ok(removed)
}

fn nobody() -> Result<pg_sys::Oid> {
    // SAFETY: looks a name up; missing_ok.
    let role = unsafe { pg_sys::get_role_oid(c"workos_auth_nobody".as_ptr(), true) };
    let unusable = |detail: &str| Err(Error::with_detail(ErrorCode::RoleUnusable, detail));
    match role {
        pg_sys::InvalidOid => {
            unusable("Triggers of tables that reference the extension's run as workos_auth_nobody, which is not there.")
        }
        role if bypasses_rls(role) => unusable(
            "Triggers of tables that reference the extension's run as workos_auth_nobody, which is a superuser or has BYPASSRLS.",
        ),
        role => Ok(role),
    }
}

/// Whether removing a row of this table may run a trigger that is not the extension's: its own, or those of the tables that reference it.
fn fires_triggers_of_others(table: &CStr) -> bool {
    // SAFETY: catalog look-ups by name.
    let (schema, table) = unsafe {
        let schema = pg_sys::get_namespace_oid(c"auth".as_ptr(), true);
        (schema, pg_sys::get_relname_relid(table.as_ptr(), schema))
    };
    let mut seen = Vec::new();
    fires_foreign(schema, table, &mut seen)
}

fn fires_foreign(schema: pg_sys::Oid, table: pg_sys::Oid, seen: &mut Vec<pg_sys::Oid>) -> bool {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();
    if seen.contains(&table) {
        return false;
    }
    seen.push(table);
    // SAFETY: NULL for a table that is gone; the relation's triggers are read while it is open.
    let triggers: Vec<(bool, pg_sys::Oid, pg_sys::Oid)> = unsafe {
        let relation = pg_sys::try_relation_open(table, LOCK);
        if relation.is_null() {
            return false;
        }
        let triggers = (*relation).trigdesc.as_ref().map_or_else(Vec::new, |description| {
            let count = usize::try_from(description.numtriggers).unwrap_or_default();
            std::slice::from_raw_parts(description.triggers, count)
                .iter()
                .filter(|trigger| {
                    u32::try_from(trigger.tgtype).is_ok_and(|kind| kind & pg_sys::TRIGGER_TYPE_DELETE != 0)
                })
                .map(|trigger| (trigger.tgisinternal, trigger.tgconstrrelid, trigger.tgfoid))
                .collect()
        });
        pg_sys::relation_close(relation, LOCK);
        triggers
    };
    triggers.into_iter().any(|(is_internal, referencing, function)| {
        // SAFETY: catalog look-ups by OID.
        let (of_referencing, of_function) =
            unsafe { (pg_sys::get_rel_namespace(referencing), pg_sys::get_func_namespace(function)) };
        match is_internal {
            // One of a foreign key stands at both of its ends, and names the other.
            true if referencing == pg_sys::InvalidOid => false,
            true if of_referencing == schema => fires_foreign(schema, referencing, seen),
            true => true,
            false => of_function != schema,
        }
    })
}

/// Has what is deferred checked now, as it would be at the end of the transaction, and nothing deferred from here on. Returns the
/// constraints that are initially deferred, as far as the caller may name them.
///
/// Within a security-restricted operation nothing is deferred.
fn settle_constraints() -> Result<Vec<String>> {
    // SAFETY: reads the state of the backend.
    let (is_restricted, outer) = unsafe { (pg_sys::InSecurityRestrictedOperation(), pg_sys::GetOuterUserId()) };
    if is_restricted {
        return Ok(Vec::new());
    }
    // By name, which all of a schema's constraints of that name share.
    let deferred = query::rows(
        "SELECT pg_catalog.format('%I.%I', n.nspname, c.conname), pg_catalog.bool_or(c.condeferred) AND pg_catalog.bool_and(c.condeferrable)
         FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.connamespace
         WHERE pg_catalog.has_schema_privilege($1, n.oid, 'USAGE')
         GROUP BY n.nspname, c.conname HAVING pg_catalog.bool_or(c.condeferrable)",
        &[outer.into()],
        |row| Ok((row.get::<String>(1)?, row.get::<bool>(2)?)),
    )?;
    as_outer_user(|| utility("SET CONSTRAINTS ALL IMMEDIATE"))?;
    Ok(deferred.into_iter().filter(|(_, is_deferred)| *is_deferred).map(|(name, _)| name).collect())
}

fn utility(statement: &str) -> Result<()> {
    sqlstate::kept(|_| Spi::run(statement)).map_err(|error| unexpected(&format!("SPI failed: {error}")))
}
