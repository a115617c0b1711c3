//! `auth.check()` of SECURITY DEFINER functions, policies and views that decide by what anybody can say, and how long it takes to read them.

use std::time::{Duration, Instant};

use workos_end_to_end::check::{Fault, Patient, check};

use super::CLUSTER;

const BELIEVES: &str = "it believes request.jwt.claims or request.headers";
const EXCLUDES: &str = "it compares auth.role() by exclusion";

async fn patient(name: &str) -> Patient<'static> {
    let patient = Patient::new(&CLUSTER, name).await;
    patient
        .run(
            "create table badges (badge text); insert into badges values ('none'); alter table badges enable row level security;
             create function may_write() returns boolean language sql stable as $$
                 select coalesce(current_setting('request.jwt.claims', true)::jsonb ->> 'role' = 'service_role', false) $$;
             create function \"may; write\"() returns boolean language plpgsql stable as $$ begin return public.may_write(); end $$",
        )
        .await;
    patient
}

#[tokio::test]
async fn definers_that_believe_what_anybody_can_say() {
    let patient = patient("check_believers").await;
    let leak = "set request.jwt.claims = '{\"role\": \"service_role\"}'; select from set_badge('admin') as b where b = 'written'";
    let body = |condition: &str| {
        format!(
            "create function set_badge(badge text) returns text language plpgsql security definer set search_path = public as $$
             begin if not {condition} then return 'denied'; end if; update badges set badge = $1; return 'written'; end $$"
        )
    };
    for (plant, more) in [
        // Directly, by the function that it calls, by that one's own, in whatever case and with whatever blanks.
        (body("(current_setting('Request.JWT.claims', true)::jsonb ->> 'role' = 'service_role')"), ""),
        (body("may_write()"), ""),
        (body("PUBLIC.May_Write ()"), ""),
        (body("\"may; write\"()"), ""),
        (body("(current_setting('request.jwt.claim.role', true) = 'service_role' or may_write())"), ""),
        // For PEOPLE alone, or for a role that they are members of.
        (body("may_write()"), "revoke execute on function set_badge from public; grant execute on function set_badge to PEOPLE"),
        (
            body("may_write()"),
            "revoke execute on function set_badge from public; create role DATABASE_group; grant DATABASE_group to PEOPLE;
             grant execute on function set_badge to DATABASE_group with grant option",
        ),
        // A body in the SQL standard's way.
        (
            "create function set_badge(badge text) returns text language sql security definer
             begin atomic
                 update badges set badge = $1 where may_write();
                 select case when may_write() then 'written' end;
             end"
            .to_owned(),
            "",
        ),
    ] {
        let fault = Fault {
            plant: &format!("{plant}; {more}"),
            rows: &[("error", "public.set_badge(text)", BELIEVES)],
            leak,
            clean: "drop function set_badge",
        };
        patient.is_mended_of(&fault).await;
    }
    for fault in [
        Fault {
            plant: "create procedure award() language plpgsql security definer as $$ begin
                        if current_setting('request.headers', true)::jsonb ->> 'x-admin' = 'yes' then update badges set badge = 'admin'; end if; end $$",
            rows: &[("error", "public.award()", "Everybody may call it, it runs with the rights of postgres, and it believes")],
            clean: "drop procedure award",
            ..Fault::default()
        },
        // A backend that can switch to the people's role.
        Fault {
            plant: "create function f() returns text security definer language sql as $$ select current_setting('request.jwt.claims') $$;
                    revoke execute on function f from public; grant execute on function f to APP",
            rows: &[("warning", "public.f()", "APP may call it")],
            clean: "drop function f",
            ..Fault::default()
        },
        // A policy that calls what calls what believes; a view that shows what its owner may read.
        Fault {
            plant: "create policy writers on badges using (\"may; write\"()); grant select on badges to PEOPLE",
            rows: &[("error", "writers ON public.badges", "believes request.jwt.claims")],
            leak: "set request.jwt.claims = '{\"role\": \"service_role\"}'; select from badges",
            clean: "drop policy writers on badges; revoke select on badges from PEOPLE",
        },
        Fault {
            plant: "create table open (a int); create view shown as select * from open where may_write(); grant select on shown to PEOPLE; insert into open values (1)",
            rows: &[("error", "public.shown", "The view believes request.jwt.claims")],
            leak: "set request.jwt.claims = '{\"role\": \"service_role\"}'; select from shown",
            clean: "drop table open cascade",
        },
        Fault {
            plant: "create table open (a text); grant select on open to DATABASE_reader;
                    create view shown as select * from open where a = current_setting('request.jwt.claims', true); alter view shown owner to DATABASE_reader;
                    grant select on shown to PEOPLE",
            rows: &[("error", "public.shown", "and shows PEOPLE what its owner DATABASE_reader may read")],
            clean: "drop table open cascade",
            ..Fault::default()
        },
    ] {
        if fault.plant.contains("DATABASE_reader") {
            patient.run("create role DATABASE_reader").await;
        }
        patient.is_mended_of(&fault).await;
    }
    for (harmless, clean) in [
        // Nobody may call it; it has nobody else's rights; it is a reader of ours.
        (
            "create function f() returns text security definer language sql as $$ select may_write()::text $$; revoke execute on function f from public",
            "drop function f",
        ),
        ("create function f() returns text language sql as $$ select may_write()::text $$", "drop function f"),
        (
            "create function f() returns uuid security definer language sql as $$ select auth.uid() from auth.users where auth.jwt() ->> 'role' = 'x' $$",
            "drop function f",
        ),
        // Another function's name is part of this one's; a name that is not called.
        (
            "create function f() returns int security definer language sql as $$ select length('not_may_write() may_writer may_write') $$",
            "drop function f",
        ),
        (
            "create schema shut; create function shut.f() returns text security definer language sql as $$ select public.may_write()::text $$",
            "drop schema shut cascade",
        ),
    ] {
        patient.stays_sound(harmless, clean).await;
    }
}

