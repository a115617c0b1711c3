//! The documents of the project as tests see them: Markdown whose SQL is run, whose outputs are compared, whose code stands in files that
//! tests run, whose commands are known, and whose links lead somewhere. tests/README.md says how a page is written.

pub mod included;
pub mod links;
pub mod markdown;
pub mod outputs;
pub mod reading;
pub mod shell;
pub mod statements;

use std::fs;
use std::path::{Path, PathBuf};

/// Directories that hold no document of ours.
const NOT_OURS: [&str; 7] = ["target", "node_modules", ".git", ".venv", ".build", "results", "corpus"];

/// A Markdown file of the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Its path, from the project's root.
    pub path: String,
    /// What it says.
    pub text: String,
}

impl Document {
    /// Reads the document at `path`, which is relative to the project's root.
    pub fn read(path: &str) -> Self {
        let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text }
    }

    /// Every document of the project, by path.
    pub fn all() -> Vec<Self> {
        let mut paths = Vec::new();
        collect(&root(), &mut paths);
        paths.sort();
        let relative = |path: &PathBuf| path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        paths.iter().map(|path| Self::read(&relative(path))).collect()
    }
}

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy();
        if path.is_symlink() || NOT_OURS.contains(&&*name) {
            continue;
        }
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}
