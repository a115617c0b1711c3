//! Something that is done while a statement of another connection stands still.

use crate::bed::Bed;

/// SQL that stands still until [`Bed::meanwhile`] has done what it was to do.
pub const STAND_STILL: &str = "pg_advisory_xact_lock_shared(4711)";

const HOLD: &str = "select pg_advisory_lock(4711)";
const LET_GO: &str = "select pg_advisory_unlock(4711)";
const STANDS: &str = "exists (select from pg_locks where locktype = 'advisory' and not granted
    and database = (select oid from pg_database where datname = current_database()))";

impl Bed<'_> {
    /// Runs `statement`, which calls [`STAND_STILL`] once; while it stands there, does `act`. Returns what the statement
    /// came to. One at a time in a database.
    pub async fn meanwhile<T>(&self, statement: impl Future<Output = T>, act: impl Future<Output = ()>) -> T {
        let holder = self.superuser().await;
        holder.batch_execute(HOLD).await.unwrap();
        let acting = async {
            self.until(STANDS).await;
            act.await;
            holder.batch_execute(LET_GO).await.unwrap();
        };
        tokio::join!(statement, acting).0
    }
}
