//! As whom code of others runs that a statement of ours sets off.
//!
//! Postgres plans and runs what a foreign key does as the owner of the table that has it: BEFORE triggers, WHEN conditions, CHECK constraints and
//! the functions of indexes too. Whoever has TRIGGER on that table, or owns a partition of it, would have its owner's rights by a statement of
//! ours. So these queries have the rights of their owner when Postgres looks at rights, and from then on those of the other role.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char};

use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;
use workos_auth_core::Result;

use super::roles::{self, owner, restricted_to, with_the_rights_of};
use super::runs;
use crate::error::unexpected;

/// As whom the code of others runs that a statement of ours sets off: triggers, and the functions of defaults, constraints and indexes.
#[derive(Debug, Clone, Copy)]
pub struct Others {
    pub run_as: pg_sys::Oid,
    /// Whether it runs within a security-restricted operation, and what it sets is undone. Postgres then refuses to put a trigger off to
    /// the end of the transaction, where it would run as whoever commits. A query that meets a trigger of others is restricted in any case.
    pub is_restricted: bool,
}

/// A statement of ours, by its text: the queries that a rule adds to it have the same.
#[derive(Clone, Copy)]
struct Ours {
    /// As long as [`with_others_as`] runs.
    sql: *const str,
    others: Others,
    has_started: bool,
}

/// A query of [`with_others_as`] that has started.
struct Restricted {
    /// `es_query_cxt`
    query: pg_sys::MemoryContext,
    others: Others,
}

