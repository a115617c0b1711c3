//! Removes rows that tables of others may reference.
//!
//! A foreign key with ON DELETE CASCADE or SET NULL fires the AFTER triggers of the referencing table at the end of the statement that
//! removed the referenced row, as the user of that statement, and a deferred trigger when the transaction commits, as whoever commits.
//! So the triggers of a removal run as `workos_auth_nobody`, who has no rights, and none of them is put off.

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use pgrx::pg_catalog::pg_proc::PgProc;
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use super::query::{self, utility};
use crate::postgres::roles::{as_outer_user, role_name};

/// Runs a statement that removes rows of a table, and says how many rows it wrote.
///
/// A trigger that would run as a superuser by it, although nobody made it who is one, is refused.
///
/// Where a trigger of others may fire, the constraints of the transaction that are deferred are checked first, as whoever calls, and those
/// that are initially deferred are deferred again afterwards.
pub fn remove(table: &CStr, sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    let put_off = match Reach::of(table)?.is_foreign {
        true => settle_constraints()?,
        false => Vec::new(),
    };
    let removed = query::execute_restricted(sql, args)?;
    if !put_off.is_empty() {
        as_outer_user(|| utility(&format!("SET CONSTRAINTS {} DEFERRED", put_off.join(", "))))?;
    }
    Ok(removed)
}

/// What removing a row of a table of ours sets off: the tables that foreign keys lead to, and their triggers.
struct Reach {
    schema: pg_sys::Oid,
    owner: pg_sys::Oid,
    seen: Vec<pg_sys::Oid>,
    /// Whether a trigger may fire that is not the extension's.
    is_foreign: bool,
}

/// A trigger, as far as it is looked at.
struct Trigger {
    name: String,
    kind: u32,
    is_internal: bool,
    referencing: pg_sys::Oid,
    function: pg_sys::Oid,
}

impl Reach {
    /// # Errors
    /// `trigger_unsafe`
    fn of(table: &CStr) -> Result<Self> {
        // SAFETY: catalog look-ups by name.
        let (schema, owner, table) = unsafe {
            let schema = pg_sys::get_namespace_oid(c"auth".as_ptr(), true);
            let owner = pg_sys::get_role_oid(c"workos_auth_owner".as_ptr(), true);
            (schema, owner, pg_sys::get_relname_relid(table.as_ptr(), schema))
        };
        let mut reach = Self { schema, owner, seen: Vec::new(), is_foreign: false };
        reach.visit(table, None)?;
        Ok(reach)
    }

    /// `runs_as` is as whom Postgres changes the rows of a partition: the owner of the table that has the foreign key.
    fn visit(&mut self, table: pg_sys::Oid, runs_as: Option<pg_sys::Oid>) -> Result<()> {
        if self.seen.contains(&table) {
            return Ok(());
        }
        self.seen.push(table);
        let Some((owner, partitions, triggers)) = read(table) else { return Ok(()) };
        let runs_as = runs_as.unwrap_or(owner);
        // SAFETY: a catalog look-up by OID.
        let is_ours = unsafe { pg_sys::get_rel_namespace(table) } == self.schema;
        self.is_foreign |= !is_ours;
        for trigger in &triggers {
            let removes = trigger.kind & pg_sys::TRIGGER_TYPE_DELETE != 0;
            if trigger.is_internal {
                // That of a foreign key stands at both of its ends, and names the other.
                if removes && trigger.referencing != pg_sys::InvalidOid {
                    self.visit(trigger.referencing, None)?;
                }
                continue;
            }
            // SAFETY: a catalog look-up by OID.
            self.is_foreign |= removes && unsafe { pg_sys::get_func_namespace(trigger.function) } != self.schema;
            if !is_ours {
                self.refuse_unsafe(table, trigger, runs_as)?;
            }
        }
        partitions.into_iter().try_for_each(|partition| self.visit(partition, Some(runs_as)))
    }

    /// A BEFORE trigger runs as the owner of the table that has the foreign key. Whoever has TRIGGER on a superuser's table, or owns a
    /// partition of it, would become a superuser by a removal of ours.
    fn refuse_unsafe(&self, table: pg_sys::Oid, trigger: &Trigger, runs_as: pg_sys::Oid) -> Result<()> {
        let changes = pg_sys::TRIGGER_TYPE_DELETE | pg_sys::TRIGGER_TYPE_UPDATE;
        if trigger.kind & pg_sys::TRIGGER_TYPE_BEFORE == 0 || trigger.kind & changes == 0 {
            return Ok(());
        }
        let Some(function) = PgProc::new(trigger.function) else { return Ok(()) };
        // SAFETY: catalog look-ups by OID.
        let is_unsafe = unsafe {
            (pg_sys::superuser_arg(runs_as) || runs_as == self.owner)
                && !function.prosecdef()
                && !pg_sys::superuser_arg(function.proowner())
        };
        if !is_unsafe {
            return Ok(());
        }
        // SAFETY: NULL for a table that is gone.
        let table = unsafe { pg_sys::get_rel_name(table) };
        // SAFETY: a C string that Postgres has just made.
        let table = if table.is_null() { c"" } else { unsafe { CStr::from_ptr(table) } };
        let detail = format!(
            "The trigger {} of the table {} belongs to {}, and would run as {}.",
            trigger.name,
            table.to_string_lossy(),
            role_name(function.proowner()),
            role_name(runs_as)
        );
        Err(Error::with_detail(ErrorCode::TriggerUnsafe, detail))
    }
}

/// # Safety
/// `relation` is an open table that is partitioned.
unsafe fn partitions_of(relation: pg_sys::Relation) -> Vec<pg_sys::Oid> {
    // SAFETY: by the caller's word; the description lives as long as the relation is open.
    unsafe {
        let partitions = pg_sys::RelationGetPartitionDesc(relation, false);
        match usize::try_from((*partitions).nparts) {
            Ok(count) if count > 0 => std::slice::from_raw_parts((*partitions).oids, count).to_vec(),
            _ => Vec::new(),
        }
    }
}

/// The owner, the partitions and the triggers of a table; `None` for one that is gone.
fn read(table: pg_sys::Oid) -> Option<(pg_sys::Oid, Vec<pg_sys::Oid>, Vec<Trigger>)> {
    const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();
    // SAFETY: NULL for a table that is gone; the relation is read while it is open. Names of triggers are C strings.
    unsafe {
        let relation = pg_sys::try_relation_open(table, LOCK);
        let class = relation.as_ref()?.rd_rel.as_ref()?;
        let triggers = (*relation).trigdesc.as_ref().map_or_else(Vec::new, |description| {
            let count = usize::try_from(description.numtriggers).unwrap_or_default();
            let read = |trigger: &pg_sys::Trigger| Trigger {
                name: CStr::from_ptr(trigger.tgname).to_string_lossy().into_owned(),
                kind: u32::try_from(trigger.tgtype).unwrap_or_default(),
                is_internal: trigger.tgisinternal,
                referencing: trigger.tgconstrrelid,
                function: trigger.tgfoid,
            };
            std::slice::from_raw_parts(description.triggers, count).iter().map(read).collect()
        });
        let is_partitioned = class.relkind.cast_unsigned() == pg_sys::RELKIND_PARTITIONED_TABLE;
        let partitions = match is_partitioned {
            true => partitions_of(relation),
            false => Vec::new(),
        };
        let owner = class.relowner;
        pg_sys::relation_close(relation, LOCK);
        Some((owner, partitions, triggers))
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
