//! Other readers of base64url and JSON, to compare ours with: slow, simple, and written from the RFCs.

use std::collections::HashMap;

use tinyjson::JsonValue;

/// Strict base64url (RFC 4648, section 5): no padding, no other characters, unused bits zero.
pub fn base64url(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut bytes = Vec::new();
    let (mut bits, mut held) = (0_u32, 0);
    for character in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == character)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    // Six bits left over are a character that carries no byte.
    (held < 6 && bits == 0).then(|| bytes)
}

/// The members of a JSON object, each as it is written and as it is read.
pub struct Object<'a>(HashMap<String, (&'a str, JsonValue)>);

impl<'a> Object<'a> {
    /// `None` unless `json` is an object that names no member twice.
    pub fn read(json: &'a str) -> Option<Self> {
        // The parser tells whether it is JSON; after that, quotes and brackets are enough to find the members.
        let JsonValue::Object(mut values) = json.parse().ok()? else { return None };
        let mut members = HashMap::new();
        for member in members_of(json) {
            let (name, raw) = split_name(member)?;
            let JsonValue::String(name) = name.parse().ok()? else { return None };
            let value = values.remove(&name)?;
            members.insert(name, (raw.trim_matches([' ', '\t', '\r', '\n']), value));
        }
        values.is_empty().then(|| Self(members))
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// `None` if it is absent or null.
    pub fn get(&self, name: &str) -> Option<&JsonValue> {
        self.0.get(name).map(|(_, value)| value).filter(|value| !matches!(value, JsonValue::Null))
    }

    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(as_text)
    }

    /// `None` unless it is a list of texts.
    pub fn texts(&self, name: &str) -> Option<Vec<String>> {
        match self.get(name)? {
            JsonValue::Array(list) => list.iter().map(|item| as_text(item).map(str::to_owned)).collect(),
            _ => None,
        }
    }

    /// Whether Postgres can hold the texts: it has no NUL character.
    pub fn has_nul(&self) -> bool {
        self.0.iter().any(|(name, (_, value))| name.contains('\0') || has_nul(value))
    }

    /// A whole number below 2^53, written with digits alone.
    pub fn date(&self, name: &str) -> Option<i64> {
        let (raw, _) = self.0.get(name)?;
        let digits = raw.bytes().all(|byte| byte.is_ascii_digit()).then(|| *raw)?;
        digits.parse().ok().filter(|seconds| *seconds < 1_i64 << 53)
    }
}

fn has_nul(value: &JsonValue) -> bool {
    match value {
        JsonValue::String(text) => text.contains('\0'),
        JsonValue::Array(items) => items.iter().any(has_nul),
        JsonValue::Object(members) => members.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn as_text(value: &JsonValue) -> Option<&str> {
    match value {
        JsonValue::String(text) => Some(text),
        _ => None,
    }
}

/// What stands between the commas of an object that is known to be JSON.
fn members_of(json: &str) -> Vec<&str> {
    let (mut members, mut depth, mut start) = (Vec::new(), 0, 0);
    each_outside_strings(json, |at, byte| {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if matches!((byte, depth), (b'{' | b',', 1) | (b'}', 0)) {
            if byte != b'{' {
                members.push(&json[start..at]);
            }
            start = at + 1;
        }
    });
    members.retain(|member| !member.trim().is_empty());
    members
}

fn split_name(member: &str) -> Option<(&str, &str)> {
    let mut colon = None;
    each_outside_strings(member, |at, byte| {
        if byte == b':' {
            colon.get_or_insert(at);
        }
    });
    Some((&member[..colon?], &member[colon? + 1..]))
}

fn each_outside_strings(json: &str, mut of: impl FnMut(usize, u8)) {
    let (mut in_string, mut escaped) = (false, false);
    for (at, byte) in json.bytes().enumerate() {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (true, _) => {}
            (false, _) => of(at, byte),
        }
    }
}
