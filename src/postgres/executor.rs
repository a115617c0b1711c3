//! Which statement is being executed, and which queries are running for it: hooks on the executor keep them, the innermost first.
//!
//! Every query of the backend passes through here, so nothing here catches an error: the hooks have no destructor, and an
//! error jumps over them. What it left behind is put right by the abort of the (sub)transaction that every caught error ends in. C code
//! that swallows an error without one leaves dead frames behind: the next hook that begins, or reader that is no deeper, leaves them out.
//!
//! The queries that run when the library is loaded began before the hooks were there: [`join_running_queries`] finds them.

use std::cell::{Cell, RefCell};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::{iter, ptr};

use pgrx::memcxt::PgMemoryContexts;
use pgrx::prelude::*;
use workos_auth_core::Result;

use super::transaction::{owner, restricted_to, with_the_rights_of};
use crate::current_session::Identity;
use crate::error::unexpected;

/// A run of a query, on the stack of the hook: its start, one FETCH of a cursor, and what is left when it is closed.
pub struct Run {
    /// Counts up from 1, so that no two are alike.
    number: u64,
    /// `es_query_cxt`, which is the query's as long as it lives, through all its runs. NULL while it starts, when it is not there.
    query: pg_sys::MemoryContext,
    /// Whom the start read: Postgres prunes partitions there.
    pub read_at_start: Cell<Option<Identity>>,
    /// Whether the client sent this query.
    is_clients_own: bool,
}

impl Run {
    fn new(number: u64, query: pg_sys::MemoryContext, is_clients_own: bool) -> Self {
        Self { number, query, read_at_start: Cell::new(None), is_clients_own }
    }

    /// `es_query_cxt`; NULL while the query starts.
    pub fn query(&self) -> pg_sys::MemoryContext {
        self.query
    }
}

/// A query that ran when the library was loaded, and counts as running for as long as it does: from then on the hooks see it.
struct Joined {
    run: Run,
    /// The cursor or statement that it belongs to, which may rest between two FETCHes; NULL for what runs to its end at once.
    portal: pg_sys::Portal,
}

impl Drop for Joined {
    fn drop(&mut self) {
        let query = self.run.query();
        leave(|joined| joined.query() == query);
    }
}

/// As whom the code of others runs that a statement of ours sets off: triggers, and the functions of defaults, constraints and indexes.
#[derive(Debug, Clone, Copy)]
pub struct Others {
    pub run_as: pg_sys::Oid,
    /// Whether it runs within a security-restricted operation, and what it sets is undone. Postgres then refuses to put a trigger off to
    /// the end of the transaction, where it would run as whoever commits.
    pub is_restricted: bool,
}

/// A statement of ours, by its text: the queries that a rule adds to it have the same.
#[derive(Clone, Copy)]
struct Ours {
    sql: &'static str,
    others: Others,
    has_started: bool,
}

/// A query of [`with_others_as`] that has started.
struct Restricted {
    /// `es_query_cxt`
    query: pg_sys::MemoryContext,
    others: Others,
}

struct State {
    /// The statement of [`with_others_as`] that runs.
    ours: Cell<Option<Ours>>,
    restricted: RefCell<Vec<Restricted>>,
    /// How many queries of [`with_others_as`] could set off code of others.
    set_off: Cell<u64>,
    /// The runs that a hook saw begin, each in its hook's own frame, the innermost last.
    hooked: RefCell<Vec<*const Run>>,
    /// The number of the last of them, or 0; beside it for the readers, which look at nothing else.
    number: Cell<u64>,
    /// The queries that the library was loaded in the middle of, around all others, in no order.
    joined: RefCell<Vec<*const Joined>>,
    /// Whether `apart` is running.
    is_apart: Cell<bool>,
    last_number: Cell<u64>,
    /// How many runs there were at the begin of each open subtransaction.
    at_subtransaction: RefCell<Vec<usize>>,
    /// How many statements the client has sent, as far as they came by here.
    statements: Cell<u64>,
    /// Whether the statement that the library was loaded in has not been counted.
    is_loading: Cell<bool>,
    previous_utility: Cell<pg_sys::ProcessUtility_hook_type>,
    previous_start: Cell<pg_sys::ExecutorStart_hook_type>,
    previous_run: Cell<pg_sys::ExecutorRun_hook_type>,
    previous_finish: Cell<pg_sys::ExecutorFinish_hook_type>,
}

