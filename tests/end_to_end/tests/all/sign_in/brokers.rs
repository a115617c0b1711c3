//! Brokers: what asks WorkOS in the database's place, and that the two halves come to what the one call does.

use serde_json::{Value, json};
use tokio_postgres::Client;
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, Bed, GINA, exchange, is_good, reader, start};
use workos_end_to_end::brokered::{Landing, SITE_URL, callback, come_back, come_back_implicitly, exchange_own};
use workos_end_to_end::carried::*;
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_simulator::{Fault, FaultKind, RetryAfter};
use workos_testbed::workos::CLIENT_SECRET;

const ACME: &str = "organization => 'org_acme', redirect_to => 'http://localhost:3000/app'";

/// What the audit log says, without ids and times.
async fn audit(admin: &Client) -> Vec<String> {
    let sql = "select concat_ws(' ', action, actor, organization_id, connection_id, payload - 'role', user_id is not null, session_id is not null)
        from auth.audit_log_entries where action in ('login', 'user_signedup', 'identity_linked') order by created_at";
    lines(admin, sql).await.unwrap()
}

#[tokio::test]
async fn the_two_halves_of_an_exchange_come_to_what_the_one_call_does() {
    let (one, two) = (Bed::shared("one_call").await, Bed::shared("two_halves").await);
    let (app, broker) = (one.broker().await, two.broker().await);
    for person in [ALICE, ANNA, ALICE, BOB, GINA] {
        let expected = exchange(&app, &start(&app, person).await).await.unwrap();
        let pending = start(&broker, person).await;
        two.simulator().clear_requests();
        let request = exchange_request(&broker, &pending).await.unwrap();
        assert!(two.token_requests().is_empty(), "the database asks nobody");
        assert_eq!(request.url, format!("{}/sso/token", two.workos.url().trim_end_matches('/')));
        assert_eq!(
            request.headers,
            json!({ "accept": "application/json", "content-type": "application/x-www-form-urlencoded" })
        );
        let answer = ask(&request).await;
        let session = exchange_answer(&broker, request.exchange_id, &answer).await.unwrap();
        assert_eq!(two.token_requests().len(), 1, "{}", person.email);
        let told = |s: &workos_end_to_end::Session| {
            let token = s.provider_token.is_some();
            (s.email.clone(), s.organization_id.clone(), s.is_new_user, s.redirect_to.clone(), token)
        };
        assert_eq!(told(&session), told(&expected));
        let names = |s: &workos_end_to_end::Session| s.claims.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&session), names(&expected), "{}", person.email);
        let role = format!("{}_broker", two.database);
        is_good(&reader(&two, &role, &session).await, &session).await;
    }
    assert_eq!(two.count("select count(*) from auth.flow_states").await, 0);
    let same = |line: &String| line.replace(&two.database, &one.database);
    assert_eq!(audit(&two.admin).await.iter().map(same).collect::<Vec<_>>(), audit(&one.admin).await);
}

#[tokio::test]
async fn address_and_user_agent_of_the_answer_are_the_sessions() {
    let bed = Bed::shared("address").await;
    let broker = bed.broker().await;
    let request = exchange_request(&broker, &start(&broker, ALICE).await).await.unwrap();
    let answer = ask(&request).await;
    let sql = "select (auth.exchange_answer(exchange_id => $1, status => $2, body => $3, ip => '192.0.2.7', user_agent => 'Browser')).*";
    let row = broker.query_one(sql, &[&request.exchange_id, &answer.status, &answer.body]).await.unwrap();
    let session: Uuid = row.get("session_id");
    let sql = format!("select concat_ws(' ', host(ip), user_agent) from auth.sessions where id = '{session}'");
    assert_eq!(text(&bed.admin, &sql).await.unwrap().as_deref(), Some("192.0.2.7 Browser"));
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1, "one call, however many columns");
}

