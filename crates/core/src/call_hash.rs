//! What a call is known by: the SHA-256 of its arguments, which may be secrets, and of which nothing is copied.

use std::hash::{Hash, Hasher};

use aws_lc_rs::digest::{Context, SHA256};

struct Sha256(Context);

impl Hasher for Sha256 {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Eight bytes of it; [`of`] takes all.
    fn finish(&self) -> u64 {
        let digest = self.0.clone().finish();
        digest.as_ref().first_chunk().map_or(0, |first| u64::from_be_bytes(*first))
    }
}

/// The hash of a value, by what `Hash` says of it. Good within this process.
pub fn of(value: &impl Hash) -> [u8; 32] {
    let mut hasher = Sha256(Context::new(&SHA256));
    value.hash(&mut hasher);
    let mut hash = [0; 32];
    hash.copy_from_slice(hasher.0.finish().as_ref());
    hash
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_calls_are_alike() {
        let calls: [(Option<&str>, Option<&str>); 7] = [
            (None, None),
            (Some(""), None),
            (None, Some("")),
            (Some("ab"), Some("c")),
            (Some("a"), Some("bc")),
            (Some("abc"), Some("")),
            (Some("abc"), None),
        ];
        assert_eq!(calls.map(|call| of(&call)).into_iter().collect::<HashSet<_>>().len(), calls.len());
        assert_eq!(of(&("a", 1)), of(&("a".to_owned(), 1)));
    }

    #[test]
    fn the_bytes_are_hashed_as_they_are() {
        assert_eq!(of(&b'a')[..4], [0xca, 0x97, 0x81, 0x12]);
    }
}
