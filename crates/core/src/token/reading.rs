//! Claims of one type each, out of a payload.

use uuid::Uuid;

use crate::error::{Error, ErrorCode, Result};
use crate::json;
use crate::jsonb::{Members, Node, Strict};

/// RFC 7159, section 6: integers below this are exact everywhere.
const MAX_NUMERIC_DATE: i64 = 1 << 53;

pub(crate) fn as_text(value: &Node<'_>) -> Option<String> {
    value.as_text().map(str::to_owned)
}

pub(crate) fn as_texts(value: &Node<'_>) -> Option<Vec<String>> {
    value.as_array()?.iter().map(as_text).collect()
}

/// Only the 36 characters that Postgres writes, not the other forms that the crate takes.
pub(crate) fn as_uuid(value: &Node<'_>) -> Option<Uuid> {
    let text = value.as_text().filter(|text| text.len() == 36)?;
    Uuid::try_parse(text).ok()
}

/// A whole number that every JSON reader reads alike: digits, and nothing else.
pub(crate) fn as_date(value: &Node<'_>) -> Option<i64> {
    match value {
        Node::Integer { is_negative: false, magnitude } => {
            i64::try_from(*magnitude).ok().filter(|seconds| *seconds < MAX_NUMERIC_DATE)
        }
        _ => None,
    }
}

/// A claim that may be absent; `Some(None)` is one of another type.
pub(crate) fn typed<T>(claim: Option<Option<T>>, name: &str) -> Result<Option<T>> {
    match claim {
        None => Ok(None),
        Some(Some(value)) => Ok(Some(value)),
        Some(None) => Err(bad(format!("The claim {name} is of another type."))),
    }
}

pub(crate) fn required<T>(claim: Option<Option<T>>, name: &str) -> Result<T> {
    typed(claim, name)?.ok_or_else(|| bad(format!("The claim {name} is missing.")))
}

pub(crate) fn text_or_none(claim: Option<&Node<'_>>, name: &str) -> Result<Option<String>> {
    let text = typed(claim.filter(|value| !matches!(value, Node::Null)).map(as_text), name)?;
    Ok(text.filter(|text| !text.is_empty()))
}

pub(crate) fn list_or_empty(claim: Option<&Node<'_>>, name: &str) -> Result<Vec<String>> {
    Ok(typed(claim.filter(|value| !matches!(value, Node::Null)).map(as_texts), name)?.unwrap_or_default())
}

pub(crate) fn bad(detail: impl Into<String>) -> Error {
    Error::with_detail(ErrorCode::BadJwt, detail)
}

/// Reads an object that names none of its members twice and is JSON that `jsonb` can hold, or says that the part is none. RFC 7515,
/// section 4, and RFC 7519, section 4, let a reader take the last of two; readers that differ in this see different tokens.
pub(crate) fn object<'a>(json: &'a str, name: &str) -> Result<Members<'a>> {
    json::borrow(json).map(|Strict(members)| members).map_err(|_| {
        bad(format!(
            "The {name} is not a JSON object without duplicate members, or holds a NUL character or a number that jsonb \
             cannot hold."
        ))
    })
}

/// A part that is UTF-8.
pub(crate) fn text_of(part: Vec<u8>, name: &str) -> Result<String> {
    String::from_utf8(part).map_err(|_| bad(format!("The {name} is not UTF-8.")))
}

/// `act.sub`
pub(crate) fn act_sub(claims: &Members<'_>) -> Option<String> {
    match claims.get("act")? {
        Node::Object(act) => act.get("sub").and_then(as_text),
        _ => None,
    }
}
