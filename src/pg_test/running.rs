//! Which queries are running, and which statement is worked off.

use std::cell::RefCell;

use pgrx::prelude::*;

use crate::postgres::runs;

thread_local! {
    /// What `note_run` found.
    static NOTED: RefCell<Vec<Noted>> = const { RefCell::new(Vec::new()) };
}

/// What a function finds around it.
#[derive(Debug, Clone, Copy)]
struct Noted {
    number: u64,
    /// The innermost query has begun to start, and has no memory yet.
    is_starting: bool,
}

#[pg_schema]
mod tests {
    use std::panic::AssertUnwindSafe;

    use super::*;
    use crate::pg_test::fixture::{run, text};
    use crate::postgres::pinning::pin;
    use crate::postgres::runs::{current_run, depth, without_running_queries};
    use crate::postgres::statement::Statement;

    #[pg_extern]
    fn run_number() -> i64 {
        current_run().cast_signed()
    }

    #[pg_extern]
    fn is_clients_own() -> bool {
        runs::is_clients_own()
    }

    /// Postgres calls it while a query starts, to leave partitions out.
    #[pg_extern(stable)]
    fn note_run() -> i32 {
        let is_starting = runs::runs().next().is_some_and(|run| run.query().is_null());
        NOTED.with_borrow_mut(|noted| noted.push(Noted { number: current_run(), is_starting }));
        1
    }

    #[pg_extern]
    fn pin_and_fail() -> i32 {
        pin(&None, None).unwrap();
        panic!("on purpose")
    }

    fn numbers(value: &str) -> Vec<i64> {
        text(value).split(' ').map(|number| number.parse().unwrap()).collect()
    }

    /// Runs a statement that fails, and swallows its error without a subtransaction, as C code may.
    fn swallow(sql: &str) {
        // SAFETY: undoes what the statement pushed, which nobody else does after such an error.
        unsafe {
            let before = pg_sys::GetActiveSnapshot();
            let swallowed =
                PgTryBuilder::new(AssertUnwindSafe(|| Spi::run(sql).is_err())).catch_others(|_| true).execute();
            assert!(swallowed, "{sql} did not fail");
            while pg_sys::GetActiveSnapshot() != before {
                pg_sys::PopActiveSnapshot();
            }
        }
    }

    #[pg_test]
    fn a_test_is_a_query_of_the_client_and_what_it_runs_is_not() {
        assert!(runs::is_clients_own());
        assert_eq!((depth(), runs::runs().count()), (1, 1));
        assert_eq!(Spi::get_one::<bool>("select tests.is_clients_own()"), Ok(Some(false)));
        // Nor where there is no query around it.
        assert_eq!(text("select tests.is_clients_own()"), "false");
    }

    #[pg_test]
    fn every_run_has_a_number_of_its_own() {
        let outer = current_run();
        assert!(outer > 0);
        let first = Spi::get_one::<i64>("select tests.run_number()").unwrap().unwrap();
        let second = Spi::get_one::<i64>("select tests.run_number()").unwrap().unwrap();
        assert!(first > outer.cast_signed() && second > first, "{outer} {first} {second}");
        assert_eq!((current_run(), depth()), (outer, 1));
    }

