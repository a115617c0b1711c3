//! What a document shows as the answer of a statement, beside what the server answered.

use crate::sql::Refusal;

/// What the server answered to the last statement of a block that answered something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// The columns' names and the rows, as text. NULL is empty, as psql prints it.
    pub table: Option<Table>,
    /// The error that it met.
    pub refusal: Option<Refusal>,
    /// What was said beside it: severity, message, detail and hint.
    pub notices: Vec<(String, Refusal)>,
}

/// Names of columns, and rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "they say it themselves")]
pub struct Table {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

/// In which line an output that is shown differs from the answer. It has psql's form; blanks at the edges of a cell do not count, and `…`
/// stands for any text. Of an error or a notice the lines count that are shown.
///
/// # Errors
/// The line, and what the server said.
pub fn compare(shown: &str, answer: &Answer) -> Result<(), String> {
    let mut table = Vec::new();
    for line in shown.trim_end().lines() {
        match line.split_once(":  ") {
            Some((label, text)) if is_label(label) => {
                if !said(answer).iter().any(|(of, what)| of == label && matches(text.trim(), what)) {
                    return Err(format!("`{line}` was not said: {answer:?}"));
                }
            }
            // Between the columns and their end it is a row.
            _ if line.trim().is_empty() && table.is_empty() => {}
            _ => table.push(line),
        }
    }
    if answer.refusal.is_some() && !shown.contains("ERROR:  ") {
        return Err(format!("an error is not shown: {answer:?}"));
    }
    compare_tables(&table, answer.table.as_ref()).map_err(|line| format!("`{line}` is not in {:?}", answer.table))
}

fn is_label(label: &str) -> bool {
    ["ERROR", "WARNING", "NOTICE", "DETAIL", "HINT"].contains(&label)
}

/// Labels and texts.
fn said(answer: &Answer) -> Vec<(String, String)> {
    let lines = |severity: &str, of: &Refusal| {
        let label = |label: &str, text: &str| (label.to_owned(), text.to_owned());
        [label(severity, &of.message), label("DETAIL", &of.detail), label("HINT", &of.hint)]
    };
    let refusal = answer.refusal.iter().flat_map(|refusal| lines("ERROR", refusal));
    refusal.chain(answer.notices.iter().flat_map(|(severity, notice)| lines(severity, notice))).collect()
}

fn compare_tables(shown: &[&str], table: Option<&Table>) -> Result<(), String> {
    let (Some(header), rest) = (shown.first(), shown.get(1..).unwrap_or_default()) else { return Ok(()) };
    let nothing = Table::default();
    let table = table.unwrap_or(&nothing);
    if !cells_match(header, &table.columns) {
        return Err((*header).to_owned());
    }
    let mut rows = table.rows.iter();
    for line in rest {
        if !line.is_empty() && line.chars().all(|c| matches!(c, '-' | '+')) {
            continue;
        }
        let count = line.strip_prefix('(').and_then(|rest| rest.split_once(" row")).map(|(count, _)| count);
        let is_right = match count {
            Some(count) => count == table.rows.len().to_string(),
            None => rows.next().is_some_and(|row| cells_match(line, row)),
        };
        if !is_right {
            return Err((*line).to_owned());
        }
    }
    match rows.next() {
        Some(row) => Err(format!("{} (which is not shown)", row.join(" | "))),
        None => Ok(()),
    }
}

fn cells_match(line: &str, cells: &[String]) -> bool {
    let shown: Vec<&str> = line.split('|').map(str::trim).collect();
    shown.len() == cells.len() && shown.iter().zip(cells).all(|(shown, cell)| matches(shown, cell.trim()))
}

/// Whether `text` has the parts that stand between the `…` of `pattern`, in their order.
pub fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('…') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('…').unwrap_or(("", rest));
    for part in middle.split('…') {
        match text.split_once(part) {
            Some((_, behind)) => text = behind,
            None => return false,
        }
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[&str], rows: &[&[&str]]) -> Answer {
        let owned = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        let table = Table { columns: owned(columns), rows: rows.iter().map(|row| owned(row)).collect() };
        Answer { table: Some(table), ..Answer::default() }
    }

    const SHOWN: &str = "   task    | owner \n-----------+-------\n read      | 4f…a\n (1 row)\n";

    #[test]
    fn a_table_is_compared_cell_by_cell() {
        let shown = SHOWN.replace(" (1", "(1");
        assert_eq!(compare(&shown, &table(&["task", "owner"], &[&["read", "4f12a"]])), Ok(()));
        for (columns, rows) in [
            (["task", "owner"], vec![["read", "5f12a"]]),
            (["task", "owner"], vec![["write", "4f12a"]]),
            (["task", "owner"], vec![]),
            (["task", "owner"], vec![["read", "4f12a"], ["more", "4f12a"]]),
            (["task", "person"], vec![["read", "4f12a"]]),
        ] {
            let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
            assert!(compare(&shown, &table(&columns, &rows)).is_err(), "{columns:?} {rows:?}");
        }
        let one_more = shown.replace("(1 row)", "(2 rows)");
        assert!(compare(&one_more, &table(&["task", "owner"], &[&["read", "4f12a"]])).is_err());
    }

    #[test]
    fn a_row_of_null_is_an_empty_line() {
        let shown = "NOTICE:  so it is\n uid\n-----\n\n(1 row)\n";
        let mut answer = table(&["uid"], &[&[""]]);
        assert!(compare(shown, &answer).is_err());
        let message = "so it is".to_owned();
        let notice = Refusal {
            sqlstate: "00000".into(),
            message,
            detail: String::new(),
            hint: String::new(),
            context: String::new(),
        };
        answer.notices.push(("NOTICE".into(), notice));
        assert_eq!(compare(shown, &answer), Ok(()));
    }

    #[test]
    fn an_error_is_shown_as_it_is() {
        let refusal = Refusal {
            sqlstate: "42501".into(),
            message: "permission denied for table todos".into(),
            detail: String::new(),
            hint: "Ask.".into(),
            context: String::new(),
        };
        let answer = Answer { refusal: Some(refusal), ..Answer::default() };
        assert_eq!(compare("ERROR:  permission denied for …\n", &answer), Ok(()));
        assert!(compare("ERROR:  permission denied for table todos\nHINT:  Beg.\n", &answer).is_err());
        assert!(compare("", &answer).is_err());
    }

    #[test]
    fn an_ellipsis_stands_for_any_text() {
        for (pattern, text, is_match) in [
            ("a…", "abc", true),
            ("a…c…e", "abcde", true),
            ("a…x…e", "abcde", false),
            ("…", "", true),
            ("a", "ab", false),
            ("a…d", "abc", false),
        ] {
            assert_eq!(matches(pattern, text), is_match, "{pattern} {text}");
        }
    }
}
