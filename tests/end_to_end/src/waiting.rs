//! Waiting for what is bound to come, and no longer than it takes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::bed::Bed;

/// What is bound to come may take this long on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Seconds since 1970.
pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs().try_into().unwrap()
}

/// Waits until this second is over. The times of a token (`exp`, `iat`) are whole seconds.
pub async fn pass(second: i64) {
    while now() <= second {
        tokio::time::sleep(POLL).await;
    }
}

impl Bed<'_> {
    /// Waits until this SQL condition is true for the superuser, over a connection of its own: a transaction would go on seeing what it saw.
    pub async fn until(&self, condition: &str) {
        let watcher = self.superuser().await;
        let deadline = Instant::now() + PATIENCE;
        while !watcher.query_one(&format!("select {condition}"), &[]).await.unwrap().get::<_, bool>(0) {
            assert!(Instant::now() < deadline, "it never comes to this: {condition}");
            tokio::time::sleep(POLL).await;
        }
    }

    /// Waits until so many backends of the database wait for a lock.
    pub async fn until_waiting(&self, how_many: i64) {
        let waiting =
            "(select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')";
        self.until(&format!("{waiting} = {how_many}")).await;
    }
}
