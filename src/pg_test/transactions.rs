//! Subtransactions, snapshots, settings, time.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use std::panic::AssertUnwindSafe;
    use std::time::Duration;

    use pgrx::pg_sys::panic::CaughtError;
    use workos_auth_core::{Error, ErrorCode, Result};

    use super::*;
    use crate::pg_test::fixture::{run, text};
    use crate::postgres::setting::{self, Lifetime};
    use crate::postgres::snapshot::{SnapshotStamp, uses_one_snapshot};
    use crate::postgres::transaction::{in_subtransaction, require_writable};
    use crate::postgres::{clock, roles};

    /// What must be as before after a subtransaction.
    fn surroundings() -> (pg_sys::MemoryContext, pg_sys::ResourceOwner, pg_sys::SubTransactionId, i32) {
        // SAFETY: reads globals of the backend.
        unsafe {
            (
                pg_sys::CurrentMemoryContext,
                pg_sys::CurrentResourceOwner,
                pg_sys::GetCurrentSubTransactionId(),
                pg_sys::GetCurrentTransactionNestLevel(),
            )
        }
    }

    fn raise(state: &str) -> String {
        format!("do $$ begin insert into written values (2); raise exception using errcode = '{state}'; end $$")
    }

    fn written() -> String {
        text("select coalesce(string_agg(n::text, ' ' order by n), 'nothing') from written")
    }

    /// The SQLSTATE that comes out of `f`, or what it returned.
    fn raised<T: std::fmt::Debug>(f: impl FnOnce() -> T) -> String {
        PgTryBuilder::new(AssertUnwindSafe(|| format!("{:?}", f())))
            .catch_others(|cause| match cause {
                CaughtError::PostgresError(report) | CaughtError::ErrorReport(report) => {
                    crate::error::sqlstate::text(report.sql_error_code() as i32)
                }
                CaughtError::RustPanic { ereport, .. } => format!("panic: {ereport:?}"),
            })
            .execute()
    }

    #[pg_test]
    fn a_subtransaction_that_ends_well_is_kept() {
        run("create temp table written (n int)");
        let before = surroundings();
        let answer = in_subtransaction(|| {
            assert_eq!(surroundings().3, before.3 + 1);
            assert_eq!(surroundings().0, before.0, "what is allocated in it would not outlive it");
            run("insert into written values (1)");
            Ok(7)
        });
        assert_eq!((answer, surroundings()), (Ok(7), before));
        assert_eq!(written(), "1");
    }

    #[pg_test]
    fn an_error_of_ours_undoes_a_subtransaction_and_comes_back_as_it_is() {
        run("create temp table written (n int)");
        let before = surroundings();
        let error = Error::with_detail(ErrorCode::InvalidArgument, "on purpose");
        let answer: Result<()> = in_subtransaction(|| {
            run("insert into written values (1)");
            Err(error.clone())
        });
        assert_eq!((answer, surroundings()), (Err(error), before));
        assert_eq!(written(), "nothing");
    }

    #[pg_test]
    fn what_postgres_raises_undoes_a_subtransaction_and_is_an_answer() {
        run("create temp table written (n int)");
        let before = surroundings();
        for state in ["P0001", "23505", "22012", "42501", "ZZ123"] {
            let answer = in_subtransaction(|| {
                Spi::run(&raise(state)).unwrap();
                Ok(())
            });
            assert_eq!(answer.map_err(|error| error.code()), Err(ErrorCode::Unexpected), "{state}");
            assert_eq!((surroundings(), written().as_str()), (before, "nothing"), "{state}");
        }
        // One in the other: the inner one is undone alone.
        let answer = in_subtransaction(|| {
            run("insert into written values (1)");
            let inner = in_subtransaction(|| {
                Spi::run(&raise("P0001")).unwrap();
                Ok(())
            });
            assert!(inner.is_err());
            Ok(())
        });
        assert_eq!((answer, surroundings(), written().as_str()), (Ok(()), before, "1"));
    }

    #[pg_test]
    fn what_an_answer_would_hide_is_raised_all_the_same() {
        run("create temp table written (n int)");
        let before = surroundings();
        for state in ["40001", "40P01", "53100", "53200", "57014", "57P01", "58030", "XX001", "XX002"] {
            let found = raised(|| {
                in_subtransaction(|| {
                    Spi::run(&raise(state)).unwrap();
                    Ok(())
                })
            });
            assert_eq!(found, state);
            assert_eq!((surroundings().2, written().as_str()), (before.2, "nothing"), "{state}");
        }
    }

    #[pg_test]
    fn a_panic_is_raised_and_undoes_the_subtransaction() {
        run("create temp table written (n int)");
        let before = surroundings();
        let found = raised(|| {
            in_subtransaction(|| -> Result<()> {
                run("insert into written values (1)");
                panic!("on purpose")
            })
        });
        assert!(found.starts_with("panic: ") && found.contains("on purpose"), "{found}");
        assert_eq!((surroundings().2, written().as_str()), (before.2, "nothing"));
    }

    #[pg_test]
    fn nothing_is_written_in_a_read_only_transaction() {
        assert_eq!(require_writable(), Ok(()));
        run("set local transaction_read_only = on");
        let refused = require_writable().unwrap_err();
        assert_eq!((refused.sqlstate(), refused.detail()), ("25006", Some("The transaction is read-only.")));
    }

    #[pg_test]
    fn a_stamp_changes_when_something_was_written() {
        run("create temp table written (n int)");
        let first = SnapshotStamp::now();
        assert!(first.is_some());
        run("select count(*) from written");
        assert_eq!(SnapshotStamp::now().map(|_| ()), Some(()));
        run("insert into written values (1)");
        assert_ne!(SnapshotStamp::now(), first, "a write of this transaction was missed");
        assert!(!uses_one_snapshot());
    }

    #[pg_test]
    fn a_setting_lasts_as_long_as_it_was_set_for() {
        let shown = || text("select current_setting('application_name')");
        let before = shown();
        let undone: Result<()> = in_subtransaction(|| {
            setting::set(c"application_name", c"transaction", Lifetime::Transaction);
            assert_eq!(shown(), "transaction");
            Err(Error::new(ErrorCode::InvalidArgument))
        });
        assert!(undone.is_err());
        assert_eq!(shown(), before);
        setting::set(c"application_name", c"session", Lifetime::Session);
        // SAFETY: reads the current user.
        roles::restricted_to(unsafe { pg_sys::GetUserId() }, || {
            setting::set(c"application_name", c"nest level", Lifetime::NestLevel);
            assert_eq!(shown(), "nest level");
        });
        assert_eq!(shown(), "session");
    }

    #[pg_test]
    fn a_time_is_the_same_on_either_side() {
        let of_postgres = |unix: i64| text(&format!("select extract(epoch from to_timestamp({unix}))::bigint"));
        for unix in [0, 1, -1, 946_684_799, 946_684_800, 1_767_225_600, 4_102_444_800] {
            let stamp = clock::timestamp(unix).unwrap();
            let back: f64 = stamp.extract_part(pgrx::datum::DateTimeParts::Epoch).unwrap().try_into().unwrap();
            assert_eq!(format!("{back:.0}"), of_postgres(unix));
        }
        assert_eq!(clock::unix_seconds(0), 946_684_800);
        // Half a second before a whole one belongs to the second before.
        assert_eq!(clock::unix_seconds(-1), 946_684_799);
        for unix in [i64::MAX, i64::MIN, 10_000_000_000_000] {
            assert_eq!(clock::timestamp(unix).unwrap_err().code(), ErrorCode::Unexpected, "{unix}");
        }
    }

    #[pg_test]
    fn a_sleep_ends_when_the_query_is_cancelled() {
        let before = clock::now();
        let found = raised(|| {
            // Takes effect where somebody asks for interrupts, as the sleep does.
            // SAFETY: what the handler of the signal sets.
            unsafe {
                pg_sys::QueryCancelPending = 1;
                pg_sys::InterruptPending = 1;
                pg_sys::SetLatch(pg_sys::MyLatch);
            }
            clock::sleep(Duration::from_secs(60));
        });
        assert_eq!(found, "57014");
        assert!(clock::now() - before < 30_000_000);
    }
}
