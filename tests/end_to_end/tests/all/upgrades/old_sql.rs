//! A library that is newer than the SQL: every installation between its package's update and ALTER EXTENSION.
//!
//! That people sign in, refresh and sign out there is tested by their own modules, which `make test-e2e` runs once more for each release.

use tokio_postgres::Client;
use workos_end_to_end::Bed;
use workos_end_to_end::bed::{ALICE, refresh};
use workos_end_to_end::check::check;
use workos_end_to_end::releases::{CURRENT, named, older, released};
use workos_end_to_end::sql::{lines, refused, text};
use workos_testbed::Cluster;

#[tokio::test]
async fn library_and_sql_say_their_versions() {
    for version in released() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("versions", &version), Some(&version)).await;
        let anybody = bed.connect(&bed.role("anybody", "").await).await;
        let said = lines(&anybody, "select library, sql from auth.version()").await.unwrap();
        assert_eq!(said, [format!("{CURRENT}|{version}")]);
    }
}

/// What auth.check() says of versions.
async fn findings(client: &Client) -> Vec<(String, String, String)> {
    let all = check(client).await.into_iter().filter(|row| row.object == "workos_auth");
    all.map(|row| (row.severity, row.finding, row.remedy)).collect()
}

#[tokio::test]
async fn check_names_the_update_and_the_package() {
    let bed = Bed::shared("differing").await;
    assert_eq!(findings(&bed.admin).await, []);
    // As after an update of the package, and before one of the SQL.
    for (sql, severity, finding, remedy) in [
        (
            "0.0.9",
            "warning",
            format!("The library is {CURRENT}, and this database still has the SQL of 0.0.9"),
            "ALTER EXTENSION workos_auth UPDATE;",
        ),
        (
            "0.3.10",
            "error",
            format!("This database has the SQL of 0.3.10, and the library is {CURRENT}"),
            "Install the package of workos_auth 0.3.10 or newer",
        ),
        (
            "10.0.0",
            "error",
            format!("This database has the SQL of 10.0.0, and the library is {CURRENT}"),
            "Install the package of workos_auth 10.0.0 or newer",
        ),
    ] {
        let fake = format!("update pg_extension set extversion = '{sql}' where extname = 'workos_auth'");
        bed.admin.batch_execute(&fake).await.unwrap();
        let found = findings(&bed.admin).await;
        assert_eq!(found.len(), 1, "{sql}: {found:?}");
        assert_eq!(found[0].0, severity, "{sql}");
        assert!(found[0].1.contains(&finding) && found[0].2.contains(remedy), "{sql}: {found:?}");
    }
    bed.admin
        .batch_execute(&format!("update pg_extension set extversion = '{CURRENT}' where extname = 'workos_auth'"))
        .await
        .unwrap();
    assert_eq!(findings(&bed.admin).await, []);
}

#[tokio::test]
async fn the_remedy_of_check_updates() {
    for version in older() {
        let bed = Bed::of_version(Cluster::shared().unwrap(), &named("remedied", &version), Some(&version)).await;
        let found = findings(&bed.admin).await;
        assert_eq!(found.len(), 1, "{version}: {found:?}");
        bed.superuser().await.batch_execute(&found[0].2).await.unwrap();
        assert_eq!(findings(&bed.admin).await, []);
        let said = text(&bed.admin, "select sql from auth.version()").await.unwrap();
        assert_eq!(said.as_deref(), Some(CURRENT));
    }
}

