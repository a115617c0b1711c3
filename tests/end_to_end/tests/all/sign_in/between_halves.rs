//! Between the request that a broker carries and the answer that it brings: what others do meanwhile, twice, too late, or not at all.

use futures_util::future::join_all;
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::accounts::{Accounts, GOOGLE};
use workos_end_to_end::bed::{ALICE, ANNA, Bed, Pending, exchange, sign_in, start};
use workos_end_to_end::brokered::{SITE_URL, callback, come_back, come_back_implicitly, exchange_own};
use workos_end_to_end::carried::*;
use workos_end_to_end::case;
use workos_end_to_end::links::Person;
use workos_end_to_end::sql::{refused, refused_as};
use workos_testbed::workos::CLIENT_SECRET;

const APP: &str = "http://localhost:3000/app";
const ACME: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";

async fn bed(name: &str) -> (Bed<'static>, Client) {
    let bed = Bed::shared(name).await;
    bed.set("workos_auth.site_url", SITE_URL).await;
    let broker = bed.broker().await;
    (bed, broker)
}

/// An exchange and a callback that wait for their answers, which are there.
async fn two_wait(broker: &Client) -> [(Pending, Request, Answer); 2] {
    let exchanging = start(broker, ALICE).await;
    let returning = come_back(broker, ACME, ANNA.email).await;
    let request = exchange_request(broker, &exchanging).await.unwrap();
    let answer = ask(&request).await;
    let other = callback_request(broker, &returning).await.unwrap().unwrap();
    let other_answer = ask(&other).await;
    [(exchanging, request, answer), (returning, other, other_answer)]
}

#[tokio::test]
async fn an_answer_is_taken_once_and_by_its_own_half() {
    let (bed, broker) = bed("once").await;
    let [(exchanging, request, answer), (returning, other, other_answer)] = two_wait(&broker).await;
    // Each is the other's business no more than a stranger's.
    for id in [other.exchange_id, Uuid::nil()] {
        refused(exchange_answer(&broker, id, &other_answer).await, "flow_state_not_found");
    }
    for id in [request.exchange_id, Uuid::nil()] {
        callback_answer(&broker, id, &answer).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
    }
    let session = exchange_answer(&broker, request.exchange_id, &answer).await.unwrap();
    assert_eq!(session.email, ALICE.email);
    refused(exchange_answer(&broker, request.exchange_id, &answer).await, "flow_state_not_found");
    refused(exchange_request(&broker, &exchanging).await, "flow_state_not_found");
    let landing = callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap();
    let before = bed.contents().await;
    callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
    assert_eq!(bed.contents().await, before);
    assert_eq!(exchange_own(&broker, &landing.code(), &returning.verifier).await.unwrap().email, ANNA.email);
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 2);
}

