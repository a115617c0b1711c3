//! What the background worker does. All of it can also be called.

use std::cell::RefCell;
use std::ffi::CStr;
use std::time::Duration;

use workos_auth_core::worker::Pace;
use workos_auth_core::{Error, Result};

use crate::admin::{issuers, operating};
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
