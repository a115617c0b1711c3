//! Work that commits as it goes: in a procedure, and in the background worker.
//!
//! While it waits for others it holds neither lock nor snapshot, and VACUUM goes on.

use pgrx::prelude::*;
use workos_auth_core::{Error, ErrorCode, Result};

use super::setting::{self, Lifetime};
use crate::error::unexpected;

/// The transactions that follow each other around the code that is running.
pub enum Transactions {
    /// Those of a CALL that no other transaction is around.
    OfCall,
    /// Those of the background worker.
    OfWorker,
}

impl Transactions {
    /// Of the procedure that was called so. A procedure with SECURITY DEFINER or SET cannot commit.
    ///
    /// # Errors
    /// `active_transaction`
    pub fn of_call(call: pg_sys::FunctionCallInfo) -> Result<Self> {
        // SAFETY: Postgres's own call; its context is a node, or NULL.
        let may_commit = unsafe {
            let context = (*call).context;
            !context.is_null()
                && (*context).type_ == pg_sys::NodeTag::T_CallContext
                && !(*context.cast::<pg_sys::CallContext>()).atomic
                // A block with EXCEPTION.
                && pg_sys::GetCurrentTransactionNestLevel() == 1
        };
        match may_commit {
            true => Ok(Self::OfCall),
            false => Err(Error::new(ErrorCode::InTransaction)),
        }
    }

    /// Commits what was done, runs `f` in a transaction without a snapshot, and takes one: what is done afterwards sees what is committed
    /// by then.
    ///
    /// # Errors
    /// `unexpected_failure`. Postgres raises its own where a commit fails.
    pub fn apart<T>(&self, f: impl FnOnce() -> T) -> Result<T> {
        self.commit()?;
        let value = f();
        // SAFETY: in the transaction that the commit has begun.
        unsafe {
            match self {
                Self::OfCall => pg_sys::EnsurePortalSnapshotExists(),
                Self::OfWorker => pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot()),
            }
        }
        Ok(value)
    }

    fn commit(&self) -> Result<()> {
        // SAFETY: the order of PL/pgSQL's COMMIT (pl_exec.c), with a connection of its own; and that of worker_spi, whose snapshot the
        // worker's transaction has pushed.
        unsafe {
            match self {
                Self::OfCall => {
                    if pg_sys::SPI_connect_ext(pg_sys::SPI_OPT_NONATOMIC.cast_signed()) < 0 {
                        return Err(unexpected("SPI has no connection."));
                    }
                    pg_sys::SPI_commit();
                    pg_sys::SPI_finish();
                    // Whatever the client's own transactions are: the next one is to see what others have committed.
                    setting::set(c"transaction_isolation", c"read committed", Lifetime::Transaction);
                }
                Self::OfWorker => {
                    pg_sys::PopActiveSnapshot();
                    pg_sys::CommitTransactionCommand();
                    pg_sys::SetCurrentStatementStartTimestamp();
                    pg_sys::StartTransactionCommand();
                }
            }
        }
        Ok(())
    }
}
