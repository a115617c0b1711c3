//! What a token is known by before anybody has looked into it.

use aws_lc_rs::digest::{Digest, SHA256, digest};

/// What somebody says is a token, and the hash that it is known by.
pub struct Hashed<'a> {
    pub(crate) text: &'a str,
    pub(crate) signed: Digest,
    pub(crate) hash: [u8; 32],
}

impl<'a> Hashed<'a> {
    /// Hashes a text.
    pub fn new(text: &'a str) -> Self {
        let (signed, signature) = text.split_at(text.rfind('.').unwrap_or(text.len()));
        let signed = digest(&SHA256, signed.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, &[signed.as_ref(), signature.as_bytes()].concat()).as_ref());
        Self { text, signed, hash }
    }

    /// SHA-256 of two things: the SHA-256 that the signature is over, and the signature with the dot before it. No two texts are known
    /// to have the same, and a token need not be hashed twice.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}
