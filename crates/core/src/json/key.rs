//! What stands where `serde` expects the name of a member.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

/// The name of a member, or `serde_json`'s sign that the "object" is a number whose digits it keeps: a map with one member.
///
/// The two are told apart by what they say to `deserialize_option`: a name is "something", and the sign, which knows but one answer, is
/// a string. So a member of somebody's that is called as the sign is a member.
pub(crate) enum Key<'a> {
    Member(Cow<'a, str>),
    Number,
}

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Key<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a member")
            }

            fn visit_some<D: Deserializer<'de>>(self, name: D) -> Result<Key<'de>, D::Error> {
                Name::deserialize(name).map(|Name(name)| Key::Member(name))
            }

            fn visit_str<E>(self, _: &str) -> Result<Key<'de>, E> {
                Ok(Key::Number)
            }
        }
        deserializer.deserialize_option(Reader)
    }
}

/// Text, borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);
