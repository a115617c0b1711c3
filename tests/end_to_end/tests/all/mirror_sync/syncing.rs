//! `auth.sync_workos`: page after page, each with its cursor in one transaction.
#![allow(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use serde_json::json;
use workos_end_to_end::bed::ALICE;
use workos_end_to_end::{Bed, case, lines, refused, refused_as};
use workos_simulator::{Change, DateFormat, EventSettings, Fault, FaultKind, NewEvent};

/// So many events of one organization.
fn rename(bed: &Bed<'_>, times: usize) {
    for n in 0..times {
        let name = format!("Acme {n}");
        bed.simulator().change(Change::RenameOrganization { id: "org_acme".into(), name }).unwrap();
    }
}

fn last_event(bed: &Bed<'_>) -> Option<String> {
    bed.simulator().events().last().map(|event| event["id"].as_str().unwrap().to_owned())
}

async fn name(bed: &Bed<'_>) -> Vec<String> {
    lines(&bed.admin, "select name from auth.organizations where id = 'org_acme'").await.unwrap()
}

#[tokio::test]
async fn every_page_is_asked_for_behind_the_last_one() {
    let bed = Bed::shared("behind").await;
    bed.follows().await;
    // Those of before the comparison are asked for again, by their time.
    bed.sync().await;
    assert_eq!(bed.cursor().await, last_event(&bed));
    let first = bed.asked_for_events();
    assert_eq!(first.len(), 1);
    assert!(
        first[0].parameter("range_start").is_some() && first[0].parameter("after").is_none(),
        "{:?}",
        first[0].query
    );

    bed.simulator().clear_requests();
    let before = bed.cursor().await;
    rename(&bed, 250);
    bed.sync().await;
    assert_eq!(name(&bed).await, ["Acme 249"]);
    assert_eq!(bed.cursor().await, last_event(&bed));
    let asked = bed.asked_for_events();
    assert_eq!(asked.len(), 3);
    assert_eq!(asked[0].parameter("after"), before.as_deref());
    for request in &asked {
        case!(request.query);
        assert_eq!((request.parameter("order"), request.parameter("limit")), (Some("asc"), Some("100")));
        assert!(request.parameter("events").unwrap().contains("dsync.user.deleted,"));
        assert_eq!(request.parameter("range_start"), None);
    }
    // Where nothing is new, the cursor stays: WorkOS says none at the end of its list.
    bed.sync().await;
    assert_eq!(bed.cursor().await, last_event(&bed));
    assert_eq!(bed.count("select count(*) from auth.workos_sync where age < interval '1 minute'").await, 1);
}

#[tokio::test]
async fn a_call_reads_no_more_pages_than_it_is_told_to() {
    let bed = Bed::shared("bounded").await;
    bed.follows().await;
    bed.sync().await;
    rename(&bed, 250);
    bed.admin.batch_execute("call auth.sync_workos(max_pages => 2)").await.unwrap();
    assert_eq!(name(&bed).await, ["Acme 199"]);
    bed.admin.batch_execute("call auth.sync_workos(1)").await.unwrap();
    assert_eq!(name(&bed).await, ["Acme 249"]);
}

/// The next statement of whoever has left finds no session, in whatever transaction it is.
#[tokio::test]
async fn whoever_has_left_is_out_when_the_page_is_committed() {
    let bed = Bed::shared("left").await;
    bed.follows().await;
    let alice = bed.sign_in(ALICE).await;
    bed.departs("alice");
    assert!(bed.lives(&alice).await);
    bed.sync().await;
    assert!(!bed.lives(&alice).await);
}

#[tokio::test]
async fn what_workos_does_otherwise_does_no_harm() {
    let bed = Bed::shared("otherwise").await;
    bed.follows().await;
    bed.sync().await;
    for (what, fault) in [
        ("every event twice", Some(FaultKind::RepeatedEvents)),
        ("types that nobody asked for", Some(FaultKind::EventFilterIgnored)),
        ("nothing", None),
    ] {
        case!(what);
        bed.simulator().clear_faults();
        if let Some(kind) = fault {
            bed.simulator().set_fault(Fault::events(kind)).unwrap();
        }
        let dates = if what == "nothing" { DateFormat::Spaced } else { DateFormat::Iso };
        bed.simulator().set_events(EventSettings { hold_back_ms: 0, dates, ..EventSettings::default() });
        let new =
            |event: &str| NewEvent { id: None, event: event.into(), data: json!({ "id": 7 }), organization_id: None };
        bed.simulator().put_event(new("flag.created"));
        rename(&bed, 120);
        bed.simulator().put_event(new("nobody.knows_it"));
        rename(&bed, 1);
        bed.admin.batch_execute("call auth.sync_workos()").await.unwrap();
        assert_eq!(name(&bed).await, ["Acme 0"]);
        assert_eq!(bed.cursor().await, last_event(&bed));
    }
    let known = "select count(*) from auth.workos_events where event = 'organization.updated'";
    assert_eq!(bed.count(known).await, 3 * 121);
}

