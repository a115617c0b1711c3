//! What the tour is printed on: a terminal or a file, a hundred columns wide.

use std::borrow::Cow;
use std::env;
use std::io::{IsTerminal, Write, stdout};

use tabled::builder::Builder;
use tabled::settings::object::Columns;
use tabled::settings::style::Style;
use tabled::settings::{Alignment, Modify, Width};

/// No line is longer.
const WIDTH: usize = 100;
/// Statements and what they return stand out from the prose by this much.
const INDENT: &str = "  ";
/// A longer value is a token or a document, and is shown shortened.
const LONGEST_VALUE: usize = 64;

const BOLD: &str = "\x1b[1m";
const DIM: &str = "\x1b[2m";
const RED: &str = "\x1b[31m";
const BLUE: &str = "\x1b[1;34m";
const PLAIN: &str = "\x1b[0m";

/// Prints the tour. Colours are for terminals, and not for `NO_COLOR` (<https://no-color.org>).
#[derive(Debug, Clone, Copy)]
pub struct Paper {
    colour: bool,
}

impl Paper {
    /// Standard output.
    pub fn new() -> Self {
        let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { colour: stdout().is_terminal() && !unwanted }
    }

    /// The title of the tour or of a step.
    pub fn heading(self, text: &str) {
        let rule = "─".repeat(WIDTH.saturating_sub(text.chars().count() + 4));
        self.line("");
        self.line(&format!("{}── {text} {rule}{}", self.code(BLUE), self.code(PLAIN)));
    }

    /// A paragraph.
    pub fn say(self, text: &str) {
        self.line("");
        for line in textwrap::wrap(text, WIDTH) {
            self.line(&line);
        }
    }

    /// A statement behind the prompt of whoever runs it.
    pub fn statement(self, prompt: &str, sql: &str) {
        self.line("");
        let mut lead = Cow::from(prompt);
        for line in format!("{};", sql.trim_end_matches(';')).lines() {
            let (dim, bold, plain) = (self.code(DIM), self.code(BOLD), self.code(PLAIN));
            self.line(&format!("{INDENT}{dim}{lead}{plain} {bold}{line}{plain}"));
            lead = Cow::from(" ".repeat(prompt.chars().count()));
        }
    }

    /// What stands beside a statement: the value of a parameter, or a remark.
    pub fn aside(self, text: &str) {
        for line in textwrap::wrap(text, textwrap::Options::new(WIDTH - 8).subsequent_indent("        ")) {
            self.line(&format!("{INDENT}  {}-- {line}{}", self.code(DIM), self.code(PLAIN)));
        }
    }

    /// Rows under their columns' names, as psql shows them.
    pub fn table(self, columns: &[&str], rows: &[Vec<String>]) {
        let values = rows.iter().map(|row| row.iter().map(|value| shorten_token(value)));
        let mut table = Builder::from_iter(values);
        table.insert_record(0, columns.iter().copied());
        let mut table = table.build();
        table.with(Style::psql());
        // The last column is the one that holds prose or documents.
        let others: usize = columns.iter().enumerate().map(|(i, name)| widest(name, rows, i) + 3).rev().skip(1).sum();
        let rest = WIDTH.saturating_sub(INDENT.len() + others + 3).max(20);
        table.with(Modify::new(Columns::last()).with(Width::wrap(rest).keep_words(true)));
        for (i, _) in columns.iter().enumerate().filter(|(i, _)| is_numeric(rows, *i)) {
            table.with(Modify::new(Columns::one(i)).with(Alignment::right()));
        }
        self.indented(&table.to_string());
        let count = rows.len();
        self.line(&format!("{INDENT}({count} {})", if count == 1 { "row" } else { "rows" }));
    }

    /// One row, a line a column, as psql's `\x` shows it.
    pub fn record(self, columns: &[&str], row: &[String]) {
        let width = columns.iter().map(|column| column.len()).max().unwrap_or_default();
        for (column, value) in columns.iter().zip(row) {
            self.line(&format!("{INDENT} {column:width$} | {}", shorten(value)));
        }
    }

    /// Things and what is to be said of each.
    pub fn facts(self, facts: &[(&str, String)]) {
        self.line("");
        let width = facts.iter().map(|(thing, _)| thing.len()).max().unwrap_or_default();
        let indent = " ".repeat(INDENT.len() + width + 2);
        for (thing, text) in facts {
            let first = format!("{INDENT}{thing:width$}  ");
            let options = textwrap::Options::new(WIDTH).initial_indent(&first).subsequent_indent(&indent);
            for line in textwrap::wrap(text, options) {
                self.line(&line);
            }
        }
    }

    /// Something of more lines that is no statement: a URL, an answer, a command.
    pub fn block(self, lines: &[String]) {
        self.line("");
        for line in lines {
            self.line(&format!("{INDENT}{line}"));
        }
    }

    /// An error, as psql shows it.
    pub fn error(self, text: &str) {
        for line in text.lines() {
            let options = textwrap::Options::new(WIDTH - INDENT.len()).subsequent_indent("         ");
            for piece in textwrap::wrap(line, options) {
                self.line(&format!("{INDENT}{}{piece}{}", self.code(RED), self.code(PLAIN)));
            }
        }
    }

    fn indented(self, text: &str) {
        for line in text.lines() {
            self.line(&format!("{INDENT}{}", line.trim_end()));
        }
    }

    fn line(self, text: &str) {
        // A reader who has left (`make demo | head`) misses nothing.
        let _ = writeln!(stdout(), "{text}");
    }

    fn code(self, code: &'static str) -> &'static str {
        if self.colour { code } else { "" }
    }
}

/// What is too long to be read, by its beginning and its length.
pub fn shorten(value: &str) -> Cow<'_, str> {
    let length = value.chars().count();
    if length <= LONGEST_VALUE {
        return Cow::from(value);
    }
    let beginning: String = value.chars().take(LONGEST_VALUE / 2).collect();
    Cow::from(format!("{}… ({length} characters)", beginning.trim_end()))
}

/// Prose and documents are left to be wrapped.
fn shorten_token(value: &str) -> Cow<'_, str> {
    if value.contains(' ') { Cow::from(value) } else { shorten(value) }
}

fn is_numeric(rows: &[Vec<String>], column: usize) -> bool {
    !rows.is_empty() && rows.iter().all(|row| row.get(column).is_some_and(|value| value.parse::<i64>().is_ok()))
}

fn widest(name: &str, rows: &[Vec<String>], column: usize) -> usize {
    let values = rows.iter().filter_map(|row| row.get(column)).map(|value| shorten_token(value).chars().count());
    values.chain([name.chars().count()]).max().unwrap_or_default()
}
