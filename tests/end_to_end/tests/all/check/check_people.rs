//! `auth.check()` of the roles that requests run as: those that people act as, and those that a backend or PostgREST's authenticator can become.
//! Roles are the cluster's: a cluster of its own.

use workos_end_to_end::Bed;
use workos_end_to_end::check::{Fault, Patient, check};
use workos_testbed::Cluster;

const OFF: &str = "Row-level security is off";

/// A table that a role reaches, and what is said of it.
fn open_to(role: &str) -> String {
    format!("create table open as select 1 as a; grant select on open to {role}")
}

#[tokio::test]
async fn roles_that_a_request_can_come_to_run_as() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "people").await;
    let version = patient.bed.count("select current_setting('server_version_num')::bigint").await;
    patient
        .run("create role anon; create role middle; create role gate login noinherit; create role human login; create role stranger login noinherit")
        .await;
    // Who reaches what, by which memberships; the role that is named, or nobody.
    for (memberships, reaches, named) in [
        ("", "anon", None),
        // PostgREST's authenticator: it connects, has no rights of its own, and becomes who people are.
        ("grant PEOPLE, anon to gate", "anon", Some("anon can get at")),
        // By way of a third.
        ("grant PEOPLE, middle to gate; grant anon to middle", "anon", Some("anon, middle can get at")),
        // The backend's own.
        ("grant anon to APP", "anon", Some("anon can get at")),
        // It can switch to the backend's role, and so to all that one can.
        ("grant APP to gate; grant anon to gate", "anon", Some("anon can get at")),
        // By ADMIN alone, with which it can give itself the rest.
        ("grant PEOPLE to gate; grant anon to gate with admin option", "anon", Some("anon can get at")),
        // A person at a keyboard who inherits, and one who becomes nobody that a request runs as.
        ("grant PEOPLE, anon to human", "anon", None),
        ("grant anon to stranger", "anon", None),
    ] {
        patient.run(memberships).await;
        patient.run(&open_to(reaches)).await;
        match named {
            Some(part) => {
                patient.is_mended(&[("error", "public.open", &format!("{OFF}: {part}"))], memberships).await;
            }
            None => patient.is_sound(memberships).await,
        }
        patient
            .run("drop table open; revoke PEOPLE, anon, middle, APP from gate; revoke anon from middle, APP, human, stranger; revoke PEOPLE from human")
            .await;
    }
    // Since Postgres 16 a membership may be without SET, or without rights.
    if version >= 160_000 {
        for (memberships, named) in [
            ("grant PEOPLE to gate with inherit false; grant anon to gate with set false, inherit false", None),
            (
                "grant PEOPLE to gate; grant anon to gate with inherit false, set true",
                Some(("error", "anon can get at")),
            ),
            (
                "grant PEOPLE to gate; grant middle to gate with set false, inherit true; grant anon to middle",
                Some(("warning", "gate can get at")),
            ),
            (
                "grant PEOPLE to gate; grant middle to gate with set false, inherit true; grant anon to middle with admin true",
                Some(("error", "anon, gate can get at")),
            ),
            // A role with INHERIT whose membership has none is an authenticator too.
            (
                "grant PEOPLE to human with inherit false; grant anon to human with inherit false",
                Some(("error", "anon can get at")),
            ),
        ] {
            patient.run(memberships).await;
            patient.run(&open_to("anon")).await;
            match named {
                Some((severity, part)) => drop(patient.shows(&[(severity, "public.open", part)], memberships).await),
                None => patient.is_sound(memberships).await,
            }
            patient.run("drop table open; revoke PEOPLE, anon, middle from gate; revoke anon from middle; revoke PEOPLE, anon from human").await;
        }
    }
}

