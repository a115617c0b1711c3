//! What Postgres does around the code that runs now, besides running queries.
//!
//! An error jumps over the hooks that keep these frames. What it left behind is put right by the abort of its subtransaction, or by the
//! client's next message.

use std::cell::RefCell;
use std::ffi::c_void;

use pgrx::prelude::*;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// A command that the client sent, such as SET, DO or CALL.
    ClientsCommand,
    /// A SET that the client sent.
    ClientsSetting,
    /// A command that calls what belongs to a table or a type, such as COPY or ALTER TABLE.
    CommandOnTables,
    /// The planner, which calls IMMUTABLE functions.
    Planning,
}

/// A hook on the stack.
#[derive(Clone, Copy)]
struct Frame {
    address: usize,
    /// When the client's message came.
    message: i64,
    work: Work,
}

impl Frame {
    fn is_around(&self, here: usize) -> bool {
        // The stack grows downwards.
        self.address > here && self.message == message()
    }
}

thread_local! {
    static FRAMES: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
    /// How many frames there were at the begin of each open subtransaction.
    static AT_SUBTRANSACTION: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` as a part of this work. Where an error jumps over it, nothing needs to be dropped.
///
/// Never inlined: two marks in one frame of the stack lie in any order, and the inner one must be below.
#[inline(never)]
pub fn call_within<T>(work: Work, f: impl FnOnce() -> T) -> T {
    let mark = 0_u8;
    let frame = Frame { address: (&raw const mark).addr(), message: message(), work };
    let around = FRAMES.with_borrow_mut(|frames| {
        frames.retain(|other| other.is_around(frame.address));
        frames.push(frame);
        frames.len().saturating_sub(1)
    });
    let value = f();
    FRAMES.with_borrow_mut(|frames| frames.truncate(around));
    value
}

/// Whether what runs now is a part of this work.
pub fn is_within(work: Work) -> bool {
    let mark = 0_u8;
    let here = (&raw const mark).addr();
    FRAMES.with_borrow(|frames| frames.iter().any(|frame| frame.work == work && frame.is_around(here)))
}

fn message() -> i64 {
    // SAFETY: reads a variable of the backend.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}

pub unsafe extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    _subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _: *mut c_void,
) {
    let depth = FRAMES.with_borrow(Vec::len);
    AT_SUBTRANSACTION.with_borrow_mut(|stack| match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => stack.push(depth),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => drop(stack.pop()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            let depth = stack.pop().unwrap_or(0);
            FRAMES.with_borrow_mut(|frames| frames.truncate(depth));
        }
        _ => {}
    });
}
