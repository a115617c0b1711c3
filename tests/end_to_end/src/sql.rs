//! SQL errors as values, and what a database holds.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, SimpleQueryMessage};
use workos_auth_core::ErrorCode;

/// What the server said when it refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The SQLSTATE.
    pub sqlstate: String,
    /// The primary message.
    pub message: String,
    /// The DETAIL line; empty without one.
    pub detail: String,
    /// The HINT line; empty without one.
    pub hint: String,
    /// The CONTEXT line; empty without one.
    pub context: String,
}

impl From<&DbError> for Refusal {
    fn from(error: &DbError) -> Self {
        Self {
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().unwrap_or_default().to_owned(),
            hint: error.hint().unwrap_or_default().to_owned(),
            context: error.where_().unwrap_or_default().to_owned(),
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\nDETAIL: {}\nHINT: {}", self.sqlstate, self.message, self.detail, self.hint)?;
        if self.context.is_empty() { Ok(()) } else { write!(f, "\nCONTEXT: {}", self.context) }
    }
}

/// The refusal, of a statement that must be refused by the server.
#[track_caller]
pub fn refusal<T>(result: Result<T, tokio_postgres::Error>) -> Refusal {
    match result {
        Ok(_) => panic!("it was not refused"),
        Err(error) => match error.as_db_error() {
            Some(error) => error.into(),
            None => panic!("the server said nothing: {error}"),
        },
    }
}

/// The refusal, which must be the named one of `auth.error_codes`, with that one's message.
#[track_caller]
pub fn refused<T>(result: Result<T, tokio_postgres::Error>, name: &str) -> Refusal {
    let refusal = refusal(result);
    let code = ErrorCode::ALL.iter().find(|code| code.name() == name).unwrap_or_else(|| panic!("no error {name}"));
    assert_eq!((&*refusal.sqlstate, &*refusal.message), (code.sqlstate(), code.message()), "{refusal}");
    assert!(code.hint().is_empty() || !refusal.hint.is_empty(), "{refusal}");
    refusal
}

/// The refusal, which must have this SQLSTATE.
#[track_caller]
pub fn refused_as<T>(result: Result<T, tokio_postgres::Error>, sqlstate: &str) -> Refusal {
    let refusal = refusal(result);
    assert_eq!(refusal.sqlstate, sqlstate, "{refusal}");
    refusal
}

/// The text of the first column of the last row; `None` for NULL and for no row.
///
/// # Errors
/// What the server said.
pub async fn text(client: &Client, sql: &str) -> Result<Option<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .iter()
        .rev()
        .find_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .flatten())
}

/// Every row of the answer, its columns joined by `|`.
///
/// # Errors
/// What the server said.
pub async fn lines(client: &Client, sql: &str) -> Result<Vec<String>, tokio_postgres::Error> {
    let messages = client.simple_query(sql).await?;
    let row = |row: &tokio_postgres::SimpleQueryRow| {
        (0..row.len()).map(|at| row.get(at).unwrap_or("NULL")).collect::<Vec<_>>().join("|")
    };
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(found) => Some(row(found)),
            _ => None,
        })
        .collect())
}

/// What the server says beside its answers.
#[derive(Debug, Clone, Default)]
pub struct Notices(Arc<Mutex<Vec<(String, Refusal)>>>);

impl Notices {
    /// The warnings since the last look.
    pub fn take_warnings(&self) -> Vec<Refusal> {
        self.take("WARNING")
    }

    /// Those of one severity since the last look; the others are forgotten.
    pub fn take(&self, severity: &str) -> Vec<Refusal> {
        self.take_all().into_iter().filter(|(of, _)| of == severity).map(|(_, notice)| notice).collect()
    }

    /// All since the last look, each with its severity.
    pub fn take_all(&self) -> Vec<(String, Refusal)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

/// Connects, and keeps what the server says beside its answers.
///
/// # Errors
/// The server refuses.
pub async fn connect_with_notices(config: &Config) -> Result<(Client, Notices), tokio_postgres::Error> {
    let (client, mut connection) = config.connect(NoTls).await?;
    let notices = Notices::default();
    let keep = notices.clone();
    tokio::spawn(async move {
        // What ends a connection is told to whoever uses its client.
        while let Some(Ok(message)) = std::future::poll_fn(|cx| connection.poll_message(cx)).await {
            if let AsyncMessage::Notice(notice) = message {
                let severity = match notice.parsed_severity() {
                    Some(Severity::Warning) => "WARNING",
                    _ => notice.severity(),
                };
                let entry = (severity.to_owned(), Refusal::from(&notice));
                keep.0.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
            }
        }
    });
    Ok((client, notices))
}

/// Has the server's own operating-system user run a shell command, over a superuser's connection.
pub async fn shell(superuser: &Client, command: &str) {
    // It reads what COPY writes first: a command that ends before that is a broken pipe now and then.
    let sql = format!("copy (select) to program 'cat >/dev/null && {}'", command.replace('\'', "''"));
    superuser.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{command}: {error:?}"));
}
