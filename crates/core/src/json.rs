//! JSON from outside: the one way in, for a text of anybody's, be it a caller's, a hook's, WorkOS's or a row's.
//!
//! `serde_json` keeps two names for itself, `$serde_json::private::Number` and `…::RawValue`: its own `Value` takes an object apart that
//! has a member of such a name. So somebody's data would become other data, or an error in the middle of a sign-in. Here every member
//! stays a member, whatever it is called, and clippy refuses `serde_json`'s own readers (`clippy.toml`).

mod key;
mod surrogates;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Result, Value};

pub(crate) use key::{Key, Name};
pub use surrogates::whole_characters;

/// How many levels of lists and objects a text may have. Readers of tokens take 128 (`serde_json`'s own limit): what is read here stands
/// deeper there, in the claims and in what holds the claims.
pub const MAX_DEPTH: usize = 120;

/// Reads a text. Of two members of one name the later one counts, as in `jsonb`; numbers keep their digits.
///
/// # Errors
/// It is not JSON, or has more than [`MAX_DEPTH`] levels.
pub fn parse(text: &str) -> Result<Value> {
    read::<Free>(text.as_bytes()).map(|Free(value)| value)
}

/// Reads a text of a known form. Whatever may be of any form in it is read as [`Free`].
///
/// # Errors
/// It is not JSON in UTF-8, or has another form.
#[allow(clippy::disallowed_methods, reason = "the one place where it is called")]
pub fn read<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
}

/// The same, of a text that is borrowed from.
#[allow(clippy::disallowed_methods, reason = "as above")]
pub(crate) fn borrow<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T> {
    serde_json::from_str(text)
}

/// JSON of any form, within what has one.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Free(pub Value);

impl<'de> Deserialize<'de> for Free {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        Reader { levels: MAX_DEPTH }.deserialize(deserializer).map(Self)
    }
}

/// Reads a value of at most so many levels.
#[derive(Clone, Copy)]
struct Reader {
    levels: usize,
}

impl Reader {
    fn within<E: serde::de::Error>(self) -> std::result::Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels }),
            None => Err(E::custom("it is nested too deeply")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Value, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> std::result::Result<Value, A::Error> {
        let within = self.within()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(within)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> std::result::Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(key) = access.next_key::<Key<'de>>()? {
            let name = match key {
                Key::Member(name) => name.into_owned(),
                Key::Number => {
                    let digits: String = access.next_value()?;
                    return digits.parse().map(Value::Number).map_err(A::Error::custom);
                }
            };
            let value = access.next_value_seed(self.within()?)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}
