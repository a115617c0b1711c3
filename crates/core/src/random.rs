//! Randomness, from the one crypto provider, seeded by the operating system.

use uuid::{Builder, Uuid};

use crate::error::{Error, ErrorCode, Result};

/// Fills a buffer with random bytes.
///
/// # Errors
/// `unexpected_failure` where the operating system has no randomness.
pub fn fill(bytes: &mut [u8]) -> Result<()> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| Error::with_detail(ErrorCode::Unexpected, "There is no randomness."))
}

/// `N` random bytes.
///
/// # Errors
/// As [`fill`].
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

/// A random UUID (RFC 9562, version 4).
///
/// # Errors
/// As [`fill`].
pub fn uuid() -> Result<Uuid> {
    Ok(Builder::from_random_bytes(bytes()?).into_uuid())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn uuids_are_version_4_and_differ() {
        let (a, b) = (uuid().unwrap(), uuid().unwrap());
        assert_eq!(a.get_version_num(), 4);
        assert_ne!(a, b);
    }
}
