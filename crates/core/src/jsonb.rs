//! What Postgres's `jsonb` can hold of what JSON can say, and how it holds it.

mod binary;
mod node;
mod numeric;

use serde_json::Value;

use crate::json;
pub(crate) use binary::encode;
pub(crate) use node::{Members, Node, Strict};
use numeric::fits_numeric;
pub use numeric::numeric_digits;

/// Whether Postgres's jsonb can hold a value. As deep as the parser lets JSON be.
pub fn fits(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(fits),
        Value::Object(members) => members.iter().all(|(name, value)| !name.contains('\0') && fits(value)),
        Value::Number(number) => fits_numeric(&number.to_string()),
        Value::Null | Value::Bool(_) => true,
    }
}

/// Whether a text is JSON, and jsonb can hold it.
pub fn fits_text(json: &str) -> bool {
    json::borrow::<Node<'_>>(json).is_ok()
}

/// What is behind the header of the `jsonb` that Postgres would make of a text, where that is an object without duplicate members
/// whose numbers are 64-bit integers; `None` leaves it to Postgres.
pub fn of_object(json: &str) -> Option<Vec<u8>> {
    let Strict(members) = json::borrow(json).ok()?;
    encode(&members, json.len())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::disallowed_methods)]

    use super::*;

    #[test]
    fn numbers_at_the_edge() {
        let fits = |text: &str| {
            let answer = fits(&serde_json::from_str(text).unwrap());
            assert_eq!(fits_text(text), answer, "{}", &text[..text.len().min(40)]);
            answer
        };
        for text in ["0", "-0", "1e1000", "1E+1000", "-1.5e-1000", "0e1000"] {
            assert!(fits(text), "{text}");
        }
        for text in ["1e1001", "1e-1001", "1e200000", "0e99999999999999999999", "1e-9223372036854775808"] {
            assert!(!fits(text), "{text}");
        }
        assert!(fits(&"9".repeat(131_072)) && fits(&format!("-{}", "9".repeat(131_072))));
        assert!(!fits(&"9".repeat(131_073)) && !fits(&format!("{}e1", "9".repeat(131_072))));
        assert!(fits(&format!("0.{}", "1".repeat(16_383))) && fits(&format!("0.{}e1", "1".repeat(16_384))));
        assert!(!fits(&format!("0.{}", "1".repeat(16_384))));
    }

    #[test]
    fn a_nul_character_is_found_wherever_it_stands() {
        for text in [r#""\u0000""#, r#"{"a\u0000":1}"#, r#"[{"a":["b\u0000c"]}]"#] {
            assert!(!fits(&serde_json::from_str(text).unwrap()) && !fits_text(text), "{text}");
        }
        assert!(
            fits_text(r#"["\\u0000", null, true, {}]"#)
                && fits(&serde_json::from_str(r#"["\\u0000", null, true, {}]"#).unwrap())
        );
    }

    #[test]
    fn what_is_no_json_does_not_fit() {
        for text in ["", "{", "[1,]", "1 2", r#""\ud800""#, "\"\n\"", "\"\0\"", "{\"\0\":1}", "01", "NaN"] {
            assert!(!fits_text(text), "{text}");
        }
        assert!(fits_text(&format!("{}{}", "[".repeat(127), "]".repeat(127))));
        assert!(!fits_text(&format!("{}{}", "[".repeat(128), "]".repeat(128))));
    }

    #[test]
    fn what_postgres_has_to_read_itself_is_left_to_it() {
        assert!(of_object(r#"{"a":[1,-2,"b",null,true,{}]}"#).is_some());
        for text in ["[]", "1", "", r#"{"a":1.5}"#, r#"{"a":1,"a":2}"#, r#"{"a":"\u0000"}"#] {
            assert!(of_object(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_member_that_is_called_as_a_number_is_a_member() {
        let name = "$serde_json::private::Number";
        for value in ["\"1\"", "\"x\"", "\"1e9999\"", "null", "{\"a\":[1]}"] {
            let text = format!("{{\"a\":{{\"{name}\":{value}}}}}");
            assert!(fits_text(&text), "{text}");
            // What Postgres makes of it, but for the name.
            let other = of_object(&text.replace(name, &"n".repeat(name.len()))).unwrap();
            let ours = of_object(&text).unwrap();
            assert_eq!(ours.len(), other.len(), "{text}");
            assert!(ours.windows(name.len()).any(|bytes| bytes == name.as_bytes()), "{text}");
        }
        assert!(!fits_text(r#"{"$serde_json::private::Number":"\u0000"}"#));
    }
}
