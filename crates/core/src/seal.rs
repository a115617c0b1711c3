//! Sealing secrets: a root key outside the database wraps random data keys, and they seal what stands in the tables.
//!
//! | layer | how |
//! |---|---|
//! | root key | 32 random bytes in a file or behind a program; only ever the input of HKDF-SHA256 (RFC 5869) |
//! | wrapping key | HKDF(root key, salt = installation id, info = label, purpose, key id) |
//! | data key | 32 random bytes, one per purpose and id; only ever the input of HKDF-SHA256 |
//! | sealed value | AES-256-GCM-SIV (RFC 8452) under a random nonce, bound to the place where it stands |
//!
//! GCM-SIV rather than GCM: a restored virtual machine may repeat its random numbers, and a repeated nonce then tells
//! no more than that two plaintexts are equal.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use data_encoding::HEXLOWER_PERMISSIVE;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode, Result};
use crate::random;
use crate::secret::SecretBytes;

/// The first byte of everything sealed; it names the format `version ‖ nonce ‖ ciphertext ‖ tag`.
const VERSION: u8 = 1;
/// Bytes of a root key and of a data key.
const KEY_LEN: usize = 32;

/// Characters of a key in hexadecimal digits.
const HEX_LEN: usize = 2 * KEY_LEN;

const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, ANY_PADDING);
const BASE64_URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, ANY_PADDING);

type KeyBytes = Zeroizing<[u8; KEY_LEN]>;

/// The key that wraps data keys. It is kept outside the database, in a file or behind a command.
pub struct RootKey(KeyBytes);

impl RootKey {
    /// Takes what the key file holds.
    ///
    /// # Errors
    /// `root_key_malformed` unless these are exactly 32 bytes, not all of them the same (a file of zeros is no key).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let malformed = |detail: String| Error::with_detail(ErrorCode::RootKeyMalformed, detail);
        let key: [u8; KEY_LEN] =
            bytes.try_into().map_err(|_| malformed(format!("The root key has {} bytes.", bytes.len())))?;
        let key = Zeroizing::new(key);
        if key.iter().all(|byte| *byte == key[0]) {
            return Err(malformed("All bytes of the root key are the same.".into()));
        }
        Ok(Self(key))
    }

    /// Takes what a program printed: 32 bytes as they are, or as base64 (RFC 4648, either alphabet, with or without padding) or
    /// hexadecimal digits with white space around them.
    ///
    /// # Errors
    /// `root_key_command_malformed`. So are 32 visible characters: a password or a message, and no key.
    pub fn from_output(output: &[u8]) -> Result<Self> {
        let malformed = |detail: String| Error::with_detail(ErrorCode::RootKeyCommandMalformed, detail);
        let text = output.trim_ascii();
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let is_key = match text.len() {
            _ if output.len() == KEY_LEN => {
                key.copy_from_slice(output);
                !output.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
            }
            HEX_LEN => HEXLOWER_PERMISSIVE.decode_mut(text, &mut *key).is_ok(),
            _ => [BASE64, BASE64_URL].iter().any(|engine| decodes(engine, text, &mut key)),
        };
        if !is_key {
            return Err(malformed(format!("It printed {} bytes, which are no key.", output.len())));
        }
        Self::from_bytes(&*key).map_err(|error| malformed(error.detail().unwrap_or_default().to_owned()))
    }

    /// 32 fresh random bytes, to be written into a key file.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn generate() -> Result<SecretBytes> {
        Ok(SecretBytes::new(random_key()?.to_vec()))
    }

    /// The key that wraps one data key of one installation.
    fn wrapping_key(&self, purpose: Purpose, id: u32, installation: Uuid) -> Result<KeyBytes> {
        let info = framed(&[b"workos_auth data key v1", purpose.as_str().as_bytes(), &id.to_be_bytes()]);
        expand(&hkdf::Salt::new(hkdf::HKDF_SHA256, installation.as_bytes()).extract(&*self.0), &info)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey([redacted])")
    }
}

/// What a data key is for. A value sealed for one purpose never opens for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// WorkOS's API key in `auth.providers`.
    ClientSecret,
    /// Private keys in `auth.signing_keys`.
    SigningKey,
    /// PKCE verifiers, brokered answers and the questions of AuthKit in `auth.flow_states`, and the tokens in `auth.authkit_tokens`.
    FlowVerifier,
    /// The tags of refresh tokens; such a key makes MACs and seals nothing.
    RefreshToken,
}

