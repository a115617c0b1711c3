//! Hooks on the executor and the planner: they keep which queries are running, pin these to an identity, and have code of others run as who it should.
//!
//! Every query of the backend passes through here, so nothing here catches an error: the hooks have no destructor, and an
//! error jumps over them.

use std::cell::Cell;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

use pgrx::prelude::*;

use super::citus;
use super::frames::{self, Work, call_within};
use super::loading::join_running_queries;
use super::others_code::{plan_with_rights, restrict, start_with_rights, with_rights_of_query};
use super::pinning::{is_shared, pin_shared, pin_started};
use super::runs::{self, TokenHash, call_as_run};
use super::statement::{begin_statement, end_statement};

/// What the hooks ask of those who use the executor.
#[derive(Clone, Copy)]
pub struct Callbacks {
    /// Whose token a reader would find now.
    pub identity: fn() -> TokenHash,
    /// Other nodes are about to run a part of a query. May raise an error.
    pub before_spread_query: extern "C-unwind" fn(),
    /// The transaction is about to commit. May raise an error.
    pub before_commit: extern "C-unwind" fn(),
    /// The transaction is over. Must neither allocate nor raise.
    pub transaction_ended: fn(),
}

struct State {
    callbacks: Cell<Option<Callbacks>>,
    previous_planner: Cell<pg_sys::planner_hook_type>,
    previous_utility: Cell<pg_sys::ProcessUtility_hook_type>,
    previous_start: Cell<pg_sys::ExecutorStart_hook_type>,
    previous_run: Cell<pg_sys::ExecutorRun_hook_type>,
    previous_finish: Cell<pg_sys::ExecutorFinish_hook_type>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    callbacks: Cell::new(None),
    previous_planner: Cell::new(None),
    previous_utility: Cell::new(None),
    previous_start: Cell::new(None),
    previous_run: Cell::new(None),
    previous_finish: Cell::new(None),
};

/// Hooks into the executor. Called once, from `_PG_init`.
pub fn install(callbacks: Callbacks) {
    // SAFETY: _PG_init runs in the one thread of the backend; the callbacks are functions of this library, which is never
    // unloaded.
    unsafe {
        STATE.callbacks.set(Some(callbacks));
        STATE.previous_planner.set(pg_sys::planner_hook);
        pg_sys::planner_hook = Some(plan);
        STATE.previous_utility.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(process_utility);
        STATE.previous_start.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(executor_start);
        STATE.previous_run.set(pg_sys::ExecutorRun_hook);
        pg_sys::ExecutorRun_hook = Some(executor_run);
        STATE.previous_finish.set(pg_sys::ExecutorFinish_hook);
        pg_sys::ExecutorFinish_hook = Some(executor_finish);
        pg_sys::RegisterXactCallback(Some(transaction_event), ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(runs::subtransaction_event), ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(frames::subtransaction_event), ptr::null_mut());
        if join_running_queries() {
            pin_shared(&callbacks.identity);
        }
    }
}

unsafe extern "C-unwind" fn plan(
    query: *mut pg_sys::Query,
    text: *const c_char,
    options: c_int,
    parameters: pg_sys::ParamListInfo,
) -> *mut pg_sys::PlannedStmt {
    unsafe extern "C-unwind" {
        fn standard_planner(
            query: *mut pg_sys::Query,
            text: *const c_char,
            options: c_int,
            parameters: pg_sys::ParamListInfo,
        ) -> *mut pg_sys::PlannedStmt;
    }
    // SAFETY: the call goes to whom it would have gone without us.
    unsafe {
        let plan = || match STATE.previous_planner.get() {
            Some(hook) => hook(query, text, options, parameters),
            None => standard_planner(query, text, options, parameters),
        };
        call_within(Work::Planning, || plan_with_rights(text, plan))
    }
}

unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: c_int) {
    unsafe extern "C-unwind" {
        fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);
    }
    // SAFETY: the call goes to whom it would have gone without us; afterwards the query has an estate.
    unsafe {
        call_as_run(query, ptr::null_mut(), |run| {
            if run.is_clients_own {
                begin_statement();
            }
            if run.parts.is_spread
                && let Some(callbacks) = STATE.callbacks.get()
            {
                (callbacks.before_spread_query)();
            }
            start_with_rights(query, || match STATE.previous_start.get() {
                Some(hook) => hook(query, flags),
                None => standard_ExecutorStart(query, flags),
            });
            if let (Some(identity), Some(estate)) = (run.read_at_start.get(), (*query).estate.as_ref()) {
                pin_started(estate.es_query_cxt, &identity);
            }
        });
        restrict(query);
    }
}