#[tokio::test]
async fn memberships_in_roles_that_are_more_than_they_should_be() {
    let cluster = Cluster::start().unwrap();
    let patient = Patient::new(&cluster, "members").await;
    let version = patient.bed.count("select current_setting('server_version_num')::bigint").await;
    patient
        .run(
            "create role gate login noinherit; grant PEOPLE to gate; create role middle; create role service_role bypassrls; create role boss superuser;
             create role ops; select auth.grant_admin('ops'); create role giver; create role other",
        )
        .await;
    for fault in [
        // Supabase's service_role: meant to be, and worth a look.
        Fault {
            plant: "grant service_role to gate",
            rows: &[(
                "info",
                "gate",
                "It connects for people, and it can become service_role, which row-level security does not bind.",
            )],
            ..Fault::default()
        },
        Fault {
            plant: "grant service_role to PEOPLE",
            rows: &[("error", "PEOPLE", "People act as it, and it can become service_role")],
            ..Fault::default()
        },
        Fault {
            plant: "grant middle to PEOPLE; grant service_role to middle",
            rows: &[("error", "middle", "Requests of people can come to run as it, and it can become service_role")],
            clean: "revoke middle from PEOPLE",
            ..Fault::default()
        },
        Fault {
            plant: "grant boss to gate",
            rows: &[("error", "gate", "It connects for people, and it can become boss")],
            ..Fault::default()
        },
        Fault {
            plant: "grant middle to APP; grant boss to middle",
            rows: &[("error", "middle", "it can become boss")],
            clean: "revoke middle from APP",
            ..Fault::default()
        },
        Fault {
            plant: "grant middle to APP; grant pg_execute_server_program to middle",
            rows: &[("error", "middle", "as a member of pg_execute_server_program it can read the root key")],
            clean: "revoke middle from APP",
            ..Fault::default()
        },
        Fault {
            plant: "grant middle to PEOPLE; grant ops to middle",
            rows: &[("error", "middle", "as a member of ops it may configure WorkOS")],
            clean: "revoke middle from PEOPLE",
            ..Fault::default()
        },
        Fault {
            plant: "grant middle to PEOPLE; grant pg_read_all_data to middle",
            rows: &[("warning", "middle", "pg_read_all_data lets it at all")],
            clean: "revoke middle from PEOPLE",
            ..Fault::default()
        },
        Fault {
            plant: "alter role gate bypassrls",
            rows: &[("error", "gate", "It connects for people, and it is BYPASSRLS")],
            ..Fault::default()
        },
        Fault {
            plant: "grant workos_auth_owner to other",
            rows: &[("error", "other", "a member of workos_auth_owner")],
            ..Fault::default()
        },
    ] {
        patient.is_mended_of(&fault).await;
    }
    if version < 160_000 {
        let fault = Fault {
            plant: "alter role gate createrole",
            rows: &[("error", "gate", "It connects for people, and it is CREATEROLE")],
            ..Fault::default()
        };
        patient.is_mended_of(&fault).await;
        return;
    }
    for fault in [
        // Whoever gave it takes it back: a row a grantor, and what the member gave on goes with it.
        Fault {
            plant: "grant service_role to giver with admin option; grant service_role to PEOPLE;
                    set role giver; grant service_role to PEOPLE; reset role",
            rows: &[
                ("error", "PEOPLE", "it can become service_role"),
                ("error", "PEOPLE", "it can become service_role"),
            ],
            clean: "revoke service_role from giver",
            ..Fault::default()
        },
        Fault {
            plant: "grant service_role to PEOPLE with admin option; set role PEOPLE; grant service_role to other; reset role",
            rows: &[("error", "PEOPLE", "it can become service_role")],
            ..Fault::default()
        },
        Fault {
            plant: "grant workos_auth_owner to giver with admin option; set role giver; grant workos_auth_owner to other; reset role",
            rows: &[
                ("error", "giver", "a member of workos_auth_owner"),
                ("error", "other", "a member of workos_auth_owner"),
            ],
            ..Fault::default()
        },
        Fault {
            plant: "grant boss to PEOPLE with inherit false, set false, admin true",
            rows: &[("error", "PEOPLE", "it can become boss")],
            ..Fault::default()
        },
    ] {
        patient.is_mended_of(&fault).await;
    }
    // Attributes are not inherited; rights that nobody can use are none.
    for harmless in [
        "grant service_role to PEOPLE with set false, inherit true",
        "grant boss to PEOPLE with set false, inherit false",
        "grant pg_read_server_files to APP with set false, inherit false",
        "grant ops to PEOPLE with set false, inherit false",
    ] {
        patient
            .stays_sound(harmless, "revoke service_role, boss, ops from PEOPLE; revoke pg_read_server_files from APP")
            .await;
    }
}

/// What Supabase's users have: nothing is said of it, but that service_role is what it is.
#[tokio::test]
async fn supabases_roles() {
    let cluster = Cluster::start().unwrap();
    let bed = Bed::new(&cluster, "supabase").await;
    bed.admin
        .batch_execute(
            "create role anon nologin noinherit; create role authenticated nologin noinherit; create role service_role nologin noinherit bypassrls;
             create role authenticator login noinherit; grant anon, authenticated to authenticator;
             create role app login noinherit; grant anon, authenticated to app; select auth.grant_sign_in('app');
             alter database supabase set workos_auth.allowed_roles = 'authenticated, anon';
             grant usage on schema public to anon, authenticated, service_role;
             create table profiles (id uuid primary key references auth.users (id) on delete cascade, name text, is_public boolean);
             alter table profiles enable row level security;
             grant all on profiles to service_role; grant select on profiles to anon; grant select, insert, update, delete on profiles to authenticated;
             create policy visitors on profiles for select to anon using (is_public);
             create policy theirs on profiles to authenticated using (id = (select auth.uid())) with check (id = (select auth.uid()));
             create policy members on profiles for select using (auth.role() = 'authenticated' and is_public);
             create table jobs (id int); grant all on jobs to service_role;
             create function handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
                 begin insert into public.profiles (id) values (new.id); return new; end $$;
             create function is_member() returns boolean language sql stable security definer set search_path = '' as $$
                 select exists (select from public.profiles where id = (select auth.uid())) $$;
             create function rename(new_name text) returns void language plpgsql security definer set search_path = '' as $$
                 begin
                     if auth.uid() is null then raise exception 'forbidden'; end if;
                     update public.profiles set name = new_name where id = auth.uid();
                 end $$",
        )
        .await
        .unwrap();
    assert_eq!(check(&bed.admin).await, []);
    bed.admin.batch_execute("grant service_role to authenticator").await.unwrap();
    let findings = check(&bed.admin).await;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    assert_eq!((&*findings[0].severity, &*findings[0].object), ("info", "authenticator"));
    // And it is awake.
    bed.admin.batch_execute("alter table profiles disable row level security").await.unwrap();
    assert_eq!(check(&bed.admin).await.len(), 2);
}
