//! What Postgres's `jsonb` can hold of what JSON can say.

use serde_json::{Number, Value};

/// Whether Postgres's jsonb can hold a value. As deep as the parser lets JSON be, which is 128 levels.
pub fn fits(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.contains('\0'),
        Value::Array(items) => items.iter().all(fits),
        Value::Object(members) => members.iter().all(|(name, value)| !name.contains('\0') && fits(value)),
        Value::Number(number) => fits_numeric(number),
        Value::Null | Value::Bool(_) => true,
    }
}

/// At most 131072 digits before the decimal point and 16383 after it; before Postgres 15, an exponent of at most 1000.
fn fits_numeric(number: &Number) -> bool {
    let text = number.to_string();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let Some(exponent) = exponent.parse::<i64>().ok().filter(|exponent| (-1000..=1000).contains(exponent)) else {
        return false;
    };
    let digits = |text: &str| i64::try_from(text.trim_start_matches('-').len()).unwrap_or(i64::MAX);
    digits(whole).saturating_add(exponent) <= 131_072 && digits(fraction).saturating_sub(exponent) <= 16_383
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_at_the_edge() {
        let fits = |text: &str| fits(&serde_json::from_str(text).unwrap());
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
            assert!(!fits(&serde_json::from_str(text).unwrap()), "{text}");
        }
        assert!(fits(&serde_json::from_str(r#"["\\u0000", null, true, {}]"#).unwrap()));
    }
}