unsafe extern "C-unwind" fn process_utility(
    statement: *mut pg_sys::PlannedStmt,
    text: *const c_char,
    is_read_only: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    parameters: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    unsafe extern "C-unwind" {
        fn standard_ProcessUtility(
            statement: *mut pg_sys::PlannedStmt,
            text: *const c_char,
            is_read_only: bool,
            context: pg_sys::ProcessUtilityContext::Type,
            parameters: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
    // SAFETY: the call goes to whom it would have gone without us.
    let process = || unsafe {
        match STATE.previous_utility.get() {
            Some(hook) => {
                hook(statement, text, is_read_only, context, parameters, environment, destination, completion);
            }
            None => standard_ProcessUtility(
                statement,
                text,
                is_read_only,
                context,
                parameters,
                environment,
                destination,
                completion,
            ),
        }
    };
    // SAFETY: Postgres passes a statement, which has a node.
    let process = || match unsafe { citus::hands_on_text_of_others((*statement).utilityStmt, context) } {
        true => citus::handing_nothing_on(process),
        false => process(),
    };
    // SAFETY: as above.
    let process = || match unsafe { is_on_tables((*statement).utilityStmt) } {
        true => call_within(Work::CommandOnTables, process),
        false => process(),
    };
    match context {
        pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL => {
            begin_statement();
            // SAFETY: as above.
            match unsafe { (*(*statement).utilityStmt).type_ } {
                pg_sys::NodeTag::T_VariableSetStmt => {
                    call_within(Work::ClientsSetting, || call_within(Work::ClientsCommand, process))
                }
                _ => call_within(Work::ClientsCommand, process),
            }
            end_statement();
        }
        _ => process(),
    }
}

/// Whether a command may call what belongs to a table or a type: each but those that only run queries or blocks, or set something.
///
/// # Safety
/// `command` is the node of one.
unsafe fn is_on_tables(command: *const pg_sys::Node) -> bool {
    use pg_sys::NodeTag::*;
    // SAFETY: the caller's word; each node begins with its tag.
    match unsafe { (*command).type_ } {
        T_AlterFunctionStmt | T_CallStmt | T_ClosePortalStmt | T_CreateFunctionStmt | T_CreateTableAsStmt
        | T_DeclareCursorStmt | T_DiscardStmt | T_DoStmt | T_ExecuteStmt | T_ExplainStmt | T_FetchStmt
        | T_PrepareStmt | T_TransactionStmt | T_VariableSetStmt => false,
        // COPY TO runs a query, or calls nobody.
        // SAFETY: as above.
        T_CopyStmt => unsafe { (*command.cast::<pg_sys::CopyStmt>()).is_from },
        _ => true,
    }
}

/// The hook's type changed in Postgres 18, which dropped the last argument.
macro_rules! executor_run {
    ($($extra:ident: $type:ty)?) => {
        unsafe extern "C-unwind" fn executor_run(
            query: *mut pg_sys::QueryDesc,
            direction: pg_sys::ScanDirection::Type,
            count: u64,
            $($extra: $type,)?
        ) {
            unsafe extern "C-unwind" {
                /// Postgres's own, without pgrx's guard, which would catch every error of every query.
                fn standard_ExecutorRun(
                    query: *mut pg_sys::QueryDesc,
                    direction: pg_sys::ScanDirection::Type,
                    count: u64,
                    $($extra: $type,)?
                );
            }
            // SAFETY: Postgres passes a started query; the call goes to whom it would have gone without us.
            unsafe {
                let is_shared = is_shared(query);
                let context = (*(*query).estate).es_query_cxt;
                call_as_run(query, context, |_| {
                    if is_shared && let Some(callbacks) = STATE.callbacks.get() {
                        pin_shared(&callbacks.identity);
                    }
                    with_rights_of_query(context, || match STATE.previous_run.get() {
                        Some(hook) => hook(query, direction, count, $($extra)?),
                        None => standard_ExecutorRun(query, direction, count, $($extra)?),
                    });
                });
            }
        }
    };
}

#[cfg(not(feature = "pg18"))]
executor_run!(execute_once: bool);
#[cfg(feature = "pg18")]
executor_run!();

/// What a query leaves for its end runs there: data-modifying WITH queries that nobody reads, and AFTER triggers.
unsafe extern "C-unwind" fn executor_finish(query: *mut pg_sys::QueryDesc) {
    unsafe extern "C-unwind" {
        fn standard_ExecutorFinish(query: *mut pg_sys::QueryDesc);
    }
    // SAFETY: as above; the query is there until ExecutorEnd.
    unsafe {
        let mut is_clients_own = false;
        let context = (*(*query).estate).es_query_cxt;
        call_as_run(query, context, |run| {
            is_clients_own = run.is_clients_own;
            let finish = || match STATE.previous_finish.get() {
                Some(hook) => hook(query),
                None => standard_ExecutorFinish(query),
            };
            with_rights_of_query(context, finish);
        });
        if is_clients_own {
            end_statement();
        }
    }
}

unsafe extern "C-unwind" fn transaction_event(event: pg_sys::XactEvent::Type, _: *mut c_void) {
    use pg_sys::XactEvent::*;
    let Some(callbacks) = STATE.callbacks.get() else { return };
    if matches!(event, XACT_EVENT_PRE_COMMIT | XACT_EVENT_PRE_PREPARE) {
        (callbacks.before_commit)();
    }
    if matches!(
        event,
        XACT_EVENT_COMMIT
            | XACT_EVENT_PARALLEL_COMMIT
            | XACT_EVENT_ABORT
            | XACT_EVENT_PARALLEL_ABORT
            | XACT_EVENT_PREPARE
    ) {
        runs::transaction_ended();
        (callbacks.transaction_ended)();
    }
}