#[tokio::test]
async fn a_request_that_is_read_column_by_column_is_one() {
    let bed = Bed::shared("columns").await;
    let broker = bed.broker().await;
    let pending = start(&broker, ALICE).await;
    let sql = "select (auth.exchange_request($1, $2)).*";
    let row = broker.query_one(sql, &[&pending.code, &pending.verifier]).await.unwrap();
    let waits = format!("select count(*) from auth.flow_states where exchange_id = '{}'", row.get::<_, Uuid>(0));
    assert_eq!(bed.count(&waits).await, 1);
    bed.set("workos_auth.site_url", SITE_URL).await;
    let broker = bed.broker().await;
    let pending = come_back(&broker, ACME, ALICE.email).await;
    let sql = "select (auth.callback_request($1, $2)).*";
    let row = broker.query_one(sql, &[&pending.code, &pending.state]).await.unwrap();
    let waits = format!("select count(*) from auth.flow_states where exchange_id = '{}'", row.get::<_, Uuid>(1));
    assert_eq!((row.get::<_, Option<String>>(0), bed.count(&waits).await), (None, 1));
}

#[tokio::test]
async fn the_two_halves_of_a_callback_come_to_what_the_one_call_does() {
    let (bed, _) = Bed::brokered("callback").await;
    let broker = bed.broker().await;
    let pending = come_back(&broker, ACME, ALICE.email).await;
    let landing = callback_by_broker(&broker, &pending).await.unwrap();
    assert_eq!(landing.place(), "http://localhost:3000/app");
    workos_end_to_end::brokered::nobody_is_there(&bed).await;
    let session = exchange_own(&broker, &landing.code(), &pending.verifier).await.unwrap();
    assert_eq!((session.email.as_str(), session.provider_token.is_some()), (ALICE.email, true));
    refused(exchange_own(&broker, &landing.code(), &pending.verifier).await, "flow_state_not_found");
    // Without a challenge the tokens come at once.
    let pending = come_back_implicitly(&broker, ACME, ALICE.email).await;
    let landing = callback_by_broker(&broker, &pending).await.unwrap();
    let fragment = landing.fragment();
    assert!(["access_token", "refresh_token", "provider_token"].iter().all(|name| fragment.contains_key(*name)));
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0);
    assert_eq!(bed.token_requests().len(), 2);
    let logins = "select count(*) from auth.audit_log_entries where action = 'login'";
    assert_eq!(bed.count(logins).await, 2);
}

#[tokio::test]
async fn what_needs_no_answer_of_workos_ends_in_the_first_half() {
    let (bed, _) = Bed::brokered("at_once").await;
    let broker = bed.broker().await;
    let sql =
        "select redirect_to, exchange_id, url, body from auth.callback_request($1, $2, error => $3, is_bound => $4)";
    let known = come_back(&broker, ACME, ALICE.email).await;
    let implicit = come_back_implicitly(&broker, ACME, ALICE.email).await;
    let own = format!("wac_{}", "A".repeat(43));
    for (code, state, error, is_bound, place, expected) in [
        (Some("x"), Some("unknown"), None::<&str>, true, SITE_URL, "bad_oauth_state"),
        (None, None, None, true, SITE_URL, "bad_oauth_callback"),
        (Some(&*own), Some(&*known.state), None, true, "http://localhost:3000/app", "authorization_code_invalid"),
        (Some(&*known.code), Some(&*known.state), None, true, SITE_URL, "bad_oauth_state"),
    ] {
        case!(state, error);
        let row = broker.query_one(sql, &[&code, &state, &error, &is_bound]).await.unwrap();
        Landing(row.get(0)).is_refused(place, expected);
        let nothing: (Option<Uuid>, Option<String>, Option<String>) = (row.get(1), row.get(2), row.get(3));
        assert_eq!(nothing, (None, None, None));
    }
    let row = broker.query_one(sql, &[&implicit.code, &implicit.state, &None::<&str>, &false]).await.unwrap();
    assert_eq!(Landing(row.get(0)).query()["error"], "access_denied");
    let denied = come_back(&broker, ACME, ALICE.email).await;
    let row = broker.query_one(sql, &[&None::<&str>, &denied.state, &Some("access_denied"), &true]).await.unwrap();
    assert_eq!(Landing(row.get(0)).query()["error"], "access_denied");
    assert_eq!(bed.count("select count(*) from auth.flow_states").await, 0, "each state is spent");
    assert!(bed.token_requests().is_empty());
    // Nor is there anything to ask about a code of our own.
    let pending = come_back(&broker, ACME, ALICE.email).await;
    let landing = callback(&broker, &pending).await.unwrap();
    let own = workos_end_to_end::Pending { code: landing.code(), ..pending };
    let refusal = refused(exchange_request(&broker, &own).await, "authorization_code_invalid");
    assert!(refusal.detail.contains("one of our own"), "{refusal}");
    exchange_own(&broker, &own.code, &own.verifier).await.unwrap();
}

