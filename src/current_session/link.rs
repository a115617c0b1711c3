//! In a database that only verifies: whose tokens it believes, whether the link to each of these issuers is up, and what a session that is not
//! there means.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pgrx::prelude::*;
use workos_auth_core::token::Claims;
use workos_auth_core::verifier::{self, Feed, Heartbeat, Link};
use workos_auth_core::{Error, ErrorCode, Result};

use super::keys::{self, KnownKey};
use crate::postgres::clock::{self, unix_seconds};
use crate::postgres::snapshot::SnapshotStamp;
use crate::settings;
use crate::store::scan::{self, FeedRow, HeartbeatRow};

/// Who signs, and for whom.
pub struct Signer {
    /// what `iss` must be
    pub issuer: Rc<str>,
    /// what `aud` must hold
    pub audience: Rc<str>,
}

thread_local! {
    /// What feeds this database.
    static FEEDS: RefCell<Option<Rc<[FeedRow]>>> = const { RefCell::new(None) };
    /// The last heartbeats, read again as soon as anything was written anywhere.
    static HEARTBEATS: RefCell<Option<(SnapshotStamp, Rc<[Arrived]>)>> = const { RefCell::new(None) };
}

/// Set when Postgres says that a row of `pg_subscription` or `pg_subscription_rel` changed, or of `auth.feeds`.
struct Stale(Cell<bool>);

// SAFETY: a backend has one thread.
unsafe impl Sync for Stale {}

static STALE: Stale = Stale(Cell::new(true));

/// The last heartbeat of an issuer, which a subscription has brought.
struct Arrived {
    subscription: pg_sys::Oid,
    signer: Signer,
    heartbeat: Heartbeat,
}

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
    if scan::concerns_feeds(relation) {
        STALE.0.set(true);
    }
}

/// Allocates nothing and raises nothing: it may be called at any point where a lock is taken.
unsafe extern "C-unwind" fn subscription_changed(_: pg_sys::Datum, _: i32, _: u32) {
    STALE.0.set(true);
}

/// Refuses every token where none of our own can be good: where nothing was set up, or where nothing feeds a verifier.
///
/// # Errors
/// `provider_not_configured`, `verifier_stale`.
pub fn require_signer() -> Result<()> {
    match keys::is_verifier() {
        true if settings::check_sessions() && feeds().is_empty() => require_fresh(None),
        true => Ok(()),
        false => require_fresh(None).and_then(|()| keys::issuer().map(drop)),
    }
}

/// The key of this `kid`, and who signs with it; in a verifier, where what it knows of that issuer is new enough to be believed.
///
/// # Errors
/// `bad_jwt_key`, `verifier_stale`, `provider_not_configured`.
pub fn key(kid: &str) -> Result<(Rc<KnownKey>, Signer)> {
    let Some(key) = keys::find(kid) else {
        require_signer()?;
        // It may be one that has not arrived yet.
        require_all_fresh()?;
        return Err(ErrorCode::BadJwtKey.into());
    };
    require_fresh(key.subscription)?;
    let signer = match key.subscription {
        None => Signer { issuer: keys::issuer()?, audience: settings::audience().into() },
        Some(subscription) => {
            let of_issuer = |arrived: &Arrived| Signer {
                issuer: Rc::clone(&arrived.signer.issuer),
                audience: Rc::clone(&arrived.signer.audience),
            };
            arrived(subscription, of_issuer).ok_or_else(verifier::without_heartbeat)?
        }
    };
    Ok((key, signer))
}

/// Refuses the tokens of an issuer where this database only verifies, and what this subscription has brought of it may be old.
fn require_fresh(subscription: Option<pg_sys::Oid>) -> Result<()> {
    if !settings::check_sessions() {
        return Ok(());
    }
    let feeds = feeds();
    let feed = match keys::is_verifier() {
        // A database that is fed and was not made a verifier believes nothing.
        false if feeds.is_empty() => return Ok(()),
        false => Feed::Uncalled,
        true => feeds.iter().find(|row| Some(row.subscription) == subscription).map_or(Feed::Absent, |row| row.feed),
    };
    let heartbeat = subscription.and_then(|subscription| arrived(subscription, |arrived| arrived.heartbeat));
    verifier::require_fresh(Link { feed, heartbeat }, clock::now(), settings::max_replication_lag())
}

