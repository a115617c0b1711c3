//! Snapshots: what is seen of the tables, and whether two of them see the same.

use pgrx::prelude::*;

/// Whether the transaction keeps one snapshot to its end: REPEATABLE READ and SERIALIZABLE.
pub fn uses_one_snapshot() -> bool {
    // SAFETY: reads a global of the backend.
    unsafe { pg_sys::XactIsoLevel >= pg_sys::XACT_REPEATABLE_READ.cast_signed() }
}

/// Tells whether two fresh snapshots see the same. Where two stamps of one backend are equal, so is all that is read: no transaction that writes has ended
/// in between, anywhere in the cluster, and this one has written nothing. Postgres itself uses a snapshot again for that reason
/// (`GetSnapshotDataReuse`, procarray.c; "Interlocking Transaction Begin, Transaction End, and Snapshots" of transam/README).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotStamp {
    /// transactions with a number that have ended since the server began
    ended: u64,
    /// commands of this transaction that have written
    command: pg_sys::CommandId,
}

impl SnapshotStamp {
    /// That of a fresh snapshot. `None` where it cannot be told: in a parallel query, whose processes share a snapshot, and before the
    /// transaction has one, which would be its first.
    pub fn now() -> Option<Self> {
        // SAFETY: in a transaction, as every SQL function is; the snapshot is Postgres's own, and read before it takes the next one.
        unsafe {
            if pg_sys::IsInParallelMode() || !pg_sys::FirstSnapshotSet {
                return None;
            }
            let snapshot = pg_sys::GetLatestSnapshot().as_ref()?;
            let ended = snapshot.snapXactCompletionCount;
            (ended != 0).then(|| Self { ended, command: snapshot.curcid })
        }
    }
}

/// What is seen of the tables. For rows of several tables that must agree.
pub struct Snapshot(pg_sys::Snapshot);

// Registered, so that it lasts until it is dropped; an error's clean-up drops it too, before the resource owner that counts it ends.
impl Snapshot {
    /// As Postgres knows it, as long as this lasts.
    pub fn as_ptr(&self) -> pg_sys::Snapshot {
        self.0
    }

    /// What is committed now, and what this transaction has written, whatever its isolation level is. Not in a parallel query, whose
    /// processes share a snapshot.
    pub fn now() -> Self {
        // SAFETY: in a transaction, as every SQL function is.
        Self(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetLatestSnapshot()) })
    }

    /// What a statement of `store::query` would see: under REPEATABLE READ and SERIALIZABLE, what the transaction sees.
    pub fn of_transaction() -> Self {
        // SAFETY: as above.
        Self(unsafe { pg_sys::RegisterSnapshot(pg_sys::GetTransactionSnapshot()) })
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        // SAFETY: registered when it was made, once.
        unsafe { pg_sys::UnregisterSnapshot(self.0) };
    }
}
