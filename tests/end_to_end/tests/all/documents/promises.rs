//! Every test that a document names is there: `docs/security.md` names one for each promise.

use std::fs;

use workos_end_to_end::documents::{Document, root};

/// Where a path of modules may begin, and what stands in front of its last part.
const ROOTS: [&str; 4] = ["tests/end_to_end/tests/all", "gateway/tests/gateway", "crates/core/src", "src"];

/// The code spans of a text that are paths of modules.
fn paths(text: &str) -> Vec<&str> {
    let is_path = |span: &&str| {
        span.contains("::")
            && span
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_:".contains(letter))
    };
    text.split('`').skip(1).step_by(2).filter(is_path).collect()
}

/// Whether a module of this path is there, or a test of it.
fn is_there(path: &str) -> bool {
    let parts: Vec<&str> = path.split("::").collect();
    let (test, module) = parts.split_last().unwrap();
    ROOTS.iter().any(|beginning| {
        let file = |parts: &[&str]| root().join(beginning).join(parts.join("/")).with_extension("rs");
        file(&parts).is_file() || fs::read_to_string(file(module)).is_ok_and(|text| has_test(&text, test))
    })
}

/// A function with an attribute that makes it a test, or one of `proptest!`, where each has `#[test]`.
fn has_test(text: &str, name: &str) -> bool {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let begins = |line: &&str| line.contains(&format!("fn {name}("));
    lines.iter().position(begins).is_some_and(|at| {
        let attributes = lines[..at].iter().rev().take_while(|line| line.starts_with(['#', '/']));
        attributes
            .into_iter()
            .any(|line| ["#[test]", "#[tokio::test]", "#[pg_test]"].contains(line) || line.starts_with("#[pg_test("))
    })
}

#[test]
fn every_test_that_a_document_names_is_there() {
    let mut found = 0;
    let mut missing = Vec::new();
    for document in Document::all().iter().filter(|document| document.path.starts_with("docs/")) {
        for named in paths(&document.text) {
            found += 1;
            if !is_there(named) {
                missing.push(format!("{}: {named}", document.path));
            }
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
    assert!(found > 90, "{found} tests are named");
}

/// Each row of the tables that are headed by "shown by" names a test.
#[test]
fn every_promise_has_a_test() {
    let page = Document::read("docs/security.md");
    let mut promises = 0;
    let mut is_promise = false;
    for line in page.text.lines() {
        is_promise = line.starts_with('|') && (is_promise || line.ends_with("| shown by |"));
        if is_promise && !line.ends_with("| shown by |") && !line.starts_with("|---") {
            promises += 1;
            assert!(!paths(line.rsplit(" | ").next().unwrap()).is_empty(), "no test shows: {line}");
        }
    }
    assert!(promises > 40, "{promises} promises were found");
}
