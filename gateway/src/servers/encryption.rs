//! What is asked of TLS between the gateway and the database, in libpq's words.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::environment::Environment;
use super::error::ServersError;

/// How much is asked of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No TLS
    Disable,
    /// TLS where the server has it
    Prefer,
    /// TLS with whoever answers
    Require,
    /// TLS with somebody whom one of the trusted certificates vouches for
    VerifyCa,
    /// The same, and the certificate is of the host that was asked for
    VerifyFull,
}

/// Which certificates are trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// It does not matter
    None,
    /// Those of a PEM file
    File(PathBuf),
    /// Those of the system
    System,
}

/// What is asked of TLS.
#[derive(Debug, Clone)]
pub struct Encryption {
    /// How much
    pub mode: Mode,
    /// Who vouches for the server
    pub roots: Roots,
    /// Our own certificate and its key, as PEM files
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether TLS begins without asking first (`sslnegotiation=direct`)
    pub is_direct: bool,
}

impl Encryption {
    /// `given` finds a keyword's value, or its variable's.
    ///
    /// # Errors
    /// See [`ServersError`].
    pub fn read<'a>(given: impl Fn(&str) -> Option<&'a str>, environment: &Environment) -> Result<Self, ServersError> {
        let roots = match given("sslrootcert") {
            Some("system") => Roots::System,
            Some(path) => Roots::File(path.into()),
            None => at_home(environment, "root.crt").map_or(Roots::None, Roots::File),
        };
        let mode = match given("sslmode") {
            None if roots == Roots::System => Mode::VerifyFull,
            Some("disable") => Mode::Disable,
            Some("prefer") | None => Mode::Prefer,
            // As libpq has it.
            Some("require") if matches!(roots, Roots::File(_)) => Mode::VerifyCa,
            Some("require") => Mode::Require,
            Some("verify-ca") => Mode::VerifyCa,
            Some("verify-full") => Mode::VerifyFull,
            Some(_) => {
                let takes = "disable, prefer, require, verify-ca, verify-full";
                return Err(ServersError::OneOf { name: "sslmode", takes });
            }
        };
        match (mode, &roots) {
            (Mode::VerifyCa, Roots::None) => return Err(ServersError::NoRoots("verify-ca")),
            (Mode::VerifyFull, Roots::None) => return Err(ServersError::NoRoots("verify-full")),
            (Mode::VerifyFull, _) | (_, Roots::None | Roots::File(_)) => {}
            (_, Roots::System) => return Err(ServersError::WeakSystemRoots),
        }
        let is_direct = match given("sslnegotiation") {
            None | Some("postgres") => false,
            Some("direct") if mode != Mode::Prefer && mode != Mode::Disable => true,
            Some("direct") => {
                return Err(ServersError::Alone("sslnegotiation=direct", "sslmode=require, or stricter,"));
            }
            Some(_) => return Err(ServersError::OneOf { name: "sslnegotiation", takes: "postgres, direct" }),
        };
        let client = match (given("sslcert").map(PathBuf::from), given("sslkey").map(PathBuf::from)) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) => return Err(ServersError::Alone("sslcert", "sslkey")),
            (None, Some(_)) => return Err(ServersError::Alone("sslkey", "sslcert")),
            (None, None) => at_home(environment, "postgresql.crt").zip(at_home(environment, "postgresql.key")),
        };
        if let Some((_, key)) = &client
            && mode != Mode::Disable
        {
            check_key(key)?;
        }
        Ok(Self { mode, roots, client, is_direct })
    }
}

/// Where libpq looks by default, if anything is there.
fn at_home(environment: &Environment, name: &str) -> Option<PathBuf> {
    environment.home(&format!(".postgresql/{name}")).filter(|path| path.is_file())
}

/// libpq's rule.
fn check_key(path: &Path) -> Result<(), ServersError> {
    let metadata =
        fs::metadata(path).map_err(|cause| ServersError::File { what: "sslkey", path: path.into(), cause })?;
    let others = if metadata.uid() == 0 { 0o037 } else { 0o077 };
    match metadata.mode() & others {
        0 => Ok(()),
        _ => Err(ServersError::ExposedKey(path.into())),
    }
}