#[tokio::test]
async fn while_a_broker_asks_nobody_else_exchanges_the_code() {
    let (bed, broker) = bed("meanwhile").await;
    let [(exchanging, request, answer), (returning, other, other_answer)] = two_wait(&broker).await;
    let before = bed.contents().await;
    let asked = bed.token_requests().len();
    for by_broker in [false, true] {
        case!(by_broker);
        let refusal = match by_broker {
            false => refused(exchange(&broker, &exchanging).await, "conflict"),
            true => refused(exchange_request(&broker, &exchanging).await, "conflict"),
        };
        assert!(refusal.detail.contains("A broker asks WorkOS"), "{refusal}");
        for pending in [&exchanging, &returning] {
            let landing = match by_broker {
                false => callback(&broker, pending).await.unwrap(),
                true => callback_request(&broker, pending).await.unwrap().unwrap_err(),
            };
            landing.is_refused(SITE_URL, "flow_state_already_used");
        }
        // From the callback on, WorkOS's code is refused.
        match by_broker {
            false => refused(exchange(&broker, &returning).await, "flow_state_not_found"),
            true => refused(exchange_request(&broker, &returning).await, "flow_state_not_found"),
        };
    }
    assert_eq!((bed.contents().await, bed.token_requests().len()), (before, asked));
    exchange_answer(&broker, request.exchange_id, &answer).await.unwrap();
    callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap().code();
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_none() {
    let (bed, broker) = bed("late").await;
    let [(exchanging, request, answer), (_, other, other_answer)] = two_wait(&broker).await;
    let in_time = "select count(*) from auth.flow_states where exchange_until between now() + '8 s' and now() + '10 s'";
    assert_eq!(bed.count(in_time).await, 2);
    bed.admin.batch_execute("update auth.flow_states set exchange_until = now() - interval '1 s'").await.unwrap();
    let refusal = refused(exchange_answer(&broker, request.exchange_id, &answer).await, "workos_timeout");
    assert!(refusal.detail.contains("workos_auth.request_timeout"), "{refusal}");
    let landing = callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap();
    landing.is_refused(APP, "workos_timeout");
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 1, "the state of a callback is spent");
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);

    // Another may ask now, and the first one's answer is not the second one's.
    let again = exchange_request(&broker, &exchanging).await.unwrap();
    assert_ne!(again.exchange_id, request.exchange_id);
    refused(exchange_answer(&broker, request.exchange_id, &answer).await, "flow_state_not_found");
    refused(exchange_answer(&broker, again.exchange_id, &ask(&again).await).await, "workos_invalid_grant");
    exchange_answer(&broker, again.exchange_id, &answer).await.unwrap();

    // So may the database itself.
    let pending = start(&broker, ALICE).await;
    exchange_request(&broker, &pending).await.unwrap();
    bed.admin.batch_execute("update auth.flow_states set exchange_until = now() - interval '1 s'").await.unwrap();
    exchange(&broker, &pending).await.unwrap();
}

#[tokio::test]
async fn a_request_that_was_rolled_back_was_never_made() {
    let (bed, broker) = bed("rolled_back").await;
    let (exchanging, returning) = (start(&broker, ALICE).await, come_back(&broker, ACME, ANNA.email).await);
    let before = bed.contents().await;
    broker.batch_execute("begin").await.unwrap();
    let request = exchange_request(&broker, &exchanging).await.unwrap();
    let other = callback_request(&broker, &returning).await.unwrap().unwrap();
    broker.batch_execute("rollback").await.unwrap();
    assert_eq!(bed.contents().await, before);
    let (answer, other_answer) = (ask(&request).await, ask(&other).await);
    refused(exchange_answer(&broker, request.exchange_id, &answer).await, "flow_state_not_found");
    callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
    assert_eq!(bed.contents().await, before);

    // An answer that was rolled back may be brought again.
    let pending = start(&broker, ALICE).await;
    let request = exchange_request(&broker, &pending).await.unwrap();
    let answer = ask(&request).await;
    broker.batch_execute("begin").await.unwrap();
    exchange_answer(&broker, request.exchange_id, &answer).await.unwrap();
    broker.batch_execute("rollback").await.unwrap();
    exchange_answer(&broker, request.exchange_id, &answer).await.unwrap();

    // Both halves in one transaction are two halves.
    for level in ["read committed", "repeatable read", "serializable"] {
        case!(level);
        let pending = start(&broker, ALICE).await;
        let returning = come_back(&broker, ACME, ANNA.email).await;
        broker.batch_execute(&format!("begin isolation level {level}")).await.unwrap();
        exchange_by_broker(&broker, &pending).await.unwrap();
        let landing = callback_by_broker(&broker, &returning).await.unwrap();
        exchange_own(&broker, &landing.code(), &returning.verifier).await.unwrap();
        broker.batch_execute("commit").await.unwrap();
    }
}

