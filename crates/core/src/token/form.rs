//! The form of a compact JWS (RFC 7515, section 7.1), before anything in it is believed.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::reading::{as_text, bad, object, text_of};
use crate::error::{Error, Result};

/// The longest token that is looked at, in bytes.
pub const MAX_TOKEN_LEN: usize = 64 * 1024;

/// The three parts, decoded.
pub(crate) struct Parts {
    pub(crate) header: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

/// What a header says.
pub(crate) struct Header {
    /// `alg`, whatever it is.
    pub(crate) algorithm: String,
    pub(crate) kid: String,
}

/// Takes a token apart: at most 64 kB in three parts of strict base64url.
///
/// # Errors
/// `bad_jwt`
pub(crate) fn take_apart(text: &str) -> Result<Parts> {
    if text.len() > MAX_TOKEN_LEN {
        return Err(bad("It is longer than 64 kB."));
    }
    let (header, rest) = text.split_once('.').ok_or_else(three_parts)?;
    let (payload, signature) = rest.split_once('.').ok_or_else(three_parts)?;
    if signature.contains('.') {
        return Err(three_parts());
    }
    let decode = |part: &str, name: &str| {
        // Of the codec's error nothing is shown: it would tell a character of the token.
        URL_SAFE_NO_PAD.decode(part).map_err(|_| bad(format!("The {name} is not base64url without padding.")))
    };
    let (header, payload) = (decode(header, "header")?, decode(payload, "payload")?);
    let signature = decode(signature, "signature")?;
    Ok(Parts { header: text_of(header, "header")?, payload, signature })
}

/// Reads a header. Its `typ`, if there is one, is one of `types`, whose first one is named where it is not; the case of letters does not count.
///
/// # Errors
/// `bad_jwt`: no JSON object without duplicate members, one of the `refused` parameters, another `typ`, no `alg` or no usable `kid`.
pub(crate) fn read_header(header: &str, types: &[&str], refused: &[&str]) -> Result<Header> {
    let header = object(header, "header")?;
    if let Some((name, _)) = header.iter().find(|(name, _)| refused.contains(&name.as_ref())) {
        return Err(bad(format!("The header has {name}.")));
    }
    let is_one = |typ: &str| types.iter().any(|one| typ.eq_ignore_ascii_case(one));
    if header.get("typ").is_some_and(|typ| !as_text(typ).is_some_and(|typ| is_one(&typ))) {
        return Err(bad(format!("The header's typ is not {}.", types.first().copied().unwrap_or_default())));
    }
    let text = |name: &str| {
        let text = header.get(name).and_then(as_text);
        text.ok_or_else(|| bad(format!("The header has no {name} that is a string.")))
    };
    let algorithm = text("alg")?;
    let kid = text("kid")?;
    if kid.is_empty() || kid.len() > crate::signing_key::MAX_KID_LEN {
        return Err(bad("The header's kid is empty or longer than 200 bytes."));
    }
    Ok(Header { algorithm, kid })
}

fn three_parts() -> Error {
    bad("It does not have three parts.")
}
