//! WorkOS's refusals, which come in three dialects: `{error, error_description}`, `{code, message}`, `{message}`.

use std::collections::HashSet;

use serde_json::Value;

use super::answer::HttpAnswer;
use crate::error::{Error, ErrorCode};
use crate::json::{self, Free};

/// How much of a description is shown, in characters.
const MAX_DESCRIPTION: usize = 200;
/// How much of an error's name or of a header is shown, in characters.
const MAX_NAME: usize = 100;
/// How much of a text is looked at, in characters.
const MAX_LOOKED_AT: usize = 4096;
/// So many bytes of a secret in a row give it away; `sk_test_` alone does not.
const TELLING_BYTES: usize = 12;

/// What the body of a refusal says; nothing, if it is no JSON object.
#[derive(Default)]
pub(super) struct ErrorBody {
    /// `error` of OAuth (RFC 6749, section 5.2), else `code`.
    pub(super) code: Option<String>,
    /// `error_description`, else `message`.
    description: Option<String>,
    /// Which fields are wrong, and how, where `errors` says so.
    fields: Option<String>,
}

impl ErrorBody {
    pub(super) fn parse(body: &[u8]) -> Self {
        let Free(mut body) = json::read(body).unwrap_or_default();
        let fields = body.get("errors").map(fields).filter(|fields| !fields.is_empty());
        let mut member = |name: &str| match body.get_mut(name).map(Value::take) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        Self {
            fields,
            code: member("error").or_else(|| member("code")),
            description: member("error_description").or_else(|| member("message")),
        }
    }
}

/// `[{"field": "name", "code": "required"}]` as `name required`.
fn fields(errors: &Value) -> String {
    let text = |error: &Value, name| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let fields =
        errors.as_array().into_iter().flatten().map(|error| [text(error, "field"), text(error, "code")].join(" "));
    fields.map(|field| field.trim().to_owned()).filter(|field| !field.is_empty()).collect::<Vec<_>>().join(", ")
}

/// The failure that an answer other than 2xx stands for.
pub(super) fn error(answer: &HttpAnswer, redact: &[&str]) -> Error {
    let refusal = ErrorBody::parse(answer.body);
    let code = error_code(answer.status, refusal.code.as_deref().unwrap_or_default());
    let mut detail = format!("WorkOS answered {}", answer.status);
    let texts =
        [(&refusal.code, MAX_NAME), (&refusal.description, MAX_DESCRIPTION), (&refusal.fields, MAX_DESCRIPTION)];
    for (text, most) in texts {
        if let Some(text) = text.as_deref().and_then(|text| presentable(text, most, redact)) {
            detail.push_str(": ");
            detail.push_str(text.trim_end_matches('.'));
        }
    }
    detail.push_str(&request_id(answer, redact));
    detail.push('.');
    let when = answer.retry_after.filter(|_| answer.status == 429).and_then(|when| presentable(when, MAX_NAME, redact));
    if let Some(when) = when {
        detail.push_str(&format!(" Retry-After: {when}."));
    }
    Error::with_detail(code, detail)
}

fn error_code(status: u16, name: &str) -> ErrorCode {
    match (status, name) {
        (429, _) => ErrorCode::WorkosRateLimited,
        (500.., _) => ErrorCode::WorkosUnavailable,
        (400..=499, "invalid_client" | "unauthorized_client") => ErrorCode::WorkosInvalidClient,
        // The latter two are the emulator's.
        (400..=499, "invalid_grant" | "invalid_code" | "expired_code") => ErrorCode::WorkosInvalidGrant,
        (400..=499, "external_id_already_used") => ErrorCode::WorkosConflict,
        (401 | 403, _) => ErrorCode::WorkosInvalidClient,
        (404, _) => ErrorCode::WorkosNotFound,
        (409, _) => ErrorCode::WorkosConflict,
        (422, _) => ErrorCode::WorkosUnprocessable,
        _ => ErrorCode::WorkosRejected,
    }
}

/// ` (X-Request-ID …)`, or nothing.
pub(super) fn request_id(answer: &HttpAnswer, redact: &[&str]) -> String {
    match answer.request_id.and_then(|id| presentable(id, MAX_NAME, redact)) {
        Some(id) => format!(" (X-Request-ID {id})"),
        None => String::new(),
    }
}

/// Foreign text as an error may show it: without control characters, cut, and not at all if it holds part of a secret.
fn presentable(text: &str, most: usize, redact: &[&str]) -> Option<String> {
    let text: String = text.chars().filter(|c| !c.is_control()).take(MAX_LOOKED_AT).collect();
    if text.is_empty() || gives_away(&text, redact) {
        return None;
    }
    match text.char_indices().nth(most) {
        Some((end, _)) => Some(format!("{}…", &text[..end])),
        None => Some(text),
    }
}

fn gives_away(text: &str, secrets: &[&str]) -> bool {
    let text = text.to_ascii_lowercase();
    secrets.iter().any(|secret| {
        let secret = secret.to_ascii_lowercase();
        let length = secret.len().min(TELLING_BYTES);
        if length == 0 {
            return false;
        }
        let pieces: HashSet<&[u8]> = secret.as_bytes().windows(length).collect();
        text.as_bytes().windows(length).any(|piece| pieces.contains(piece))
    })
}
