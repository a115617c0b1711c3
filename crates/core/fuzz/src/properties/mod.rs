//! What must hold of every input. The fuzz targets feed these functions, and the core's tests feed them the corpus.
//! Each returns how the input ended, so that a test can tell a corpus that reaches everything from one that does not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods)]

use std::collections::HashSet;
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use tinyjson::JsonValue;

use super::error::{Error, ErrorCode};
use super::json;
use super::token::{Algorithm, Claims, PublicKey, Rules, SigningKey, dangerous, parse};

mod witness;

/// What tokens are compared with.
pub const RULES: Rules<'static> =
    Rules { issuer: "https://db.example.com", audience: "authenticated", now: 2_000_000_000, expired_for: 0 };

/// The form is read before any claim.
const MAX_TOKEN_LEN: usize = 64 * 1024;
const REFUSED_PARAMETERS: [&str; 11] =
    ["crit", "b64", "jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256", "zip", "enc", "cty"];
/// Every word that a refusal may use. Whatever else it said would come out of the token.
static VOCABULARY: LazyLock<HashSet<&str>> = LazyLock::new(|| WORDS.split_whitespace().collect());
const WORDS: &str = "\
    A It is longer than 64 kB does not have three parts The header payload signature base64url without padding has \
    crit b64 jwk jku x5u x5c x5t S256 zip enc cty s typ JWT no alg kid that a string empty or number 200 bytes \
    JSON object duplicate members UTF 8 claim missing of another type iss aud sub session_id exp iat nbf role \
    email org_id connection_id org_role org_roles groups permissions claims_version holds NUL character jsonb \
    cannot hold member every reader takes for one";

/// How an input ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Seen {
    /// Not UTF-8, which is no token text at all.
    NoText,
    /// Refused before the key was looked for.
    Malformed,
    /// Refused later, with this.
    Refused(ErrorCode),
    /// Taken.
    Good,
}

/// The key of the corpus. It signs nothing else.
pub fn signing_key() -> SigningKey {
    let document = STANDARD.decode(include_str!("../../test_key.pkcs8.base64").trim()).unwrap();
    SigningKey::from_pkcs8(&document).unwrap()
}

static KEY: LazyLock<PublicKey> = LazyLock::new(|| PublicKey::from_jwk(&signing_key().public_jwk()).unwrap());

/// Another key that goes by the name of the first.
static IMPOSTOR: LazyLock<PublicKey> = LazyLock::new(|| {
    let mut jwk = SigningKey::generate(Algorithm::Es256).unwrap().public_jwk();
    jwk["kid"] = KEY.kid().into();
    PublicKey::from_jwk(&jwk).unwrap()
});

/// Header and payload of every token that the key ever signed. Not the signatures: ECDSA has two for each, and who
/// knows one can work out the other.
static SIGNED: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("../../signed_tokens.txt").lines().map(|token| token.rsplit_once('.').unwrap().0).collect()
});

/// A token as an application sends it.
pub fn token(input: &[u8]) -> Seen {
    let Ok(text) = std::str::from_utf8(input) else { return Seen::NoText };
    let unverified = match parse(text) {
        Ok(unverified) => unverified,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::BadJwt);
            shows_nothing(&error);
            return Seen::Malformed;
        }
    };
    let payload = good_form(text, unverified.kid());
    let signed = text.rsplit_once('.').unwrap().0;
    let foreseen = if unverified.kid() != KEY.kid() {
        Some(ErrorCode::BadJwtKey)
    } else if alg_of(text) != "ES256" {
        Some(ErrorCode::BadJwtAlgorithm)
    } else if !SIGNED.contains(signed) {
        Some(ErrorCode::BadJwtSignature)
    } else {
        None
    };
    match unverified.verify(&KEY, &RULES) {
        Ok(claims_read) => {
            assert_eq!(foreseen, None, "nobody signed this");
            assert_eq!(claims_read.json.as_bytes(), payload);
            assert_eq!(claims(&payload), Seen::Good);
            assert_eq!(parse(text).unwrap().verify(&IMPOSTOR, &RULES).unwrap_err().code(), ErrorCode::BadJwtSignature);
            Seen::Good
        }
        Err(error) => {
            shows_nothing(&error);
            match foreseen {
                Some(code) => assert_eq!(error.code(), code),
                // Its signature was changed, or its claims were not good when it was signed.
                None if error.code() == ErrorCode::BadJwtSignature => {}
                None => assert_eq!(claims(&payload), Seen::Refused(error.code())),
            }
            Seen::Refused(error.code())
        }
    }
}

