//! A restore that brings rows before those that they reference.
//!
//! `pg_dump` does not dump the foreign keys of an extension's tables: `CREATE EXTENSION` makes them, before any row is there. `pg_restore -j`
//! copies these tables in any order, so a foreign key would refuse what a later `COPY` makes right. While a restore copies rows into
//! one of our tables, its foreign keys and plain triggers do not fire, as in a session whose `session_replication_role` is `replica`.

use std::cell::Cell;
use std::ffi::CStr;

use pgrx::prelude::*;

use crate::postgres::setting::{self, Lifetime};

const ROLE: &CStr = c"session_replication_role";

thread_local! {
    /// Whether the `COPY` that runs was taken for a restore's.
    static COPYING: Cell<bool> = const { Cell::new(false) };
}

/// Before every statement that inserts into a table of ours.
pub fn statement_begins() {
    // SAFETY: reads a global of the backend.
    let is_origin = unsafe { pg_sys::SessionReplicationRole == pg_sys::SESSION_REPLICATION_ROLE_ORIGIN.cast_signed() };
    let passes = is_origin && is_restore();
    COPYING.set(passes);
    if passes {
        setting::set_as_superuser(ROLE, c"replica", Lifetime::Transaction);
    }
}

/// After it. An error takes the setting back with its transaction.
pub fn statement_ends() {
    if COPYING.replace(false) {
        setting::set_as_superuser(ROLE, c"origin", Lifetime::Transaction);
    }
}

/// Whether the client's statement is a restore's: a superuser's `COPY` in a session whose `row_security` is off, as it is in every dump and in the sessions of `pg_restore`.
pub fn is_restore() -> bool {
    // The client's role: a trigger may be SECURITY DEFINER.
    // SAFETY: reads the backend's globals, on its only thread.
    let (is_superuser, query) =
        unsafe { (pg_sys::superuser_arg(pg_sys::GetOuterUserId()), pg_sys::debug_query_string) };
    if query.is_null() || !is_superuser {
        return false;
    }
    // SAFETY: Postgres keeps a C string there as long as the client's message is handled.
    let query = unsafe { CStr::from_ptr(query) }.to_bytes();
    query.trim_ascii_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"copy")) && row_security_is_off()
}

fn row_security_is_off() -> bool {
    // SAFETY: the name of a setting of Postgres; the value is a C string of its own.
    let value = unsafe { pg_sys::GetConfigOption(c"row_security".as_ptr(), true, false) };
    // SAFETY: as above, and not NULL.
    !value.is_null() && unsafe { CStr::from_ptr(value) } == c"off"
}
