//! Ends a session whose refresh token was stolen, and has it stay ended although the caller is told of an error, which undoes what the
//! caller's own transaction did: a background worker does it in a transaction of its own.
//!
//! Only a token with a good tag, of a session that lives, leads here.

use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use workos_auth_core::refresh_token::{Theft, TheftOrder};

use crate::postgres::background::{self, Database};
use crate::postgres::{clock, roles};
use crate::store::sessions::{self, Stolen, StoredSession};
use crate::store::{RequestClient, locks, scan};

/// How long the caller waits for the worker. It goes on without the caller, such as where the caller's own transaction holds the row.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(5);
/// How often a free worker is looked for, a tick apart.
const STARTS: usize = 20;
/// `bgw_extra`, without the NUL at its end.
const EXTRA_LEN: usize = 127;

/// Ends the session, whatever becomes of this transaction. Where that has not succeeded yet, a warning says so: the token is refused all
/// the same, and whoever presents it next ends the session.
pub fn end_session(row: &StoredSession, theft: Theft, presented: u64, client: &RequestClient) {
    let order = TheftOrder {
        session: row.id,
        // SAFETY: reads a global of the backend.
        actor: unsafe { pg_sys::GetSessionUserId() }.to_u32(),
        theft,
        presented,
        ip: client.ip.unwrap_or_default(),
        user_agent: client.user_agent().unwrap_or_default(),
    };
    // Of many who come at once, one starts a worker, and all of them see what it does.
    let first = locks::try_lock_found_theft(row.id);
    if first.is_some() && scan::live_session(row.id).is_some() && !start(&order.to_text(EXTRA_LEN)) {
        warn("No background worker was free.", "Raise max_worker_processes.");
        return;
    }
    let ticks = PATIENCE.as_millis() / TICK.as_millis();
    for _ in 0..ticks {
        if scan::live_session(row.id).is_none() {
            return;
        }
        clock::sleep(TICK);
    }
    warn(
        "Another transaction holds its row, or a table references auth.sessions without ON DELETE CASCADE or SET NULL.",
        "It ends with that transaction, if that is over within a minute, or when such a token is presented again and no foreign key keeps it.",
    );
}

fn warn(detail: &str, hint: &str) {
    let message = "the session of the stolen refresh token has not ended yet";
    crate::error::warn(PgSqlErrorCode::ERRCODE_WARNING, message, detail, hint);
}

fn start(extra: &str) -> bool {
    for _ in 0..STARTS {
        // SAFETY: reads a global of the backend.
        let database = unsafe { pg_sys::MyDatabaseId };
        let started = BackgroundWorkerBuilder::new("workos_auth: end a stolen session")
            .set_type("workos_auth")
            .set_library("workos_auth")
            .set_function("workos_auth_end_stolen_session")
            .set_argument(Some(pg_sys::Datum::from(database.to_u32())))
            .set_extra(extra)
            .set_start_time(BgWorkerStartTime::RecoveryFinished)
            .set_restart_time(None)
            .enable_spi_access()
            .load_dynamic();
        if started.is_ok() {
            return true;
        }
        clock::sleep(TICK);
    }
    false
}

/// The worker.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn workos_auth_end_stolen_session(database: pg_sys::Datum) {
    let Some(order) = TheftOrder::from_text(BackgroundWorker::get_extra()) else { return };
    background::begin(Database::Oid(pg_sys::Oid::from(u32::try_from(database.value()).unwrap_or_default())));
    BackgroundWorker::transaction(|| {
        // For good: what runs at the commit has no more rights either.
        roles::become_owner();
        // One is enough: while the row is locked, the token may be presented again and again.
        let Some(lock) = locks::try_lock_theft(order.session) else { return };
        lock.keep();
        let stolen = Stolen {
            session: order.session,
            actor: pg_sys::Oid::from(order.actor),
            theft: order.theft.as_str(),
            presented: order.presented,
            ip: Some(order.ip).filter(|ip| !ip.is_empty()),
            user_agent: Some(order.user_agent).filter(|text| !text.is_empty()),
        };
        crate::error::or_raise(sessions::end_stolen(&stolen));
    });
}
