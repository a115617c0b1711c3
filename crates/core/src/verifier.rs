//! A database that verifies what another one signs: whether what logical replication has brought is new enough to be believed.
//!
//! What is not there must not open a door. Where the link is down, a session that was ended elsewhere would go on here. So the issuer sends
//! heartbeats through the same link, and readers refuse what no recent one vouches for.

use std::time::Duration;

use crate::{Error, ErrorCode, Result};

/// How much older than the last heartbeat a token must be for its missing session to count as ended. A sign-in whose transaction takes longer
/// than this, from the statement that signs to its COMMIT, is refused until its session arrives.
pub const MARGIN: Duration = Duration::from_secs(10);

/// The last heartbeat that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// when the issuer sent it, in microseconds
    pub sent_at: i64,
    /// no heartbeat before it is missing
    pub is_whole: bool,
}

/// Whether a subscription feeds a verifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feed {
    /// It feeds every table, and has copied them.
    Whole,
    /// Some table is still being copied, or it does not feed all, or was changed since.
    Partial,
    /// It does, a database that was not made a verifier.
    Uncalled,
    /// There is none.
    Absent,
}

/// What a verifier believes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// who feeds it
    pub feed: Feed,
    /// the last heartbeat
    pub heartbeat: Option<Heartbeat>,
}

/// What mends a verifier that lost something.
const COPY_ANEW: &str =
    "Trying again does not help: a superuser copies everything anew, as an administrator's auth.check() says.";

/// `verifier_stale`
pub fn stale(why: &str) -> Error {
    Error::with_detail(ErrorCode::VerifierStale, why)
}

/// `verifier_stale`: the issuer has never been heard.
pub fn without_heartbeat() -> Error {
    stale("No heartbeat has arrived: the issuer sends none, or the role of the subscription's connection has no BYPASSRLS.")
        .hint(COPY_ANEW)
}

/// Refuses what may be old. `now` counts as [`Heartbeat::sent_at`] does.
///
/// # Errors
/// `verifier_stale`.
pub fn require_fresh(link: Link, now: i64, max_lag: Duration) -> Result<()> {
    match link.feed {
        Feed::Whole => {}
        Feed::Partial => {
            return Err(stale(
                "The issuer's subscription is still copying, or it does not feed every table, or it was changed since.",
            )
            .hint("Try again when the copy is complete. An administrator's auth.check() says what holds it up."));
        }
        Feed::Uncalled => {
            return Err(
                stale("A subscription feeds this database, and auth.become_verifier() was not called.").hint(COPY_ANEW)
            );
        }
        Feed::Absent => {
            return Err(stale("No subscription feeds this database with what this issuer signs.")
                .hint("A superuser runs CREATE SUBSCRIPTION, as an administrator's auth.check() says."));
        }
    }
    let heartbeat = link.heartbeat.ok_or_else(without_heartbeat)?;
    if !heartbeat.is_whole {
        let why =
            "Heartbeats are missing: changes were lost between the issuer and this database, and do not come again.";
        return Err(stale(why).hint(COPY_ANEW));
    }
    let max_lag = i64::try_from(max_lag.as_micros()).unwrap_or(i64::MAX);
    if now.abs_diff(heartbeat.sent_at) > max_lag.unsigned_abs() {
        return Err(stale(match heartbeat.sent_at > now {
            true => {
                "The last heartbeat comes from the future: the clocks of the two servers differ by more than workos_auth.max_replication_lag."
            }
            false => "The last heartbeat is older than workos_auth.max_replication_lag.",
        }));
    }
    Ok(())
}

/// Whether a session that is not there has ended, and is not merely on its way. Times are seconds. `known_since` is when all sessions that there
/// were had arrived, by the verifier's own clock: of those that began before, one that is missing has ended.
pub fn has_ended(issued_at: i64, heartbeat_sent_at: i64, was_here: bool, known_since: Option<i64>) -> bool {
    let margin = i64::try_from(MARGIN.as_secs()).unwrap_or(i64::MAX);
    was_here
        || known_since.is_some_and(|known_since| issued_at <= known_since.saturating_add(margin))
        || issued_at < heartbeat_sent_at.saturating_sub(margin)
}

#[cfg(test)]
#[path = "verifier/tests.rs"]
mod tests;
