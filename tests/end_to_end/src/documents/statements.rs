//! SQL of a document, cut into statements, and the values that stand for `$1`.

use std::collections::HashMap;

use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

/// The statements of `sql`, each with the comments in front of it and without its semicolon.
pub fn statements(sql: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let (mut begun_at, mut is_empty) = (0, true);
    // How many END close the body of a function that is written as BEGIN ATOMIC.
    let mut open = 0_usize;
    let tokens = tokens(sql);
    for (at, token) in tokens.iter().enumerate() {
        match &token.token {
            Token::SemiColon if open == 0 => {
                let end = offset(sql, token.span.start);
                if !is_empty {
                    statements.push(sql[begun_at..end].trim().to_owned());
                }
                (begun_at, is_empty) = (end + 1, true);
                continue;
            }
            Token::Whitespace(_) => continue,
            Token::Word(word) => match word.keyword {
                Keyword::ATOMIC if is_keyword(before(&tokens, at), Keyword::BEGIN) => open = 1,
                Keyword::CASE if open > 0 => open += 1,
                Keyword::END if open > 0 => open -= 1,
                _ => {}
            },
            _ => {}
        }
        is_empty = false;
    }
    if !is_empty {
        statements.push(sql[begun_at..].trim().to_owned());
    }
    statements
}

/// Puts values in the place of `$1` and its like. `name => $1` takes the value of that name. Another takes the refresh token as an
/// argument of `auth.refresh_session`, and otherwise the access token.
pub fn bind(statement: &str, values: &HashMap<String, String>) -> String {
    let tokens = tokens(statement);
    let mut bound = String::new();
    let mut done = 0;
    for (at, token) in tokens.iter().enumerate() {
        if !matches!(&token.token, Token::Placeholder(name) if name.starts_with('$')) {
            continue;
        }
        let name = argument_name(&tokens, at).unwrap_or(if statement.contains("refresh_session(") {
            "refresh_token"
        } else {
            "access_token"
        });
        let value = values.get(name).unwrap_or_else(|| panic!("no {name} to bind in: {statement}"));
        bound.push_str(&statement[done..offset(statement, token.span.start)]);
        bound.push_str(&quoted(value));
        done = offset(statement, token.span.end);
    }
    bound + &statement[done..]
}

/// A text as a literal.
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The name in `name => $1`.
fn argument_name(tokens: &[TokenWithSpan], placeholder: usize) -> Option<&str> {
    let mut behind = tokens[..placeholder].iter().rev().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    match (&behind.next()?.token, &behind.next()?.token) {
        (Token::RArrow, Token::Word(name)) => Some(&name.value),
        _ => None,
    }
}

fn before(tokens: &[TokenWithSpan], at: usize) -> Option<&Token> {
    tokens[..at].iter().rev().map(|token| &token.token).find(|token| !matches!(token, Token::Whitespace(_)))
}

fn is_keyword(token: Option<&Token>, keyword: Keyword) -> bool {
    matches!(token, Some(Token::Word(word)) if word.keyword == keyword)
}

fn tokens(sql: &str) -> Vec<TokenWithSpan> {
    Tokenizer::new(&PostgreSqlDialect {}, sql)
        .with_unescape(false)
        .tokenize_with_location()
        .unwrap_or_else(|error| panic!("{error}:\n{sql}"))
}

/// Where a location is, in bytes. Its lines and columns count from 1, the columns in characters.
fn offset(sql: &str, location: Location) -> usize {
    let line = usize::try_from(location.line).unwrap() - 1;
    let column = usize::try_from(location.column).unwrap() - 1;
    let start: usize = sql.split_inclusive('\n').take(line).map(str::len).sum();
    start + sql[start..].chars().take(column).map(char::len_utf8).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semicolons_and_dashes_in_strings_are_text() {
        let sql = "-- first; of two\nselect 'a;b--c', 'it''s;', E'\\';', \"x;y\"; /* one /* two; */ ; */ select 2 -- the end;\n;-- no more\n";
        let expected = [
            "-- first; of two\nselect 'a;b--c', 'it''s;', E'\\';', \"x;y\"",
            "/* one /* two; */ ; */ select 2 -- the end;",
        ];
        assert_eq!(statements(sql), expected);
    }

    #[test]
    fn bodies_of_functions_are_whole() {
        let sql = "create function f() returns int language plpgsql as $f$ begin return $$;$$; end $f$;
            create function g() returns int language sql begin atomic select case when true then 1 end; select 2; end;
            begin; select 'ö;' || $1; commit";
        let found = statements(sql);
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found[0].ends_with("$f$") && found[1].ends_with("select 2; end"), "{found:#?}");
        assert_eq!(found[2..], ["begin", "select 'ö;' || $1", "commit"]);
    }

    #[test]
    fn placeholders_take_the_value_of_their_name() {
        let values = [("access_token", "a"), ("refresh_token", "r"), ("code", "it's")];
        let values = values.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        for (statement, bound) in [
            ("-- not $1\nselect auth.set_session($1)", "-- not $1\nselect auth.set_session('a')"),
            ("select f(code => $1, verifier => $$ $1 $$)", "select f(code => 'it''s', verifier => $$ $1 $$)"),
            ("select auth.refresh_session($1), 'ö' -- ü", "select auth.refresh_session('r'), 'ö' -- ü"),
            ("select 'Bearer $1 ' || $1", "select 'Bearer $1 ' || 'a'"),
        ] {
            assert_eq!(bind(statement, &values), bound);
        }
    }
}
