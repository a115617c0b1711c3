//! Halves of surrogate pairs.

use std::borrow::Cow;

const REPLACEMENT: &str = "\\ufffd";
/// `\uXXXX`
const ESCAPE: usize = 6;

/// A text in which every escaped half of a surrogate pair is U+FFFD. JavaScript writes such halves where it has cut a text within a character, and
/// neither JSON's readers nor `jsonb` take them.
pub fn whole_characters(text: &str) -> Cow<'_, str> {
    let mut whole = String::new();
    let (mut taken, mut at) = (0, 0);
    while let Some(found) = text[at..].find('\\') {
        let begin = at + found;
        at = match (unit(text, begin), unit(text, begin + ESCAPE)) {
            // Another escape, of two characters.
            (None, _) => text[begin + 1..].chars().next().map_or(text.len(), |next| begin + 1 + next.len_utf8()),
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => begin + 2 * ESCAPE,
            (Some(0xD800..=0xDFFF), _) => {
                whole.push_str(&text[taken..begin]);
                whole.push_str(REPLACEMENT);
                taken = begin + ESCAPE;
                taken
            }
            (Some(_), _) => begin + ESCAPE,
        };
    }
    match taken {
        0 => Cow::Borrowed(text),
        _ => Cow::Owned(whole + &text[taken..]),
    }
}

/// What the escape that begins here stands for, if it is one of four hexadecimal digits.
fn unit(text: &str, begin: usize) -> Option<u16> {
    let digits = text.get(begin..begin + ESCAPE)?.strip_prefix("\\u")?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)
}
