//! Where the function of a trigger on `auth.users` copies the new person's address to: read from its text, as far as that is plain.
//!
//! A column there that is NOT NULL refuses the first person whose `auth.users.email` is NULL.

/// A column that `new.email` is written into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailCopy {
    /// The table, as SQL names it: one or two identifiers.
    pub table: String,
    /// The column, where the INSERT names its columns.
    pub column: Option<String>,
    /// Which value of the INSERT it is, from 1 on: of one that names no columns, the column's number.
    pub place: usize,
}

/// What turns NULL into something else.
const DEFAULTING: [&str; 6] = ["coalesce", "concat", "format", "case", "greatest", "least"];

/// The most statements that are looked at.
const MAX_INSERTS: usize = 100;

/// The INSERTs of a body that copy `new.email` as it is, NULL included. Other ways to write it, such as by a variable, are not seen.
pub fn email_copies(body: &str) -> Vec<EmailCopy> {
    let text = without_comments(body);
    let folded = text.to_ascii_lowercase();
    let mut copies = Vec::new();
    for (start, _) in folded.match_indices("insert").take(MAX_INSERTS) {
        let Some(rest) = text.get(start + "insert".len()..) else { continue };
        if let Some(insert) = Insert::read(rest) {
            copies.extend(insert.copies());
        }
    }
    copies
}

struct Insert<'a> {
    table: String,
    columns: Option<Vec<&'a str>>,
    values: Vec<&'a str>,
}

impl<'a> Insert<'a> {
    /// What stands behind the word INSERT.
    fn read(text: &'a str) -> Option<Self> {
        let text = after_word(text, "into")?;
        let (mut table, mut text) = identifier(text)?;
        if let Some(more) = text.strip_prefix('.') {
            let (name, rest) = identifier(more)?;
            table = format!("{table}.{name}");
            text = rest;
        }
        if let Some(more) = after_word(text, "as") {
            text = identifier(more)?.1;
        }
        let columns = match text.trim_start().strip_prefix('(') {
            None => None,
            Some(list) => {
                let (columns, rest) = list_to(list, &[")"]);
                text = rest;
                Some(columns)
            }
        };
        let values = match after_word(text, "values") {
            Some(values) => list_to(values.trim_start().strip_prefix('(')?, &[")"]).0,
            None => list_to(after_word(text, "select")?, &[")", ";", "from", "where", "on", "returning"]).0,
        };
        Some(Self { table, columns, values })
    }

    fn copies(self) -> Vec<EmailCopy> {
        let Self { table, columns, values } = self;
        let copied = values.into_iter().enumerate().filter(|(_, value)| copies_null(value));
        copied
            .filter_map(|(at, _)| {
                let column = match &columns {
                    None => None,
                    Some(columns) => Some(identifier(columns.get(at)?)?.0),
                };
                Some(EmailCopy { table: table.clone(), column, place: at + 1 })
            })
            .collect()
    }
}

fn copies_null(value: &str) -> bool {
    let value: String = value.to_ascii_lowercase().split_whitespace().collect();
    let mut named = value.split("new.email").skip(1);
    named.any(|rest| !rest.starts_with(is_of_word)) && !DEFAULTING.iter().any(|word| value.contains(word))
}

/// The rest of a text that begins with a word.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let text = text.trim_start();
    let (start, rest) = text.split_at_checked(word.len())?;
    let ends = !rest.starts_with(is_of_word);
    (start.eq_ignore_ascii_case(word) && ends).then(|| rest)
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

/// An identifier, plain or in quotes, as SQL writes it; and the rest.
fn identifier(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('"') {
        let end = quoted.find('"')?;
        let (name, rest) = quoted.split_at(end);
        return Some((format!("\"{name}\""), rest.get(1..)?));
    }
    let end = text.find(|c| !is_of_word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    name.starts_with(|c: char| c.is_alphabetic() || c == '_').then(|| (name.to_ascii_lowercase(), rest))
}

/// The parts of a list between commas, up to one of these ends; and what stands behind it. Commas and ends in parentheses and in quotes do
/// not count.
fn list_to<'a>(text: &'a str, ends: &[&str]) -> (Vec<&'a str>, &'a str) {
    let (mut parts, mut depth, mut quote, mut start) = (Vec::new(), 0_usize, None, 0);
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if depth == 0 && is_end(rest, before, ends) => {
                parts.push(text[start..at].trim());
                return (parts, text.get(at + c.len_utf8()..).unwrap_or_default());
            }
            None if c == '(' => depth += 1,
            None if c == ')' => depth = depth.saturating_sub(1),
            None if c == ',' && depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            None => {}
        }
        before = c;
    }
    parts.push(text[start..].trim());
    (parts, "")
}

