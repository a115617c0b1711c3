//! Acting as other roles.

use pgrx::prelude::*;

#[pg_schema]
mod tests {
    use workos_auth_core::{ErrorCode, Result};

    use super::*;
    use crate::error::unexpected;
    use crate::pg_test::fixture::{run, sqlstate_of, text};
    use crate::postgres::roles::{self, Right};
    use crate::postgres::transaction::in_subtransaction;

    /// Makes a role that is rolled back with the test.
    fn role(name: &str, attributes: &str) -> pg_sys::Oid {
        run(&format!("create role test_{name} {attributes}"));
        Spi::get_one(&format!("select 'test_{name}'::regrole::oid")).unwrap().unwrap()
    }

    /// User, security context and search path.
    fn who() -> (String, i32, String) {
        let mut user = pg_sys::InvalidOid;
        let mut context = 0;
        // SAFETY: two valid pointers.
        unsafe { pg_sys::GetUserIdAndSecContext(&mut user, &mut context) };
        (roles::role_name(user), context, text("select current_setting('search_path')"))
    }

    #[pg_test]
    fn a_restricted_role_acts_and_nothing_of_it_stays() {
        let app = role("acting", "");
        let before = who();
        let answer = roles::restricted_as(app, || {
            let (user, _, path) = who();
            assert_eq!((user.as_str(), path.as_str()), ("test_acting", "pg_catalog, pg_temp"));
            assert_eq!(text("select current_user"), "test_acting");
            run("set application_name = 'set by others'");
            Ok(7)
        });
        assert_eq!((answer, who()), (Ok(7), before));
        assert_ne!(text("select current_setting('application_name')"), "set by others");
    }

    #[pg_test]
    fn a_restricted_role_has_its_own_rights_and_takes_on_no_other() {
        role("powerful", "superuser");
        let app = role("acting", "");
        run("grant test_powerful to test_acting; create table public.test_secret (n int)");
        // A function of the superuser's that reports what is refused.
        assert_eq!(sqlstate_of("select 1"), "nothing was refused");
        roles::restricted_to(app, || {
            assert_eq!(sqlstate_of("select * from public.test_secret"), "42501");
            for statement in ["set role test_powerful", "set session authorization test_powerful", "reset role"] {
                assert_eq!(sqlstate_of(statement), "42501", "{statement}");
            }
        });
        assert_eq!(sqlstate_of("select * from public.test_secret"), "nothing was refused");
    }

    #[pg_test]
    fn what_a_restricted_role_sets_is_undone() {
        let app = role("acting", "");
        let before = who();
        roles::restricted_to(app, || {
            assert_eq!(who().0, "test_acting");
            run("set local application_name = 'set by others'");
        });
        assert_eq!(who(), before);
        assert_ne!(text("select current_setting('application_name')"), "set by others");
    }

    #[pg_test]
    fn an_error_gives_the_role_back() {
        let app = role("acting", "");
        let before = who();
        for _ in 0..2 {
            let raised = in_subtransaction(|| {
                roles::restricted_as(app, || {
                    Spi::run("select 1 / (n - 1) from generate_series(1, 1) as n").unwrap();
                    Ok(())
                })
            });
            assert!(raised.is_err());
            assert_eq!(who(), before);
        }
        // An error that is a value needs no subtransaction.
        let failed: Result<()> = roles::restricted_as(app, || Err(unexpected("on purpose")));
        assert!(failed.is_err());
        assert_eq!(who(), before);
    }

    #[pg_test]
    fn the_owner_acts_with_a_path_that_nobody_plants_in() {
        let before = who();
        let (user, _, path) = roles::as_owner(|| Ok(who())).unwrap();
        assert_eq!((user.as_str(), path.as_str()), ("workos_auth_owner", "pg_catalog, pg_temp"));
        assert_eq!(who(), before);
        let app = role("acting", "");
        // Below a definer function of others, the owner's rights are the owner's.
        roles::restricted_to(app, || {
            assert_eq!(roles::as_owner(|| Ok(who().0)), Ok("workos_auth_owner".into()));
            assert_eq!(who().0, "test_acting");
        });
    }

    #[pg_test]
    fn the_outer_user_is_whom_the_client_acts_as() {
        let app = role("acting", "");
        let client = who().0;
        roles::restricted_to(app, || {
            assert_eq!(roles::as_outer_user(|| who().0), client);
            assert_eq!(who().0, "test_acting");
        });
        roles::set_local_role("test_acting").unwrap();
        assert_eq!(roles::as_outer_user(|| who().0), "test_acting");
    }

    #[pg_test]
    fn a_right_is_the_callers() {
        let reader = role("reader", "in role pg_read_server_files");
        let app = role("acting", "");
        let may = |role, right| roles::restricted_to(role, || roles::require_right(right, "on purpose").is_ok());
        assert!(
            may(reader, Right::ReadServerFiles)
                && !may(reader, Right::WriteServerFiles)
                && !may(reader, Right::Superuser)
        );
        assert!(!may(app, Right::ReadServerFiles));
        for right in [Right::ReadServerFiles, Right::WriteServerFiles, Right::Superuser] {
            assert_eq!(roles::require_right(right, "on purpose"), Ok(()), "{right:?}");
        }
        let refused = roles::restricted_to(app, || roles::require_right(Right::Superuser, "on purpose")).unwrap_err();
        assert_eq!((refused.code(), refused.detail()), (ErrorCode::InsufficientPrivilege, Some("on purpose")));
    }

    #[pg_test]
    fn whom_row_level_security_binds_and_who_may_become_whom() {
        let (app, above, member) = (role("acting", ""), role("above", "bypassrls"), role("member", ""));
        run("grant test_acting to test_member");
        // SAFETY: reads the current user.
        assert!(roles::bypasses_rls(unsafe { pg_sys::GetUserId() }) && roles::bypasses_rls(above));
        assert!(!roles::bypasses_rls(app) && !roles::bypasses_rls(member));
        let becomes = |role, other| roles::restricted_to(role, || roles::may_become(other));
        assert!(becomes(member, app) && becomes(app, app));
        assert!(!becomes(app, member) && !becomes(app, above));
        assert_eq!(roles::role_name(app), "test_acting");
        assert_eq!(roles::role_name(pg_sys::Oid::from(1)), "1", "a role that is gone");
    }
}
