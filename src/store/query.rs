//! One way to run a statement: by SPI, with a plan that is prepared once per backend.
//!
//! The statement itself has the rights of `workos_auth_owner`, or of whoever calls. What others have attached to the tables that it writes to
//! runs as `workos_auth_nobody`, who has no rights: triggers, and the functions of defaults, constraints and indexes. So does what a foreign
//! key with ON DELETE CASCADE or SET NULL sets off in a table of others. Nothing of it is put off to the end of the transaction
//! ([`attached`](super::attached)).

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use pgrx::datum::DatumWithOid;
use pgrx::prelude::*;
use pgrx::spi::{OwnedPreparedStatement, PreparedStatement, SpiError, SpiHeapTupleData, SpiTupleTable};
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::{Result, json};

use super::attached::{Write, is_watched, writes};
use super::put_off::{PutOff, settle_constraints};
use super::scan::unreadable;
use super::spi::failed;
use crate::error::{sqlstate, unexpected};
use crate::postgres::others_code::with_others_as;
use crate::postgres::roles::nobody;
use crate::postgres::uuid::from_postgres;

thread_local! {
    /// Plans by the address of their text. Postgres replans them by itself when a table changes.
    static PLANS: RefCell<HashMap<(*const u8, usize), Rc<Plan>>> = RefCell::new(HashMap::new());
    /// How many statements were watched.
    static WATCHED: Cell<u64> = const { Cell::new(0) };
}

/// Counts the statements that may have run a trigger of others: where it stays the same, none has run.
pub fn watched() -> u64 {
    WATCHED.get()
}

struct Plan {
    statement: OwnedPreparedStatement,
    writes: Vec<Write>,
}

/// One row of an answer; columns are counted from 1.
pub struct QueryRow<'conn>(SpiHeapTupleData<'conn>);

impl QueryRow<'_> {
    /// A column that may be NULL.
    pub fn nullable<T: IntoDatum + FromDatum>(&self, column: usize) -> Result<Option<T>> {
        self.0.get(column).map_err(failed)
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
    run(sql, args, |table| table.map(|tuple| read(&QueryRow(tuple))).collect())
}

/// Asks Postgres's own catalogs, which a standby answers too. Nothing of others runs.
pub fn catalog_rows<T>(
    sql: &'static str,
    args: &[DatumWithOid],
    mut read: impl FnMut(&QueryRow) -> Result<T>,
) -> Result<Vec<T>> {
    let nobody = nobody()?;
    sqlstate::listening(|_| {
        Spi::connect(|client| {
            let table = with_others_as(nobody, sql, || client.select(sql, None, args).map_err(failed))?;
            table.map(|tuple| read(&QueryRow(tuple))).collect()
        })
    })
}

/// Runs a statement and reads its first row, if it has one.
pub fn row<T>(sql: &'static str, args: &[DatumWithOid], read: impl FnMut(&QueryRow) -> Result<T>) -> Result<Option<T>> {
    Ok(rows(sql, args, read)?.into_iter().next())
}

/// Runs a statement and says how many rows it wrote.
///
/// Where a trigger of others may fire, the constraints of the transaction that are deferred are checked first, as whoever calls, and those
/// that are initially deferred are deferred again afterwards.
pub fn execute(sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    // SAFETY: SPI has just run the statement and set its global.
    run(sql, args, |_| Ok(unsafe { pg_sys::SPI_processed }))
}

fn run<T>(sql: &'static str, args: &[DatumWithOid], read: impl FnOnce(SpiTupleTable) -> Result<T>) -> Result<T> {
    let nobody = nobody()?;
    sqlstate::listening(|_| {
        Spi::connect_mut(|client| {
            let plan = plan(sql, args, |types| client.prepare_mut(sql, types))?;
            let put_off = match is_watched(&plan.writes) {
                true => {
                    WATCHED.set(watched() + 1);
                    settle_constraints()?
                }
                false => PutOff::nothing(),
            };
            let table = with_others_as(nobody, sql, || client.update(&plan.statement, None, args).map_err(failed))?;
            let answer = read(table)?;
            put_off.again()?;
            Ok(answer)
        })
    })
}

fn plan<'conn>(
    sql: &'static str,
    args: &[DatumWithOid],
    prepare: impl FnOnce(&[PgOid]) -> std::result::Result<PreparedStatement<'conn>, SpiError>,
) -> Result<Rc<Plan>> {
    let key = (sql.as_ptr(), sql.len());
    // The borrow ends before Postgres runs anything that may come back here, such as a trigger.
    if let Some(plan) = PLANS.with_borrow(|plans| plans.get(&key).cloned()) {
        return Ok(plan);
    }
    let types: Vec<PgOid> = args.iter().map(|arg| PgOid::from(arg.oid())).collect();
    let plan = Rc::new(Plan { statement: prepare(&types).map_err(failed)?.keep(), writes: writes(sql) });
    PLANS.with_borrow_mut(|plans| plans.insert(key, Rc::clone(&plan)));
    Ok(plan)
}
