//! Dates of WorkOS.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A moment, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    /// `2026-01-15T12:00:00.000Z` (RFC 3339), or `2023-04-28 20:05:31.093`, as the sample of WorkOS's documentation has it: in UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let mut text = text.replacen(' ', "T", 1);
        let has_zone = text.ends_with(['Z', 'z']) || text.get(19..).is_some_and(|rest| rest.contains(['+', '-']));
        if !has_zone {
            text.push('Z');
        }
        let nanoseconds = OffsetDateTime::parse(&text, &Rfc3339).ok()?.unix_timestamp_nanos();
        i64::try_from(nanoseconds.div_euclid(1000)).ok().map(Self)
    }
}
