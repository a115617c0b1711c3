//! The files that `make install` puts into Postgres, and the library's functions.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use workos_end_to_end::Bed;
use workos_end_to_end::releases::{folder, released};
use workos_end_to_end::sql::{lines, text};
use workos_testbed::Cluster;
use workos_testbed::cluster::SUPERUSER;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of the files of `sql/`, in the order of the install script.
fn sql_files() -> Vec<String> {
    let names =
        fs::read_dir(root().join("sql")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.ends_with(".sql")).collect();
    names.sort();
    names
}

/// The installed script, found by what Postgres says of itself.
const READ_SCRIPT: &str = "
    select pg_read_file(setting || '/extension/workos_auth--' || default_version || '.sql')
    from pg_config, pg_available_extensions where pg_config.name = 'SHAREDIR' and pg_available_extensions.name = 'workos_auth'";

#[tokio::test]
async fn the_install_script_is_the_files_of_sql_in_order() {
    let client = Cluster::shared().unwrap().connect("postgres", SUPERUSER).await.unwrap();
    let installed = text(&client, READ_SCRIPT).await.unwrap().unwrap();
    let mut written = String::new();
    for name in sql_files() {
        written.push_str(&fs::read_to_string(root().join("sql").join(name)).unwrap());
    }
    assert!(installed == written, "the installed script is another than sql/*.sql: make install");
}

/// `cargo pgrx` makes the script of what stands in src/lib.rs.
#[test]
fn the_library_lists_the_files_of_sql_in_order() {
    let library = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    let mut before = None;
    let mut listed = Vec::new();
    for entry in library.split("extension_sql_file!(").skip(1) {
        let entry = entry.split(");").next().unwrap();
        let strings: Vec<&str> = entry.split('"').skip(1).step_by(2).collect();
        let (path, name) = (strings[0], strings[1]);
        assert_eq!(strings.get(2).copied(), before, "{path}: requires the file before it, and no other");
        assert!(before.is_some() || entry.contains("bootstrap"), "{path}: the first is the bootstrap");
        listed.push(path.trim_start_matches("../sql/").to_owned());
        before = Some(name);
    }
    assert_eq!(listed, sql_files());
}

/// Postgres finds what it may call in the library by these symbols, of today's SQL and of every release.
#[tokio::test]
async fn every_function_of_the_library_is_declared_and_every_declared_one_is_there() {
    let bed = Bed::shared("functions").await;
    let client = &bed.admin;
    let library = text(client, "select setting || '/workos_auth.so' from pg_config where name = 'PKGLIBDIR'").await;
    let library = fs::read(library.unwrap().unwrap()).unwrap();
    let strings = library.split(|byte| *byte == 0).filter_map(|bytes| std::str::from_utf8(bytes).ok());
    let exported: BTreeSet<String> =
        strings.filter_map(|name| name.strip_prefix("pg_finfo_")).map(str::to_owned).collect();
    let sql = "select prosrc from pg_proc where probin = '$libdir/workos_auth'";
    let declared: BTreeSet<String> = lines(client, sql).await.unwrap().into_iter().collect();
    assert!(declared.len() > 40, "{declared:?}");
    // What a released script names stays in the library, whether today's SQL names it or not.
    let mut named = declared;
    for version in released() {
        let script = fs::read_to_string(folder().join(format!("workos_auth--{version}.sql"))).unwrap();
        let symbols = script.split("'MODULE_PATHNAME', '").skip(1).filter_map(|rest| rest.split('\'').next());
        named.extend(symbols.map(str::to_owned));
    }
    assert_eq!(exported, named);
}
