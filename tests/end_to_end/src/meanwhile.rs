//! Something that is done while a statement of another connection stands still.

use std::time::Duration;

use tokio_postgres::Client;

use crate::bed::Bed;
use crate::sql::text;

/// SQL that stands still until [`Bed::meanwhile`] has done what it was to do.
pub const STAND_STILL: &str = "pg_advisory_xact_lock_shared(4711)";

const HOLD: &str = "select pg_advisory_lock(4711)";
const LET_GO: &str = "select pg_advisory_unlock(4711)";
const STANDING: &str = "select count(*) from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database())";

impl Bed<'_> {
    /// Runs `statement`, which calls [`STAND_STILL`] once; while it stands there, does `act`. Returns what the statement
    /// came to. One at a time in a database.
    pub async fn meanwhile<T>(&self, statement: impl Future<Output = T>, act: impl Future<Output = ()>) -> T {
        let holder = self.superuser().await;
        holder.batch_execute(HOLD).await.unwrap();
        let acting = async {
            wait_until_one_stands(&holder).await;
            act.await;
            holder.batch_execute(LET_GO).await.unwrap();
        };
        tokio::join!(statement, acting).0
    }
}

async fn wait_until_one_stands(client: &Client) {
    for _ in 0..1_000 {
        if text(client, STANDING).await.unwrap().as_deref() == Some("1") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing stands still");
}
