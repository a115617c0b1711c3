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

use super::roles::{self, leaving_nothing, owner, restricted_within};
use super::runs;
use crate::error::unexpected;

/// A statement of ours, by its text: the queries that a rule adds to it have the same.
#[derive(Clone, Copy)]
struct Ours {
    /// As long as [`with_others_as`] runs.
    sql: *const str,
    run_as: pg_sys::Oid,
    has_started: bool,
}

/// A query of [`with_others_as`] that has started.
struct Restricted {
    /// `es_query_cxt`
    query: pg_sys::MemoryContext,
    run_as: pg_sys::Oid,
}

struct State {
    /// The statement of [`with_others_as`] that runs.
    ours: Cell<Option<Ours>>,
    restricted: RefCell<Vec<Restricted>>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State { ours: Cell::new(None), restricted: RefCell::new(Vec::new()) };

/// Runs `f`, which runs the statement `sql`. Postgres looks at the rights of the current user when the statement starts. What it sets off
/// later, row by row and at its end, has the rights of `run_as` and no others: triggers, and the functions of defaults, constraints and
/// indexes. So have the queries of foreign keys between our tables. It runs within a security-restricted operation: what it sets is undone,
/// cursors of the caller are out of its reach, and Postgres refuses to put anything off to the end of the transaction, where it would run
/// as whoever commits.
///
/// # Errors
/// `unexpected_failure`: `f` did not run the statement.
pub fn with_others_as<T>(run_as: pg_sys::Oid, sql: &str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Back(Option<Ours>);

    impl Drop for Back {
        fn drop(&mut self) {
            STATE.ours.set(self.0);
        }
    }

    let _back = Back(STATE.ours.replace(Some(Ours { sql, run_as, has_started: false })));
    let value = leaving_nothing(f)?;
    match STATE.ours.get() {
        Some(ours) if ours.has_started => Ok(value),
        _ => Err(unexpected("A statement was not seen by the executor's hook.")),
    }
}

/// Starts a query, as who it should where it writes to a table of somebody else's: one that inherits, or that a rule adds. Postgres plans the
/// expressions of generated columns when a query starts, and calls IMMUTABLE functions for it. It looks at the rights of the current user then,
/// which each table of a copy of the plan is told.
///
/// # Safety
/// `query` is one that Postgres passes to the hook.
pub unsafe fn start_with_rights(query: *mut pg_sys::QueryDesc, start: impl FnOnce()) {
    // SAFETY: the caller's word; a list of the plan, of numbers into another of them.
    unsafe {
        let run_as = run_as_of_text((*query).sourceText).filter(|_| writes_to_others(&*(*query).plannedstmt));
        let Some(run_as) = run_as else { return start() };
        let plan = pg_sys::copyObjectImpl((*query).plannedstmt.cast()).cast::<pg_sys::PlannedStmt>();
        #[cfg(feature = "pg15")]
        let tables = elements::<pg_sys::RangeTblEntry>((*plan).rtable);
        #[cfg(not(feature = "pg15"))]
        let tables = elements::<pg_sys::RTEPermissionInfo>((*plan).permInfos);
        for table in tables.filter(|table| (**table).checkAsUser == pg_sys::InvalidOid) {
            (*table).checkAsUser = roles::current();
        }
        (*query).plannedstmt = plan;
        restricted_within(run_as, start);
    }
}

/// Whether a plan writes to a table that is not the current user's.
///
/// # Safety
/// Its lists are Postgres's.
unsafe fn writes_to_others(plan: &pg_sys::PlannedStmt) -> bool {
    // SAFETY: a list of numbers, counted from 1, into the list of tables.
    unsafe {
        let Some(written) = plan.resultRelations.as_ref() else { return false };
        let count = usize::try_from(written.length).unwrap_or_default();
        std::slice::from_raw_parts(written.elements, count).iter().any(|cell| {
            let at = usize::try_from(cell.int_value).unwrap_or_default();
            let table = elements::<pg_sys::RangeTblEntry>(plan.rtable).nth(at.saturating_sub(1));
            table.is_none_or(|table| roles::owner_of_table((*table).relid) != Some(roles::current()))
        })
    }
}

/// # Safety
/// `list` is NIL or a list of such nodes.
unsafe fn elements<T>(list: *mut pg_sys::List) -> impl Iterator<Item = *mut T> {
    // SAFETY: the caller's word.
    let cells = unsafe {
        list.as_ref().map_or(&[][..], |list| {
            std::slice::from_raw_parts(list.elements, usize::try_from(list.length).unwrap_or_default())
        })
    };
    // SAFETY: as above.
    cells.iter().map(|cell| unsafe { cell.ptr_value }.cast())
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
        let Some(run_as) = run_as_of_text((*query).sourceText) else { return };
        if let Some(ours) = STATE.ours.get()
            && is_text((*query).sourceText, ours)
        {
            STATE.ours.set(Some(Ours { has_started: true, ..ours }));
        }
        let context = (*(*query).estate).es_query_cxt;
        PgMemoryContexts::For(context).leak_and_drop_on_delete(Forget(context));
        STATE.restricted.borrow_mut().push(Restricted { query: context, run_as });
    }
}

