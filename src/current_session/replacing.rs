//! Who may make another session the current one.
//!
//! A client's statement may run code of anybody who owns a table, a view, a function or a type. If such code made its owner's session the
//! current one, the client's next statement would be the work of somebody else.

use std::ptr;

use pgrx::prelude::*;

use crate::postgres::frames::{Work, is_within};
use crate::postgres::pinning::pinned_to;
use crate::postgres::runs::{self, Run, TokenHash};
use crate::postgres::statement;

/// What `session_changed` says where code of others sets another session.
pub const SIGNED_IN_BY_OTHERS: &str = "A session is set by a statement of the client's own. A trigger sets none, nor does a view or a policy, nor a function below a query \
     that writes rows, names a table or has read another session, nor what a command on tables, the planner or the end of a transaction calls.";

/// Whether the code that runs now may make a session the current one, by a call of this function if it is one. What is current may be set again.
///
/// A query that names tables may call it itself, so that its author looks the token up in one; unless a view or a policy is a part of it.
pub fn may_set(identity: TokenHash, is_current: bool, function: Option<pg_sys::Oid>) -> bool {
    let calls_itself =
        |run: &Run| function.is_some_and(|function| run.parts.calls(function)) && !run.parts.has_parts_of_others();
    let forbids = |(at, run): (usize, &Run)| {
        run.parts.writes
            || run.fills_held_cursor
            || !is_current && run.parts.names_tables && !(at == 0 && calls_itself(run))
            || pinned_to(run).is_some_and(|pinned| pinned != identity)
    };
    // SAFETY: reads a variable of the backend; it looks at no argument.
    let depth = unsafe { pg_sys::pg_trigger_depth(ptr::null_mut()) };
    depth.value() == 0
        && !is_within(Work::Planning)
        && !is_within(Work::CommandOnTables)
        && is_for_the_client()
        && !runs::runs().enumerate().any(forbids)
}

/// Whether what runs is a SET that the client has sent, and nothing that a function or a block runs.
pub fn is_sent_by_client() -> bool {
    is_within(Work::ClientsSetting)
}

/// Whether a statement of the client's runs. At a bind, for which the function of a type may be called, none does, nor at the end of a
/// transaction. Where there is no client, as in a background worker, everything is for whoever began it. A hook has a session of its own.
fn is_for_the_client() -> bool {
    // SAFETY: a global of the backend.
    let is_without_client = unsafe { pg_sys::MyProcPort.is_null() };
    is_without_client
        || runs::are_hidden()
        || is_within(Work::ClientsCommand)
        || statement::is_loading()
        || runs::runs().any(|run| run.is_clients_own)
}
