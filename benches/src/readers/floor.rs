//! What the readers stand beside: empty C functions, and the usual ways to write `auth.uid()` by hand.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use tokio_postgres::Client;
use workos_testbed::{Cluster, Error, Result};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/readers/floor.c");
/// The library that the extension checks signatures with, as Cargo has built it for this program.
const AWS_LC: &str = env!("AWS_LC");
const AWS_LC_INCLUDE: &str = env!("AWS_LC_INCLUDE");
const FUNCTIONS: &str = include_str!("floor.sql");

/// Compiles `floor.c` into the cluster's data directory, where the server can read it.
///
/// # Errors
/// There is no C compiler, or no header of the server.
pub fn compile(cluster: &Cluster) -> Result<PathBuf> {
    let pg_config = env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into());
    let includes = run(Command::new(pg_config).arg("--includedir-server"))?;
    let library = cluster.data_dir().join("bench_floor.so");
    run(Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-Werror=implicit-function-declaration"])
        .args(["-I", AWS_LC_INCLUDE, "-I", includes.trim(), "-o"])
        .args([library.as_path(), Path::new(SOURCE), Path::new(AWS_LC)])
        // Nobody else's calls are to end there.
        .arg("-Wl,--exclude-libs,ALL"))?;
    Ok(library)
}

/// Makes the functions in a database.
///
/// # Errors
/// The server does not load the library.
pub async fn create(admin: &Client, library: &Path) -> Result<()> {
    admin.batch_execute(&FUNCTIONS.replace("MODULE", &library.display().to_string())).await?;
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_owned();
    let failed = |reason: String| Error::Other(format!("{} failed: {reason}", program.display()));
    let output = command.output().map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(failed(String::from_utf8_lossy(&output.stderr).into_owned())),
    }
}
