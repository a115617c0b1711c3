//! Waits for a future inside a backend, so that cancelling the query, shutting down and barriers work as anywhere else.
//!
//! Postgres says by the flag `InterruptPending` that something wants attention. It often is nothing fatal (a barrier, a look at the
//! client's connection), and `CHECK_FOR_INTERRUPTS` must not be called inside a future, where an error would unwind through
//! the runtime. So the runtime is left with the future kept, Postgres looks, and either raises, or the same request goes on.

use std::cell::OnceCell;
use std::future::Future;
use std::pin::pin;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use pgrx::prelude::*;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

use crate::postgres::wait_event::WaitEvent;

/// How long an interrupt may go unnoticed that comes between looking and sleeping.
const TICK: Duration = Duration::from_millis(50);

thread_local! {
    static REQUEST: WaitEvent = const { WaitEvent::new(c"WorkosRequest") };
    /// Leaked: its destructor would run while the process exits, after what it needs is gone.
    static RUNTIME: OnceCell<&'static (Runtime, Arc<Notify>)> = const { OnceCell::new() };
}

fn interrupted() -> bool {
    // SAFETY: a flag that signal handlers set.
    unsafe { ptr::read_volatile(&raw const pg_sys::InterruptPending) != 0 }
}

fn runtime() -> &'static (Runtime, Arc<Notify>) {
    RUNTIME.with(|cell| {
        *cell.get_or_init(|| {
            let notify = Arc::new(Notify::new());
            let wake = Arc::clone(&notify);
            // A signal ends the wait for the network, and this runs then.
            let wake_on_signal = move || {
                if interrupted() {
                    wake.notify_one();
                }
            };
            match Builder::new_current_thread().enable_io().enable_time().on_thread_unpark(wake_on_signal).build() {
                Ok(runtime) => Box::leak(Box::new((runtime, notify))),
                Err(error) => crate::error::raise(crate::error::unexpected(&format!("No network runtime: {error}."))),
            }
        })
    })
}

/// Runs a future to its end. Cancel and termination raise their own errors (57014, 57P01) and drop it.
pub fn until_done<T>(future: impl Future<Output = T>) -> T {
    let (runtime, notify) = runtime();
    let mut future = pin!(future);
    let _shown = REQUEST.with(WaitEvent::show);
    loop {
        let done = runtime.block_on(async {
            let interrupt = async {
                while !interrupted() {
                    tokio::select! {
                        () = notify.notified() => {}
                        () = tokio::time::sleep(TICK) => {}
                    }
                }
            };
            tokio::select! {
                biased;
                output = &mut future => Some(output),
                () = interrupt => None,
            }
        });
        match done {
            Some(output) => return output,
            None => {
                pgrx::check_for_interrupts!();
            }
        }
    }
}
