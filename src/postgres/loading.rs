//! The queries that run when the library is loaded, which began before the hooks were there.

use std::ffi::c_char;
use std::{iter, ptr};

use pgrx::prelude::*;

use super::pinning::is_shared_plan;
use super::portals::portal_of;
use super::runs::{self, is_active, is_clients_text};
use super::statement;

/// Where a function of a query is the first to need the library, that query and those around it count as running from here on. They
/// are found by their memory, whatever runs them: a portal, COPY, EXPLAIN, the making of a table, PL/pgSQL, an SQL function.
///
/// One too many is among them now and then, to the end of the DO block or transaction: the query of an SQL function that PL/pgSQL called without a
/// query of its own, where an error in it was caught. One is missed: what parallel workers have read before the library came to this
/// process is known to them alone.
///
/// Says whether other processes may read claims for one of them.
///
/// # Safety
/// In `_PG_init`.
pub unsafe fn join_running_queries() -> bool {
    // SAFETY: reads globals of the backend, and its tree of memory contexts, which changes only where something is added to a context.
    unsafe {
        if pg_sys::TopTransactionContext.is_null() {
            return false;
        }
        if !pg_sys::ActivePortal.is_null() {
            statement::load_in_statement();
        }
        let layout = EStateLayout::measured();
        let mut is_any_shared = false;
        let mut contexts = vec![pg_sys::TopMemoryContext];
        while let Some(context) = contexts.pop() {
            contexts.extend(iter::successors(known((*context).firstchild), |child| known((**child).nextchild)));
            let Some(estate) = layout.estate_of(context) else { continue };
            // An expression of PL/pgSQL has one too, for as long as its block or transaction lasts, and no plan.
            let Some(plan) = (*estate).es_plannedstmt.as_ref() else { continue };
            let portal = portal_around(context);
            if !is_active(portal) {
                continue;
            }
            is_any_shared |= is_shared_plan(plan);
            runs::join(context, plan, portal, is_clients_text((*estate).es_sourceText));
        }
        is_any_shared
    }
}

fn known(context: pg_sys::MemoryContext) -> Option<pg_sys::MemoryContext> {
    (!context.is_null()).then(|| context)
}

/// How Postgres's `CreateExecutorState` lays an `EState` into a memory context of its own, of which it is the first piece.
struct EStateLayout {
    /// Where the string constant lies that it names the context by.
    name: *const c_char,
    /// From the context to the `EState`, in bytes.
    distance: isize,
}

impl EStateLayout {
    /// Makes one, and looks at it.
    ///
    /// # Safety
    /// In a backend.
    unsafe fn measured() -> Self {
        // SAFETY: the context is of one allocation with the first piece in it.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let context = (*estate).es_query_cxt;
            let distance = estate.cast::<u8>().offset_from(context.cast::<u8>());
            let layout = Self { name: (*context).name, distance };
            pg_sys::FreeExecutorState(estate);
            layout
        }
    }

    /// The `EState` that the context was made for, if it was made for one.
    ///
    /// # Safety
    /// `context` is one.
    unsafe fn estate_of(&self, context: pg_sys::MemoryContext) -> Option<*mut pg_sys::EState> {
        // SAFETY: nobody else names a context by this constant; the `EState` knows its context.
        unsafe {
            if !ptr::eq((*context).name, self.name) {
                return None;
            }
            let estate = context.cast::<u8>().offset(self.distance).cast::<pg_sys::EState>();
            ((*estate).type_ == pg_sys::NodeTag::T_EState && (*estate).es_query_cxt == context).then(|| estate)
        }
    }
}

/// The portal whose memory `context` lies in; NULL without one.
///
/// # Safety
/// `context` is one.
unsafe fn portal_around(context: pg_sys::MemoryContext) -> pg_sys::Portal {
    // SAFETY: the caller's word.
    unsafe {
        let around = iter::successors(known(context), |context| known((**context).parent));
        around.filter_map(|context| portal_of(context)).next().unwrap_or(ptr::null_mut())
    }
}