struct State {
    /// The statement of [`with_others_as`] that runs.
    ours: Cell<Option<Ours>>,
    restricted: RefCell<Vec<Restricted>>,
    /// How many queries of [`with_others_as`] could set off code of others.
    set_off: Cell<u64>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State { ours: Cell::new(None), restricted: RefCell::new(Vec::new()), set_off: Cell::new(0) };

/// Runs `f`, which runs the statement `sql`. Postgres looks at the rights of the current user when the statement starts. What it sets off
/// later, row by row and at its end, has the rights of another role and no others. So have the queries of foreign keys between our tables.
///
/// # Errors
/// `unexpected_failure`: `f` did not run the statement.
pub fn with_others_as<T>(others: Others, sql: &str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Back(Option<Ours>);

    impl Drop for Back {
        fn drop(&mut self) {
            STATE.ours.set(self.0);
        }
    }

    let _back = Back(STATE.ours.replace(Some(Ours { sql, others, has_started: false })));
    let value = f()?;
    match STATE.ours.get() {
        Some(ours) if ours.has_started => Ok(value),
        _ => Err(unexpected("A statement was not seen by the executor's hook.")),
    }
}

/// Counts the statements of ours that may have run code of others: where it stays the same, none has run.
pub fn set_off() -> u64 {
    STATE.set_off.get()
}

/// Notes a query that starts, if it is the statement of [`with_others_as`], or what a foreign key does to a table of ours in one.
///
/// # Safety
/// `query` was started.
pub unsafe fn restrict(query: *const pg_sys::QueryDesc) {
    struct Forget(pg_sys::MemoryContext);

    impl Drop for Forget {
        fn drop(&mut self) {
            if let Ok(mut restricted) = STATE.restricted.try_borrow_mut() {
                restricted.retain(|other| other.query != self.0);
            }
        }
    }

    // SAFETY: by the caller's word; the text is a C string or NULL.
    unsafe {
        let Some(others) = others_of_text((*query).sourceText) else { return };
        if let Some(ours) = STATE.ours.get()
            && is_text((*query).sourceText, ours)
        {
            STATE.ours.set(Some(Ours { has_started: true, ..ours }));
        }
        let estate = (*query).estate;
        let context = (*estate).es_query_cxt;
        PgMemoryContexts::For(context).leak_and_drop_on_delete(Forget(context));
        let others = Others { is_restricted: others.is_restricted || is_watched(estate), ..others };
        STATE.restricted.borrow_mut().push(Restricted { query: context, others });
        if others.is_restricted {
            STATE.set_off.set(STATE.set_off.get() + 1);
        }
    }
}

/// Whose rights a query has that is about to start or to be planned, by its text, if it is the statement of [`with_others_as`] or what a foreign
/// key does in it.
///
/// # Safety
/// `text` is a C string or NULL.
unsafe fn others_of_text(text: *const c_char) -> Option<Others> {
    match STATE.ours.get() {
        // SAFETY: by the caller's word.
        Some(ours) if unsafe { is_text(text, ours) } => return Some(ours.others),
        _ if STATE.restricted.borrow().is_empty() => return None,
        _ => {}
    }
    // On a table of ours it is one in whatever such a trigger does, too.
    if roles::current() == owner() {
        return runs::runs().find_map(|run| others_of(run.query()));
    }
    match roles::is_foreign_keys() {
        true => runs::runs().next().and_then(|run| others_of(run.query())),
        false => None,
    }
}

/// # Safety
/// `text` is a C string or NULL.
unsafe fn is_text(text: *const c_char, ours: Ours) -> bool {
    // SAFETY: by the caller's word; with_others_as runs, since it takes the statement back.
    !text.is_null() && unsafe { CStr::from_ptr(text).to_bytes() == (*ours.sql).as_bytes() }
}

/// Runs the planner, which calls IMMUTABLE functions, with the rights that [`with_others_as`] asked for, restricted.
///
/// # Safety
/// `text` is a C string or NULL.
pub unsafe fn plan_with_rights<T>(text: *const c_char, f: impl FnOnce() -> T) -> T {
    // SAFETY: by the caller's word.
    let others = unsafe { others_of_text(text) };
    with_rights(others.map(|others| Others { is_restricted: true, ..others }), f)
}

fn others_of(query: pg_sys::MemoryContext) -> Option<Others> {
    STATE.restricted.borrow().iter().find(|other| other.query == query).map(|other| other.others)
}

/// Whether a table that a query writes to has a trigger that is neither a foreign key's nor for TRUNCATE, and whose function is not the
/// extension's.
///
/// # Safety
/// `estate` is one of a query that was started.
unsafe fn is_watched(estate: *const pg_sys::EState) -> bool {
    let fires = pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_UPDATE | pg_sys::TRIGGER_TYPE_DELETE;
    // SAFETY: by the caller's word; Postgres's own list of the tables, NULL where it is empty. Each has a description of its triggers or NULL.
    unsafe {
        let Some(tables) = (*estate).es_opened_result_relations.as_ref() else { return false };
        let tables = std::slice::from_raw_parts(tables.elements, usize::try_from(tables.length).unwrap_or_default());
        let tables = tables.iter().map(|cell| cell.ptr_value.cast::<pg_sys::ResultRelInfo>());
        tables.filter_map(|table| (*table).ri_TrigDesc.as_ref()).any(|description| {
            let count = usize::try_from(description.numtriggers).unwrap_or_default();
            let mut triggers = std::slice::from_raw_parts(description.triggers, count).iter();
            triggers.any(|trigger| {
                !trigger.tgisinternal
                    && u32::try_from(trigger.tgtype).is_ok_and(|kind| kind & fires != 0)
                    && is_function_of_others(trigger.tgfoid)
            })
        })
    }
}

/// Whether a function is none of the extension's. Its schema does not tell: a superuser may make functions there too.
pub fn is_function_of_others(function: pg_sys::Oid) -> bool {
    // SAFETY: catalog look-ups by OID and by name; missing_ok.
    unsafe {
        let extension = pg_sys::getExtensionOfObject(pg_sys::ProcedureRelationId, function);
        extension == pg_sys::InvalidOid || extension != pg_sys::get_extension_oid(c"workos_auth".as_ptr(), true)
    }
}

/// Runs a part of a query, and what it sets off, with the rights that [`with_others_as`] asked for.
///
/// # Safety
/// `context` is a query's `es_query_cxt`.
pub unsafe fn with_rights_of_query(context: pg_sys::MemoryContext, f: impl FnOnce()) {
    with_rights(others_of(context), f);
}

fn with_rights<T>(others: Option<Others>, f: impl FnOnce() -> T) -> T {
    match others {
        None => f(),
        Some(Others { run_as, is_restricted: true }) => restricted_to(run_as, f),
        Some(Others { run_as, is_restricted: false }) => with_the_rights_of(run_as, f),
    }
}
