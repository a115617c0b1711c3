//! JSON read in one pass, borrowed from its text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};

use super::numeric::fits_numeric;
use crate::json::{Key, Name};

/// Members to make room for beforehand: of a token's payload, and of an object within.
const CLAIMS: usize = 32;
const MEMBERS: usize = 8;

/// A value that jsonb can hold.
#[derive(Debug, Clone)]
pub(crate) enum Node<'a> {
    Null,
    Bool(bool),
    Integer {
        is_negative: bool,
        magnitude: u64,
    },
    /// A number that is no 64-bit integer.
    Number,
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Members<'a>),
}

impl<'a> Node<'a> {
    pub(crate) fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Node<'a>]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }
}

/// The members of an object in the order of jsonb: by the length of the name, then by its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Members<'a>(Vec<(Cow<'a, str>, Node<'a>)>);

impl<'a> Members<'a> {
    /// The members of an object, or `None` for what is a number whose digits are kept.
    fn read<A: MapAccess<'a>>(mut access: A, capacity: usize) -> Result<Option<Self>, A::Error> {
        let mut members = Vec::with_capacity(capacity);
        while let Some(key) = access.next_key::<Key<'a>>()? {
            match key {
                Key::Member(name) => {
                    unless(has_nul(&name))?;
                    members.push((name, access.next_value()?));
                }
                Key::Number => {
                    unless(!fits_numeric(&access.next_value::<Name<'a>>()?.0))?;
                    return Ok(None);
                }
            }
        }
        // Stable: of two members of one name, the later one stays behind the other.
        members.sort_by(|(one, _), (other, _)| order(one, other));
        Ok(Some(Self(members)))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Node<'a>> {
        let at = self.0.binary_search_by(|(found, _)| order(found, name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    pub(crate) fn has_duplicates(&self) -> bool {
        self.0.windows(2).any(|pair| matches!(pair, [(one, _), (other, _)] if one == other))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (Cow<'a, str>, Node<'a>)> {
        self.0.iter()
    }

    /// Of two members of one name, jsonb has the later one.
    fn without_duplicates(mut self) -> Self {
        self.0.dedup_by(|later, earlier| {
            let is_same = later.0 == earlier.0;
            if is_same {
                std::mem::swap(later, earlier);
            }
            is_same
        });
        self
    }
}

fn order(one: &str, other: &str) -> std::cmp::Ordering {
    (one.len(), one.as_bytes()).cmp(&(other.len(), other.as_bytes()))
}

/// An object that names none of its members twice.
pub(crate) struct Strict<'a>(pub(crate) Members<'a>);

impl<'de: 'a, 'a> Deserialize<'de> for Strict<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object without duplicate members")
            }

            fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Members<'de>, A::Error> {
                Members::read(access, CLAIMS)?.ok_or_else(|| de::Error::custom("a number"))
            }
        }
        let members = deserializer.deserialize_map(Reader)?;
        match members.has_duplicates() {
            true => Err(de::Error::custom("duplicate member")),
            false => Ok(Self(members)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Node<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// JSON has a NUL character only as an escape (RFC 8259, section 7), and what has one is not borrowed.
#[allow(clippy::ptr_arg, reason = "that it is borrowed is half of the answer")]
fn has_nul(text: &Cow<'_, str>) -> bool {
    matches!(text, Cow::Owned(text) if text.contains('\0'))
}

fn unless<E: de::Error>(refused: bool) -> Result<(), E> {
    if refused { Err(E::custom("jsonb cannot hold it")) } else { Ok(()) }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node<'de>, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(Node::Bool(value))
    }

    fn visit_u64<E>(self, magnitude: u64) -> Result<Node<'de>, E> {
        Ok(Node::Integer { is_negative: false, magnitude })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node<'de>, E> {
        Ok(Node::Integer { is_negative: value < 0, magnitude: value.unsigned_abs() })
    }

    /// See [`has_nul`].
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Node<'de>, E> {
        unless(text.contains('\0'))?;
        Ok(Node::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node<'de>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, access: A) -> Result<Node<'de>, A::Error> {
        let members = Members::read(access, MEMBERS)?;
        Ok(members.map_or(Node::Number, |members| Node::Object(members.without_duplicates())))
    }
}
