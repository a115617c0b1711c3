//! One query, one identity, and what a query keeps.

use std::any::Any;
use std::cell::RefCell;
use std::rc::Weak;

use pgrx::prelude::*;

thread_local! {
    /// What was given to queries to keep.
    static GIVEN: RefCell<Vec<Weak<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

#[pg_schema]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::current_session::current;
    use crate::pg_test::fixture::{assert_refused, run, sqlstate_of, text, text_or_null, two_people};
    use crate::postgres::pinning::{Read, pin};
    use workos_auth_core::ErrorCode;

    /// Gives something to the running queries to keep, as a reader does.
    #[pg_extern]
    fn keep() -> i64 {
        let read: Read = Rc::new(0_u8);
        pin(&None, Some(&read)).unwrap();
        give(&read)
    }

    /// Notes the session that a reader finds, and how many different ones there were.
    #[pg_extern]
    fn note_session() -> i64 {
        let session: Read = current().unwrap().unwrap();
        give(&session)
    }

    fn give(read: &Read) -> i64 {
        GIVEN.with_borrow_mut(|given| {
            let new = Rc::downgrade(read);
            if !given.iter().any(|known| Weak::ptr_eq(known, &new)) {
                given.push(new);
            }
            i64::try_from(given.len()).unwrap()
        })
    }

    /// How many of them are there.
    #[pg_extern]
    fn kept() -> i64 {
        GIVEN.with_borrow(|given| given.iter().filter(|read| read.strong_count() > 0).count()).try_into().unwrap()
    }

    #[pg_test]
    fn a_query_keeps_all_that_was_read_in_it_and_no_longer() {
        assert_eq!(text("select concat_ws(' ', tests.keep(), tests.keep(), tests.keep(), tests.kept())"), "1 2 3 3");
        assert_eq!(kept(), 0);
    }

    #[pg_test]
    fn the_same_thing_is_kept_once() {
        let read: Read = Rc::new(0_u8);
        for _ in 0..3 {
            pin(&None, Some(&read)).unwrap();
        }
        // By the query that runs this test.
        assert_eq!(Rc::strong_count(&read), 2);
    }

    #[pg_test]
    fn what_an_inner_query_read_the_outer_one_keeps() {
        run("create function pg_temp.inner_keeps() returns bigint language plpgsql as
                 $$ begin perform tests.keep() from generate_series(1, 2); return tests.kept(); end $$");
        assert_eq!(
            text("select concat_ws(' ', pg_temp.inner_keeps(), tests.kept(), pg_temp.inner_keeps(), tests.kept())"),
            "2 2 4 4"
        );
        assert_eq!(kept(), 0);
    }

    #[pg_test]
    fn an_aborted_query_keeps_nothing() {
        assert_eq!(sqlstate_of("select tests.keep(), 1 / (tests.kept() - 1)"), "22012");
        assert_eq!(kept(), 0);
    }

    #[pg_test]
    fn a_cursor_keeps_what_it_read_until_it_is_closed() {
        run("do $$ declare c cursor for select tests.keep() from generate_series(1, 9); n bigint; begin
                 open c; fetch c into n; assert tests.kept() = 1; fetch c into n; assert tests.kept() = 2;
                 close c; assert tests.kept() = 0, tests.kept();
             end $$");
    }

    /// A token that the cache has lost is verified again, and is another value in memory. What was read before still stands.
    #[pg_test]
    fn a_session_that_is_verified_again_in_a_query_does_not_free_the_first() {
        let (alice, bob) = two_people();
        run("set local workos_auth.token_cache_size = 1");
        alice.become_current();
        let verify_another = format!("auth.verify_token('{}')->>'email'", bob.token);
        let again = format!("{}->>'email'", alice.set_session());
        let found = text(&format!(
            "select concat_ws(' ', tests.note_session(), auth.email(), {verify_another}, {again}, tests.note_session(), auth.email(), tests.kept())"
        ));
        let (alice, bob) = (alice.email, bob.email);
        assert_eq!(found, format!("1 {alice} {bob} {alice} 2 {alice} 2"));
        // The cache and the current session have one of them.
        assert_eq!(kept(), 1);
    }

    #[pg_test]
    fn a_query_that_has_read_one_person_is_refused_another() {
        let (alice, bob) = two_people();
        alice.become_current();
        let both = format!("select auth.email(), {}, auth.email()", bob.set_session());
        assert_refused(&both, ErrorCode::SessionChanged);
        assert_eq!(text("select auth.email()"), alice.email, "the refused statement left its session behind");
        bob.become_current();
        assert_eq!(text("select auth.email()"), bob.email);
    }

    #[pg_test]
    fn nobody_is_an_identity_too() {
        let (alice, _) = two_people();
        assert_refused(&format!("select auth.uid(), {}, auth.uid()", alice.set_session()), ErrorCode::SessionChanged);
        assert_eq!(text_or_null("select auth.uid()"), None);
        // Whoever has read nothing yet may set one.
        assert_eq!(text(&format!("select concat({}->>'sub' = auth.uid()::text)", alice.set_session())), "t");
    }

    #[pg_test]
    fn what_an_inner_query_reads_binds_the_outer_one() {
        let (alice, bob) = two_people();
        run("create function pg_temp.email_of(token text) returns text language plpgsql as
                 $$ declare e text; begin perform auth.set_session(token); select auth.email() into e from generate_series(1, 1); return e; end $$");
        let of = |token: &str| format!("pg_temp.email_of('{token}')");
        let twice = format!("select {0}, {0}", of(&alice.token));
        assert_eq!(sqlstate_of(&twice), "nothing was refused");
        assert_refused(&format!("select {}, {}", of(&alice.token), of(&bob.token)), ErrorCode::SessionChanged);
    }

    #[pg_test]
    fn a_cursor_stays_with_the_person_of_its_first_row() {
        let (alice, bob) = two_people();
        let block = |second: &str| {
            format!(
                "do $do$ declare c cursor for select auth.email() from generate_series(1, 9); e text; begin
                     perform {}; open c; fetch c into e; perform {second}; fetch c into e; close c; end $do$",
                alice.set_session()
            )
        };
        assert_eq!(sqlstate_of(&block(&alice.set_session())), "nothing was refused");
        assert_refused(&block(&bob.set_session()), ErrorCode::SessionChanged);
    }

    /// Postgres leaves partitions out while a query starts: whom it asked for then, the query stays with.
    #[pg_test]
    fn what_the_start_read_binds_the_rest() {
        let (alice, bob) = two_people();
        run("create temp table parted (e text) partition by list (e);
             create temp table parted_1 partition of parted for values in ('alice@acme.com');
             create temp table parted_2 partition of parted for values in ('bob@globex.com');
             insert into parted values ('alice@acme.com'), ('bob@globex.com')");
        alice.become_current();
        assert_eq!(text("select e from parted where e = auth.email()"), alice.email);
        // The session changes after the start and before the first row.
        let query =
            format!("select count(*) from parted where ({}) is not null and e = auth.email()", bob.set_session());
        assert_refused(&query, ErrorCode::SessionChanged);
    }

    #[pg_test]
    fn without_a_session_the_role_that_is_read_stays_what_it_was() {
        run("create role test_pinned_one; create role test_pinned_two");
        run("create function pg_temp.role_as(role text) returns text language plpgsql as
                 $$ begin perform set_config('role', role, true); return auth.role(); end $$");
        let found = text(
            "select string_agg(r, ' ' order by n) from (
                 select n, pg_temp.role_as('test_pinned_' || case n % 2 when 0 then 'one' else 'two' end) as r from generate_series(1, 4) as n) as s",
        );
        run("reset role");
        let roles: Vec<&str> = found.split(' ').collect();
        // A run of a query sees one answer.
        assert!(roles.iter().all(|role| *role == roles[0]), "{found}");
    }
}
