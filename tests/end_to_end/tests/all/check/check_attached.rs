//! `auth.check()` of what others have attached to the extension's tables so that their code runs as the extension's owner, or that lost its effect:
//! foreign keys with a cast, functions of triggers and the like, event triggers, and hooks that changed hands.

use workos_end_to_end::bed::ALICE;
use workos_end_to_end::check::{Fault, Patient};
use workos_end_to_end::sql::lines;
use workos_testbed::cluster::SUPERUSER;

use super::CLUSTER;

const CAST: &str = "its cast runs as the extension's owner, whatever it does";

async fn patient(name: &str) -> Patient<'static> {
    let patient = Patient::new(&CLUSTER, name).await;
    patient
        .run(
            "create role DATABASE_mallory; grant create on schema public to DATABASE_mallory; create table ran_as (name name); grant insert, select on ran_as to workos_auth_owner, workos_auth_nobody;
             create function spy() returns trigger language plpgsql as $$ begin insert into public.ran_as values (current_user); return new; end $$;
             alter function spy() owner to DATABASE_mallory;
             create function spied(text) returns boolean language plpgsql as $$ begin insert into public.ran_as values (current_user); return true; end $$;
             alter function spied(text) owner to DATABASE_mallory",
        )
        .await;
    patient
}

/// As whom the planted code ran.
async fn ran_as(patient: &Patient<'_>) -> Vec<String> {
    lines(&patient.bed.admin, "select distinct name::text from ran_as").await.unwrap()
}

#[tokio::test]
async fn foreign_keys_whose_cast_is_somebodys_code() {
    let patient = patient("check_casts").await;
    patient
        .run(
            "create type wrapped as (id uuid);
             create function unwrap(wrapped) returns uuid language plpgsql as $$ begin insert into public.ran_as values (current_user); return ($1).id; end $$;
             create cast (wrapped as uuid) with function unwrap(wrapped) as implicit;
             create domain wrapped_again as wrapped; create domain wrapped_thrice as wrapped_again; create domain person as uuid; create domain person_too as person",
        )
        .await;
    for (plant, object) in [
        ("create table t (person wrapped references auth.users (id) on delete cascade)", "t_person_fkey ON public.t"),
        ("create table t (person wrapped_thrice references auth.users (id))", "t_person_fkey ON public.t"),
        (
            "create table t (session wrapped references auth.sessions (id) on delete cascade)",
            "t_session_fkey ON public.t",
        ),
        (
            "create table t (organization char(20) references auth.organizations (id))",
            "t_organization_fkey ON public.t",
        ),
        (
            "create table t (organization text, person wrapped, constraint \"k;\" foreign key (organization, person) references auth.organization_memberships on delete cascade)",
            "\"k;\" ON public.t",
        ),
        (
            "create table t (person wrapped references auth.users (id)) partition by hash (person);
             create table t1 partition of t for values with (modulus 1, remainder 0)",
            "t_person_fkey ON public.t",
        ),
    ] {
        // Past what refuses such DDL: without the event trigger, and in a session that has not loaded the library.
        let past = patient.bed.superuser().await;
        past.batch_execute("alter event trigger workos_auth_foreign_keys disable").await.unwrap();
        past.batch_execute(plant).await.unwrap_or_else(|error| panic!("{plant}\n{error:?}"));
        past.batch_execute("alter event trigger workos_auth_foreign_keys enable always").await.unwrap();
        patient.is_mended(&[("error", object, CAST)], plant).await;
        patient.run("drop table t").await;
    }
    for harmless in [
        "create table t (person uuid references auth.users (id), organization varchar(40) references auth.organizations (id))",
        "create table t (person person_too references auth.users (id), organization text references auth.organizations (id))",
        "create table k (id wrapped primary key); create table t (id wrapped references k)",
    ] {
        patient.stays_sound(harmless, "drop table t; drop table if exists k").await;
    }
}

