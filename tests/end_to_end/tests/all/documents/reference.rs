//! The pages of `docs/reference` say what the catalog, `pg_settings` and the table of errors say. `make docs` writes them.

use std::path::{Path, PathBuf};
use std::{env, fs};

use workos_end_to_end::{Bed, reference};

/// Set by `make docs`: the pages are written, not compared.
const WRITE: &str = "WRITE_DOCS";

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").canonicalize().unwrap()
}

/// The pages beside the reference, which show functions in use.
fn examples(docs: &Path) -> Vec<(String, String)> {
    let paths = fs::read_dir(docs).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> =
        paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect();
    pages.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    pages.iter().map(|path| (name(path), fs::read_to_string(path).unwrap())).collect()
}

#[tokio::test]
async fn the_reference_is_what_the_extension_says_of_itself() {
    let bed = Bed::shared("written").await;
    let administrator = bed.role("administrator", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{administrator}')")).await.unwrap();
    let docs = docs();
    let pages = reference::pages(&bed.admin, &administrator, &examples(&docs)).await;
    let stale: Vec<&str> = pages
        .iter()
        .filter(|(name, text)| {
            let path = docs.join("reference").join(name);
            if env::var_os(WRITE).is_some() {
                fs::write(&path, text).unwrap();
            }
            fs::read_to_string(&path).unwrap_or_default() != *text
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(stale.is_empty(), "docs/reference: {stale:?} are older than what they tell of; run make docs");
}
