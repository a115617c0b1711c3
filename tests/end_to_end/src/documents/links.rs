//! Links within the project lead to what is there.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::markdown::Kind;
use super::{Document, root};

/// Links that lead nowhere, each with its place.
pub fn dead_links(documents: &[Document]) -> Vec<String> {
    let anchors: HashMap<&str, Vec<String>> = documents.iter().map(|of| (of.path.as_str(), of.anchors())).collect();
    let mut dead = Vec::new();
    for document in documents {
        for link in document.pieces().into_iter().filter(|piece| piece.kind == Kind::Link) {
            if !leads_somewhere(document, &link.text, &anchors) {
                dead.push(format!("{}:{}: {}", document.path, link.line, link.text));
            }
        }
    }
    dead
}

fn leads_somewhere(document: &Document, link: &str, anchors: &HashMap<&str, Vec<String>>) -> bool {
    if ["http://", "https://", "mailto:"].iter().any(|scheme| link.starts_with(scheme)) {
        return true;
    }
    let (file, anchor) = link.split_once('#').map_or((link, None), |(file, anchor)| (file, Some(anchor)));
    let path = match file {
        "" => document.path.clone(),
        file => normal(&Path::new(&document.path).with_file_name("").join(file)),
    };
    let is_there = root().join(&path).exists() && !path.starts_with("..");
    let has = |anchor: &str| anchors.get(path.as_str()).is_some_and(|of| of.iter().any(|has| has == anchor));
    is_there && anchor.is_none_or(has)
}

fn normal(path: &Path) -> String {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir if normal.file_name().is_some_and(|name| name != "..") => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal.to_str().unwrap().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(path: &str, text: &str) -> Document {
        Document { path: path.into(), text: text.into() }
    }

    #[test]
    fn a_link_leads_to_a_file_or_a_heading() {
        let concepts = "[a](#one) [b](../README.md#two) [c](no-such-page.md) [d](https://example.com/x#y)\n\n# One\n";
        let readme = "[a](docs/concepts.md#one) [b](docs/concepts.md#three) [c](../outside.md) [d](Makefile)\n";
        let documents = [document("docs/concepts.md", concepts), document("README.md", readme)];
        let expected = [
            "docs/concepts.md:1: ../README.md#two",
            "docs/concepts.md:1: no-such-page.md",
            "README.md:1: docs/concepts.md#three",
            "README.md:1: ../outside.md",
        ];
        assert_eq!(dead_links(&documents), expected);
    }
}
