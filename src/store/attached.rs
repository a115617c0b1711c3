//! What others have attached to our tables: triggers, and tables with foreign keys, which have triggers of their own.
//!
//! Such code runs as `workos_auth_nobody`, or as the owner of a SECURITY DEFINER function. It may leave something behind that runs at the end
//! of the transaction as whoever commits: a deferred trigger of a table that it writes to, or a cursor WITH HOLD. So it runs within a
//! security-restricted operation, where Postgres refuses both, and what it sets is undone. A trigger that is initially deferred fires at
//! the end of our statement in place of the transaction's.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;
use workos_auth_core::Result;

use super::spi::{failed, utility};
use crate::error::sqlstate;
use crate::postgres::others_code::is_function_of_others;
use crate::postgres::roles::as_outer_user;

/// A trigger, as far as it is looked at.
struct Trigger {
    fires: u32,
    is_internal: bool,
    referencing: pg_sys::Oid,
    function: pg_sys::Oid,
}

/// A table of ours, and what a statement does to its rows: a mask of `TRIGGER_TYPE_…`.
#[derive(Debug, PartialEq, Eq)]
pub struct Write {
    table: CString,
    fires: u32,
}

/// What a statement of ours writes to, by its text.
pub fn writes(sql: &str) -> Vec<Write> {
    let on_conflict = if sql.contains("DO UPDATE") { pg_sys::TRIGGER_TYPE_UPDATE } else { 0 };
    let verbs = [
        ("INSERT INTO auth.", pg_sys::TRIGGER_TYPE_INSERT | on_conflict),
        ("UPDATE auth.", pg_sys::TRIGGER_TYPE_UPDATE),
        ("DELETE FROM auth.", pg_sys::TRIGGER_TYPE_DELETE),
    ];
    let of_verb = |(verb, fires): (&str, u32)| {
        let named = |rest: &str| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            CString::new(name).ok().map(|table| Write { table, fires })
        };
        sql.split(verb).skip(1).filter_map(named).collect::<Vec<_>>()
    };
    verbs.into_iter().flat_map(of_verb).collect()
}

/// Whether a trigger that is not the extension's fires where a statement writes.
pub fn is_watched(write: &Write) -> bool {
    let (_, table) = table_of_ours(&write.table);
    triggers_of(table).iter().any(|trigger| {
        !trigger.is_internal && trigger.fires & write.fires != 0 && is_function_of_others(trigger.function)
    })
}

/// Whether removing a row of a table of ours may set off a trigger that is not the extension's, there or in a table that a foreign key leads to.
pub fn is_removal_watched(table: &CStr) -> bool {
    let (schema, table) = table_of_ours(table);
    let (mut tables, mut at) = (vec![table], 0);
    while let Some(&table) = tables.get(at) {
        at += 1;
        // SAFETY: a catalog look-up by OID.
        if unsafe { pg_sys::get_rel_namespace(table) } != schema {
            return true;
        }
        let removing = |trigger: &Trigger| trigger.fires & pg_sys::TRIGGER_TYPE_DELETE != 0;
        for trigger in triggers_of(table).into_iter().filter(removing) {
            match trigger.is_internal {
                // That of a foreign key stands at both of its ends, and names the other.
                true if trigger.referencing == pg_sys::InvalidOid || tables.contains(&trigger.referencing) => {}
                true => tables.push(trigger.referencing),
                false if is_function_of_others(trigger.function) => return true,
                false => {}
            }
        }
    }
    false
}

/// The schema `auth`, and a table in it.
fn table_of_ours(table: &CStr) -> (pg_sys::Oid, pg_sys::Oid) {
    // SAFETY: catalog look-ups by name.
    unsafe {
        let schema = pg_sys::get_namespace_oid(c"auth".as_ptr(), true);
        (schema, pg_sys::get_relname_relid(table.as_ptr(), schema))
    }
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
                fires: u32::try_from(trigger.tgtype).unwrap_or_default(),
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

/// Whether constraints are to be deferred again.
#[must_use]
pub struct PutOff(bool);

impl PutOff {
    /// Nothing was settled.
    pub fn nothing() -> Self {
        Self(false)
    }

    /// Defers the constraints that are initially deferred, as far as the caller may name them.
    pub fn again(&self) -> Result<()> {
        if !self.0 {
            return Ok(());
        }
        // SAFETY: reads the state of the backend.
        let names = initially_deferred(unsafe { pg_sys::GetOuterUserId() })?;
        match names.as_slice() {
            [] => Ok(()),
            names => as_outer_user(|| utility(&format!("SET CONSTRAINTS {} DEFERRED", names.join(", ")))),
        }
    }
}

/// Has what is deferred checked now, as whoever calls, as it would be at the end of the transaction, and nothing deferred from here on.
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
fn initially_deferred(role: pg_sys::Oid) -> Result<Vec<String>> {
    const NAMES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.conname)
         FROM pg_catalog.pg_constraint AS c JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.connamespace
         WHERE pg_catalog.has_schema_privilege($1, n.oid, 'USAGE') AND NOT pg_catalog.pg_is_other_temp_schema(n.oid)
         GROUP BY n.nspname, c.conname HAVING pg_catalog.bool_or(c.condeferred) AND pg_catalog.bool_and(c.condeferrable)";
    // SAFETY: taken off below; where an error is raised, the abort takes it off.
    unsafe { pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot()) };
    let names = sqlstate::listening(|_| {
        Spi::connect(|client| {
            let names = client.select(NAMES, None, &[role.into()]).map_err(failed)?;
            names.map(|row| Ok(row.get::<String>(1).map_err(failed)?.unwrap_or_default())).collect()
        })
    });
    // SAFETY: as above.
    unsafe { pg_sys::PopActiveSnapshot() };
    names
}
