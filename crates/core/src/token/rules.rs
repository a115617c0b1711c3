//! What the claims of every token are compared with.

use crate::error::{ErrorCode, Result};

/// Seconds by which `nbf` and `iat` may lie ahead, for clocks that differ. `exp` has none.
pub(crate) const LEEWAY: i64 = 5;

/// What a token is compared with.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// `iss`, compared exactly.
    pub issuer: &'a str,
    /// What `aud` must be or hold.
    pub audience: &'a str,
    /// Seconds since the epoch.
    pub now: i64,
    /// For how many seconds after its `exp` a token still counts: none, but where it may only end its session.
    pub expired_for: i64,
}

impl Rules<'_> {
    /// Compares what every token says.
    pub(super) fn compare(&self, iss: &str, aud: &[String], exp: i64, iat: i64, nbf: Option<i64>) -> Result<()> {
        let latest = self.now.saturating_add(LEEWAY);
        if iss != self.issuer {
            Err(ErrorCode::BadJwtIssuer.into())
        } else if !aud.iter().any(|aud| aud == self.audience) {
            Err(ErrorCode::BadJwtAudience.into())
        } else if exp.saturating_add(self.expired_for) <= self.now {
            Err(ErrorCode::BadJwtExpired.into())
        } else if iat > latest || nbf.is_some_and(|nbf| nbf > latest) {
            Err(ErrorCode::BadJwtNotYetValid.into())
        } else {
            Ok(())
        }
    }
}
