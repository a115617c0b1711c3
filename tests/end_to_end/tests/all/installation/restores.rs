//! A dump of a database in which people are signed in arrives whole, however it is restored, and they stay signed in.

use std::path::PathBuf;
use std::process::Output;
use std::sync::LazyLock;

use tokio::sync::OnceCell;
use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, BOB, GINA, exchange, get_user_of, refresh, sign_in, start};
use workos_end_to_end::check::check;
use workos_end_to_end::dumps::{bring_root_key, run};
use workos_end_to_end::sql::{lines, refused, refused_as, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// Another server, on which nothing was ever signed. It may be a newer one.
static ELSEWHERE: LazyLock<Cluster> = LazyLock::new(|| Cluster::start_newer().unwrap());

/// The same with the root key of this one.
async fn elsewhere(from: &Cluster) -> &'static Cluster {
    static BROUGHT: OnceCell<()> = OnceCell::const_new();
    BROUGHT.get_or_init(|| bring_root_key(from, &ELSEWHERE)).await;
    &ELSEWHERE
}

/// Enough people that `pg_restore -j` has several tables under way, and what an application has beside them.
const FILL: &str = "
    insert into auth.users (email) select 'person' || i || '@acme.test' from generate_series(1, 3000) i;
    insert into auth.identities (user_id, provider, provider_id, connection_id, identity_data)
        select id, 'sso:conn_acme', 'prof_' || id, 'conn_acme', jsonb_build_object('email', email) from auth.users where email like 'person%';
    insert into auth.organization_memberships (organization_id, user_id)
        select o.id, u.id from auth.organizations o, auth.users u where u.email like 'person%';
    insert into auth.sessions (id, user_id, identity_id, organization_id)
        select gen_random_uuid(), i.user_id, i.id, o.id from auth.identities i, auth.organizations o where i.email like 'person%';
    insert into auth.organization_domains (organization_id, domain) select id, 'acme.test' from auth.organizations limit 1;
    insert into auth.redirect_urls (pattern) values ('https://app.test/**');
    create function public.token_hook(event jsonb) returns jsonb language sql as
        $$ select jsonb_build_object('claims', event -> 'claims') $$;
    alter function public.token_hook owner to HOOKS;
    insert into auth.hooks (event, function) values ('token', 'public.token_hook');
    create table public.notes (owner uuid references auth.users (id) on delete cascade, body text);
    alter table public.notes enable row level security;
    create policy own on public.notes using (owner = auth.uid());
    insert into public.notes select id, 'a note' from auth.users";

/// A line a table: how many rows, and a hash of all that is in them. What a restore itself changes is where the installation lives.
async fn contents(client: &Client) -> Vec<String> {
    let tables = "select c::regclass from pg_extension, unnest(extconfig) as c where extname = 'workos_auth'
        and c <> 'auth.installation'::regclass
        union all select c.oid::regclass from pg_class as c where c.oid = to_regclass('public.notes') order by 1";
    let mut all = Vec::new();
    for table in lines(client, tables).await.unwrap() {
        let sql = format!(
            "select '{table}', count(*), md5(coalesce(string_agg(t::text, ',' order by t::text), '')) from {table} t"
        );
        all.extend(lines(client, &sql).await.unwrap());
    }
    all
}

