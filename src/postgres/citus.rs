//! Citus, which spreads tables over several nodes. A node runs a client's query over a connection that it keeps for many clients of another node;
//! what follows a client there is `SET LOCAL` (variableset.c of Citus).

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ptr;

use pgrx::prelude::*;
use workos_auth_core::Result;

use super::setting::{self, Lifetime};
use crate::error::unexpected;

/// What the names of the connections between nodes begin with (backend_data.c of Citus).
const BETWEEN_NODES: &[u8] = b"citus_";

/// The setting that says whether `SET LOCAL` reaches other nodes, and the value with which it does.
const PROPAGATES: (&CStr, &str) = (c"citus.propagate_set_commands", "local");

/// The name of each of its plan nodes begins so (citus_custom_scan.c).
const PLAN_NODES: &[u8] = b"Citus";

struct State {
    is_loaded: Cell<Option<bool>>,
    is_setting: Cell<bool>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State { is_loaded: Cell::new(None), is_setting: Cell::new(false) };

/// Whether Citus is loaded, which is when the server starts. A setting of its name that anybody has made up is not declared.
fn is_loaded() -> bool {
    STATE.is_loaded.get().unwrap_or_else(|| {
        // SAFETY: 0 for a name that is not there.
        let flags = unsafe { pg_sys::GetConfigOptionFlags(PROPAGATES.0.as_ptr(), true) };
        let is_loaded =
            setting::value(PROPAGATES.0).is_some() && flags & pg_sys::GUC_CUSTOM_PLACEHOLDER.cast_signed() == 0;
        STATE.is_loaded.set(Some(is_loaded));
        is_loaded
    })
}

/// Parallel workers take on what their leader has.
fn is_parallel_worker() -> bool {
    // SAFETY: globals of the backend.
    unsafe { pg_sys::ParallelWorkerNumber >= 0 }
}

/// Whether this backend is entered by another node, for whoever is a client there.
pub fn is_entered_by_node() -> bool {
    if !is_loaded() || is_parallel_worker() {
        return false;
    }
    // SAFETY: a setting that each server has; Postgres owns the texts.
    let names = unsafe { [pg_sys::GetConfigOptionResetString(c"application_name".as_ptr()), pg_sys::application_name] };
    // A pooler between the nodes sets the name later.
    // SAFETY: NULL, or a C string.
    names
        .into_iter()
        .any(|name| !name.is_null() && unsafe { CStr::from_ptr(name) }.to_bytes().starts_with(BETWEEN_NODES))
}

/// Whether this is a backend of a client's on a node.
pub fn is_entered_by_client() -> bool {
    is_loaded() && !is_parallel_worker() && !is_entered_by_node()
}

/// Whether `SET LOCAL` in this backend reaches other nodes.
pub fn propagates_settings() -> bool {
    let (name, value) = PROPAGATES;
    is_entered_by_client() && setting::value(name).as_deref() == Some(value)
}

/// Whether Citus would hand a statement on that is not the client's own: the whole text that a function runs, whatever else is in it.
///
/// # Safety
/// `command` is the node of one.
pub unsafe fn hands_on_text_of_others(
    command: *const pg_sys::Node,
    context: pg_sys::ProcessUtilityContext::Type,
) -> bool {
    // SAFETY: the caller's word; each node begins with its tag.
    context != pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL
        && unsafe { (*command).type_ } == pg_sys::NodeTag::T_VariableSetStmt
        && !STATE.is_setting.get()
        && propagates_settings()
}

/// Runs `f`, in which Citus hands nothing on.
pub fn handing_nothing_on(f: impl FnOnce()) {
    // SAFETY: a nest level that ends here, or with the (sub)transaction of an error.
    unsafe {
        let level = pg_sys::NewGUCNestLevel();
        setting::set(PROPAGATES.0, c"none", Lifetime::NestLevel);
        f();
        pg_sys::AtEOXact_GUC(true, level);
    }
}

/// Whether other nodes run a part of a plan.
pub fn is_spread(plan: &pg_sys::PlannedStmt) -> bool {
    is_loaded() && {
        // SAFETY: the trees of a plan.
        unsafe { has_node(plan.planTree) || cells(plan.subplans).any(|cell| has_node(cell.ptr_value.cast())) }
    }
}

/// # Safety
/// `plan` is NULL or the root of a tree.
unsafe fn has_node(plan: *const pg_sys::Plan) -> bool {
    use pg_sys::NodeTag::*;
    // SAFETY: the caller's word; each node begins with its tag, and what follows is of that kind.
    unsafe {
        let Some(node) = plan.as_ref() else { return false };
        let below = match node.type_ {
            T_CustomScan => {
                let scan = &*plan.cast::<pg_sys::CustomScan>();
                if CStr::from_ptr((*scan.methods).CustomName).to_bytes().starts_with(PLAN_NODES) {
                    return true;
                }
                scan.custom_plans
            }
            T_Append => (*plan.cast::<pg_sys::Append>()).appendplans,
            T_MergeAppend => (*plan.cast::<pg_sys::MergeAppend>()).mergeplans,
            T_SubqueryScan if has_node((*plan.cast::<pg_sys::SubqueryScan>()).subplan) => return true,
            _ => ptr::null_mut(),
        };
        has_node(node.lefttree) || has_node(node.righttree) || cells(below).any(|cell| has_node(cell.ptr_value.cast()))
    }
}

/// # Safety
/// NIL, or a list of Postgres's.
unsafe fn cells<'a>(list: *const pg_sys::List) -> impl Iterator<Item = &'a pg_sys::ListCell> {
    // SAFETY: the caller's word.
    unsafe {
        list.as_ref()
            .map_or(&[][..], |list| {
                std::slice::from_raw_parts(list.elements, usize::try_from(list.length).unwrap_or_default())
            })
            .iter()
    }
}

/// Runs `SET LOCAL name = 'value'` as a statement of its own, which is what Citus hands on. No error that it raises has the value in its CONTEXT.
pub fn set_local(name: &CStr, value: &str) -> Result<()> {
    // Of what needs no escape anywhere.
    if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
        return Err(unexpected("The value of a setting would have to be escaped."));
    }
    let statement = CString::new(format!("SET LOCAL {} = '{value}'", name.to_string_lossy()))
        .map_err(|_| unexpected("A statement has a NUL."))?;
    struct Back(bool);

    impl Drop for Back {
        fn drop(&mut self) {
            STATE.is_setting.set(self.0);
        }
    }

    let _back = Back(STATE.is_setting.replace(true));
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
