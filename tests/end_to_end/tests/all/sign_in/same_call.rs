//! `select (auth.exchange_code(…)).*` runs a function once a column and still is one sign-in; a loop is several.

use std::collections::HashSet;

use workos_end_to_end::{ALICE, Bed, Session, start, text};
use workos_simulator::{Fault, FaultKind};

const FLOWS: &str = "select count(*) from auth.flow_states";
const SESSIONS: &str = "select count(*) from auth.sessions";

#[tokio::test]
async fn an_expanded_exchange_is_one_exchange() {
    let bed = Bed::shared("expanded_exchange").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    let sql = "select (auth.exchange_code($1, $2, $3)).*";
    // A connection that has not called anything of the extension yet.
    let app = bed.backend().await;
    let row = app.query_one(sql, &[&pending.code, &pending.verifier, &pending.state]).await.unwrap();
    let session = Session::from(&row);
    assert_eq!(bed.token_requests().len(), 1);
    assert_eq!(bed.count(SESSIONS).await, 1);
    let kept: uuid::Uuid = bed.admin.query_one("select id from auth.sessions", &[]).await.unwrap().get(0);
    assert_eq!((kept, session.claims["session_id"].as_str()), (session.session_id, Some(kept.to_string().as_str())));
    app.query_one("select auth.verify_token($1)", &[&session.access_token]).await.unwrap();
}

#[tokio::test]
async fn an_expanded_start_is_one_start() {
    let bed = Bed::shared("expanded_start").await;
    let app = bed.backend().await;
    let sql = "select (auth.start_sign_in(organization => 'org_acme')).*";
    let row = app.query_one(sql, &[]).await.unwrap();
    let (url, state): (&str, &str) = (row.get("url"), row.get("state"));
    assert!(url.contains(&format!("state={state}")), "{url}");
    assert_eq!(bed.count(FLOWS).await, 1);
    let sql = "select count(*) from auth.flow_states where state_hash = sha256(convert_to($1, 'UTF8'))
               and code_challenge = translate(rtrim(encode(sha256(convert_to($2, 'UTF8')), 'base64'), '='), '+/', '-_')
               and expires_at = $3";
    let expires_at: std::time::SystemTime = row.get("expires_at");
    let verifier: &str = row.get("code_verifier");
    let fitting: i64 = bed.admin.query_one(sql, &[&state, &verifier, &expires_at]).await.unwrap().get(0);
    assert_eq!(fitting, 1, "the columns are not those of one flow");
}

#[tokio::test]
async fn other_arguments_and_other_executions_are_other_sign_ins() {
    let bed = Bed::shared("others").await;
    let app = bed.backend().await;
    let two = "select (auth.start_sign_in(organization => o)).* from (values ('org_acme'), ('org_globex')) v(o)";
    let states: HashSet<String> = app.query(two, &[]).await.unwrap().iter().map(|row| row.get("state")).collect();
    assert_eq!((states.len(), bed.count(FLOWS).await), (2, 2));

    // The same prepared statement twice, in one transaction.
    let prepared = app.prepare("select (auth.start_sign_in(organization => 'org_acme')).*").await.unwrap();
    app.batch_execute("begin").await.unwrap();
    let first: String = app.query_one(&prepared, &[]).await.unwrap().get("state");
    let second: String = app.query_one(&prepared, &[]).await.unwrap().get("state");
    app.batch_execute("commit").await.unwrap();
    assert_ne!(first, second);
    assert_eq!(bed.count(FLOWS).await, 4);

    let rows =
        app.query("select (auth.start_sign_in(organization => 'org_acme')).* from generate_series(1, 3)", &[]).await;
    let states: HashSet<String> = rows.unwrap().iter().map(|row| row.get("state")).collect();
    assert_eq!((states.len(), bed.count(FLOWS).await), (1, 5), "one execution, the same arguments");
}

/// Each way to call it from PL/pgSQL; `state` receives the state.
const CALLS: [&str; 4] = [
    "select * into r from auth.start_sign_in(organization => 'org_acme')",
    "r := auth.start_sign_in(organization => 'org_acme')",
    "r := (auth.start_sign_in(organization => 'org_acme'))",
    "select (auth.start_sign_in(organization => 'org_acme')).* into r",
];

