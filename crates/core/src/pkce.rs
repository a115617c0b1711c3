//! Proof Key for Code Exchange (RFC 7636), `state`, and how bearer values are stored.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::{Builder, Uuid};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode, Result};
use crate::random;
use crate::secret::State;

/// How many random bytes stand behind a verifier and a state (RFC 7636, section 7.1 asks for 256 bits).
const RANDOM_BYTES: usize = 32;

/// The secret of one sign-in that its code can only be exchanged with (RFC 7636, section 4.1).
///
/// It is not `Clone`, prints `[redacted]` and is wiped when dropped.
pub struct CodeVerifier(Zeroizing<String>);

impl CodeVerifier {
    /// A fresh verifier: 32 random bytes, 43 characters of base64url.
    ///
    /// # Errors
    /// [`ErrorCode::Unexpected`] if the random generator fails.
    pub fn generate() -> Result<Self> {
        random_base64url().map(|value| Self(Zeroizing::new(value)))
    }

    /// Takes a verifier as a client sends it.
    ///
    /// # Errors
    /// [`ErrorCode::CodeVerifierInvalid`] unless it is 43 to 128 characters of `A-Z a-z 0-9 - . _ ~`, or as many with base64's padding
    /// at the end, which Supabase's client for Kotlin leaves there.
    pub fn parse(verifier: &str) -> Result<Self> {
        if !is_verifier(verifier) {
            return Err(Error::new(ErrorCode::CodeVerifierInvalid));
        }
        Ok(Self(Zeroizing::new(verifier.to_owned())))
    }

    /// The verifier itself. Every use of this is a place to review.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Its S256 challenge: base64url(sha256(verifier)), without padding (RFC 7636, section 4.2).
    pub fn challenge(&self) -> CodeChallenge {
        CodeChallenge(URL_SAFE_NO_PAD.encode(sha256(&self.0)))
    }
}

impl fmt::Debug for CodeVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CodeVerifier([redacted])")
    }
}

/// What the authorize request shows of a verifier (RFC 7636, section 4.2): base64url(sha256(verifier)).
///
/// A challenge of the method `plain` is the verifier itself. It is hashed as soon as it comes, so that it stands nowhere in clear;
/// a verifier is then compared in one way only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CodeChallenge(String);

impl CodeChallenge {
    /// Takes a challenge as a client sends it. The method is compared without case, since Supabase's clients
    /// send `s256`.
    ///
    /// # Errors
    /// [`ErrorCode::CodeChallengeMethodNotAllowed`] for an unknown method, and for `plain` unless `allow_plain`;
    /// [`ErrorCode::CodeChallengeInvalid`] unless an S256 challenge is 43 characters of base64url that decode
    /// canonically to 32 bytes, and a plain one a well-formed verifier.
    pub fn parse(challenge: &str, method: &str, allow_plain: bool) -> Result<Self> {
        if method.eq_ignore_ascii_case("S256") {
            // The engine refuses padding and trailing bits, so each hash has one spelling only.
            match URL_SAFE_NO_PAD.decode(challenge) {
                Ok(hash) if hash.len() == 32 => Ok(Self(challenge.to_owned())),
                _ => Err(Error::with_detail(ErrorCode::CodeChallengeInvalid, "The method is S256.")),
            }
        } else if method.eq_ignore_ascii_case("plain") && allow_plain {
            match CodeVerifier::parse(challenge) {
                Ok(verifier) => Ok(verifier.challenge()),
                Err(_) => Err(Error::with_detail(ErrorCode::CodeChallengeInvalid, "The method is plain.")),
            }
        } else {
            Err(Error::new(ErrorCode::CodeChallengeMethodNotAllowed))
        }
    }

    /// The challenge of method S256.
    pub fn value(&self) -> &str {
        &self.0
    }

    /// Whether this is the verifier's challenge (RFC 7636, section 4.6), in constant time.
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), verifier.challenge().0.as_bytes()).is_ok()
    }
}

/// A fresh `state`: 32 random bytes, 43 characters of base64url (RFC 6749, section 10.12).
///
/// # Errors
/// [`ErrorCode::Unexpected`] if the random generator fails.
pub fn generate_state() -> Result<State> {
    random_base64url().map(State::new)
}