/// What WorkOS may answer, by the simulator's faults.
fn faults() -> Vec<FaultKind> {
    let status = |code, body: Value| FaultKind::Status { code, body: Some(body) };
    let oauth = |error: &str| json!({ "error": error, "error_description": "Because of X." });
    vec![
        status(400, oauth("invalid_client")),
        status(400, oauth("invalid_grant")),
        status(401, json!({ "message": "Because of X." })),
        status(404, json!({ "message": "Because of X." })),
        status(418, json!({ "message": "Because of X." })),
        status(422, json!({ "message": "Because of X." })),
        status(500, json!("<html>")),
        status(302, json!({})),
        status(200, json!([])),
        status(200, json!({})),
        FaultKind::RateLimited { retry_after: Some(RetryAfter::Seconds(7)) },
        FaultKind::Html,
        FaultKind::EmptyBody,
        FaultKind::MalformedJson,
        FaultKind::WrongOrganization,
        FaultKind::OversizedBody { bytes: 2 << 20, chunked: true },
        FaultKind::ProfileOverrides { patch: json!({ "email": "alice" }) },
        FaultKind::ProfileOverrides { patch: json!({ "id": "prof_\u{0}alice" }) },
    ]
}

/// Without the number of the request, which is another one each time.
fn without_request_id(detail: &str) -> String {
    match detail.split_once("(X-Request-ID ") {
        Some((before, after)) => format!("{before}{}", after.split_once(')').unwrap().1),
        None => detail.to_owned(),
    }
}

#[tokio::test]
async fn each_answer_is_refused_as_in_the_one_call() {
    let (bed, _) = Bed::brokered("refusals").await;
    let broker = bed.broker().await;
    for fault in faults() {
        case!(fault);
        let mut refusals = Vec::new();
        for by_broker in [false, true] {
            let pending = start(&broker, ALICE).await;
            bed.simulator().set_fault(Fault::token(fault.clone()).times(1)).unwrap();
            let before = bed.contents().await;
            let refusal = match by_broker {
                false => workos_end_to_end::refusal(exchange(&broker, &pending).await),
                true => {
                    let request = exchange_request(&broker, &pending).await.unwrap();
                    let before = bed.contents().await;
                    let answer = ask(&request).await;
                    let refusal =
                        workos_end_to_end::refusal(exchange_answer(&broker, request.exchange_id, &answer).await);
                    assert_eq!(bed.contents().await, before, "something was written");
                    refusal
                }
            };
            if !by_broker {
                assert_eq!(bed.contents().await, before, "something was written");
            }
            for secret in [CLIENT_SECRET, &pending.code, &pending.verifier] {
                assert!(!refusal.to_string().contains(secret), "{refusal}");
            }
            refusals.push((refusal.sqlstate, refusal.message, without_request_id(&refusal.detail), refusal.hint));
        }
        assert_eq!(refusals[0], refusals[1]);

        let mut landings = Vec::new();
        for by_broker in [false, true] {
            let pending = come_back(&broker, ACME, ALICE.email).await;
            bed.simulator().set_fault(Fault::token(fault.clone()).times(1)).unwrap();
            landings.push(match by_broker {
                false => callback(&broker, &pending).await.unwrap(),
                true => callback_by_broker(&broker, &pending).await.unwrap(),
            });
            // The state is spent.
            callback(&broker, &pending).await.unwrap().is_refused(SITE_URL, "bad_oauth_state");
        }
        assert_eq!(landings[0], landings[1]);
        bed.simulator().clear_faults();
    }
}

