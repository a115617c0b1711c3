//! `postgresql.auto.conf`.

use std::ffi::CString;
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use workos_auth_core::{Error, Result};

use crate::error::{sqlstate, unexpected};
use crate::postgres::clock;

/// After that, the next statement may have the old value yet.
const TOLD_WITHIN: Duration = Duration::from_secs(2);

/// What `ALTER SYSTEM SET` does, which Postgres lets no function run since a rollback does not undo it, and then a reload. Postgres itself
/// asks for the caller's right, and whether `allow_alter_system` is on.
///
/// # Errors
/// Another than a setting's name.
pub fn alter_system(setting: &str, value: &str) -> Result<()> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if setting.is_empty() || !setting.chars().all(is_name) {
        return Err(Error::invalid("setting", "it is not the name of a setting."));
    }
    let statement = CString::new(format!("ALTER SYSTEM SET {setting} = {}", quoted(value)))
        .map_err(|_| Error::invalid("value", "it has a zero byte."))?;
    sqlstate::listening(|_| {
        // SAFETY: parses one statement of known form, in the current memory context, and runs it as utility.c does. Whatever else the
        // parser should have made of it is refused by its tag.
        let is_set = unsafe {
            let list = pg_sys::pg_parse_query(statement.as_ptr());
            let raw: *mut pg_sys::RawStmt = match list.as_ref() {
                Some(list) if list.length == 1 => (*list.elements).ptr_value.cast(),
                _ => std::ptr::null_mut(),
            };
            let is_set = !raw.is_null() && (*(*raw).stmt).type_ == pg_sys::NodeTag::T_AlterSystemStmt;
            if is_set {
                pg_sys::AlterSystemSetConfigFile((*raw).stmt.cast());
            }
            is_set
        };
        if !is_set {
            return Err(Error::invalid("setting", "it is not the name of a setting."));
        }
        Spi::run("SELECT pg_catalog.pg_reload_conf()").map_err(|error| unexpected(&format!("SPI failed: {error}")))?;
        wait_until_told();
        Ok(())
    })
}

/// The server tells each backend to read the file again, this one too: then its next statement has the value.
fn wait_until_told() {
    let deadline = Instant::now() + TOLD_WITHIN;
    // SAFETY: a signal handler of this thread sets it.
    while unsafe { (&raw const pg_sys::ConfigReloadPending).read_volatile() } == 0 && Instant::now() < deadline {
        clock::sleep(Duration::from_millis(10));
    }
}

/// A value as a literal, whatever `standard_conforming_strings` says.
fn quoted(value: &str) -> String {
    format!("E'{}'", value.replace('\\', "\\\\").replace('\'', "''"))
}
