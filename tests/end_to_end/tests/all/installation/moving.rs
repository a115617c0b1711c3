//! `examples/moving/move.sh` moves a whole project out of a database that is shaped like Supabase's.

use std::path::Path;
use std::process::{Command, Output};

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, reader};
use workos_end_to_end::sql::{lines, text};
use workos_end_to_end::supabase::{APPLICATION, SCHEMA, person};

const PAGE: &str = include_str!("../../../../../docs/moving-from-supabase.md");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/moving/move.sh");

/// The old database, on the same cluster.
async fn old(bed: &Bed<'_>) -> (String, Client) {
    let name = format!("{}_old", bed.database);
    bed.cluster.create_database(&name).await.unwrap();
    let client = bed.cluster.connect(&name, "postgres").await.unwrap();
    client.batch_execute(SCHEMA).await.unwrap();
    client.batch_execute(APPLICATION).await.unwrap();
    (name, client)
}

fn run(bed: &Bed<'_>, old: &str, arguments: &[&str]) -> Output {
    let url = |database: &str| format!("host=127.0.0.1 port={} user=postgres dbname={database}", bed.cluster.port());
    let mut command = Command::new(SCRIPT);
    command.args(["--from", &url(old), "--to", &url(&bed.database)]).args(arguments);
    // The programs of the server's own version.
    let psql = bed.cluster.command("psql");
    let programs = Path::new(psql.get_program()).parent().unwrap().display().to_string();
    command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()));
    command.output().unwrap()
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
    let of_superusers = "select count(*) from pg_proc p join pg_roles r on r.oid = proowner
        where prosecdef and rolsuper and pronamespace in ('public'::regnamespace, 'app'::regnamespace)";
    assert_eq!(bed.count(of_superusers).await, 0);

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