#[tokio::test]
async fn what_workos_repeats_of_its_request_is_not_shown() {
    let bed = Bed::shared("words").await;
    let broker = bed.broker().await;
    let pending = start(&broker, ALICE).await;
    let request = exchange_request(&broker, &pending).await.unwrap();
    let verifier = request.body.split("code_verifier=").nth(1).unwrap();
    for secret in [CLIENT_SECRET, &pending.code, verifier] {
        let body = json!({ "error": "invalid_grant", "error_description": format!("Not {secret}!") }).to_string();
        let answer = Answer { status: Some(400), body: Some(body), ..Answer::default() };
        let refusal = refused(exchange_answer(&broker, request.exchange_id, &answer).await, "workos_invalid_grant");
        assert!(!refusal.to_string().contains(secret) && !refusal.to_string().contains("Not "), "{refusal}");
    }
    assert!(!bed.log().contains(CLIENT_SECRET));
}

#[tokio::test]
async fn a_server_that_reads_no_forms_is_asked_with_json() {
    let (bed, _) = Bed::brokered("json").await;
    let broker = bed.broker().await;
    bed.simulator().set_fault(Fault::token(FaultKind::JsonOnly)).unwrap();
    exchange_by_broker(&broker, &start(&broker, ALICE).await).await.unwrap();
    let pending = come_back(&broker, ACME, ALICE.email).await;
    callback_by_broker(&broker, &pending).await.unwrap().code();
}

/// The failures of a broker that has no answer.
const FAILURES: [(&str, &str); 5] = [
    ("workos_unreachable", "WA301"),
    ("workos_timeout", "WA302"),
    ("workos_connection_lost", "WA314"),
    ("workos_answer_malformed", "WA310"),
    ("workos_answer_too_large", "WA311"),
];

#[tokio::test]
async fn a_broker_without_an_answer_says_why() {
    let (bed, _) = Bed::brokered("failures").await;
    let broker = bed.broker().await;
    for (failure, sqlstate) in FAILURES {
        case!(failure);
        let answer = Answer { failure: Some(failure.into()), ..Answer::default() };
        let request = exchange_request(&broker, &start(&broker, ALICE).await).await.unwrap();
        let refusal = refused(exchange_answer(&broker, request.exchange_id, &answer).await, failure);
        assert_eq!(refusal.sqlstate, sqlstate);
        let pending = come_back(&broker, ACME, ALICE.email).await;
        let request = callback_request(&broker, &pending).await.unwrap().unwrap();
        let landing = callback_answer(&broker, request.exchange_id, &answer).await.unwrap();
        landing.is_refused("http://localhost:3000/app", failure);
    }
}

