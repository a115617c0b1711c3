//! ALTER EXTENSION UPDATE: what comes of it is what a new installation has, and whoever was signed in or had rights goes on.

use std::path::Path;
use std::process::Command;

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, ANNA, BOB, exchange, get_user_of, is_good, reader, refresh, sign_in, start};
use workos_end_to_end::catalog::{difference, of_the_extension};
use workos_end_to_end::check::check;
use workos_end_to_end::releases::{CURRENT, named, older};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Workos};

pub const UPDATE: &str = "alter extension workos_auth update";

/// What a role may do with the extension's objects, one line each.
pub async fn rights_of(client: &Client, role: &str) -> Vec<String> {
    let sql = format!(
        "select 'function ' || p.oid::regprocedure from pg_proc p where pronamespace = 'auth'::regnamespace
            and has_function_privilege('{role}', p.oid, 'execute');
         select 'table ' || c.oid::regclass || ' ' || privilege from pg_class c, unnest('{{SELECT,INSERT,UPDATE,DELETE,REFERENCES}}'::text[]) privilege
            where relnamespace = 'auth'::regnamespace and relkind in ('r', 'v') and has_table_privilege('{role}', c.oid, privilege);
         select 'column ' || c.oid::regclass || '.' || a.attname || ' ' || privilege
            from pg_class c join pg_attribute a on a.attrelid = c.oid, unnest('{{SELECT,UPDATE}}'::text[]) privilege
            where relnamespace = 'auth'::regnamespace and relkind = 'r' and attnum > 0 and has_column_privilege('{role}', c.oid, a.attnum, privilege)"
    );
    let mut all = lines(client, &sql).await.unwrap();
    all.sort();
    all
}

#[tokio::test]
async fn an_updated_database_is_as_a_new_one() {
    let cluster = Cluster::shared().unwrap();
    let fresh = named("fresh", CURRENT);
    cluster.create_database(&fresh).await.unwrap();
    let fresh = cluster.connect(&fresh, SUPERUSER).await.unwrap();
    fresh.batch_execute("create extension workos_auth").await.unwrap();
    let expected = of_the_extension(&fresh).await;
    assert!(expected.len() > 500, "{}", expected.len());
    for version in older() {
        // The default privileges of whoever runs the update change nothing either.
        for (n, before) in ["", "alter default privileges grant all on functions to public; alter default privileges grant all on tables to public"]
            .into_iter()
            .enumerate()
        {
            let name = named(&format!("updated_{n}"), &version);
            cluster.create_database(&name).await.unwrap();
            let client = cluster.connect(&name, SUPERUSER).await.unwrap();
            client.batch_execute(&format!("create extension workos_auth version '{version}'; {before}")).await.unwrap();
            let old = of_the_extension(&client).await;
            assert_ne!(difference(&expected, &old), Vec::<String>::new(), "{version} is as {CURRENT}");
            client.batch_execute(UPDATE).await.unwrap();
            let updated = of_the_extension(&client).await;
            assert_eq!(difference(&expected, &updated), Vec::<String>::new(), "{version}: {before}");
            // Once more there is nothing to do.
            client.batch_execute(UPDATE).await.unwrap();
            assert_eq!(of_the_extension(&client).await, updated);
        }
    }
}

/// Policies, views, sessions, tokens, a sign-in under way, prepared statements: all from before.
#[tokio::test]
async fn whoever_was_signed_in_goes_on() {
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("going_on", &version), Some(&version)).await;
        let (app, backend) = (bed.role("app", "").await, bed.backend().await);
        let (alice, bob) = (bed.sign_in(ALICE).await, bed.sign_in(BOB).await);
        let tables = format!(
            "create table notes (owner uuid references auth.users (id) on delete cascade, organization text, body text);
             insert into notes values ('{}', 'org_acme', 'alice'), ('{}', 'org_globex', 'bob');
             alter table notes enable row level security;
             create policy own on notes using (owner = auth.uid() and auth.has_role('admin', organization));
             create view who with (security_invoker) as select auth.uid() as id, auth.email() as email, auth.jwt() ->> 'org_id' as organization;
             create view codes as select * from auth.error_codes;
             grant select on notes, who, codes to {app}",
            alice.user_id, bob.user_id
        );
        bed.admin.batch_execute(&tables).await.unwrap();
        let open = reader(&bed, &app, &alice).await;
        let prepared = open.prepare("select body, auth.uid() from notes").await.unwrap();
        let pending = start(&backend, ANNA).await;
        let before = bed.contents().await;

        // In a connection of its own: one that has loaded the library before might have an older one.
        bed.superuser().await.batch_execute(UPDATE).await.unwrap();

        // There may be more tables, and none is gone.
        let after = bed.contents().await;
        let lost: Vec<_> = before.iter().filter(|(table, _)| after.iter().all(|(other, _)| other != table)).collect();
        assert!(lost.is_empty(), "{version}: {lost:?}");
        is_good(&open, &alice).await;
        let rows = open.query(&prepared, &[]).await.unwrap();
        assert_eq!(rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>(), ["alice"]);
        let who = format!("{}|alice@acme.com|org_acme", alice.user_id);
        assert_eq!(lines(&open, "select * from who").await.unwrap(), [who]);
        assert!(lines(&open, "select * from codes").await.unwrap().len() > 80);
        let refreshed = refresh(&backend, &bob.refresh_token).await.unwrap();
        let bobs = reader(&bed, &app, &refreshed).await;
        assert_eq!(lines(&bobs, "select body from notes").await.unwrap(), ["bob"]);
        get_user_of(&open, &alice.access_token).await.unwrap();
        exchange(&backend, &pending).await.unwrap();
        sign_in(&backend, BOB).await;
        open.execute("select auth.sign_out($1)", &[&alice.access_token]).await.unwrap();
        refused(open.batch_execute("select auth.uid()").await, "session_not_found");
    }
}