#[tokio::test]
async fn of_brokers_that_race_one_wins() {
    let (bed, broker) = bed("race").await;
    let brokers = join_all((0..6).map(|_| bed.broker())).await;
    for round in 0..5 {
        case!(round);
        // For the request.
        let (exchanging, returning) = (start(&broker, ALICE).await, come_back(&broker, ACME, ANNA.email).await);
        let requests = join_all(brokers.iter().map(|broker| exchange_request(broker, &exchanging))).await;
        let mut won: Vec<Request> = Vec::new();
        for request in requests {
            match request {
                Ok(request) => won.push(request),
                Err(error) => drop(refused::<()>(Err(error), "conflict")),
            }
        }
        assert_eq!(won.len(), 1);
        let others = join_all(brokers.iter().map(|broker| callback_request(broker, &returning))).await;
        let mut others: Vec<Request> = others.into_iter().filter_map(|step| step.unwrap().ok()).collect();
        assert_eq!(others.len(), 1);
        // And for the answer.
        let (request, other) = (won.remove(0), others.remove(0));
        let answer = ask(&request).await;
        let ends = join_all(brokers.iter().map(|broker| exchange_answer(broker, request.exchange_id, &answer))).await;
        assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
        for end in ends.into_iter().filter(Result::is_err) {
            let refusal = workos_end_to_end::refusal(end);
            assert!(["WA207", "WA201"].contains(&&*refusal.sqlstate), "{refusal}");
        }
        let answer = ask(&other).await;
        let ends = join_all(brokers.iter().map(|broker| callback_answer(broker, other.exchange_id, &answer))).await;
        let codes = ends.iter().filter(|end| end.as_ref().is_ok_and(|landing| landing.query().contains_key("code")));
        assert_eq!(codes.count(), 1);
    }
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 5);
    assert_eq!(bed.token_requests().len(), 10, "each code is shown once");
    // One that is not finished yet has it.
    let [(_, request, answer), (_, other, other_answer)] = two_wait(&broker).await;
    brokers[0].batch_execute("begin").await.unwrap();
    exchange_answer(&brokers[0], request.exchange_id, &answer).await.unwrap();
    callback_answer(&brokers[0], other.exchange_id, &other_answer).await.unwrap().code();
    refused(exchange_answer(&brokers[1], request.exchange_id, &answer).await, "conflict");
    let landing = callback_answer(&brokers[1], other.exchange_id, &other_answer).await.unwrap();
    landing.is_refused(SITE_URL, "flow_state_already_used");
    brokers[0].batch_execute("commit").await.unwrap();
}

/// What administrators do between the halves; the refusal of the exchange, and of the callback.
const MEANWHILE: [(&str, &str, &str); 5] = [
    (
        "select auth.ban_user(id) from auth.users",
        "user_banned",
        // Only the verifier tells whose callback it is, so it is the exchange of its code that is refused.
        "",
    ),
    ("update auth.providers set enabled = false", "provider_disabled", "provider_disabled"),
    ("update auth.providers set client_id = 'client_other'", "provider_changed", "provider_changed"),
    ("delete from auth.flow_states", "flow_state_not_found", "bad_oauth_state"),
    ("delete from auth.redirect_urls", "", "redirect_to_not_allowed"),
];

#[tokio::test]
async fn what_changed_meanwhile_counts() {
    for (number, (change, exchanged, returned)) in MEANWHILE.iter().enumerate() {
        case!(change);
        let (bed, broker) = bed(&format!("changed_{number}")).await;
        for person in [ALICE, ANNA] {
            sign_in(&broker, person).await;
        }
        let [(_, request, answer), (returning, other, other_answer)] = two_wait(&broker).await;
        bed.admin.batch_execute(change).await.unwrap();
        let sessions = bed.count("select count(*) from auth.sessions").await;
        let end = exchange_answer(&broker, request.exchange_id, &answer).await;
        match *exchanged {
            "" => drop(end.unwrap()),
            name => drop(refused(end, name)),
        }
        let landing = callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap();
        match *returned {
            "" => drop(refused(exchange_own(&broker, &landing.code(), &returning.verifier).await, "user_banned")),
            "provider_disabled" | "provider_changed" => landing.is_refused(APP, returned),
            name => landing.is_refused(SITE_URL, name),
        }
        let opened = i64::from(exchanged.is_empty());
        assert_eq!(bed.count("select count(*) from auth.sessions").await, sessions + opened);
    }
}

