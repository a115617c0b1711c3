//! Citus, which spreads tables over several nodes. A node runs a client's query over a connection that it keeps for many clients of another node;
//! what follows a client there is `SET LOCAL` (variableset.c of Citus).

use std::ffi::{CStr, CString};
use std::ptr;

use pgrx::prelude::*;
use workos_auth_core::Result;

use super::setting;
use crate::error::unexpected;

/// What the names of the connections between nodes begin with (backend_data.c of Citus).
const BETWEEN_NODES: &[u8] = b"citus_";

/// The setting that says whether `SET LOCAL` reaches other nodes, and the value with which it does.
const PROPAGATES: (&CStr, &str) = (c"citus.propagate_set_commands", "local");

/// Whether this backend is entered by another node, for whoever is a client there.
pub fn is_entered_by_node() -> bool {
    // SAFETY: a setting that each server has; Postgres owns the texts.
    let names = unsafe { [pg_sys::GetConfigOptionResetString(c"application_name".as_ptr()), pg_sys::application_name] };
    // A pooler between the nodes sets the name later.
    // SAFETY: NULL, or a C string.
    names
        .into_iter()
        .any(|name| !name.is_null() && unsafe { CStr::from_ptr(name) }.to_bytes().starts_with(BETWEEN_NODES))
}

/// Whether `SET LOCAL` in this backend reaches other nodes.
pub fn propagates_settings() -> bool {
    let (name, value) = PROPAGATES;
    setting::value(name).as_deref() == Some(value) && !is_entered_by_node()
}

/// Runs `SET LOCAL name = 'value'` as a statement of its own, which is what Citus hands on. No error that it raises has the value in its CONTEXT.
pub fn set_local(name: &CStr, value: &str) -> Result<()> {
    // Of what needs no escape anywhere.
    if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(unexpected("The value of a setting would have to be escaped."));
    }
    let statement = CString::new(format!("SET LOCAL {} = '{value}'", name.to_string_lossy()))
        .map_err(|_| unexpected("A statement has a NUL."))?;
    // SAFETY: one statement, which the parser makes a raw statement of; all of it lives in the current memory context.
    unsafe {
        let parsed = pg_sys::raw_parser(statement.as_ptr(), pg_sys::RawParseMode::RAW_PARSE_DEFAULT);
        let parsed = (*(*parsed).elements).ptr_value.cast::<pg_sys::RawStmt>();
        let mut planned = PgBox::<pg_sys::PlannedStmt>::alloc_node(pg_sys::NodeTag::T_PlannedStmt);
        planned.commandType = pg_sys::CmdType::CMD_UTILITY;
        planned.utilityStmt = (*parsed).stmt;
        pg_sys::ProcessUtility(
            planned.as_ptr(),
            statement.as_ptr(),
            false,
            pg_sys::ProcessUtilityContext::PROCESS_UTILITY_QUERY,
            ptr::null_mut(),
            ptr::null_mut(),
            pg_sys::None_Receiver,
            ptr::null_mut(),
        );
    }
    Ok(())
}