/// How a dump is made, and what restores it, one call after another.
struct Way {
    name: &'static str,
    format: &'static str,
    /// Options of `pg_restore`; of `psql` for a plain dump.
    calls: &'static [&'static [&'static str]],
    /// Run in the new database before the first.
    before: &'static str,
}

const WAYS: &[Way] = &[
    Way { name: "plain", format: "plain", calls: &[&[]], before: "" },
    Way { name: "plain_at_once", format: "plain", calls: &[&["--single-transaction"]], before: "" },
    Way { name: "custom", format: "custom", calls: &[&[]], before: "" },
    Way { name: "custom_at_once", format: "custom", calls: &[&["--single-transaction"]], before: "" },
    Way { name: "custom_4_jobs", format: "custom", calls: &[&["--jobs=4"]], before: "" },
    Way { name: "directory_4_jobs", format: "directory", calls: &[&["--jobs=4"]], before: "" },
    Way {
        name: "sections",
        format: "directory",
        calls: &[&["--section=pre-data"], &["--section=data", "--jobs=4"], &["--section=post-data", "--jobs=4"]],
        before: "",
    },
    // The application's foreign keys are Postgres's own matter: they are there before the data too.
    Way {
        name: "schema_then_data",
        format: "custom",
        calls: &[
            &["--schema-only"],
            &["--data-only", "--schema=auth", "--jobs=8"],
            &["--data-only", "--schema=public"],
        ],
        before: "",
    },
    Way {
        name: "over_installed",
        format: "custom",
        calls: &[&["--clean", "--if-exists", "--jobs=4"]],
        before: "create extension workos_auth",
    },
    Way {
        name: "triggers_disabled",
        format: "custom",
        calls: &[&["--schema-only"], &["--data-only", "--disable-triggers", "--jobs=4"]],
        before: "",
    },
];

fn dump(bed: &Bed<'_>, format: &str) -> PathBuf {
    let file = bed.cluster.root_key_path().with_file_name(format!("{}.{format}", bed.database));
    if !file.exists() {
        let mut command = bed.cluster.command("pg_dump");
        command.args(["--format", format, "--file"]).arg(&file).arg(&bed.database);
        run(command);
    }
    file
}

fn restore(database: &str, file: &PathBuf, format: &str, options: &[&str]) {
    let program = if format == "plain" { "psql" } else { "pg_restore" };
    let mut command = ELSEWHERE.command(program);
    match program {
        "psql" => command.args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file"]).arg(file),
        _ => command.arg("--exit-on-error").arg(file),
    };
    command.args(options).arg(format!("--dbname={database}"));
    run(command);
}

#[tokio::test]
async fn every_row_arrives_however_a_dump_is_restored() {
    let bed = Bed::shared("restored_from").await;
    let alice = bed.sign_in(ALICE).await;
    bed.sign_in(BOB).await;
    let hooks = bed.role("hooks", "").await;
    bed.admin.batch_execute(&FILL.replace("HOOKS", &hooks)).await.unwrap();
    let there = elsewhere(bed.cluster).await.connect("postgres", SUPERUSER).await.unwrap();
    there.batch_execute(&format!("create role {hooks}")).await.unwrap();
    let expected = contents(&bed.admin).await;
    assert!(expected.iter().any(|line| line.starts_with("auth.sessions|") && !line.contains("|0|")), "{expected:?}");
    for way in WAYS {
        let name = way.name;
        ELSEWHERE.create_database(name).await.unwrap();
        let client = ELSEWHERE.connect(name, SUPERUSER).await.unwrap();
        client.batch_execute(way.before).await.unwrap();
        let file = dump(&bed, way.format);
        for options in way.calls {
            restore(name, &file, way.format, options);
        }
        let arrived = contents(&client).await;
        assert_eq!(arrived, expected, "{name}");
        // Whoever was signed in is, and somebody else signs in.
        let refreshed =
            refresh(&client, &alice.refresh_token).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        get_user_of(&client, &alice.access_token).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        get_user_of(&client, &refreshed.access_token).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        sign_in(&client, GINA).await;
        let findings = check(&client).await;
        assert!(!findings.iter().any(|row| row.finding.contains("not in auth.users")), "{name}: {findings:?}");
        // Everything that a restore passes by is back.
        let nobody = "insert into auth.sessions (id, user_id) values (gen_random_uuid(), gen_random_uuid())";
        refused_as(client.batch_execute(nobody).await, "23503");
        let role = text(&client, "select current_setting('session_replication_role')").await.unwrap();
        assert_eq!(role.as_deref(), Some("origin"), "{name}");
        drop(client);
    }
}

/// Rules for new rows may have become stricter since a row was written. One row that is refused would take the whole table with it.
#[tokio::test]
async fn what_would_be_refused_today_arrives() {
    let bed = Bed::shared("restored_rules").await;
    bed.sign_in(ALICE).await;
    let superuser = bed.superuser().await;
    superuser
        .batch_execute(
            "set session_replication_role = replica;
             insert into auth.redirect_urls (pattern) values ('exp://**'), ('localhost:*'), ('https://*.co.uk/**'), ('https://app.test/**');
             insert into auth.organization_domains (organization_id, domain) select id, d from auth.organizations, unnest('{no_domain,acme.test}'::text[]) as d",
        )
        .await
        .unwrap();
    let expected = contents(&bed.admin).await;
    for (name, format) in [("rules_plain", "plain"), ("rules_custom", "custom")] {
        let there = elsewhere(bed.cluster).await;
        there.create_database(name).await.unwrap();
        restore(name, &dump(&bed, format), format, &[]);
        let client = there.connect(name, SUPERUSER).await.unwrap();
        assert_eq!(contents(&client).await, expected, "{name}");
        let start = "select auth.start_sign_in(organization => 'org_acme', redirect_to => 'exp://anything.test/page')";
        client.batch_execute(start).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        // Nobody adds one, also by a COPY that is no restore's.
        let file = there.root_key_path().with_file_name(format!("{name}.copy"));
        let write = |pattern: &str| format!("copy (select '{pattern}') to '{}'", file.display());
        let copy = format!("copy auth.redirect_urls (pattern) from '{}'", file.display());
        client.batch_execute(&write("exp://*.test/**")).await.unwrap();
        let insert = "insert into auth.redirect_urls (pattern) values ('exp://*.test/**')";
        for sql in [copy.as_str(), insert] {
            refused(client.batch_execute(sql).await, "redirect_pattern_unsafe");
        }
        refused(
            client.batch_execute("update auth.redirect_urls set pattern = 'exp://*'").await,
            "redirect_pattern_unsafe",
        );
        // Nor does a restore bring what was never taken: with one such row, every sign-in with a redirect_to would fail.
        client.batch_execute(&write("https://*")).await.unwrap();
        client.batch_execute("set row_security = off").await.unwrap();
        refused(client.batch_execute(&copy).await, "redirect_pattern_unsafe");
        assert_eq!(contents(&client).await, expected, "{name}");
    }
}

/// A hook may be what keeps people out. So it is there after a restore, and nobody signs in past it, also where its function did not arrive as
/// it was.
#[tokio::test]
async fn a_hook_that_keeps_people_out_does_so_after_a_restore() {
    const HOOKS: &str = "select event, function, function_owner from auth.hooks";
    let bed = Bed::shared("restored_hook").await;
    bed.sign_in(ALICE).await;
    let owner = bed.role("gatekeeper", "").await;
    let create = "create function public.gate(jsonb) returns jsonb language sql as
        $$ select '{\"error\": {\"message\": \"The gate is shut.\"}}'::jsonb $$";
    let own = format!("alter function public.gate owner to {owner}");
    let insert = "insert into auth.hooks (event, function) values ('token', 'public.gate(jsonb)')";
    bed.admin.batch_execute(&format!("{create}; {own}; {insert}")).await.unwrap();
    let expected = lines(&bed.admin, HOOKS).await.unwrap();
    assert_eq!(expected, [format!("token|public.gate(jsonb)|{owner}")]);
    let file = dump(&bed, "custom");
    let only_auth: &[&str] = &["--data-only", "--schema=auth"];
    for (name, before, options, finding, mend) in [
        ("hook_of_a_missing_role", "", &[][..], "belongs to postgres now", ""),
        ("hook_without_owners", "", &["--no-owner"][..], "belongs to postgres now", ""),
        ("hook_without_function", "create extension workos_auth", only_auth, "is not there", create),
    ] {
        let there = elsewhere(bed.cluster).await;
        there.create_database(name).await.unwrap();
        let client = there.connect(name, SUPERUSER).await.unwrap();
        client.batch_execute(before).await.unwrap();
        // Of the missing role it says that, and goes on.
        let mut command = there.command("pg_restore");
        let Output { stderr, .. } = command.arg(&file).args(options).arg(format!("--dbname={name}")).output().unwrap();
        let said = String::from_utf8_lossy(&stderr);
        assert!(!said.contains("COPY failed"), "{name}: {said}");
        assert_eq!(lines(&client, HOOKS).await.unwrap(), expected, "{name}: {said}");
        refused(exchange(&client, &start(&client, ALICE).await).await, "hook_failed");
        let of_hooks = async || {
            let mut findings = check(&client).await;
            findings.retain(|row| row.object == "auth.hooks");
            findings
        };
        let found = of_hooks().await;
        assert!(found.len() == 1 && found[0].finding.contains(finding), "{name}: {found:?}");
        // What is run without a look opens no gate.
        client.batch_execute(&found[0].remedy).await.unwrap();
        assert_eq!(lines(&client, HOOKS).await.unwrap(), expected, "{name}");

        client.batch_execute(&format!("create role {owner}; {mend}; {own}")).await.unwrap();
        let refusal = refused(exchange(&client, &start(&client, ALICE).await).await, "hook_refused");
        assert!(refusal.detail.contains("The gate is shut."), "{name}: {refusal}");
        assert_eq!(of_hooks().await, [], "{name}");
        client.batch_execute(&format!("drop function public.gate; drop role {owner}")).await.unwrap();
        refused(client.batch_execute(&format!("{insert} on conflict (event) do nothing")).await, "hook_invalid");
    }
}

/// Only what a dump does passes by the foreign keys: a superuser's own COPY and INSERT do not, nor do they after a restore's.
#[tokio::test]
async fn foreign_keys_bind_everybody_else() {
    let bed = Bed::shared("restored_beside").await;
    let superuser = bed.superuser().await;
    let file = bed.cluster.root_key_path().with_file_name("session.copy");
    let nobody = "select gen_random_uuid() as id, gen_random_uuid() as user_id";
    superuser.batch_execute(&format!("copy ({nobody}) to '{}'", file.display())).await.unwrap();
    let copy = format!("copy auth.sessions (id, user_id) from '{}'", file.display());
    let insert = format!("insert into auth.sessions (id, user_id) {nobody}");
    refused_as(superuser.batch_execute(&copy).await, "23503");
    superuser.batch_execute("set row_security = off").await.unwrap();
    refused_as(superuser.batch_execute(&insert).await, "23503");
    // An error in it leaves nothing switched off.
    let broken = format!("copy auth.sessions (id, user_id) from '{}' (delimiter '-')", file.display());
    refused_as(superuser.batch_execute(&broken).await, "22P04");
    refused_as(superuser.batch_execute(&insert).await, "23503");

    superuser.batch_execute(&copy).await.unwrap();
    refused_as(superuser.batch_execute(&insert).await, "23503");
    let findings = check(&superuser).await;
    let nobodys: Vec<_> = findings.iter().filter(|row| row.finding.contains("not in auth.users: 1.")).collect();
    assert_eq!(nobodys.len(), 1, "{findings:?}");
    superuser.batch_execute(&nobodys[0].remedy).await.unwrap();
    assert_eq!(bed.count("select count(*) from auth.sessions").await, 0);
    // Nor does it serve who is no superuser, whatever they may write.
    let copier = bed.role("copier", "bypassrls").await;
    let grants = format!(
        "grant pg_read_server_files to {copier}; grant usage on schema auth to {copier}; grant insert on auth.sessions to {copier}"
    );
    superuser.batch_execute(&grants).await.unwrap();
    let copier = bed.connect(&copier).await;
    copier.batch_execute("set row_security = off").await.unwrap();
    refused_as(copier.batch_execute(&copy).await, "23503");
}
