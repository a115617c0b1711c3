//! A connection of the pool's, for one request.

use std::future::pending;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, NoTls, Row, Statement};

/// How long the server may take to hear of a cancellation.
const CANCEL_WITHIN: Duration = Duration::from_secs(2);

/// A connection. Unless it is given back, it is closed, and what it runs is cancelled: a request that was broken off leaves no
/// transaction behind, and keeps no backend waiting for WorkOS.
pub struct Lease(Option<Object>);

impl Lease {
    /// Takes it.
    pub fn new(object: Object) -> Self {
        Self(Some(object))
    }

    /// Puts it back into the pool: no transaction is open, and nothing runs.
    pub fn give_back(mut self) {
        drop(self.0.take());
    }

    /// From the connection's cache after the first time.
    pub async fn prepare(&self, sql: &str) -> Result<Statement, Error> {
        self.object().await.prepare_cached(sql).await
    }

    /// A statement that is a transaction of its own.
    pub async fn autocommit(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let statement = self.prepare(sql).await?;
        self.query_one(&statement, parameters).await
    }

    /// Sends the statement when first polled, as all of these do: joined calls go out in one go and in their order.
    pub async fn query_one(&self, statement: &Statement, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        self.object().await.query_one(statement, parameters).await
    }

    /// All rows.
    pub async fn query(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.object().await.query(sql, &[]).await
    }

    /// Begins a transaction of several statements.
    pub async fn begin(&self) -> Result<(), Error> {
        self.object().await.batch_execute("begin").await
    }

    /// In a transaction that has failed, this rolls back, and is no error.
    pub async fn commit(&self) -> Result<(), Error> {
        self.object().await.batch_execute("commit").await
    }

    async fn object(&self) -> &Object {
        match &self.0 {
            Some(object) => object,
            // Only what consumes the lease takes it out.
            None => pending().await,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.0.take() else { return };
        let client = Object::take(object);
        if client.is_closed() {
            return;
        }
        let cancel = client.cancel_token();
        drop(client);
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // The connection is gone in any case; this is for the backend.
                let _ = timeout(CANCEL_WITHIN, cancel.cancel_query(NoTls)).await;
            });
        }
    }
}
