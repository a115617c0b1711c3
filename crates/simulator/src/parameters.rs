//! Query strings and bodies as name-value pairs.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use url::form_urlencoded;

/// Decoded pairs in the order in which they came.
pub(crate) type Pairs = Vec<(String, String)>;

/// Why a body has no pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// Says it is JSON, and is no object of strings.
    Json,
    /// Neither form nor JSON.
    MediaType,
}

/// The value of a parameter. One without a value counts as omitted (RFC 6749, section 3.1).
pub(crate) fn get<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
}

/// The first of `names` that stands there more than once, which RFC 6749, sections 3.1 and 3.2, forbids.
pub(crate) fn repeated<'a>(pairs: &[(String, String)], names: &[&'a str]) -> Option<&'a str> {
    names.iter().copied().find(|name| pairs.iter().filter(|(key, _)| key == name).count() > 1)
}

/// The pairs of a query string or form.
pub(crate) fn decode(form: &[u8]) -> Pairs {
    form_urlencoded::parse(form).into_owned().collect()
}

/// Whether a Content-Type names this media type, whatever its parameters.
pub(crate) fn is_media_type(content_type: Option<&str>, media_type: &str) -> bool {
    content_type
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(media_type))
}

/// Whether a body is a form.
pub(crate) fn is_form(content_type: Option<&str>) -> bool {
    is_media_type(content_type, "application/x-www-form-urlencoded")
}

/// The pairs of a body. In JSON, `null` counts as omitted.
pub(crate) fn decode_body(content_type: Option<&str>, body: &[u8]) -> Result<Pairs, BodyError> {
    if is_form(content_type) {
        return Ok(decode(body));
    }
    if !is_media_type(content_type, "application/json") {
        return Err(BodyError::MediaType);
    }
    let object: BTreeMap<String, Option<String>> = decode_json(content_type, body).ok_or(BodyError::Json)?;
    Ok(object.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())
}

/// A body that says that it is JSON, and is.
pub(crate) fn decode_json<T: DeserializeOwned>(content_type: Option<&str>, body: &[u8]) -> Option<T> {
    #[allow(clippy::disallowed_methods, reason = "no code of the extension: nothing of anybody's is kept")]
    is_media_type(content_type, "application/json").then(|| serde_json::from_slice(body).ok())?
}
