//! ALTER EXTENSION UPDATE of an extension that is not as it was installed. What somebody changed or dropped stops the update, before anything
//! is done. What somebody attached stays a finding of `auth.check()`. What is no finding stops nothing.

use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, refresh};
use workos_end_to_end::catalog::of_the_extension;
use workos_end_to_end::check::{Finding, check};
use workos_end_to_end::releases::{named, older};
use workos_end_to_end::sql::refused;
use workos_testbed::Cluster;

use super::updates::UPDATE;

/// What is reported, but that the library is newer than the SQL.
async fn findings(bed: &Bed<'_>) -> Vec<Finding> {
    let mut all = check(&bed.admin).await;
    all.retain(|finding| finding.object != "workos_auth");
    all
}

async fn run(bed: &Bed<'_>, sql: &str) {
    bed.admin.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}\n{error:?}"));
}

/// Statements, and what the refusal says of each.
const CHANGED: &[(&str, &str)] = &[
    (
        "create or replace function auth.check_hook() returns trigger language plpgsql as 'begin return new; end'",
        "The function auth.check_hook() was changed: its language, library, symbol or source.",
    ),
    ("alter function auth.uid() leakproof", "The function auth.uid() was changed: its leakproofness."),
    (
        "create or replace view auth.error_codes as select e.sqlstate, e.name, e.http_status, e.meaning from auth.error_codes() as e where false",
        "The view auth.error_codes was changed: its text.",
    ),
    ("drop trigger check_redirect_url on auth.redirect_urls", "The trigger check_redirect_url on auth.redirect_urls is gone."),
    (
        "create function nothing() returns trigger language plpgsql as 'begin return new; end';
         create or replace trigger check_hook before insert or update on auth.hooks for each row execute function nothing()",
        "The trigger check_hook on auth.hooks was changed: its function.",
    ),
    (
        "alter policy administrators on auth.users using (true)",
        "The policy administrators on auth.users was changed: its text.",
    ),
    ("drop policy administrators on auth.sessions", "The policy administrators on auth.sessions is gone."),
    (
        "alter table auth.sessions drop constraint sessions_user_id_fkey",
        "The table constraint sessions_user_id_fkey on auth.sessions is gone.",
    ),
    ("drop index auth.users_email_key", "The index auth.users_email_key is gone."),
    (
        "alter table auth.redirect_urls alter column created_by set default 'nobody'",
        "The table column auth.redirect_urls.created_by was changed: its text.",
    ),
    (
        "alter extension workos_auth drop event trigger workos_auth_foreign_keys; drop event trigger workos_auth_foreign_keys",
        "The event trigger workos_auth_foreign_keys is gone.",
    ),
    ("alter extension workos_auth drop function auth.jwks()", "The function auth.jwks() is gone."),
];

#[tokio::test]
async fn what_somebody_changed_stops_the_update() {
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("changed", &version), Some(&version)).await;
        assert_eq!(findings(&bed).await, []);
        let refuses = async |expected: &str| {
            let before = (of_the_extension(&bed.admin).await, findings(&bed).await);
            let refusal = refused(bed.superuser().await.batch_execute(UPDATE).await, "extension_changed");
            assert_eq!(refusal.detail, expected, "{version}: {refusal}");
            assert!(refusal.hint.contains("auth.check()"), "{refusal}");
            assert_eq!((of_the_extension(&bed.admin).await, findings(&bed).await), before, "{version}: {expected}");
            before.1
        };
        for (plant, expected) in CHANGED {
            run(&bed, plant).await;
            for finding in refuses(expected).await {
                run(&bed, &finding.remedy).await;
            }
            // What was made anew lacks its rights: the next remedy.
            for finding in findings(&bed).await {
                run(&bed, &finding.remedy).await;
            }
            assert_eq!(findings(&bed).await, [], "{version}: {plant}");
        }
        // All of them are named.
        run(&bed, "drop policy administrators on auth.users; alter function auth.email() strict").await;
        let all =
            "The function auth.email() was changed: its strictness. The policy administrators on auth.users is gone.";
        for finding in refuses(all).await {
            run(&bed, &finding.remedy).await;
        }
        bed.superuser().await.batch_execute(UPDATE).await.unwrap();
        assert_eq!(check(&bed.admin).await, []);
    }
}

#[tokio::test]
async fn what_somebody_attached_or_gave_stays_a_finding() {
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("attached", &version), Some(&version)).await;
        let stranger = bed.role("stranger", "").await;
        let operator = bed.role("operator", "").await;
        let attached = format!(
            "create function made() returns trigger language plpgsql as 'begin return new; end';
             create trigger made after insert on auth.users for each row execute function made();
             create policy everything on auth.sessions using (true);
             create index by_age on auth.users (created_at);
             alter table auth.organizations add column plan text default 'free';
             alter table auth.organizations add constraint named check (id <> '');
             create rule quiet as on delete to auth.redirect_urls do instead nothing;
             grant select, trigger on auth.sessions to {stranger};
             grant execute on function auth.delete_user(uuid) to {stranger}; grant execute on function auth.reseal(text) to public;
             select auth.grant_admin('{operator}'); grant update on auth.redirect_urls to {operator};
             alter function auth.email() owner to {stranger}; grant create on schema auth to {stranger};
             alter table auth.hooks disable trigger check_hook"
        );
        run(&bed, &attached).await;
        let before = findings(&bed).await;
        assert!(before.len() > 11, "{before:#?}");
        bed.superuser().await.batch_execute(UPDATE).await.unwrap();
        let after = check(&bed.admin).await;
        let said =
            |all: &[Finding]| all.iter().map(|row| (row.object.clone(), row.finding.clone())).collect::<Vec<_>>();
        assert_eq!(said(&after), said(&before), "{version}");
        for finding in after {
            run(&bed, &finding.remedy).await;
        }
        assert_eq!(check(&bed.admin).await, []);
    }
}

/// An application's own tables, policies, triggers, views, foreign keys and rights.
#[tokio::test]
async fn what_is_no_finding_stops_nothing() {
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("ordinary", &version), Some(&version)).await;
        let (app, builder) = (bed.role("app", "").await, bed.role("builder", "").await);
        let alice = bed.sign_in(ALICE).await;
        let tables = format!(
            "select auth.grant_sign_in('{app}'); grant references on auth.users to {builder};
             create table profiles (id uuid primary key references auth.users (id) on delete cascade, session uuid references auth.sessions (id) on delete set null);
             alter table profiles enable row level security; create policy own on profiles using (id = auth.uid());
             create function touched() returns trigger language plpgsql as 'begin return new; end';
             create trigger touched before update on profiles for each row execute function touched();
             create view roles as select role, count(*) from auth.organization_memberships group by role;
             insert into profiles select id from auth.users;
             create publication everything for table auth.users; create statistics by_role on email, role from auth.users;
             comment on table auth.users is 'people'; alter table auth.users set (fillfactor = 90); analyze auth.users"
        );
        run(&bed, &tables).await;
        assert_eq!(findings(&bed).await, []);
        bed.superuser().await.batch_execute(UPDATE).await.unwrap();
        assert_eq!(check(&bed.admin).await, []);
        refresh(&bed.admin, &alice.refresh_token).await.unwrap();
    }
}