/// Whose rights a query has that is about to start or to be planned, by its text, if it is the statement of [`with_others_as`] or what a foreign
/// key does in it.
///
/// # Safety
/// `text` is a C string or NULL.
unsafe fn run_as_of_text(text: *const c_char) -> Option<pg_sys::Oid> {
    match STATE.ours.get() {
        // SAFETY: by the caller's word.
        Some(ours) if unsafe { is_text(text, ours) } => return Some(ours.run_as),
        _ if STATE.restricted.borrow().is_empty() => return None,
        _ => {}
    }
    // On a table of ours it is one in whatever such a trigger does, too.
    if roles::current() == owner() {
        return runs::runs().find_map(|run| run_as_of(run.query()));
    }
    match roles::is_foreign_keys() {
        true => runs::runs().next().and_then(|run| run_as_of(run.query())),
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
    with_rights(unsafe { run_as_of_text(text) }, f)
}

fn run_as_of(query: pg_sys::MemoryContext) -> Option<pg_sys::Oid> {
    STATE.restricted.borrow().iter().find(|other| other.query == query).map(|other| other.run_as)
}

/// Whether a function is none of this library's. Neither its schema tells nor its owner: a superuser may make functions in ours, too.
pub fn is_function_of_others(function: pg_sys::Oid) -> bool {
    const LIBRARY: &str = concat!("$libdir/", env!("CARGO_PKG_NAME"));
    const PROBIN: pg_sys::AttrNumber = pg_sys::Anum_pg_proc_probin as pg_sys::AttrNumber;
    let by_oid = pg_sys::SysCacheIdentifier::PROCOID as i32;
    // SAFETY: a catalog look-up by OID; the text is read before the row is released.
    unsafe {
        let row = pg_sys::SearchSysCache1(by_oid, pg_sys::Datum::from(function));
        if row.is_null() {
            return true;
        }
        let mut is_null = false;
        let library = pg_sys::SysCacheGetAttr(by_oid, row, PROBIN, &mut is_null);
        let is_ours = !is_null && pgrx::varlena::varlena_to_byte_slice(library.cast_mut_ptr()) == LIBRARY.as_bytes();
        pg_sys::ReleaseSysCache(row);
        !is_ours
    }
}

/// Runs a part of a query, and what it sets off, with the rights that [`with_others_as`] asked for.
///
/// # Safety
/// `context` is a query's `es_query_cxt`.
pub unsafe fn with_rights_of_query(context: pg_sys::MemoryContext, f: impl FnOnce()) {
    with_rights(run_as_of(context), f);
}

fn with_rights<T>(run_as: Option<pg_sys::Oid>, f: impl FnOnce() -> T) -> T {
    match run_as {
        None => f(),
        Some(run_as) => restricted_within(run_as, f),
    }
}
