//! `examples/moving/move.sh` moves a whole project out of a database that is shaped like Supabase's.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, reader};
use workos_end_to_end::check::check;
use workos_end_to_end::sql::{lines, text};
use workos_end_to_end::supabase::{APPLICATION, SCHEMA, person};
use workos_testbed::Cluster;

const PAGE: &str = include_str!("../../../../../docs/moving-from-supabase.md");
const OPERATIONS: &str = include_str!("../../../../../docs/operations.md");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/moving/move.sh");

/// Functions that run with a superuser's rights for whoever calls them.
const OF_SUPERUSERS: &str =
    "select count(*) from pg_proc p join pg_roles r on r.oid = proowner join pg_namespace n on n.oid = pronamespace
    where prosecdef and rolsuper and nspname !~ '^(pg_.*|auth|information_schema)$'";

/// What somebody made of triggers on `auth.users`.
const TRIGGERS: &str = "select tgname, tgenabled, tgfoid::regprocedure, obj_description(oid, 'pg_trigger') from pg_trigger
    where tgrelid = 'auth.users'::regclass and not tgisinternal
        and tgfoid not in (select objid from pg_depend where classid = 'pg_proc'::regclass and deptype = 'e') order by tgname";

/// The old database, on the same cluster.
async fn old(bed: &Bed<'_>) -> (String, Client) {
    old_on(bed.cluster, &format!("{}_old", bed.database)).await
}

async fn old_on(cluster: &Cluster, name: &str) -> (String, Client) {
    cluster.create_database(name).await.unwrap();
    let client = cluster.connect(name, "postgres").await.unwrap();
    client.batch_execute(SCHEMA).await.unwrap();
    client.batch_execute(APPLICATION).await.unwrap();
    (name.to_owned(), client)
}

fn run(bed: &Bed<'_>, old: &str, arguments: &[&str]) -> Output {
    command((bed.cluster, old), (bed.cluster, &bed.database), arguments).output().unwrap()
}

fn command(old: (&Cluster, &str), new: (&Cluster, &str), arguments: &[&str]) -> Command {
    let url = |(cluster, database): (&Cluster, &str)| {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", cluster.port())
    };
    let mut command = Command::new(SCRIPT);
    command.args(["--from", &url(old), "--to", &url(new)]).args(arguments);
    command.env("PATH", format!("{}:{}", programs(new.0), std::env::var("PATH").unwrap_or_default()));
    command
}

