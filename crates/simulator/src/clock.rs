//! The simulator's clock, and the dates of WorkOS's answers.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::{datetime, format_description};
use time::{Duration as Span, OffsetDateTime};

/// `2026-01-15T12:00:00.000Z`, as everywhere in WorkOS's OpenAPI file.
const ISO: &[BorrowedFormatItem] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// `2023-04-28 20:05:31.093`, as in the sample event of WorkOS's documentation.
const SPACED: &[BorrowedFormatItem] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]");

/// Real time, and how far a test has put it forward.
#[derive(Debug)]
pub(crate) struct Clock {
    started: Instant,
    advanced: Duration,
}

/// A moment in UTC, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Timestamp(OffsetDateTime);

impl Default for Clock {
    fn default() -> Self {
        Self { started: Instant::now(), advanced: Duration::ZERO }
    }
}

impl Clock {
    /// Puts the clock forward.
    pub fn advance(&mut self, by: Duration) {
        self.advanced = self.advanced.saturating_add(by);
    }

    /// The time, counted from the start.
    pub fn now(&self) -> Duration {
        self.started.elapsed().saturating_add(self.advanced)
    }

    /// The time since 1970.
    pub fn since_1970(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_add(self.advanced)
    }

    /// The time of day.
    pub fn timestamp(&self) -> Timestamp {
        Timestamp::from_millis(self.since_1970().as_millis())
    }
}

impl Timestamp {
    /// When everything of the seed was made.
    pub const SEEDED: Self = Self(datetime!(2026-01-01 0:00 UTC));

    fn from_millis(millis: u128) -> Self {
        let moment = i128::try_from(millis).ok().and_then(|millis| millis.checked_mul(1_000_000));
        let moment = moment.and_then(|nanos| OffsetDateTime::from_unix_timestamp_nanos(nanos).ok());
        Self(moment.unwrap_or(OffsetDateTime::UNIX_EPOCH))
    }

    /// A date with `Z`: "timezone offsets such as +00:00 are not accepted" (WorkOS's SDKs).
    pub fn parse(text: &str) -> Option<Self> {
        text.ends_with('Z').then(|| OffsetDateTime::parse(text, &Rfc3339).ok().map(Self))?
    }

    /// Later, or earlier.
    pub fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(Span::seconds(seconds)))
    }

    /// Milliseconds since 1970.
    pub fn millis(self) -> i128 {
        self.0.unix_timestamp_nanos() / 1_000_000
    }

    /// With T and Z.
    pub fn iso(self) -> String {
        self.0.format(ISO).unwrap_or_default()
    }

    /// With a space, and no zone.
    pub fn spaced(self) -> String {
        self.0.format(SPACED).unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.iso())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn dates_are_written_in_both_ways_and_read_with_z() {
        let moment = Timestamp::parse("2026-01-15T12:00:00.5Z").unwrap();
        assert_eq!(moment.iso(), "2026-01-15T12:00:00.500Z");
        assert_eq!(moment.spaced(), "2026-01-15 12:00:00.500");
        assert_eq!(Timestamp::from_millis(moment.millis().unsigned_abs()), moment);
        assert_eq!(moment.plus_seconds(-1).iso(), "2026-01-15T11:59:59.500Z");
        for wrong in ["", "Z", "2026-01-15", "2026-01-15T12:00:00+00:00", "2026-01-15 12:00:00.000"] {
            assert_eq!(Timestamp::parse(wrong), None, "{wrong}");
        }
    }
}
