//! What the background worker does. All of it can also be called.

use std::cell::RefCell;
use std::ffi::CStr;
use std::mem::ManuallyDrop;
use std::time::Duration;

use workos_auth_core::worker::Pace;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::admin::{issuers, operating};
use crate::mirror::reconcile::Reconciliation;
use crate::mirror::{self, sync};
use crate::postgres::procedure::Transactions;
use crate::postgres::setting::{self, Lifetime};
use crate::verifier;

/// Something that is done again and again, each time in a transaction of its own.
pub struct Task {
    /// What it is called in `auth.worker_status`.
    pub name: &'static CStr,
    /// How often.
    pub pace: Pace,
    /// Does it.
    pub run: fn() -> Result<Run>,
}

/// What became of a run that did not fail as a whole.
pub struct Run {
    /// How many rows or keys it was about.
    pub count: i64,
    /// Whether there is more to do at once.
    pub is_unfinished: bool,
    /// What failed of it.
    pub failed: Option<Error>,
}

/// Every task.
pub const TASKS: &[Task] = &[
    Task { name: c"cleanup", pace: Pace { every: minutes(10), at_a_wish: None }, run: cleanup },
    Task { name: c"heartbeat", pace: Pace { every: Duration::from_secs(1), at_a_wish: None }, run: heartbeat },
    // A key set is published for hours before it is used, as a rule. Whoever sends tokens can wish for it to be fetched.
    Task {
        name: c"issuer_keys",
        pace: Pace { every: minutes(60), at_a_wish: Some(Duration::from_secs(30)) },
        run: issuer_keys,
    },
    // Who has left reads nothing some seconds after WorkOS knows.
    Task { name: c"events", pace: Pace { every: Duration::from_secs(5), at_a_wish: None }, run: events },
    Task { name: c"reconciliation", pace: Pace { every: minutes(1), at_a_wish: None }, run: reconciliation },
];

const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// How many rows of a table a transaction removes.
const BATCH: i32 = 1000;

/// `auth.cleanup()`, again and again while there is enough to remove.
fn cleanup() -> Result<Run> {
    // The settings of the SQL function.
    for name in [c"enable_seqscan", c"jit"] {
        setting::set(name, c"off", Lifetime::Transaction);
    }
    let count = operating::cleanup(Some(BATCH))?;
    Ok(Run { count, is_unfinished: count >= i64::from(BATCH), failed: None })
}

/// `auth.send_heartbeat()`, in a database that has verifiers.
fn heartbeat() -> Result<Run> {
    let beat = verifier::send_heartbeat_if_heard()?;
    Ok(Run { count: beat.map_or(0, |_| 1), is_unfinished: false, failed: None })
}

/// What a run over all addresses has come to.
#[derive(Default)]
struct Round {
    address: Option<String>,
    keys: i64,
    failed: Option<Error>,
}

/// `auth.refresh_issuer_keys()`, an address at a time: heartbeats do not wait for all servers.
fn issuer_keys() -> Result<Run> {
    thread_local! {
        static ROUND: RefCell<Round> = RefCell::default();
    }
    // Taken: where this fails, the next run begins anew.
    let round = ROUND.take();
    Ok(match issuers::refresh_keys_of_next(round.address.as_deref())? {
        Some((address, keys, failed)) => {
            let count = round.keys.saturating_add(keys);
            ROUND.set(Round { address: Some(address), keys: count, failed: round.failed.or(failed) });
            Run { count, is_unfinished: true, failed: None }
        }
        None => Run { count: round.keys, is_unfinished: false, failed: round.failed },
    })
}

/// `auth.sync_workos()`, a page at a time, where somebody has begun to follow WorkOS.
fn events() -> Result<Run> {
    let nothing = Run { count: 0, is_unfinished: false, failed: None };
    if !mirror::is_followed()? {
        return Ok(nothing);
    }
    Ok(match sync::next_page(&Transactions::OfWorker) {
        Ok(synced) => Run { count: synced.events, is_unfinished: synced.has_more, failed: None },
        // The other task does it.
        Err(error) if error.code() == ErrorCode::ReconciliationNeeded => nothing,
        // It is written down, and that is to stay.
        Err(error) => Run { failed: Some(error), ..nothing },
    })
}

/// `auth.reconcile_workos()`, a page at a time, where it is due.
fn reconciliation() -> Result<Run> {
    thread_local! {
        /// Its lock is not to be given up while the process ends, when there are no locks any more.
        static UNDER_WAY: RefCell<Option<ManuallyDrop<Reconciliation>>> = const { RefCell::new(None) };
    }
    let transactions = Transactions::OfWorker;
    // Taken: where Postgres raises an error, the next run begins anew.
    let under_way = match UNDER_WAY.take() {
        Some(under_way) => Some(ManuallyDrop::into_inner(under_way)),
        None if mirror::is_reconciliation_due()? => Reconciliation::begin_in_worker(&transactions)?,
        None => None,
    };
    let Some(mut under_way) = under_way else { return Ok(Run { count: 0, is_unfinished: false, failed: None }) };
    let outcome = under_way.step(&transactions);
    let run = Run { count: under_way.items(), is_unfinished: false, failed: None };
    let run = match outcome {
        Ok(false) => return Ok(run),
        Ok(true) => Run { is_unfinished: true, ..run },
        Err(error) => Run { failed: Some(error), ..run },
    };
    UNDER_WAY.set(Some(ManuallyDrop::new(under_way)));
    Ok(run)
}
