//! `select (auth.exchange_code(…)).*` runs the function once a column. Within one execution of a plan and one
//! (sub)transaction, the same call with the same arguments returns its first answer.
//!
//! An execution is known by its memory context, which every expression of the plan is compiled in; the answers are forgotten
//! when that context goes. PL/pgSQL compiles a simple expression in a context of the whole transaction, which belongs to no
//! running plan: there a loop gets new answers.

use std::any::Any;
use std::cell::RefCell;
use std::hash::Hash;
use std::rc::Rc;

use pgrx::memcxt::PgMemoryContexts;
use pgrx::pg_sys;
use workos_auth_core::{Result, call_hash};

use super::runs;

/// What tells one call from another: the plan's execution, the subtransaction, the function and its arguments.
#[derive(PartialEq, Eq, Clone)]
struct Call {
    execution: pg_sys::MemoryContext,
    subtransaction: pg_sys::SubTransactionId,
    function: pg_sys::Oid,
    arguments: [u8; 32],
}

thread_local! {
    static ANSWERS: RefCell<Vec<(Call, Rc<dyn Any>)>> = const { RefCell::new(Vec::new()) };
}

/// Returns the first answer of the same call, or calls `f`. An error is not remembered.
///
/// Of the arguments, which may be secrets, a hash is kept.
pub fn answer<T: 'static>(
    fcinfo: pg_sys::FunctionCallInfo,
    arguments: &impl Hash,
    f: impl FnOnce() -> Result<T>,
) -> Result<Rc<T>> {
    let Some(call) = call(fcinfo, arguments) else { return f().map(Rc::new) };
    let known = ANSWERS.with_borrow(|known| known.iter().find(|(c, _)| *c == call).map(|(_, a)| Rc::clone(a)));
    if let Some(answer) = known.and_then(|answer| answer.downcast::<T>().ok()) {
        return Ok(answer);
    }
    let answer = Rc::new(f()?);
    forget_with(call.execution);
    ANSWERS.with_borrow_mut(|known| known.push((call, Rc::clone(&answer) as Rc<dyn Any>)));
    Ok(answer)
}

/// `None` where the call does not belong to a running plan.
fn call(fcinfo: pg_sys::FunctionCallInfo, arguments: &impl Hash) -> Option<Call> {
    // SAFETY: fcinfo is the one Postgres called us with; flinfo may be NULL and is looked at.
    let (execution, function) = unsafe {
        let flinfo = (*fcinfo).flinfo.as_ref()?;
        (flinfo.fn_mcxt, flinfo.fn_oid)
    };
    runs::runs().any(|run| run.query() == execution).then(|| Call {
        execution,
        // SAFETY: reads the transaction state.
        subtransaction: unsafe { pg_sys::GetCurrentSubTransactionId() },
        function,
        arguments: call_hash::of(arguments),
    })
}

/// Has the answers of `execution` forgotten when Postgres deletes its memory context.
fn forget_with(execution: pg_sys::MemoryContext) {
    if ANSWERS.with_borrow(|known| known.iter().any(|(call, _)| call.execution == execution)) {
        return;
    }
    PgMemoryContexts::For(execution).leak_and_drop_on_delete(Forget(execution));
}

struct Forget(pg_sys::MemoryContext);

impl Drop for Forget {
    fn drop(&mut self) {
        // Neither a borrow nor the end of the process may make this panic.
        let _ = ANSWERS.try_with(|known| {
            if let Ok(mut known) = known.try_borrow_mut() {
                known.retain(|(call, _)| call.execution != self.0);
            }
        });
    }
}