/// Refuses where anything that this database is fed may be old: it says whose an organization is.
///
/// # Errors
/// `verifier_stale`.
pub fn require_all_fresh() -> Result<()> {
    let feeds = feeds();
    if feeds.is_empty() {
        return match keys::is_verifier() {
            true => require_fresh(None),
            false => Ok(()),
        };
    }
    feeds.iter().try_for_each(|row| require_fresh(Some(row.subscription)))
}

/// Whether these are tokens of our own: of this installation, or of an issuer that feeds this database.
pub fn is_own(issuer: &str) -> bool {
    match keys::is_verifier() {
        true => heartbeats().iter().any(|arrived| *arrived.signer.issuer == *issuer),
        false => keys::issuer().is_ok_and(|own| *own == *issuer),
    }
}

fn feeds() -> Rc<[FeedRow]> {
    let known = if STALE.0.get() { None } else { FEEDS.with_borrow(Clone::clone) };
    known.unwrap_or_else(|| {
        // Before the scan: what changes during it is looked at again, and an error in it leaves nothing that is old.
        STALE.0.set(false);
        FEEDS.set(None);
        let feeds: Rc<[FeedRow]> = scan::feeds().into();
        FEEDS.set(Some(Rc::clone(&feeds)));
        feeds
    })
}

/// Read again as soon as anything was written anywhere; the age is looked at each time.
fn heartbeats() -> Rc<[Arrived]> {
    // Before the look, which sees no less.
    let stamp = SnapshotStamp::now();
    let known = HEARTBEATS.with_borrow(|known| {
        known.as_ref().filter(|(seen, _)| Some(*seen) == stamp).map(|(_, heartbeats)| Rc::clone(heartbeats))
    });
    known.unwrap_or_else(|| {
        let heartbeats: Rc<[Arrived]> = scan::heartbeats().into_iter().filter_map(Arrived::read).collect();
        HEARTBEATS.set(stamp.map(|stamp| (stamp, Rc::clone(&heartbeats))));
        heartbeats
    })
}

impl Arrived {
    fn read(row: HeartbeatRow) -> Option<Self> {
        let signer = Signer { issuer: row.issuer?.into(), audience: row.audience?.into() };
        Some(Self { subscription: row.subscription?, signer, heartbeat: row.heartbeat })
    }
}

fn arrived<T>(subscription: pg_sys::Oid, read: impl FnOnce(&Arrived) -> T) -> Option<T> {
    heartbeats().iter().find(|arrived| arrived.subscription == subscription).map(read)
}

/// Whether the session of a token that is not there is one that the issuer has opened, and that has not arrived yet.
pub fn is_on_its_way(claims: &Claims, subscription: pg_sys::Oid) -> bool {
    let feeds = feeds();
    let Some(feed) = feeds.iter().find(|row| row.subscription == subscription) else { return false };
    let Some(sent_at) = arrived(subscription, |arrived| arrived.heartbeat.sent_at) else { return false };
    let session = claims.session_id.to_string();
    let was_here = scan::sessions_ended_at(scan::FED, &session, "", "").is_some();
    !verifier::has_ended(claims.iat, unix_seconds(sent_at), was_here, feed.known_since.map(unix_seconds))
}

/// Refuses a token that names an organization of another issuer than the one that has signed it.
///
/// # Errors
/// `organization_of_another_issuer`; `verifier_stale` where the organization may be of either.
pub fn require_organization(claims: &Claims, subscription: pg_sys::Oid, has_arrived: bool) -> Result<()> {
    let Some(organization) = &claims.org_id else { return Ok(()) };
    let feeds = feeds();
    let feed = feeds.iter().find(|row| row.subscription == subscription).map_or("", |row| &row.name);
    match scan::organization_is_fed_by(organization, feed) {
        Some(true) => Ok(()),
        // It comes with its first session, where it can be nobody else's.
        None if !has_arrived && feeds.len() < 2 && !scan::has_organizations_of_others(feed) => Ok(()),
        None if !has_arrived => Err(verifier::stale(
            "The organization of the token has not arrived, and several issuers feed this database.",
        )),
        Some(false) | None => Err(Error::with_detail(
            ErrorCode::OrganizationOfAnotherIssuer,
            "auth.organizations.feed says which subscription has brought it.",
        )),
    }
}
