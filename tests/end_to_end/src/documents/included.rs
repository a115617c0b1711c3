//! Code that a document shows stands in a file that tests run. A comment in front of the block names it:
//! `<!-- include: examples/express/app.js#as-user -->`. In the file the section stands between lines with `ANCHOR: as-user` and
//! `ANCHOR_END: as-user`; without an anchor it is the whole file. A line of `…` in the block stands for lines that are left out.

use std::fs;

use super::markdown::Kind;
use super::{Document, root};

/// Languages of which no block stands in a document alone. A block of `sh` may: see [`super::shell`].
const LANGUAGES: [&str; 17] = [
    "js",
    "javascript",
    "jsx",
    "ts",
    "typescript",
    "py",
    "python",
    "kotlin",
    "dart",
    "swift",
    "rust",
    "html",
    "go",
    "bash",
    "shell",
    "console",
    "zsh",
];

/// Where the files are that tests run.
const TESTED: [&str; 5] = ["examples/", "tests/", "demo/", "gateway/tests/", "tools/"];

/// What is wrong with the code of a document: a line each.
pub fn faults(document: &Document) -> Vec<String> {
    let mut faults = Vec::new();
    // The file and the anchor that the next block is of.
    let mut named: Option<String> = None;
    for piece in document.pieces() {
        let place = format!("{}:{}", document.path, piece.line);
        match piece.kind {
            Kind::Comment => named = piece.text.strip_prefix("include:").map(|name| name.trim().to_owned()),
            Kind::Code(words) => match named.take() {
                Some(name) => faults.extend(difference(&name, &piece.text).map(|what| format!("{place}: {what}"))),
                None if LANGUAGES.contains(&words.split(' ').next().unwrap_or_default()) => {
                    faults.push(format!("{place}: no test runs this {words}"));
                }
                None => {}
            },
            _ => {}
        }
    }
    faults
}

fn difference(name: &str, block: &str) -> Option<String> {
    let (path, anchor) = name.split_once('#').map_or((name, None), |(path, anchor)| (path, Some(anchor)));
    if !TESTED.iter().any(|folder| path.starts_with(folder)) {
        return Some(format!("no test runs {path}"));
    }
    let Ok(file) = fs::read_to_string(root().join(path)) else { return Some(format!("{path} is not there")) };
    let Some(section) = section(&file, anchor) else { return Some(format!("{name} is not there")) };
    (!is_shown(&section, block)).then(|| format!("{name} says otherwise:\n{section}"))
}

/// The lines between the anchor's marks, without what all of them are indented by and without other marks.
fn section(file: &str, anchor: Option<&str>) -> Option<String> {
    let mark = |kind: &str| anchor.map(|anchor| format!("{kind}: {anchor}"));
    let is =
        |line: &str, mark: &Option<String>| mark.as_ref().is_some_and(|mark| line.trim_end().ends_with(mark.as_str()));
    let (begin, end) = (mark("ANCHOR"), mark("ANCHOR_END"));
    let mut lines: Vec<&str> = file.lines().collect();
    if anchor.is_some() {
        let from = lines.iter().position(|line| is(line, &begin))? + 1;
        let to = from + lines.get(from..)?.iter().position(|line| is(line, &end))?;
        lines = lines.get(from..to)?.to_vec();
    }
    lines.retain(|line| !line.contains("ANCHOR: ") && !line.contains("ANCHOR_END: "));
    let depth = |line: &&str| line.len() - line.trim_start().len();
    let indent = lines.iter().filter(|line| !line.trim().is_empty()).map(depth).min().unwrap_or(0);
    Some(lines.iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or_default())).collect())
}

/// Whether a block shows the section, but for the lines in the place of which it has `…`.
fn is_shown(section: &str, block: &str) -> bool {
    let lines: Vec<&str> = block.trim_end().lines().collect();
    let parts: Vec<String> = lines.split(|line| line.trim() == "…").map(|lines| lines.join("\n")).collect();
    let Some((first, others)) = parts.split_first() else { return false };
    let Some(mut rest) = section.strip_prefix(first.as_str()) else { return false };
    for part in others {
        let Some((_, after)) = rest.split_once(part.as_str()) else { return false };
        rest = after;
    }
    // The last part is empty where the block ends with a gap.
    rest.trim().is_empty() || (!others.is_empty() && parts.last().is_some_and(String::is_empty))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str =
        "one\n  // ANCHOR: a\n  two\n    three\n  // ANCHOR: b\n  four\n  // ANCHOR_END: a\nfive\n  // ANCHOR_END: b\n";

    #[test]
    fn a_section_stands_between_its_marks() {
        assert_eq!(section(FILE, Some("a")).unwrap(), "two\n  three\nfour\n");
        assert_eq!(section(FILE, Some("b")).unwrap(), "  four\nfive\n");
        assert_eq!(section(FILE, Some("c")), None);
    }

    #[test]
    fn a_block_shows_it_whole_or_with_gaps() {
        let section = "one\n  two\nthree\nfour\n";
        for (block, is) in [
            ("one\n  two\nthree\nfour\n", true),
            ("one\n…\nfour\n", true),
            ("one\n  two\nthree\n", false),
            ("one\n  2\nthree\nfour\n", false),
            ("one\n…\nfive\n", false),
            ("one\n…\nthree\n", false),
            ("one\n…\n", true),
            ("…\nfour\n", true),
        ] {
            assert_eq!(is_shown(section, block), is, "{block}");
        }
    }

    #[test]
    fn code_that_no_test_runs_is_a_fault() {
        let faults = |text: &str| faults(&Document { path: "a page".into(), text: text.into() });
        assert_eq!(faults("```js\n1;\n```\n"), ["a page:1: no test runs this js"]);
        assert_eq!(faults("<!-- include: docs/a.js -->\n\n```js\n1;\n```\n"), ["a page:3: no test runs docs/a.js"]);
        assert_eq!(
            faults("<!-- include: examples/no.js#a -->\n\n```js\n1;\n```\n"),
            ["a page:3: examples/no.js is not there"]
        );
        assert_eq!(faults("```bash\nls\n```\n"), ["a page:1: no test runs this bash"]);
        assert!(faults("```sql\nselect 1;\n```\n\n```sh\nls\n```\n").is_empty());
    }
}
