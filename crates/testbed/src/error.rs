//! What can go wrong while a testbed is built, said so that a reader of a test's output knows what to do.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// The usual result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a testbed could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No usable `pg_config`: the path tried and why it failed.
    #[error("cannot run {path}: {reason}; set PG_CONFIG to the pg_config of a server", path = path.display())]
    PgConfig {
        /// The program that was tried.
        path: PathBuf,
        /// What it said, or why it did not start.
        reason: String,
    },

    /// Running as root on a machine without the user that Postgres runs as.
    #[error(
        "Postgres refuses to run as root, and there is no OS user postgres: install the server's package, or be another user"
    )]
    NoServerUser,

    /// A program of Postgres's failed; the end of what it said.
    #[error("{program} failed ({status}):\n{output}")]
    Program {
        /// For example `initdb`.
        program: &'static str,
        /// Its exit status.
        status: String,
        /// The last lines of its output.
        output: String,
    },

    /// The server ended, or did not become ready, while it was started; the end of its log.
    #[error("the server did not start: {reason}; its log ends with:\n{log}")]
    NotStarted {
        /// What was seen.
        reason: String,
        /// The last lines of the server's log.
        log: String,
    },

    /// A check inside Postgres failed, which only a server with assertions makes; the lines of its log that say so.
    #[error("the server failed a check of its own:\n{0}")]
    Assertion(String),

    /// Something that should have happened soon did not.
    #[error("{what} did not happen within {after:?}")]
    Timeout {
        /// A noun phrase, for example `the reload`.
        what: &'static str,
        /// How long it was waited for.
        after: Duration,
    },

    /// A file or a process could not be handled.
    #[error("{what}: {source}")]
    Io {
        /// What was tried, for example `create a directory`.
        what: &'static str,
        /// The operating system's reason.
        source: io::Error,
    },

    /// A statement failed. The text holds SQLSTATE, message, detail and hint.
    #[error("{}", describe(.0))]
    Sql(#[from] tokio_postgres::Error),

    /// The simulator, or what should have been it, could not be reached.
    #[error("the browser failed: {0}")]
    Http(#[from] reqwest::Error),

    /// The browser was not sent back to the application.
    #[error("the browser did not come back to the application: {0}")]
    Lost(String),

    /// WorkOS sent the browser back with an error (RFC 6749, section 4.1.2.1).
    #[error("the sign-in was refused: {error}: {description}")]
    Refused {
        /// WorkOS's code for it, such as `access_denied`.
        error: String,
        /// WorkOS's words for it; empty if there were none.
        description: String,
        /// The state that came back with it.
        state: Option<String>,
    },

    /// Anything else that keeps a program from going on, in words.
    #[error("{0}")]
    Other(String),
}

impl Error {
    /// For `map_err`: names what was tried.
    pub(crate) fn io(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}

/// `tokio_postgres` prints `db error` and leaves the rest to be asked for.
fn describe(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else { return error.to_string() };
    let mut text = format!("{}: {}", db.code().code(), db.message());
    for (label, part) in [("DETAIL", db.detail()), ("HINT", db.hint()), ("CONTEXT", db.where_())] {
        if let Some(part) = part {
            text.push_str(&format!("\n{label}: {part}"));
        }
    }
    text
}
