//! A refresh token that somebody presents: whose session it is of, and what comes of it by the rules of `core::refresh_token`.

use serde_json::json;
use workos_auth_core::refresh_token::{
    Authentic, Moment, Presented, RefreshDecision, RefreshLimits, RefreshRefusal, SessionRow, decide,
};
use workos_auth_core::secret::RefreshToken;
use workos_auth_core::{Error, ErrorCode, Result};

use super::theft;
use crate::audit::audit;
use crate::installation::{self, Installation};
use crate::postgres::clock::now;
use crate::postgres::transaction::require_writable;
use crate::store::RequestClient;
use crate::store::sessions::{self, StoredSession};
use crate::{secrets, settings};

/// A refresh token of this database, and its session as it was when it was last read.
pub struct Presentation {
    /// which database it is
    pub installation: Installation,
    /// the session
    pub row: StoredSession,
    token: Authentic,
}

impl Presentation {
    /// Finds the session. Locks nothing.
    ///
    /// # Errors
    /// `read_only` before anything else; `null_value`, `validation_failed` for what is no refresh token; `refresh_token_not_found`,
    /// `verifier_only`, `installation_is_a_copy`.
    pub fn of(token: Option<&RefreshToken>) -> Result<Self> {
        require_writable()?;
        let presented = Presented::parse(token.ok_or_else(|| Error::null("refresh_token"))?)?;
        let row = sessions::find(presented.session_id())?.ok_or_else(not_found)?;
        // Before it is taken for stolen: in a copy, its tokens are those of the other.
        let installation = installation::minting()?;
        let salt = row.refresh_key.as_ref().ok_or_else(not_found)?.salt;
        let key = secrets::refresh_token_key(presented.key_id())?.ok_or_else(not_found)?;
        let token = presented.authenticate(&key, installation.id, &salt).map_err(refused)?;
        Ok(Self { installation, row, token })
    }

    /// The same with the session as it is now.
    ///
    /// # Errors
    /// `refresh_token_not_found` where it has ended.
    pub fn read_again(self) -> Result<Self> {
        Ok(Self { row: sessions::find(self.row.id)?.ok_or_else(not_found)?, ..self })
    }

    /// What is to be done. A session that was stolen ends.
    ///
    /// # Errors
    /// `refresh_token_already_used`, `conflict`, `user_banned`, `user_deleted`, `session_expired`, `session_idle`, `session_superseded`,
    /// `session_exhausted`
    pub fn decide(&self, client: &RequestClient) -> Result<RefreshDecision> {
        let limits = RefreshLimits {
            reuse_interval: settings::refresh_reuse_interval(),
            idle_timeout: settings::session_idle_timeout(),
        };
        match decide(&self.token, &seen(&self.row, &limits)?, &limits, Moment(now())) {
            RefreshDecision::Conflict => Err(conflict()),
            RefreshDecision::Refused(refusal) => Err(refused(refusal)),
            RefreshDecision::Theft(theft) => {
                theft::end_session(&self.row, theft, self.token.counter(), client);
                Err(ErrorCode::RefreshTokenAlreadyUsed.into())
            }
            decision => Ok(decision),
        }
    }

    /// Does it; says which counter the next refresh token has. `None` if the row is no longer what it was when it was read.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn carry_out(&self, decision: &RefreshDecision, client: &RequestClient) -> Result<Option<u64>> {
        let is_current = match decision {
            RefreshDecision::Rotate { counter } | RefreshDecision::HistoryLost { counter } => {
                sessions::rotate(&self.row, signed(*counter), client)?
            }
            RefreshDecision::Recover { recoveries, .. } => sessions::recover(&self.row, *recoveries)?,
            _ => true,
        };
        let Some(counter) = decision.issues().filter(|_| is_current) else { return Ok(None) };
        write_audit(decision, &self.token, &self.row, client)?;
        Ok(Some(counter))
    }
}

/// A verifier knows none.
fn not_found() -> Error {
    installation::refuse_verifier().err().unwrap_or_else(|| Error::new(ErrorCode::RefreshTokenNotFound))
}

/// What is out of the ordinary. A rotation is not: it writes one row, and no other.
fn write_audit(
    decision: &RefreshDecision,
    token: &Authentic,
    row: &StoredSession,
    client: &RequestClient,
) -> Result<()> {
    let (action, recoveries) = match decision {
        RefreshDecision::Recover { recoveries, .. } => ("token_reused", Some(recoveries)),
        RefreshDecision::HistoryLost { .. } => ("token_history_lost", None),
        _ => return Ok(()),
    };
    let subject = row.subject().with_client(client);
    audit(
        action,
        &subject,
        json!({ "presented": token.counter(), "current": row.refreshing.counter, "recoveries": recoveries }),
    )
}

fn seen(row: &StoredSession, limits: &RefreshLimits) -> Result<SessionRow> {
    let state = &row.refreshing;
    let moment = |at: Option<i64>| at.map(Moment);
    Ok(SessionRow {
        counter: state.counter,
        created_at: Moment(state.created_at),
        refreshed_at: moment(state.refreshed_at),
        recoveries: state.recoveries,
        recovered_counter: state.recovered_counter,
        recovered_at: moment(state.recovered_at),
        not_after: moment(state.not_after),
        banned_until: moment(row.user.banned_until),
        deleted: row.user.is_deleted,
        superseded: settings::single_session_per_user() && sessions::is_superseded(row, limits.idle_timeout)?,
    })
}

/// As the column has it: `decide` gives no other.
pub fn signed(counter: u64) -> i64 {
    i64::try_from(counter).unwrap_or(i64::MAX)
}

fn refused(refusal: RefreshRefusal) -> Error {
    match refusal {
        RefreshRefusal::NotFound => ErrorCode::RefreshTokenNotFound,
        RefreshRefusal::UserDeleted => ErrorCode::UserDeleted,
        RefreshRefusal::UserBanned => ErrorCode::UserBanned,
        RefreshRefusal::Expired => ErrorCode::SessionExpired,
        RefreshRefusal::Idle => ErrorCode::SessionIdle,
        RefreshRefusal::Superseded => ErrorCode::SessionSuperseded,
        RefreshRefusal::Exhausted => ErrorCode::SessionExhausted,
    }
    .into()
}

fn conflict() -> Error {
    let detail = "The refresh token was replaced twice within workos_auth.refresh_reuse_interval; the session lives.";
    Error::with_detail(ErrorCode::Conflict, detail)
        .hint("Use the newest refresh token that was answered: another tab has it.")
}
