//! What no sign-in stands on: kept where it can be, left out where it cannot.

use serde_json::{Map, Value};

use super::outcome::LeftOut;
use crate::json::Free;
use crate::{jsonb, workos_id};

/// The longest name, in bytes of JSON: names stand in `user_metadata`, and that in every token.
const MAX_NAME_BYTES: usize = 512;

/// A name or an id that is not WorkOS's own: text that is compared and shown to operators. A number is its digits, a blank names nobody.
pub(super) fn identifier(value: Value) -> Result<Option<String>, &'static str> {
    match text(value)? {
        Some(text) if text.trim().is_empty() => Ok(None),
        Some(text) if text.len() > workos_id::MAX_BYTES => Err("is longer than 255 bytes"),
        Some(text) if text.contains(char::is_control) => Err("contains a control character"),
        text => Ok(text),
    }
}

/// A person's name, or a part of it.
pub(super) fn name(value: Value) -> Result<Option<String>, &'static str> {
    match text(value)? {
        Some(text) if text.contains('\0') => Err("contains a NUL character"),
        Some(text) if Value::from(&*text).to_string().len() > MAX_NAME_BYTES + 2 => Err("is longer than 512 bytes"),
        text => Ok(text),
    }
}

fn text(value: Value) -> Result<Option<String>, &'static str> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err("is not a text"),
    }
}

/// Attributes as they came: an object, or what there is in its place. Of an object, a member that `jsonb` cannot hold is left out alone.
pub(super) fn all(member: &str, value: Option<Value>, left_out: &mut Vec<LeftOut>) -> Free {
    let cannot = |what: &str| LeftOut(format!("{what} contains a NUL character, or a number that is too long"));
    match value {
        None | Some(Value::Null) => Free(Value::Object(Map::new())),
        Some(Value::Object(mut attributes)) => {
            let before = attributes.len();
            attributes.retain(|name, value| !name.contains('\0') && jsonb::fits(value));
            if attributes.len() < before {
                // The names are anybody's, so they are not shown.
                left_out.push(cannot(&format!("a part of {member}")));
            }
            Free(Value::Object(attributes))
        }
        Some(other) if jsonb::fits(&other) => Free(other),
        Some(_) => {
            left_out.push(cannot(member));
            Free(Value::Object(Map::new()))
        }
    }
}
