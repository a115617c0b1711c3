//! A connection of the pool's, for one request.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Object, RecycleError, RecycleResult};
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Error, Row};

use super::connector::{ConnectError, Connection, Connector};

/// How long the server may take to hear of a cancellation, and to end what it ran.
const CANCEL_WITHIN: Duration = Duration::from_secs(2);
/// When it is told once more.
const CANCEL_AGAIN: Duration = Duration::from_millis(200);
/// How long a server that has been told may take to hang up: PgBouncer 1.18 ends where the gateway does so first.
const HANG_UP_AFTER: Duration = Duration::from_secs(60);

/// A parameter of a statement, and its type: so the server is not asked for it.
pub type Parameter<'a> = (&'a (dyn ToSql + Sync), Type);

impl Manager for Connector {
    type Type = Connection;
    type Error = ConnectError;

    async fn create(&self) -> Result<Connection, ConnectError> {
        self.connect().await
    }

    async fn recycle(&self, connection: &mut Connection, metrics: &Metrics) -> RecycleResult<ConnectError> {
        match connection.client.is_closed() || self.has_left(metrics.created) {
            true => Err(RecycleError::message("closed")),
            false => Ok(()),
        }
    }
}

/// A connection. Unless it is given back, it is closed, and what it runs is cancelled: a request that was broken off keeps no backend
/// waiting, neither for WorkOS nor for a lock.
pub struct Lease {
    object: Option<Object<Connector>>,
    /// Of [`super::share::Share`], as long as it is needed.
    permit: Option<OwnedSemaphorePermit>,
}

impl Lease {
    /// Takes it.
    pub fn new(object: Object<Connector>, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self { object: Some(object), permit }
    }

    /// Puts it back into the pool: nothing runs.
    pub fn give_back(mut self) {
        drop(self.object.take());
    }

    /// Closes it: nothing runs. The permit is for another one.
    pub fn close(mut self) -> Option<OwnedSemaphorePermit> {
        drop(self.object.take().map(Object::take));
        self.permit.take()
    }

    /// Runs a statement, which is a transaction of its own.
    ///
    /// It is prepared for this once and has no name, and nothing is set: the next statement may run in another session, where a pooler
    /// stands between (PgBouncer's `pool_mode = transaction`).
    pub async fn query_one(&self, sql: &str, parameters: &[Parameter<'_>]) -> Result<Row, Error> {
        let connection = self.connection().await;
        let client = &connection.client;
        if connection.is_read_committed {
            return client.query_typed_one(sql, parameters).await;
        }
        // Whatever the database's default is: the functions look after their locks themselves, and nothing is to be repeated.
        client.batch_execute("begin isolation level read committed").await?;
        match client.query_typed_one(sql, parameters).await {
            Ok(row) => client.batch_execute("commit").await.map(|()| row),
            Err(error) => {
                // Where it fails, the connection is gone, and with it the transaction.
                let _ = client.batch_execute("rollback").await;
                Err(error)
            }
        }
    }

    /// All rows.
    pub async fn query(&self, sql: &str) -> Result<Vec<Row>, Error> {
        self.connection().await.client.query_typed(sql, &[]).await
    }

    async fn connection(&self) -> &Connection {
        match &self.object {
            Some(object) => object,
            // Only what consumes the lease takes it out.
            None => pending().await,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Some(object) = self.object.take() else { return };
        let connection = Object::take(object);
        if connection.client.is_closed() {
            return;
        }
        let (cancel, tls) = (connection.client.cancel_token(), connection.tls.clone());
        let cancellations = connection.cancellations.clone();
        if let Ok(runtime) = Handle::try_current() {
            let cancel_it = async move {
                // The connection goes in any case; this is for the backend. A pooler that sees it go first cancels nothing, so it
                // stays until the statement has ended, and the empty one after it is answered.
                let ask = || {
                    let (endpoint, cancel, mut tls) = (connection.endpoint.clone(), cancel.clone(), tls.clone());
                    // One of the cancellations, too: the end of the process would hang up.
                    connection.cancellations.spawn(async move {
                        let _ = timeout(HANG_UP_AFTER, endpoint.cancel(&cancel, &mut tls)).await;
                    })
                };
                let ended = async {
                    let mut answer = pin!(connection.client.simple_query(""));
                    let mut asked = ask();
                    // A pooler forgets it where the statement still waits for a connection, and lets the statement begin later.
                    while timeout(CANCEL_AGAIN, &mut answer).await.is_err() {
                        if asked.is_finished() {
                            asked = ask();
                        }
                    }
                };
                let _ = timeout(CANCEL_WITHIN, ended).await;
            };
            cancellations.spawn_on(cancel_it, &runtime);
        }
    }
}