/// Where the programs of the server's own version are.
fn programs(cluster: &Cluster) -> String {
    Path::new(cluster.command("psql").get_program()).parent().unwrap().display().to_string()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_moves_whole_and_its_people_sign_in() {
    let bed = Bed::shared("whole").await;
    let (name, before) = old(&bed).await;
    let alice = person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    let bob = person(&before, 2, "bob@globex.com", &[("email", "00000000-0000-4000-8000-000000000002", "")]).await;
    person(&before, 3, "nobody@nowhere.example", &[("google", "116485", "")]).await;
    before
        .batch_execute(&format!("insert into app.todos (owner, task) values ('{alice}', 'of Alice'), ('{bob}', 'of Bob'), ('{bob}', 'also of Bob')"))
        .await
        .unwrap();
    let definer = "create function public.counted() returns text language sql security definer
            as 'select current_user || '' '' || count(*) from profiles';
        create function app.as_caller() returns int language sql as 'select 1'";
    before.batch_execute(definer).await.unwrap();
    bed.admin
        .batch_execute("insert into auth.organizations values ('org_globex') on conflict do nothing; insert into auth.organization_domains values ('org_globex', 'globex.com')")
        .await
        .unwrap();

    let output = run(&bed, &name, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("3 people are here")
            && said(&output).contains("1 people are known by their address alone"),
        "{}",
        said(&output)
    );
    for sql in [
        "select count(*), count(distinct owner) from app.todos",
        "select count(*), string_agg(full_name, ',' order by full_name) from profiles",
        "select count(*) from pg_policies where schemaname in ('public', 'app')",
        "select has_table_privilege('authenticated', 'app.todos', 'insert'), has_table_privilege('anon', 'app.todos', 'select')",
        "select count(*) from pg_trigger where tgrelid = 'auth.users'::regclass and tgname = 'on_auth_user_created'",
        "select id, email, created_at from auth.users order by id",
    ] {
        assert_eq!(lines(&bed.admin, sql).await.unwrap(), lines(&before, sql).await.unwrap(), "{sql}");
    }
    assert_eq!(text(&bed.admin, "select to_regnamespace('workos_auth_moving')").await.unwrap(), None);
    // Nobody becomes a superuser by what was an ordinary role's.
    let counted = text(&bed.admin, "select counted()").await.unwrap().unwrap();
    assert_eq!(counted, bed.named("DATABASE_functions 3"));
    assert_eq!(bed.count(OF_SUPERUSERS).await, 0);

    // Alice came through WorkOS, Bob by a password: both sign in to their accounts, and see what is theirs.
    bed.admin.batch_execute(&bed.named("create role DATABASE_web login in role authenticated")).await.unwrap();
    for (who, id, tasks) in [(ALICE, &alice, "1"), (BOB, &bob, "2")] {
        let session = bed.sign_in(who).await;
        assert_eq!((session.user_id.to_string(), session.is_new_user), (id.clone(), false), "{who:?}");
        let client = reader(&bed, &bed.named("DATABASE_web"), &session).await;
        assert_eq!(text(&client, "select count(*) from app.todos").await.unwrap().as_deref(), Some(tasks), "{who:?}");
        assert_eq!(text(&client, "select count(*) from open_todos").await.unwrap().as_deref(), Some(tasks), "{who:?}");
        assert_eq!(text(&client, "select mail from profiles").await.unwrap().as_deref(), Some(who.email), "{who:?}");
    }
    // What the page says finds what it says.
    for block in PAGE.split("```sql\n").skip(1) {
        let statement = block.split("```").next().unwrap();
        bed.admin.batch_execute(statement).await.unwrap_or_else(|error| panic!("{statement}: {error:?}"));
    }
    // People again: whoever is here stays.
    let people = bed.contents().await;
    let output = run(&bed, &name, &["--people-only"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bed.contents().await, people);
}

#[tokio::test(flavor = "multi_thread")]
async fn people_who_cannot_be_moved_stop_the_schemas() {
    let bed = Bed::shared("stopped").await;
    let (name, before) = old(&bed).await;
    let both = person(
        &before,
        1,
        "alice@acme.com",
        &[("workos", "prof_alice", "org_acme"), ("workos", "prof_mallory", "org_globex")],
    )
    .await;
    person(&before, 2, "bob@globex.com", &[("workos", "prof_bob", "org_globex")]).await;
    let output = run(&bed, &name, &[]);
    assert!(
        !output.status.success() && said(&output).contains(&both) && said(&output).contains("org_acme, org_globex"),
        "{}",
        said(&output)
    );
    assert_eq!(text(&bed.admin, "select to_regnamespace('app')").await.unwrap(), None);
    assert_eq!(bed.count("select count(*) from auth.users").await, 1);
    // Somebody has looked: the account is Acme's.
    before.batch_execute("delete from auth.identities where provider_id = 'prof_mallory'").await.unwrap();
    let output = run(&bed, &name, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bed.count("select count(*) from auth.users").await, 2);
}

/// Schemas, roles, triggers and functions with names that mean something in SQL, in the patterns of `pg_dump`, in psql or in a shell. The old
/// database is on a cluster of its own, since roles are a cluster's.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_has_any_name_moves() {
    let bed = Bed::shared("names").await;
    let elsewhere = Cluster::start().unwrap();
    let (name, before) = old_on(&elsewhere, "old").await;
    person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    let schemas = [
        "Shop",
        "shop",
        "My App",
        "a,b",
        "star*",
        "what?",
        "dot.ted",
        "it's \"100%\"",
        "$$ $1 :DBNAME",
        "back\\slash",
        "Größe",
    ];
    for schema in schemas {
        let id = format!("\"{}\"", schema.replace('"', "\"\""));
        let sql = format!(
            "create schema {id}; create table {id}.\"Order\" (id int, \"Owner\" uuid references auth.users); insert into {id}.\"Order\" values (1), (2);
             create function {id}.\"Count\"() returns bigint language sql security definer as $_$ select count(*) from {id}.\"Order\" $_$"
        );
        before.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{schema}: {error:?}"));
    }
    // An extension in a schema that moves, and one that needs it. Each role is needed for another reason.
    let sql = r#"create extension cube with schema "My App"; create extension earthdistance with schema "My App";
        create role "DATABASE $$ it's" nologin; create role "DATABASE Giver" nologin; create role "DATABASE Typist" nologin; create role "DATABASE Owner" nologin;
        create type "Shop"."State" as enum ('new'); grant usage on type "Shop"."State" to "DATABASE Typist";
        create table "Shop".closed (); alter table "Shop".closed owner to "DATABASE Owner"; revoke all on "Shop".closed from "DATABASE Owner";
        grant usage on schema "Shop" to "DATABASE $$ it's", "DATABASE Giver"; grant select on "Shop"."Order" to "DATABASE Giver" with grant option;
        set session authorization "DATABASE Giver"; grant select on "Shop"."Order" to "DATABASE $$ it's"; reset session authorization;
        create function "Shop"."When it's $$"() returns trigger language plpgsql security definer as $_$ begin return new; end $_$;
        create function public."When it's $$"() returns trigger language plpgsql as $_$ begin raise 'another'; end $_$;
        create trigger "At :Once 100%" after insert on auth.users for each row when (new.email <> ':DBNAME') execute function "Shop"."When it's $$"('$$')"#;
    before.batch_execute(&bed.named(sql)).await.unwrap();
    // What is found without its schema there is not here.
    before.batch_execute(&format!("alter database {name} set search_path = \"Shop\", public")).await.unwrap();

    // The new database has an extension already.
    bed.admin
        .batch_execute("create schema extensions; create extension \"uuid-ossp\" with schema extensions")
        .await
        .unwrap();
    let output = command((&elsewhere, &name), (bed.cluster, &bed.database), &[]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(contents(&bed.admin).await, contents(&before).await);
    for sql in [
        "select nspname, proname, prosecdef from pg_proc join pg_namespace n on n.oid = pronamespace
            where nspname !~ '^(pg_.*|auth|information_schema)$' order by 1, 2, proargtypes",
        "select table_schema, table_name, grantor, grantee from information_schema.role_table_grants where grantee like '%it''s' order by 1, 2",
        "select extname, nspname from pg_extension join pg_namespace n on n.oid = extnamespace where extname <> 'workos_auth' order by 1",
        TRIGGERS,
    ] {
        assert_eq!(lines(&bed.admin, sql).await.unwrap(), lines(&before, sql).await.unwrap(), "{sql}");
    }
    assert_eq!(bed.count(OF_SUPERUSERS).await, 0);
    assert_eq!(text(&bed.admin, "select \"My App\".\"Count\"()").await.unwrap().as_deref(), Some("2"));
    // The trigger calls the function that it called.
    bed.sign_in(BOB).await;
}

/// The rows of all tables but the extension's and Postgres's own.
async fn contents(client: &Client) -> Vec<String> {
    let tables = "select format('%I.%I', table_schema, table_name) from information_schema.tables
        where table_type = 'BASE TABLE' and table_schema !~ '^(pg_.*|auth|information_schema)$' order by 1";
    let mut contents = Vec::new();
    for table in lines(client, tables).await.unwrap() {
        let rows = lines(client, &format!("select t::text from {table} as t order by 1")).await.unwrap();
        contents.push(format!("{table}: {rows:?}"));
    }
    contents
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_move_that_are_named_and_a_name_of_none_moves_nothing() {
    let bed = Bed::shared("named").await;
    let (name, before) = old(&bed).await;
    person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    before.batch_execute("create schema \"Shop\"; create table \"Shop\".orders (); create schema shop").await.unwrap();
    for nowhere in ["Shop,nowhere", "\"Shop\"", "Shop, app", ","] {
        let output = run(&bed, &name, &["--schemas", nowhere]);
        assert!(said(&output).contains("The old database has no schema '"), "{nowhere}: {}", said(&output));
        assert_eq!(output.status.code(), Some(1), "{nowhere}");
        assert_eq!(bed.count("select count(*) from auth.users").await, 0, "{nowhere}");
    }
    let output = run(&bed, &name, &["--schemas", "Shop,Shop"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains(
            "The trigger on_auth_user_created on auth.users stays behind: its function public.handle_new_user"
        ),
        "{}",
        said(&output)
    );
    let here = "select string_agg(nspname, ',') from pg_namespace where nspname in ('Shop', 'shop', 'app')";
    assert_eq!(text(&bed.admin, here).await.unwrap().as_deref(), Some("Shop"));
}

/// Everything behind people is one transaction: a second run finds what the first found.
#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_cannot_be_made_stops_the_schemas() {
    let bed = Bed::shared("unmade").await;
    let (name, before) = old(&bed).await;
    person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    let odd = "alter table auth.users add odd text; create role \"DATABASE_reader\"; grant select on app.todos to \"DATABASE_reader\";
        create trigger odd after update of odd on auth.users for each row execute function handle_new_user()";
    before.batch_execute(&bed.named(odd)).await.unwrap();
    let output = run(&bed, &name, &[]);
    assert!(
        !output.status.success()
            && said(&output).contains("column \"odd\"")
            && said(&output).contains("CREATE TRIGGER odd")
            && said(&output).contains("Nothing of the schemas was moved."),
        "{}",
        said(&output)
    );
    for (what, sql) in [
        ("schemas", "select count(*) from pg_namespace where nspname in ('app', 'extensions')"),
        (
            "functions and tables",
            "select (select count(*) from pg_proc where pronamespace = 'public'::regnamespace) + (select count(*) from pg_class where relnamespace = 'public'::regnamespace)",
        ),
        ("roles", "select count(*) from pg_roles where rolname = current_database() || '_functions'"),
        ("extensions", "select count(*) from pg_extension where extname = 'uuid-ossp'"),
    ] {
        assert_eq!(bed.count(sql).await, 0, "{what}");
    }
    assert_eq!(lines(&bed.admin, TRIGGERS).await.unwrap(), Vec::<String>::new());

    before.batch_execute("drop trigger odd on auth.users").await.unwrap();
    let output = run(&bed, &name, &[]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(bed.count(OF_SUPERUSERS).await, 0);
    assert_eq!(lines(&bed.admin, TRIGGERS).await.unwrap(), lines(&before, TRIGGERS).await.unwrap());
}

/// What has arrived of a dump is not taken for all of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_restore_that_breaks_off_moves_nothing() {
    let bed = Bed::shared("broken_off").await;
    let (name, before) = old(&bed).await;
    person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    let mut command = command((bed.cluster, &name), (bed.cluster, &bed.database), &[]);
    // Everything that the new database is to run arrives, and then pg_restore fails.
    let folder = tempfile::tempdir().unwrap();
    let fails = folder.path().join("pg_restore");
    let script = format!("#!/bin/sh\n{}/pg_restore \"$@\" || exit\n[ \"$1\" = --list ]\n", programs(bed.cluster));
    fs::write(&fails, script).unwrap();
    fs::set_permissions(&fails, Permissions::from_mode(0o755)).unwrap();
    command.env(
        "PATH",
        format!("{}:{}:{}", folder.path().display(), programs(bed.cluster), std::env::var("PATH").unwrap()),
    );
    let output = command.output().unwrap();
    assert!(
        !output.status.success() && said(&output).contains("Nothing of the schemas was moved."),
        "{}",
        said(&output)
    );
    assert_eq!(text(&bed.admin, "select to_regclass('profiles')").await.unwrap(), None);
    assert_eq!(text(&bed.admin, "select to_regnamespace('app')").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_fires_when_it_fired_and_check_says_of_it_what_the_page_says() {
    let bed = Bed::shared("firing").await;
    let (name, before) = old(&bed).await;
    person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    let triggers = "create function public.refuse() returns trigger language plpgsql as 'begin raise exception ''fires''; end';
        create trigger \"Off\" before insert on auth.users for each row execute function refuse();
        create trigger \"Replica\" before insert on auth.users for each row execute function refuse();
        create constraint trigger \"Always\" after delete on auth.users deferrable initially deferred for each row execute function refuse();
        alter table auth.users disable trigger \"Off\"; alter table auth.users enable replica trigger \"Replica\"; alter table auth.users enable always trigger \"Always\";
        comment on trigger \"Off\" on auth.users is 'it''s off';
        create trigger beside after insert on auth.identities for each row execute function refuse()";
    before.batch_execute(triggers).await.unwrap();
    let output = run(&bed, &name, &[]);
    assert!(output.status.success(), "{}", said(&output));
    let here = lines(&bed.admin, TRIGGERS).await.unwrap();
    assert_eq!((here.len(), &here), (4, &lines(&before, TRIGGERS).await.unwrap()));
    let beside = "The trigger beside on auth.identities stays behind: only those on auth.users are moved.";
    assert!(said(&output).contains(beside), "{}", said(&output));
    // What is off stays off.
    let session = bed.sign_in(BOB).await;
    assert_eq!(bed.count(&format!("select count(*) from profiles where id = '{}'", session.user_id)).await, 1);

    let findings = check(&bed.admin).await;
    let found: Vec<_> = findings.iter().filter(|row| row.object == "on_auth_user_created ON auth.users").collect();
    let [found] = &found[..] else { panic!("{findings:#?}") };
    let row = format!("| {} | `{}` | {} | `{}` |", found.severity, found.object, found.finding, found.remedy);
    assert!(PAGE.contains(&row), "{row}");
    // A dump has the function alone, and the other page has a query for the rest.
    let mut dump = bed.cluster.command("pg_dump");
    let dump = String::from_utf8(dump.arg(&bed.database).output().unwrap().stdout).unwrap();
    assert!(
        dump.contains("CREATE FUNCTION public.handle_new_user()")
            && !dump.contains("CREATE TRIGGER on_auth_user_created")
    );
    let query = OPERATIONS.split("```").find(|block| block.contains("pg_get_triggerdef")).unwrap();
    let printed = lines(&bed.admin, query.strip_prefix("sql\n").unwrap()).await.unwrap();
    assert!(
        printed.len() == 4
            && printed
                .iter()
                .any(|line| line.starts_with("CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users")),
        "{printed:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_the_extension_is_said_to_be_one() {
    let bed = Bed::shared("bare").await;
    let (name, before) = old(&bed).await;
    person(&before, 1, "alice@acme.com", &[("workos", "prof_alice", "org_acme")]).await;
    let bare = format!("{}_new", bed.database);
    bed.cluster.create_database(&bare).await.unwrap();
    for arguments in [&[][..], &["--people-only"]] {
        let output = command((bed.cluster, &name), (bed.cluster, &bare), arguments).output().unwrap();
        assert_eq!(
            said(&output),
            "The new database has no workos_auth. Run there: create extension workos_auth. Call auth.configure_workos, and run this again.\n"
        );
        assert_eq!(output.status.code(), Some(1));
    }
    let here = bed.cluster.connect(&bare, "postgres").await.unwrap();
    let made = "select count(*)::text from pg_class c join pg_namespace n on n.oid = relnamespace where nspname !~ '^(pg_.*|information_schema)$'";
    assert_eq!(text(&here, made).await.unwrap().as_deref(), Some("0"));
}
