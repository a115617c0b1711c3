//! Code that somebody else has attached to a table signs nobody in, in the place of whoever writes there: the next statement would be the work
//! of another person.

use serde_json::json;
use tokio_postgres::Client;
use workos_end_to_end::bed::{ALICE, ANNA, Session, set_session};
use workos_end_to_end::sql::{refused_as, text};
use workos_end_to_end::{Bed, case};

/// A table that everybody writes to, and what its owner would have them do with a session of the owner's.
async fn bed(name: &str) -> (Bed<'static>, Session, Client) {
    let bed = Bed::shared(name).await;
    bed.admin
        .batch_execute("create table public.guestbook (line text, mark int); grant select, insert, update, delete on public.guestbook to public")
        .await
        .unwrap();
    let (alice, theirs) = (bed.sign_in(ALICE).await, bed.sign_in(ANNA).await);
    let role = bed.role("person", "").await;
    let client = bed.connect(&role).await;
    set_session(&client, &alice.access_token, false).await.unwrap();
    (bed, theirs, client)
}

async fn person(client: &Client) -> Option<String> {
    text(client, "select auth.email()").await.unwrap()
}

#[tokio::test]
async fn a_trigger_signs_nobody_in() {
    let (bed, theirs, client) = bed("others_sign_in").await;
    let token = &theirs.access_token;
    let headers = json!({ "authorization": format!("Bearer {token}") });
    for body in [
        format!("perform auth.set_session('{token}', false);"),
        format!("perform auth.set_session('{token}');"),
        format!("execute 'set workos_auth.session_token = ''{token}''';"),
        format!("execute 'set local workos_auth.session_token = ''{token}''';"),
        format!("perform set_config('workos_auth.session_token', '{token}', false);"),
        format!("perform set_config('request.headers', '{headers}', true), auth.use_request_token();"),
    ] {
        for kind in [
            "trigger planted before insert on guestbook for each row",
            "trigger planted after insert on guestbook for each row",
            "trigger planted after insert on guestbook for each statement",
            "constraint trigger planted after insert on guestbook deferrable initially deferred for each row",
        ] {
            case!(kind, body);
            let sql = format!(
                "create or replace function public.plants() returns trigger language plpgsql as $$ begin {body} return new; end $$;
                 drop trigger if exists planted on guestbook; create {kind} execute function public.plants()"
            );
            bed.admin.batch_execute(&sql).await.unwrap();
            let refusal = refused_as(client.execute("insert into guestbook values ('hello')", &[]).await, "55000");
            assert!(refusal.message.contains("session") || refusal.message.contains("signs nobody in"), "{refusal}");
            assert_eq!(person(&client).await.as_deref(), Some(ALICE.email));
        }
    }
    assert_eq!(bed.count("select count(*) from guestbook").await, 0);
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 2);
}

#[tokio::test]
async fn a_function_of_a_table_signs_nobody_in() {
    let (bed, theirs, client) = bed("others_function").await;
    bed.admin
        .batch_execute(&format!(
            "create function public.plants() returns int language plpgsql as $$ begin
                 perform auth.set_session('{}', false); return 1; end $$",
            theirs.access_token
        ))
        .await
        .unwrap();
    for (what, attach) in [
        ("a default", "alter table guestbook alter mark set default public.plants()"),
        (
            "a constraint",
            "alter table guestbook alter mark drop default, add constraint planted check (public.plants() > 0) not valid",
        ),
        (
            "a policy beside one that reads",
            "alter table guestbook drop constraint planted; alter table guestbook enable row level security;
             create policy mine on guestbook using (auth.uid() is not null and public.plants() > 0) with check (true);
             insert into guestbook values ('there')",
        ),
    ] {
        case!(what);
        bed.admin.batch_execute(attach).await.unwrap();
        let statement = if what.starts_with("a policy") {
            "select * from guestbook"
        } else {
            "insert into guestbook (line) values ('x')"
        };
        let refusal = refused_as(client.query(statement, &[]).await, "55000");
        assert!(refusal.message.contains("session"), "{refusal}");
        assert_eq!(person(&client).await.as_deref(), Some(ALICE.email));
    }
}

/// Whoever signs somebody in by a statement of their own does so, also within a function or a block, and as often as they wish.
#[tokio::test]
async fn a_statement_of_ones_own_signs_in() {
    let (bed, theirs, client) = bed("others_own_statement").await;
    let token = &theirs.access_token;
    bed.admin
        .batch_execute(
            "create function public.signs(token text) returns text language plpgsql as $$ begin
                 perform auth.set_session(token, false); return auth.email(); end $$",
        )
        .await
        .unwrap();
    let alice = bed.sign_in(ALICE).await;
    for statement in [
        format!("select public.signs('{token}')"),
        format!("do $$ begin perform public.signs('{token}'); end $$"),
        format!("set workos_auth.session_token = '{token}'"),
        format!("create temp table told as select public.signs('{token}')"),
    ] {
        case!(statement);
        set_session(&client, &alice.access_token, false).await.unwrap();
        client.batch_execute(&statement).await.unwrap();
        assert_eq!(person(&client).await.as_deref(), Some(ANNA.email));
    }
}