#[tokio::test]
async fn code_of_others_that_runs_by_whoever_writes() {
    let patient = patient("check_hands").await;
    let user = "insert into auth.users (id, email) values (gen_random_uuid(), gen_random_uuid() || '@example.com')";
    let entry = "insert into auth.audit_log_entries (action) values ('tested')";
    for (plant, object, by_hand) in [
        (
            "create trigger spy after insert on auth.users for each row execute function spy()",
            "spy ON auth.users",
            user,
        ),
        (
            "create trigger spy after insert on auth.audit_log_entries for each statement execute function spy()",
            "spy ON auth.audit_log_entries",
            entry,
        ),
        ("alter table auth.users add constraint spied check (spied(email))", "spied ON auth.users", user),
        ("alter table auth.users add column spied boolean default spied('')", "auth.users.spied", user),
        ("create policy spied on auth.users using (spied(email))", "spied ON auth.users", ""),
        (
            "create rule spied as on insert to auth.audit_log_entries do also select public.spied(new.action)",
            "spied ON auth.audit_log_entries",
            entry,
        ),
    ] {
        patient.run(plant).await;
        patient.run("delete from ran_as").await;
        let findings = patient.shows(&[("error", object, "runs as whoever writes to the table by hand")], plant).await;
        if !by_hand.is_empty() {
            patient.run("select auth.create_user(gen_random_uuid() || '@example.com')").await;
            assert_eq!(ran_as(&patient).await, ["workos_auth_nobody"], "by a call: {plant}");
            patient.run("delete from ran_as").await;
            patient.run(by_hand).await;
            assert_eq!(ran_as(&patient).await, [SUPERUSER], "by hand: {plant}");
        }
        patient.remedy(&findings[0]).await;
        patient.is_sound(plant).await;
        patient.run("delete from ran_as").await;
        patient.run("select auth.create_user(gen_random_uuid() || '@example.com')").await;
        assert!(ran_as(&patient).await.is_empty(), "it still runs: {plant}");
    }
    // A trigger whose function runs as somebody, and one of a superuser's: a dump loses them, no more.
    for function in [
        "create function quiet() returns trigger language plpgsql security definer as 'begin return new; end'; alter function quiet() owner to DATABASE_mallory",
        "create function quiet() returns trigger language plpgsql as 'begin return new; end'",
    ] {
        let plant = format!(
            "{function}; create trigger quiet after insert on auth.users for each row execute function quiet()"
        );
        let fault = Fault {
            plant: &plant,
            rows: &[("warning", "quiet ON auth.users", "a dump does not carry it")],
            clean: "drop function quiet()",
            ..Fault::default()
        };
        patient.is_mended_of(&fault).await;
    }
}

#[tokio::test]
async fn an_event_trigger_of_the_extension_that_does_not_fire() {
    let patient = patient("check_events").await;
    patient
        .run(
            "create function watch() returns event_trigger language plpgsql as 'begin end';
             create event trigger DATABASE_watch on ddl_command_end execute function watch(); alter extension workos_auth add event trigger DATABASE_watch",
        )
        .await;
    for state in ["disable", "enable replica"] {
        let plant = format!("alter event trigger DATABASE_watch {state}");
        let rows = &[("error", "DATABASE_watch", "does not fire")];
        patient.is_mended_of(&Fault { plant: &plant, rows, ..Fault::default() }).await;
    }
    patient.stays_sound("alter event trigger DATABASE_watch enable always", "").await;
    patient
        .run("alter extension workos_auth drop event trigger DATABASE_watch; drop event trigger DATABASE_watch")
        .await;
}

#[tokio::test]
async fn hooks_that_changed_hands() {
    let patient = patient("check_hooks").await;
    for (function, name) in [
        ("public.hook", "public.hook(jsonb)"),
        ("public.hook", "public.hook"),
        ("public.\"Hook; \"\"x\"", "public.\"Hook; \"\"x\"(jsonb)"),
    ] {
        let create = format!("create function {function}(jsonb) returns jsonb language sql as 'select $1'");
        patient
            .run(&format!(
                "create role DATABASE_first; {create}; alter function {function} owner to DATABASE_first;
                 insert into auth.hooks (event, function, function_owner) values ('token', '{name}', 'DATABASE_first')"
            ))
            .await;
        patient.is_sound(name).await;
        patient
            .run(&format!("drop function {function}; {create}; alter function {function} owner to DATABASE_mallory"))
            .await;
        // A hook may keep people out: what is run without a look takes none away.
        let rows = [("error", "auth.hooks", "The function of the hook token belongs to DATABASE_mallory now")];
        let found = patient.shows(&rows, name).await;
        patient.remedy(&found[0]).await;
        patient.shows(&rows, name).await;
        patient.run(&format!("drop function {function}")).await;
        patient.shows(&[("error", "auth.hooks", "The function of the hook token is not there")], name).await;
        patient.run("delete from auth.hooks; drop role DATABASE_first").await;
        patient.is_sound(name).await;
        patient.bed.sign_in(ALICE).await;
    }
}
