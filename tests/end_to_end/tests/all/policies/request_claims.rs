//! Tests that were written for Supabase sign in by `request.jwt.claims`: that signs nobody in, and somebody is told why, once.

use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, set_session};
use workos_end_to_end::parallel::force_parallel;
use workos_end_to_end::sql::{Notices, Refusal, connect_with_notices, text};
use workos_end_to_end::{Bed, case};

const CLAIMS: &str = r#"{"sub": "00000000-0000-4000-8000-0000000000ad", "role": "authenticated"}"#;

async fn connect(bed: &Bed<'_>, role: &str) -> (Client, Notices) {
    let config = bed.cluster.config(&bed.database, role);
    connect_with_notices(&config).await.unwrap()
}

/// What was said so far: the server's answer to a statement comes after it.
async fn said(client: &Client, notices: &Notices) -> Vec<Refusal> {
    text(client, "select 1").await.unwrap();
    notices.take("NOTICE")
}

#[tokio::test]
async fn claims_without_a_session_are_explained_once() {
    let bed = Bed::shared("explained").await;
    let people = bed.role("people", "").await;
    let (client, notices) = connect(&bed, &people).await;
    client.batch_execute("select auth.uid()").await.unwrap();
    assert_eq!(said(&client, &notices).await, []);
    client.batch_execute(&format!("begin; set local request.jwt.claims = '{CLAIMS}'")).await.unwrap();
    assert_eq!(text(&client, "select auth.uid() from generate_series(1, 1000)").await.unwrap(), None);
    let [notice] = &said(&client, &notices).await[..] else { panic!("it was not said once") };
    assert_eq!(
        (notice.sqlstate.as_str(), notice.message.as_str()),
        ("00000", "request.jwt.claims is set, and signs nobody in")
    );
    assert!(notice.hint.contains("auth.as_user") && notice.hint.contains("auth.use_request_token"), "{notice}");
    assert!(!notice.to_string().contains("0000000000ad"), "{notice}");
    for again in [
        "select auth.role()",
        "rollback",
        "begin; set local request.jwt.claims = '{\"sub\": \"x\"}'; select auth.uid(); commit",
    ] {
        client.batch_execute(again).await.unwrap();
    }
    assert_eq!(said(&client, &notices).await, []);
}

#[tokio::test]
async fn nothing_is_said_where_nobody_is_meant() {
    let bed = Bed::shared("unsaid").await;
    let people = bed.role("people", "").await;
    let alice = bed.sign_in(ALICE).await;
    // What PostgREST sets for a visitor; what a test sets that signs out; a session that is there.
    for claims in
        ["", r#"{"role": "anon"}"#, r#"{"role": "anon", "sub": null}"#, "{}", r#"{"role": "web_anon", "exp": 7}"#]
    {
        case!(claims);
        let (client, notices) = connect(&bed, &people).await;
        client
            .batch_execute(&format!("set request.jwt.claims = '{claims}'; select auth.uid(), auth.role()"))
            .await
            .unwrap();
        assert_eq!(said(&client, &notices).await, []);
    }
    let (client, notices) = connect(&bed, &people).await;
    set_session(&client, &alice.access_token, false).await.unwrap();
    client
        .batch_execute(&format!("set request.jwt.claims = '{CLAIMS}'; select auth.uid(), auth.role()"))
        .await
        .unwrap();
    assert_eq!(said(&client, &notices).await, []);
    // And where somebody is, also by what is no JSON.
    for claims in [r#"{"sub": "x"}"#, r#"{"role": "authenticated"}"#, "nonsense", "[1]"] {
        case!(claims);
        let (client, notices) = connect(&bed, &people).await;
        client.batch_execute(&format!("set request.jwt.claims = '{claims}'; select auth.role()")).await.unwrap();
        assert_eq!(said(&client, &notices).await.len(), 1);
    }
}

/// A worker reads the same setting. What it says would stand there once a worker.
#[tokio::test]
async fn parallel_workers_say_nothing() {
    let bed = Bed::shared("workers").await;
    let people = bed.role("people", "").await;
    let sql = format!(
        "create table lines (line int); insert into lines select generate_series(1, 20000); grant select on lines to {people}; analyze lines"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    let (client, notices) = connect(&bed, &people).await;
    force_parallel(&client).await;
    client.batch_execute(&format!("set request.jwt.claims = '{CLAIMS}'")).await.unwrap();
    let plan = "explain (costs off) select count(*) from lines where auth.uid() is null";
    assert!(workos_end_to_end::sql::lines(&client, plan).await.unwrap().join(" ").contains("Gather"));
    for _ in 0..3 {
        assert_eq!(
            text(&client, "select count(*) from lines where auth.uid() is null").await.unwrap().as_deref(),
            Some("20000")
        );
    }
    assert_eq!(said(&client, &notices).await, []);
}

/// The case as a test of an application has it.
#[tokio::test]
async fn a_test_that_signs_in_by_claims_sees_nobody_and_is_told_so() {
    let bed = Bed::shared("case").await;
    let people = bed.role("people", "").await;
    let sql = format!(
        "create table notes (owner uuid, line text); alter table notes enable row level security;
         create policy mine on notes using (owner = auth.uid()); grant select on notes to {people};
         select auth.create_user(email => 'ada@example.com', user_id => '00000000-0000-4000-8000-0000000000ad');
         insert into notes values ('00000000-0000-4000-8000-0000000000ad', 'hers')"
    );
    bed.admin.batch_execute(&sql).await.unwrap();
    let (client, notices) = connect(&bed, "postgres").await;
    client
        .batch_execute(&format!("begin; set local role {people}; set local request.jwt.claims = '{CLAIMS}'"))
        .await
        .unwrap();
    assert_eq!(text(&client, "select count(*) from notes").await.unwrap().as_deref(), Some("0"));
    assert_eq!(said(&client, &notices).await.len(), 1);
    client.batch_execute("rollback; begin").await.unwrap();
    client
        .batch_execute(&format!("select auth.as_user('00000000-0000-4000-8000-0000000000ad', '{people}')"))
        .await
        .unwrap();
    assert_eq!(text(&client, "select count(*) from notes").await.unwrap().as_deref(), Some("1"));
    client.batch_execute("rollback").await.unwrap();
}