impl Purpose {
    /// All of them.
    pub const ALL: &'static [Purpose] =
        &[Purpose::ClientSecret, Purpose::SigningKey, Purpose::FlowVerifier, Purpose::RefreshToken];

    /// The name in `auth.data_keys`; it is part of what is authenticated and so never changes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Purpose::ClientSecret => "client_secret",
            Purpose::SigningKey => "signing_key",
            Purpose::FlowVerifier => "flow_verifier",
            Purpose::RefreshToken => "refresh_token",
        }
    }

    /// The purpose of that name.
    ///
    /// # Errors
    /// `unexpected_failure`: names come from our own table, which checks them.
    pub fn parse(name: &str) -> Result<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|purpose| purpose.as_str() == name)
            .ok_or_else(|| Error::with_detail(ErrorCode::Unexpected, "The purpose of a data key is not known."))
    }
}

/// Where a sealed value stands. It opens nowhere else, so a row cannot be given another row's secret.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The table's name, without schema.
    pub table: &'a str,
    /// The column's name.
    pub column: &'a str,
    /// The row's primary key: the bytes of its uuid or text.
    pub row: &'a [u8],
    /// Other columns that must not change under the secret: for the client secret `client_id` and `api_url`, lest
    /// the secret be sent to somebody else's server.
    pub bound: &'a [&'a str],
}

/// A key that seals, or makes MACs, for one purpose.
pub struct DataKey {
    purpose: Purpose,
    id: u32,
    key: KeyBytes,
    // Derived, so that one key never serves two algorithms.
    sealing: KeyBytes,
    mac: KeyBytes,
}

impl DataKey {
    /// A fresh random key; `id` is its primary key in `auth.data_keys`.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn generate(purpose: Purpose, id: u32) -> Result<Self> {
        Self::from_key(purpose, id, random_key()?)
    }

    pub(crate) fn from_key(purpose: Purpose, id: u32, key: KeyBytes) -> Result<Self> {
        let prk = hkdf::Prk::new_less_safe(hkdf::HKDF_SHA256, &*key);
        let sealing = expand(&prk, &framed(&[b"workos_auth seal v1", purpose.as_str().as_bytes()]))?;
        let mac = expand(&prk, &framed(&[b"workos_auth mac v1", purpose.as_str().as_bytes()]))?;
        Ok(Self { purpose, id, key, sealing, mac })
    }

    /// The key's id in `auth.data_keys`.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// What the key is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The key, sealed under the root key for one installation: 61 bytes.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn wrap(&self, root: &RootKey, installation: Uuid) -> Result<Vec<u8>> {
        let wrapping = root.wrapping_key(self.purpose, self.id, installation)?;
        encrypt(&wrapping, &wrapping_aad(self.purpose, self.id, installation), &*self.key)
    }

    /// Opens what [`DataKey::wrap`] made.
    ///
    /// # Errors
    /// `root_key_mismatch`: another root key, purpose, id or installation, or altered bytes. Which of them cannot be
    /// told apart, and the first is by far the likeliest.
    pub fn unwrap(wrapped: &[u8], purpose: Purpose, id: u32, root: &RootKey, installation: Uuid) -> Result<DataKey> {
        let mismatch = || {
            let detail = format!("Data key {id} ({}) does not open for installation {installation}.", purpose.as_str());
            Error::with_detail(ErrorCode::RootKeyMismatch, detail)
        };
        let wrapping = root.wrapping_key(purpose, id, installation)?;
        let plain = decrypt(&wrapping, &wrapping_aad(purpose, id, installation), wrapped).ok_or_else(mismatch)?;
        let key: [u8; KEY_LEN] = plain.expose().try_into().map_err(|_| mismatch())?;
        Self::from_key(purpose, id, Zeroizing::new(key))
    }

    /// Seals a value for one place. The same value sealed twice gives different bytes, 29 more than the plaintext.
    ///
    /// # Errors
    /// `unexpected_failure` if the system has no randomness to give.
    pub fn seal(&self, place: &Place<'_>, plaintext: &[u8]) -> Result<Vec<u8>> {
        encrypt(&self.sealing, &self.place_aad(place), plaintext)
    }

    /// Opens what [`DataKey::seal`] made for the same place.
    ///
    /// # Errors
    /// `seal_broken` if a byte of the value, its place or what it is bound to differs.
    pub fn open(&self, place: &Place<'_>, sealed: &[u8]) -> Result<SecretBytes> {
        decrypt(&self.sealing, &self.place_aad(place), sealed).ok_or_else(|| {
            let Place { table, column, .. } = place;
            Error::with_detail(
                ErrorCode::SealBroken,
                format!("{column} of {table} does not open with key {}.", self.id),
            )
        })
    }

    /// HMAC-SHA256 (RFC 2104) over the parts, each behind its length, under a key derived from this one.
    ///
    /// It is for refresh tokens. A key of another purpose gives MACs of its own that agree with nobody's, and
    /// [`crate::refresh_token::mint`] refuses it.
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &*self.mac), &framed(parts));
        let mut mac = [0; 32];
        mac.copy_from_slice(tag.as_ref());
        mac
    }

    fn place_aad(&self, place: &Place<'_>) -> Vec<u8> {
        let id = self.id.to_be_bytes();
        let Place { table, column, row, bound } = place;
        let mut parts: Vec<&[u8]> =
            vec![self.purpose.as_str().as_bytes(), table.as_bytes(), column.as_bytes(), row, &id];
        parts.extend(bound.iter().map(|value| value.as_bytes()));
        framed(&parts)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({}, {}, [redacted])", self.purpose.as_str(), self.id)
    }
}

