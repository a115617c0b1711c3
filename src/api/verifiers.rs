//! Verifiers. Declared in `sql/23_verifiers.sql`; the triggers are attached in `sql/90_protect_tables.sql`.

use std::ffi::CStr;

use pgrx::prelude::*;

use super::triggers::unchanged;
use crate::error::or_raise;
use crate::postgres::replication;
use crate::verifier;

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

/// Trigger of what subscriptions feed: a row says which has brought it, and no other changes it. None of several empties a table.
#[pg_trigger(sql = false)]
fn keep_feeds_apart<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    const SUBSCRIPTION: &str = "subscription";
    let (old, new) = (trigger.old(), trigger.new());
    match &old {
        Some(old) => or_raise(verifier::require_own(old.get_by_name(SUBSCRIPTION).ok().flatten())),
        None if new.is_none() => or_raise(verifier::require_alone()),
        None => {}
    }
    let Some(new) = new else { return Ok(old.map(PgHeapTuple::into_owned)) };
    let mut new = new.into_owned();
    let issuer =
        trigger.table_name().is_ok_and(|table| table == "heartbeat").then(|| new.get_by_name::<String>("issuer"));
    if let Some(Ok(Some(issuer))) = issuer {
        or_raise(verifier::require_not_trusted(&issuer));
    }
    if let Some(subscription) = replication::subscription() {
        or_raise(new.set_by_name(SUBSCRIPTION, subscription).map_err(unchanged));
    }
    Ok(Some(new))
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