// SAFETY: a backend has one thread.
unsafe impl Sync for State {}

static STATE: State = State {
    ours: Cell::new(None),
    restricted: RefCell::new(Vec::new()),
    set_off: Cell::new(0),
    hooked: RefCell::new(Vec::new()),
    number: Cell::new(0),
    joined: RefCell::new(Vec::new()),
    is_apart: Cell::new(false),
    last_number: Cell::new(0),
    at_subtransaction: RefCell::new(Vec::new()),
    statements: Cell::new(0),
    is_loading: Cell::new(false),
    previous_utility: Cell::new(None),
    previous_start: Cell::new(None),
    previous_run: Cell::new(None),
    previous_finish: Cell::new(None),
};

/// The number of the innermost run that a hook saw begin; 0 outside of any, as for an expression in a DO block.
#[inline(always)]
pub fn run() -> u64 {
    STATE.number.get()
}

/// Counts the statements of the client. Postgres's own clock stands still while it works off one message, which may hold
/// several of them; what a statement runs in turn, such as the queries of a DO block, is not counted.
pub fn statement() -> u64 {
    STATE.statements.get()
}

/// The running queries: those that a hook saw begin, the innermost first, and those that ran when the library was loaded.
pub fn runs<'a>() -> impl Iterator<Item = &'a Run> {
    let mark = 0_u8;
    let here = (&raw const mark).addr();
    let hooked = (0..depth()).rev().map_while(|at| STATE.hooked.try_borrow().ok()?.get(at).copied());
    // SAFETY: on the stack around us: it is taken off the list before its hook returns, or when that was jumped over.
    let hooked = hooked.filter(move |run| run.addr() > here).map(|run| unsafe { &*run });
    let joined = (0..).map_while(|at| STATE.joined.try_borrow().ok()?.get(at).copied());
    // SAFETY: it takes itself off the list when it goes, which it does before its portal.
    let joined = joined.map(|joined| unsafe { &*joined }).filter(|joined| unsafe { is_active(joined.portal) });
    hooked.chain(joined.map(|joined| &joined.run).take_while(|_| !STATE.is_apart.get()))
}

/// Whether what is running is a query that the client sent, and nothing that such a query or statement runs in turn.
pub fn is_clients_own() -> bool {
    let mut runs = runs().peekable();
    runs.peek().is_some() && runs.all(|run| run.is_clients_own)
}

/// Runs `f` as if no query were running: the queries in it have a session of their own, and leave those around them as they are.
pub fn apart<T>(f: impl FnOnce() -> T) -> T {
    struct Back(Vec<*const Run>, bool);

    impl Drop for Back {
        fn drop(&mut self) {
            set_hooked(|hooked| *hooked = std::mem::take(&mut self.0));
            STATE.is_apart.set(self.1);
        }
    }

    let mut around = Vec::new();
    set_hooked(|hooked| around = std::mem::take(hooked));
    let _back = Back(around, STATE.is_apart.replace(true));
    f()
}

/// Runs `f`, which runs the statement `sql`. Postgres looks at the rights of the current user when the statement starts. What it sets off
/// later, row by row and at its end, has the rights of another role and no others. So have the queries of foreign keys between our tables.
///
/// # Errors
/// `unexpected_failure`: `f` did not run the statement.
pub fn with_others_as<T>(others: Others, sql: &'static str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    struct Back(Option<Ours>);

    impl Drop for Back {
        fn drop(&mut self) {
            STATE.ours.set(self.0);
        }
    }

    let _back = Back(STATE.ours.replace(Some(Ours { sql, others, has_started: false })));
    let value = f()?;
    match STATE.ours.get() {
        Some(ours) if ours.has_started => Ok(value),
        _ => Err(unexpected("A statement was not seen by the executor's hook.")),
    }
}

