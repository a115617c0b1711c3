//! The installed Postgres: where its programs are and as whom they run.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{Uid, User};

use crate::error::{Error, Result};

/// Where packages put a server and its extensions: before the number of the major version, and after it.
const PACKAGED: [(&str, &str, &str); 2] = [
    ("/usr/lib/postgresql/", "/usr/share/postgresql/", "/extension"),
    ("/usr/pgsql-", "/usr/pgsql-", "/share/extension"),
];
/// The majors that the extension is written for, the newest first.
const MAJORS: [u8; 4] = [18, 17, 16, 15];

/// The OS user of Debian's packages, for when the tests run as root.
const SERVER_USER: &str = "postgres";

/// The `pg_config` of the server that is tested.
pub(crate) fn pg_config() -> PathBuf {
    env::var_os("PG_CONFIG").unwrap_or_else(|| "pg_config".into()).into()
}

/// The `pg_config` of the newest server of the distribution's packages that has the extension, else of the newest.
fn packaged() -> Option<PathBuf> {
    let mut found = Vec::new();
    for major in MAJORS {
        for (programs, shared, extensions) in PACKAGED {
            let pg_config = PathBuf::from(format!("{programs}{major}/bin/pg_config"));
            if pg_config.with_file_name("postgres").is_file() {
                let control = format!("{shared}{major}{extensions}/workos_auth.control");
                found.push((Path::new(&control).is_file(), pg_config));
            }
        }
    }
    let with_extension = found.iter().position(|(has_extension, _)| *has_extension);
    found.into_iter().nth(with_extension.unwrap_or_default()).map(|(_, pg_config)| pg_config)
}

/// The major version of the server that clusters are made with, such as 15.
///
/// # Errors
/// No server is installed, or it does not say.
pub fn server_major() -> Result<u32> {
    Installation::find()?.major()
}

/// An installed server.
#[derive(Debug, Clone)]
pub(crate) struct Installation {
    bin_dir: PathBuf,
    /// Set when the caller is root, which Postgres refuses to run as.
    user: Option<User>,
}

impl Installation {
    /// The server that `PG_CONFIG` names, or the first `pg_config` on the path, or one of a distribution's packages, which are on
    /// nobody's path.
    pub(crate) fn find() -> Result<Self> {
        match env::var_os("PG_CONFIG") {
            Some(path) => Self::of(path.into()),
            None => Self::of(pg_config()).or_else(|error| packaged().map_or(Err(error), Self::of)),
        }
    }

    /// A copy of that server, whose programs are there.
    pub(crate) fn copied_to(bin_dir: &Path) -> Result<Self> {
        Ok(Self { bin_dir: bin_dir.to_owned(), ..Self::find()? })
    }

    /// The server that databases move to: that of `NEWER_PG_CONFIG`, or the same.
    pub(crate) fn newer() -> Result<Self> {
        env::var_os("NEWER_PG_CONFIG").map_or_else(Self::find, |path| Self::of(path.into()))
    }

    fn of(path: PathBuf) -> Result<Self> {
        let failed = |reason: String| Error::PgConfig { path: path.clone(), reason };
        let output = Command::new(&path).arg("--bindir").output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        let bin_dir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        // libpq's packages bring a pg_config too, without a server.
        if !bin_dir.join("postgres").is_file() {
            return Err(failed(format!("there is no server in {}", bin_dir.display())));
        }
        let user = if Uid::effective().is_root() {
            let found = User::from_name(SERVER_USER)
                .map_err(|errno| Error::Io { what: "look up the OS user of the server", source: errno.into() })?;
            Some(found.ok_or(Error::NoServerUser)?)
        } else {
            None
        };
        Ok(Self { bin_dir, user })
    }

    /// Its major version, such as 15.
    fn major(&self) -> Result<u32> {
        let postgres = self.bin_dir.join("postgres");
        let failed = |reason: String| Error::PgConfig { path: postgres.clone(), reason };
        let output = Command::new(&postgres).arg("--version").output().map_err(|error| failed(error.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        // "postgres (PostgreSQL) 15.20 (Debian …)", "18.0", "19devel"
        let version = text.split_once(") ").map_or("", |(_, version)| version);
        let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().map_err(|_| failed(format!("its version is {text}")))
    }

    /// Where its programs are.
    pub(crate) fn bin_dir(&self) -> &Path {
        &self.bin_dir
    }

    /// A command that runs one of the server's programs in `dir`, as the server's user and with an environment
    /// that nothing of the caller's leaks into: `PG…` and `LC_…` variables change what the programs do, and proxies
    /// where the extension connects to.
    pub(crate) fn command(&self, program: &str, dir: &Path) -> Command {
        let mut command = Command::new(self.bin_dir.join(program));
        command
            .env_clear()
            .envs(
                env::vars_os().filter(|(name, _)| name == OsStr::new("PATH") || name == OsStr::new("LD_LIBRARY_PATH")),
            )
            .env("TZ", "UTC")
            .current_dir(dir);
        self.drop_privileges(&mut command);
        command
    }

    /// Lets `command` run as the server's user.
    pub(crate) fn drop_privileges(&self, command: &mut Command) {
        if let Some(user) = &self.user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    }

    /// Gives a file or directory to the server's user.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        match &self.user {
            Some(user) => chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
                .map_err(Error::io("give a directory to the server's user")),
            None => Ok(()),
        }
    }
}