/// What the library scans and does not find is told, with the way out; nothing is written.
#[tokio::test]
async fn a_column_that_is_not_there_yet_names_the_update() {
    let bed = Bed::shared("lacking").await;
    let session = bed.sign_in(ALICE).await;
    let reader = bed.connect(&bed.role("reader", "").await).await;
    reader.execute("select auth.set_session($1, false)", &[&session.access_token]).await.unwrap();
    for (table, column, call) in [
        ("sessions", "claims_version", "select auth.uid()"),
        ("signing_keys", "public_key", "select auth.jwks()"),
        (
            "redirect_urls",
            "pattern",
            "select auth.start_sign_in(organization => 'org_acme', redirect_to => 'https://other.test/')",
        ),
    ] {
        let rename = |from: &str, to: &str| format!("alter table auth.{table} rename column {from} to {to}");
        bed.admin.batch_execute(&rename(column, "as_it_was")).await.unwrap();
        let before = bed.contents().await;
        let client = if table == "sessions" { &reader } else { &bed.admin };
        let error = refused(client.batch_execute(call).await, "extension_outdated");
        assert_eq!(error.detail, format!("The table {table} has no column {column}."));
        assert!(error.hint.contains("ALTER EXTENSION workos_auth UPDATE"), "{error}");
        assert_eq!(bed.contents().await, before);
        bed.admin.batch_execute(&rename("as_it_was", column)).await.unwrap();
        client.batch_execute(&call.replace(", redirect_to => 'https://other.test/'", "")).await.unwrap();
    }
    refresh(&bed.admin, &session.refresh_token).await.unwrap();
}

/// Arguments that nobody sends, by type; NULL for every other.
fn hostile(of_type: &str) -> &'static [&'static str] {
    match of_type {
        "text" | "name" => &["''", "repeat('x', 300000)", r"E'\x01\u2028'", "'../../x'", "'null'"],
        "jsonb" => &["'null'", "'[]'", "'{\"id\": [1e400]}'", "'\"x\"'", "'{}'"],
        "uuid" => &["'00000000-0000-0000-0000-000000000000'"],
        "integer" => &["-2147483648", "2147483647", "0"],
        "bigint" => &["-9223372036854775808", "9223372036854775807"],
        "oid" | "regrole" => &["0", "4294967295"],
        "interval" => &["'-178000000 years'", "'178000000 years'", "'0'"],
        "timestamp with time zone" => &["'-infinity'", "'infinity'"],
        "inet" => &["'::/0'"],
        "boolean" => &["true", "false"],
        _ => &[],
    }
}

#[tokio::test]
async fn no_argument_ends_the_server() {
    for version in released() {
        let cluster = Cluster::start().unwrap();
        let bed = Bed::of_version(&cluster, "hostile", Some(&version)).await;
        bed.sign_in(ALICE).await;
        let sql = "select format('auth.%I', p.proname), coalesce(string_agg(format_type(t, null), '|' order by at), '')
            from pg_proc p left join unnest(p.proargtypes) with ordinality as a (t, at) on true
            where pronamespace = 'auth'::regnamespace and not 'internal'::regtype = any (p.proargtypes) group by p.oid order by 1, 2";
        let functions = bed.admin.query(sql, &[]).await.unwrap();
        assert!(functions.len() > 100);
        let postmaster = cluster.pid();
        let mut calls = 0;
        for row in functions {
            let (name, types): (String, String) = (row.get(0), row.get(1));
            let types: Vec<&str> = types.split('|').filter(|of_type| !of_type.is_empty()).collect();
            let most = types.iter().map(|of_type| hostile(of_type).len()).max().unwrap_or(0);
            for n in 0..=most {
                let argument = |of_type: &&str| match n.checked_sub(1).and_then(|n| hostile(of_type).get(n)) {
                    Some(value) => format!("{value}::{of_type}"),
                    None => format!("null::{of_type}"),
                };
                let call = format!("select {name}({})", types.iter().map(argument).collect::<Vec<_>>().join(", "));
                let client = bed.superuser().await;
                let result = client.batch_execute(&format!("set statement_timeout = '20s'; {call}")).await;
                let short: String = call.chars().take(200).collect();
                if let Err(error) = result {
                    let error = error
                        .as_db_error()
                        .unwrap_or_else(|| panic!("{version}: {short}: the connection is gone: {error}"));
                    assert!(
                        !error.message().contains("unboxing") && !error.message().contains("panic"),
                        "{version}: {short}: {error:?}"
                    );
                }
                calls += 1;
            }
        }
        assert!(calls > 300, "{calls}");
        assert_eq!(cluster.pid(), postmaster);
        let log = cluster.log().unwrap();
        assert!(!log.contains("terminated by signal") && !log.contains("all server processes terminated"), "{version}");
    }
}
