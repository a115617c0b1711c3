//! `testbed-cluster -- COMMAND ARGUMENT…` runs a command beside a throw-away cluster and a simulator, and exits
//! as the command did.
//!
//! The command finds them in its environment: `PGHOST`, `PGPORT`, `PGUSER` and `PGDATABASE`, as libpq and every driver
//! read them; `PG_SOCKET_DIR`; `ROOT_KEY_FILE`, a path for `auth.create_root_key`, already set as
//! `workos_auth.root_key_file`; `SIMULATOR_URL` and `SIMULATOR_PORT`; `PG_LOG`, the server's log so far.
//! Lines of `TESTBED_SETTINGS` are added to `postgresql.conf`. With `TESTBED_INTERACTIVE=1` the simulator shows its login
//! page, for a real browser.

#![forbid(unsafe_code)]

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use workos_testbed::cluster::SUPERUSER;
use workos_testbed::{Cluster, Error, Result, Workos};

fn main() -> ExitCode {
    let mut arguments = env::args_os().skip(1).skip_while(|argument| argument == "--");
    let Some(program) = arguments.next() else {
        eprintln!("usage: testbed-cluster -- COMMAND ARGUMENT…");
        return ExitCode::from(2);
    };
    match run(&program, arguments) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("testbed-cluster: {error}");
            ExitCode::from(2)
        }
    }
}

/// Boots, runs the command and says how it ended, as a shell would: its code, or 128 and its signal.
fn run(program: &OsString, arguments: impl Iterator<Item = OsString>) -> Result<u8> {
    let workos = if env::var_os("TESTBED_INTERACTIVE").is_some_and(|value| value == "1") {
        Workos::start_interactive()?
    } else {
        Workos::start()?
    };
    let settings = env::var("TESTBED_SETTINGS").unwrap_or_default();
    let mut cluster = Cluster::start_with(&[&settings])?;
    cluster.append_conf(&format!("workos_auth.root_key_file = '{}'", cluster.root_key_path().display()))?;
    cluster.restart()?;

    let url = workos.url();
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap_or_default();
    let mut command = Command::new(program);
    // The caller's own PGOPTIONS, PGSERVICE and the like are not for this cluster.
    for (name, _) in env::vars_os().filter(|(name, _)| is_libpq_variable(name)) {
        command.env_remove(name);
    }
    let status = command
        .args(arguments)
        .env("PGHOST", "127.0.0.1")
        .env("PGPORT", cluster.port().to_string())
        .env("PGUSER", SUPERUSER)
        .env("PGDATABASE", "postgres")
        .env("PG_SOCKET_DIR", cluster.socket_dir())
        .env("PG_LOG", cluster.log_path())
        .env("ROOT_KEY_FILE", cluster.root_key_path())
        .env("SIMULATOR_URL", &url)
        .env("SIMULATOR_PORT", port)
        .status()
        .map_err(|source| Error::Io { what: "run the command", source })?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    Ok(u8::try_from(code).unwrap_or(u8::MAX))
}

/// `PGHOST` and its kin, but not `PG_CONFIG` and `PG_MAJOR`, which choose what is tested.
fn is_libpq_variable(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.starts_with(b"PG") && !name.starts_with(b"PG_") && !name.starts_with(b"PGRX")
}