/// Counts the statements of ours that may have run code of others: where it stays the same, none has run.
pub fn set_off() -> u64 {
    STATE.set_off.get()
}

/// Notes a query that starts, if it is the statement of [`with_others_as`], or what a foreign key does to a table of ours in one.
///
/// # Safety
/// `query` was started.
unsafe fn restrict(query: *const pg_sys::QueryDesc) {
    struct Forget(pg_sys::MemoryContext);

    impl Drop for Forget {
        fn drop(&mut self) {
            if let Ok(mut restricted) = STATE.restricted.try_borrow_mut() {
                restricted.retain(|other| other.query != self.0);
            }
        }
    }

    // SAFETY: by the caller's word; the text is a C string or NULL; reads the current user.
    unsafe {
        let text = (*query).sourceText;
        let is_text = |sql: &str| !text.is_null() && CStr::from_ptr(text).to_bytes() == sql.as_bytes();
        let others = match STATE.ours.get() {
            Some(ours) if is_text(ours.sql) => {
                STATE.ours.set(Some(Ours { has_started: true, ..ours }));
                ours.others
            }
            _ => match runs().find_map(|run| others_of(run.query())) {
                Some(others) if pg_sys::GetUserId() == owner() => others,
                _ => return,
            },
        };
        let estate = (*query).estate;
        let context = (*estate).es_query_cxt;
        PgMemoryContexts::For(context).leak_and_drop_on_delete(Forget(context));
        STATE.restricted.borrow_mut().push(Restricted { query: context, others });
        if others.is_restricted || is_watched(estate) {
            STATE.set_off.set(STATE.set_off.get() + 1);
        }
    }
}

fn others_of(query: pg_sys::MemoryContext) -> Option<Others> {
    STATE.restricted.borrow().iter().find(|other| other.query == query).map(|other| other.others)
}

/// Whether a table that a query writes to has a trigger that is neither a foreign key's nor for TRUNCATE.
///
/// # Safety
/// `estate` is one of a query that was started.
unsafe fn is_watched(estate: *const pg_sys::EState) -> bool {
    let fires = pg_sys::TRIGGER_TYPE_INSERT | pg_sys::TRIGGER_TYPE_UPDATE | pg_sys::TRIGGER_TYPE_DELETE;
    // SAFETY: by the caller's word; Postgres's own list of the tables, NULL where it is empty. Each has a description of its triggers or NULL.
    unsafe {
        let Some(tables) = (*estate).es_opened_result_relations.as_ref() else { return false };
        let tables = std::slice::from_raw_parts(tables.elements, usize::try_from(tables.length).unwrap_or_default());
        let tables = tables.iter().map(|cell| cell.ptr_value.cast::<pg_sys::ResultRelInfo>());
        tables.filter_map(|table| (*table).ri_TrigDesc.as_ref()).any(|description| {
            let count = usize::try_from(description.numtriggers).unwrap_or_default();
            let mut triggers = std::slice::from_raw_parts(description.triggers, count).iter();
            triggers.any(|trigger| {
                !trigger.tgisinternal && u32::try_from(trigger.tgtype).is_ok_and(|kind| kind & fires != 0)
            })
        })
    }
}

/// Runs a part of a query, and what it sets off, with the rights that [`with_others_as`] asked for.
///
/// # Safety
/// `context` is a query's `es_query_cxt`.
unsafe fn with_rights_of_query(context: pg_sys::MemoryContext, f: impl FnOnce()) {
    match others_of(context) {
        None => f(),
        Some(Others { run_as, is_restricted: true }) => restricted_to(run_as, f),
        Some(Others { run_as, is_restricted: false }) => with_the_rights_of(run_as, f),
    }
}

