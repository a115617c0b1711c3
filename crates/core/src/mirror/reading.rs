//! The members of WorkOS's objects.

use serde_json::{Map, Value};

use super::moment::Moment;
use crate::{jsonb, workos_id};

/// The longest slug and the longest word, in bytes.
const LONGEST_WORD: usize = 255;
/// The longest free text, in characters; the rest is cut off.
const LONGEST_TEXT: usize = 1000;
/// The most roles or permissions.
const MOST: usize = 1000;
/// The largest object of attributes, in bytes of JSON; a larger one is left out.
const LARGEST_ATTRIBUTES: usize = 64 * 1024;

/// Why something of WorkOS's cannot be taken: a sentence without its full stop, which shows nothing of it but ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable(pub(super) String);

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What was read, or why it cannot be.
pub type Read<T> = Result<T, Unreadable>;

/// An object, and what it is called where it cannot be read.
#[derive(Clone, Copy)]
pub(super) struct Object<'a> {
    what: &'static str,
    members: &'a Map<String, Value>,
}

impl<'a> Object<'a> {
    pub fn new(what: &'static str, value: &'a Value) -> Read<Self> {
        match value {
            Value::Object(members) => Ok(Self { what, members }),
            _ => Err(Unreadable(format!("The {what} is not an object"))),
        }
    }

    fn unreadable<T>(&self, member: &str, why: &str) -> Read<T> {
        Err(Unreadable(format!("{member} of the {} {why}", self.what)))
    }

    /// A member that is not there is as null.
    fn get(&self, member: &str) -> &'a Value {
        self.members.get(member).unwrap_or(&Value::Null)
    }

    fn required(&self, member: &str) -> Read<&'a str> {
        match self.get(member) {
            Value::String(text) => Ok(text),
            Value::Null => self.unreadable(member, "is missing"),
            _ => self.unreadable(member, "is not a text"),
        }
    }

    /// An object within this one.
    pub fn object(&self, member: &str, what: &'static str) -> Read<Object<'a>> {
        Object::new(what, self.get(member))
    }

    /// The same as it is.
    pub fn value(&self, member: &str) -> &'a Value {
        self.get(member)
    }

    /// An id of WorkOS's that begins so.
    pub fn id(&self, member: &str, prefix: &str) -> Read<String> {
        let id = self.required(member)?;
        match workos_id::check(id) {
            Err(why) => self.unreadable(member, why),
            Ok(()) if !id.starts_with(prefix) => self.unreadable(member, &format!("does not begin with {prefix}")),
            Ok(()) => Ok(id.to_owned()),
        }
    }

    /// The same where there may be none.
    pub fn optional_id(&self, member: &str, prefix: &str) -> Read<Option<String>> {
        match self.get(member) {
            Value::Null => Ok(None),
            _ => self.id(member, prefix).map(Some),
        }
    }

    /// A state or the like: a word in lower case.
    pub fn word(&self, member: &str) -> Read<String> {
        let word = self.required(member)?;
        let is_word = (1..=LONGEST_WORD).contains(&word.len())
            && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        match is_word {
            true => Ok(word.to_owned()),
            false => self.unreadable(member, "is no word in lower case"),
        }
    }

    /// A slug.
    pub fn slug(&self, member: &str) -> Read<String> {
        let slug = self.required(member)?;
        match is_slug(slug) {
            true => Ok(slug.to_owned()),
            false => self.unreadable(member, NO_SLUG),
        }
    }

    /// The slug of an object `{"slug": …}`, where there is one.
    pub fn slug_of(&self, member: &str) -> Read<Option<String>> {
        match self.get(member) {
            Value::Null => Ok(None),
            value => Object::new("role", value)?.slug("slug").map(Some),
        }
    }

    /// Those of a list of such objects; `None` where there is no list.
    pub fn slugs_of(&self, member: &str) -> Read<Option<Vec<String>>> {
        self.list(member, |item| Object::new("role", item)?.slug("slug"))
    }

    /// A list of slugs.
    pub fn slugs(&self, member: &str) -> Read<Option<Vec<String>>> {
        self.list(member, |item| match item {
            Value::String(slug) if is_slug(slug) => Ok(slug.clone()),
            _ => self.unreadable(member, "has an element that is no slug"),
        })
    }

    /// The elements of a list; `None` where there is no list.
    pub fn list<T>(&self, member: &str, read: impl Fn(&Value) -> Read<T>) -> Read<Option<Vec<T>>> {
        match self.get(member) {
            Value::Null => Ok(None),
            Value::Array(items) if items.len() > MOST => {
                self.unreadable(member, &format!("has more than {MOST} elements"))
            }
            Value::Array(items) => items.iter().map(read).collect::<Read<_>>().map(Some),
            _ => self.unreadable(member, "is not a list"),
        }
    }

    /// A date.
    pub fn moment(&self, member: &str) -> Read<Moment> {
        match Moment::parse(self.required(member)?) {
            Some(moment) => Ok(moment),
            None => self.unreadable(member, "is not a date"),
        }
    }

    /// Whether it says so; what is no boolean does not.
    pub fn flag(&self, member: &str) -> bool {
        self.get(member).as_bool() == Some(true)
    }

    /// What somebody typed: cut where it is too long, and without what a database cannot store.
    pub fn text(&self, member: &str) -> Option<String> {
        let text: String = self.get(member).as_str()?.chars().filter(|c| *c != '\0').take(LONGEST_TEXT).collect();
        Some(text).filter(|text| !text.is_empty())
    }

    /// An object of attributes, without the members that a database cannot store.
    pub fn attributes(&self, member: &str) -> Value {
        let fits = |(name, value): &(&String, &Value)| !name.contains('\0') && jsonb::fits(value);
        let members = self.get(member).as_object().into_iter().flatten().filter(fits);
        let attributes = Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect());
        match attributes.to_string().len() <= LARGEST_ATTRIBUTES {
            true => attributes,
            false => Value::Object(Map::new()),
        }
    }
}

const NO_SLUG: &str = "is not 1 to 255 visible ASCII characters";

fn is_slug(text: &str) -> bool {
    (1..=LONGEST_WORD).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
