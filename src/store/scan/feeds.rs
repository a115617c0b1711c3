//! What feeds a verifier, and whose the rows are that it was fed.

use std::ffi::CStr;

use pgrx::prelude::*;
use workos_auth_core::verifier::{Feed, Heartbeat};

use super::table::{Key, ScannedRow, Table, collect, row_by_key, search_all_rows};
use super::tables::{
    ENDED_SESSIONS, FEEDS, HEARTBEAT, IDENTITIES, ISSUER_KEYS, ORGANIZATIONS, SESSIONS, SIGNING_KEYS, SUBSCRIBED,
    SUBSCRIPTIONS, TRUSTED_ISSUERS, VERIFIER,
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
#[derive(Clone)]
pub struct FeedRow {
    /// `pg_subscription.oid`
    pub subscription: pg_sys::Oid,
    /// what it is called
    pub name: String,
    /// whether it feeds all that a verifier needs and nothing else of ours, has copied it, and is what it was then
    pub feed: Feed,
    /// since when all of its sessions are known, in Postgres's own microseconds
    pub known_since: Option<i64>,
}

/// Tables that no subscription may feed, as far as they are read here: they say whom a verifier believes.
static OWN: [&Table; 6] = [&TRUSTED_ISSUERS, &ISSUER_KEYS, &ENDED_SESSIONS, &IDENTITIES, &VERIFIER, &FEEDS];

/// Every one.
pub fn feeds() -> Vec<FeedRow> {
    let tables = [&SESSIONS, &SIGNING_KEYS, &ORGANIZATIONS, &HEARTBEAT].map(subscriptions_to);
    let mut all: Vec<_> = tables.iter().flatten().map(|(subscription, _)| *subscription).collect();
    if all.is_empty() {
        return Vec::new();
    }
    all.sort_unstable_by_key(|subscription| subscription.to_u32());
    all.dedup();
    let others: Vec<_> = OWN.into_iter().flat_map(subscriptions_to).map(|(subscription, _)| subscription).collect();
    let read = |subscription| {
        let (name, subscribed) = row_by_key(&SUBSCRIPTIONS, &[Key::Oid(c"oid", subscription)], None, |row| {
            (name_in(row, c"subname"), row.get::<Vec<String>>(c"subpublications"))
        })?;
        let copied = row_by_key(&FEEDS, &[Key::Oid(c"subscription", subscription)], None, |row| {
            (row.get::<String>(c"name"), row.get::<Vec<String>>(c"publications"), row.micros(c"known_since"))
        });
        let is_as_then =
            copied.as_ref().is_some_and(|(then, publications, _)| *then == name && *publications == subscribed);
        let is_whole = is_as_then
            && tables.iter().all(|table| table.contains(&(subscription, READY)))
            && !others.contains(&subscription);
        Some(FeedRow {
            subscription,
            name: name?,
            feed: if is_whole { Feed::Whole } else { Feed::Partial },
            known_since: copied.and_then(|(.., known_since)| known_since),
        })
    };
    all.into_iter().filter_map(read).collect()
}

/// What a subscription is called.
pub fn subscription_name(subscription: pg_sys::Oid) -> Option<String> {
    row_by_key(&SUBSCRIPTIONS, &[Key::Oid(c"oid", subscription)], None, |row| name_in(row, c"subname"))?
}

fn name_in(row: &ScannedRow, column: &'static CStr) -> Option<String> {
    row.get::<&CStr>(column).map(|name| name.to_string_lossy().into_owned())
}

/// Whether a subscription is making its first copy of `auth.heartbeat` (`SUBREL_STATE_DATASYNC`, pg_subscription_rel.h).
pub fn is_copying_heartbeat(subscription: pg_sys::Oid) -> bool {
    subscriptions_to(&HEARTBEAT).contains(&(subscription, b'd'.cast_signed()))
}

/// Whether the tables hold, or are about to hold, what another subscription than this one brings.
pub fn has_another_feed(subscription: pg_sys::Oid) -> bool {
    feeds().iter().any(|row| row.subscription != subscription)
        || subscription_name(subscription).is_none_or(|name| has_organizations_of_others(&name))
}

/// `SUBREL_STATE_READY`, pg_subscription_rel.h
const READY: i8 = b'r'.cast_signed();

/// The subscriptions that feed a table, and how far each has copied it. One that has taken what is there for copied has no position of a copy,
/// and is not told from one that has copied nothing.
fn subscriptions_to(table: &Table) -> Vec<(pg_sys::Oid, i8)> {
    let Some(table) = table.oid() else { return Vec::new() };
    collect(&SUBSCRIBED, &[Key::Oid(c"srrelid", table)], None, |row| {
        let state = row.get::<i8>(c"srsubstate")?;
        let is_copied = state != READY || row.is_given(c"srsublsn");
        Some((row.get(c"srsubid")?, if is_copied { state } else { 0 }))
    })
}

/// In a verifier: whether an organization is one of those of the issuer that the subscription of this name brings; `None` where it is not
/// known.
pub fn organization_is_fed_by(id: &str, feed: &str) -> Option<bool> {
    organization(id, |row| row.get::<String>(c"feed").as_deref() == Some(feed) && !row.is_given(c"issuer"))
}

/// Whether an organization is one of an issuer that feeds this database, and not of one that it trusts.
pub fn organization_is_fed(id: &str) -> bool {
    verifier().is_some() && organization(id, |row| row.is_given(c"feed") && !row.is_given(c"issuer")) == Some(true)
}

/// Which subscription has brought an organization; `None` within where it was written here.
pub fn feed_of_organization(id: &str) -> Option<Option<String>> {
    organization(id, |row| row.get::<String>(c"feed"))
}

/// Whether some organization was brought by a subscription of another name, which may be about to be made anew.
pub fn has_organizations_of_others(feed: &str) -> bool {
    search_all_rows(&ORGANIZATIONS, |row| row.get::<String>(c"feed").filter(|other| other != feed)).is_some()
}

/// The organizations that several issuers have: each, by which subscription it is believed, and which other one brings it.
pub fn contested_organizations() -> Vec<(String, Option<String>, String)> {
    collect(&ORGANIZATIONS, &[], None, |row| {
        Some((row.get(c"id")?, row.get::<String>(c"feed"), row.get(c"contested_by")?))
    })
}

fn organization<T>(id: &str, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], None, read)
}
