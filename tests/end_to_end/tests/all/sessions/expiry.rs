//! A token that expires meanwhile: between statements, under a cursor, in a cache.

use serde_json::json;
use tokio_postgres::Client;
use workos_end_to_end::Mint;
use workos_end_to_end::case;
use workos_end_to_end::sql::{lines, refused};
use workos_end_to_end::waiting::{now, pass};

/// Long enough for what is done before the token expires, on a busy machine.
const LIFE: i64 = 6;

/// A database with three rows of Alice's and two of nobody's, a role that sees its own, and a connection of the role.
async fn table(database: &str) -> (Mint, Client) {
    let mint = Mint::new(database).await;
    let user = mint.bed.role("user", "").await;
    let sql = format!(
        "create table public.notes (id int primary key, owner uuid);
         alter table public.notes enable row level security;
         create policy owners on public.notes using (owner = auth.uid());
         grant select, insert, update, delete on public.notes to {user};
         insert into public.notes values (1, '{0}'), (2, gen_random_uuid()), (3, '{0}'), (4, gen_random_uuid()), (5, '{0}')",
        mint.session.user_id
    );
    mint.bed.admin.batch_execute(&sql).await.unwrap();
    let client = mint.bed.connect(&user).await;
    (mint, client)
}

/// A token that expires soon, and when that is.
fn short_lived(mint: &Mint) -> (String, i64) {
    let exp = now() + LIFE;
    (mint.token(json!({ "exp": exp })), exp)
}

async fn set(client: &Client, token: &str) {
    client.query_one("select auth.set_session($1, false)", &[&token]).await.unwrap();
}

#[tokio::test]
async fn between_two_statements_of_one_transaction() {
    let (mint, committed) = table("between").await;
    let serializable = mint.bed.connect(&mint.bed.named("DATABASE_user")).await;
    let (token, exp) = short_lived(&mint);
    for (client, isolation) in [(&committed, "read committed"), (&serializable, "serializable")] {
        case!(isolation);
        set(client, &token).await;
        client.batch_execute(&format!("begin isolation level {isolation}")).await.unwrap();
        assert_eq!(lines(client, "select id from notes order by 1").await.unwrap(), ["1", "3", "5"]);
        client.batch_execute("savepoint s").await.unwrap();
    }
    pass(exp).await;
    for client in [&committed, &serializable] {
        for statement in [
            "select id from notes",
            "select auth.uid()",
            "select auth.session_claims()",
            "insert into notes values (9, null)",
            "update notes set owner = owner",
            "delete from notes",
            &format!("select auth.get_user('{token}')"),
        ] {
            refused(client.batch_execute(statement).await, "bad_jwt_expired");
            client.batch_execute("rollback to s").await.unwrap();
        }
        client.batch_execute("rollback").await.unwrap();
        // A new one can be set, and the old one cannot.
        refused(client.query("select auth.set_session($1)", &[&token]).await, "bad_jwt_expired");
        refused(client.query("select auth.verify_token($1)", &[&token]).await, "bad_jwt_expired");
        set(client, &mint.session.access_token).await;
        assert_eq!(lines(client, "select id from notes order by 1").await.unwrap(), ["1", "3", "5"]);
    }
    mint.is_not_changed().await;
}

#[tokio::test]
async fn under_an_open_cursor() {
    let (mint, client) = table("cursors").await;
    let (token, exp) = short_lived(&mint);
    set(&client, &token).await;
    client.batch_execute("begin").await.unwrap();
    let kinds = ["no scroll cursor without hold", "scroll cursor without hold", "cursor with hold", "binary cursor"];
    for (at, kind) in kinds.into_iter().enumerate() {
        client.batch_execute(&format!("declare c{at} {kind} for select id, auth.uid() from notes")).await.unwrap();
        client.batch_execute(&format!("move 1 in c{at}")).await.unwrap();
    }
    assert_eq!(lines(&client, "fetch 1 from c0").await.unwrap(), [format!("3|{}", mint.session.user_id)]);
    client.batch_execute("savepoint s").await.unwrap();
    pass(exp).await;
    for (at, kind) in kinds.into_iter().enumerate() {
        // Neither the policy nor the column goes on with who is gone.
        let fetched = client.batch_execute(&format!("fetch all from c{at}")).await;
        assert!(fetched.is_err(), "{kind}");
        refused(fetched, "bad_jwt_expired");
        client.batch_execute("rollback to s").await.unwrap();
    }
    client.batch_execute("rollback").await.unwrap();
    set(&client, &mint.session.access_token).await;
    assert_eq!(lines(&client, "select id from notes order by 1").await.unwrap(), ["1", "3", "5"]);
}

#[tokio::test]
async fn under_a_cursor_that_is_still_to_be_held() {
    let (mint, client) = table("to_be_held").await;
    // Its rows are computed at the commit, and so is the token looked at.
    let (token, exp) = short_lived(&mint);
    set(&client, &token).await;
    client.batch_execute("begin; declare c cursor with hold for select id from notes; fetch 1 from c").await.unwrap();
    pass(exp).await;
    refused(client.batch_execute("commit").await, "bad_jwt_expired");
    assert_eq!(lines(&client, "select name from pg_cursors where name = 'c'").await.unwrap().len(), 0);
    set(&client, &mint.session.access_token).await;
}

#[tokio::test]
async fn under_a_cursor_that_is_held_across_the_commit() {
    let (mint, client) = table("held").await;
    // Computed in time they are rows that have been read, and stay the reader's own; nothing is computed later.
    let (token, exp) = short_lived(&mint);
    set(&client, &token).await;
    client
        .batch_execute("begin; declare c cursor with hold for select id from notes; fetch 1 from c; commit")
        .await
        .unwrap();
    pass(exp).await;
    assert_eq!(lines(&client, "fetch all from c").await.unwrap(), ["3", "5"]);
    refused(client.batch_execute("select id from notes").await, "bad_jwt_expired");
    refused(client.batch_execute("declare d cursor with hold for select id from notes").await, "bad_jwt_expired");
    // Whoever comes next on the connection starts without it.
    client.batch_execute("discard all").await.unwrap();
    assert_eq!(lines(&client, "select name from pg_cursors where name = 'c'").await.unwrap().len(), 0);
}

#[tokio::test]
async fn within_prepared_statements_and_functions() {
    let (mint, client) = table("prepared").await;
    mint.bed
        .admin
        .batch_execute(
            "create function public.mine() returns bigint language plpgsql stable as 'begin return (select count(*) from notes); end';
             create function public.uid() returns uuid language sql stable as 'select auth.uid()'",
        )
        .await
        .unwrap();
    let (token, exp) = short_lived(&mint);
    set(&client, &token).await;
    let count =
        client.prepare("select public.mine(), (select count(*) from notes where owner = public.uid())").await.unwrap();
    client.batch_execute("set plan_cache_mode = force_generic_plan").await.unwrap();
    for _ in 0..3 {
        let row = client.query_one(&count, &[]).await.unwrap();
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (3, 3));
    }
    pass(exp).await;
    refused(client.query(&count, &[]).await, "bad_jwt_expired");
    // An error that is caught is no way to go on with it.
    let caught = "do $$ begin
        begin perform auth.uid(); raise 'still there' using errcode = 'ZZ001'; exception when sqlstate 'WA508' then null; end;
        if exists (select from notes) then raise 'rows' using errcode = 'ZZ002'; end if; end $$";
    refused(client.batch_execute(caught).await, "bad_jwt_expired");
    set(&client, &mint.session.access_token).await;
    assert_eq!(client.query_one(&count, &[]).await.unwrap().get::<_, i64>(0), 3);
}