#[tokio::test]
async fn comparisons_that_a_visitor_slips_through() {
    let patient = patient("check_comparisons").await;
    patient.run("grant select, insert on badges to PEOPLE").await;
    for (policy, is_found) in [
        ("using (auth.role() <> 'anon')", true),
        ("using (auth.role() != 'anon')", true),
        ("using ((select auth.role()) <> 'anon')", true),
        ("using ('anon' <> auth.role())", true),
        ("using (auth.role() not in ('anon', 'visitor'))", true),
        ("using (auth.role() is distinct from 'anon')", true),
        ("using (not auth.role() = 'anon')", true),
        ("using (not (select auth.role()) in ('anon', 'visitor'))", true),
        ("using (coalesce(auth.role(), 'anon') <> 'anon')", true),
        ("for insert with check (auth.role()::name <> 'anon')", true),
        ("as restrictive using (auth.role() <> 'anon')", true),
        ("using (no_visitor())", true),
        ("using (auth.role() = 'authenticated')", false),
        ("using (auth.role() in ('authenticated', 'editor'))", false),
        ("using (auth.role() is not distinct from 'authenticated')", false),
        ("using (badge <> 'x' and auth.role() = 'authenticated')", false),
        ("using (badge is not null and auth.role() = 'authenticated')", false),
        ("using (auth.uid() <> '00000000-0000-4000-8000-0000000000ad')", false),
    ] {
        patient.run("create or replace function no_visitor() returns boolean language sql stable as $$ select auth.role() <> 'anon' $$").await;
        patient.run(&format!("create policy p on badges {policy}")).await;
        if is_found {
            patient.is_mended(&[("warning", "p ON public.badges", "compares auth.role() by exclusion")], policy).await;
        } else {
            patient.is_sound(policy).await;
        }
        patient.run("drop policy p on badges").await;
    }
    patient.run("drop function no_visitor").await;
    for (guard, expected) in [
        (
            "if auth.role() = 'anon' or auth.role() <> 'x' and true then raise 'forbidden'; end if",
            Some(("warning", EXCLUDES)),
        ),
        (
            "if exists (select where auth.role() <> 'anon') then return 'written'; end if; raise 'forbidden'",
            Some(("warning", EXCLUDES)),
        ),
        ("if auth.role() not in ('anon') then return 'written'; end if", Some(("warning", EXCLUDES))),
        // It refuses everybody but one, which is right, and is worth a look.
        (
            "if auth.role() <> 'service_role' then raise exception 'forbidden'; end if",
            Some(("info", "auth.role() decides who is refused")),
        ),
        ("if (auth.role() is distinct from 'service_role') then raise 'forbidden'; end if", Some(("info", "decides"))),
        ("if auth.role() not in ('service_role', 'editor') then raise 'forbidden'; end if", Some(("info", "decides"))),
        // NULL without a session: IF does not raise.
        ("if auth.uid() <> person then raise 'forbidden'; end if", Some(("warning", "so that nobody is refused then"))),
        ("if person != auth.uid() then raise 'forbidden'; end if", Some(("warning", "NULL without a session"))),
        (
            "if auth.jwt() -> 'app_metadata' ->> 'plan' <> 'pro' then raise 'forbidden'; end if",
            Some(("warning", "NULL without a session")),
        ),
        (
            "if auth.organization_id() <> 'org_acme' then raise 'forbidden'; end if",
            Some(("warning", "NULL without a session")),
        ),
        ("if auth.uid() is distinct from person then raise 'forbidden'; end if", None),
        (
            "if auth.uid() is null then raise 'forbidden'; end if; if auth.uid() <> person then raise 'forbidden'; end if",
            None,
        ),
        ("if auth.role() = 'service_role' then return 'written'; end if", None),
        ("perform from badges where badge <> auth.uid()::text", None),
    ] {
        patient
            .run(&format!(
                "create function credit(person uuid) returns text language plpgsql security definer set search_path = public as $$
                 begin {guard}; return 'written'; end $$"
            ))
            .await;
        if let Some((severity, part)) = expected {
            let call = "select from credit('00000000-0000-4000-8000-0000000000ad') as c where c = 'written'";
            if part.contains("NULL") || part.contains("nobody") {
                assert!(patient.leaks(call).await, "a visitor is refused: {guard}");
            }
            patient.is_mended(&[(severity, "public.credit(uuid)", part)], guard).await;
            assert!(!patient.leaks(call).await, "{guard}");
        } else {
            patient.is_sound(guard).await;
        }
        patient.run("drop function credit").await;
    }
}