#[tokio::test]
async fn a_loop_starts_as_many_sign_ins_as_it_has_rounds() {
    let bed = Bed::shared("loops").await;
    let app = bed.backend().await;
    for call in CALLS {
        for body in [
            call.to_owned(),
            format!("begin {call}; exception when others then raise; end"),
            format!("begin {call}; raise exception 'undone'; exception when raise_exception then {call}; end"),
        ] {
            bed.admin.batch_execute("truncate auth.flow_states").await.unwrap();
            let sql = format!(
                "do $$ declare r record; states text[]; begin
                     for i in 1..3 loop {body}; states := states || r.state; end loop;
                     perform set_config('test.states', states::text, false);
                 end $$"
            );
            app.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{body}: {error:?}"));
            let kept = bed.count(FLOWS).await;
            assert_eq!(kept, 3, "{body}");
            // Each state that the loop was given is one that is there, and not a rolled-back one.
            let states = text(&app, "select current_setting('test.states')").await.unwrap().unwrap();
            let sql = "select count(distinct f.id) from auth.flow_states f
                       where state_hash = any (select sha256(convert_to(s, 'UTF8')) from unnest($1::text::text[]) s)";
            let there: i64 = bed.admin.query_one(sql, &[&states]).await.unwrap().get(0);
            assert_eq!(there, 3, "{body}");
        }
    }
}

#[tokio::test]
async fn a_function_that_is_called_for_each_row_starts_a_sign_in_for_each() {
    let bed = Bed::shared("functions").await;
    let backend = bed.backend().await;
    bed.admin.batch_execute("create schema app; grant all on schema app to public").await.unwrap();
    backend
        .batch_execute(
            "create function app.plpgsql_into() returns text language plpgsql as
                 $$ declare r record; begin select * into r from auth.start_sign_in(organization => 'org_acme'); return r.state; end $$;
             create function app.plpgsql_simple() returns text language plpgsql as
                 $$ declare r record; begin r := auth.start_sign_in(organization => 'org_acme'); return r.state; end $$;
             create function app.plpgsql_return() returns text language plpgsql as
                 $$ begin return (auth.start_sign_in(organization => 'org_acme')).state; end $$;
             create function app.sql() returns text language sql as
                 $$ select state from auth.start_sign_in(organization => 'org_acme') $$;",
        )
        .await
        .unwrap();
    for function in ["plpgsql_into", "plpgsql_simple", "plpgsql_return", "sql"] {
        bed.admin.batch_execute("truncate auth.flow_states").await.unwrap();
        let rows = backend.query(&format!("select app.{function}() from generate_series(1, 3)"), &[]).await.unwrap();
        let states: HashSet<&str> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!((states.len(), bed.count(FLOWS).await), (3, 3), "{function}");
    }
}

#[tokio::test]
async fn an_error_is_not_the_answer_of_the_next_call() {
    let bed = Bed::shared("errors").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    bed.simulator().set_fault(Fault::token(FaultKind::RateLimited { retry_after: None }).times(1)).unwrap();
    for (name, value) in [("code", &pending.code), ("verifier", &pending.verifier), ("state", &pending.state)] {
        app.execute("select set_config('test.' || $1, $2, false)", &[&name, value]).await.unwrap();
    }
    let call = "perform auth.exchange_code(current_setting('test.code'), current_setting('test.verifier'), current_setting('test.state'))";
    app.batch_execute(&format!(
        "do $$ begin begin {call}; raise 'no error'; exception when sqlstate 'WA307' then {call}; end; end $$"
    ))
    .await
    .unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((bed.token_requests().len(), bed.count(SESSIONS).await), (2, 1));
}