fn wrapping_aad(purpose: Purpose, id: u32, installation: Uuid) -> Vec<u8> {
    framed(&[b"workos_auth data key v1", purpose.as_str().as_bytes(), &id.to_be_bytes(), installation.as_bytes()])
}

/// The parts, each behind its length as u64 big-endian, so that no two lists of parts give the same bytes.
fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::with_capacity(parts.iter().map(|part| 8 + part.len()).sum());
    for part in parts {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

/// Whether a text is a key in this base64, which then stands in `key`.
fn decodes(engine: &GeneralPurpose, text: &[u8], key: &mut KeyBytes) -> bool {
    // The engine wants room for whatever a text of this length could be.
    let mut bytes = Zeroizing::new([0; KEY_LEN + 4]);
    match engine.decode_slice(text, &mut *bytes) {
        Ok(KEY_LEN) => {
            key.copy_from_slice(&bytes[..KEY_LEN]);
            true
        }
        _ => false,
    }
}

fn random_key() -> Result<KeyBytes> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    random::fill(&mut *key)?;
    Ok(key)
}

fn expand(prk: &hkdf::Prk, info: &[u8]) -> Result<KeyBytes> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    prk.expand(&[info], hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut *key))
        .map_err(|_| failed("no key could be derived"))?;
    Ok(key)
}

fn encrypt(key: &KeyBytes, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>> {
    // Room for the tag, lest the buffer move and leave a copy of the plaintext behind.
    let mut body = Zeroizing::new(Vec::with_capacity(plaintext.len() + AES_256_GCM_SIV.tag_len()));
    body.extend_from_slice(plaintext);
    let nonce = RandomizedNonceKey::new(&AES_256_GCM_SIV, &**key)
        .and_then(|key| key.seal_in_place_append_tag(Aad::from(aad), &mut *body))
        .map_err(|_| failed("sealing failed"))?;
    Ok([&[VERSION][..], nonce.as_ref(), body.as_slice()].concat())
}

fn decrypt(key: &KeyBytes, aad: &[u8], sealed: &[u8]) -> Option<SecretBytes> {
    let (version, rest) = sealed.split_first()?;
    let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
    if *version != VERSION {
        return None;
    }
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = Zeroizing::new(body.to_vec());
    let key = RandomizedNonceKey::new(&AES_256_GCM_SIV, &**key).ok()?;
    let length = key.open_in_place(nonce, Aad::from(aad), &mut body).ok()?.len();
    body.truncate(length);
    Some(SecretBytes::new(std::mem::take(&mut *body)))
}

fn failed(what: &str) -> Error {
    Error::with_detail(ErrorCode::Unexpected, format!("Cryptography: {what}."))
}

#[cfg(test)]
mod tests;
