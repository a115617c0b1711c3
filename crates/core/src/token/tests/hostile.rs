//! No text but the token itself is taken for it, and none makes the code panic.

use proptest::prelude::*;

use super::*;

#[test]
fn every_change_of_one_character_is_refused() {
    let signer = Signer::new();
    let token = signer.0.sign(&payload().to_string()).unwrap().0;
    let token = token.expose();
    assert!(signer.check(token).is_ok());
    for at in 0..token.len() {
        for with in ["A", "B", "z", "0", "-", "_", ".", "=", " ", "+", "é", "\0", ""] {
            let bent = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            assert!(bent == token || signer.check(&bent).is_err(), "character {at}, {with:?}");
        }
    }
}

proptest! {
    #[test]
    fn no_string_panics_or_passes(text in any::<String>(), parts in prop::collection::vec("[A-Za-z0-9_-]{0,80}", 0..5)) {
        let signer = Signer::new();
        prop_assert!(signer.check(&text).is_err());
        prop_assert!(signer.check(&parts.join(".")).is_err());
    }

    #[test]
    fn no_signed_payload_panics(header in any::<String>(), payload in any::<String>()) {
        let signer = Signer::new();
        prop_assert!(signer.claims(&payload).is_err());
        prop_assert!(signer.check(&signer.sign(&header, &payload)).is_err());
    }

    #[test]
    fn no_bent_token_passes(at: prop::sample::Index, with in any::<char>(), insert: bool) {
        let signer = Signer::new();
        let token = signer.0.sign(&payload().to_string()).unwrap().0;
        let token = token.expose();
        let at = at.index(token.len());
        let bent = format!("{}{with}{}", &token[..at], &token[at + usize::from(!insert)..]);
        prop_assume!(bent != token);
        prop_assert!(signer.check(&bent).is_err());
    }

    #[test]
    fn numbers_beyond_dates_are_refused(seconds in any::<i64>()) {
        let result = Signer::new().claims(&with("exp", json!(seconds)).to_string());
        prop_assert_eq!(result.is_ok(), seconds > RULES.now && seconds < 1 << 53);
    }
}