/// A header before it is encoded, of a token with a good payload and no signature.
pub fn header(json: &[u8]) -> Seen {
    let text = format!("{}.e30.", URL_SAFE_NO_PAD.encode(json));
    let seen = token(text.as_bytes());
    assert!(matches!(
        seen,
        Seen::Malformed | Seen::Refused(ErrorCode::BadJwtKey | ErrorCode::BadJwtAlgorithm | ErrorCode::BadJwtSignature)
    ));
    seen
}

/// A payload, as if its signature had been good.
pub fn claims(payload: &[u8]) -> Seen {
    let read = |payload: &[u8]| dangerous::claims_without_signature(payload.to_vec());
    let claims = match read(payload) {
        Ok(claims) => claims,
        Err(error) => {
            assert_eq!(error.code(), ErrorCode::BadJwt);
            shows_nothing(&error);
            return Seen::Refused(error.code());
        }
    };
    assert_eq!(claims.json.as_bytes(), payload, "what was signed is kept to the byte");
    assert_eq!(format!("{:?}", read(payload).unwrap()), format!("{claims:?}"), "the same again");
    let object = witness::Object::read(&claims.json).expect("another reader sees an object without duplicates");
    assert!(!object.has_nul(), "Postgres has no such text");
    agrees(&claims, &object);
    survives_rewriting(&claims);
    doubles_are_refused(&claims, &object);
    rules_are_kept(&claims, &object)
}

/// What `parse` takes is what RFC 7515 and RFC 8725 have it be. Returns the payload.
fn good_form(text: &str, kid: &str) -> Vec<u8> {
    assert!(text.len() <= MAX_TOKEN_LEN);
    let parts: Vec<Vec<u8>> = text.split('.').map(|part| witness::base64url(part).expect("strict base64url")).collect();
    let again: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
    assert_eq!(again.join("."), text, "there is one way to write it");
    let [header, payload, _] = <[_; 3]>::try_from(parts).expect("three parts");
    let header = String::from_utf8(header).expect("a header in UTF-8");
    let header = witness::Object::read(&header).expect("a header without duplicates");
    assert_eq!(header.text("kid"), Some(kid));
    assert!((1..=200).contains(&kid.len()));
    assert!(header.text("alg").is_some());
    assert!(!header.has("typ") || header.text("typ").is_some_and(|typ| typ.eq_ignore_ascii_case("JWT")));
    assert!(!REFUSED_PARAMETERS.iter().any(|name| header.has(name)));
    for bent in [format!("{text}="), format!("{text}\n"), format!(" {text}"), format!("{text}."), format!(".{text}")] {
        assert!(parse(&bent).is_err(), "one character more");
    }
    payload
}

fn alg_of(text: &str) -> String {
    let header = witness::base64url(text.split_once('.').unwrap().0).unwrap();
    let header = String::from_utf8(header).unwrap();
    witness::Object::read(&header).unwrap().text("alg").unwrap().to_owned()
}

/// Errors go to logs and to clients.
fn shows_nothing(error: &Error) {
    let detail = error.detail().unwrap_or_default();
    if detail != error.code().detail() {
        for word in detail.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
            assert!(VOCABULARY.contains(word), "{word:?} may come out of the token");
        }
    }
}

/// Both readers read the same.
fn agrees(claims: &Claims, object: &witness::Object<'_>) {
    let optional = |name: &str| match object.get(name) {
        None => None,
        Some(JsonValue::String(text)) => Some(text.as_str()).filter(|text| !text.is_empty()),
        Some(other) => panic!("{name} is {other:?}"),
    };
    let list = |name: &str| object.get(name).map_or(Some(vec![]), |_| object.texts(name)).unwrap();
    for (id, name) in [(claims.sub, "sub"), (claims.session_id, "session_id")] {
        // In lower case, as Postgres writes it; capitals are the same uuid.
        assert_eq!(object.text(name).map(str::to_ascii_lowercase), Some(id.to_string()));
    }
    for (seconds, name) in [(claims.exp, "exp"), (claims.iat, "iat")] {
        assert_eq!(object.date(name), Some(seconds), "{name}");
        assert!((0..1_i64 << 53).contains(&seconds));
    }
    let version = if object.has("claims_version") { object.date("claims_version") } else { Some(0) };
    assert_eq!(version, Some(claims.claims_version));
    assert!(!object.has("nbf") || object.date("nbf").is_some());
    for (text, name) in [
        (&claims.role, "role"),
        (&claims.email, "email"),
        (&claims.org_id, "org_id"),
        (&claims.connection_id, "connection_id"),
        (&claims.org_role, "org_role"),
    ] {
        assert_eq!(text.as_deref(), optional(name), "{name}");
    }
    for (texts, name) in
        [(&claims.org_roles, "org_roles"), (&claims.groups, "groups"), (&claims.permissions, "permissions")]
    {
        assert_eq!(*texts, list(name), "{name}");
    }
}