/// A bundle's holder gets what the update adds to the bundle. Who has only a part of it gets nothing. Rights given by hand stay.
#[tokio::test]
async fn rights_survive_and_grow_with_their_bundle() {
    for version in older() {
        let cluster = Cluster::shared().unwrap();
        let bed = Bed::of_version(cluster, &named("rights", &version), Some(&version)).await;
        let beside = Bed::of_version(cluster, &named("beside", &version), Some(&version)).await;
        let [backend, operator, less, by_hand, part, nobody] =
            ["backend", "operator", "less", "by_hand", "part", "nobody"];
        let mut roles = Vec::new();
        for role in [backend, operator, less, by_hand, part, nobody] {
            roles.push(bed.role(role, "").await);
        }
        let [backend, operator, less, by_hand, part, nobody] = &roles[..] else { unreachable!() };
        let grants = format!(
            "select auth.grant_sign_in('{backend}'); select auth.grant_admin('{operator}'); select auth.grant_admin('{less}');
             revoke execute on function auth.delete_user(uuid) from {less};
             grant execute on function auth.configure_workos to {part}; alter function auth.email() owner to current_user;
             grant references on auth.users to {by_hand}; grant execute on function auth.find_user(text, text) to {by_hand} with grant option;
             grant select (id) on auth.sessions to {by_hand}; grant usage on schema auth to {by_hand}"
        );
        bed.admin.batch_execute(&grants).await.unwrap();
        let mut before = Vec::new();
        for role in &roles {
            before.push(rights_of(&bed.admin, role).await);
        }
        bed.superuser().await.batch_execute(UPDATE).await.unwrap();
        beside.superuser().await.batch_execute(UPDATE).await.unwrap();

        for (role, before) in roles.iter().zip(&before) {
            let after = rights_of(&bed.admin, role).await;
            let lost: Vec<_> = before.iter().filter(|right| !after.contains(right)).collect();
            assert!(lost.is_empty(), "{version}: {role} lost {lost:?}");
        }
        for role in [less, part] {
            let had = &before[roles.iter().position(|other| other == role).unwrap()];
            let everybodys = rights_of(&bed.admin, nobody).await;
            let new = rights_of(&bed.admin, role).await;
            let is_given = |right: &String| right.starts_with("function ") || right.ends_with(" UPDATE");
            let new: Vec<_> = new
                .iter()
                .filter(|right| is_given(right) && !had.contains(right) && !everybodys.contains(right))
                .collect();
            assert!(new.is_empty(), "{version}: {role} got {new:?}");
        }
        let complete = format!(
            "select r.bundle, r.object from auth.rights() r, (values ('sign_in', '{backend}'), ('admin', '{operator}')) as h (bundle, role)
             where r.bundle = h.bundle and r.object like 'FUNCTION %' and not has_function_privilege(h.role, substr(r.object, 10), 'execute')"
        );
        assert_eq!(lines(&bed.admin, &complete).await.unwrap(), Vec::<String>::new());
        let notes = "column auth.redirect_urls.note UPDATE".to_owned();
        assert!(rights_of(&bed.admin, operator).await.contains(&notes), "{version}");
        let taken = format!("select has_function_privilege('{less}', 'auth.delete_user(uuid)', 'execute')");
        assert_eq!(text(&bed.admin, &taken).await.unwrap().as_deref(), Some("f"));
        // Who has the one bundle gets nothing of another, and in another database of the cluster nobody has anything.
        let everybody = rights_of(&bed.admin, nobody).await;
        for role in &roles {
            assert_eq!(rights_of(&beside.admin, role).await, rights_of(&beside.admin, nobody).await, "{role}");
        }
        assert!(!everybody.iter().any(|right| right.contains("auth.ban_user")));
        assert!(!rights_of(&bed.admin, backend).await.iter().any(|right| right.contains("auth.ban_user")));
        // Nobody's rights but those that were changed by hand are a finding.
        let about: Vec<_> = check(&bed.admin)
            .await
            .into_iter()
            .filter(|row| row.finding.contains(operator) || row.finding.contains(backend))
            .collect();
        assert!(about.is_empty(), "{about:?}");
    }
}

