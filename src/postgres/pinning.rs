//! One query, one identity.
//!
//! The first reader under a query pins the session to it: to the innermost running query and to those that it runs under, for all
//! of their runs. A reader that finds another session later is refused. Otherwise a function in WHERE, a LATERAL rescan or a
//! cursor across `auth.set_session` would have one policy compare a row with two people.
//!
//! The pin also keeps what was read, since the results of the query may point into it. Whatever outlives the query is a copy that
//! Postgres made. So a transaction of many people takes no more memory than one of them.
//!
//! Where no executor runs there is no pin: COPY FROM, the arguments of CALL, an expression of a DO block. No policy is applied there.

use std::any::Any;
use std::cell::RefCell;
use std::ptr;
use std::rc::Rc;

use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;
use workos_auth_core::{ErrorCode, Result};

use super::runs::{self, TokenHash};
use crate::error::or_raise;

/// What a reader found.
pub type Read = Rc<dyn Any>;

struct Pin {
    /// `es_query_cxt`
    query: pg_sys::MemoryContext,
    identity: TokenHash,
    /// All that the query's results may point into. More than one where a token was verified again, or a role changed, while it ran.
    reads: Vec<Read>,
}

impl Pin {
    /// Keeps what was read as long as the query lives.
    fn keep(&mut self, read: Option<&Read>) {
        if let Some(read) = read
            && !self.reads.iter().any(|kept| ptr::addr_eq(Rc::as_ptr(kept), Rc::as_ptr(read)))
        {
            self.reads.push(Rc::clone(read));
        }
    }
}

thread_local! {
    static PINS: RefCell<Vec<Pin>> = const { RefCell::new(Vec::new()) };
}

/// Pins `identity` to every running query, and has it keep what was read.
///
/// # Errors
/// `session_changed` if one of them has another.
pub fn pin(identity: &TokenHash, read: Option<&Read>) -> Result<()> {
    for run in runs::runs() {
        let query = run.query();
        let pinned = match query.is_null() {
            true => run.read_at_start.get().map(|read| read == *identity),
            // The latest queries stand last, and are the ones that are asked for.
            false => PINS.with_borrow_mut(|pins| {
                let pin = pins.iter_mut().rev().find(|pin| pin.query == query)?;
                let is_same = pin.identity == *identity;
                if is_same {
                    pin.keep(read);
                }
                Some(is_same)
            }),
        };
        match pinned {
            Some(true) => {}
            Some(false) => return Err(ErrorCode::SessionChanged.into()),
            None if query.is_null() => run.read_at_start.set(Some(*identity)),
            None => pin_to(query, identity, read),
        }
    }
    Ok(())
}

/// To whom a run is pinned, if it is.
pub fn pinned_to(run: &runs::Run) -> Option<TokenHash> {
    let query = run.query();
    match query.is_null() {
        true => run.read_at_start.get(),
        false => PINS.with_borrow(|pins| pins.iter().rev().find(|pin| pin.query == query).map(|pin| pin.identity)),
    }
}

/// Pins `identity` to a query that has none.
fn pin_to(query: pg_sys::MemoryContext, identity: &TokenHash, read: Option<&Read>) {
    PgMemoryContexts::For(query).leak_and_drop_on_delete(Release(query));
    let mut pin = Pin { query, identity: *identity, reads: Vec::new() };
    pin.keep(read);
    PINS.with_borrow_mut(|pins| pins.push(pin));
}

/// Pins what the processes of a parallel query are going to read to the running queries, as if it had been read here.
#[cold]
#[inline(never)]
#[pg_guard]
pub extern "C-unwind" fn pin_shared(identity: &fn() -> TokenHash) {
    or_raise(pin(&identity(), None));
}

/// Pins what a query read while it started to the rest of it.
#[cold]
#[inline(never)]
#[pg_guard]
pub extern "C-unwind" fn pin_started(query: pg_sys::MemoryContext, identity: &TokenHash) {
    pin_to(query, identity, None);
}

/// Removes the pin of a query when Postgres deletes the query's memory context.
struct Release(pg_sys::MemoryContext);

impl Drop for Release {
    fn drop(&mut self) {
        runs::query_ended(self.0);
        // Neither a borrow nor the end of the process may make this panic.
        let pin = PINS.try_with(|pins| {
            let mut pins = pins.try_borrow_mut().ok()?;
            let at = pins.iter().rposition(|pin| pin.query == self.0)?;
            Some(pins.remove(at))
        });
        // What it kept goes after the borrow has ended.
        drop(pin);
    }
}

/// Whether other processes may read claims for this query, or this is one of them: each knows only what it reads itself. A plan
/// without dependencies calls Postgres's own functions alone.
///
/// # Safety
/// `query` is one that Postgres passes to a hook.
pub unsafe fn is_shared(query: *const pg_sys::QueryDesc) -> bool {
    // SAFETY: the caller's word; reads a global of the backend.
    unsafe { is_shared_plan(&*(*query).plannedstmt) || pg_sys::ParallelWorkerNumber >= 0 && runs::depth() == 0 }
}

pub fn is_shared_plan(plan: &pg_sys::PlannedStmt) -> bool {
    plan.parallelModeNeeded && !plan.invalItems.is_null()
}
