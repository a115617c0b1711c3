//! `auth.check()` of the application's tables, views and policies: every finding is planted, reported, and mended by its own remedy.

use workos_end_to_end::check::{Fault, Patient, check};
use workos_end_to_end::sql::refused_as;

use super::CLUSTER;

async fn patient(name: &str) -> Patient<'static> {
    Patient::new(&CLUSTER, name).await
}

const OFF: &str = "Row-level security is off";

#[tokio::test]
async fn tables_without_row_level_security() {
    let patient = patient("check_tables").await;
    for fault in [
        Fault {
            plant: "create table t as select 1 as a; grant select on t to PEOPLE",
            rows: &[("error", "public.t", OFF)],
            leak: "select from t",
            clean: "drop table t",
        },
        // One column is enough; so is what everybody has.
        Fault {
            plant: r#"create table "x; drop table y" ("a""; --" int, b int); insert into "x; drop table y" values (1);
                      grant select ("a""; --") on "x; drop table y" to public"#,
            rows: &[("error", r#"public."x; drop table y""#, "everybody can get at every row")],
            leak: r#"select "a""; --" from "x; drop table y""#,
            clean: r#"drop table "x; drop table y""#,
        },
        // A backend that can switch to the people's role: less grave.
        Fault {
            plant: "create schema \"s.'\"; grant usage on schema \"s.'\" to APP; create table \"s.'\".\"t\n\" (a int);
                    grant delete on \"s.'\".\"t\n\" to APP",
            rows: &[("warning", "\"s.'\".\"t\n\"", "APP can get at")],
            clean: "drop schema \"s.'\" cascade",
            ..Fault::default()
        },
        // Policies do nothing until row-level security is on.
        Fault {
            plant: "create table t as select 1 as a; create policy p on t using (a = 2); grant select on t to PEOPLE",
            rows: &[("error", "public.t", OFF)],
            leak: "select from t",
            clean: "drop table t",
        },
        // A partition with grants of its own is another way to the same rows.
        Fault {
            plant: "create table t (a int) partition by list (a); create table t1 partition of t for values in (1);
                    insert into t values (1); alter table t enable row level security;
                    grant select on t, t1 to PEOPLE",
            rows: &[("error", "public.t1", OFF)],
            leak: "select from t1",
            clean: "drop table t",
        },
        // Through a role that the people's role inherits from.
        Fault {
            plant: "create role DATABASE_group; grant DATABASE_group to PEOPLE; create table t as select 1 as a;
                    grant select on t to DATABASE_group",
            rows: &[("error", "public.t", "PEOPLE can get at")],
            leak: "select from t",
            clean: "drop table t; drop role DATABASE_group",
        },
        Fault {
            plant: "create extension file_fdw; create server files foreign data wrapper file_fdw;
                    create foreign table f (line text) server files options (filename '/etc/passwd');
                    grant select on f to PEOPLE",
            rows: &[("error", "public.f", "cannot bind a foreign table")],
            leak: "select from f limit 1",
            clean: "drop extension file_fdw cascade",
        },
        Fault {
            plant: "create materialized view \"m;\" as select 1 as a; grant select on \"m;\" to PEOPLE; grant select (a) on \"m;\" to public",
            rows: &[("warning", r#"public."m;""#, "cannot bind a materialized view")],
            leak: r#"select from "m;""#,
            clean: r#"drop materialized view "m;""#,
        },
        // TRUNCATE and TRIGGER go past every policy.
        Fault {
            plant: "create table t (a int); alter table t enable row level security; grant all on t to PEOPLE",
            rows: &[("warning", "public.t", "PEOPLE may trigger and truncate")],
            clean: "drop table t",
            ..Fault::default()
        },
    ] {
        patient.is_mended_of(&fault).await;
    }
}

#[tokio::test]
async fn owners_that_their_policies_do_not_bind() {
    let patient = patient("check_owners").await;
    let owned = "create table t as select 1 as a; alter table t enable row level security; alter table t owner to";
    for (owner, severity, part) in [
        ("PEOPLE", "error", "owner PEOPLE, as whom requests of people may run"),
        ("APP", "warning", "owner APP, as whom a backend may connect"),
        ("\"DATABASE deploy; --\"", "warning", "as whom a backend may connect"),
    ] {
        let fault = Fault {
            plant: &format!("create role \"DATABASE deploy; --\" login; {owned} {owner}"),
            rows: &[(severity, "public.t", part)],
            clean: "drop table t; drop role \"DATABASE deploy; --\"",
            ..Fault::default()
        };
        patient.is_mended_of(&fault).await;
    }
    // Who owns it needs no grant: without row-level security, two remedies, one after the other.
    patient.run("create table t as select 1 as a; alter table t owner to PEOPLE").await;
    let first = patient.shows(&[("error", "public.t", OFF)], "owned by PEOPLE").await;
    patient.remedy(&first[0]).await;
    patient.is_mended(&[("error", "public.t", "do not bind its owner")], "owned by PEOPLE").await;
    patient.run("drop table t").await;

    // A backend that cannot switch serves people as itself.
    patient.run("revoke PEOPLE from APP; create table t as select 1 as a; grant select on t to APP").await;
    patient.shows(&[("error", "public.t", "APP can get at")], "no people's role").await;
    patient.run("alter table t enable row level security; alter table t owner to APP").await;
    patient.shows(&[("error", "public.t", "as whom requests of people may run")], "no people's role").await;
    patient.run("grant PEOPLE to APP; drop table t").await;

    for (harmless, clean) in [
        // Nobody can be this owner; nothing binds that one, and auth.set_session refuses it.
        ("create role DATABASE_nobody", ""),
        (&*format!("{owned} DATABASE_nobody"), "drop table t"),
        (&*format!("{owned} postgres"), "drop table t"),
        // A backend's own table, which nobody else reaches.
        ("create table t (a int); alter table t owner to APP", "drop table t"),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
}

const PROTECTED: &str = "create table protected as select 1 as a; alter table protected enable row level security;
    alter table protected force row level security; grant select, insert, update, delete on protected to PEOPLE";

#[tokio::test]
async fn views_past_row_level_security() {
    let patient = patient("check_views").await;
    patient.run(PROTECTED).await;
    for fault in [
        Fault {
            plant: "create view v as select * from protected; grant select on v to PEOPLE",
            rows: &[("error", "public.v", "The view reads public.protected as its owner postgres")],
            leak: "select from v",
            clean: "drop view v",
        },
        // Through another view; only the outer one is reached.
        Fault {
            plant: r#"create view inside as select * from protected;
                      create view "v "";" as select * from inside; grant select on "v "";" to public"#,
            rows: &[("error", r#"public."v "";""#, "everybody can see every row")],
            leak: r#"select from "v "";""#,
            clean: "drop view inside cascade",
        },
        // Writing through a view is reaching, too.
        Fault {
            plant: "create view v as select * from protected; grant delete on v to APP",
            rows: &[("warning", "public.v", "APP can see")],
            clean: "drop view v",
            ..Fault::default()
        },
        Fault {
            plant: "create view people as select id from auth.users; insert into auth.users (email) values ('a@example.com');
                    grant select on people to PEOPLE",
            rows: &[("error", "public.people", "The view reads auth.users")],
            leak: "select from people",
            clean: "drop view people",
        },
        Fault {
            plant: "create materialized view m as select * from protected; grant select on m to PEOPLE",
            rows: &[("error", "public.m", "taken from public.protected")],
            leak: "select from m",
            clean: "drop materialized view m",
        },
    ] {
        patient.is_mended_of(&fault).await;
    }
    for (harmless, clean) in [
        ("create view v with (security_invoker) as select * from protected; grant select on v to PEOPLE", "drop view v"),
        ("create view v with (security_invoker = on) as select * from protected; grant all on v to PEOPLE", "drop view v"),
        ("create view v as select * from protected", "drop view v"),
        ("create table open (a int); create view v as select * from open; grant select on v to PEOPLE", "drop table open cascade"),
        // The policies bind this view's owner.
        (
            "create role DATABASE_viewer; grant select on protected to DATABASE_viewer;
             create view v as select * from protected; alter view v owner to DATABASE_viewer; grant select on v to PEOPLE",
            "drop view v",
        ),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
}

#[tokio::test]
async fn policies_that_let_everybody_in() {
    let patient = patient("check_policies").await;
    patient.run(PROTECTED).await;
    patient.run("create function asks() returns text language sql stable as $$ select current_setting('request.jwt.claims', true) $$").await;
    let read = "select from protected";
    let insert = "insert into protected values (2) returning 1";
    let just_true = "The policy is just true";
    for (policy, severity, part, leak) in [
        ("for select using (true)", "info", "read every row", read),
        ("using (true)", "error", "get at every row", read),
        ("to PEOPLE using (1 = 1) with check (a = 3)", "error", just_true, read),
        ("for delete to PEOPLE using (not false)", "error", just_true, ""),
        // A column that shadows another: compared with itself.
        ("for update using ((a) = a) with check (a = 3)", "error", just_true, ""),
        ("for update using (a = 3) with check (true)", "warning", "write any row", ""),
        ("for insert with check (true)", "warning", "write any row", insert),
        (
            "using (a::text = current_setting('request.jwt.claims', true)::jsonb ->> 'a')",
            "error",
            "believes request.jwt.claims",
            "",
        ),
        (
            "using (a::text = current_setting('request.jwt.claim.sub', true)) with check (a = 1)",
            "error",
            "request.jwt.claims",
            "",
        ),
        (
            "for insert with check (current_setting('request.jwt.claims', true) <> 'x')",
            "error",
            "request.jwt.claims",
            "",
        ),
        (
            "as restrictive using (current_setting('REQUEST.JWT.claims', true) <> 'x')",
            "error",
            "request.jwt.claims",
            "",
        ),
        ("using (asks() <> '')", "error", "request.jwt.claims", ""),
        ("using (auth.jwt() -> 'user_metadata' ->> 'plan' = 'admin')", "error", "believes user_metadata", ""),
        (
            "for insert with check ((select auth.session_claims()) #>> '{user_metadata,plan}' = 'admin')",
            "error",
            "user_metadata",
            "",
        ),
    ] {
        let name = r#""p ON x; ""drop""#;
        let fault = Fault {
            plant: &format!("create policy {name} on protected {policy}"),
            rows: &[(severity, &format!("{name} ON public.protected"), part)],
            leak,
            clean: &format!("drop policy {name} on protected"),
        };
        patient.is_mended_of(&fault).await;
    }

    let p = "create policy p on protected";
    let drop = "drop policy p on protected";
    for (harmless, clean) in [
        (format!("{p} using (a = 1 and auth.jwt() -> 'app_metadata' ->> 'plan' = 'pro')"), drop),
        // Without USING it lets nobody in.
        (p.to_owned(), drop),
        (format!("{p} using (false) with check (false)"), drop),
        (format!("{p} using (a = a + 0)"), drop),
        // For a role that no request runs as, or on a table that nobody reaches.
        (format!("create role DATABASE_worker; {p} to DATABASE_worker using (true)"), drop),
        ("create table hidden (a int); alter table hidden enable row level security; create policy p on hidden using (true)".to_owned(), "drop table hidden"),
        // Everything, less what a restrictive policy forbids.
        (format!("{p} using (true); create policy r on protected as restrictive using (a = auth.uid()::text::int)"), "drop policy p on protected; drop policy r on protected"),
        (format!("{p} as restrictive using (true)"), drop),
    ] {
        patient.stays_sound(&harmless, clean).await;
    }
    // The restrictive one must be for the same command and the same people, and say something.
    patient.run("grant select on protected to APP").await;
    for restrictive in ["for select using (a = 1)", "to APP using (a = 1)", "using (true)"] {
        patient
            .run(&format!("{p} to PEOPLE using (true); create policy r on protected as restrictive {restrictive}"))
            .await;
        patient.shows(&[("error", "p ON public.protected", just_true)], restrictive).await;
        patient.run("drop policy p on protected; drop policy r on protected").await;
    }
}

#[tokio::test]
async fn what_nobody_reaches_is_nobodys_fault() {
    let patient = patient("check_sound").await;
    for (harmless, clean) in [
        ("create table t (a int)", "drop table t"),
        (
            "create role DATABASE_reports login; create table t (a int); grant all on t to DATABASE_reports",
            "drop table t",
        ),
        ("create schema shut; create table shut.t (a int); grant all on shut.t to public", "drop schema shut cascade"),
        (
            "create table t (a int); alter table t enable row level security; grant select on t to public",
            "drop table t",
        ),
        (
            "create table t (a int) partition by list (a); create table t1 partition of t for values in (1);
             alter table t enable row level security; grant select on t to PEOPLE",
            "drop table t",
        ),
        ("create temp table t (a int); grant select on t to public", "drop table t"),
        // Another extension's table is that extension's business; a foreign key to auth.users is what it is for.
        (
            "create extension file_fdw; create table t (a int); grant select on t to PEOPLE; alter extension file_fdw add table t",
            "drop extension file_fdw",
        ),
        ("create table t (id uuid references auth.users (id) on delete cascade)", "drop table t"),
        ("create role DATABASE_builder; grant references on auth.users to DATABASE_builder", ""),
        ("create materialized view m as select 1 as a", "drop materialized view m"),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
}

#[tokio::test]
async fn administrators_may_ask_and_others_may_not() {
    let patient = patient("check_callers").await;
    let cluster = patient.bed.cluster;
    patient.run("create table t (a int); grant select on t to PEOPLE").await;
    let by_superuser = check(&patient.bed.admin).await;
    assert_eq!(by_superuser.len(), 1);
    let operator = patient.bed.role("operator", "").await;
    let client = cluster.connect(&patient.bed.database, &operator).await.unwrap();
    for part in [
        "check",
        "check_facts",
        "check_members",
        "check_installed",
        "check_differences",
        "check_settings",
        "check_becomes",
        "check_people",
        "check_believers",
        "check_roles",
        "check_functions",
        "check_own",
    ] {
        refused_as(client.query(&format!("select auth.{part}()"), &[]).await, "42501");
    }
    patient.run(&format!("select auth.grant_admin('{operator}')")).await;
    assert_eq!(check(&client).await, by_superuser);
    // Neither what a session has set for itself nor its search_path changes what is said.
    client
        .batch_execute(
            "create temp table pg_class (oid int); create temp table pg_policy (oid int); set search_path = pg_temp, pg_catalog",
        )
        .await
        .unwrap();
    assert_eq!(check(&client).await, by_superuser);
    let read_only = "set transaction_read_only = on; set role none";
    client.batch_execute(read_only).await.unwrap();
    assert_eq!(check(&client).await, by_superuser);
    patient.run(&format!("select auth.revoke_admin('{operator}')")).await;
    refused_as(client.query("select * from auth.check()", &[]).await, "42501");
}
