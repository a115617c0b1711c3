//! The background worker of a bed's database.

use tokio_postgres::Client;

use crate::bed::Bed;
use crate::sql::text;

/// The condition that a backend of `pg_stat_activity` is the worker of the current database.
pub const IS_WORKER: &str = "backend_type = 'workos_auth worker' and datname = current_database()";

/// The process of the worker of this connection's database, if it runs.
pub async fn worker(client: &Client) -> Option<i32> {
    let sql = format!("select pid from pg_stat_activity where {IS_WORKER}");
    text(client, &sql).await.unwrap().map(|pid| pid.parse().unwrap())
}

impl Bed<'_> {
    /// Waits until the worker runs; its process.
    pub async fn has_worker(&self) -> i32 {
        self.until(&format!("exists (select from pg_stat_activity where {IS_WORKER})")).await;
        worker(&self.admin).await.unwrap()
    }

    /// Ends the worker's process. Postgres starts another one after some seconds, which begins with every task.
    pub async fn ends_worker(&self) -> i32 {
        let pid = self.has_worker().await;
        self.admin.execute("select pg_terminate_backend($1)", &[&pid]).await.unwrap();
        pid
    }

    /// Waits until this holds of a task's row in `auth.worker_status`.
    pub async fn until_task(&self, task: &str, condition: &str) {
        self.until(&format!("exists (select from auth.worker_status where task = '{task}' and {condition})")).await;
    }
}
