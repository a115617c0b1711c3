//! What was released stays: its scripts to the byte, and what applications, dumps and grants name in every later version.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use tokio_postgres::Client;
use workos_end_to_end::releases::{CURRENT, broken, folder, named, older, promises, released};
use workos_end_to_end::sql::lines;
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

/// A database with nothing but the SQL of a version.
async fn with_sql_of(version: &str) -> Client {
    let cluster = Cluster::shared().unwrap();
    let database = named("released", version);
    cluster.create_database(&database).await.unwrap();
    let client = cluster.connect(&database, SUPERUSER).await.unwrap();
    client.batch_execute(&format!("create extension workos_auth version '{version}'")).await.unwrap();
    client
}

#[test]
fn a_released_script_is_never_changed() {
    let sums = fs::read_to_string(folder().join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<&str> = sums.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let there = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let there: BTreeSet<String> = there.filter(|name| name.ends_with(".sql")).collect();
    assert!(!there.is_empty());
    assert_eq!(
        there,
        listed.iter().map(|name| (*name).to_owned()).collect(),
        "tools/release-sql.sh lists what it adds"
    );
    let output = Command::new("sha256sum").args(["--check", "SHA256SUMS"]).current_dir(folder()).output().unwrap();
    assert!(output.status.success(), "a released script was changed: {}", String::from_utf8_lossy(&output.stdout));
}

/// Every release has its install script, and there is a way from it to the current version.
#[tokio::test]
async fn every_release_is_installed_and_leads_to_the_current_version() {
    let client = Cluster::shared().unwrap().connect("postgres", SUPERUSER).await.unwrap();
    let available = "select version from pg_available_extension_versions where name = 'workos_auth'";
    let available = lines(&client, available).await.unwrap();
    assert!(available.contains(&CURRENT.to_owned()), "{available:?}");
    for version in released() {
        assert!(available.contains(&version), "{version}: {available:?}");
    }
    for version in older() {
        let path = format!(
            "select path from pg_extension_update_paths('workos_auth') where source = '{version}' and target = '{CURRENT}' and path is not null"
        );
        assert_eq!(lines(&client, &path).await.unwrap().len(), 1, "there is no way from {version} to {CURRENT}");
    }
}

/// No function, argument, column or right is taken away, and no symbol of the library changes what it is called with.
#[tokio::test]
async fn later_versions_keep_what_earlier_ones_promised() {
    let mut versions = Vec::new();
    for version in older().into_iter().chain([CURRENT.to_owned()]) {
        let promised = promises(&with_sql_of(&version).await).await;
        versions.push((version, promised));
    }
    for pair in versions.windows(2) {
        let ((earlier, promised), (later, kept)) = (&pair[0], &pair[1]);
        assert!(promised.len() > 300, "{earlier}: {}", promised.len());
        assert_eq!(broken(promised, kept), Vec::<String>::new(), "{later} breaks what {earlier} promised");
    }
    // A symbol that only an old release names is called as that one declares it.
    let mut declared: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for (version, promised) in &versions {
        for line in promised.iter().filter_map(|line| line.strip_prefix("symbol ")) {
            let (symbol, call) = line.split_once(' ').unwrap();
            // Two functions may share one, as auth.jwt() and auth.session_claims() do.
            declared.entry(symbol.to_owned()).or_default().insert(types(call), version.clone());
        }
    }
    for (symbol, calls) in declared {
        assert_eq!(calls.len(), 1, "{symbol} is declared in more than one way: {calls:?}");
    }
}

/// A declaration without the names and defaults of its arguments.
fn types(call: &str) -> String {
    let (arguments, result) = call.rsplit_once(") returns ").unwrap();
    let inputs = arguments.trim_start_matches('(').split(", ").filter(|argument| !argument.starts_with("OUT "));
    let plain = |argument: &str| {
        let argument = argument.split(" DEFAULT ").next().unwrap_or_default();
        argument.split_once(' ').map_or(argument, |(_, of_type)| of_type).to_owned()
    };
    format!("{:?} {result}", inputs.map(plain).collect::<Vec<_>>())
}
