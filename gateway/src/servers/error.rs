//! What can be wrong about where the database is. No message shows what was given but a name of libpq's: it may hold the password.

use std::path::PathBuf;

/// What is wrong.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// Such as `mysql://`, or a URL of the wrong service.
    #[error("--database-url is a URL of another scheme than postgres:// or postgresql://")]
    Scheme,
    /// Neither form.
    #[error(
        "--database-url is neither postgres://USER@HOST:PORT/DATABASE nor libpq's keywords (host=HOST dbname=DATABASE user=USER); in a \
         URL, percent-encode what is no letter or digit in a user or password"
    )]
    Syntax,
    /// The password has an `@`.
    #[error("--database-url has an @ in its user or password: in a URL, write it as %40")]
    AtSign,
    /// No name of libpq's.
    #[error("--database-url: parameter {0} has a name that libpq does not know")]
    Unknown(usize),
    /// A name of libpq's.
    #[error("{0} is not supported by the gateway: leave it out")]
    Unsupported(String),
    /// Out of a list.
    #[error("{name} takes one of: {takes}")]
    OneOf {
        /// The keyword, or the variable.
        name: &'static str,
        /// What it takes.
        takes: &'static str,
    },
    /// Such as a port that is no number.
    #[error("{0} cannot be used: it is malformed")]
    Malformed(String),
    /// Nowhere to connect to.
    #[error("no database is named: --database-url, or PGHOST")]
    NoHost,
    /// Lists that do not match.
    #[error("there are {0} hosts and {1} ports: one port for all, or one for each")]
    Ports(usize, usize),
    /// Lists that do not match.
    #[error("there are {0} hosts and {1} hostaddrs: one for each, or none")]
    Addresses(usize, usize),
    /// It would be believed blindly.
    #[error(
        "sslmode={0} needs the certificates to trust: sslrootcert=PATH, or sslrootcert=system for those of the system"
    )]
    NoRoots(&'static str),
    /// Anybody can have a certificate of theirs.
    #[error("sslrootcert=system says little without sslmode=verify-full: anybody gets a certificate from those")]
    WeakSystemRoots,
    /// One without the other.
    #[error("{0} needs {1} as well")]
    Alone(&'static str, &'static str),
    /// Others could read the key.
    #[error(
        "sslkey {} can be read by others: its mode must be 0600 or less, or where it is root's, 0640 or less",
        .0.display()
    )]
    ExposedKey(PathBuf),
    /// It cannot be read.
    #[error("--database-password-file cannot be read: {0}")]
    PasswordFile(std::io::Error),
    /// It cannot be read.
    #[error("{what} {} cannot be read: {cause}", path.display())]
    File {
        /// The keyword.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}
