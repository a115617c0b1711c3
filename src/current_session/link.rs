//! In a database that only verifies: whether the link to the issuer is up, and what a session that is not there means.

use std::cell::Cell;

use pgrx::prelude::*;
use workos_auth_core::Result;
use workos_auth_core::token::Claims;
use workos_auth_core::verifier::{self, Feed, Heartbeat, Link};

use super::keys;
use crate::postgres::clock::{self, unix_seconds};
use crate::postgres::snapshot::SnapshotStamp;
use crate::settings;
use crate::store::scan;

/// What was found of the subscription, dropped when Postgres says that a row of `pg_subscription` or `pg_subscription_rel` changed, or of
/// `auth.verifier`.
struct Fed(Cell<Option<Feed>>);

// SAFETY: a backend has one thread.
unsafe impl Sync for Fed {}

static FED: Fed = Fed(Cell::new(None));

/// Registers the callbacks through which Postgres says that a subscription feeds another table, or in another state.
pub fn register() {
    for cache in [pg_sys::SysCacheIdentifier::SUBSCRIPTIONRELMAP, pg_sys::SysCacheIdentifier::SUBSCRIPTIONOID] {
        // SAFETY: in _PG_init; the callback is a function of this library, which is never unloaded.
        unsafe {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(subscription_changed), pg_sys::Datum::null());
        }
    }
    // SAFETY: as above.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null()) };
}

/// As [`subscription_changed`].
unsafe extern "C-unwind" fn relation_changed(_: pg_sys::Datum, relation: pg_sys::Oid) {
    if scan::concerns_verifier(relation) {
        FED.0.set(None);
    }
}

/// Allocates nothing and raises nothing: it may be called at any point where a lock is taken.
unsafe extern "C-unwind" fn subscription_changed(_: pg_sys::Datum, _: i32, _: u32) {
    FED.0.set(None);
}

/// Refuses every token where this database only verifies, and what it knows may be old.
///
/// # Errors
/// `verifier_stale`.
pub fn require_fresh() -> Result<()> {
    let feed = feed();
    // A database that is fed and was not made a verifier believes nothing either.
    if !settings::check_sessions() || feed == Feed::Absent && keys::verifier().is_none() {
        return Ok(());
    }
    verifier::require_fresh(Link { feed, heartbeat: heartbeat() }, clock::now(), settings::max_replication_lag())
}

fn feed() -> Feed {
    FED.0.get().unwrap_or_else(|| {
        // What changes during the scan is looked at again.
        FED.0.set(Some(Feed::Uncalled));
        let feed = scan::feed();
        if FED.0.get().is_some() {
            FED.0.set(Some(feed));
        }
        feed
    })
}

/// Read again as soon as anything was written anywhere; the age is looked at each time.
fn heartbeat() -> Option<Heartbeat> {
    thread_local! {
        static LAST: Cell<Option<(SnapshotStamp, Option<Heartbeat>)>> = const { Cell::new(None) };
    }
    // Before the look, which sees no less.
    let stamp = SnapshotStamp::now();
    match (stamp, LAST.get()) {
        (Some(stamp), Some((seen, heartbeat))) if seen == stamp => heartbeat,
        _ => {
            let heartbeat = scan::heartbeat();
            LAST.set(stamp.map(|stamp| (stamp, heartbeat)));
            heartbeat
        }
    }
}

/// Whether the session of a token that is not there is one that the issuer has opened, and that has not arrived yet. Only in a database that
/// only verifies.
pub fn is_on_its_way(claims: &Claims) -> bool {
    let Some(known_since) = keys::verifier() else { return false };
    let Some(heartbeat) = heartbeat() else { return false };
    let session = claims.session_id.to_string();
    let was_here = scan::sessions_ended_at(scan::FED, &session, "", "").is_some();
    !verifier::has_ended(claims.iat, unix_seconds(heartbeat.sent_at), was_here, known_since.map(unix_seconds))
}
