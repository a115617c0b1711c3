//! The comparison of an updated database with a new one finds the mistakes that update scripts have: they are planted here, in a version that
//! nobody releases.

use std::fs;

use workos_end_to_end::catalog::{difference, of_the_extension};
use workos_end_to_end::releases::{CURRENT, broken, folder, promises};
use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, ServerCopy};

/// What the version adds: a function that stands on no list, and a column.
const ADDED: &str = "
CREATE FUNCTION auth.planted() RETURNS integer LANGUAGE sql AS 'SELECT 1';
COMMENT ON FUNCTION auth.planted() IS 'planted by a test';
";
const COLUMN: &str = "ALTER TABLE auth.redirect_urls ADD COLUMN planted text;\n";

/// The lines that keep what `auth.rights()` says and what the extension consists of, as tools/extension-files.sh writes them.
const BEFORE: &str = "DO $before$ BEGIN PERFORM pg_catalog.set_config('workos_auth_update.rights',
    (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r))::text FROM auth.rights() AS r), true);
    PERFORM pg_catalog.set_config('workos_auth_update.members', (SELECT pg_catalog.array_agg(d.objid)::text
        FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE e.extname = 'workos_auth' AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'), true); END $before$;\n";

#[tokio::test]
async fn mistakes_of_an_update_script_are_found() {
    let copy = ServerCopy::new().unwrap();
    let current = copy.script(&format!("workos_auth--{CURRENT}.sql")).unwrap();
    let epilogue = fs::read_to_string(folder().join("../99_epilogue.sql")).unwrap();
    let rest = current.strip_suffix(epilogue.as_str()).unwrap();
    let script = |name: &str, text: &str| copy.put_script(&format!("workos_auth--{name}.sql"), text).unwrap();
    script("99.0.0", &format!("{rest}{ADDED}{COLUMN}{epilogue}"));
    let epilogue = epilogue.replace("'CREATE FUNCTION ", "'CREATE OR REPLACE FUNCTION ");

    let owner = "ALTER FUNCTION auth.planted() OWNER TO workos_auth_owner;\n";
    let revoke = "REVOKE ALL ON FUNCTION auth.planted() FROM PUBLIC;\n";
    let right = format!("{BEFORE}{ADDED}{COLUMN}{epilogue}");
    // Without the epilogue, by hand.
    let by_hand = format!("{BEFORE}{COLUMN}{ADDED}");
    let cases = [
        ("right", right.clone(), None),
        ("no owner line", format!("{by_hand}{revoke}"), Some("auth.planted()|SELECT 1")),
        ("no REVOKE", format!("{by_hand}{owner}"), Some("auth.planted()|SELECT 1")),
        (
            "a dropped function",
            right.replacen(ADDED, &format!("{ADDED}DROP FUNCTION auth.connection_id();\n"), 1),
            Some("connection_id()"),
        ),
        (
            "a renamed column",
            right.replacen(COLUMN, &format!("{COLUMN}ALTER TABLE auth.users RENAME COLUMN phone TO telephone;\n"), 1),
            Some("auth.users|7|"),
        ),
        ("a forgotten column", right.replacen(COLUMN, "", 1), Some("planted")),
        (
            "a table that is open",
            format!("{BEFORE}CREATE TABLE auth.open (id integer);\n{ADDED}{COLUMN}"),
            Some("open"),
        ),
    ];
    for (n, (_, text, _)) in cases.iter().enumerate() {
        script(&format!("{CURRENT}--99.0.{}", n + 1), text);
        script(&format!("99.0.{}--99.0.0", n + 1), "SELECT 1;");
    }

    let cluster = Cluster::start_from(&copy, &[]).unwrap();
    cluster.create_database("fresh").await.unwrap();
    let fresh = cluster.connect("fresh", SUPERUSER).await.unwrap();
    fresh.batch_execute("create extension workos_auth version '99.0.0'").await.unwrap();
    let expected = of_the_extension(&fresh).await;
    for (n, (mistake, _, found)) in cases.iter().enumerate() {
        let database = format!("updated_{n}");
        cluster.create_database(&database).await.unwrap();
        let client = cluster.connect(&database, SUPERUSER).await.unwrap();
        client.batch_execute(&format!("create extension workos_auth version '{CURRENT}'")).await.unwrap();
        let promised = promises(&client).await;
        for update in [format!("99.0.{}", n + 1), "99.0.0".to_owned()] {
            client
                .batch_execute(&format!("alter extension workos_auth update to '{update}'"))
                .await
                .unwrap_or_else(|error| panic!("{mistake}: {error:?}"));
        }
        let difference = difference(&expected, &of_the_extension(&client).await);
        match found {
            None => assert_eq!(difference, Vec::<String>::new(), "{mistake}"),
            Some(part) => {
                assert!(difference.iter().any(|line| line.contains(part)), "{mistake} is not found: {difference:#?}")
            }
        }
        // What takes something away breaks a promise besides.
        let broken = broken(&promised, &promises(&client).await);
        let expected: &[&str] = match *mistake {
            "a dropped function" => &["function auth.connection_id()", "symbol workos_auth_connection_id"],
            "a renamed column" => &["column auth.users.phone"],
            _ => &[],
        };
        assert_eq!(broken.len(), expected.len(), "{mistake}: {broken:?}");
        for (line, part) in broken.iter().zip(expected) {
            assert!(line.starts_with(part), "{mistake}: {broken:?}");
        }
    }
}
