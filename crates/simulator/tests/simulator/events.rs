//! `GET /events`: in which order, when, and what goes wrong.

use std::time::Duration;

use crate::common::{api, http, start};
use reqwest::Method;
use serde_json::{Value, json};
use workos_simulator::{DateFormat, EventSettings, Fault, FaultKind, NewEvent, Simulator};

const HOLD_BACK: Duration = Duration::from_secs(3);

fn put(simulator: &Simulator, event: &str, organization: Option<&str>) -> String {
    let organization_id = organization.map(str::to_owned);
    simulator.put_event(NewEvent { id: None, event: event.into(), data: json!({"n": 1}), organization_id })
}

fn page(simulator: &Simulator, query: &str) -> Value {
    let (status, page) = api(simulator, Method::GET, &format!("/events?{query}"), json!(null));
    assert_eq!(status, 200, "{query}: {page}");
    assert_eq!(page["object"], "list");
    page
}

fn ids(page: &Value) -> Vec<String> {
    page["data"].as_array().unwrap().iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

fn put_many(simulator: &Simulator, count: usize) -> Vec<String> {
    let ids = (0..count).map(|_| put(simulator, "a.b", None)).collect();
    simulator.advance_clock(HOLD_BACK);
    ids
}

#[test]
fn an_event_is_held_back_for_a_while() {
    let simulator = start();
    // Longer than a busy machine needs.
    simulator.set_events(EventSettings { hold_back_ms: 60_000, ..EventSettings::default() });
    let first = put(&simulator, "a.b", None);
    assert_eq!(ids(&page(&simulator, "events=a.b")), Vec::<String>::new());
    simulator.advance_clock(Duration::from_secs(60));
    let second = put(&simulator, "a.b", None);
    assert_eq!(ids(&page(&simulator, "events=a.b")), vec![first.clone()]);
    // What a consumer loses that moves its cursor by a webhook's id.
    assert_eq!(ids(&page(&simulator, &format!("events=a.b&after={second}"))), vec![first.clone()], "it is unknown yet");
    simulator.set_events(EventSettings { hold_back_ms: 0, ..EventSettings::default() });
    assert_eq!(ids(&page(&simulator, "events=a.b")), [first, second]);
}

#[test]
fn events_come_oldest_first_whatever_the_order_and_page_by_page() {
    let simulator = start();
    let all = put_many(&simulator, 12);
    for order in ["", "&order=asc", "&order=desc", "&order=normal"] {
        let page = page(&simulator, &format!("events=a.b{order}"));
        assert_eq!(ids(&page), all[..10], "{order}");
        assert_eq!(page["list_metadata"], json!({"after": all[9]}));
    }
    let last = page(&simulator, &format!("events=a.b&limit=2&after={}", all[9]));
    assert_eq!(ids(&last), all[10..]);
    assert_eq!(last["list_metadata"], json!({"after": null}), "the end");
    let none = page(&simulator, &format!("events=a.b&after={}", all[11]));
    assert_eq!((ids(&none), &none["list_metadata"]), (vec![], &json!({"after": null})));
    assert_eq!(ids(&page(&simulator, "events=a.b&after=event_unknown&limit=100")), all, "from the beginning");
}

#[test]
fn events_are_filtered() {
    let simulator = start();
    let one = put(&simulator, "a.b", Some("org_acme"));
    let two = put(&simulator, "c.d", Some("org_globex"));
    let three = put(&simulator, "e.f", None);
    simulator.advance_clock(HOLD_BACK);
    assert_eq!(ids(&page(&simulator, "events=a.b,e.f")), [one.clone(), three]);
    assert_eq!(ids(&page(&simulator, "events=a.b,c.d,e.f&organization_id=org_globex")), vec![two.clone()]);
    assert_eq!(
        ids(&page(&simulator, &format!("events=c.d&after={one}"))),
        vec![two.clone()],
        "after one of another type"
    );

    let past = "2020-01-01T00:00:00.000Z";
    assert_eq!(ids(&page(&simulator, &format!("events=a.b&range_start={past}"))), [one]);
    assert_eq!(ids(&page(&simulator, &format!("events=a.b&range_end={past}"))), Vec::<String>::new());
    for wrong in [
        "",
        "events[]=a.b",
        "events=a.b&limit=0",
        "events=a.b&limit=101",
        "events=a.b&range_start=yesterday",
        "events=a.b&range_start=2020-01-01T00:00:00%2B00:00",
        "events=a.b&range_start=2020-01-01T00:00:00Z&range_end=2020-02-01T00:00:00Z",
        &format!("events=a.b&after={two}&range_start={past}"),
    ] {
        let (status, answer) = api(&simulator, Method::GET, &format!("/events?{wrong}"), json!(null));
        assert_eq!((status, &answer["code"]), (422, &json!("invalid_request_parameters")), "{wrong}: {answer}");
    }
    assert_eq!(http().get(format!("{}/events?events=a.b", simulator.url())).send().unwrap().status(), 401);
}

#[test]
fn an_event_is_kept_for_ninety_days() {
    let simulator = start();
    let old = put_many(&simulator, 2);
    simulator.advance_clock(Duration::from_secs(90 * 24 * 60 * 60));
    let new = put_many(&simulator, 2);
    assert_eq!(ids(&page(&simulator, "events=a.b")), new);
    let after = page(&simulator, &format!("events=a.b&after={}", old[1]));
    assert_eq!(ids(&after), new, "from the beginning: the cursor is too old");
}

#[test]
fn dates_are_written_in_both_ways() {
    let simulator = start();
    put_many(&simulator, 1);
    let date = || page(&simulator, "events=a.b")["data"][0]["created_at"].as_str().unwrap().to_owned();
    let iso = date();
    assert!(iso.ends_with('Z') && iso.contains('T'), "{iso}");
    simulator.set_events(EventSettings { dates: DateFormat::Spaced, ..EventSettings::default() });
    assert_eq!(date(), iso.replace('T', " ").trim_end_matches('Z'));
}

#[test]
fn events_of_several_organizations_change_places() {
    let simulator = start();
    simulator.set_events(EventSettings { reorder: Some(1), ..EventSettings::default() });
    let organizations = ["org_acme", "org_globex", "org_initech"];
    let made: Vec<_> = (0..30).map(|n| put(&simulator, "a.b", Some(organizations[n % 3]))).collect();
    simulator.advance_clock(HOLD_BACK);
    let all = ids(&page(&simulator, "events=a.b&limit=100"));
    assert_eq!(all.len(), 30);
    assert_ne!(all, made);
    for (n, organization) in organizations.iter().enumerate() {
        let own = ids(&page(&simulator, &format!("events=a.b&limit=100&organization_id={organization}")));
        let expected: Vec<_> = made.iter().skip(n).step_by(3).cloned().collect();
        assert_eq!(own, expected, "{organization}");
    }
}

#[test]
fn what_goes_wrong_goes_wrong_here_alone() {
    let simulator = start();
    let all = put_many(&simulator, 3);
    put(&simulator, "nobody.knows_it", None);
    simulator.advance_clock(HOLD_BACK);

    simulator.set_fault(Fault::events(FaultKind::RepeatedEvents).times(1)).unwrap();
    let repeated = page(&simulator, "events=a.b&limit=5");
    assert_eq!(ids(&repeated), [&all[0], &all[0], &all[1], &all[1], &all[2]].map(Clone::clone));
    assert_eq!(repeated["list_metadata"]["after"], Value::Null, "what is left has been");
    simulator.set_fault(Fault::events(FaultKind::EventFilterIgnored).times(1)).unwrap();
    let types = page(&simulator, "events=a.b");
    assert_eq!(types["data"][3]["event"], "nobody.knows_it");

    simulator.set_fault(Fault::events(FaultKind::RateLimited { retry_after: None }).times(1)).unwrap();
    assert_eq!(api(&simulator, Method::GET, "/organizations", json!(null)).0, 200);
    assert_eq!(api(&simulator, Method::GET, "/events?events=a.b", json!(null)).0, 429);
    simulator.set_fault(Fault::events(FaultKind::TruncatedBody).times(1)).unwrap();
    let cut = http().get(format!("{}/events?events=a.b", simulator.url())).bearer_auth("sk_test_demo").send().unwrap();
    cut.bytes().unwrap_err();
    assert_eq!(ids(&page(&simulator, "events=a.b")), all);
    simulator.set_fault(Fault::api(FaultKind::RepeatedEvents)).unwrap_err();
}

#[test]
fn an_event_may_come_twice_with_one_id() {
    let simulator = start();
    let put = |id: &str| {
        let id = Some(id.to_owned());
        simulator.put_event(NewEvent { id, event: "a.b".into(), data: json!({}), organization_id: None })
    };
    for id in ["event_1", "event_2", "event_1"] {
        assert_eq!(put(id), id);
    }
    simulator.advance_clock(HOLD_BACK);
    assert_eq!(ids(&page(&simulator, "events=a.b")), ["event_1", "event_2", "event_1"]);
    assert_eq!(ids(&page(&simulator, "events=a.b&after=event_1")), Vec::<String>::new(), "its last place counts");
}

#[test]
fn events_are_put_in_and_listed_over_http() {
    let simulator = start();
    let post = |what: &str, body: Value| api(&simulator, Method::POST, &format!("/_simulator/{what}"), body);
    let (status, put) = post("events", json!({"event": "organization.deleted", "data": {"id": "org_acme"}}));
    assert_eq!(status, 200);
    let settings = json!({"hold_back_ms": 0, "dates": "spaced", "reorder": 3});
    assert_eq!(api(&simulator, Method::PUT, "/_simulator/events/settings", settings).0, 204);
    let listed = page(&simulator, "events=organization.deleted&organization_id=org_acme");
    assert_eq!(ids(&listed), [put["id"].as_str().unwrap()]);
    let (_, all) = api(&simulator, Method::GET, "/_simulator/events", json!(null));
    assert_eq!(all["events"], listed["data"]);

    let (status, made) = post("changes", json!({"create_user": {"email": "a@acme.com"}}));
    assert_eq!(status, 200, "{made}");
    let user = made["id"].as_str().unwrap();
    assert_eq!(post("changes", json!({"delete_user": {"id": user}})).0, 200);
    assert_eq!(post("changes", json!({"delete_user": {"id": user}})).0, 404);
    assert_eq!(post("changes", json!({"delete_user": {"who": user}})).0, 422);
    assert_eq!(simulator.events().len(), 3);
}