/// The update waits for whoever writes to a table only where the release changes the table.
#[tokio::test]
async fn tables_that_the_release_leaves_alone_are_not_locked() {
    /// What `sql/updates` and the list of rights change since the oldest release.
    const CHANGED: &[&str] = &[
        "auth.redirect_urls",
        "auth.organizations",
        "auth.organization_domains",
        "auth.organization_memberships",
        "auth.users",
        "auth.identities",
        "auth.sessions",
        "auth.signing_keys",
        "auth.providers",
        "auth.flow_states",
        "auth.data_keys",
        "auth.worker_status",
    ];
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("unlocked", &version), Some(&version)).await;
        let tables =
            "select c.oid::regclass from pg_class c where relnamespace = 'auth'::regnamespace and relkind = 'r'";
        let mut tables = lines(&bed.admin, tables).await.unwrap();
        tables.retain(|table| !CHANGED.contains(&table.as_str()));
        assert!(tables.len() >= 3, "{tables:?}");
        // It goes with reading, and with nothing else: not with VACUUM or CREATE INDEX either.
        bed.admin.batch_execute(&format!("begin; lock table {} in exclusive mode", tables.join(", "))).await.unwrap();
        bed.superuser().await.batch_execute(&format!("set lock_timeout = '1s'; {UPDATE}")).await.unwrap();
        bed.admin.batch_execute("rollback").await.unwrap();
    }
}

/// pg_upgrade makes the objects as they were: the library of the new server has the SQL of the old one until it is updated.
#[tokio::test]
async fn pg_upgrade_keeps_the_older_sql_until_it_is_updated() {
    for version in older() {
        let mut cluster = Cluster::start().unwrap();
        let workos = Workos::start().unwrap();
        cluster.create_database("moved").await.unwrap();
        let admin = workos.install_version(&cluster, "moved", Some(&version)).await.unwrap();
        admin.batch_execute("create role backend login; select auth.grant_sign_in('backend')").await.unwrap();
        let (alice, bob) = (sign_in(&admin, ALICE).await, sign_in(&admin, BOB).await);
        let before = rights_of(&admin, "backend").await;
        drop(admin);
        cluster.upgrade().await.unwrap();

        let backend = cluster.connect("moved", "backend").await.unwrap();
        assert_eq!(lines(&backend, "select * from auth.version()").await.unwrap(), [format!("{CURRENT}|{version}")]);
        let alice = refresh(&backend, &alice.refresh_token).await.unwrap();
        sign_in(&backend, ANNA).await;
        let admin = cluster.connect("moved", SUPERUSER).await.unwrap();
        admin.batch_execute(UPDATE).await.unwrap();
        assert_eq!(lines(&backend, "select * from auth.version()").await.unwrap(), [format!("{CURRENT}|{CURRENT}")]);
        get_user_of(&backend, &alice.access_token).await.unwrap();
        refresh(&backend, &bob.refresh_token).await.unwrap();
        let after = rights_of(&admin, "backend").await;
        assert!(before.iter().all(|right| after.contains(right)), "{before:?}\n{after:?}");
        let errors: Vec<_> = check(&admin).await.into_iter().filter(|row| row.severity == "error").collect();
        assert_eq!(errors, []);
    }
}

/// The script of `docs/upgrading.md`: it names the databases that have the extension, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn the_page_finds_the_databases_that_have_the_extension() {
    let cluster = Cluster::start().unwrap();
    let mut expected = Vec::new();
    for version in older().into_iter().chain([CURRENT.to_owned()]) {
        // A name that a shell would take apart.
        let database = format!("of {version}; $(false) '");
        let maintenance = cluster.connect("postgres", SUPERUSER).await.unwrap();
        maintenance.batch_execute(&format!("create database \"{database}\"")).await.unwrap();
        let client = cluster.connect(&database, SUPERUSER).await.unwrap();
        client.batch_execute(&format!("create extension workos_auth version '{version}'")).await.unwrap();
        expected.push(format!("{database}|{version}"));
    }
    cluster.create_database("without").await.unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/all/upgrades/databases.sh");
    let psql = cluster.command("psql");
    let programs = Path::new(psql.get_program()).parent().unwrap().display().to_string();
    let mut command = Command::new(script);
    command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()));
    command.env("PGHOST", cluster.socket_dir()).env("PGPORT", cluster.port().to_string()).env("PGUSER", SUPERUSER);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let mut found: Vec<&str> = std::str::from_utf8(&output.stdout).unwrap().lines().collect();
    found.sort_unstable();
    expected.sort();
    assert_eq!(found, expected);
}
