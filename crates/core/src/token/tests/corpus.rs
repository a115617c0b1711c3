//! What the fuzzer found worth keeping, through the same properties as there (`fuzz/`).

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use properties::Seen;

use crate::{error, json, token};

#[path = "../../../fuzz/src/properties/mod.rs"]
mod properties;

/// Runs a corpus; says how often each end was seen.
fn replay(target: &str, property: fn(&[u8]) -> Seen) -> BTreeMap<String, usize> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let (mut ends, mut broken) = (BTreeMap::new(), vec![]);
    for entry in fs::read_dir(&folder).expect("a corpus") {
        let path = entry.unwrap().path();
        let input = fs::read(&path).unwrap();
        match std::panic::catch_unwind(|| property(&input)) {
            Ok(end) => *ends.entry(format!("{end:?}")).or_default() += 1,
            Err(_) => broken.push(path),
        }
    }
    assert!(broken.is_empty(), "the properties of {target} do not hold for {broken:#?}");
    ends
}

/// The corpus reaches all of these ends.
fn reached(ends: &BTreeMap<String, usize>, wanted: &[&str]) {
    for end in wanted {
        assert!(ends.contains_key(*end), "{end} is missing: {ends:?}");
    }
}

#[test]
fn tokens() {
    let ends = replay("token", properties::token);
    let refused = ["Key", "Algorithm", "Signature", "Issuer", "Audience", "Expired", "NotYetValid"];
    let refused: Vec<String> = refused.iter().map(|code| format!("Refused(BadJwt{code})")).collect();
    reached(&ends, &refused.iter().map(String::as_str).collect::<Vec<_>>());
    reached(&ends, &["Good", "Malformed", "Refused(BadJwt)"]);
}

#[test]
fn headers() {
    let ends = replay("header", properties::header);
    reached(&ends, &["Malformed", "Refused(BadJwtKey)", "Refused(BadJwtAlgorithm)", "Refused(BadJwtSignature)"]);
}

#[test]
fn claims() {
    let ends = replay("claims", properties::claims);
    reached(&ends, &["Good", "Refused(BadJwt)", "Refused(BadJwtIssuer)", "Refused(BadJwtAudience)"]);
    reached(&ends, &["Refused(BadJwtExpired)", "Refused(BadJwtNotYetValid)"]);
}

/// Each of these has a good signature of the key; some are good, and some must be refused all the same.
#[test]
fn whatever_was_signed() {
    let mut good = 0;
    for line in include_str!("../../../fuzz/signed_tokens.txt").lines() {
        let seen = properties::token(line.as_bytes());
        assert_ne!(seen, Seen::Refused(error::ErrorCode::BadJwtSignature));
        good += usize::from(seen == Seen::Good);
    }
    assert!(good >= 10, "{good}");
}
