//! The background worker of a bed's database.

use std::time::{Duration, Instant};

use tokio_postgres::Client;

use crate::bed::Bed;
use crate::sql::text;

/// The condition that a backend of `pg_stat_activity` is the worker of the current database.
pub const IS_WORKER: &str = "backend_type = 'workos_auth worker' and datname = current_database()";

/// What the worker does may take this long: it comes back after 10 seconds, and hears of a wish after 30.
const PATIENCE: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);

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
        let deadline = Instant::now() + PATIENCE;
        let sql =
            format!("select coalesce({condition}, false), s::text from auth.worker_status as s where task = '{task}'");
        loop {
            let row = self.admin.query_opt(&sql, &[]).await.unwrap();
            if row.as_ref().is_some_and(|row| row.get(0)) {
                return;
            }
            let said = row.map(|row| row.get::<_, String>(1));
            assert!(
                Instant::now() < deadline,
                "it never comes to this of {task}: {condition}\n{said:?}\n{}",
                self.log()
            );
            tokio::time::sleep(POLL).await;
        }
    }
}