#[tokio::test]
async fn a_brokers_own_mistakes_are_refused_and_spend_nothing() {
    let (bed, _) = Bed::brokered("mistakes").await;
    let broker = bed.broker().await;
    let exchanging = exchange_request(&broker, &start(&broker, ALICE).await).await.unwrap();
    let pending = come_back(&broker, ACME, ALICE.email).await;
    let returning = callback_request(&broker, &pending).await.unwrap().unwrap();
    let before = bed.contents().await;
    let long = format!("repeat('x', {})", (1 << 20) + 1);
    for (id, arguments, sqlstate, words) in [
        (false, "200", "22004", "exchange_id"),
        (true, "null", "22004", "status"),
        (true, "99", "22023", "status"),
        (true, "600", "22023", "status"),
        (true, "-1", "22023", "status"),
        (true, "null, failure => 'unknown'", "22023", "failure"),
        (true, "null, failure => ''", "22023", "failure"),
        (true, "null, failure => 'bad_jwt'", "22023", "failure"),
        (true, "200, failure => 'workos_timeout'", "22023", "failure"),
        (true, "200, headers => '[]'", "22023", "headers"),
        (true, "200, headers => '\"x\"'", "22023", "headers"),
    ] {
        case!(id, arguments);
        for (function, request) in [("exchange_answer", &exchanging), ("callback_answer", &returning)] {
            let id = if id { format!("'{}'", request.exchange_id) } else { "null".into() };
            let sql = format!("select auth.{function}({id}, {arguments})");
            let refusal = refused_as(broker.batch_execute(&sql).await, sqlstate);
            assert!(refusal.detail.contains(words), "{refusal}");
        }
    }
    // These are WorkOS's.
    for (arguments, sqlstate) in
        [("200", "WA310"), ("200, body => '{'", "WA310"), (&*format!("200, body => {long}"), "WA311"), ("500", "WA308")]
    {
        let sql = format!("select auth.exchange_answer('{}', {arguments})", exchanging.exchange_id);
        refused_as(broker.batch_execute(&sql).await, sqlstate);
    }
    assert_eq!(bed.contents().await, before);
    for sql in ["auth.exchange_request(null)", "auth.exchange_request('c')", "auth.exchange_request('c', 'short')"] {
        assert!(
            ["22004", "WA204", "WA205"]
                .contains(&&*workos_end_to_end::brokered::sqlstate(&broker, &format!("select {sql}")).await)
        );
    }
    // Where one cannot write, that comes first.
    broker.batch_execute("begin read only").await.unwrap();
    for call in [
        "exchange_request(null)",
        "exchange_answer(null, null)",
        "callback_request(null, null)",
        "callback_answer(null, null)",
    ] {
        broker.batch_execute("savepoint s").await.unwrap();
        refused_as(broker.batch_execute(&format!("select auth.{call}")).await, "25006");
        broker.batch_execute("rollback to s").await.unwrap();
    }
    broker.batch_execute("rollback").await.unwrap();
    exchange_answer(&broker, exchanging.exchange_id, &ask(&exchanging).await).await.unwrap();
    callback_answer(&broker, returning.exchange_id, &ask(&returning).await).await.unwrap().code();
}

#[tokio::test]
async fn only_brokers_broker() {
    let (bed, backend) = Bed::brokered("rights").await;
    let calls = [
        "exchange_request('c')",
        "exchange_answer(gen_random_uuid(), 200)",
        "callback_request('c', 's')",
        "callback_answer(gen_random_uuid(), 200)",
    ];
    let operator = bed.role("operator", "").await;
    bed.admin.execute("select auth.grant_admin($1::text::regrole)", &[&operator]).await.unwrap();
    let operator = bed.connect(&operator).await;
    for call in calls {
        for client in [&backend, &operator] {
            let refusal = refused_as(client.batch_execute(&format!("select auth.{call}")).await, "42501");
            assert!(refusal.message.starts_with("permission denied for function"), "{refusal}");
        }
    }
    for call in ["grant_broker", "revoke_broker"] {
        let sql = format!("select auth.{call}('{}_operator')", bed.database);
        refused_as(operator.batch_execute(&sql).await, "42501");
    }
    // A broker alone signs nobody in.
    let role = bed.role("carrier", "").await;
    bed.admin.execute("select auth.grant_broker($1::text::regrole)", &[&role]).await.unwrap();
    let carrier = bed.connect(&role).await;
    refused_as(carrier.batch_execute("select auth.start_sign_in('org_acme')").await, "42501");
    let pending = start(&backend, ALICE).await;
    exchange_by_broker(&carrier, &pending).await.unwrap();
    bed.admin.execute("select auth.revoke_broker($1::text::regrole)", &[&role]).await.unwrap();
    for call in calls {
        refused_as(carrier.batch_execute(&format!("select auth.{call}")).await, "42501");
    }
    let entries = lines(
        &bed.admin,
        "select action || ' ' || (payload->>'role') from auth.audit_log_entries where action like 'broker%' order by created_at",
    );
    assert_eq!(entries.await.unwrap(), [format!("broker_granted {role}"), format!("broker_revoked {role}")]);
}
