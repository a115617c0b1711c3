//! A connection whose statements are shown, with what they return: psql for a reader.

use std::error::Error as StdError;

use chrono::{DateTime, Utc};
use tokio_postgres::types::{FromSql, ToSql, Type};
use tokio_postgres::{Client, Row};
use uuid::Uuid;
use workos_testbed::{Cluster, Error};

use crate::failure::{Failure, Result};
use crate::paper::{Paper, shorten};
use crate::stage::DATABASE;

/// Who is at a prompt.
pub const ADMINISTRATOR: &str = "postgres=#";
pub const BACKEND: &str = "app=>";

/// A bind value, and what it is.
#[derive(Debug, Clone, Copy)]
pub struct Bind<'a>(pub &'a str, pub &'a str);

/// How what a statement returns is shown.
#[derive(Debug, Clone, Copy)]
pub enum Show {
    /// A line a row.
    Table,
    /// A line a column, of one row.
    Record,
    /// Not at all: it is `void`.
    Nothing,
}

/// Somebody at a prompt.
pub struct Console {
    client: Client,
    prompt: &'static str,
    paper: Paper,
}

impl Console {
    /// Connects `user` to the database that the tour is in.
    ///
    /// # Errors
    /// The server refuses.
    pub async fn open(cluster: &Cluster, user: &str, prompt: &'static str, paper: Paper) -> Result<Self> {
        Ok(Self { client: cluster.connect(DATABASE, user).await?, prompt, paper })
    }

    /// Runs a statement that returns nothing, or several.
    ///
    /// # Errors
    /// It fails.
    pub async fn run(&self, sql: &str) -> Result<()> {
        self.paper.statement(self.prompt, sql);
        self.client.batch_execute(sql).await.map_err(|error| Failure::from(error).in_statement(sql))
    }

    /// Runs a statement and shows its rows.
    ///
    /// # Errors
    /// It fails.
    pub async fn query(&self, sql: &str, binds: &[Bind<'_>], show: Show) -> Result<Vec<Row>> {
        self.announce(sql, binds);
        let (columns, rows) = self.send(sql, binds).await.map_err(|error| Failure::from(error).in_statement(sql))?;
        let texts = rows.iter().map(texts).collect::<Result<Vec<_>>>().map_err(|failure| failure.in_statement(sql))?;
        let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
        match (show, texts.as_slice()) {
            (Show::Nothing, _) => {}
            (Show::Record, [row]) => self.paper.record(&columns, row),
            (_, rows) => self.paper.table(&columns, rows),
        }
        Ok(rows)
    }

    /// As [`Console::query`], for a statement that returns one row.
    ///
    /// # Errors
    /// It fails, or returns another number of rows.
    pub async fn query_one(&self, sql: &str, binds: &[Bind<'_>], show: Show) -> Result<Row> {
        let mut rows = self.query(sql, binds, show).await?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (_, more) => Err(Failure::unexpected(format!("expected one row, not {more} more")).in_statement(sql)),
        }
    }

    /// Runs a statement that must be refused with `sqlstate`, and shows the error.
    ///
    /// # Errors
    /// It is not refused, or for another reason.
    pub async fn refused(&self, sql: &str, binds: &[Bind<'_>], sqlstate: &str) -> Result<()> {
        self.announce(sql, binds);
        let Err(error) = self.send(sql, binds).await else {
            let what = format!("it went through; it should have been refused with SQLSTATE {sqlstate}");
            return Err(Failure::unexpected(what).in_statement(sql));
        };
        match error.as_db_error() {
            Some(db) if db.code().code() == sqlstate => {
                let mut text = format!("ERROR:  {sqlstate}: {}", db.message());
                for (label, part) in [("DETAIL", db.detail()), ("HINT", db.hint())] {
                    text.extend(part.map(|part| format!("\n{label}:  {part}")));
                }
                self.paper.error(&text);
                Ok(())
            }
            _ => Err(Failure::from(error).in_statement(sql)),
        }
    }

    fn announce(&self, sql: &str, binds: &[Bind<'_>]) {
        self.paper.statement(self.prompt, sql);
        for (number, Bind(value, meaning)) in (1..).zip(binds) {
            self.paper.aside(&format!("${number} = {}: {meaning}", shorten(value)));
        }
    }

    /// The names of the columns, which a result without rows has too, and the rows.
    async fn send(
        &self,
        sql: &str,
        binds: &[Bind<'_>],
    ) -> std::result::Result<(Vec<String>, Vec<Row>), tokio_postgres::Error> {
        let values: Vec<&(dyn ToSql + Sync)> = binds.iter().map(|Bind(value, _)| value as _).collect();
        let statement = self.client.prepare(sql).await?;
        let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        Ok((columns, self.client.query(&statement, &values).await?))
    }
}

/// One column of a row.
///
/// # Errors
/// It is NULL or of another type.
pub fn column<'a, T: FromSql<'a>>(row: &'a Row, name: &str) -> Result<T> {
    row.try_get(name).map_err(|error| Error::from(error).into())
}

fn texts(row: &Row) -> Result<Vec<String>> {
    let value =
        |i| row.try_get::<_, Option<Text>>(i).map(|text| text.map_or_else(|| "(null)".to_owned(), |text| text.0));
    (0..row.len()).map(|i| value(i).map_err(Failure::from)).collect()
}

/// A value as psql would print it.
struct Text(String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> std::result::Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(match *ty {
            Type::BOOL => if bool::from_sql(ty, raw)? { "t" } else { "f" }.to_owned(),
            Type::INT4 => i32::from_sql(ty, raw)?.to_string(),
            Type::INT8 => i64::from_sql(ty, raw)?.to_string(),
            Type::UUID => Uuid::from_sql(ty, raw)?.to_string(),
            // A version, and then the text as Postgres prints it (jsonb_send).
            Type::JSONB => String::from_utf8(raw.get(1..).unwrap_or_default().to_vec())?,
            Type::TIMESTAMPTZ => DateTime::<Utc>::from_sql(ty, raw)?.format("%Y-%m-%d %H:%M:%S+00").to_string(),
            Type::VOID => String::new(),
            _ => String::from_sql(ty, raw)?,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::BOOL | Type::INT4 | Type::INT8 | Type::UUID | Type::JSONB | Type::TIMESTAMPTZ | Type::VOID)
            || <String as FromSql>::accepts(ty)
    }
}
