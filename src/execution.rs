//! Which statement is being executed, and which queries are running for it: hooks on the executor keep them, the innermost first.
//!
//! Every query of the backend passes through here, so nothing here catches an error: the hooks have no destructor, and an
//! error jumps over them. What it left behind is put right by the abort of the (sub)transaction that every caught error ends in.

use std::cell::{Cell, RefCell};
use std::ffi::{c_char, c_void};
use std::ptr;

use pgrx::prelude::*;

/// A run of a query, on the stack of the hook: one FETCH of a cursor is one, and so is what is left when it is closed.
struct Run {
    /// Counts up from 1, so that no two are alike.
    number: u64,
    /// `es_query_cxt`, which is the query's as long as it lives, through all its runs.
    query: pg_sys::MemoryContext,
    outer: *const Run,
}

struct State {
    innermost: Cell<*const Run>,
    /// The number of the innermost run, or 0; beside it for the readers, which look at nothing else.
    number: Cell<u64>,
    last_number: Cell<u64>,
    /// What `innermost` was at the begin of each open subtransaction.
    at_subtransaction: RefCell<Vec<*const Run>>,
    /// How many statements the client has sent, as far as they came by here.
    statements: Cell<u64>,
    previous_utility: Cell<pg_sys::ProcessUtility_hook_type>,
    previous_run: Cell<pg_sys::ExecutorRun_hook_type>,
    previous_finish: Cell<pg_sys::ExecutorFinish_hook_type>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    innermost: Cell::new(ptr::null()),
    number: Cell::new(0),
    last_number: Cell::new(0),
    at_subtransaction: RefCell::new(Vec::new()),
    statements: Cell::new(0),
    previous_utility: Cell::new(None),
    previous_run: Cell::new(None),
    previous_finish: Cell::new(None),
};

/// The number of the innermost run; 0 outside of any, as for an expression in a DO block.
#[inline(always)]
pub fn run() -> u64 {
    STATE.number.get()
}

/// Counts the statements of the client. Postgres's own clock stands still while it works off one message, which may hold
/// several of them; what a statement runs in turn, such as the queries of a DO block, is not counted.
pub fn statement() -> u64 {
    STATE.statements.get()
}

/// The memory contexts (`es_query_cxt`) of the running queries, the innermost first.
pub fn queries() -> impl Iterator<Item = pg_sys::MemoryContext> {
    let mut next = STATE.innermost.get();
    std::iter::from_fn(move || {
        // SAFETY: NULL, or a run on the stack below us: `innermost` is set back before its hook returns or is jumped over.
        let run = unsafe { next.as_ref()? };
        next = run.outer;
        Some(run.query)
    })
}

/// Hooks into the executor. Called once, from `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs in the one thread of the backend; the callbacks are functions of this library, which is never
    // unloaded.
    unsafe {
        STATE.previous_utility.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(process_utility);
        STATE.previous_run.set(pg_sys::ExecutorRun_hook);
        pg_sys::ExecutorRun_hook = Some(executor_run);
        STATE.previous_finish.set(pg_sys::ExecutorFinish_hook);
        pg_sys::ExecutorFinish_hook = Some(executor_finish);
        pg_sys::RegisterXactCallback(Some(transaction_event), ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_event), ptr::null_mut());
    }
}

/// Runs `f` as if no parallel query were running. Postgres refuses to change settings while one is, and so would lose what was set
/// before the library was there, when a parallel query is the first to need it.
pub fn outside_parallel_mode(f: impl FnOnce()) {
    let mut levels = 0;
    // SAFETY: a counter of the transaction, which is put back before anybody else looks at it.
    unsafe {
        while pg_sys::IsInParallelMode() {
            pg_sys::ExitParallelMode();
            levels += 1;
        }
        f();
        for _ in 0..levels {
            pg_sys::EnterParallelMode();
        }
    }
}

fn set_innermost(run: *const Run) {
    STATE.innermost.set(run);
    // SAFETY: as in `queries`.
    STATE.number.set(unsafe { run.as_ref() }.map_or(0, |run| run.number));
}

/// Runs `executor` as a run of the query.
///
/// # Safety
/// `query` is one that Postgres passes to a hook: started, so that its estate is set.
unsafe fn running(query: *mut pg_sys::QueryDesc, executor: impl FnOnce()) {
    let number = STATE.last_number.get() + 1;
    STATE.last_number.set(number);
    let outer = STATE.innermost.get();
    // SAFETY: the caller's word.
    let run = Run { number, query: unsafe { (*(*query).estate).es_query_cxt }, outer };
    set_innermost(&run);
    // Workers know nothing of the queries that wait for theirs. A plan without dependencies calls Postgres's own functions alone.
    // SAFETY: the caller's word.
    if !outer.is_null() && unsafe { is_parallel_with_functions((*query).plannedstmt) } {
        crate::session::pin_for_workers();
    }
    executor();
    set_innermost(outer);
}