    #[pg_test]
    fn a_query_has_its_number_again_after_those_in_it() {
        run("create function pg_temp.inner_run() returns bigint language plpgsql as
                 $$ declare n bigint; begin select tests.run_number() into n from generate_series(1, 1); return n; end $$");
        let found = numbers(
            "select concat_ws(' ', tests.run_number(), pg_temp.inner_run(), tests.run_number(), pg_temp.inner_run())",
        );
        assert_eq!(found[0], found[2], "{found:?}");
        assert!(found[1] > found[0] && found[3] > found[1], "{found:?}");
    }

    #[pg_test]
    fn an_expression_of_plpgsql_belongs_to_the_query_around_it() {
        run("create function pg_temp.expression() returns bigint language plpgsql as
                 $$ declare n bigint; begin n := tests.run_number(); return n; end $$");
        let found = numbers("select concat_ws(' ', tests.run_number(), pg_temp.expression())");
        assert_eq!(found[0], found[1]);
        run("do $$ declare n bigint; begin n := tests.run_number(); assert n = 0, n; end $$");
    }

    #[pg_test]
    fn each_fetch_of_a_cursor_is_a_run() {
        run("do $$ declare c cursor for select tests.run_number() from generate_series(1, 9); a bigint; b bigint; n bigint; begin
                 open c; fetch c into a; select tests.run_number() into n from generate_series(1, 1); fetch c into b;
                 assert a > 0 and n > a and b > n, concat_ws(' ', a, n, b);
             end $$");
        assert_eq!(depth(), 1);
    }

    #[pg_test]
    fn a_query_that_starts_has_no_number() {
        run("create temp table parted (k int) partition by list (k);
             create temp table parted_1 partition of parted for values in (1);
             create temp table parted_2 partition of parted for values in (2);
             insert into parted values (1)");
        NOTED.take();
        assert_eq!(text("select count(*) from parted where k = tests.note_run()"), "1");
        let noted = NOTED.take();
        assert!(noted.iter().any(|noted| noted.is_starting), "nothing was called while it started: {noted:?}");
        assert!(noted.iter().any(|noted| noted.number > 0), "nothing was called while it ran: {noted:?}");
        assert!(noted.iter().all(|noted| !noted.is_starting || noted.number == 0), "{noted:?}");
    }

    #[pg_test]
    fn an_aborted_subtransaction_takes_its_runs_with_it() {
        let before = (depth(), current_run());
        let fail = "select 1 / (n - 1) from generate_series(1, 1) as n";
        // The innermost error jumps over the runs of three queries.
        run(&format!(
            "create function pg_temp.fails() returns int language plpgsql as 'begin return ({fail}); end';
             create function pg_temp.calls() returns int language sql as 'select pg_temp.fails() from generate_series(1, 1)'"
        ));
        for caught in [fail, "select pg_temp.calls() from generate_series(1, 1)"] {
            Spi::run(&format!(
                "do $$ declare n bigint; begin
                     begin execute '{caught}'; raise 'it did not fail'; exception when division_by_zero then null; end;
                     begin
                         begin execute '{caught}'; exception when division_by_zero then raise 'once more'; end;
                     exception when raise_exception then null; end;
                 end $$"
            ))
            .unwrap();
            assert_eq!((depth(), current_run()), before, "{caught}");
        }
    }

    #[pg_test]
    fn a_subtransaction_that_ends_well_leaves_the_runs_around_it() {
        let before = (depth(), current_run());
        Spi::run(
            "do $$ begin begin perform 1 from generate_series(1, 3); exception when others then raise; end; end $$",
        )
        .unwrap();
        assert_eq!((depth(), current_run()), before);
    }

    #[pg_test]
    fn a_swallowed_error_is_left_out_by_the_next_query() {
        without_running_queries(|| {
            swallow("select 1 / (n - 1) from generate_series(1, 1) as n");
            assert_eq!(depth(), 1, "the error left nothing behind, and this test tests nothing");
            assert_eq!(runs::runs().count(), 0);
            assert!(current_run() > 0);
            let inner = Spi::get_one::<i64>("select tests.run_number()").unwrap().unwrap();
            assert!(inner > 0);
            assert_eq!((depth(), current_run()), (0, 0));
        });
    }

    #[pg_test]
    fn a_swallowed_error_is_left_out_by_a_reader_that_looks_anew() {
        without_running_queries(|| {
            swallow("select 1 / (n - 1) from generate_series(1, 1) as n");
            assert_eq!(depth(), 1, "the error left nothing behind, and this test tests nothing");
            runs::leave_out_dead();
            assert_eq!((depth(), current_run()), (0, 0));
        });
        assert_eq!(depth(), 1);
    }

    /// What was kept for the results of such a query is gone, so no reader may take the query for a running one.
    #[pg_test]
    fn a_query_whose_memory_is_gone_has_no_number() {
        without_running_queries(|| {
            swallow("select tests.pin_and_fail() from generate_series(1, 1)");
            assert_eq!(depth(), 1, "the error left nothing behind, and this test tests nothing");
            assert_eq!((current_run(), runs::runs().count()), (0, 0));
        });
    }

    #[pg_test]
    fn hidden_queries_come_back_after_an_error_too() {
        let before = (depth(), current_run());
        without_running_queries(|| assert_eq!((depth(), current_run(), runs::runs().count()), (0, 0, 0)));
        assert_eq!((depth(), current_run()), before);
        let caught =
            std::panic::catch_unwind(|| without_running_queries(|| std::panic::resume_unwind(Box::new("on purpose"))));
        assert!(caught.is_err_and(|cause| cause.downcast_ref() == Some(&"on purpose")));
        assert_eq!((depth(), current_run()), before);
    }

    #[pg_test]
    fn what_a_statement_runs_is_the_same_statement() {
        let statement = Statement::current();
        run("do $$ begin perform 1; perform 2; end $$");
        run("select 3");
        assert_eq!(Statement::current(), statement);
    }
}