/// Hooks into the executor. Called once, from `_PG_init`.
pub fn install() {
    // SAFETY: _PG_init runs in the one thread of the backend; the callbacks are functions of this library, which is never
    // unloaded.
    unsafe {
        STATE.previous_utility.set(pg_sys::ProcessUtility_hook);
        pg_sys::ProcessUtility_hook = Some(process_utility);
        STATE.previous_start.set(pg_sys::ExecutorStart_hook);
        pg_sys::ExecutorStart_hook = Some(executor_start);
        STATE.previous_run.set(pg_sys::ExecutorRun_hook);
        pg_sys::ExecutorRun_hook = Some(executor_run);
        STATE.previous_finish.set(pg_sys::ExecutorFinish_hook);
        pg_sys::ExecutorFinish_hook = Some(executor_finish);
        pg_sys::RegisterXactCallback(Some(transaction_event), ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(subtransaction_event), ptr::null_mut());
        join_running_queries();
    }
}

/// Where a function of a query is the first to need the library, that query and those around it count as running from here on. They
/// are found by their memory, whatever runs them: a portal, COPY, EXPLAIN, the making of a table, PL/pgSQL, an SQL function.
///
/// One too many is among them now and then, to the end of the DO block or transaction: the query of an SQL function that PL/pgSQL called without a
/// query of its own, where an error in it was caught. One is missed: what parallel workers have read before the library came to this
/// process is known to them alone.
///
/// # Safety
/// In `_PG_init`.
unsafe fn join_running_queries() {
    // SAFETY: reads globals of the backend, and its tree of memory contexts, which changes only where something is added to a context.
    unsafe {
        if pg_sys::TopTransactionContext.is_null() {
            return;
        }
        STATE.is_loading.set(!pg_sys::ActivePortal.is_null());
        let layout = EStateLayout::measured();
        let mut is_any_shared = false;
        let mut contexts = vec![pg_sys::TopMemoryContext];
        while let Some(context) = contexts.pop() {
            contexts.extend(iter::successors(known((*context).firstchild), |child| known((**child).nextchild)));
            let Some(estate) = layout.estate_of(context) else { continue };
            // An expression of PL/pgSQL has one too, for as long as its block or transaction lasts, and no plan.
            let Some(plan) = (*estate).es_plannedstmt.as_ref() else { continue };
            let portal = portal_around(context);
            if !is_active(portal) {
                continue;
            }
            is_any_shared |= is_shared_plan(plan);
            let run = Run::new(0, context, is_clients_text((*estate).es_sourceText));
            let joined = PgMemoryContexts::For(context).leak_and_drop_on_delete(Joined { run, portal });
            STATE.joined.borrow_mut().push(joined);
        }
        if is_any_shared {
            crate::current_session::pin_shared();
        }
    }
}

fn known(context: pg_sys::MemoryContext) -> Option<pg_sys::MemoryContext> {
    (!context.is_null()).then(|| context)
}

/// How Postgres's `CreateExecutorState` lays an `EState` into a memory context of its own, of which it is the first piece.
struct EStateLayout {
    /// Where the string constant lies that it names the context by.
    name: *const c_char,
    /// From the context to the `EState`, in bytes.
    distance: isize,
}

impl EStateLayout {
    /// Makes one, and looks at it.
    ///
    /// # Safety
    /// In a backend.
    unsafe fn measured() -> Self {
        // SAFETY: the context is of one allocation with the first piece in it.
        unsafe {
            let estate = pg_sys::CreateExecutorState();
            let context = (*estate).es_query_cxt;
            let distance = estate.cast::<u8>().offset_from(context.cast::<u8>());
            let layout = Self { name: (*context).name, distance };
            pg_sys::FreeExecutorState(estate);
            layout
        }
    }

    /// The `EState` that the context was made for, if it was made for one.
    ///
    /// # Safety
    /// `context` is one.
    unsafe fn estate_of(&self, context: pg_sys::MemoryContext) -> Option<*mut pg_sys::EState> {
        // SAFETY: nobody else names a context by this constant; the `EState` knows its context.
        unsafe {
            if !ptr::eq((*context).name, self.name) {
                return None;
            }
            let estate = context.cast::<u8>().offset(self.distance).cast::<pg_sys::EState>();
            ((*estate).type_ == pg_sys::NodeTag::T_EState && (*estate).es_query_cxt == context).then(|| estate)
        }
    }
}

