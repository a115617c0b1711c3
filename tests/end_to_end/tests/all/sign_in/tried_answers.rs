//! `auth.try_exchange_answer`: what a broker that commits is told of a sign-in that is refused.

use tokio_postgres::types::ToSql;
use uuid::Uuid;
use workos_end_to_end::bed::{ALICE, Bed, start};
use workos_end_to_end::carried::*;
use workos_end_to_end::case;
use workos_end_to_end::sql::{refused, refused_as, text};

#[tokio::test]
async fn a_refusal_is_an_answer_where_the_broker_commits() {
    const REFUSED: &str = "select count(*) from auth.audit_log_entries where action = 'login_refused'";
    const ANSWER: &str =
        "select (t).* from (select auth.try_exchange_answer($1, $2, body => $3, ip => '192.0.2.7') as t offset 0) as s";
    let bed = Bed::shared("tries").await;
    let alice = bed.sign_in(ALICE).await;
    let broker = bed.broker().await;
    bed.admin.execute("select auth.ban_user($1)", &[&alice.user_id]).await.unwrap();
    let request = exchange_request(&broker, &start(&broker, ALICE).await).await.unwrap();
    let answer = ask(&request).await;
    // What may be tried again is raised, and the answer is still waited for.
    let lost: [&(dyn ToSql + Sync); 3] = [&request.exchange_id, &503, &"{}"];
    refused(broker.query_one(ANSWER, &lost).await, "workos_unavailable");
    assert_eq!(bed.count(REFUSED).await, 0);
    let arguments: [&(dyn ToSql + Sync); 3] = [&request.exchange_id, &answer.status, &answer.body];
    let row = broker.query_one(ANSWER, &arguments).await.unwrap();
    let told = ["error_code", "error_sqlstate", "error_detail"].map(|column| row.get::<_, Option<String>>(column));
    assert_eq!(
        told,
        ["user_banned", "WA402", "auth.users.banned_until lies in the future."].map(|text| Some(text.into()))
    );
    for column in ["access_token", "refresh_token", "email", "organization_id", "provider_token"] {
        assert_eq!(row.get::<_, Option<String>>(column), None, "{column}");
    }
    let entry = "select concat_ws(' ', host(ip), user_id, payload ->> 'flow_id') from auth.audit_log_entries where action = 'login_refused'";
    let expected = format!("192.0.2.7 {} {}", alice.user_id, row.get::<_, Uuid>("flow_id"));
    assert_eq!(text(&bed.admin, entry).await.unwrap(), Some(expected));
    // It is spent.
    refused(broker.query_one(ANSWER, &arguments).await, "flow_state_not_found");
    refused(exchange_answer(&broker, request.exchange_id, &answer).await, "flow_state_not_found");
    assert_eq!((bed.count(REFUSED).await, bed.count("select count(*) from auth.flow_states").await), (1, 0));

    bed.admin.execute("select auth.unban_user($1)", &[&alice.user_id]).await.unwrap();
    let request = exchange_request(&broker, &start(&broker, ALICE).await).await.unwrap();
    let answer = ask(&request).await;
    let row = broker.query_one(ANSWER, &[&request.exchange_id, &answer.status, &answer.body]).await.unwrap();
    assert_eq!((row.get::<_, Uuid>("user_id"), row.get::<_, Option<String>>("error_code")), (alice.user_id, None));
    // The ban ended the first.
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 1, "one call, however many columns");
}

#[tokio::test]
async fn a_broker_is_told_what_it_gets_wrong() {
    let bed = Bed::shared("tried_badly").await;
    let broker = bed.broker().await;
    let request = exchange_request(&broker, &start(&broker, ALICE).await).await.unwrap();
    let id = format!("'{}'", request.exchange_id);
    let before = bed.contents().await;
    for (id, arguments, sqlstate) in [
        ("null", "200", "22004"),
        (&*id, "null", "22004"),
        (&id, "99", "22023"),
        (&id, "null, failure => 'unknown'", "22023"),
        (&id, "200, headers => '[]'", "22023"),
        (&id, "200, body => '{'", "WA310"),
        (&id, "500", "WA308"),
        ("gen_random_uuid()", "200", "WA201"),
    ] {
        case!(id, arguments);
        let sql = format!("select auth.try_exchange_answer({id}, {arguments})");
        refused_as(broker.batch_execute(&sql).await, sqlstate);
    }
    assert_eq!(bed.contents().await, before);
    for client in [bed.backend().await, bed.connect(&bed.role("app", "").await).await] {
        refused_as(client.batch_execute("select auth.try_exchange_answer(gen_random_uuid(), 200)").await, "42501");
    }
    refused_as(broker.batch_execute("begin read only; select auth.try_exchange_answer(null, null)").await, "25006");
}
