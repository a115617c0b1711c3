//! One way to run a statement: by SPI, with a plan that is prepared once per backend.
//!
//! The statement itself has the rights of `workos_auth_owner`, or of whoever calls. What others have attached to the tables that it writes to
//! runs as `workos_auth_nobody`, who has no rights: triggers, and the functions of defaults, constraints and indexes.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, PreparedStatement, SpiError, SpiHeapTupleData, SpiTupleTable};
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::{Error, ErrorCode, Result, json};

use super::scan::unreadable;
use crate::error::{sqlstate, unexpected};
use crate::postgres::others_code::{Others, with_others_as};
use crate::postgres::roles::bypasses_rls;
use crate::postgres::uuid::from_postgres;

thread_local! {
    /// Plans by the address of their text. Postgres replans them by itself when a table changes.
    static PLANS: RefCell<HashMap<(*const u8, usize), Rc<OwnedPreparedStatement>>> = RefCell::new(HashMap::new());
}

/// One row of an answer; columns are counted from 1.
pub struct QueryRow<'conn>(SpiHeapTupleData<'conn>);

impl QueryRow<'_> {
    /// A column that may be NULL.
    pub fn nullable<T: IntoDatum + FromDatum>(&self, column: usize) -> Result<Option<T>> {
        self.0.get(column).map_err(spi)
    }

    /// A column that is never NULL.
    pub fn get<T: IntoDatum + FromDatum>(&self, column: usize) -> Result<T> {
        self.nullable(column)?.ok_or_else(|| unexpected("A column that is never NULL was NULL."))
    }

    /// A `jsonb` of a person's that is never NULL, selected as text; `name` is the column's.
    ///
    /// # Errors
    /// `user_metadata_unreadable`.
    pub fn json(&self, column: usize, name: &str) -> Result<Value> {
        json::parse(&self.get::<String>(column)?).map_err(|_| unreadable(name))
    }

    /// A uuid that is never NULL.
    pub fn uuid(&self, column: usize) -> Result<Uuid> {
        self.get::<pgrx::Uuid>(column).map(from_postgres)
    }
}

/// Runs a statement and reads its rows.
pub fn rows<T>(
    sql: &'static str,
    args: &[DatumWithOid],
    mut read: impl FnMut(&QueryRow) -> Result<T>,
) -> Result<Vec<T>> {
    run(sql, args, false, |table| table.map(|tuple| read(&QueryRow(tuple))).collect())
}

/// Runs a statement and reads its first row, if it has one.
pub fn row<T>(sql: &'static str, args: &[DatumWithOid], read: impl FnMut(&QueryRow) -> Result<T>) -> Result<Option<T>> {
    Ok(rows(sql, args, read)?.into_iter().next())
}

/// Runs a statement and says how many rows it wrote.
pub fn execute(sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    run(sql, args, false, processed)
}

/// The same, and what it sets off runs within a security-restricted operation.
pub fn execute_restricted(sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    run(sql, args, true, processed)
}

/// Runs a statement that reads and writes no rows, such as a GRANT.
pub fn utility(statement: &str) -> Result<()> {
    sqlstate::listening(|_| Spi::run(statement).map_err(spi))
}

/// Whether a question is answered by true: one that was put together, such as one about a table of others, in one column of one row. What
/// this transaction has written is seen.
pub fn holds(question: &str) -> Result<bool> {
    sqlstate::listening(|_| {
        Spi::connect_mut(|client| {
            let answer = client.update(question, Some(1), &[]).map_err(spi)?.first().get_one::<bool>();
            Ok(answer.map_err(spi)?.unwrap_or(false))
        })
    })
}

fn processed(_: SpiTupleTable) -> Result<u64> {
    // SAFETY: SPI has just run the statement and set its global.
    Ok(unsafe { pg_sys::SPI_processed })
}

fn run<T>(
    sql: &'static str,
    args: &[DatumWithOid],
    is_restricted: bool,
    read: impl FnOnce(SpiTupleTable) -> Result<T>,
) -> Result<T> {
    let others = Others { run_as: nobody()?, is_restricted };
    sqlstate::listening(|_| {
        Spi::connect_mut(|client| {
            let plan = plan(sql, args, |types| client.prepare_mut(sql, types))?;
            let table = with_others_as(others, sql, || client.update(&*plan, None, args).map_err(spi))?;
            read(table)
        })
    })
}

fn nobody() -> Result<pg_sys::Oid> {
    // SAFETY: looks a name up; missing_ok.
    let role = unsafe { pg_sys::get_role_oid(c"workos_auth_nobody".as_ptr(), true) };
    let unusable = |detail: &str| Err(Error::with_detail(ErrorCode::RoleUnusable, detail));
    match role {
        pg_sys::InvalidOid => unusable("Triggers of others run as workos_auth_nobody, which is not there."),
        role if bypasses_rls(role) => {
            unusable("Triggers of others run as workos_auth_nobody, which is a superuser or has BYPASSRLS.")
        }
        role => Ok(role),
    }
}

fn plan<'conn>(
    sql: &'static str,
    args: &[DatumWithOid],
    prepare: impl FnOnce(&[PgOid]) -> std::result::Result<PreparedStatement<'conn>, SpiError>,
) -> Result<Rc<OwnedPreparedStatement>> {
    let key = (sql.as_ptr(), sql.len());
    // The borrow ends before Postgres runs anything that may come back here, such as a trigger.
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).cloned()) {
        return Ok(plan);
    }
    let types: Vec<PgOid> = args.iter().map(|arg| PgOid::from(arg.oid())).collect();
    let plan = Rc::new(prepare(&types).map_err(spi)?.keep());
    PLANS.with_borrow_mut(|plans| plans.insert(key, Rc::clone(&plan)));
    Ok(plan)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn spi(error: SpiError) -> Error {
    unexpected(&format!("SPI failed: {error}"))
}
