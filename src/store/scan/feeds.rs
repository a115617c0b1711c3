//! What feeds a verifier, and whose the rows are that it was fed.

use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::verifier::{Feed, Heartbeat};

use super::table::{Key, ScannedRow, Table, collect, row_by_key, search_all_rows};
use super::{
    FEEDS, HEARTBEAT, LiveSession, ORGANIZATIONS, SESSIONS, SIGNING_KEYS, SUBSCRIBED, SUBSCRIPTIONS, VERIFIER,
};

/// Whether a change of this relation may be one of what feeds a verifier. Called where nothing may be allocated or raised.
pub fn concerns_feeds(relation: pg_sys::Oid) -> bool {
    relation == pg_sys::InvalidOid || FEEDS.is(relation) || !FEEDS.is_known()
}

/// What stands for the issuers that feed a verifier in `auth.ended_sessions`.
pub const FED: &str = "";

/// The row of `auth.verifier`, in a database that only verifies.
pub struct VerifierRow {
    /// where its issuers are
    pub issuer_database: Option<String>,
}

/// It, if there is one.
pub fn verifier() -> Option<VerifierRow> {
    search_all_rows(&VERIFIER, |row| Some(VerifierRow { issuer_database: row.get(c"issuer_database") }))
}

/// The last heartbeat of an issuer.
pub struct HeartbeatRow {
    /// which subscription has brought it into a verifier
    pub subscription: Option<pg_sys::Oid>,
    /// the claim `iss` of the tokens that are signed there
    pub issuer: Option<String>,
    /// their claim `aud`
    pub audience: Option<String>,
    /// when it was sent, and whether all before it have arrived
    pub heartbeat: Heartbeat,
}

/// That of every issuer that feeds this database; at an issuer, its own.
pub fn heartbeats() -> Vec<HeartbeatRow> {
    collect(&HEARTBEAT, &[], None, |row| {
        Some(HeartbeatRow {
            subscription: row.get(c"subscription"),
            issuer: row.get(c"issuer"),
            audience: row.get(c"audience"),
            heartbeat: Heartbeat { sent_at: row.micros(c"sent_at")?, is_whole: row.get(c"is_whole")? },
        })
    })
}

/// A subscription that feeds a verifier.
#[derive(Clone, Copy)]
pub struct FeedRow {
    /// `pg_subscription.oid`
    pub subscription: pg_sys::Oid,
    /// whether it feeds all that a verifier needs, has copied it, and is what it was then
    pub feed: Feed,
    /// since when all of its sessions are known, in Postgres's own microseconds
    pub known_since: Option<i64>,
}

/// Every one.
pub fn feeds() -> Vec<FeedRow> {
    let tables = [&SESSIONS, &SIGNING_KEYS, &ORGANIZATIONS, &HEARTBEAT].map(subscriptions_to);
    let mut all: Vec<_> = tables.iter().flatten().map(|(subscription, _)| *subscription).collect();
    all.sort_unstable_by_key(|subscription| subscription.to_u32());
    all.dedup();
    let read = |subscription| {
        let copied = row_by_key(&FEEDS, &[Key::Oid(c"subscription", subscription)], None, |row| {
            (row.get::<Vec<String>>(c"publications"), row.micros(c"known_since"))
        });
        let is_whole = tables.iter().all(|table| table.contains(&(subscription, READY)))
            && copied
                .as_ref()
                .is_some_and(|(publications, _)| publications.is_some() && *publications == subscribed(subscription));
        FeedRow {
            subscription,
            feed: if is_whole { Feed::Whole } else { Feed::Partial },
            known_since: copied.and_then(|(_, known_since)| known_since),
        }
    };
    all.into_iter().map(read).collect()
}

/// To which publications a subscription is subscribed.
fn subscribed(subscription: pg_sys::Oid) -> Option<Vec<String>> {
    row_by_key(&SUBSCRIPTIONS, &[Key::Oid(c"oid", subscription)], None, |row| row.get(c"subpublications"))?
}

/// Whether a subscription is making its first copy of `auth.heartbeat` (`SUBREL_STATE_DATASYNC`, pg_subscription_rel.h).
pub fn is_copying_heartbeat(subscription: pg_sys::Oid) -> bool {
    subscriptions_to(&HEARTBEAT).contains(&(subscription, b'd'.cast_signed()))
}

/// Whether another subscription than this one has fed the verifier.
pub fn has_another_feed(subscription: pg_sys::Oid) -> bool {
    search_all_rows(&FEEDS, |row| match is_fed_by(row, subscription) {
        true => None,
        false => Some(()),
    })
    .is_some()
}

/// `SUBREL_STATE_READY`, pg_subscription_rel.h
const READY: i8 = b'r'.cast_signed();

/// The subscriptions that feed a table, and how far each has copied it.
fn subscriptions_to(table: &Table) -> Vec<(pg_sys::Oid, i8)> {
    let Some(table) = table.oid() else { return Vec::new() };
    collect(&SUBSCRIBED, &[Key::Oid(c"srrelid", table)], None, |row| {
        Some((row.get(c"srsubid")?, row.get(c"srsubstate")?))
    })
}

/// The same in a verifier: of the issuer that this subscription brings.
pub fn fed_session(id: Uuid, subscription: pg_sys::Oid) -> Option<LiveSession> {
    row_by_key(&SESSIONS, &[Key::Uuid(c"id", id)], None, |row| match is_fed_by(row, subscription) {
        true => LiveSession::read(row),
        false => None,
    })?
}

/// In a verifier: whether an organization is one of those of the issuer that this subscription brings; `None` where it is not known.
pub fn organization_is_fed_by(id: &str, subscription: pg_sys::Oid) -> Option<bool> {
    row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], None, |row| {
        is_fed_by(row, subscription) && row.get::<String>(c"issuer").is_none()
    })
}

/// Whether an organization is one of an issuer that feeds this database, and not of one that it trusts.
pub fn organization_is_fed(id: &str) -> bool {
    let is_fed =
        |row: &ScannedRow| row.get::<pg_sys::Oid>(c"subscription").is_some() && row.get::<String>(c"issuer").is_none();
    verifier().is_some() && row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], None, is_fed) == Some(true)
}

fn is_fed_by(row: &ScannedRow, subscription: pg_sys::Oid) -> bool {
    row.get(c"subscription") == Some(subscription)
}
