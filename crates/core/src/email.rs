//! E-mail addresses: the mailbox of RFC 5321, section 4.1.2, as a dot-string and a domain, with letters beyond ASCII on either side
//! (RFC 6531, section 3.3).
//!
//! Policies and rules of linking read what stands behind the `@`. So an address has one, and nothing in it that nobody sees. A quoted
//! local part, which may hold anything, is none, and neither is an address literal.

#[cfg(test)]
mod tests;

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The longest address, in bytes: a path has 256 with its angle brackets (RFC 5321, section 4.5.3.1.3).
pub const MAX_BYTES: usize = 254;
/// The longest local part, in bytes (section 4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;
/// The longest domain, in bytes: what the name system holds of 255 with a byte of length for each label and the root (RFC 1035,
/// section 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// The longest label of a domain, in characters (RFC 1035, section 2.3.4). One beyond ASCII is longer where it is looked up.
const MAX_LABEL: usize = 63;

/// The address without the blanks around it.
///
/// # Errors
/// What is wrong with it: half a sentence whose subject is the address, and that shows nothing of it.
pub fn parse(text: &str) -> Result<&str, &'static str> {
    let address = text.trim_matches([' ', '\t']);
    if address.is_empty() {
        return Err("is empty");
    }
    if address.len() > MAX_BYTES {
        return Err("is longer than 254 bytes");
    }
    if address.contains(is_unseen) {
        return Err("has a control character, or one that nobody sees");
    }
    let (local, domain) = address.split_once('@').ok_or("has no @")?;
    if domain.contains('@') {
        return Err("has more than one @");
    }
    let is_atom = |atom: &str| begins_well(atom) && atom.chars().all(|c| is_letter(c) || is_special(c));
    if local.len() > MAX_LOCAL_BYTES || !local.split('.').all(is_atom) {
        return Err(
            "has something else before its @ than 1 to 64 bytes of letters, digits and !#$%&'*+-/=?^_`{|}~ with \
                    single dots between them",
        );
    }
    match is_domain(domain) {
        true => Ok(address),
        false => Err("has something else behind its @ than a domain"),
    }
}

/// The domain of an address, with ASCII letters in lower case; `None` for what is no address.
pub fn domain(address: &str) -> Option<String> {
    let (_, domain) = parse(address).ok().filter(|parsed| *parsed == address)?.split_once('@')?;
    Some(domain.to_ascii_lowercase())
}

/// Whether this is a domain: labels of letters, digits and hyphens, with single dots between them.
pub fn is_domain(domain: &str) -> bool {
    let is_label = |label: &str| {
        begins_well(label)
            && label.chars().all(|c| is_letter(c) || c == '-')
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().count() <= MAX_LABEL
    };
    domain.len() <= MAX_DOMAIN_BYTES && domain.split('.').all(is_label)
}

/// A letter or a digit, or what belongs to a letter.
fn is_letter(c: char) -> bool {
    const LETTERS: GeneralCategoryGroup =
        GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark).union(GeneralCategoryGroup::DecimalNumber);
    if c.is_ascii() { c.is_ascii_alphanumeric() } else { LETTERS.contains(category(c)) }
}

/// `atext` of RFC 5322, section 3.2.3, beside letters and digits.
fn is_special(c: char) -> bool {
    "!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Not with a mark, which would change how the character before it looks.
fn begins_well(part: &str) -> bool {
    part.chars().next().is_some_and(|c| c.is_ascii() || !GeneralCategoryGroup::Mark.contains(category(c)))
}

/// What a person does not see where it stands, or sees only by what it does to the rest: control characters, white space beyond ASCII,
/// signs of direction and joining, fillers, what is private or not assigned.
fn is_unseen(c: char) -> bool {
    const UNSEEN: GeneralCategoryGroup = GeneralCategoryGroup::Other.union(GeneralCategoryGroup::Separator);
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    UNSEEN.contains(category(c)) || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
}

fn category(c: char) -> GeneralCategory {
    CodePointMapData::<GeneralCategory>::new().get(c)
}