/// A reader that parses the payload and writes it anew, as others do, changes nothing of what is said.
fn survives_rewriting(claims: &Claims) {
    let Ok(value) = json::parse(&claims.json) else {
        // It reads fewer levels than the reader of tokens.
        assert!(claims.json.matches(['[', '{']).count() > json::MAX_DEPTH, "JSON");
        return;
    };
    let anew = value.to_string();
    let mut again = dangerous::claims_without_signature(anew.clone().into_bytes()).expect("the same claims");
    assert_eq!(again.json, anew);
    again.json.clone_from(&claims.json);
    assert_eq!(format!("{again:?}"), format!("{claims:?}"));
}

/// None of the members can be there twice, however the second one's name is written. One of them is tried, for speed.
fn doubles_are_refused(claims: &Claims, object: &witness::Object<'_>) {
    let open = claims.json.trim_end().strip_suffix('}').unwrap();
    let mut names: Vec<&str> = object.names().collect();
    names.sort_unstable();
    let name = names[claims.json.len() % names.len()];
    let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    for name in [Value::from(name).to_string(), format!("\"{escaped}\"")] {
        let doubled = format!("{open},{name}:null}}");
        assert!(dangerous::claims_without_signature(doubled.into_bytes()).is_err(), "{name} twice");
    }
}

/// Issuer, audience and time are compared as written here. Returns how the claims fare under the rules.
fn rules_are_kept(claims: &Claims, object: &witness::Object<'_>) -> Seen {
    let issuer = object.text("iss").expect("an issuer");
    let audiences = object.text("aud").map(|aud| vec![aud.to_owned()]).or_else(|| object.texts("aud")).expect("aud");
    let begin = object.date("nbf").unwrap_or(0).max(claims.iat);
    let (first, last) = (begin - 5, claims.exp - 1);
    let times = [i64::MIN, 0, first - 1, first, last, last + 1, RULES.now, i64::MAX];
    let outcome = |rules: &Rules<'_>| claims.recheck(rules).err().map(|error| error.code());
    let audience = audiences.first().map_or("", String::as_str);
    let other_issuer = format!("{issuer} ");
    let (longer, mut shorter) = (format!("{audience} "), audience.chars());
    shorter.next_back();
    for now in times {
        let in_time = if audiences.is_empty() {
            Some(ErrorCode::BadJwtAudience)
        } else if now >= claims.exp {
            Some(ErrorCode::BadJwtExpired)
        } else if begin > now.saturating_add(5) {
            Some(ErrorCode::BadJwtNotYetValid)
        } else {
            None
        };
        assert_eq!(outcome(&Rules { issuer, audience, now, expired_for: 0 }), in_time, "at {now}");
        assert_eq!(
            outcome(&Rules { issuer: &other_issuer, audience, now, expired_for: 0 }),
            Some(ErrorCode::BadJwtIssuer)
        );
        for other in [longer.as_str(), shorter.as_str()] {
            if !audiences.iter().any(|aud| aud == other) {
                let stranger = Rules { issuer, audience: other, now, expired_for: 0 };
                assert_eq!(outcome(&stranger), Some(ErrorCode::BadJwtAudience));
            }
        }
    }
    match claims.recheck(&RULES) {
        Ok(()) => {
            assert!(issuer == RULES.issuer && audiences.iter().any(|aud| aud == RULES.audience));
            Seen::Good
        }
        Err(error) => {
            shows_nothing(&error);
            Seen::Refused(error.code())
        }
    }
}
