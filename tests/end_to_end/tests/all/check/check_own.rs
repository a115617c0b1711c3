//! `auth.check()` of roles, and of what protects the extension's own objects. Roles are the cluster's: a cluster of its own, one test.

use workos_end_to_end::bed::ALICE;
use workos_end_to_end::check::{Fault, Patient};
use workos_testbed::Cluster;

const GUARD: &str = "does not bind it";
const KEYS: &str = "forget_cached_rows ON auth.signing_keys";

/// Roles that row-level security does not bind, or that are more than they should be.
const ROLES: &[Fault<'_>] = &[
    Fault {
        plant: "alter role PEOPLE bypassrls",
        rows: &[("error", "PEOPLE", GUARD)],
        leak: "select from protected",
        clean: "",
    },
    Fault { plant: "alter role APP superuser bypassrls", rows: &[("error", "APP", GUARD)], leak: "", clean: "" },
    Fault { plant: "alter role APP bypassrls", rows: &[("error", "APP", "It signs people in")], leak: "", clean: "" },
    Fault {
        plant: "select auth.grant_sign_in('postgres')",
        rows: &[("error", "postgres", "a superuser")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "create role \"DATABASE x;\" bypassrls; grant \"DATABASE x;\" to PEOPLE",
        rows: &[("error", "PEOPLE", "it can become \"DATABASE x;\"")],
        leak: "",
        clean: "drop role \"DATABASE x;\"",
    },
    Fault {
        plant: "alter database DATABASE set workos_auth.allowed_roles = 'PEOPLE, postgres'",
        rows: &[("error", "postgres", "People act as it, and it is a superuser")],
        leak: "",
        clean: "alter database DATABASE set workos_auth.allowed_roles = 'PEOPLE'",
    },
    Fault {
        plant: "grant pg_read_all_data to PEOPLE",
        rows: &[("warning", "PEOPLE", "pg_read_all_data lets it at all that row-level security does not bind")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "grant pg_read_server_files to APP",
        rows: &[("error", "APP", "read the root key")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "select auth.grant_admin('PEOPLE')",
        rows: &[("error", "PEOPLE", "may configure WorkOS")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "grant workos_auth_owner to PEOPLE",
        rows: &[("error", "PEOPLE", "a member of workos_auth_owner")],
        leak: "select from auth.users",
        clean: "",
    },
    Fault {
        plant: "create role \"DATABASE y;\"; grant \"DATABASE y;\" to workos_auth_owner",
        rows: &[("error", "workos_auth_owner", "a member of \"DATABASE y;\"")],
        leak: "",
        clean: "drop role \"DATABASE y;\"",
    },
    Fault {
        plant: "alter role workos_auth_owner login createrole",
        rows: &[("error", "workos_auth_owner", "has attributes")],
        leak: "",
        clean: "",
    },
];

/// What protects the extension's objects, and who has rights on them.
const PROTECTION: &[Fault<'_>] = &[
    Fault {
        plant: "alter table auth.users disable row level security; grant select on auth.users to PEOPLE; grant select, trigger on auth.users to \"DATABASE z;\"",
        rows: &[
            (
                "error",
                "auth.users",
                "\"DATABASE z;\" has rights on a table of the extension that the extension does not give: SELECT, TRIGGER",
            ),
            ("error", "auth.users", "Row-level security of a table of the extension is off"),
            ("warning", "auth.users", "PEOPLE has rights"),
        ],
        leak: "select from auth.users",
        clean: "",
    },
    Fault {
        plant: "grant update (email) on auth.users to public",
        rows: &[("warning", "auth.users", "PUBLIC has rights")],
        leak: "",
        clean: "",
    },
    // An administrator has two of these rights already, and keeps them.
    Fault {
        plant: "create role DATABASE_operator; select auth.grant_admin('DATABASE_operator'); grant all on auth.redirect_urls to DATABASE_operator",
        rows: &[("error", "auth.redirect_urls", "REFERENCES, TRIGGER, TRUNCATE, UPDATE.")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "grant execute on function auth.exchange_code, auth.configure_workos to public; revoke all on function auth.configure_workos from public",
        rows: &[("error", "auth.exchange_code(text,text,text,inet,text)", "Everybody may call")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "grant create on schema auth to \"DATABASE z;\", public",
        rows: &[("error", "auth", "\"DATABASE z;\" may create"), ("error", "auth", "PUBLIC may create")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "alter schema auth owner to \"DATABASE z;\"",
        rows: &[("error", "auth", "belongs to \"DATABASE z;\"")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "alter table auth.sessions owner to \"DATABASE z;\"; alter view auth.error_codes owner to APP; alter function auth.uid() owner to APP",
        rows: &[
            ("error", "auth.error_codes", "belongs to APP"),
            ("error", "auth.sessions", "belongs to \"DATABASE z;\""),
            ("error", "auth.uid()", "belongs to APP"),
        ],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "alter table auth.signing_keys disable trigger forget_cached_rows",
        rows: &[("error", KEYS, "does not always fire: backends go on believing")],
        leak: "",
        clean: "",
    },
    Fault {
        plant: "alter table auth.signing_keys enable trigger forget_cached_rows; alter table auth.redirect_urls enable replica trigger check_redirect_url",
        rows: &[
            ("error", "check_redirect_url ON auth.redirect_urls", "what it refuses is taken"),
            ("error", KEYS, "not always fire"),
        ],
        leak: "",
        clean: "",
    },
];

const EVIL: &str = r#""e"";' -- drop""#;

/// What a dump of the database would lose or could not restore, by kind: how it is made, its row, and the finding.
const ATTACHED: &[(&str, &str, &str)] = &[
    (
        "create trigger EVIL after insert on auth.users for each row execute function nothing()",
        "EVIL ON auth.users",
        "this trigger",
    ),
    ("create rule EVIL as on update to auth.users do also nothing", "EVIL ON auth.users", "this rule"),
    (
        "create policy EVIL on auth.users to PEOPLE using (true)",
        "EVIL ON auth.users",
        "this policy to auth.users of the extension: it opens rows",
    ),
    ("create policy EVIL on auth.redirect_urls using (true)", "EVIL ON auth.redirect_urls", "this policy"),
    ("alter table auth.users add column EVIL int default 1", "auth.users.EVIL", "this table column"),
    ("alter table auth.users add constraint EVIL check (email <> '')", "EVIL ON auth.users", "this table constraint"),
    ("alter table auth.users add constraint EVIL unique (email, id)", "EVIL ON auth.users", "this table constraint"),
    ("create unique index EVIL on auth.users (email, id)", "auth.EVIL", "this index"),
];

/// Strangers in the schema auth: what they are made with, and the object.
const STRANGERS: &[(&str, &str)] = &[
    ("create function auth.EVIL(int) returns int language sql as 'select 1'", "auth.EVIL(integer)"),
    ("create function auth.uid(int default 1) returns uuid language sql as 'select null::uuid'", "auth.uid(integer)"),
    ("create procedure auth.EVIL() language sql as ''", "auth.EVIL()"),
    ("create aggregate auth.EVIL(int) (sfunc = int4pl, stype = int)", "auth.EVIL(integer)"),
    ("create table auth.EVIL (a int primary key)", "auth.EVIL"),
    ("create view auth.EVIL as select 1 as a", "auth.EVIL"),
    ("create materialized view auth.EVIL as select 1 as a", "auth.EVIL"),
    ("create sequence auth.EVIL", "auth.EVIL"),
    ("create type auth.EVIL as (a int)", "auth.EVIL"),
    ("create type auth.EVIL as enum ('a')", "auth.EVIL"),
    ("create domain auth.EVIL as int", "auth.EVIL"),
    ("create operator auth.=== (leftarg = int, rightarg = int, function = int4eq)", "auth.===(integer,integer)"),
    ("create extension file_fdw schema auth", "file_fdw"),
    // A column's sequence goes with its table. What public has already is left alone.
    ("create table auth.EVIL (a serial)", "auth.EVIL"),
    ("create table public.EVIL (); create table auth.EVIL (a int generated always as identity)", "auth.EVIL"),
    ("create type public.EVIL as enum (); create domain auth.EVIL as int", "auth.EVIL"),
    (
        "create function public.EVIL(int, text[]) returns int language sql as 'select 1';
         create function auth.EVIL(int, text[]) returns int language sql as 'select 2'",
        "auth.EVIL(integer,pg_catalog.text[])",
    ),
    (
        "create procedure public.EVIL() language sql as ''; create procedure auth.EVIL() language sql as ''",
        "auth.EVIL()",
    ),
];

#[tokio::test]
async fn roles_and_the_extensions_own_objects() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "own").await;
    patient.bed.sign_in(ALICE).await;
    patient
        .run(
            "create table protected as select 1 as a; alter table protected enable row level security; grant select on protected to PEOPLE;
             create role \"DATABASE z;\" login;
             create function nothing() returns trigger language plpgsql as 'begin return new; end'",
        )
        .await;
    for fault in ROLES.iter().chain(PROTECTION) {
        patient.is_mended_of(fault).await;
    }
    let evil = |sql: &str| sql.replace("EVIL", EVIL);
    for (plant, object, part) in ATTACHED {
        let rows = &[("warning", &*evil(object), *part)];
        patient.is_mended_of(&Fault { plant: &evil(plant), rows, ..Fault::default() }).await;
    }
    // Moved out of the way, not dropped.
    let describe = "select count(*) from pg_depend where refobjid = 'public'::regnamespace and deptype = 'n'";
    for (plant, object) in STRANGERS {
        let before = patient.bed.count(describe).await;
        let rows = &[("warning", &*evil(object), "stands in the schema auth")];
        patient.is_mended_of(&Fault { plant: &evil(plant), rows, ..Fault::default() }).await;
        assert!(patient.bed.count(describe).await > before, "{plant}");
        patient.run("drop schema public cascade; create schema public").await;
    }
    // With no schema public to move it to, it goes.
    patient.run("drop schema public; create function auth.stranger() returns int language sql as 'select 1'").await;
    patient.is_mended(&[("warning", "auth.stranger()", "stands in the schema auth")], "no public").await;

    // Members of the backend's role are backends too; a role for replication reads what it copies.
    for (harmless, clean) in [
        (
            "create role DATABASE_replica replication login; grant select on auth.sessions, auth.signing_keys to DATABASE_replica",
            "",
        ),
        ("create publication p for table auth.signing_keys, auth.sessions", "drop publication p"),
        ("alter table auth.redirect_urls enable always trigger check_redirect_url", ""),
        ("create role DATABASE_auditor login bypassrls", ""),
        // However the session prints names and reads strings.
        (
            "set quote_all_identifiers = on; set standard_conforming_strings = off",
            "reset quote_all_identifiers; reset standard_conforming_strings",
        ),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
    let fault = Fault {
        plant: "create role DATABASE_second login bypassrls in role APP",
        rows: &[("error", "DATABASE_second", "It signs people in, and it is BYPASSRLS")],
        ..Fault::default()
    };
    patient.is_mended_of(&fault).await;
}
