//! The names of locks that everybody may see: of an address, a profile or a session, keyed, so that a guess cannot be confirmed.

use aws_lc_rs::hmac;

/// 64 bits of HMAC-SHA256 under the key, over the kind of the lock and what it is about.
pub fn of(key: &[u8], kind: u16, about: &[u8]) -> [u32; 2] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(&kind.to_be_bytes());
    context.update(about);
    let tag = context.sign();
    let word = |at: usize| tag.as_ref().get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes);
    [word(0), word(4)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_depends_on_key_kind_and_subject() {
        let name = of(b"key", 9, b"email ann@acme.com");
        assert_eq!(name, of(b"key", 9, b"email ann@acme.com"));
        assert_ne!(name, of(b"other", 9, b"email ann@acme.com"));
        assert_ne!(name, of(b"key", 8, b"email ann@acme.com"));
        assert_ne!(name, of(b"key", 9, b"email bob@acme.com"));
    }
}
