//! `auth.check()` of rights on the extension's objects: named roles, everybody, and rights that are missing.

use workos_end_to_end::check::{Fault, Patient, Row, check};
use workos_end_to_end::sql::lines;

use super::CLUSTER;

/// A fault that nobody can use by itself.
const fn of<'a>(plant: &'a str, rows: &'a [Row<'a>]) -> Fault<'a> {
    Fault { plant, rows, leak: "", clean: "" }
}

const CREATE_SESSION: &str = "auth.create_session(uuid,text,text,text,text,interval)";

const MAY_BROKER: &str =
    "select where has_function_privilege('auth.callback_answer(uuid, integer, jsonb, text, text)', 'execute')";

const FAULTS: &[Fault<'_>] = &[
    // Named roles: PEOPLE, whoever was in the installer's default privileges, a column, a type.
    Fault {
        plant: "grant execute on function auth.create_user, auth.create_session to PEOPLE",
        rows: &[
            ("error", CREATE_SESSION, "PEOPLE may call a function that the extension does not give it."),
            ("error", "auth.create_user(text,text,uuid)", "PEOPLE may call"),
        ],
        leak: "select auth.create_user(gen_random_uuid() || '@example.com')",
        clean: "",
    },
    Fault {
        plant: "grant execute on function auth.create_user to DATABASE_group; grant DATABASE_group to PEOPLE",
        rows: &[("error", "auth.create_user(text,text,uuid)", "DATABASE_group may call")],
        leak: "select auth.create_user(gen_random_uuid() || '@example.com')",
        clean: "",
    },
    of(
        "grant execute on function auth.grant_admin(regrole) to DATABASE_other",
        &[("error", "auth.grant_admin(regrole)", "DATABASE_other may call")],
    ),
    of(
        "grant execute on function auth.cleanup(integer) to DATABASE_other",
        &[("warning", "auth.cleanup(integer)", "DATABASE_other may call")],
    ),
    of(
        "grant select (id), update (email) on auth.users to DATABASE_other",
        &[(
            "warning",
            "auth.users",
            "DATABASE_other has rights on a table of the extension that the extension does not give: SELECT (id), UPDATE (email).",
        )],
    ),
    of(
        "grant usage on type auth.users to DATABASE_other",
        &[(
            "warning",
            "auth.users",
            "DATABASE_other has rights on a type of the extension that the extension does not give: USAGE.",
        )],
    ),
    of("grant create on schema auth to DATABASE_other", &[("error", "auth", "DATABASE_other may create objects")]),
    of(
        "grant select on auth.hooks to APP",
        &[(
            "warning",
            "auth.hooks",
            "APP has rights on a table of the extension that the extension does not give: SELECT.",
        )],
    ),
    // An administrator reads columns: not another one, and not the table.
    of(
        "grant select (private_key) on auth.signing_keys to DATABASE_operator",
        &[(
            "warning",
            "auth.signing_keys",
            "DATABASE_operator has rights on a table of the extension that the extension does not give: SELECT (private_key).",
        )],
    ),
    of(
        "grant select on auth.sessions to DATABASE_operator",
        &[(
            "warning",
            "auth.sessions",
            "DATABASE_operator has rights on a table of the extension that the extension does not give: SELECT.",
        )],
    ),
    of(
        "revoke select (email) on auth.users from DATABASE_operator",
        &[(
            "warning",
            "DATABASE_operator",
            "It has a part of what auth.grant_admin gives, and lacks SELECT on auth.users.",
        )],
    ),
    // Who got it from somebody who might pass it on.
    of(
        "grant execute on function auth.create_session to DATABASE_group with grant option; set role DATABASE_group;
         grant execute on function auth.create_session to DATABASE_other; reset role",
        &[("error", CREATE_SESSION, "DATABASE_group may call"), ("error", CREATE_SESSION, "DATABASE_other may call")],
    ),
    of(
        "grant select on auth.hooks to DATABASE_operator with grant option; set role DATABASE_operator;
         grant select on auth.hooks to DATABASE_other; reset role",
        &[("warning", "auth.hooks", "DATABASE_other has rights")],
    ),
    // Of a column, by whom it was given on the whole table.
    of(
        "grant select on auth.hooks to DATABASE_operator with grant option; set role DATABASE_operator;
         grant select (event) on auth.hooks to DATABASE_other; reset role",
        &[("warning", "auth.hooks", "DATABASE_other has rights")],
    ),
    // Who says in WorkOS's place who somebody is: a gateway, and who inherits from it.
    of(
        "select auth.grant_broker('DATABASE_other')",
        &[(
            "info",
            "DATABASE_other",
            "It may broker: it says in WorkOS's place who somebody is, and so can sign in as anybody, and it sees WorkOS's API key.",
        )],
    ),
    of(
        "create role DATABASE_carrier; grant DATABASE_carrier to DATABASE_other, DATABASE_operator; select auth.grant_broker('DATABASE_carrier')",
        &[("info", "DATABASE_carrier", "WorkOS's API key; so can DATABASE_operator, DATABASE_other.")],
    ),
    Fault {
        plant: "select auth.grant_broker('PEOPLE')",
        rows: &[("error", "PEOPLE", "It may broker")],
        leak: MAY_BROKER,
        clean: "",
    },
    Fault {
        plant: "grant DATABASE_carrier to PEOPLE; select auth.grant_broker('DATABASE_carrier')",
        rows: &[("error", "DATABASE_carrier", "API key; so can")],
        leak: MAY_BROKER,
        clean: "drop role DATABASE_carrier",
    },
    of(
        "grant execute on function auth.exchange_request, auth.callback_answer to APP",
        &[
            ("error", "auth.callback_answer(uuid,integer,jsonb,text,text)", "APP may call a function that"),
            ("error", "auth.exchange_request(text,text,text)", "APP may call a function that"),
        ],
    ),
    // What is missing: a hardened database shuts the readers in silence.
    of(
        "revoke execute on function auth.uid() from public",
        &[("warning", "auth.uid()", "Everybody lacks what the extension gives: EXECUTE on auth.uid().")],
    ),
    of(
        "revoke execute on all functions in schema auth from public",
        &[("warning", "auth", "EXECUTE on auth.clear_session(), auth.connection_id(), auth.email()")],
    ),
    of(
        "revoke usage on schema auth from public; revoke usage on type auth.session from public; revoke select on auth.error_codes from public",
        &[
            ("warning", "auth", "Everybody lacks what the extension gives: USAGE on auth."),
            ("warning", "auth.error_codes", "SELECT on auth.error_codes."),
            ("warning", "auth.session", "USAGE on auth.session."),
        ],
    ),
    of(
        "revoke execute on function auth.refresh_session, auth.handle_callback from APP",
        &[(
            "warning",
            "APP",
            "It has a part of what auth.grant_sign_in gives, and lacks EXECUTE on auth.handle_callback(text, text, text, text, text, text, boolean), auth.refresh_session(text, inet, text).",
        )],
    ),
    of(
        "revoke insert on auth.redirect_urls from DATABASE_operator; revoke execute on function auth.check_own from DATABASE_operator",
        &[(
            "warning",
            "DATABASE_operator",
            "It has a part of what auth.grant_admin gives, and lacks EXECUTE on auth.check_own(); INSERT on auth.redirect_urls.",
        )],
    ),
    // A small part of a bundle is taken back, not made whole.
    of(
        "grant execute on function auth.configure_workos to DATABASE_other",
        &[("warning", "DATABASE_other", "It has a part of what auth.grant_admin gives, and lacks")],
    ),
    of(
        "revoke execute on function auth.create_root_key(text) from pg_write_server_files",
        &[("warning", "auth.create_root_key(text)", "pg_write_server_files lacks")],
    ),
];

