//! The pages of `docs/reference` say what the catalog, `pg_settings` and the table of errors say. `make docs` writes them.

use std::{env, fs};

use workos_end_to_end::documents::{Document, root};
use workos_end_to_end::{Bed, reference};

/// Set by `make docs`: the pages are written, not compared.
const WRITE: &str = "WRITE_DOCS";

/// The pages beside the reference, which show functions in use.
fn examples() -> Vec<(String, String)> {
    let pages = Document::all().into_iter().filter_map(|page| {
        let name = page.path.strip_prefix("docs/").filter(|name| !name.contains('/'))?.to_owned();
        Some((name, page.text))
    });
    pages.collect()
}

#[tokio::test]
async fn the_reference_is_what_the_extension_says_of_itself() {
    let bed = Bed::shared("written").await;
    let administrator = bed.role("administrator", "").await;
    bed.admin.batch_execute(&format!("select auth.grant_admin('{administrator}')")).await.unwrap();
    let pages = reference::pages(&bed.admin, &administrator, &examples()).await;
    let stale: Vec<&str> = pages
        .iter()
        .filter(|(name, text)| {
            let path = root().join("docs/reference").join(name);
            if env::var_os(WRITE).is_some() {
                fs::write(&path, text).unwrap();
            }
            fs::read_to_string(&path).unwrap_or_default() != *text
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(stale.is_empty(), "docs/reference: {stale:?} are older than what they tell of; run make docs");
}
