//! Ids and secrets that nobody guesses.

use uuid::Uuid;

use crate::clock::Timestamp;

const CROCKFORD: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// 244 random bits behind a prefix.
pub(crate) fn random(prefix: &str) -> String {
    format!("{prefix}{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// An id as WorkOS makes them: a prefix and a ULID, which begins with the time.
pub(crate) fn id(prefix: &str, now: Timestamp) -> String {
    let time = now.millis().unsigned_abs() & ((1 << 48) - 1);
    let bits = (time << 80) | (Uuid::new_v4().as_u128() >> 48);
    let digits = (0..26).rev().map(|digit| char::from(CROCKFORD[(bits >> (digit * 5) & 31) as usize]));
    prefix.chars().chain(digits).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn ids_sort_by_their_time() {
        let early = Timestamp::parse("2026-01-15T12:00:00.000Z").unwrap();
        let ids = [id("org_", early), id("org_", early.plus_seconds(1))];
        assert!(ids[0] < ids[1]);
        assert_eq!(ids[0].len(), 30);
        assert!(ids[0].starts_with("org_01"));
        assert_ne!(ids[0], id("org_", early));
    }
}
