//! The page of the figures, `docs/benchmarks.md`: a run replaces the sections of the parts that it measures, and then the short
//! table above them, which is made of theirs.

use std::fs;
use std::sync::Mutex;

use workos_testbed::{Error, Result};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");

/// The section of the short table.
const SHORT: &str = "in short";

/// What was told since a part was written.
static TOLD: Mutex<String> = Mutex::new(String::new());

/// Prints a line, and keeps it for the page.
macro_rules! tell {
    () => { $crate::report::say("") };
    ($($what:tt)*) => { $crate::report::say(&format!($($what)*)) };
}
pub(crate) use tell;

/// As [`tell!`] does.
pub fn say(line: &str) {
    println!("{line}");
    let mut told = TOLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    told.push_str(line);
    told.push('\n');
}

/// Writes what was told of a part into its section.
///
/// # Errors
/// The page cannot be read or written, or has no such section.
pub fn write(part: &str, rounds: usize) -> Result<()> {
    let told = std::mem::take(&mut *TOLD.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    let failed = |error| Error::Other(format!("docs/benchmarks.md: {error}"));
    let page = fs::read_to_string(PAGE).map_err(failed)?;
    let section = format!("`make bench BENCH={part}`, rounds: {rounds}.\n{}", told.trim_end());
    let page = with_section(&page, part, &section)?;
    let short = short_table(&page);
    fs::write(PAGE, with_section(&page, SHORT, &short)?).map_err(failed)
}

fn marks(name: &str) -> [String; 2] {
    ["from", "to"].map(|side| format!("<!-- generated: {name}, by make bench, {side} here -->"))
}

/// Where the text of a section begins and ends.
fn section_of(page: &str, name: &str) -> Result<(usize, usize)> {
    let [from, to] = marks(name);
    let place = page.find(&from).map(|at| at + from.len());
    let end = place.and_then(|begin| Some((begin, begin + page.get(begin..)?.find(&to)?)));
    end.ok_or_else(|| Error::Other(format!("docs/benchmarks.md has no section {name}")))
}

fn with_section(page: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = section_of(page, name)?;
    let [before, after] = [page.get(..begin), page.get(end..)].map(Option::unwrap_or_default);
    Ok(format!("{before}\n\n{text}\n\n{after}"))
}

/// A line of the short table: what it says, and where its figure and its floor's stand.
struct Line {
    what: &'static str,
    part: &'static str,
    figure: (&'static str, usize),
    floor: Option<(&'static str, &'static str, usize)>,
    unit: &'static str,
}

/// Where the row begins, and which of its columns it is; of a floor its name too.
const LINES: &[Line] = &[
    Line {
        what: "`auth.uid()` in a policy, each row",
        part: "readers",
        figure: ("| `owner = auth.uid()` |", 1),
        floor: Some(("an empty C function", "| `owner = …`, an empty C function that returns uuid |", 1)),
        unit: "ns",
    },
    Line {
        what: "`auth.has_role(…)` in a policy, each row",
        part: "readers",
        figure: ("| `auth.has_role('role:50')` |", 1),
        floor: Some(("an empty C function", "| an empty C function that returns boolean |", 1)),
        unit: "ns",
    },
    Line {
        what: "`auth.set_session` and `auth.uid()`, a token that this backend has seen",
        part: "readers",
        figure: ("| the same by a procedure, without a protocol | on |", 3),
        floor: None,
        unit: "µs",
    },
    Line {
        what: "the same, a token that it has not seen: one signature check, and",
        part: "readers",
        figure: ("| the same by a procedure | on | a C function that checks the signature |", 3),
        floor: Some(("a signature check", "| an ES256 signature check,", 4)),
        unit: "µs",
    },
    Line {
        what: "the look at the session's row, in a statement after something was written",
        part: "readers",
        figure: ("| 1000000 | on, over off, while another connection commits all the time: the look-up |", 2),
        floor: None,
        unit: "µs",
    },
    Line {
        what: "`auth.start_sign_in`, 8 clients",
        part: "sign-in",
        figure: ("| `auth.start_sign_in` | 8 |", 2),
        floor: Some(("an `INSERT` of one row", "| an `INSERT` of one row | 8 |", 2)),
        unit: "a second",
    },
    Line {
        what: "`auth.exchange_code`, 8 clients",
        part: "sign-in",
        figure: ("| `auth.exchange_code` | 8 |", 2),
        floor: None,
        unit: "a second",
    },
    Line {
        what: "`auth.refresh_session`, 8 clients, five million sessions",
        part: "sessions",
        figure: ("| 5000000 | `auth.refresh_session` | 8 |", 3),
        floor: Some(("an `UPDATE` of one row", "| 5000000 | an `UPDATE` of one row | 8 |", 3)),
        unit: "a second",
    },
    Line {
        what: "a refresh through the gateway, 8 clients",
        part: "gateway",
        figure: ("| refresh | the gateway | 8 |", 3),
        floor: Some(("by SQL", "| refresh | bare SQL calls | 8 |", 3)),
        unit: "a second",
    },
];

/// Without the lines whose figures no table has: a run with other numbers of people has other rows.
fn short_table(page: &str) -> String {
    let lines = LINES.iter().filter_map(|Line { what, part, figure, floor, unit }| {
        let (begin, end) = section_of(page, part).ok()?;
        let median = |row: &str, column| median_of(page.get(begin..end)?, row, column);
        let beside = match floor {
            Some((name, row, column)) => format!("{name}: {} {unit}", median(row, *column)?),
            None => String::new(),
        };
        Some(format!("\n| {what} | {} {unit} | {beside} |", median(figure.0, figure.1)?))
    });
    format!("| what | median | beside |\n|---|---|---|{}", lines.collect::<String>())
}

/// Of a cell such as `3.1 / 4.1` or `1 / 2 / 3` the second, which is the median; of a cell of one figure that one.
fn median_of<'a>(section: &'a str, row: &str, column: usize) -> Option<&'a str> {
    let line = section.lines().find(|line| line.starts_with(row))?;
    let cell = line.split('|').nth(column + 1)?.trim();
    let mut figures = cell.split(" / ");
    let first = figures.next()?;
    Some(figures.next().unwrap_or(first))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_replaced_and_the_rest_stays() {
        let [from, to] = marks("readers");
        let page = format!("before\n{from}\nold\n{to}\nafter\n");
        let new = with_section(&page, "readers", "new").unwrap();
        assert_eq!(new, format!("before\n{from}\n\nnew\n\n{to}\nafter\n"));
        assert_eq!(with_section(&new, "readers", "new").unwrap(), new);
        assert!(with_section(&page, "sign-in", "new").is_err());
    }

    #[test]
    fn a_median_is_the_second_of_several_figures() {
        let section = "| a | 1 |\n| `b` | 8 | 1.0 / 2.5 / 3 | 7 |\n";
        assert_eq!(median_of(section, "| `b` | 8 |", 2), Some("2.5"));
        assert_eq!(median_of(section, "| `b` |", 3), Some("7"));
        assert_eq!(median_of(section, "| a |", 1), Some("1"));
        assert_eq!(median_of(section, "| c |", 1), None);
    }

    #[test]
    fn the_short_table_of_the_page_is_that_of_its_tables() {
        let page = fs::read_to_string(PAGE).unwrap();
        assert_eq!(with_section(&page, SHORT, &short_table(&page)).unwrap(), page);
    }
}
