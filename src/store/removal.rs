//! Removes rows that tables of others may reference.
//!
//! A foreign key with ON DELETE CASCADE or SET NULL fires the AFTER triggers of the referencing table at the end of the statement that
//! removed the referenced row, as the user of that statement, and a deferred trigger when the transaction commits, as whoever commits. Its
//! BEFORE triggers run as the table's owner. So all that a removal sets off runs as `workos_auth_nobody`, who has no rights, and no
//! trigger is put off.

use std::ffi::CStr;

use pgrx::datum::DatumWithOid;
use workos_auth_core::Result;

use super::attached::{PutOff, is_removal_watched, is_watched, settle_constraints, writes};
use super::query;

/// Runs a statement that removes rows of a table, and says how many rows it wrote.
///
/// Where a trigger of others may fire, the constraints of the transaction that are deferred are checked first, as whoever calls, and those
/// that are initially deferred are deferred again afterwards.
pub fn remove(table: &CStr, sql: &'static str, args: &[DatumWithOid]) -> Result<u64> {
    // It may write an entry of the audit log, too.
    let is_watched = is_removal_watched(table) || writes(sql).iter().any(is_watched);
    let put_off = if is_watched { settle_constraints()? } else { PutOff::nothing() };
    let removed = query::execute_settled(sql, args)?;
    put_off.again()?;
    Ok(removed)
}