/// The portal whose memory `context` lies in; NULL without one.
///
/// # Safety
/// `context` is one.
unsafe fn portal_around(context: pg_sys::MemoryContext) -> pg_sys::Portal {
    // SAFETY: a context has a name, and an identifier or NULL: a portal's own name, or another where that is empty (`CreatePortal`).
    unsafe {
        iter::successors(known(context), |context| known((**context).parent))
            .filter(|context| CStr::from_ptr((**context).name) == c"PortalContext" && !(**context).ident.is_null())
            .flat_map(|context| [(context, (*context).ident), (context, c"".as_ptr())])
            .map(|(context, name)| (context, pg_sys::GetPortalByName(name)))
            .find(|(context, portal)| portal.as_ref().is_some_and(|portal| portal.portalContext == *context))
            .map_or(ptr::null_mut(), |(_, portal)| portal)
    }
}

/// Whether a portal is being executed or started; NULL stands for what does not rest.
///
/// # Safety
/// `portal` is one, or NULL.
unsafe fn is_active(portal: pg_sys::Portal) -> bool {
    // SAFETY: the caller's word. While a portal is started, only the global tells.
    unsafe {
        portal.is_null() || (*portal).status == pg_sys::PortalStatus::PORTAL_ACTIVE || pg_sys::ActivePortal == portal
    }
}

/// Takes queries off the list of those that ran when the library was loaded.
fn leave(is_gone: impl Fn(&Run) -> bool) {
    if let Ok(mut joined) = STATE.joined.try_borrow_mut() {
        // SAFETY: as in `runs`.
        joined.retain(|joined| !is_gone(unsafe { &(**joined).run }));
    }
}

/// Runs `f` as if no parallel query were running. Postgres refuses to change settings while one is, and so would lose what was set
/// before the library was there, when a parallel query is the first to need it.
pub fn outside_parallel_mode(f: impl FnOnce()) {
    let mut levels = 0;
    // SAFETY: a counter of the transaction, which is put back before anybody else looks at it.
    unsafe {
        while pg_sys::IsInParallelMode() {
            pg_sys::ExitParallelMode();
            levels += 1;
        }
        f();
        for _ in 0..levels {
            pg_sys::EnterParallelMode();
        }
    }
}

/// How many runs there are that a hook saw begin.
fn depth() -> usize {
    STATE.hooked.try_borrow().map_or(0, |hooked| hooked.len())
}

/// Changes the list of the runs.
fn set_hooked(change: impl FnOnce(&mut Vec<*const Run>)) {
    if let Ok(mut hooked) = STATE.hooked.try_borrow_mut() {
        change(&mut hooked);
        // SAFETY: as in `runs`.
        STATE.number.set(hooked.last().map_or(0, |run| unsafe { (**run).number }));
    }
}

/// Calls `executor` as a run of the query.
///
/// # Safety
/// `query` is one that Postgres passes to a hook, and `context` its own or NULL.
unsafe fn running(query: *mut pg_sys::QueryDesc, context: pg_sys::MemoryContext, executor: impl FnOnce(&Run)) {
    let number = STATE.last_number.get() + 1;
    STATE.last_number.set(number);
    leave(|joined| joined.query() == context);
    let mut run = Run::new(number, context, false);
    // The stack grows downwards: what lies no higher than this does not run any more.
    set_hooked(|hooked| hooked.retain(|other| other.addr() > (&raw const run).addr()));
    // SAFETY: the caller's word.
    run.is_clients_own = runs().next().is_none() && unsafe { is_clients_text((*query).sourceText) };
    let around = depth();
    set_hooked(|hooked| hooked.push(&run));
    executor(&run);
    set_hooked(|hooked| hooked.truncate(around));
}

