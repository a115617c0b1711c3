//! Webhooks: whether WorkOS has sent one.
//!
//! `WorkOS-Signature: t=<milliseconds>, v1=<hex>` holds HMAC-SHA256 of `<milliseconds>.<body>`, under the secret of the endpoint (WorkOS's
//! documentation, Webhooks). The body is the bytes as they came: JSON that was read and written again has another signature.

#[cfg(test)]
mod tests;

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER_PERMISSIVE;

use crate::error::{Error, ErrorCode, Result};
use crate::secret::WebhookSecret;

/// How far the time of a signature may be from ours, in milliseconds, both ways: what WorkOS's SDKs allow.
const TOLERANCE: u64 = 180_000;
/// The longest header that is looked at, in bytes.
const LONGEST_HEADER: usize = 1024;
/// The most signatures of one header that are compared.
const MOST_SIGNATURES: usize = 4;
/// The longest secret, in characters.
const LONGEST_SECRET: usize = 1024;

/// The secret of an endpoint, as the dashboard shows it.
///
/// # Errors
/// `validation_failed`. It shows nothing of the text.
pub fn check_secret(text: &str) -> Result<WebhookSecret> {
    match (1..=LONGEST_SECRET).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(WebhookSecret::new(text.to_owned())),
        false => Err(Error::invalid("secret", "it must be 1 to 1024 visible ASCII characters.")),
    }
}

/// Whether the webhook was signed with the secret, and just now. `now` is in milliseconds since 1970.
///
/// # Errors
/// `webhook_signature_invalid`, `webhook_signature_old`. Who has not the secret learns nothing of the time.
pub fn verify(body: &str, header: &str, secret: &WebhookSecret, now: u64) -> Result<()> {
    let invalid = |why: &str| Error::with_detail(ErrorCode::WebhookSignatureInvalid, why.to_owned());
    let (time, signatures) =
        read(header).ok_or_else(|| invalid("The header is not of the form t=<milliseconds>, v1=<hex>."))?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let signed = [time.as_bytes(), b".", body.as_bytes()].concat();
    // Compared in constant time, each of them.
    if !signatures.iter().any(|signature| hmac::verify(&key, &signed, signature).is_ok()) {
        return Err(invalid("No signature of the header is that of the body."));
    }
    let time: u64 = time.parse().map_err(|_| invalid("The time of the header is out of range."))?;
    match now.abs_diff(time) <= TOLERANCE {
        true => Ok(()),
        false => {
            let (seconds, way) = (now.abs_diff(time) / 1000, if time < now { "ago" } else { "from now" });
            let detail = format!("It was signed {seconds} s {way}; 180 s are allowed.");
            Err(Error::with_detail(ErrorCode::WebhookSignatureOld, detail))
        }
    }
}

/// The time, as it stands there, and the signatures: more than one while a secret is replaced. Parts of other names are left alone.
fn read(header: &str) -> Option<(&str, Vec<Vec<u8>>)> {
    if header.len() > LONGEST_HEADER {
        return None;
    }
    let mut time = None;
    let mut signatures = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=')? {
            ("t", _) if time.is_some() => return None,
            ("t", digits) if (1..=20).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                time = Some(digits);
            }
            ("t", _) => return None,
            ("v1", hex) if signatures.len() < MOST_SIGNATURES => {
                signatures.extend(HEXLOWER_PERMISSIVE.decode(hex.as_bytes()).ok());
            }
            _ => {}
        }
    }
    Some((time?, signatures)).filter(|(_, signatures)| !signatures.is_empty())
}
