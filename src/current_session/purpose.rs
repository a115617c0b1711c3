//! What a token is shown for, and when.

use pgrx::prelude::*;

use crate::postgres::clock::unix_seconds;
use crate::settings;

/// What a token is shown for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To act as the person: it says what the person's rights are now.
    Acting,
    /// To see or change one's own account, of which the tables tell: it may be older than the person's rights.
    OwnAccount,
    /// To sign out: the session is there. The token may be older than the person's rights, and may have expired, by less than a session
    /// lasts. Clients take a refusal for a session that has ended, and it would go on.
    SigningOut,
}

/// For how many seconds after its `exp` a token still counts.
pub fn expired_for(purpose: Purpose) -> i64 {
    match purpose {
        Purpose::Acting | Purpose::OwnAccount => 0,
        Purpose::SigningOut => i64::try_from(settings::session_ttl().as_secs()).unwrap_or(i64::MAX),
    }
}

/// Seconds since 1970: the later of the statement's and the transaction's start.
pub fn now() -> i64 {
    // SAFETY: reads of the backend's own state.
    let micros =
        unsafe { pg_sys::GetCurrentStatementStartTimestamp().max(pg_sys::GetCurrentTransactionStartTimestamp()) };
    unix_seconds(micros)
}
