//! JSON as the bytes of a `jsonb`, as `src/include/utils/jsonb.h` of Postgres lays them out. The layout is part of what is on disk:
//! it has been the same since 9.4.

use super::node::{Members, Node};

/// What is behind the header of four bytes that every value of variable length has, of the `jsonb` that Postgres would make of an
/// object; `None` where a number in it is no 64-bit integer, which is left to Postgres.
pub(crate) fn encode(members: &Members<'_>, text_len: usize) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text_len + text_len / 2);
    write_object(&mut bytes, members)?;
    Some(bytes)
}

const IS_NUMERIC: u32 = 0x1000_0000;
const IS_FALSE: u32 = 0x2000_0000;
const IS_TRUE: u32 = 0x3000_0000;
const IS_NULL: u32 = 0x4000_0000;
const IS_CONTAINER: u32 = 0x5000_0000;
/// The entry says where its value ends, instead of how long it is.
const HAS_OFFSET: u32 = 0x8000_0000;
const TYPE: u32 = 0x7000_0000;
const LENGTH: u32 = 0x0FFF_FFFF;
/// Every so many entries there is one that has an offset.
const STRIDE: usize = 32;
const ARRAY: u32 = 0x4000_0000;
const OBJECT: u32 = 0x2000_0000;

/// Writes a value, and says its entry.
fn write(out: &mut Vec<u8>, node: &Node<'_>) -> Option<u32> {
    let start = out.len();
    let kind = match node {
        Node::Number => return None,
        Node::Null => IS_NULL,
        Node::Bool(false) => IS_FALSE,
        Node::Bool(true) => IS_TRUE,
        Node::Text(text) => {
            out.extend_from_slice(text.as_bytes());
            0
        }
        Node::Integer { is_negative, magnitude } => {
            align(out);
            write_numeric(out, *is_negative, *magnitude);
            IS_NUMERIC
        }
        Node::Array(items) => {
            align(out);
            write_array(out, items)?;
            IS_CONTAINER
        }
        Node::Object(members) => {
            align(out);
            write_object(out, members)?;
            IS_CONTAINER
        }
    };
    // What aligns the value counts as part of it.
    let length = u32::try_from(out.len() - start).ok().filter(|length| *length <= LENGTH)?;
    Some(kind | length)
}

fn write_array(out: &mut Vec<u8>, items: &[Node<'_>]) -> Option<()> {
    let mut entries = Entries::begin(out, ARRAY, items.len(), items.len())?;
    for item in items {
        let entry = write(out, item)?;
        entries.put(out, entry)?;
    }
    Some(())
}

/// First all names, then all values.
fn write_object(out: &mut Vec<u8>, members: &Members<'_>) -> Option<()> {
    let mut entries = Entries::begin(out, OBJECT, members.len(), 2 * members.len())?;
    for (name, _) in members.iter() {
        out.extend_from_slice(name.as_bytes());
        entries.put(out, u32::try_from(name.len()).ok()?)?;
    }
    for (_, value) in members.iter() {
        let entry = write(out, value)?;
        entries.put(out, entry)?;
    }
    Some(())
}

/// The entries of a container, which stand before what they speak of.
struct Entries {
    at: usize,
    count: usize,
    total: u32,
}

impl Entries {
    fn begin(out: &mut Vec<u8>, kind: u32, elements: usize, entries: usize) -> Option<Self> {
        let elements = u32::try_from(elements).ok().filter(|elements| *elements <= LENGTH)?;
        out.extend_from_slice(&(kind | elements).to_ne_bytes());
        let at = out.len();
        out.resize(at + entries * size_of::<u32>(), 0);
        Some(Self { at, count: 0, total: 0 })
    }

    fn put(&mut self, out: &mut [u8], entry: u32) -> Option<()> {
        self.total = self.total.checked_add(entry & LENGTH).filter(|total| *total <= LENGTH)?;
        let entry = if self.count.is_multiple_of(STRIDE) { entry & TYPE | self.total | HAS_OFFSET } else { entry };
        out.get_mut(self.at..self.at + size_of::<u32>())?.copy_from_slice(&entry.to_ne_bytes());
        self.at += size_of::<u32>();
        self.count += 1;
        Some(())
    }
}

fn align(out: &mut Vec<u8>) {
    out.resize(out.len().next_multiple_of(size_of::<u32>()), 0);
}

/// An integer as `src/backend/utils/adt/numeric.c` has it: in the short form, digits of base 10000, none of them zero at the end.
fn write_numeric(out: &mut Vec<u8>, is_negative: bool, magnitude: u64) {
    const SHORT: u16 = 0x8000;
    const NEGATIVE: u16 = 0x2000;
    const BASE: u64 = 10_000;
    let mut digits = [0_u16; 5];
    let mut left = magnitude;
    let mut first = digits.len();
    while left > 0 {
        first -= 1;
        digits[first] = (left % BASE) as u16;
        left /= BASE;
    }
    let digits = &digits[first..];
    let weight = digits.len().saturating_sub(1) as u16;
    let end = digits.iter().rposition(|digit| *digit != 0).map_or(0, |last| last + 1);
    let header = SHORT | weight | if is_negative { NEGATIVE } else { 0 };
    let size = (size_of::<u32>() + size_of::<u16>() * (1 + end)) as u32;
    // `varatt.h`: the header of four bytes.
    let size = if cfg!(target_endian = "little") { size << 2 } else { size };
    out.extend_from_slice(&size.to_ne_bytes());
    out.extend_from_slice(&header.to_ne_bytes());
    for digit in &digits[..end] {
        out.extend_from_slice(&digit.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::node::Strict;
    use super::*;

    fn encoded(json: &str) -> Option<Vec<u8>> {
        let Strict(members) = crate::json::borrow(json).unwrap();
        encode(&members, json.len())
    }

    #[test]
    fn other_numbers_are_left_to_postgres() {
        for json in [r#"{"a":1.0}"#, r#"{"a":[{"b":1e3}]}"#, r#"{"a":18446744073709551616}"#, r#"{"a":-0}"#] {
            assert_eq!(encoded(json), None, "{json}");
        }
        for json in ["{}", r#"{"a":18446744073709551615}"#, r#"{"a":-9223372036854775808}"#] {
            assert!(encoded(json).is_some(), "{json}");
        }
    }
}
