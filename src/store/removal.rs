//! Removes rows that tables of others may reference.
//!
//! A foreign key with ON DELETE CASCADE or SET NULL fires the AFTER triggers of the referencing table at the end of the statement that
//! removed the referenced row, as the user of that statement, and a deferred trigger when the transaction commits, as whoever commits. Its
//! BEFORE triggers run as the table's owner. So all that a removal sets off runs as `workos_auth_nobody`, who has no rights, and no
//! trigger is put off.

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use workos_auth_core::Result;

use super::query::{self, utility};
use crate::postgres::roles::as_outer_user;

/// Runs a statement that removes rows of a table, and says how many rows it wrote.
///
/// Where a trigger of others may fire, the constraints of the transaction that are deferred are checked first, as whoever calls, and those
/// that are initially deferred are deferred again afterwards.
pub fn remove(table: &CStr, sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    let put_off = match sets_off_others(table) {
        true => settle_constraints()?,
        false => Vec::new(),
    };
    let removed = query::execute_restricted(sql, args)?;
    if !put_off.is_empty() {
        as_outer_user(|| utility(&format!("SET CONSTRAINTS {} DEFERRED", put_off.join(", "))))?;
    }
    Ok(removed)
}

/// A trigger, as far as it is looked at.
struct Trigger {
    removes: bool,
    is_internal: bool,
    referencing: pg_sys::Oid,
    function: pg_sys::Oid,
}

/// Whether removing a row of a table of ours may set off a trigger that is not the extension's, there or in a table that a foreign key leads to.
fn sets_off_others(table: &CStr) -> bool {
    // SAFETY: catalog look-ups by name.
    let (schema, table) = unsafe {
        let schema = pg_sys::get_namespace_oid(c"auth".as_ptr(), true);
        (schema, pg_sys::get_relname_relid(table.as_ptr(), schema))
    };
    let (mut tables, mut at) = (vec![table], 0);
    while let Some(&table) = tables.get(at) {
        at += 1;
        // SAFETY: a catalog look-up by OID.
        if unsafe { pg_sys::get_rel_namespace(table) } != schema {
            return true;
        }
        for trigger in triggers_of(table).into_iter().filter(|trigger| trigger.removes) {
            match trigger.is_internal {
                // That of a foreign key stands at both of its ends, and names the other.
                true if trigger.referencing == pg_sys::InvalidOid || tables.contains(&trigger.referencing) => {}
                true => tables.push(trigger.referencing),
                // SAFETY: as above.
                false if unsafe { pg_sys::get_func_namespace(trigger.function) } != schema => return true,
                false => {}
            }
        }
    }
    false
}

/// The triggers of a table; none of one that is gone.
fn triggers_of(table: pg_sys::Oid) -> Vec<Trigger> {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();
    // SAFETY: NULL for a table that is gone; the relation is read while it is open.
    unsafe {
        let relation = pg_sys::try_relation_open(table, LOCK);
        if relation.is_null() {
            return Vec::new();
        }
        let triggers = (*relation).trigdesc.as_ref().map_or_else(Vec::new, |description| {
            let count = usize::try_from(description.numtriggers).unwrap_or_default();
            let read = |trigger: &pg_sys::Trigger| Trigger {
                removes: u32::try_from(trigger.tgtype).is_ok_and(|kind| kind & pg_sys::TRIGGER_TYPE_DELETE != 0),
                is_internal: trigger.tgisinternal,
                referencing: trigger.tgconstrrelid,
                function: trigger.tgfoid,
            };
            std::slice::from_raw_parts(description.triggers, count).iter().map(read).collect()
        });
        pg_sys::relation_close(relation, LOCK);
        triggers
    }
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
