//! The form of a refresh token: `base64url(version ‖ key id ‖ session id ‖ counter ‖ tag)`.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 4 | id of the data key, big-endian |
//! | 16 | session id |
//! | 8 | counter, big-endian |
//! | 16 | the first half of an HMAC-SHA256 |
//!
//! Nothing of it is stored but the counter and the session's salt: a refresh updates one row and inserts none.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use crate::error::{Error, ErrorCode, Result};
use crate::seal::{DataKey, Purpose};
use crate::secret::RefreshToken;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"workos_auth refresh token v1";
/// 128 bits, as much as a session id.
const TAG_LEN: usize = 16;

/// What a refresh token says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The data key that the tag was made with.
    pub key_id: u32,
    /// The session to refresh.
    pub session_id: Uuid,
    /// How many times the session was refreshed before.
    pub counter: u64,
}

impl Parts {
    /// What the tag covers besides the installation and the salt.
    fn to_bytes(self) -> Vec<u8> {
        [&[VERSION], &self.key_id.to_be_bytes()[..], self.session_id.as_bytes(), &self.counter.to_be_bytes()].concat()
    }
}

/// Makes a refresh token: 60 characters.
///
/// `salt` is the session's own random salt: the key alone, without the session's row, makes no token. A clone of the
/// database has another `installation`, and its tokens are strangers.
///
/// # Errors
/// `unexpected_failure` if the key is for another purpose or has another id than the parts say.
pub fn mint(key: &DataKey, installation: Uuid, salt: &[u8; 16], parts: &Parts) -> Result<RefreshToken> {
    if key.purpose() != Purpose::RefreshToken || key.id() != parts.key_id {
        return Err(Error::with_detail(ErrorCode::Unexpected, "The data key is not the refresh token's."));
    }
    let mut token = parts.to_bytes();
    let mac = key.mac(&[LABEL, installation.as_bytes(), &token, salt]);
    token.extend_from_slice(&mac[..TAG_LEN]);
    Ok(RefreshToken::new(URL_SAFE_NO_PAD.encode(token)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::collections::HashSet;

    use aws_lc_rs::{hkdf, hmac};
    use zeroize::Zeroizing;

    use super::*;

    const INSTALLATION: Uuid = Uuid::from_u128(0x1f3c_0000_0000_4000_8000_0000_0000_0001);
    const SALT: [u8; 16] = *b"0123456789abcdef";
    const PARTS: Parts =
        Parts { key_id: 0x0102_0304, session_id: Uuid::from_u128(0xaaaa_bbbb << 96), counter: 0x1122_3344_5566_7788 };

    fn key(byte: u8, id: u32) -> DataKey {
        DataKey::from_key(Purpose::RefreshToken, id, Zeroizing::new([byte; 32])).unwrap()
    }

    fn minted(key: &DataKey, installation: Uuid, salt: &[u8; 16], parts: &Parts) -> Vec<u8> {
        let token = mint(key, installation, salt, parts).unwrap();
        assert_eq!(token.expose().len(), 60);
        URL_SAFE_NO_PAD.decode(token.expose()).unwrap()
    }

    /// Each part behind its length as u64, big-endian.
    fn framed(parts: &[&[u8]]) -> Vec<u8> {
        parts.iter().flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
    }

    #[test]
    fn the_bytes_are_the_documented_ones() {
        let mut wanted = vec![1, 1, 2, 3, 4];
        wanted.extend([0xaa, 0xaa, 0xbb, 0xbb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        wanted.extend([0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88]);
        // The tag with aws-lc-rs alone.
        let mut mac_key = [0; 32];
        hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &[9; 32])
            .expand(&[&framed(&[b"workos_auth mac v1", b"refresh_token"])], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut mac_key))
            .unwrap();
        let message = framed(&[b"workos_auth refresh token v1", INSTALLATION.as_bytes(), &wanted, &SALT]);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key), &message);
        wanted.extend(&tag.as_ref()[..16]);
        assert_eq!(minted(&key(9, PARTS.key_id), INSTALLATION, &SALT, &PARTS), wanted);
    }

    #[test]
    fn the_tag_depends_on_everything() {
        let other = Parts { key_id: 1, ..PARTS };
        let tokens = [
            minted(&key(9, PARTS.key_id), INSTALLATION, &SALT, &PARTS),
            minted(&key(8, PARTS.key_id), INSTALLATION, &SALT, &PARTS),
            minted(&key(9, PARTS.key_id), Uuid::nil(), &SALT, &PARTS),
            minted(&key(9, PARTS.key_id), INSTALLATION, &[0; 16], &PARTS),
            minted(&key(9, 1), INSTALLATION, &SALT, &other),
            minted(&key(9, PARTS.key_id), INSTALLATION, &SALT, &Parts { counter: 0, ..PARTS }),
            minted(&key(9, PARTS.key_id), INSTALLATION, &SALT, &Parts { session_id: Uuid::nil(), ..PARTS }),
        ];
        let tags: HashSet<&[u8]> = tokens.iter().map(|token| &token[29..]).collect();
        assert_eq!(tags.len(), tokens.len());
    }

    #[test]
    fn only_the_right_key_mints() {
        let refused = |key: &DataKey| mint(key, INSTALLATION, &SALT, &PARTS).unwrap_err().code();
        assert_eq!(refused(&key(9, 5)), ErrorCode::Unexpected);
        for purpose in Purpose::ALL.iter().filter(|purpose| **purpose != Purpose::RefreshToken) {
            assert_eq!(refused(&DataKey::generate(*purpose, PARTS.key_id).unwrap()), ErrorCode::Unexpected);
        }
    }
}
