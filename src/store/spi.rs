//! Statements that are put together, and those that read and write no rows.

use pgrx::prelude::*;
use pgrx::spi::SpiError;
use workos_auth_core::{Error, Result};

use crate::error::{sqlstate, unexpected};
use crate::postgres::others_code::with_others_as;
use crate::postgres::roles::nobody;

/// Runs a statement that reads and writes no rows, such as a GRANT.
pub fn utility(statement: &str) -> Result<()> {
    sqlstate::listening(|_| Spi::run(statement).map_err(failed))
}

/// Whether a question is answered by true: one that was put together, such as one about a table of others, in one column of one row. What
/// this transaction has written is seen.
///
/// Rights are looked at when it starts. It is planned and run as `workos_auth_nobody`: the planner calls the IMMUTABLE functions of a table's
/// indexes and constraints, and of those of its partitions, which have owners of their own.
pub fn holds(question: &str) -> Result<bool> {
    let nobody = nobody()?;
    sqlstate::listening(|_| {
        Spi::connect_mut(|client| {
            let answer = with_others_as(nobody, question, || client.update(question, Some(1), &[]).map_err(failed))?;
            let answer = answer.first().get_one::<bool>();
            Ok(answer.map_err(failed)?.unwrap_or(false))
        })
    })
}

#[allow(clippy::needless_pass_by_value, reason = "the shape of map_err")]
pub fn failed(error: SpiError) -> Error {
    unexpected(&format!("SPI failed: {error}"))
}