#[tokio::test]
async fn what_was_applied_stays_where_a_later_page_fails() {
    let bed = Bed::shared("later_page").await;
    bed.follows().await;
    bed.sync().await;
    rename(&bed, 250);
    bed.admin.batch_execute("call auth.sync_workos(1)").await.unwrap();
    bed.simulator().set_fault(Fault::events(FaultKind::Status { code: 500, body: None })).unwrap();
    let cursor = bed.cursor().await;
    refused(bed.admin.batch_execute("call auth.sync_workos()").await, "workos_unavailable");
    assert_eq!((bed.cursor().await, name(&bed).await), (cursor, vec!["Acme 99".to_owned()]));
    let failed = "select last_error from auth.workos_sync where failed_at > page_at";
    assert!(lines(&bed.admin, failed).await.unwrap()[0].starts_with("WA308: workos_unavailable: "));
    bed.simulator().clear_faults();
    bed.sync().await;
    assert_eq!(name(&bed).await, ["Acme 249"]);
    assert_eq!(lines(&bed.admin, failed).await.unwrap(), [""; 0]);
}

/// An event that cannot be applied keeps its page back, and nothing of it is applied; the others of before stay.
#[tokio::test]
async fn an_event_that_cannot_be_read_is_skipped_by_hand() {
    let bed = Bed::shared("malformed").await;
    bed.follows().await;
    bed.sync().await;
    rename(&bed, 1);
    let data = json!({ "id": "not an id" });
    let new = NewEvent { id: None, event: "organization.updated".into(), data, organization_id: None };
    let id = bed.simulator().put_event(new);
    rename(&bed, 2);
    let error = refused(bed.admin.batch_execute("call auth.sync_workos()").await, "event_malformed");
    assert!(error.detail.contains(&id), "{error}");
    assert!(lines(&bed.admin, "select last_error from auth.workos_sync").await.unwrap()[0].contains(&id));
    assert_ne!(name(&bed).await, ["Acme 0"]);
    bed.admin.execute("select auth.skip_event($1)", &[&id]).await.unwrap();
    bed.sync().await;
    assert_eq!(name(&bed).await, ["Acme 1"]);
}

#[tokio::test]
async fn two_at_once_apply_nothing_twice() {
    let bed = Bed::shared("at_once").await;
    bed.follows().await;
    bed.sync().await;
    rename(&bed, 450);
    bed.simulator().set_fault(Fault::events(FaultKind::Delay { ms: 50 })).unwrap();
    bed.simulator().clear_requests();
    let (one, other) = (bed.superuser().await, bed.superuser().await);
    let call = "call auth.sync_workos()";
    let (first, second) = tokio::join!(one.batch_execute(call), other.batch_execute(call));
    first.unwrap();
    second.unwrap();
    assert_eq!(name(&bed).await, ["Acme 449"]);
    let mut cursors: Vec<_> =
        bed.asked_for_events().iter().map(|request| request.parameter("after").map(str::to_owned)).collect();
    cursors.pop();
    let all = cursors.len();
    cursors.dedup();
    assert_eq!((cursors.len(), all), (5, 5), "a page was asked for twice");
}

/// While it waits for WorkOS, VACUUM and everybody else go on; a cancel ends it at once.
#[tokio::test]
async fn a_call_that_waits_holds_neither_lock_nor_snapshot() {
    let bed = Bed::shared("waits").await;
    bed.follows().await;
    bed.sync().await;
    bed.set("workos_auth.request_timeout", "60s").await;
    bed.simulator().set_fault(Fault::events(FaultKind::Hang).times(1)).unwrap();
    bed.simulator().clear_requests();
    let waiting = bed.superuser().await;
    let pid: i32 = waiting.query_one("select pg_backend_pid()", &[]).await.unwrap().get(0);
    let task = tokio::spawn(async move { waiting.batch_execute("call auth.sync_workos()").await });
    let deadline = Instant::now() + Duration::from_secs(60);
    while bed.asked_for_events().is_empty() {
        assert!(Instant::now() < deadline, "it does not ask WorkOS");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let holds = format!("select backend_xmin is null and backend_xid is null from pg_stat_activity where pid = {pid}");
    assert_eq!(lines(&bed.admin, &holds).await.unwrap(), ["t"]);
    let locks = format!(
        "select count(*) from pg_locks where pid = {pid} and locktype in ('relation', 'tuple', 'transactionid')"
    );
    assert_eq!(lines(&bed.admin, &locks).await.unwrap(), ["0"]);
    let began = Instant::now();
    bed.admin.execute("select pg_cancel_backend($1)", &[&pid]).await.unwrap();
    refused_as(task.await.unwrap(), "57014");
    assert!(began.elapsed() < Duration::from_secs(10));
    bed.sync().await;
}

/// A page that is too large is asked for again with fewer events.
#[tokio::test]
async fn a_page_that_is_too_large_comes_in_parts() {
    let bed = Bed::shared("too_large").await;
    bed.follows().await;
    bed.sync().await;
    rename(&bed, 30);
    bed.simulator().clear_requests();
    bed.simulator()
        .set_fault(Fault::events(FaultKind::OversizedBody { bytes: 50 << 20, chunked: true }).times(1))
        .unwrap();
    bed.sync().await;
    assert_eq!(name(&bed).await, ["Acme 29"]);
    let limits: Vec<_> =
        bed.asked_for_events().iter().map(|request| request.parameter("limit").unwrap().to_owned()).collect();
    assert_eq!(limits[..2], ["100", "10"]);
}