#[tokio::test]
async fn an_implicit_callback_whose_way_was_closed_meanwhile_gives_no_tokens() {
    let (bed, broker) = bed("implicit").await;
    let pending = come_back_implicitly(&broker, ACME, ALICE.email).await;
    let request = callback_request(&broker, &pending).await.unwrap().unwrap();
    bed.set("workos_auth.allow_implicit", "off").await;
    let landing = callback_answer(&bed.broker().await, request.exchange_id, &ask(&request).await).await.unwrap();
    landing.is_refused(APP, "implicit_not_allowed");
    assert_eq!(bed.count("select count(*) from auth.users").await, 0);
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
}

#[tokio::test]
async fn a_sign_in_whose_time_ends_meanwhile_is_finished() {
    let (bed, _) = bed("expiring").await;
    bed.set("workos_auth.flow_ttl", "1s").await;
    let broker = bed.broker().await;
    let [(_, request, answer), (returning, other, other_answer)] = two_wait(&broker).await;
    bed.until("not exists (select from auth.flow_states where created_at > clock_timestamp() - interval '1.2 s')")
        .await;
    // Neither the clean-up nor the next start takes them away.
    bed.admin.batch_execute("select auth.cleanup()").await.unwrap();
    start(&broker, ALICE).await;
    exchange_answer(&broker, request.exchange_id, &answer).await.unwrap();
    let landing = callback_answer(&broker, other.exchange_id, &other_answer).await.unwrap();
    exchange_own(&broker, &landing.code(), &returning.verifier).await.unwrap();
    // One that had ended before is not begun.
    let pending = start(&broker, ALICE).await;
    bed.until("not exists (select from auth.flow_states where created_at > clock_timestamp() - interval '1.2 s')")
        .await;
    refused(exchange_request(&broker, &pending).await, "flow_state_expired");
}

#[tokio::test]
async fn a_link_is_finished_only_while_its_session_lives() {
    let at = Accounts::new("linked", &[]).await;
    let broker = at.bed.broker().await;
    let ann = Person::of_okta(&at, "prof_1", "ann@initech.com").await;
    let pending = ann.starts("prof_2", GOOGLE, "a.lee@initech.com").await;
    let session = exchange_by_broker(&broker, &pending).await.unwrap();
    assert_eq!((session.user_id, session.is_new_user), (ann.session.user_id, false));
    let pending = ann.starts("prof_3", GOOGLE, "a.lee@initech.org").await;
    let request = exchange_request(&broker, &pending).await.unwrap();
    let answer = ask(&request).await;
    at.bed.admin.execute("select auth.revoke_sessions($1)", &[&ann.session.user_id]).await.unwrap();
    let before = at.people().await;
    refused(exchange_answer(&broker, request.exchange_id, &answer).await, "link_session_not_found");
    assert_eq!(at.people().await, before);
}

#[tokio::test]
async fn the_row_between_the_halves_holds_no_secret() {
    let (bed, broker) = bed("sealed").await;
    let [(exchanging, request, _), (returning, other, _)] = two_wait(&broker).await;
    let contents = format!("{:?}", bed.contents().await);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (pending, request) in [(&exchanging, &request), (&returning, &other)] {
        assert!(request.body.contains(CLIENT_SECRET), "it is what WorkOS is asked with");
        let verifier = request.body.split("code_verifier=").nth(1).unwrap();
        for secret in [CLIENT_SECRET, &pending.code, &pending.verifier, &pending.state, verifier] {
            assert!(!contents.contains(secret) && !contents.contains(&hex(secret)), "{secret}");
        }
    }
    // What is sealed for one sign-in does not open for another.
    bed.admin.batch_execute("update auth.flow_states set exchange_code = (select exchange_code from auth.flow_states where mode = 'brokered') where mode = 'direct'").await.unwrap();
    let answer = ask(&request).await;
    refused(exchange_answer(&broker, request.exchange_id, &answer).await, "seal_broken");
    // A table of such rows cannot be half of one.
    for change in ["exchange_id = null", "exchange_code = null", "exchange_until = null"] {
        refused_as(bed.admin.batch_execute(&format!("update auth.flow_states set {change}")).await, "23514");
    }
}
