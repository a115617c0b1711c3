//! SQLSTATEs, and what an error leaves behind.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use workos_auth_core::{Error, ErrorCode};

    use super::*;
    use crate::error::{or_raise, raise, sqlstate};
    use crate::pg_test::fixture::{quoted, run, sqlstate_of, text};
    use crate::postgres::transaction::in_subtransaction;

    #[pg_extern]
    fn raise_ours(code: i32) -> i32 {
        raise(Error::new(ErrorCode::ALL[usize::try_from(code).unwrap()]))
    }

    /// Runs a statement and raises what it raises, as we do around code of others.
    #[pg_extern]
    fn listen(statement: &str) -> i32 {
        sqlstate::listening(|_| Spi::run(statement).unwrap());
        1
    }

    /// Runs a statement, and says which SQLSTATE was caught on the way.
    #[pg_extern]
    fn hear(statement: &str) -> String {
        or_raise(sqlstate::listening(|error| {
            let outcome = in_subtransaction(|| {
                Spi::run(statement).unwrap();
                Ok(())
            });
            Ok(match outcome {
                Ok(()) => "nothing was raised".to_owned(),
                Err(_) => error.text(),
            })
        }))
    }

    /// What Postgres calls to complete an error.
    fn context_stack() -> *mut pg_sys::ErrorContextCallback {
        // SAFETY: reads a global of the backend.
        unsafe { pg_sys::error_context_stack }
    }

    /// What a statement raises: SQLSTATE, message, detail, hint, names and context, as the handler of PL/pgSQL sees them.
    fn diagnostics(statement: &str) -> String {
        run("create or replace function pg_temp.diagnostics(statement text) returns text language plpgsql as $$
                 declare state text; message text; detail text; hint text; names text[]; context text; a text; b text; c text; begin
                     execute statement; return 'nothing was raised';
                 exception when others then
                     get stacked diagnostics state = returned_sqlstate, message = message_text, detail = pg_exception_detail,
                         hint = pg_exception_hint, a = table_name, b = constraint_name, c = column_name, context = pg_exception_context;
                     return format('%s|%s|%s|%s|%s %s %s|%s', state, message, detail, hint, a, b, c, context);
                 end $$");
        text(&format!("select pg_temp.diagnostics({})", quoted(statement)))
    }

    #[pg_test]
    fn every_error_of_the_list_has_its_own_sqlstate() {
        for (position, code) in ErrorCode::ALL.iter().enumerate() {
            let raised = diagnostics(&format!("select tests.raise_ours({position})"));
            let expected = format!("{}|{}|{}|{}|", code.sqlstate(), code.message(), code.detail(), code.hint());
            assert!(raised.starts_with(&expected), "{}: {raised}", code.name());
        }
        let listed = text("select count(*) from auth.error_codes where sqlstate like 'WA%'");
        let ours = ErrorCode::ALL.iter().filter(|code| code.sqlstate().starts_with("WA")).count();
        assert_eq!(listed, ours.to_string());
    }

    #[pg_test]
    fn an_error_of_ours_lends_its_sqlstate_to_no_other() {
        for (position, code) in ErrorCode::ALL.iter().enumerate().take(20) {
            assert_eq!(sqlstate_of(&format!("select tests.raise_ours({position})")), code.sqlstate());
            assert_eq!(
                sqlstate_of("select 1 / (n - 1) from generate_series(1, 1) as n"),
                "22012",
                "after {}",
                code.name()
            );
            run("do $$ begin raise warning 'no error'; end $$");
            assert_eq!(sqlstate_of("select 'x'::int"), "22P02", "after {}", code.name());
        }
    }

    #[pg_test]
    fn an_error_that_is_caught_leaves_the_context_of_errors_as_it_was() {
        let before = context_stack();
        let ours = ErrorCode::ALL.iter().position(|code| *code == ErrorCode::InvalidArgument).unwrap();
        for _ in 0..3 {
            let raised =
                in_subtransaction(|| -> workos_auth_core::Result<()> { raise(Error::new(ErrorCode::InvalidArgument)) });
            assert!(raised.is_err());
            assert_eq!(context_stack(), before, "an error of ours");
            let raised = in_subtransaction(|| {
                Spi::run(&format!("select tests.raise_ours({ours})")).unwrap();
                Ok(())
            });
            assert!(raised.is_err());
            assert_eq!(context_stack(), before, "an error of ours in a query");
            let raised = in_subtransaction(|| {
                Spi::run("do $$ begin raise exception using errcode = 'ZZ123'; end $$").unwrap();
                Ok(())
            });
            assert!(raised.is_err());
            assert_eq!(context_stack(), before, "an error of others");
        }
        // What is left on it would give the next error a SQLSTATE that is not its own, and a ring would hang it.
        assert_eq!(diagnostics("select 'x'::int").split('|').next(), Some("22P02"));
    }

    #[pg_test]
    fn listening_leaves_the_context_of_errors_as_it_was() {
        let before = context_stack();
        assert_eq!(sqlstate::listening(|_| 1), 1);
        assert_eq!(context_stack(), before);
        assert_eq!(hear("select 1"), "nothing was raised");
        assert_eq!(context_stack(), before);
        let raised = in_subtransaction(|| {
            listen("select 'x'::int");
            Ok(())
        });
        assert!(raised.is_err());
        assert_eq!(context_stack(), before);
    }

    #[pg_test]
    fn what_others_raise_keeps_all_that_pgrx_loses() {
        run("create temp table limited (n int constraint positive check (n > 0))");
        let raised = diagnostics("select tests.listen('insert into limited values (-1)')");
        assert!(raised.starts_with("23514|"), "{raised}");
        assert!(raised.contains("|limited positive |"), "{raised}");
        let raised = diagnostics(
            "select tests.listen('do $do$ begin raise exception using errcode = ''ZZ123'', column = ''c''; end $do$')",
        );
        assert!(raised.starts_with("ZZ123|") && raised.contains("|  c|"), "{raised}");
        assert!(raised.contains("PL/pgSQL function inline_code_block line 1 at RAISE"), "{raised}");
    }

    #[pg_test]
    fn whoever_listens_hears_any_sqlstate() {
        for state in ["ZZ123", "P0001", "23505", "WA501"] {
            assert_eq!(hear(&format!("do $$ begin raise exception using errcode = '{state}'; end $$")), state);
        }
    }

    #[pg_test]
    fn a_notice_on_the_way_is_no_error() {
        let statement = "do $$ begin raise notice using errcode = 'ZZ001', message = 'n'; raise exception using errcode = 'ZZ002'; end $$";
        assert_eq!(hear(statement), "ZZ002");
        assert_eq!(sqlstate_of(&format!("select tests.listen({})", quoted(statement))), "ZZ002");
    }
}
