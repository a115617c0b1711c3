#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::HashSet;
use std::time::Duration;

use aws_lc_rs::{hkdf, hmac};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::token::tag;
use super::*;
use crate::error::{ErrorCode, Result};
use crate::seal::{DataKey, Purpose};
use crate::secret::RefreshToken;

mod agreement;
mod decision;
mod model;

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

fn presented(text: &str) -> Result<Presented> {
    Presented::parse(&RefreshToken::new(text.to_owned()))
}

/// A token of these bytes, with a tag that fits them.
fn tagged(parts: &[u8]) -> String {
    let tag = tag(&key(9, PARTS.key_id), INSTALLATION, &SALT, parts);
    URL_SAFE_NO_PAD.encode([parts, &*tag].concat())
}

fn good() -> String {
    mint(&key(9, PARTS.key_id), INSTALLATION, &SALT, &PARTS).unwrap().expose().to_owned()
}

/// Whether the text passes the first two gates.
fn passes(text: &str) -> bool {
    presented(text).is_ok_and(|token| token.authenticate(&key(9, PARTS.key_id), INSTALLATION, &SALT).is_ok())
}

/// Clients keep tokens for days: a new release must read them.
#[test]
fn a_token_of_the_first_release_is_still_read() {
    assert_eq!(good(), "AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJR");
    assert!(passes("AQECAwSqqru7AAAAAAAAAAAAAAAAESIzRFVmd4gEAl3aovn4-ffZnBc-hRJR"));
}

#[test]
fn what_is_no_token_is_refused_without_a_word_of_it() {
    let good = good();
    let of_version = |version: u8| tagged(&[&[version], &PARTS.to_bytes()[1..]].concat());
    assert_eq!(of_version(1), good);
    for (text, why) in [
        (String::new(), "empty"),
        (good[..59].to_owned(), "cut off"),
        (good[..56].to_owned(), "cut off at a group"),
        (format!("{good}A"), "too long"),
        (format!("{good}AAAA"), "a group too long"),
        (format!("{good}=="), "padding"),
        (format!("{}=", &good[..59]), "padding instead of the last character"),
        (format!("{}==", &good[..58]), "padding instead of the last two"),
        (format!("{}+", &good[..59]), "the other alphabet"),
        (format!("{}/", &good[..59]), "the other alphabet"),
        (format!(" {}", &good[..59]), "a blank"),
        (format!("{good}\n"), "a newline"),
        (format!("{}\n{}", &good[..30], &good[31..]), "a newline inside"),
        (format!("{}\0", &good[..59]), "NUL"),
        (format!("{}é", &good[..58]), "60 bytes that are no 60 characters"),
        ("é".repeat(30), "60 bytes without a single right one"),
        (format!("Bearer {good}"), "with its scheme"),
        ("eyJhbGciOiJFUzI1NiJ9.e30.c2ln".to_owned(), "an access token"),
        (of_version(0), "version 0, well tagged"),
        (of_version(2), "version 2, well tagged"),
        (of_version(255), "version 255, well tagged"),
    ] {
        let error = presented(&text).expect_err(why);
        assert_eq!(error.code(), ErrorCode::InvalidArgument, "{why}");
        let wanted = "The argument refresh_token cannot be used: It is not a refresh token of this extension.";
        assert_eq!(error.detail(), Some(wanted), "{why}");
    }
}

#[test]
fn every_single_bit_counts() {
    let bytes = URL_SAFE_NO_PAD.decode(good()).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut altered = bytes.clone();
        altered[bit / 8] ^= 1 << (bit % 8);
        assert!(!passes(&URL_SAFE_NO_PAD.encode(altered)), "bit {bit}");
    }
}

/// Two texts of one token would be told apart by whoever keeps them, and not by us.
#[test]
fn no_other_text_is_the_same_token() {
    let good = good();
    assert!(passes(&good));
    for at in 0..good.len() {
        for byte in 0..128_u8 {
            let mut altered = good.clone().into_bytes();
            if altered[at] != byte {
                altered[at] = byte;
                assert!(!passes(std::str::from_utf8(&altered).unwrap()), "character {at} as {byte}");
            }
        }
    }
}

#[test]
fn only_the_same_key_installation_and_salt_vouch_for_it() {
    let check = |key: &DataKey, installation: Uuid, salt: &[u8; 16]| {
        presented(&good()).unwrap().authenticate(key, installation, salt).map(|token| token.counter())
    };
    let own = key(9, PARTS.key_id);
    assert_eq!(check(&own, INSTALLATION, &SALT), Ok(PARTS.counter));
    assert_eq!(check(&key(8, PARTS.key_id), INSTALLATION, &SALT), Err(RefreshRefusal::NotFound));
    assert_eq!(check(&key(9, 1), INSTALLATION, &SALT), Err(RefreshRefusal::NotFound));
    assert_eq!(check(&own, Uuid::nil(), &SALT), Err(RefreshRefusal::NotFound));
    assert_eq!(check(&own, INSTALLATION, &[0; 16]), Err(RefreshRefusal::NotFound));
    for purpose in Purpose::ALL.iter().filter(|purpose| **purpose != Purpose::RefreshToken) {
        let other = DataKey::from_key(*purpose, PARTS.key_id, Zeroizing::new([9; 32])).unwrap();
        assert_eq!(check(&other, INSTALLATION, &SALT), Err(RefreshRefusal::NotFound), "{purpose:?}");
    }
}

/// Not even under a key that some mistake made tokens with: `mint` refuses such a key, and so does the reader.
#[test]
fn a_key_of_another_purpose_vouches_for_nothing() {
    for purpose in Purpose::ALL.iter().filter(|purpose| **purpose != Purpose::RefreshToken) {
        let key = DataKey::from_key(*purpose, PARTS.key_id, Zeroizing::new([9; 32])).unwrap();
        let tag = tag(&key, INSTALLATION, &SALT, &PARTS.to_bytes());
        let text = URL_SAFE_NO_PAD.encode([&PARTS.to_bytes(), &tag[..]].concat());
        let token = presented(&text).unwrap();
        assert_eq!(token.authenticate(&key, INSTALLATION, &SALT).unwrap_err(), RefreshRefusal::NotFound);
    }
}

#[test]
fn nothing_of_a_token_is_printed() {
    let token = presented(&good()).unwrap();
    assert_eq!(format!("{token:?}"), "Presented([redacted])");
    let token = token.authenticate(&key(9, PARTS.key_id), INSTALLATION, &SALT).unwrap();
    assert_eq!(format!("{token:?}"), "Authentic([redacted])");
}

proptest! {
    #[test]
    fn what_was_minted_is_read_again(key_id: u32, session: u128, counter: u64, salt: [u8; 16], installation: u128) {
        let (key, installation) = (key(7, key_id), Uuid::from_u128(installation));
        let parts = Parts { key_id, session_id: Uuid::from_u128(session), counter };
        let token = Presented::parse(&mint(&key, installation, &salt, &parts).unwrap()).unwrap();
        prop_assert_eq!((token.key_id(), token.session_id()), (key_id, parts.session_id));
        let token = token.authenticate(&key, installation, &salt).unwrap();
        prop_assert_eq!((token.session_id(), token.counter()), (parts.session_id, counter));
    }

    #[test]
    fn reading_never_panics(text in prop_oneof![any::<String>(), "[A-Za-z0-9_-]{60}", "AQ[A-Za-z0-9_-]{58}", "\\PC{20,60}"]) {
        prop_assert!(!passes(&text));
    }
}