#[tokio::test]
async fn an_exchange_that_was_rolled_back_is_not_answered_from_memory() {
    let bed = Bed::shared("rolled_back").await;
    let app = bed.backend().await;
    let pending = start(&app, ALICE).await;
    for (name, value) in [("code", &pending.code), ("verifier", &pending.verifier)] {
        app.execute("select set_config('test.' || $1, $2, false)", &[&name, value]).await.unwrap();
    }
    let call = "perform auth.exchange_code(current_setting('test.code'), current_setting('test.verifier'))";
    // The code is spent at WorkOS; the flow is back. The second call must ask and be refused, not hand out a session
    // whose row was undone.
    let sql = format!(
        "do $$ begin
             begin {call}; raise exception 'undone'; exception when raise_exception then null; end;
             begin {call}; raise exception 'answered from memory' using errcode = 'XX001';
             exception when sqlstate 'WA304' then null; end;
         end $$"
    );
    app.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!((bed.token_requests().len(), bed.count(SESSIONS).await), (2, 0));
}

/// Every column of the row must be of one sign-in, in whatever statement the call stands.
#[tokio::test]
async fn however_the_statement_is_written_it_is_one_sign_in() {
    let bed = Bed::shared("statements").await;
    bed.admin.batch_execute("create schema app; grant all on schema app to public").await.unwrap();
    let call = "(auth.start_sign_in(organization => 'org_acme')).*";
    for (before, statement) in [
        ("", format!("create temp table kept as select {call}")),
        ("create temp table kept (url text, state text, code_verifier text, expires_at timestamptz)", format!("insert into kept select {call}")),
        ("", format!("create temp table kept as with started as materialized (select {call}) select * from started")),
        ("", format!("create temp table kept as select * from (select {call} offset 0) s")),
        ("", format!("create temp table kept as select s.* from generate_series(1, 1) g, lateral (select {call} where g > 0 offset 0) s")),
        ("", "create temp table kept as select (s).* from (select auth.start_sign_in(organization => 'org_acme') offset 0) t(s)".into()),
        (
            &format!("create function app.started() returns table (url text, state text, code_verifier text, expires_at timestamptz)
                language plpgsql as $$ begin return query select {call}; end $$"),
            "create temp table kept as select * from app.started()".into(),
        ),
        ("", format!("do $$ begin create temp table kept as select {call}; end $$")),
        ("", format!("do $$ begin execute 'create temp table kept as select {}'; end $$", call.replace('\'', "''"))),
        ("", format!("do $$ declare c cursor for select {call}; r record; begin
            create temp table kept (url text, state text, code_verifier text, expires_at timestamptz);
            for r in c loop insert into kept values (r.url, r.state, r.code_verifier, r.expires_at); end loop; end $$")),
    ] {
        bed.admin.batch_execute("truncate auth.flow_states").await.unwrap();
        let app = bed.backend().await;
        app.batch_execute(before).await.unwrap();
        app.batch_execute(&statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
        assert_eq!(bed.count(FLOWS).await, 1, "{statement}");
        let row = app.query_one("select url like '%state=' || state, state, code_verifier from kept", &[]).await.unwrap();
        assert!(row.get::<_, bool>(0), "{statement}: the columns are of several sign-ins");
    }
}

#[tokio::test]
async fn a_prepared_statement_starts_a_sign_in_each_time_and_explain_none() {
    let bed = Bed::shared("prepared").await;
    let app = bed.backend().await;
    let call = "select (auth.start_sign_in(organization => $1)).*";
    // More often than it takes Postgres to turn to a generic plan.
    let prepared = app.prepare(call).await.unwrap();
    app.batch_execute("begin").await.unwrap();
    for _ in 0..8 {
        app.query_one(&prepared, &[&"org_acme"]).await.unwrap();
    }
    app.batch_execute("commit").await.unwrap();
    assert_eq!(bed.count(FLOWS).await, 8);
    app.batch_execute("explain verbose select (auth.start_sign_in(organization => 'org_acme')).*").await.unwrap();
    assert_eq!(bed.count(FLOWS).await, 8);
    app.batch_execute("explain analyze select (auth.start_sign_in(organization => 'org_acme')).*").await.unwrap();
    assert_eq!(bed.count(FLOWS).await, 9);
}
