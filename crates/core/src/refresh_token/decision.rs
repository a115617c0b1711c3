//! What becomes of a session when one of its refresh tokens is presented.
//!
//! First the limits, in this order; none of them is theft, since nothing is left to steal:
//!
//! | | the session's row | decision |
//! |---|---|---|
//! | 1 | its user is deleted | refused, [`RefreshRefusal::UserDeleted`] |
//! | 2 | its user is banned until later than now | refused, [`RefreshRefusal::UserBanned`] |
//! | 3 | `not_after` is now or before | refused, [`RefreshRefusal::Expired`] |
//! | 4 | the idle timeout has run since the last sign of life | refused, [`RefreshRefusal::Idle`] |
//! | 5 | one session a person, and a newer one is there | refused, [`RefreshRefusal::Superseded`] |
//!
//! Then the counter of the token against the row's. "Within" is less than the reuse interval from the last rotation,
//! before it or after; a row that was never rotated is never within.
//!
//! | | presented counter | | decision | written |
//! |---|---|---|---|---|
//! | 6 | equal | | [`RefreshDecision::Rotate`] | counter + 1, `refreshed_at` |
//! | 7 | one behind | within | [`RefreshDecision::Again`]: the current token | nothing |
//! | 8 | one behind | later, counted for this counter already | [`RefreshDecision::Again`] | nothing |
//! | 9 | one behind | later, the first or second in a row | [`RefreshDecision::Recover`]: the current token | `recoveries`, `recovered_counter`, `recovered_at` |
//! | 10 | one behind | later, the third in a row | [`RefreshDecision::Theft`], [`Theft::Recoveries`] | the session ends |
//! | 11 | further behind | within, or up to half a minute after | [`RefreshDecision::Conflict`]; the session lives | nothing |
//! | 12 | further behind | later still | [`RefreshDecision::Theft`], [`Theft::Stale`] | the session ends |
//! | 13 | ahead | | [`RefreshDecision::HistoryLost`], audited | counter = presented + 1, `refreshed_at` |
//! | 14 | equal or ahead, and no larger counter fits the column | | refused, [`RefreshRefusal::Exhausted`] | nothing |
//!
//! Why so:
//!
//! - Of two parties with one token, in step, one rotates and the other comes one behind: every counter then has its
//!   recovery. A person whose answer was lost recovers once and goes on. "In a row" is for counters that follow each
//!   other: recoveries at 7 and 8 are two, at 7 and 9 they are one and one. So a rotation at a counter without a
//!   recovery resets the count, and need not write that: [`SessionRow::recovered_counter`] tells.
//! - A thief who always comes within the interval of the other's rotation rides along unseen, which is its price; the
//!   first time he is late, or first, begins the count.
//! - Two behind is never an answer that was lost: whoever rotated twice had the token between.
//! - Who is told of a conflict tries again, with the same token for a while: Supabase's client for JavaScript does so for 30 s. That must
//!   not turn into theft under it, and gives nothing to whoever presents an old token meanwhile.
//! - Staleness does not heal: counters only rise. So [`RefreshDecision::Theft`], [`RefreshDecision::Conflict`] and
//!   [`RefreshDecision::Again`] stand without a lock on the row. What writes is decided again on the locked row, for another
//!   transaction may have been faster.
//! - The clock may go back (a corrected clock, a promoted standby's): up to the interval that counts as within, lest
//!   tabs of one browser be taken for thieves; a rotation further in the future counts as long ago, so that a wrong
//!   clock switches the detection off for no longer than that.
//! - An interval of zero is off: every second comer is a recovery.
//! - After lost history nobody can tell an ancient token from the newest. Whichever comes first is believed, and the
//!   other one is ahead, one behind or further behind in its turn: detection goes on from there.
//! - A `claims_version` that rose is no reason to refuse: a refresh is how a token becomes current.
//! - Whatever the row holds, by hand or by accident, there is a decision and no panic. A negative counter is behind
//!   every token.

use std::time::Duration;

use super::refusal::RefreshRefusal;
use super::token::Authentic;

/// For so long after the reuse interval a token that was replaced twice is refused, and is no theft yet.
const RETRIES: Duration = Duration::from_secs(30);
/// So many recoveries in a row are theft.
const RECOVERIES_OF_A_THIEF: i16 = 3;

/// A point in time: microseconds since whatever epoch, the same for all; a `timestamptz` as Postgres holds it, with
/// its infinities at the ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// Less than `span` apart, in either direction.
    fn is_within(self, span: Duration, now: Self) -> bool {
        u128::from(self.0.abs_diff(now.0)) < span.as_micros()
    }

    /// Whether `span` has passed since.
    fn is_over(self, span: Duration, now: Self) -> bool {
        now >= self && !self.is_within(span, now)
    }
}

/// What the decision needs of the session's row and its user's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionRow {
    /// `refresh_token_counter`.
    pub counter: i64,
    /// `created_at`.
    pub created_at: Moment,
    /// `refreshed_at`: the last rotation, if there was one.
    pub refreshed_at: Option<Moment>,
    /// `recoveries`: how many were counted in a row, up to [`SessionRow::recovered_counter`].
    pub recoveries: i16,
    /// `recovered_counter`: the counter that the last recovery was counted for.
    pub recovered_counter: Option<i64>,
    /// `recovered_at`: when that was.
    pub recovered_at: Option<Moment>,
    /// `not_after`: the end that was set when the session began; none for a session without one.
    pub not_after: Option<Moment>,
    /// `users.banned_until`.
    pub banned_until: Option<Moment>,
    /// Whether `users.deleted_at` is set.
    pub deleted: bool,
    /// Whether the database allows one session a person and a newer one of this person is there.
    pub superseded: bool,
}

