//! The same call within a query is made once.

use std::cell::{Cell, RefCell};
use std::rc::Weak;

use pgrx::prelude::*;

thread_local! {
    static CALLS: Cell<i64> = const { Cell::new(0) };
    static ANSWERS: RefCell<Vec<Weak<i64>>> = const { RefCell::new(Vec::new()) };
}

#[pg_schema]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::error::or_raise;
    use crate::pg_test::fixture::{run, text};
    use crate::postgres::once_per_query;
    use workos_auth_core::{Error, ErrorCode};

    /// Counts the calls that are made; of a negative argument, every odd one fails.
    #[pg_extern]
    fn count_call(argument: i32, fcinfo: pg_sys::FunctionCallInfo) -> i64 {
        let answer = or_raise(once_per_query::answer(fcinfo, &argument, || {
            CALLS.set(CALLS.get() + 1);
            match argument < 0 && CALLS.get() % 2 == 1 {
                true => Err(Error::new(ErrorCode::InvalidArgument)),
                false => Ok(CALLS.get()),
            }
        }));
        ANSWERS.with_borrow_mut(|answers| answers.push(Rc::downgrade(&answer)));
        *answer
    }

    /// The same function by another name.
    const ANOTHER: &str =
        "create function pg_temp.another(int) returns bigint language c as '$libdir/workos_auth', 'count_call_wrapper'";

    #[pg_test]
    fn the_same_call_in_a_query_is_made_once() {
        assert_eq!(text("select concat_ws(' ', tests.count_call(1), tests.count_call(1))"), "1 1");
        let rows = "select string_agg(concat_ws(' ', tests.count_call(n % 2), tests.count_call(1)), ',' order by n) from generate_series(1, 4) as n";
        assert_eq!(text(rows), "2 2,3 2,2 2,3 2");
        assert_eq!(CALLS.get(), 3);
    }

    #[pg_test]
    fn another_function_with_the_same_arguments_is_another_call() {
        run(ANOTHER);
        assert_eq!(
            text("select concat_ws(' ', tests.count_call(1), pg_temp.another(1), tests.count_call(1))"),
            "1 2 1"
        );
    }

    #[pg_test]
    fn every_execution_has_answers_of_its_own() {
        for round in 1..=3 {
            assert_eq!(text("select tests.count_call(1)"), round.to_string());
        }
        // A prepared plan too, and a loop whose expressions have no plan.
        run("do $$ declare n bigint; begin
                 for round in 4 .. 6 loop select tests.count_call(1) into n from generate_series(1, 1); assert n = round, n; end loop;
                 for round in 7 .. 9 loop n := tests.count_call(1); assert n = round, n; end loop;
             end $$");
    }

    #[pg_test]
    fn a_subtransaction_has_answers_of_its_own() {
        // One execution: a cursor, which is read in several subtransactions.
        run("do $$ declare c cursor for select tests.count_call(1) from generate_series(1, 9); a bigint; b bigint; d bigint; e bigint; f bigint; begin
                 open c; fetch c into a;
                 begin fetch c into b; raise 'undone'; exception when raise_exception then null; end;
                 fetch c into d;
                 begin fetch c into e; raise 'undone'; exception when raise_exception then null; end;
                 fetch c into f;
                 assert (a, b, d, e, f) = (1, 2, 1, 3, 1), concat_ws(' ', a, b, d, e, f);
             end $$");
        assert_eq!(CALLS.get(), 3);
    }

    #[pg_test]
    fn an_error_is_not_remembered() {
        run("do $$ declare c cursor for select tests.count_call(-1) from generate_series(1, 9); n bigint; begin
                 begin open c; fetch c into n; raise 'it did not fail'; exception when others then assert sqlstate <> 'P0001', sqlerrm; end;
             end $$");
        assert_eq!(CALLS.get(), 1);
        assert_eq!(text("select concat_ws(' ', tests.count_call(-1), tests.count_call(-1))"), "2 2");
    }

    #[pg_test]
    fn answers_are_forgotten_with_their_query() {
        assert_eq!(
            text("select concat_ws(' ', tests.count_call(1), tests.count_call(2), tests.count_call(1))"),
            "1 2 1"
        );
        let left = ANSWERS.with_borrow(|answers| answers.iter().filter(|answer| answer.strong_count() > 0).count());
        assert_eq!((CALLS.get(), left), (2, 0));
    }
}
