//! Somebody's trigger on `auth.users` that copies `new.email` into a column that is NOT NULL. It works until the first person comes whose
//! address another account holds.

use std::panic::AssertUnwindSafe;

use pgrx::pg_sys::panic::CaughtError;
use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use super::query;
use crate::error::sqlstate;

/// Runs the INSERT of a user without an address; where it fails on a NULL, says which trigger put it where.
///
/// # Errors
/// `sign_up_trigger_failed`. Nothing is undone for it: it ends the statement.
pub fn explained<T>(insert: impl FnOnce() -> Result<T>) -> Result<T> {
    // Before it fails: afterwards no catalog can be looked at.
    let triggers = triggers()?;
    if triggers.is_empty() {
        return insert();
    }
    sqlstate::listening(|last| {
        let outcome =
            PgTryBuilder::new(AssertUnwindSafe(|| Ok(insert()))).catch_others(|caught| Err(Box::new(caught))).execute();
        let caught = match outcome {
            Ok(result) => return result,
            Err(caught) => *caught,
        };
        let is_null = matches!(&caught, CaughtError::PostgresError(report) | CaughtError::ErrorReport(report)
            if report.sql_error_code() == PgSqlErrorCode::ERRCODE_NOT_NULL_VIOLATION);
        match last.column().filter(|_| is_null) {
            Some(column) => Err(failed(&triggers, &last.context(), &column)),
            None => caught.rethrow(),
        }
    })
}

/// A trigger, by its own name and its function's.
struct Trigger {
    name: String,
    function: String,
}

/// Those of others that fire for a new user.
fn triggers() -> Result<Vec<Trigger>> {
    query::rows(
        "SELECT t.tgname::pg_catalog.text, p.proname::pg_catalog.text
         FROM pg_catalog.pg_trigger AS t JOIN pg_catalog.pg_proc AS p ON p.oid OPERATOR(pg_catalog.=) t.tgfoid
             JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) t.tgrelid
         WHERE c.relname OPERATOR(pg_catalog.=) 'users'
             AND c.relnamespace OPERATOR(pg_catalog.=) (SELECT n.oid FROM pg_catalog.pg_namespace AS n WHERE n.nspname OPERATOR(pg_catalog.=) 'auth')
             AND p.pronamespace OPERATOR(pg_catalog.<>) c.relnamespace AND NOT t.tgisinternal
             AND (t.tgtype OPERATOR(pg_catalog.&) 4::pg_catalog.int2) OPERATOR(pg_catalog.<>) 0
         ORDER BY t.tgname",
        &[],
        |row| Ok(Trigger { name: row.get(1)?, function: row.get(2)? }),
    )
}

fn failed(triggers: &[Trigger], context: &str, column: &str) -> Error {
    // The names that stand in the error's CONTEXT, or where it names none, all.
    let named = |trigger: &&Trigger| context.contains(&format!("{}(", trigger.function));
    let named: Vec<_> = triggers.iter().filter(named).map(|trigger| trigger.name.as_str()).collect();
    let which = match named.is_empty() {
        true => triggers.iter().map(|trigger| trigger.name.as_str()).collect::<Vec<_>>().join(", "),
        false => named.join(", "),
    };
    Error::with_detail(
        ErrorCode::SignUpTriggerFailed,
        format!(
            "The trigger {which} wrote NULL into {column}. This person has no auth.users.email: another account holds \
             the address, or workos_auth.trust_email_domains is off."
        ),
    )
}
