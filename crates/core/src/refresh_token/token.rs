//! Refresh tokens: `base64url(version ‖ key id ‖ session id ‖ counter ‖ tag)`.
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

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::refusal::RefreshRefusal;
use crate::error::{Error, ErrorCode, Result};
use crate::seal::{DataKey, Purpose};
use crate::secret::RefreshToken;

const VERSION: u8 = 1;
const LABEL: &[u8] = b"workos_auth refresh token v1";
/// What the tag covers: version, key id, session id, counter.
const PARTS_LEN: usize = 29;
/// 128 bits, as much as a session id.
const TAG_LEN: usize = 16;
/// A multiple of three: the text is 60 characters, and the last one has no unused bits that could be set otherwise.
const TOKEN_LEN: usize = PARTS_LEN + TAG_LEN;

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
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [&[VERSION], &self.key_id.to_be_bytes()[..], self.session_id.as_bytes(), &self.counter.to_be_bytes()].concat()
    }

    /// The other way round; `None` for another version.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[version], bytes) = bytes.split_first_chunk::<1>()?;
        let (key_id, bytes) = bytes.split_first_chunk::<4>()?;
        let (session_id, bytes) = bytes.split_first_chunk::<16>()?;
        let (counter, _) = bytes.split_first_chunk::<8>()?;
        (version == VERSION).then(|| Self {
            key_id: u32::from_be_bytes(*key_id),
            session_id: Uuid::from_bytes(*session_id),
            counter: u64::from_be_bytes(*counter),
        })
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
    let tag = tag(key, installation, salt, &token);
    token.extend_from_slice(&*tag);
    let token = Zeroizing::new(token);
    Ok(RefreshToken::new(URL_SAFE_NO_PAD.encode(&*token)))
}

pub(super) fn tag(key: &DataKey, installation: Uuid, salt: &[u8; 16], parts: &[u8]) -> Zeroizing<[u8; TAG_LEN]> {
    let mac = Zeroizing::new(key.mac(&[LABEL, installation.as_bytes(), parts, salt]));
    let mut tag = Zeroizing::new([0; TAG_LEN]);
    tag.copy_from_slice(&mac[..TAG_LEN]);
    tag
}

/// A refresh token that has the form of one and is vouched for by nobody yet.
///
/// It shows what is needed to check it, and not its counter.
pub struct Presented {
    bytes: Zeroizing<[u8; TOKEN_LEN]>,
    parts: Parts,
}

impl Presented {
    /// Reads a token: base64url without padding, exactly as it was issued.
    ///
    /// # Errors
    /// `validation_failed` for the argument `refresh_token`; the detail holds nothing of the token.
    pub fn parse(token: &RefreshToken) -> Result<Self> {
        let malformed = || Error::invalid("refresh_token", "It is not a refresh token of this extension.");
        let mut bytes = Zeroizing::new([0; TOKEN_LEN]);
        // This engine takes no padding, no other alphabet and no more than fits, and drops no character.
        let Ok(TOKEN_LEN) = URL_SAFE_NO_PAD.decode_slice(token.expose(), &mut *bytes) else {
            return Err(malformed());
        };
        let parts = Parts::from_bytes(&*bytes).ok_or_else(malformed)?;
        Ok(Self { bytes, parts })
    }

    /// The session that it claims to refresh: the row to read.
    pub fn session_id(&self) -> Uuid {
        self.parts.session_id
    }

    /// The data key that it claims to be made with: the key to load, of [`Purpose::RefreshToken`]. It may be another
    /// than the row's, which is the one that new tokens are made with.
    pub fn key_id(&self) -> u32 {
        self.parts.key_id
    }

    /// Checks the tag, in constant time, under the salt of the session's row.
    ///
    /// # Errors
    /// [`RefreshRefusal::NotFound`] if another key, installation, salt or server made it, or it was altered: which of them
    /// is nobody's business. The same answer belongs to a session without a row, one without a salt (it was opened
    /// without a refresh token), and a key that is not there.
    pub fn authenticate(
        self,
        key: &DataKey,
        installation: Uuid,
        salt: &[u8; 16],
    ) -> std::result::Result<Authentic, RefreshRefusal> {
        if key.purpose() != Purpose::RefreshToken || key.id() != self.parts.key_id {
            return Err(RefreshRefusal::NotFound);
        }
        let (parts, presented) = self.bytes.split_at(PARTS_LEN);
        let wanted = tag(key, installation, salt, parts);
        verify_slices_are_equal(presented, &*wanted).map_err(|_| RefreshRefusal::NotFound)?;
        Ok(Authentic(self.parts))
    }
}

impl fmt::Debug for Presented {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Presented([redacted])")
    }
}

/// What a token says whose tag was checked: this installation issued it for this session, some time.
pub struct Authentic(pub(super) Parts);

impl Authentic {
    /// The session that it was issued for.
    pub fn session_id(&self) -> Uuid {
        self.0.session_id
    }

    /// How many times the session had been refreshed when it was issued. For the audit log; [`decide`](super::decide) compares it.
    pub fn counter(&self) -> u64 {
        self.0.counter
    }
}

impl fmt::Debug for Authentic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authentic([redacted])")
    }
}