/// # Safety
/// `plan` is a query's.
unsafe fn is_parallel_with_functions(plan: *const pg_sys::PlannedStmt) -> bool {
    // SAFETY: the caller's word.
    unsafe { (*plan).parallelModeNeeded && !(*plan).invalItems.is_null() }
}

/// At the end, not at the begin: planning the next one is part of that. An error ends the message.
fn end_statement() {
    STATE.statements.set(STATE.statements.get() + 1);
}

/// The hook's type changed in Postgres 14, which added an argument.
macro_rules! process_utility {
    ($($extra:ident: $type:ty)?) => {
        unsafe extern "C-unwind" fn process_utility(
            statement: *mut pg_sys::PlannedStmt,
            text: *const c_char,
            $($extra: $type,)?
            context: pg_sys::ProcessUtilityContext::Type,
            parameters: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        ) {
            unsafe extern "C-unwind" {
                fn standard_ProcessUtility(
                    statement: *mut pg_sys::PlannedStmt,
                    text: *const c_char,
                    $($extra: $type,)?
                    context: pg_sys::ProcessUtilityContext::Type,
                    parameters: pg_sys::ParamListInfo,
                    environment: *mut pg_sys::QueryEnvironment,
                    destination: *mut pg_sys::DestReceiver,
                    completion: *mut pg_sys::QueryCompletion,
                );
            }
            // SAFETY: the call goes to whom it would have gone without us.
            unsafe {
                match STATE.previous_utility.get() {
                    Some(hook) => hook(statement, text, $($extra,)? context, parameters, environment, destination, completion),
                    None => standard_ProcessUtility(
                        statement, text, $($extra,)? context, parameters, environment, destination, completion,
                    ),
                }
            }
            if context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL {
                end_statement();
            }
        }
    };
}

#[cfg(not(feature = "pg13"))]
process_utility!(is_read_only: bool);
#[cfg(feature = "pg13")]
process_utility!();

/// The hook's type changed in Postgres 18, which dropped the last argument.
macro_rules! executor_run {
    ($($extra:ident: $type:ty)?) => {
        unsafe extern "C-unwind" fn executor_run(
            query: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            $($extra: $type,)?
        ) {
            unsafe extern "C-unwind" {
                /// Postgres's own, without pgrx's guard, which would catch every error of every query.
                fn standard_ExecutorRun(
                    query: *mut pg_sys::QueryDesc,
                    direction: pg_sys::ScanDirection::Type,
                    count: u64,
                    $($extra: $type,)?
                );
            }
            // SAFETY: Postgres passes a started query; the call goes to whom it would have gone without us.
            unsafe {
                running(query, || match STATE.previous_run.get() {
                    Some(hook) => hook(query, direction, count, $($extra)?),
                    None => standard_ExecutorRun(query, direction, count, $($extra)?),
                });
            }
        }
    };
}

#[cfg(not(feature = "pg18"))]
executor_run!(execute_once: bool);
#[cfg(feature = "pg18")]
executor_run!();

/// What a query leaves for its end runs there: data-modifying WITH queries that nobody reads, and AFTER triggers.
unsafe extern "C-unwind" fn executor_finish(query: *mut pg_sys::QueryDesc) {
    unsafe extern "C-unwind" {
        fn standard_ExecutorFinish(query: *mut pg_sys::QueryDesc);
    }
    // SAFETY: as above.
    unsafe {
        running(query, || match STATE.previous_finish.get() {
            Some(hook) => hook(query),
            None => standard_ExecutorFinish(query),
        });
    }
    // A query that the client sent has the client's text, and not a copy of it.
    // SAFETY: a global of the backend, and a query that is there until ExecutorEnd.
    if STATE.innermost.get().is_null() && unsafe { (*query).sourceText == pg_sys::debug_query_string } {
        end_statement();
    }
}

unsafe extern "C-unwind" fn transaction_event(event: pg_sys::XactEvent::Type, _: *mut c_void) {
    use pg_sys::XactEvent::*;
    if matches!(event, XACT_EVENT_ABORT | XACT_EVENT_PARALLEL_ABORT) {
        set_innermost(ptr::null());
        if let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() {
            stack.clear();
        }
    }
    if matches!(
        event,
        XACT_EVENT_COMMIT
            | XACT_EVENT_PARALLEL_COMMIT
            | XACT_EVENT_ABORT
            | XACT_EVENT_PARALLEL_ABORT
            | XACT_EVENT_PREPARE
    ) {
        crate::session::transaction_ended();
    }
}

unsafe extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    _subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _: *mut c_void,
) {
    let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() else { return };
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => stack.push(STATE.innermost.get()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => drop(stack.pop()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => set_innermost(stack.pop().unwrap_or(ptr::null())),
        _ => {}
    }
}
