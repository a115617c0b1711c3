//! Verifiers. Declared in `sql/23_verifiers.sql`; the triggers are attached in `sql/90_protect_tables.sql`.

use std::ffi::CStr;

use pgrx::prelude::*;

use super::triggers::unchanged;
use crate::error::or_raise;
use crate::postgres::replication;
use crate::verifier::{self, Fate};

#[pg_extern(sql = false)]
fn publish_sessions(publication: Option<&CStr>) {
    let publication = publication.map(|name| name.to_string_lossy());
    or_raise(verifier::publish(publication.as_deref()));
}

#[pg_extern(sql = false)]
fn send_heartbeat() -> Option<i64> {
    or_raise(verifier::send_heartbeat())
}

#[pg_extern(sql = false)]
fn become_verifier(issuer_database: Option<&str>) {
    or_raise(verifier::become_verifier(issuer_database));
}

#[pg_extern(sql = false)]
fn stop_verifying() {
    or_raise(verifier::stop_verifying());
}

/// What `auth.check()` reports of publications and of a verifier.
#[pg_extern(sql = false)]
fn check_verifier() -> TableIterator<
    'static,
    (name!(severity, &'static str), name!(object, String), name!(finding, String), name!(remedy, String)),
> {
    let findings = or_raise(verifier::findings());
    TableIterator::new(findings.into_iter().map(|found| (found.severity, found.object, found.finding, found.remedy)))
}

type Row<'a> = PgHeapTuple<'a, AllocatedByPostgres>;

/// Trigger of the tables of a verifier, where a subscription changes them: a row says which has brought it, and no other changes it.
#[pg_trigger(sql = false)]
fn keep_feeds_apart<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let (old, new) = (trigger.old(), trigger.new());
    let table = trigger.table_name().unwrap_or_default();
    let fate = match &*table {
        "sessions" | "signing_keys" | "heartbeat" | "organizations" if old.is_none() && new.is_none() => {
            or_raise(verifier::require_alone());
            Fate::Taken
        }
        "sessions" | "signing_keys" => brought_by_subscription(old.as_ref()),
        "heartbeat" => {
            heartbeat(old.as_ref(), new.as_ref());
            brought_by_subscription(old.as_ref())
        }
        "organizations" => organization(old.as_ref(), new.as_ref()),
        _ => {
            or_raise(verifier::require_no_feed());
            Fate::Taken
        }
    };
    if fate == Fate::LeftOut {
        return Ok(None);
    }
    let Some(new) = new else { return Ok(old.map(PgHeapTuple::into_owned)) };
    let mut new = new.into_owned();
    let marked = match (&*table, replication::subscription()) {
        ("sessions" | "signing_keys" | "heartbeat", Some(subscription)) => {
            new.set_by_name("subscription", subscription)
        }
        ("organizations", Some(_)) if !verifier::is_noting() => new.set_by_name("feed", verifier::feed()),
        _ => Ok(()),
    };
    or_raise(marked.map_err(unchanged));
    Ok(Some(new))
}

fn brought_by_subscription(old: Option<&Row>) -> Fate {
    if let Some(old) = old {
        or_raise(verifier::require_own(old.get_by_name("subscription").ok().flatten()));
    }
    Fate::Taken
}

fn heartbeat(old: Option<&Row>, new: Option<&Row>) {
    let text = |row: &Row, name| row.get_by_name::<String>(name).ok().flatten();
    let signer = |row: &Row| (row.get_by_name::<pgrx::Uuid>("installation_id").ok().flatten(), text(row, "issuer"));
    if let (Some(old), Some(new)) = (old, new) {
        or_raise(verifier::require_same_issuer(signer(old) == signer(new)));
    }
    if let Some(issuer) = new.and_then(|new| text(new, "issuer")) {
        or_raise(verifier::require_not_trusted(&issuer));
    }
}

fn organization(old: Option<&Row>, new: Option<&Row>) -> Fate {
    let Some(feed) = verifier::feed() else { return Fate::Taken };
    let text = |row: &Row, name| row.get_by_name::<String>(name).ok().flatten();
    match (old, new) {
        (None, Some(new)) => {
            let id = text(new, "id").unwrap_or_default();
            or_raise(verifier::organization(&id, text(new, "issuer").as_deref(), &feed))
        }
        (Some(old), _) => verifier::organization_changes(text(old, "feed").as_deref(), &feed),
        (None, None) => Fate::Taken,
    }
}

/// Trigger of `auth.heartbeat`: the next heartbeat is not the next, or the row is new. In the first copy it is.
#[pg_trigger(sql = false)]
fn mark_lost_heartbeat<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    let mut new = new.into_owned();
    if trigger.old().is_none() && verifier::is_copying_heartbeat() {
        return Ok(Some(new));
    }
    or_raise(new.set_by_name("is_whole", false).map_err(unchanged));
    Ok(Some(new))
}

/// Trigger of `auth.sessions` where a subscription changes it: one has ended, or all are copied, or have ended.
#[pg_trigger(sql = false)]
fn note_ended_session<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let old = trigger.old();
    or_raise(match old.as_ref().and_then(|row| row.get_by_name::<pgrx::Uuid>("id").ok().flatten()) {
        Some(session) => verifier::has_ended(session),
        None => verifier::all_known(trigger.event().fired_by_insert()),
    });
    Ok(old)
}
