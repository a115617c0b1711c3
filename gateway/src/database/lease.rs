//! A connection of the pool's, for one request.

use std::future::pending;
use std::time::Duration;

use deadpool_postgres::Object;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, NoTls, Row};

/// How long the server may take to hear of a cancellation.
const CANCEL_WITHIN: Duration = Duration::from_secs(2);

/// A connection. Unless it is given back, it is closed, and what it runs is cancelled: a request that was broken off keeps no backend
/// waiting, neither for WorkOS nor for a lock.
pub struct Lease(Option<Object>);

impl Lease {
    /// Takes it.
    pub fn new(object: Object) -> Self {
        Self(Some(object))
    }

    /// Puts it back into the pool: nothing runs.
    pub fn give_back(mut self) {
        drop(self.0.take());
    }

    /// Runs a statement, which is a transaction of its own. After the first time it is prepared already.
    pub async fn query_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, Error> {
        let object = self.object().await;
        let statement = object.prepare_cached(sql).await?;
        object.query_one(&statement, parameters).await
    }

    /// All rows.
    pub async fn query(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.object().await.query(sql, &[]).await
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
