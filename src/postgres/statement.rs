//! Which statement of the client is worked off.

use std::cell::Cell;

use pgrx::prelude::*;

/// Which statement of which transaction this is. A claim verified in one statement is verified again in the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    started: i64,
    number: u64,
    transaction: u32,
}

impl Statement {
    /// The one that is worked off.
    pub fn current() -> Self {
        // SAFETY: reads of the backend's own state; MyProc is set in every backend.
        unsafe {
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            let transaction = (*pg_sys::MyProc).vxid.lxid;
            #[cfg(not(any(feature = "pg17", feature = "pg18")))]
            let transaction = (*pg_sys::MyProc).lxid;
            Self {
                started: pg_sys::GetCurrentStatementStartTimestamp(),
                number: client_statement_number(),
                transaction,
            }
        }
    }
}

struct State {
    /// How many statements the client has sent, as far as they came by here.
    count: Cell<u64>,
    /// Whether the statement that the library was loaded in has not been counted.
    is_loading: Cell<bool>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State { count: Cell::new(0), is_loading: Cell::new(false) };

/// Counts the statements of the client. Postgres's own clock stands still while it works off one message, which may hold
/// several of them; what a statement runs in turn, such as the queries of a DO block, is not counted.
fn client_statement_number() -> u64 {
    STATE.count.get()
}

/// Counts the statement before this one where the library was loaded in it, since no hook may have seen it end.
pub fn begin_statement() {
    if STATE.is_loading.replace(false) {
        end_statement();
    }
}

/// A statement is counted when it ends: the next one's planning belongs to the next one. An error ends the message.
pub fn end_statement() {
    STATE.count.set(STATE.count.get() + 1);
}

/// Whether the library was loaded in this statement: no hook has seen it begin.
pub fn is_loading() -> bool {
    STATE.is_loading.get()
}

/// The library is loaded in a statement.
pub fn load_in_statement() {
    STATE.is_loading.set(true);
}
