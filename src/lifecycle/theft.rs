//! Ends a session whose refresh token was stolen, and has it stay ended although the caller is told of an error, which undoes what the
//! caller's own transaction did: a background worker does it in a transaction of its own.
//!
//! Only a token with a good tag, of a session that lives, leads here.

use std::ffi::c_int;
use std::str::FromStr;
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, BgWorkerStartTime};
use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::refresh_token::Theft;

use crate::store::sessions::{self, Row, Stolen};
use crate::store::{Client, guards, scan, transaction};

/// How long the caller waits for the worker. It goes on without the caller, such as where the caller's own transaction holds the row.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(5);
/// How often a free worker is looked for, a tick apart.
const STARTS: usize = 20;
/// `bgw_extra`, with the NUL at its end.
const EXTRA_LEN: usize = 128;

/// Ends the session, whatever becomes of this transaction. Where that has not succeeded yet, a warning says so: the token is refused all
/// the same, and whoever presents it next ends the session.
pub fn end_session(row: &Row, theft: Theft, presented: u64, client: &Client) {
    let order = Order {
        session: row.id,
        // SAFETY: reads a global of the backend.
        actor: unsafe { pg_sys::GetSessionUserId() }.to_u32(),
        theft: match theft {
            Theft::Stale => "stale",
            Theft::Recoveries => "recoveries",
        },
        presented,
        ip: client.ip.unwrap_or_default(),
        user_agent: client.user_agent().unwrap_or_default(),
    };
    if !start(&order.to_extra()) {
        warn("No background worker was free.", "Raise max_worker_processes.");
        return;
    }
    let ticks = PATIENCE.as_millis() / TICK.as_millis();
    for _ in 0..ticks {
        if scan::session_claims_version(row.id).is_none() {
            return;
        }
        transaction::sleep(TICK);
    }
    warn(
        "Another transaction holds its row.",
        "It ends as soon as that transaction is over; end long transactions that refreshed it.",
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
        transaction::sleep(TICK);
    }
    false
}

/// What the worker is told.
#[derive(Debug, PartialEq, Eq)]
struct Order<'a> {
    session: Uuid,
    /// whose connection the token came over
    actor: u32,
    theft: &'a str,
    presented: u64,
    ip: &'a str,
    user_agent: &'a str,
}

impl<'a> Order<'a> {
    /// As text, of which what does not fit is cut off: the end of the User-Agent header.
    fn to_extra(&self) -> String {
        let Self { session, actor, theft, presented, ip, user_agent } = self;
        let mut text = format!("{} {actor} {theft} {presented} {ip} {user_agent}", session.simple());
        while text.len() >= EXTRA_LEN {
            text.pop();
        }
        text
    }

    fn from_extra(text: &'a str) -> Option<Self> {
        let mut words = text.splitn(6, ' ');
        let mut next = || words.next();
        Some(Self {
            session: Uuid::from_str(next()?).ok()?,
            actor: next()?.parse().ok()?,
            theft: next()?,
            presented: next()?.parse().ok()?,
            ip: next()?,
            user_agent: next()?,
        })
    }
}

unsafe extern "C-unwind" {
    /// Postgres's own handler of SIGTERM (`tcopprot.h`), without pgrx's guard around it: it only sets flags.
    fn die(signal: c_int);
}

/// The worker.
#[pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn workos_auth_end_stolen_session(database: pg_sys::Datum) {
    let Some(order) = Order::from_extra(BackgroundWorker::get_extra()) else { return };
    #[cfg(not(feature = "pg18"))]
    use pg_sys::pqsignal;
    #[cfg(feature = "pg18")]
    use pg_sys::pqsignal_be as pqsignal;
    // SAFETY: the order of worker_spi, Postgres's own example: handlers, signals, connection.
    unsafe {
        pqsignal(pg_sys::SIGTERM.cast_signed(), Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let database = pg_sys::Oid::from(u32::try_from(database.value()).unwrap_or_default());
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    // Whatever the database's own settings are.
    for (name, value) in [
        (c"default_transaction_read_only", c"off"),
        (c"default_transaction_isolation", c"read committed"),
        (c"statement_timeout", c"0"),
        // Long: whoever holds the row is told of an error, and ends.
        (c"lock_timeout", c"60s"),
    ] {
        transaction::set_for_session(name, value);
    }
    BackgroundWorker::transaction(|| {
        // One is enough: while the row is locked, the token may be presented again and again.
        let Some(guard) = guards::theft(order.session) else { return };
        guard.keep();
        let stolen = Stolen {
            session: order.session,
            actor: pg_sys::Oid::from(order.actor),
            theft: order.theft,
            presented: order.presented,
            ip: Some(order.ip).filter(|ip| !ip.is_empty()),
            user_agent: Some(order.user_agent).filter(|text| !text.is_empty()),
        };
        crate::error::or_raise(transaction::as_owner(|| sessions::end_stolen(&stolen)));
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn an_order_is_read_as_it_was_written() {
        let order = Order {
            session: Uuid::from_u128(7),
            actor: 10,
            theft: "stale",
            presented: u64::MAX,
            ip: "",
            user_agent: "Mozilla/5.0 (X11)",
        };
        assert_eq!(Order::from_extra(&order.to_extra()).unwrap(), order);
        let ip = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255/128";
        let long = Order { actor: u32::MAX, theft: "recoveries", ip, user_agent: &"ü".repeat(1000), ..order };
        let text = long.to_extra();
        assert!(text.len() < EXTRA_LEN, "{}", text.len());
        let read = Order::from_extra(&text).unwrap();
        assert_eq!((read.ip, read.presented, read.session), (ip, u64::MAX, Uuid::from_u128(7)));
    }
}
