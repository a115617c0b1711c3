//! The releases whose scripts are kept in `sql/released`, and what a newer version owes to whoever uses one.

use std::fs;
use std::path::PathBuf;

use tokio_postgres::Client;

use crate::sql::lines;

/// The version of the library that is tested.
pub const CURRENT: &str = env!("CARGO_PKG_VERSION");

/// The project's folder of released scripts.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../sql/released")
}

/// Every version whose install script is released, the oldest first.
pub fn released() -> Vec<String> {
    let names = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let version = |name: String| Some(name.strip_prefix("workos_auth--")?.strip_suffix(".sql")?.to_owned());
    let mut versions: Vec<String> = names.filter_map(version).filter(|version| !version.contains("--")).collect();
    versions.sort_by_key(|version| version.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>());
    versions
}

/// Those before the current one.
pub fn older() -> Vec<String> {
    released().into_iter().filter(|version| version != CURRENT).collect()
}

/// What applications, dumps and grants name of the extension, one line each: functions with their arguments and results, columns with their
/// types, and the symbols of the library.
///
/// A later version has every line of an earlier one. Columns may come behind those that are there.
pub async fn promises(client: &Client) -> Vec<String> {
    let sql = "
        select 'function ' || p.oid::regprocedure || ' (' || pg_get_function_identity_arguments(p.oid) || ') returns ' || pg_get_function_result(p.oid)
        from pg_proc p where p.pronamespace = 'auth'::regnamespace and p.proname !~ '^check_';
        select 'column ' || a.attrelid::regclass || '.' || a.attname || ' ' || a.attnum || ' ' || format_type(a.atttypid, a.atttypmod)
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        where c.relnamespace = 'auth'::regnamespace and c.relkind in ('r', 'v', 'c') and a.attnum > 0 and not a.attisdropped;
        select 'symbol ' || p.prosrc || ' (' || pg_get_function_arguments(p.oid) || ') returns ' || pg_get_function_result(p.oid)
            || case when p.proisstrict then ' strict' else '' end
        from pg_proc p where p.probin = '$libdir/workos_auth';
        select 'right ' || r.bundle || ': ' || r.privilege || ' on ' || r.object from auth.rights() r where r.privilege !~ '\\('";
    lines(client, sql).await.unwrap()
}

/// The lines of the earlier version that the later one has not.
pub fn broken(earlier: &[String], later: &[String]) -> Vec<String> {
    earlier.iter().filter(|line| !later.contains(line)).cloned().collect()
}

/// A name for what belongs to one release: without dots, which a name in SQL has not.
pub fn named(name: &str, version: &str) -> String {
    format!("{name}_{}", version.replace('.', "_"))
}
