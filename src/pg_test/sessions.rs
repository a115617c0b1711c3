//! The current session: keys, parallel workers, memory.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use workos_auth_core::ErrorCode;

    use super::*;
    use crate::current_session::public_keys;
    use crate::pg_test::fixture::{Person, assert_refused, configure, quoted, run, sqlstate_of, text, two_people};
    use crate::postgres::runs::without_running_queries;
    use crate::postgres::transaction::in_subtransaction;

    fn verify(person: &Person) -> String {
        format!("select auth.verify_token({})", quoted(&person.token))
    }

    #[pg_test]
    fn cached_keys_are_dropped_when_their_table_changes() {
        let (alice, _) = two_people();
        assert_eq!(public_keys().len(), 1);
        assert_eq!(sqlstate_of(&verify(&alice)), "nothing was refused");
        let first = text("select kid from auth.signing_keys where status = 'active'");
        run("select auth.rotate_signing_key()");
        assert_eq!(public_keys().len(), 2);
        // The old key verifies until it is retired.
        assert_eq!(sqlstate_of(&verify(&alice)), "nothing was refused");
        run(&format!("select auth.retire_signing_key('{first}')"));
        assert_eq!(public_keys().len(), 1);
        assert_refused(&verify(&alice), ErrorCode::BadJwtKey);
    }

    #[pg_test]
    fn keys_of_a_subtransaction_that_was_undone_are_forgotten() {
        let (alice, _) = two_people();
        assert_eq!(public_keys().len(), 1);
        let before = text("select kid from auth.signing_keys where status = 'active'");
        let undone: workos_auth_core::Result<()> = in_subtransaction(|| {
            run("select auth.rotate_signing_key()");
            run(&format!("select auth.retire_signing_key('{before}')"));
            assert_eq!(public_keys().len(), 1);
            assert_refused(&verify(&alice), ErrorCode::BadJwtKey);
            Err(workos_auth_core::Error::new(ErrorCode::InvalidArgument))
        });
        assert!(undone.is_err());
        assert_eq!(public_keys().len(), 1);
        assert_eq!(sqlstate_of(&verify(&alice)), "nothing was refused");
    }

    #[pg_test]
    fn a_session_that_ends_is_gone_for_the_next_reader() {
        let (alice, bob) = two_people();
        alice.become_current();
        assert_eq!(text("select auth.email()"), alice.email);
        run(&format!("select auth.revoke_sessions('{}')", bob.id));
        assert_eq!(sqlstate_of(&verify(&alice)), "nothing was refused");
        run(&format!("select auth.revoke_sessions('{}')", alice.id));
        assert_refused(&verify(&alice), ErrorCode::SessionNotFound);
        assert_refused(&verify(&bob), ErrorCode::SessionNotFound);
    }

    /// A table that workers read, and settings that have them read it.
    fn make_parallel() {
        let version: i32 = text("select current_setting('server_version_num')").parse().unwrap();
        let setting = if version < 160_000 { "force_parallel_mode" } else { "debug_parallel_query" };
        run(&format!(
            "create table public.test_rows (id int) with (parallel_workers = 2);
             insert into public.test_rows select generate_series(1, 3000); analyze public.test_rows;
             create function public.test_process() returns int parallel safe language plpgsql as 'begin return pg_backend_pid(); end';
             set local {setting} = on; set local parallel_setup_cost = 0; set local parallel_tuple_cost = 0;
             set local min_parallel_table_scan_size = 0; set local max_parallel_workers_per_gather = 2;
             set local parallel_leader_participation = off"
        ));
    }

    /// What is said for each row of the table, and whether another process says it.
    fn in_workers(what: &str) -> String {
        // SAFETY: a global of the backend.
        let leader = unsafe { pg_sys::MyProcPid };
        let query = format!(
            "select distinct concat_ws(' ', (public.test_process() <> {leader})::text, {what}) from public.test_rows"
        );
        // Without a limit on the rows, which keeps workers away.
        let said = without_running_queries(|| {
            Spi::connect_mut(|client| {
                let rows = client.update(&query, None, &[]).unwrap();
                rows.map(|row| row.get::<String>(1).unwrap().unwrap()).collect::<Vec<_>>()
            })
        });
        said.join(", ")
    }

    #[pg_test]
    fn a_parallel_worker_is_told_the_session() {
        let (alice, bob) = two_people();
        make_parallel();
        let readers = "coalesce(auth.email(), 'nobody'), auth.uid(), auth.role()";
        assert!(in_workers("coalesce(auth.email(), 'nobody')").ends_with("true nobody"));
        for person in [&alice, &bob, &alice] {
            person.become_current();
            let expected = format!("true {} {} {}", person.email, person.id, text("select auth.role()"));
            assert_eq!(in_workers(readers), expected);
        }
        run("select auth.clear_session()");
        assert!(in_workers("coalesce(auth.email(), 'nobody')").ends_with("true nobody"));
    }

    /// The leader need not have read anything: what its workers are going to read is pinned for it.
    #[pg_test]
    fn a_parallel_query_is_pinned_before_its_workers_read() {
        let (alice, bob) = two_people();
        make_parallel();
        run("create function public.test_count_seen() returns bigint language plpgsql as $$
                 declare leader int := pg_backend_pid(); begin
                     return (select count(*) from public.test_rows where auth.email() is not null and public.test_process() <> leader);
                 end $$");
        alice.become_current();
        let inner = "public.test_count_seen()";
        assert_eq!(text(&format!("select {inner}")), "3000");
        assert_refused(&format!("select {inner}, {}, auth.email()", bob.set_session()), ErrorCode::SessionChanged);
    }

    /// What the C library has given out, in bytes. Postgres's memory contexts are of it too.
    fn allocated() -> usize {
        // SAFETY: reads the allocator's own counters.
        let counted = unsafe { libc::mallinfo2() };
        counted.uordblks + counted.hblkhd
    }

    const PEOPLE: usize = 4_000;
    const MOST: usize = 2_000_000;

    #[pg_test]
    fn a_transaction_of_many_people_takes_no_more_memory_than_one_of_them() {
        configure();
        let alice = Person::new("alice@acme.com");
        run(&format!(
            "create temp table tokens as
                 select s.access_token as token from generate_series(1, {PEOPLE}) as n,
                     lateral auth.create_session(user_id => '{}', ttl => make_interval(secs => 1000 + n)) as s",
            alice.id
        ));
        assert_eq!(text("select count(distinct token) from tokens"), PEOPLE.to_string());
        let each = |limit: usize| {
            run(&format!(
                "do $$ declare t text; n bigint := 0; begin
                     for t in select token from tokens limit {limit} loop
                         perform auth.set_session(t);
                         assert auth.email() = 'alice@acme.com' and (select auth.session_id() from generate_series(1, 1)) is not null;
                         n := n + 1;
                     end loop;
                     assert n = {limit};
                 end $$"
            ));
        };
        // What is allocated once, and the cache of tokens, is allocated.
        each(100);
        let before = allocated();
        each(PEOPLE);
        let more = allocated().saturating_sub(before);
        assert!(more < MOST, "{PEOPLE} people take {more} bytes");
    }

    #[pg_test]
    fn each_of_many_roles_in_a_transaction_is_answered() {
        run("do $$ begin for n in 1 .. 50 loop execute format('create role test_many_%s', n); end loop; end $$");
        run(
            "do $$ begin for n in 1 .. 50 loop perform set_config('role', 'test_many_' || n, true); assert auth.role() = current_user; end loop; end $$",
        );
        run("reset role");
        assert_eq!(text("select auth.role() = current_user"), "true");
    }
}
