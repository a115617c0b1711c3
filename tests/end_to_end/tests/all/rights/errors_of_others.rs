//! An error of somebody's own code below a call of ours keeps its place: CONTEXT, and the names of schema, table, column, data type and
//! constraint, for the client and in the server's log, as by plain SQL.

use tokio_postgres::Client;
use tokio_postgres::error::DbError;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, exchange, start};

/// What an error says of its place, without CONTEXT.
fn names(error: &DbError) -> [Option<&str>; 5] {
    [error.schema(), error.table(), error.column(), error.datatype(), error.constraint()]
}

async fn raised(client: &Client, sql: &str) -> DbError {
    let error = client.batch_execute(sql).await.expect_err(sql);
    error.as_db_error().unwrap_or_else(|| panic!("{sql}: {error}")).clone()
}

/// A table of the application's beside auth.users, which a trigger fills.
async fn bed() -> Bed<'static> {
    let bed = Bed::shared("errors_of_others").await;
    bed.admin
        .batch_execute(
            "create domain short as text constraint is_short check (length(value) < 20);
             create table people (id uuid primary key references auth.users, mail text not null, nick text check (nick <> ''));
             create function copy_person() returns trigger language plpgsql security definer set search_path = public as $$ begin
                 insert into people values (new.id, new.email, 'nick');
                 return new;
             end $$;
             create trigger copy_person after insert on auth.users for each row execute function copy_person()",
        )
        .await
        .unwrap();
    bed
}

#[tokio::test]
async fn an_error_of_a_trigger_says_where_it_was_raised() {
    let bed = bed().await;
    let insert = "insert into auth.users (id, email) values (gen_random_uuid(), 'eve@example.com')";
    let create = "select auth.create_user('eve@example.com')";
    for (what, body) in [
        ("a column that is not null", "insert into people values (new.id, null);"),
        ("a check", "insert into people values (new.id, new.email, '');"),
        (
            "a primary key",
            "insert into people values (new.id, new.email); insert into people values (new.id, new.email);",
        ),
        ("a domain", "perform 'more than twenty characters'::short;"),
        ("a SQLSTATE that nobody knows", "raise exception 'no' using errcode = 'ZZ123', detail = 'd', hint = 'h';"),
        ("one of class P0", "raise exception 'no' using errcode = 'P0123';"),
        ("a notice before it", "raise notice 'soon'; raise exception 'no' using errcode = 'ZZ123', table = 't';"),
        (
            "names of its own",
            "raise exception 'no' using schema = 's', table = 't', column = 'c', datatype = 'd', constraint = 'k';",
        ),
        ("dynamic SQL", "execute 'select 1/0';"),
    ] {
        bed.admin
            .batch_execute(&format!(
                "create or replace function copy_person() returns trigger language plpgsql security definer set search_path = public
                 as $$ begin {body} return new; end $$"
            ))
            .await
            .unwrap();
        let plain = raised(&bed.admin, insert).await;
        let place = plain.where_().unwrap_or_else(|| panic!("{what}: plain SQL has no CONTEXT"));
        for call in [create, "do $do$ begin perform auth.create_user('eve@example.com'); end $do$"] {
            let ours = raised(&bed.admin, call).await;
            assert_eq!(ours.code(), plain.code(), "{what}: {call}");
            assert_eq!(names(&ours), names(&plain), "{what}: {call}");
            assert_eq!((ours.message(), ours.hint()), (plain.message(), plain.hint()), "{what}: {call}");
            let context = ours.where_().unwrap_or_else(|| panic!("{what}: {call} has no CONTEXT"));
            assert!(context.starts_with(place), "{what}: {call}\n{context}\n{place}");
            assert_eq!(context.matches("PL/pgSQL function copy_person()").count(), 1, "{what}: {call}\n{context}");
            assert_eq!(context.contains("inline_code_block"), call.starts_with("do"), "{what}: {call}\n{context}");
        }
    }
}

/// A sign-in, and a removal that a foreign key refuses; neither shows what was passed.
#[tokio::test]
async fn a_sign_in_and_a_removal_say_so_too() {
    let bed = Bed::shared("errors_of_a_sign_in").await;
    let app = bed.backend().await;
    let session = bed.sign_in(ALICE).await;
    bed.admin
        .batch_execute(
            "create table posts (owner uuid constraint posts_owner references auth.users (id));
             insert into posts select id from auth.users;
             create function refuse() returns trigger language plpgsql as $$ begin
                 raise exception 'not today' using table = tg_table_name;
             end $$;
             create trigger refuse before insert on auth.sessions for each row execute function refuse()",
        )
        .await
        .unwrap();
    let refused = raised(&bed.admin, &format!("select auth.delete_user('{}')", session.user_id)).await;
    assert_eq!(names(&refused), [Some("public"), Some("posts"), None, None, Some("posts_owner")]);

    let started = start(&app, ALICE).await;
    let error = exchange(&app, &started).await.expect_err("the trigger refuses it");
    let error = error.as_db_error().unwrap();
    assert_eq!((error.code().code(), error.table()), ("P0001", Some("sessions")));
    let context = error.where_().unwrap();
    assert!(context.contains("refuse() line 2 at RAISE"), "{context}");
    for secret in [&started.code, &started.verifier, &started.state] {
        assert!(!context.contains(secret.as_str()), "{context}");
    }
    let log = bed.log();
    assert!(log.contains("refuse() line 2 at RAISE"), "the server's log has no CONTEXT");
}