unsafe extern "C-unwind" fn executor_start(query: *mut pg_sys::QueryDesc, flags: c_int) {
    unsafe extern "C-unwind" {
        fn standard_ExecutorStart(query: *mut pg_sys::QueryDesc, flags: c_int);
    }
    // SAFETY: the call goes to whom it would have gone without us; afterwards the query has an estate.
    unsafe {
        running(query, ptr::null_mut(), |run| {
            if run.is_clients_own {
                begin_statement();
            }
            match STATE.previous_start.get() {
                Some(hook) => hook(query, flags),
                None => standard_ExecutorStart(query, flags),
            }
            if let (Some(identity), Some(estate)) = (run.read_at_start.get(), (*query).estate.as_ref()) {
                crate::current_session::pin_started(estate.es_query_cxt, &identity);
            }
        });
        restrict(query);
    }
}

/// Whether this is the text of the message that is worked off, or a copy of it. What a DO block or a procedure runs has a text of
/// its own.
///
/// # Safety
/// `text` is a C string or NULL.
unsafe fn is_clients_text(text: *const c_char) -> bool {
    // SAFETY: a global of the backend: a C string or NULL; the caller's word.
    unsafe {
        let clients = pg_sys::debug_query_string;
        text == clients || !text.is_null() && !clients.is_null() && libc::strcmp(text, clients) == 0
    }
}

/// Whether other processes may read claims for this query, or this is one of them: each knows only what it reads itself. A plan
/// without dependencies calls Postgres's own functions alone.
///
/// # Safety
/// `query` is one that Postgres passes to a hook.
unsafe fn is_shared(query: *const pg_sys::QueryDesc) -> bool {
    // SAFETY: the caller's word; reads a global of the backend.
    unsafe { is_shared_plan(&*(*query).plannedstmt) || pg_sys::ParallelWorkerNumber >= 0 && depth() == 0 }
}

fn is_shared_plan(plan: &pg_sys::PlannedStmt) -> bool {
    plan.parallelModeNeeded && !plan.invalItems.is_null()
}

/// Counts the statement before this one where the library was loaded in it, since no hook may have seen it end.
fn begin_statement() {
    if STATE.is_loading.replace(false) {
        end_statement();
    }
}

/// A statement is counted when it ends: the next one's planning belongs to the next one. An error ends the message.
fn end_statement() {
    STATE.statements.set(STATE.statements.get() + 1);
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
    let is_clients_own = context == pg_sys::ProcessUtilityContext::PROCESS_UTILITY_TOPLEVEL;
    if is_clients_own {
        begin_statement();
    }
    // SAFETY: the call goes to whom it would have gone without us.
    unsafe {
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
    }
    if is_clients_own {
        end_statement();
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
                running(query, context, |_| {
                    if is_shared {
                        crate::current_session::pin_shared();
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
        running(query, context, |run| {
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
    if matches!(event, XACT_EVENT_PRE_COMMIT | XACT_EVENT_PRE_PREPARE) {
        crate::admin::end_sessions_before_commit();
    }
    if matches!(
        event,
        XACT_EVENT_COMMIT
            | XACT_EVENT_PARALLEL_COMMIT
            | XACT_EVENT_ABORT
            | XACT_EVENT_PARALLEL_ABORT
            | XACT_EVENT_PREPARE
    ) {
        // No query outlives its transaction.
        set_hooked(Vec::clear);
        leave(|_| true);
        if let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() {
            stack.clear();
        }
        crate::current_session::transaction_ended();
        crate::admin::transaction_ended();
    }
}

unsafe extern "C-unwind" fn subtransaction_event(
    event: pg_sys::SubXactEvent::Type,
    _subtransaction: pg_sys::SubTransactionId,
    _parent: pg_sys::SubTransactionId,
    _: *mut c_void,
) {
    let Ok(mut stack) = STATE.at_subtransaction.try_borrow_mut() else { return };
    match event {
        pg_sys::SubXactEvent::SUBXACT_EVENT_START_SUB => stack.push(depth()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_COMMIT_SUB => drop(stack.pop()),
        pg_sys::SubXactEvent::SUBXACT_EVENT_ABORT_SUB => {
            let depth = stack.pop().unwrap_or(0);
            set_hooked(|hooked| hooked.truncate(depth));
        }
        _ => {}
    }
}
