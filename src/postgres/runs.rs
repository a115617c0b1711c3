//! Which queries are running: the hooks on the executor keep them, the innermost first.
//!
//! An error jumps over those hooks. What it left behind is put right by the abort of the (sub)transaction that every caught error ends in. C code
//! that swallows an error without one leaves dead frames behind: the next hook that begins, or reader that is no deeper, leaves them out.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};

use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;

use super::plan::Parts;

/// Whose token: its hash, or nobody's.
pub type TokenHash = Option<[u8; 32]>;

/// A run of a query, on the stack of the hook: its start, one FETCH of a cursor, and what is left when it is closed.
pub struct Run {
    /// `es_query_cxt`, which is the query's as long as it lives, through all its runs. NULL while it starts, when it is not there.
    query: pg_sys::MemoryContext,
    /// Whom the start read: Postgres prunes partitions there.
    pub read_at_start: Cell<Option<TokenHash>>,
    /// Whether the client sent this query.
    pub is_clients_own: bool,
    /// What it calls and names.
    pub parts: Parts,
    /// Whether it fills a cursor WITH HOLD while its transaction commits.
    pub fills_held_cursor: bool,
}

impl Run {
    fn new(query: pg_sys::MemoryContext, plan: &pg_sys::PlannedStmt, is_clients_own: bool) -> Self {
        Self {
            query,
            read_at_start: Cell::new(None),
            is_clients_own,
            parts: Parts::of(plan),
            fills_held_cursor: is_filling_held_cursor(),
        }
    }

    /// `es_query_cxt`; NULL while the query starts.
    pub fn query(&self) -> pg_sys::MemoryContext {
        self.query
    }
}

/// A run as the list has it. Nothing of it is looked up in the frame, which may be gone.
#[derive(Clone, Copy)]
struct Hooked {
    /// In its hook's own frame. NULL where the query's memory is gone, which happens below a live frame only after a swallowed error.
    run: *const Run,
    /// Counts up from 1, so that no two are alike; 0 where the query has no memory, yet or any more.
    number: u64,
    /// `es_query_cxt`, or NULL.
    query: pg_sys::MemoryContext,
}

/// A query that ran when the library was loaded, and counts as running for as long as it does: from then on the hooks see it.
struct Joined {
    run: Run,
    /// The cursor or statement that it belongs to, which may rest between two FETCHes; NULL for what runs to its end at once.
    portal: pg_sys::Portal,
}

impl Drop for Joined {
    fn drop(&mut self) {
        let query = self.run.query();
        leave(|joined| joined.query() == query);
    }
}

struct State {
    /// The runs that a hook saw begin, the innermost last.
    hooked: RefCell<Vec<Hooked>>,
    /// The number of the last of them, or 0; beside it for the readers, which look at nothing else.
    number: Cell<u64>,
    /// The queries that the library was loaded in the middle of, around all others, in no order.
    joined: RefCell<Vec<*const Joined>>,
    /// Whether `without_running_queries` is running.
    are_hidden: Cell<bool>,
    last_number: Cell<u64>,
    /// How many runs there were at the begin of each open subtransaction.
    at_subtransaction: RefCell<Vec<usize>>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    hooked: RefCell::new(Vec::new()),
    number: Cell::new(0),
    joined: RefCell::new(Vec::new()),
    are_hidden: Cell::new(false),
    last_number: Cell::new(0),
    at_subtransaction: RefCell::new(Vec::new()),
};

/// The number of the innermost run that a hook saw begin; 0 outside of any, as for an expression in a DO block, and while that query starts.
#[inline(always)]
pub fn current_run() -> u64 {
    STATE.number.get()
}

/// The running queries: those that a hook saw begin, the innermost first, and those that ran when the library was loaded.
pub fn runs<'a>() -> impl Iterator<Item = &'a Run> {
    let mark = 0_u8;
    let here = (&raw const mark).addr();
    let hooked = (0..depth()).rev().map_while(|at| STATE.hooked.try_borrow().ok()?.get(at).map(|hooked| hooked.run));
    // SAFETY: on the stack around us: it is taken off the list before its hook returns, or when that was jumped over.
    let hooked = hooked.filter(move |run| run.addr() > here).map(|run| unsafe { &*run });
    let joined = (0..).map_while(|at| STATE.joined.try_borrow().ok()?.get(at).copied());
    // SAFETY: it takes itself off the list when it goes, which it does before its portal.
    let joined = joined.map(|joined| unsafe { &*joined }).filter(|joined| unsafe { is_active(joined.portal) });
    hooked.chain(joined.map(|joined| &joined.run).take_while(|_| !STATE.are_hidden.get()))
}

/// Whether what is running is a query that the client sent, and nothing that such a query or statement runs in turn.
pub fn is_clients_own() -> bool {
    let mut runs = runs().peekable();
    runs.peek().is_some() && runs.all(|run| run.is_clients_own)
}

/// Whether [`without_running_queries`] is running.
pub fn are_hidden() -> bool {
    STATE.are_hidden.get()
}

/// Runs `f` as if no query were running: the queries in it have a session of their own, and leave those around them as they are.
pub fn without_running_queries<T>(f: impl FnOnce() -> T) -> T {
    struct Back(Vec<Hooked>, bool);

    impl Drop for Back {
        fn drop(&mut self) {
            set_hooked(|hooked| *hooked = std::mem::take(&mut self.0));
            STATE.are_hidden.set(self.1);
        }
    }

    let mut around = Vec::new();
    set_hooked(|hooked| around = std::mem::take(hooked));
    let _back = Back(around, STATE.are_hidden.replace(true));
    f()
}

