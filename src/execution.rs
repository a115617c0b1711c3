//! Which query is running: a hook on the executor keeps the innermost one.
//!
//! Every query of the backend passes through here, so nothing here catches an error: the hook has no destructor, and an
//! error jumps over it. What it left behind is put right by the abort of the (sub)transaction that every caught error ends in.

use std::cell::{Cell, RefCell};
use std::ffi::c_void;
use std::ptr;

use pgrx::prelude::*;

struct State {
    /// `es_query_cxt` of the innermost running query, or NULL.
    current: Cell<pg_sys::MemoryContext>,
    /// What `current` was at the begin of each open subtransaction.
    at_subtransaction: RefCell<Vec<pg_sys::MemoryContext>>,
    previous_hook: Cell<pg_sys::ExecutorRun_hook_type>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    current: Cell::new(ptr::null_mut()),
    at_subtransaction: RefCell::new(Vec::new()),
    previous_hook: Cell::new(None),
};

/// The memory context (`es_query_cxt`) of the innermost running query; NULL outside of any.
pub fn current() -> pg_sys::MemoryContext {
    STATE.current.get()
}

/// Hooks into the executor. Called once, from `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs in the one thread of the backend; the callbacks are functions of this library, which is never
    // unloaded.
    unsafe {
        STATE.previous_hook.set(pg_sys::ExecutorRun_hook);
        pg_sys::ExecutorRun_hook = Some(executor_run);
        pg_sys::RegisterXactCallback(Some(transaction_event), ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_event), ptr::null_mut());
    }
}

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
            let outer = STATE.current.get();
            // SAFETY: Postgres passes a started query, whose estate is set; the call goes to whom it would have gone without us.
            unsafe {
                STATE.current.set((*(*query).estate).es_query_cxt);
                match STATE.previous_hook.get() {
                    Some(hook) => hook(query, direction, count, $($extra)?),
                    None => standard_ExecutorRun(query, direction, count, $($extra)?),
                }
            }
            STATE.current.set(outer);
        }
    };
}

#[cfg(not(feature = "pg18"))]
executor_run!(execute_once: bool);
#[cfg(feature = "pg18")]
executor_run!();

unsafe extern "C-unwind" fn transaction_event(event: pg_sys::XactEvent::Type, _: *mut c_void) {
    if event == pg_sys::XactEvent::XACT_EVENT_ABORT {
        STATE.current.set(ptr::null_mut());
        if let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() {
            stack.clear();
        }
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
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => stack.push(STATE.current.get()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => drop(stack.pop()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => STATE.current.set(stack.pop().unwrap_or(ptr::null_mut())),
        _ => {}
    }
}
