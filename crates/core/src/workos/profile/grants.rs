//! Groups, roles and permissions: what somebody may do. A policy may also say `not auth.in_group('suspended')`, so that none of them may
//! get lost: each is read, or the profile is refused. Their number and length are those of the token, which they have to fit into.

use serde_json::{Map, Value};

use super::outcome::{Read, Refusal};
use crate::error::ErrorCode;

/// A list, in any form that says one. `None` where the profile has none.
pub(super) fn list(profile: &Map<String, Value>, member: &str) -> Read<Option<Vec<String>>> {
    let items = match profile.get(member) {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(items)) => items.iter().map(|item| named(member, item)).collect::<Read<Vec<_>>>()?,
        // One that is not written as a list of one. An object without members says none.
        Some(Value::Object(object)) if object.is_empty() => Vec::new(),
        Some(one) => vec![named(member, one)?],
    };
    Ok(Some(items.into_iter().flatten().collect()))
}

/// One of them, in any form that says one.
pub(super) fn single(profile: &Map<String, Value>, member: &str) -> Read<Option<String>> {
    match profile.get(member) {
        None | Some(Value::Null) => Ok(None),
        Some(one) => named(member, one),
    }
}

/// The name of one: a text, a number, or the slug or name of an object. Null and an empty text name none.
fn named(member: &str, item: &Value) -> Read<Option<String>> {
    match item {
        Value::Null => Ok(None),
        Value::String(text) if text.contains('\0') => Err(malformed(member, "holds a NUL character")),
        Value::String(text) if text.is_empty() => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Object(object) => match ["slug", "name"].iter().find_map(|name| object.get(*name)) {
            Some(name @ (Value::String(_) | Value::Number(_))) => named(member, name),
            _ => Err(malformed(member, "has an object without a slug or a name")),
        },
        Value::Bool(_) | Value::Array(_) => {
            Err(malformed(member, "is, or holds, what is neither a text nor an object with a name"))
        }
    }
}

fn malformed(member: &str, why: &str) -> Refusal {
    Refusal::of_mapped(ErrorCode::WorkosProfileMalformed, member, why, "to texts")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Read<Option<Vec<String>>> {
        list(&Map::from_iter([("groups".to_owned(), value)]), "groups")
    }

    #[test]
    fn a_list_is_read_in_every_form_that_says_one() {
        let long = "g".repeat(10_000);
        for (value, wanted) in [
            (json!(null), None),
            (json!([]), Some(vec![])),
            (json!({}), Some(vec![])),
            (json!(""), Some(vec![])),
            (json!("Admins"), Some(vec!["Admins"])),
            (json!(["Admins", "", null, "Ops"]), Some(vec!["Admins", "Ops"])),
            (json!([{"name": "Admins"}, {"slug": "ops", "name": "Ops"}]), Some(vec!["Admins", "ops"])),
            (json!({"name": "Admins", "id": 7}), Some(vec!["Admins"])),
            (json!([7, "7"]), Some(vec!["7", "7"])),
            (json!([{"name": 7}]), Some(vec!["7"])),
            (json!([long]), Some(vec![long.as_str()])),
        ] {
            let read = read(value.clone()).unwrap_or_else(|refusal| panic!("{value}: {refusal:?}"));
            assert_eq!(read, wanted.map(|list| list.into_iter().map(str::to_owned).collect()), "{value}");
        }
        assert_eq!(read(json!(vec!["g"; 5000])).unwrap().unwrap().len(), 5000);
        assert_eq!(list(&Map::new(), "groups").unwrap(), None);
    }

    #[test]
    fn what_says_none_of_them_is_refused_by_name() {
        for value in [
            json!(true),
            json!([true]),
            json!([["Admins"]]),
            json!({"Admins": true}),
            json!([{"id": "7"}]),
            json!([{"name": ["Admins"]}]),
            json!([{"name": null}]),
            json!(["a\u{0}"]),
        ] {
            let error = read(value.clone()).unwrap_err().into_error("");
            assert_eq!(error.code(), ErrorCode::WorkosProfileMalformed, "{value}");
            assert!(error.detail().unwrap().contains("groups"), "{value}");
            assert!(error.hint_text().unwrap().contains("Map groups"), "{value}");
        }
    }
}
