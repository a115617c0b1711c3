//! What others have attached to our tables: triggers, and tables with foreign keys, which have triggers of their own.
//!
//! Such code runs as `workos_auth_nobody`, or as the owner of a SECURITY DEFINER function. It may leave something behind that runs at the end
//! of the transaction as whoever commits: a deferred trigger of a table that it writes to, or a cursor WITH HOLD. So it runs within a
//! security-restricted operation, where Postgres refuses both, and what it sets is undone. A trigger that is initially deferred fires at
//! the end of our statement in place of the transaction's.

use std::ffi::{CStr, CString};

use pgrx::prelude::*;

use crate::postgres::others_code::is_function_of_others;

/// A table of ours, and what a statement does to its rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    table: CString,
    /// A mask of `TRIGGER_TYPE_…`.
    fires: u32,
    /// Whether keys go that foreign keys may lead to.
    takes_keys: bool,
}

const INSERT: u32 = pg_sys::TRIGGER_TYPE_INSERT;
const UPDATE: u32 = pg_sys::TRIGGER_TYPE_UPDATE;
const DELETE: u32 = pg_sys::TRIGGER_TYPE_DELETE;

/// What a statement of ours writes to, by its text.
pub fn writes(sql: &str) -> Vec<Write> {
    let on_conflict = if sql.contains("DO UPDATE") { UPDATE } else { 0 };
    let verbs = [("INSERT INTO auth.", INSERT | on_conflict), ("UPDATE auth.", UPDATE), ("DELETE FROM auth.", DELETE)];
    let of_verb = |(verb, fires): (&str, u32)| {
        let named = |rest: &str| {
            let name: String = rest.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            let takes_keys =
                fires == DELETE || rest.strip_prefix(&name).is_some_and(|rest| rest.starts_with(" SET id "));
            CString::new(name).ok().map(|table| Write { table, fires, takes_keys })
        };
        sql.split(verb).skip(1).filter_map(named).collect::<Vec<_>>()
    };
    verbs.into_iter().flat_map(of_verb).collect()
}

/// What triggers of ours write to when a table of ours is written to.
fn written_by_our_triggers(table: &CStr) -> &'static [(&'static CStr, u32)] {
    match table.to_bytes() {
        b"organization_memberships" => {
            &[(c"sessions", UPDATE), (c"sessions", DELETE), (c"ended_sessions", INSERT | UPDATE)]
        }
        b"redirect_urls" | b"organization_domains" | b"hooks" => &[(c"audit_log_entries", INSERT)],
        _ => &[],
    }
}

/// A table that a statement of ours may write to, by itself or by what it sets off.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reached {
    table: pg_sys::Oid,
    fires: u32,
    takes_keys: bool,
}

/// Whether writing may set off what others have attached and may put off to the end of the transaction: a trigger that is not the
/// extension's, a constraint that can be deferred, a rule, a table that inherits; there, or in a table that a foreign key or a trigger of
/// ours leads to.
pub fn is_watched(writes: &[Write]) -> bool {
    // SAFETY: a catalog look-up by name.
    let schema = unsafe { pg_sys::get_namespace_oid(c"auth".as_ptr(), true) };
    // SAFETY: as above.
    let ours = |table: &CStr| unsafe { pg_sys::get_relname_relid(table.as_ptr(), schema) };
    let reached =
        |write: &Write| Reached { table: ours(&write.table), fires: write.fires, takes_keys: write.takes_keys };
    let mut reached: Vec<Reached> = writes.iter().map(reached).collect();
    let mut at = 0;
    while let Some(&here) = reached.get(at) {
        at += 1;
        let Some(table) = Table::of(here.table, here.fires) else { continue };
        if table.schema != schema || table.has_more {
            return true;
        }
        for trigger in &table.triggers {
            let next = match trigger.kind {
                // Keys stay as they are.
                Kind::Referenced { .. } if !here.takes_keys => continue,
                _ if trigger.is_deferrable => return true,
                Kind::Others => return true,
                Kind::Constraint => continue,
                Kind::Referenced { by } => vec![Reached { table: by, fires: UPDATE | DELETE, takes_keys: true }],
                Kind::Ours => written_by_our_triggers(&table.name)
                    .iter()
                    .map(|&(table, fires)| Reached { table: ours(table), fires, takes_keys: fires == DELETE })
                    .collect(),
            };
            for next in next {
                if !reached.contains(&next) {
                    reached.push(next);
                }
            }
        }
    }
    false
}

/// A table, as far as it is looked at.
struct Table {
    schema: pg_sys::Oid,
    name: CString,
    /// Whether it has rules or tables that inherit.
    has_more: bool,
    /// Those that were asked for.
    triggers: Vec<Trigger>,
}

struct Trigger {
    is_deferrable: bool,
    kind: Kind,
}

enum Kind {
    /// The end of a foreign key that is referenced, by which table.
    Referenced {
        by: pg_sys::Oid,
    },
    /// The other end of a foreign key, or a UNIQUE or EXCLUDE constraint.
    Constraint,
    /// One whose function is the extension's.
    Ours,
    Others,
}

impl Table {
    /// With its triggers that fire for `fires`; none if it is gone.
    fn of(table: pg_sys::Oid, fires: u32) -> Option<Self> {
        const LOCK: pg_sys::LOCKMODE = pg_sys::AccessShareLock.cast_signed();
        // SAFETY: NULL for a table that is gone; the relation is read while it is open.
        unsafe {
            let relation = pg_sys::try_relation_open(table, LOCK);
            let (class, description) = match relation.as_ref() {
                None => return None,
                Some(relation) => (&*relation.rd_rel, relation.trigdesc.as_ref()),
            };
            let triggers = description.map_or_else(Vec::new, |description| {
                let count = usize::try_from(description.numtriggers).unwrap_or_default();
                let triggers = std::slice::from_raw_parts(description.triggers, count).iter();
                triggers
                    .filter(|trigger| u32::try_from(trigger.tgtype).is_ok_and(|on| on & fires != 0))
                    .map(Trigger::of)
                    .collect()
            });
            let read = Self {
                schema: class.relnamespace,
                name: CStr::from_ptr(class.relname.data.as_ptr()).to_owned(),
                has_more: class.relhasrules || class.relhassubclass,
                triggers,
            };
            pg_sys::relation_close(relation, LOCK);
            Some(read)
        }
    }
}

impl Trigger {
    fn of(trigger: &pg_sys::Trigger) -> Self {
        // SAFETY: compares numbers.
        let of_key = unsafe { pg_sys::RI_FKey_trigger_type(trigger.tgfoid) };
        let kind = match () {
            () if of_key == pg_sys::RI_TRIGGER_PK.cast_signed() => Kind::Referenced { by: trigger.tgconstrrelid },
            () if trigger.tgisinternal => Kind::Constraint,
            () if is_function_of_others(trigger.tgfoid) => Kind::Others,
            () => Kind::Ours,
        };
        Self { is_deferrable: trigger.tgdeferrable, kind }
    }
}
