//! Dumps and releases: one of an older version is restored into the newest, and one after an update brings the same rights.

use std::path::{Path, PathBuf};

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, get_user_of, refresh, sign_in};
use workos_end_to_end::check::check;
use workos_end_to_end::dumps::{bring_root_key, run};
use workos_end_to_end::releases::{CURRENT, named, older};
use workos_end_to_end::sql::{lines, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

use super::updates::{UPDATE, rights_of};

fn dump(bed: &Bed<'_>, name: &str) -> PathBuf {
    let file = bed.cluster.root_key_path().with_file_name(format!("{}_{name}.sql", bed.database));
    let mut command = bed.cluster.command("pg_dump");
    command.arg("--file").arg(&file).arg(&bed.database);
    run(command);
    file
}

/// In one transaction that the first error ends.
async fn restored(cluster: &Cluster, name: &str, file: &Path) -> Client {
    cluster.create_database(name).await.unwrap();
    let mut command = cluster.command("psql");
    command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--single-transaction", "--file"]).arg(file);
    command.arg(format!("--dbname={name}"));
    run(command);
    cluster.connect(name, SUPERUSER).await.unwrap()
}

#[tokio::test]
async fn a_dump_of_an_older_version_and_one_after_its_update() {
    let there = Cluster::start_newer().unwrap();
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("dumped", &version), Some(&version)).await;
        bring_root_key(bed.cluster, &there).await;
        let (backend, operator, by_hand) =
            (bed.role("backend", "").await, bed.role("operator", "").await, bed.role("by_hand", "").await);
        let elsewhere = there.connect("postgres", SUPERUSER).await.unwrap();
        elsewhere
            .batch_execute(&format!(
                "create role {backend} login; create role {operator} login; create role {by_hand} login"
            ))
            .await
            .unwrap();
        let set_up = format!(
            "select auth.grant_sign_in('{backend}'); select auth.grant_admin('{operator}');
             grant references on auth.users to {by_hand}; grant execute on function auth.find_user(text, text) to {by_hand};
             create table notes (owner uuid references auth.users (id), body text); alter table notes enable row level security;
             create policy own on notes using (owner = auth.uid())"
        );
        bed.admin.batch_execute(&set_up).await.unwrap();
        let alice = bed.sign_in(ALICE).await;
        let roles = [&backend, &operator, &by_hand];

        // Of the older version: CREATE EXTENSION makes the newest.
        let old = dump(&bed, "old");
        let mut old_rights = Vec::new();
        for role in roles {
            old_rights.push(rights_of(&bed.admin, role).await);
        }
        let client = restored(&there, &named("from_old", &version), &old).await;
        assert_eq!(text(&client, "select sql from auth.version()").await.unwrap().as_deref(), Some(CURRENT));
        for (role, before) in roles.into_iter().zip(&old_rights) {
            let now = rights_of(&client, role).await;
            let lost: Vec<_> = before.iter().filter(|right| !now.contains(right)).collect();
            assert!(lost.is_empty(), "{version}: {role} lost {lost:?}");
        }
        // What the bundles have got since, no dump can know: check() says for whom, and its remedies give it.
        for finding in check(&client).await {
            if finding.finding.starts_with("It has a part of what") {
                client.batch_execute(&finding.remedy).await.unwrap();
            }
        }
        goes_on(&client, &alice).await;

        // After the update: the same rights there as here.
        bed.superuser().await.batch_execute(UPDATE).await.unwrap();
        let updated = dump(&bed, "updated");
        let from_updated = restored(&there, &named("from_updated", &version), &updated).await;
        for role in roles {
            let here = rights_of(&bed.admin, role).await;
            assert_eq!(rights_of(&from_updated, role).await, here, "{version}: {role}");
            assert_eq!(rights_of(&client, role).await, here, "{version}: {role}, by the remedies of auth.check()");
        }
        goes_on(&from_updated, &alice).await;
        // A role that the dump names has nothing where nobody restored it.
        there.create_database(&named("beside_dump", &version)).await.unwrap();
        let beside = there.connect(&named("beside_dump", &version), SUPERUSER).await.unwrap();
        beside.batch_execute("create extension workos_auth").await.unwrap();
        assert_eq!(rights_of(&beside, &operator).await, rights_of(&beside, &by_hand).await);
    }
}

/// Whoever was signed in when the dump was made is, and somebody else signs in.
async fn goes_on(client: &Client, alice: &workos_end_to_end::Session) {
    get_user_of(client, &alice.access_token).await.unwrap();
    refresh(client, &alice.refresh_token).await.unwrap();
    sign_in(client, BOB).await;
    // What was given by hand is one, before and after.
    let errors =
        check(client).await.into_iter().filter(|row| row.severity == "error" && !row.finding.contains("by_hand"));
    assert_eq!(errors.collect::<Vec<_>>(), []);
    assert_eq!(lines(client, "select count(*) from pg_policies where policyname = 'own'").await.unwrap(), ["1"]);
}