/// The settings that the decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshLimits {
    /// `workos_auth.refresh_reuse_interval`; zero is off.
    pub reuse_interval: Duration,
    /// `workos_auth.session_idle_timeout`; `None` is off.
    pub idle_timeout: Option<Duration>,
}

/// What to do with a session whose token was presented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshDecision {
    /// Write the counter and `refreshed_at`; issue its token.
    Rotate {
        /// The new counter.
        counter: u64,
    },
    /// Write nothing; issue the current token again.
    Again {
        /// The row's counter.
        counter: u64,
    },
    /// Issue the current token again, and write `recoveries`, `recovered_counter` (this counter) and `recovered_at`;
    /// `refreshed_at` stays.
    Recover {
        /// The row's counter.
        counter: u64,
        /// How many in a row, this one included.
        recoveries: i16,
    },
    /// Refuse with `conflict`; the session lives. The caller's newer token is on its way to it.
    Conflict,
    /// End the session, whatever becomes of the transaction; refuse with `refresh_token_already_used`; audited.
    Theft(Theft),
    /// The row forgot refreshes that happened: write the counter and `refreshed_at`, issue its token; audited.
    HistoryLost {
        /// The new counter.
        counter: u64,
    },
    /// Refuse; nothing is written.
    Refused(RefreshRefusal),
}

impl RefreshDecision {
    /// The counter of the token to issue; `None` where none is issued.
    pub fn issues(self) -> Option<u64> {
        match self {
            Self::Rotate { counter }
            | Self::Again { counter }
            | Self::Recover { counter, .. }
            | Self::HistoryLost { counter } => Some(counter),
            Self::Conflict | Self::Theft(_) | Self::Refused(_) => None,
        }
    }

    /// Whether the row is written, so that it must be locked and the decision taken again.
    pub fn writes(self) -> bool {
        matches!(self, Self::Rotate { .. } | Self::Recover { .. } | Self::HistoryLost { .. })
    }
}

/// What gave a thief away; for the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theft {
    /// A token that was replaced twice.
    Stale,
    /// Two parties in step: the third recovery in a row.
    Recoveries,
}

impl Theft {
    /// As it stands in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::Recoveries => "recoveries",
        }
    }

    /// The other way round.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Stale, Self::Recoveries].into_iter().find(|theft| theft.as_str() == text)
    }
}

/// Decides by the tables of this module. `row` is the row of [`Authentic::session_id`], `now` the clock rather than
/// the start of a transaction, read after the row.
pub fn decide(token: &Authentic, row: &SessionRow, limits: &RefreshLimits, now: Moment) -> RefreshDecision {
    if let Some(refusal) = limit_reached(row, limits, now) {
        return RefreshDecision::Refused(refusal);
    }
    match u64::try_from(row.counter) {
        Ok(counter) if token.counter() < counter => behind(token.counter(), counter, row, limits, now),
        current => {
            // The column is a bigint: no other counter was ever issued.
            let next = token.counter().checked_add(1).filter(|next| i64::try_from(*next).is_ok());
            match next {
                None => RefreshDecision::Refused(RefreshRefusal::Exhausted),
                Some(counter) if current == Ok(token.counter()) => RefreshDecision::Rotate { counter },
                Some(counter) => RefreshDecision::HistoryLost { counter },
            }
        }
    }
}

/// Rows 1 to 5.
fn limit_reached(row: &SessionRow, limits: &RefreshLimits, now: Moment) -> Option<RefreshRefusal> {
    let alive = [row.refreshed_at, row.recovered_at].into_iter().flatten().fold(row.created_at, Moment::max);
    if row.deleted {
        Some(RefreshRefusal::UserDeleted)
    } else if row.banned_until.is_some_and(|until| until > now) {
        Some(RefreshRefusal::UserBanned)
    } else if row.not_after.is_some_and(|end| end <= now) {
        Some(RefreshRefusal::Expired)
    } else if limits.idle_timeout.is_some_and(|timeout| alive.is_over(timeout, now)) {
        Some(RefreshRefusal::Idle)
    } else {
        row.superseded.then(|| RefreshRefusal::Superseded)
    }
}

/// Rows 7 to 12: the token was replaced.
fn behind(presented: u64, counter: u64, row: &SessionRow, limits: &RefreshLimits, now: Moment) -> RefreshDecision {
    let within = |span| row.refreshed_at.is_some_and(|rotated| rotated.is_within(span, now));
    // An interval of zero is off: nobody is expected to be late.
    let retries = if limits.reuse_interval.is_zero() { Duration::ZERO } else { RETRIES };
    match counter - presented {
        1 if within(limits.reuse_interval) => RefreshDecision::Again { counter },
        1 => recovery(counter, row),
        _ if within(limits.reuse_interval.saturating_add(retries)) => RefreshDecision::Conflict,
        _ => RefreshDecision::Theft(Theft::Stale),
    }
}

/// Rows 8 to 10.
fn recovery(counter: u64, row: &SessionRow) -> RefreshDecision {
    let before = match row.recovered_counter {
        Some(last) if last == row.counter => return RefreshDecision::Again { counter },
        Some(last) if last.checked_add(1) == Some(row.counter) => row.recoveries.max(0),
        _ => 0,
    };
    let recoveries = before.saturating_add(1);
    if recoveries < RECOVERIES_OF_A_THIEF {
        RefreshDecision::Recover { counter, recoveries }
    } else {
        RefreshDecision::Theft(Theft::Recoveries)
    }
}