#[tokio::test]
async fn rights_are_those_of_the_list() {
    let patient = Patient::new(&CLUSTER, "check_rights").await;
    patient
        .run(
            "create role DATABASE_group; create role DATABASE_other; create role DATABASE_operator; select auth.grant_admin('DATABASE_operator');
             grant usage on schema auth to DATABASE_group",
        )
        .await;
    for fault in FAULTS {
        patient.is_mended_of(fault).await;
    }
    let has = "select count(*) from auth.check_holders() where grantee = 'check_rights_other'::regrole";
    assert_eq!(patient.bed.count(has).await, 0);
    // A role to which everything was given before its time, as by default privileges of an installer.
    patient.run("grant execute on all routines in schema auth to DATABASE_other; grant all on all tables in schema auth to DATABASE_other").await;
    let findings = check(&patient.bed.admin).await;
    assert!(
        findings.iter().any(|finding| finding.object == "auth.users" && finding.severity == "error"),
        "{findings:#?}"
    );
    for finding in &findings {
        let is_revoked = finding.remedy.contains(" FROM check_rights_other;");
        assert!(is_revoked || finding.remedy == "SELECT auth.revoke_broker('check_rights_other');", "{finding:#?}");
        patient.remedy(finding).await;
    }
    // What is left is what two bundles give, since who has their first function is a backend and an administrator.
    patient.is_sound("all rights").await;
    patient.run("select auth.revoke_admin('DATABASE_other'), auth.revoke_sign_in('DATABASE_other')").await;
    let left = "select p.oid::regprocedure::text from pg_proc as p, aclexplode(p.proacl) as acl
        where acl.grantee = 'check_rights_other'::regrole and not has_function_privilege('public', p.oid, 'execute')";
    assert_eq!(lines(&patient.bed.admin, left).await.unwrap(), Vec::<String>::new());

    for (harmless, clean) in [
        (
            "create role DATABASE_copy replication; grant select on auth.sessions, auth.signing_keys to DATABASE_copy",
            "",
        ),
        ("grant references on auth.users to DATABASE_other", ""),
        (
            "grant execute on function auth.uid() to DATABASE_other; grant select on auth.error_codes to DATABASE_other",
            "",
        ),
        (
            "create role DATABASE_files; grant pg_write_server_files to DATABASE_files",
            "revoke pg_write_server_files from DATABASE_files",
        ),
        ("grant select on auth.hooks to DATABASE_operator", ""),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
}