fn is_end(rest: &str, before: char, ends: &[&str]) -> bool {
    ends.iter().any(|end| match end.starts_with(is_of_word) {
        true => {
            !is_of_word(before)
                && before != '.'
                && after_word(rest, end).is_some()
                && !rest.starts_with(char::is_whitespace)
        }
        false => rest.starts_with(end),
    })
}

/// Comments become blanks.
fn without_comments(body: &str) -> String {
    let mut text = String::with_capacity(body.len());
    let mut rest = body;
    while let Some(at) = rest.find(['-', '/', '\'']) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let (kept, after) = if from.starts_with("--") {
            (" ", from.find('\n').and_then(|end| from.get(end..)).unwrap_or_default())
        } else if from.starts_with("/*") {
            (" ", from.find("*/").and_then(|end| from.get(end + 2..)).unwrap_or_default())
        } else if from.starts_with('\'') {
            let end = from.get(1..).and_then(|text| text.find('\'')).map_or(from.len(), |end| end + 2);
            from.split_at(end)
        } else {
            from.split_at(1)
        };
        text.push_str(kept);
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(body: &str) -> Vec<(String, Option<String>, usize)> {
        email_copies(body).into_iter().map(|copy| (copy.table, copy.column, copy.place)).collect()
    }

    fn one(table: &str, column: Option<&str>, place: usize) -> Vec<(String, Option<String>, usize)> {
        vec![(table.to_owned(), column.map(str::to_owned), place)]
    }

    #[test]
    fn an_address_that_is_copied_is_seen() {
        for (body, wanted) in [
            ("insert into public.people (id, mail) values (new.id, new.email);", one("public.people", Some("mail"), 2)),
            ("INSERT INTO people VALUES (NEW.id, NEW.email);", one("people", None, 2)),
            (
                "insert into \"Public\".\"People\" as p (\"E-Mail\") values (lower(new.email)::text);",
                one("\"Public\".\"People\"", Some("\"E-Mail\""), 1),
            ),
            ("insert into p (a, b, c) select new.id, f(1, 'x, y'), new . email from q;", one("p", Some("c"), 3)),
            ("insert into p (a) select new.email where true;", one("p", Some("a"), 1)),
            (
                "-- insert into q (a) values (new.email);\ninsert into p /* so */ (a) values ( -- it\n new.email) on conflict do nothing;",
                one("p", Some("a"), 1),
            ),
            (
                "begin insert into p (name, mail) values (split_part(new.email, '@', 1), 'x'); end",
                one("p", Some("name"), 1),
            ),
            (
                "insert into p (n, m) values (new.raw_user_meta_data ->> 'it''s, here', new.email) returning id into x;",
                one("p", Some("m"), 2),
            ),
        ] {
            assert_eq!(copies(body), wanted, "{body}");
        }
    }

    #[test]
    fn what_copies_no_null_is_left_alone() {
        for body in [
            "insert into p (a) values (new.id);",
            "insert into p (a) values (coalesce(new.email, ''));",
            "insert into p (a) values (case when new.email is null then '' else new.email end);",
            "insert into p (a) values (concat(new.email, 'x'));",
            "insert into p (a) values (old.email, new.email_confirmed_at);",
            "select new.email; insertion into p (a) values (new.email);",
            "insert into p (a, b) values (new.id",
            "insert into",
            "insert into p",
            "insert into 7 values (new.email)",
            "",
        ] {
            assert_eq!(copies(body), [], "{body}");
        }
    }

    #[test]
    fn any_text_is_read() {
        for body in [
            "insert into é values (ñew.email",
            "insert into \"p",
            "insert into p ((((",
            "'",
            "/*",
            "--",
            "insert into p select é, new.email é",
        ] {
            let _ = copies(body);
        }
    }
}
