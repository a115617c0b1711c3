//! Texts that name something, and are compared exactly.

/// The longest name, audience, client id or `sub`, in bytes.
pub(super) const MAX_TEXT: usize = 500;

/// Whether it is one: what looks alike is the same.
pub(super) fn is_visible(text: &str) -> bool {
    (1..=MAX_TEXT).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