/// How long the check may take of what a stranger has written, on a machine that others use too.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn texts_of_a_megabyte_are_read_in_seconds() {
    let patient = patient("check_long").await;
    patient.run("grant select on badges to PEOPLE").await;
    let repeated = |part: &str| part.repeat(1_000_000 / part.len());
    // What makes a search go back: halves that are nearly alike, names that nearly match, blanks, parentheses, beginnings without an end.
    let texts: Vec<String> =
        ["a", "' = ", "auth.jwt() ", "auth.role() <> ", "may_write ", "not ", "if auth.", "auth.role(), 'x"]
            .iter()
            .map(|part| repeated(part).replace('\'', "''"))
            .collect();
    for text in &texts {
        let start: String = text.chars().take(12).collect();
        let long = format!("'{text}'");
        let plant = [
            format!(
                "create policy p on badges using (badge = {long}); create policy q on badges using ({long} <> {long} || 'x')"
            ),
            format!(
                "create function f() returns text security definer language plpgsql as 'begin return {}; end'",
                long.replace('\'', "''")
            ),
            format!(
                "create table open (a text); create view v as select * from open where a = {long}; grant select on v to PEOPLE"
            ),
            format!("alter role PEOPLE set pgaudit.log_parameter = {long}"),
        ];
        patient.run(&plant.join("; ")).await;
        let started = Instant::now();
        check(&patient.bed.admin).await;
        assert!(started.elapsed() < PATIENCE, "{start} took {:?}", started.elapsed());
        patient.run("drop policy p on badges; drop policy q on badges; drop function f; drop table open cascade; alter role PEOPLE reset all").await;
    }
    // Many at once, that call one another: a third of them is fewer names than are followed in one step.
    patient
        .run(
            "do $$ begin for i in 1..240 loop
                 execute format('create function f%s() returns text security definer language plpgsql as %L', i,
                     'begin perform f' || i % 240 + 1 || '(); ' || repeat('perform g(f);', 300) || case when i % 3 = 0 then 'perform may_write();' else '' end || 'end');
             end loop; end $$",
        )
        .await;
    let started = Instant::now();
    let found = check(&patient.bed.admin).await.len();
    assert_eq!(found, 240, "over three calls each reaches one that believes");
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}
