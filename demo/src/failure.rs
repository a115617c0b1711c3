//! A tour that cannot go on: what failed, where, and the one command to try next.

use std::fmt;

use tokio_postgres::error::SqlState;
use workos_testbed::Error;

use crate::origin;

/// The usual result of the tour.
pub type Result<T> = std::result::Result<T, Failure>;

/// Why the tour ended early.
#[derive(Debug, thiserror::Error)]
pub struct Failure {
    /// What was being done, for example `step 3, Alice of Acme signs in`.
    step: Option<String>,
    /// The statement, where it was one.
    sql: Option<String>,
    /// What was expected instead, where the error is not one of Postgres's.
    source: Cause,
}

/// What went wrong.
#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error(transparent)]
    Testbed(Error),
    /// The database did what the tour says that it does not do.
    #[error("{0}")]
    Unexpected(String),
    /// A package of its own has it.
    #[error("there is no workos-auth-gateway beside this program")]
    NoGateway,
}

impl Failure {
    /// For an outcome that is not the story's.
    pub fn unexpected(what: impl Into<String>) -> Self {
        Self { step: None, sql: None, source: Cause::Unexpected(what.into()) }
    }

    /// For a machine that lacks the gateway.
    pub fn no_gateway() -> Self {
        Self { step: None, sql: None, source: Cause::NoGateway }
    }

    /// Names the statement.
    pub fn in_statement(self, sql: &str) -> Self {
        Self { sql: Some(sql.to_owned()), ..self }
    }

    /// Names the step.
    pub fn in_step(self, step: &str) -> Self {
        Self { step: Some(step.to_owned()), ..self }
    }

    /// What to do about it.
    pub fn advice(&self) -> String {
        let (command, why) = self.next_command();
        format!("Try next: {command}\n({why})")
    }

    /// The one command that helps, or that shows more.
    fn next_command(&self) -> (String, &'static str) {
        let has_checkout = origin::page_dir().is_some();
        let (demo, package) = (origin::command(), "apt-get install postgresql-15-workos-auth");
        match &self.source {
            Cause::Testbed(Error::PgConfig { .. } | Error::NoServerUser) if has_checkout => {
                ("make setup".into(), "installs a Postgres server and its headers")
            }
            Cause::Testbed(Error::PgConfig { .. } | Error::NoServerUser) => {
                (package.into(), "brings a Postgres server with the extension; 15 stands for your major version")
            }
            Cause::Testbed(Error::NotStarted { .. } | Error::Timeout { .. }) => {
                (demo.into(), "takes another free port; the machine may have been busy")
            }
            Cause::Testbed(Error::Sql(error)) if is_missing(error.code()) => {
                let command = if has_checkout { "make install" } else { package };
                (command.into(), "the extension is not installed in this Postgres, or an older build of it is")
            }
            Cause::NoGateway => {
                ("apt-get install workos-auth-gateway".into(), "brings the gateway for Supabase's client")
            }
            _ => (format!("KEEP=1 {demo}"), "stops at the same place and says how to look around there"),
        }
    }
}

/// No control file (0A000), no library (58P01), or a function that an older build lacks.
fn is_missing(code: Option<&SqlState>) -> bool {
    code.is_some_and(|code| {
        [SqlState::FEATURE_NOT_SUPPORTED, SqlState::UNDEFINED_FILE, SqlState::UNDEFINED_FUNCTION].contains(code)
    })
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { step: None, sql: None, source: Cause::Testbed(error) }
    }
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        Error::from(error).into()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "FAILED: {}", self.step.as_deref().unwrap_or("the tour"))?;
        if let Some(sql) = &self.sql {
            writeln!(f, "while running:\n  {}\n", sql.replace('\n', "\n  "))?;
        }
        write!(f, "{}", self.source)
    }
}