/// SHA-256, the only form in which a bearer value (a state, a code) is stored.
pub fn sha256(value: &str) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, value.as_bytes()).as_ref());
    hash
}

/// What a sign-in is known by in tables and logs: the first half of the SHA-256 of its state, as a UUID (RFC 9562, version 8). Whoever
/// holds the state can tell it, so the lines of a gateway and the rows of the database name the same sign-in. It does not lead back.
pub fn flow_id(state: &State) -> Uuid {
    let hash = sha256(state.expose());
    Builder::from_custom_bytes(std::array::from_fn(|i| hash[i])).into_uuid()
}

/// 256 random bits, 43 characters of base64url.
pub(crate) fn random_base64url() -> Result<String> {
    let mut bytes = Zeroizing::new([0; RANDOM_BYTES]);
    random::fill(bytes.as_mut_slice())?;
    Ok(URL_SAFE_NO_PAD.encode(bytes.as_slice()))
}

/// The grammar of a verifier: 43*128unreserved (RFC 7636, section 4.1; RFC 3986, section 2.3). Padding counts for the most and not for the
/// least, since it is no secret.
fn is_verifier(value: &str) -> bool {
    let unpadded = value.strip_suffix("==").or_else(|| value.strip_suffix('=')).unwrap_or(value);
    unpadded.len() >= 43
        && value.len() <= 128
        && unpadded.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    fn parse_code(challenge: &str, method: &str, allow_plain: bool) -> Option<ErrorCode> {
        CodeChallenge::parse(challenge, method, allow_plain).err().map(|error| error.code())
    }

    #[test]
    fn the_example_of_the_rfc() {
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        assert_eq!(verifier.challenge().value(), CHALLENGE);
        for method in ["S256", "s256"] {
            let challenge = CodeChallenge::parse(CHALLENGE, method, false).unwrap();
            assert!(challenge.matches(&verifier));
            assert!(challenge == verifier.challenge());
        }
    }

    #[test]
    fn sha256_is_sha256() {
        assert_eq!(sha256("abc")[..4], [0xba, 0x78, 0x16, 0xbf]);
    }

    #[test]
    fn a_sign_in_is_known_by_its_state() {
        // sha256("abc") begins with ba7816bf8f01cfea414140de5dae2223.
        let id = flow_id(&State::new("abc".to_owned()));
        assert_eq!(id.to_string(), "ba7816bf-8f01-8fea-8141-40de5dae2223");
    }

    #[test]
    fn what_is_generated_is_well_formed_and_fresh() {
        let (first, second) = (CodeVerifier::generate().unwrap(), CodeVerifier::generate().unwrap());
        assert_eq!(first.expose().len(), 43);
        assert!(CodeVerifier::parse(first.expose()).is_ok());
        assert_ne!(first.expose(), second.expose());
        assert!(!first.challenge().matches(&second));
        let (first, second) = (generate_state().unwrap(), generate_state().unwrap());
        assert_eq!(URL_SAFE_NO_PAD.decode(first.expose()).unwrap().len(), 32);
        assert_ne!(first.expose(), second.expose());
    }

    #[test]
    fn verifiers_keep_to_the_grammar() {
        for good in ["a".repeat(43), "a".repeat(128), format!("{}-._~", "Z9".repeat(20))] {
            assert!(CodeVerifier::parse(&good).is_ok(), "{good}");
        }
        // 32, 62 and 64 random bytes in base64url, with their padding; supabase-kt sends the last.
        for padded in [format!("{}=", "a".repeat(43)), format!("{}=", "b".repeat(83)), format!("{}==", "c".repeat(86))]
        {
            let verifier = CodeVerifier::parse(&padded).unwrap_or_else(|_| panic!("{padded}"));
            // It is hashed as it stands.
            assert_eq!(verifier.challenge().value(), URL_SAFE_NO_PAD.encode(sha256(&padded)), "{padded}");
            assert!(
                !verifier.challenge().matches(&CodeVerifier::parse(padded.trim_end_matches('=')).unwrap()),
                "{padded}"
            );
        }
        let long = "a".repeat(42);
        for bad in [
            String::new(),
            long.clone(),
            "a".repeat(129),
            format!("{long}="),
            format!("{long}=="),
            format!("{long}a==="),
            format!("={long}a"),
            format!("a{long}=a"),
            format!("{}==", "a".repeat(127)),
            "=".repeat(43),
            format!("{long}+"),
            format!("{long} "),
            format!("{long}\0"),
            format!("{long}\n"),
            format!("{long}é"),
        ] {
            assert_eq!(CodeVerifier::parse(&bad).unwrap_err().code(), ErrorCode::CodeVerifierInvalid, "{bad:?}");
        }
    }

    #[test]
    fn s256_challenges_have_one_spelling() {
        let invalid = Some(ErrorCode::CodeChallengeInvalid);
        // The last character carries two unused bits: M is canonical, N, O and P decode to the same hash.
        let stem = &CHALLENGE[..42];
        assert_eq!(parse_code(CHALLENGE, "S256", false), None);
        for last in ["N", "O", "P", "", "M=", "MM", "+", "/", "é", "\0", " "] {
            assert_eq!(parse_code(&format!("{stem}{last}"), "S256", false), invalid, "{last:?}");
        }
        assert_eq!(parse_code("", "S256", true), invalid);
        assert_eq!(parse_code(&"a".repeat(128), "S256", true), invalid);
    }

    #[test]
    fn plain_needs_permission_and_the_grammar() {
        let refused = Some(ErrorCode::CodeChallengeMethodNotAllowed);
        assert_eq!(parse_code(VERIFIER, "plain", false), refused);
        assert_eq!(parse_code(VERIFIER, "plain", true), None);
        assert_eq!(parse_code(VERIFIER, "PLAIN", true), None);
        assert_eq!(parse_code("short", "plain", true), Some(ErrorCode::CodeChallengeInvalid));
        for unknown in ["", "S512", "none", " S256", "S256\0"] {
            assert_eq!(parse_code(CHALLENGE, unknown, true), refused, "{unknown:?}");
        }
    }

    #[test]
    fn plain_and_s256_are_not_mixed_up() {
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        let plain = CodeChallenge::parse(VERIFIER, "plain", true).unwrap();
        assert!(plain.matches(&verifier));
        assert!(!plain.matches(&CodeVerifier::parse(CHALLENGE).unwrap()));
        assert_eq!(plain, verifier.challenge());
        // A challenge presented as the verifier must not open an S256 flow.
        assert!(!verifier.challenge().matches(&CodeVerifier::parse(CHALLENGE).unwrap()));
    }

    #[test]
    fn nothing_prints_a_verifier() {
        let verifier = CodeVerifier::parse(VERIFIER).unwrap();
        assert_eq!(format!("{verifier:?}"), "CodeVerifier([redacted])");
        let plain = CodeChallenge::parse(VERIFIER, "plain", true).unwrap();
        assert_eq!(plain.value(), CHALLENGE);
    }

    proptest! {
        #[test]
        fn only_the_own_verifier_matches(a in "[A-Za-z0-9._~-]{43,128}", b in "[A-Za-z0-9._~-]{43,128}") {
            let (first, second) = (CodeVerifier::parse(&a).unwrap(), CodeVerifier::parse(&b).unwrap());
            let sent = CodeChallenge::parse(first.challenge().value(), "s256", false).unwrap();
            prop_assert!(sent.matches(&first));
            prop_assert_eq!(sent.matches(&second), a == b);
        }

        #[test]
        fn any_text_is_taken_or_refused(text in any::<String>(), method in any::<String>()) {
            let _ = CodeVerifier::parse(&text);
            let _ = CodeChallenge::parse(&text, &method, true);
            prop_assert_eq!(CodeChallenge::parse(&text, "S256", true).is_ok(),
                URL_SAFE_NO_PAD.decode(&text).is_ok_and(|hash| URL_SAFE_NO_PAD.encode(&hash) == text && hash.len() == 32));
        }
    }
}