/// Whether a portal is being executed or started; NULL stands for what does not rest.
///
/// # Safety
/// `portal` is one, or NULL.
pub unsafe fn is_active(portal: pg_sys::Portal) -> bool {
    // SAFETY: the caller's word. While a portal is started, only the global tells.
    unsafe {
        portal.is_null() || (*portal).status == pg_sys::PortalStatus::PORTAL_ACTIVE || pg_sys::ActivePortal == portal
    }
}

/// Takes queries off the list of those that ran when the library was loaded.
fn leave(is_gone: impl Fn(&Run) -> bool) {
    if let Ok(mut joined) = STATE.joined.try_borrow_mut() {
        // SAFETY: as in `runs`.
        joined.retain(|joined| !is_gone(unsafe { &(**joined).run }));
    }
}

/// How many runs there are that a hook saw begin.
pub fn depth() -> usize {
    STATE.hooked.try_borrow().map_or(0, |hooked| hooked.len())
}

/// Changes the list of the runs.
fn set_hooked(change: impl FnOnce(&mut Vec<Hooked>)) {
    if let Ok(mut hooked) = STATE.hooked.try_borrow_mut() {
        change(&mut hooked);
        STATE.number.set(hooked.last().map_or(0, |run| run.number));
    }
}

/// Leaves out what a swallowed error left behind, as far as it lies no higher on the stack than the caller: for a reader that looks anew.
#[inline(never)]
pub fn leave_out_dead() {
    let mark = 0_u8;
    let here = (&raw const mark).addr();
    // The stack grows downwards.
    set_hooked(|hooked| hooked.retain(|run| run.run.addr() > here));
}

/// The memory of a query goes, and with it what was kept for its results: no run of it has a number from now on.
pub fn query_ended(query: pg_sys::MemoryContext) {
    set_hooked(|hooked| {
        for run in hooked.iter_mut().filter(|run| run.query == query) {
            *run = Hooked { run: std::ptr::null(), number: 0, query: std::ptr::null_mut() };
        }
    });
}

/// Calls `executor` as a run of the query.
///
/// # Safety
/// `query` is one that Postgres passes to a hook, and `context` its own or NULL.
pub unsafe fn call_as_run(query: *mut pg_sys::QueryDesc, context: pg_sys::MemoryContext, executor: impl FnOnce(&Run)) {
    leave(|joined| joined.query() == context);
    // SAFETY: the caller's word.
    let mut run = Run::new(context, unsafe { &*(*query).plannedstmt }, false);
    // The stack grows downwards: what lies no higher than this does not run any more.
    set_hooked(|hooked| hooked.retain(|other| other.run.addr() > (&raw const run).addr()));
    // SAFETY: the caller's word.
    run.is_clients_own = runs().next().is_none() && unsafe { is_clients_text((*query).sourceText) };
    let around = depth();
    // Without memory of the query nothing can be kept for its results: until it has started, readers copy.
    let number = if context.is_null() { 0 } else { next_number() };
    set_hooked(|hooked| hooked.push(Hooked { run: &raw const run, number, query: context }));
    executor(&run);
    set_hooked(|hooked| hooked.truncate(around));
}

fn next_number() -> u64 {
    let number = STATE.last_number.get() + 1;
    STATE.last_number.set(number);
    number
}

/// Whether the query that begins is one of PersistHoldablePortal.
fn is_filling_held_cursor() -> bool {
    // SAFETY: a global of the backend: a portal or NULL. What is read from a store in place of a query has another strategy, or runs no query.
    unsafe {
        let portal = pg_sys::ActivePortal.as_ref();
        portal.is_some_and(|portal| {
            !portal.holdStore.is_null() && portal.strategy == pg_sys::PortalStrategy::PORTAL_ONE_SELECT
        })
    }
}

/// Whether this is the text of the message that is worked off, or a copy of it. What a DO block or a procedure runs has a text of
/// its own.
///
/// # Safety
/// `text` is a C string or NULL.
pub unsafe fn is_clients_text(text: *const c_char) -> bool {
    // SAFETY: a global of the backend: a C string or NULL; the caller's word.
    unsafe {
        let clients = pg_sys::debug_query_string;
        text == clients || !text.is_null() && !clients.is_null() && libc::strcmp(text, clients) == 0
    }
}

pub unsafe extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    _subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _: *mut c_void,
) {
    let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() else { return };
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => stack.push(depth()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => drop(stack.pop()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            let depth = stack.pop().unwrap_or(0);
            set_hooked(|hooked| hooked.truncate(depth));
        }
        _ => {}
    }
}

/// A query that ran when the library was loaded counts as running from now on.
pub fn join(query: pg_sys::MemoryContext, plan: &pg_sys::PlannedStmt, portal: pg_sys::Portal, is_clients_own: bool) {
    let run = Run::new(query, plan, is_clients_own);
    let joined = PgMemoryContexts::For(query).leak_and_drop_on_delete(Joined { run, portal });
    STATE.joined.borrow_mut().push(joined);
}

/// No query outlives its transaction.
pub fn transaction_ended() {
    set_hooked(Vec::clear);
    leave(|_| true);
    if let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() {
        stack.clear();
    }
}
