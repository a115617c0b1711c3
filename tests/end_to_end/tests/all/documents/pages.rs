//! The SQL of every page runs, and its outputs are those that the page shows. A page that gets SQL gets a line here.

use std::fs;

use workos_end_to_end::case;
use workos_end_to_end::documents::{Document, reading, root};

/// The test of each page. `make test-e2e ONLY=documents::pages::readme` runs one.
macro_rules! pages {
    ($($name:ident: $path:literal,)*) => {
        const PAGES: &[&str] = &[$($path),*];

        $(
            #[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                assert!(reading::read(&Document::read($path)).await > 0);
            }
        )*
    };
}

pages! {
    readme: "README.md",
    accounts: "docs/accounts.md",
    administration: "docs/administration.md",
    authkit: "docs/authkit.md",
    backend: "docs/backend.md",
    customers: "docs/customers.md",
    directories: "docs/directories.md",
    faq: "docs/faq.md",
    gateway: "docs/gateway.md",
    hooks: "docs/hooks.md",
    install: "docs/install.md",
    leavers: "docs/leavers.md",
    managed_postgres: "docs/managed-postgres.md",
    monitoring: "docs/monitoring.md",
    moving_from_supabase: "docs/moving-from-supabase.md",
    operations: "docs/operations.md",
    mirror: "docs/mirror.md",
    policies: "docs/policies.md",
    postgrest: "docs/postgrest.md",
    security: "docs/security.md",
    testing: "docs/testing.md",
    trusted_issuers: "docs/trusted-issuers.md",
    upgrading: "docs/upgrading.md",
    workos: "docs/workos.md",
}

/// Blocks that are not run here are run by the test that says so.
#[test]
fn what_others_run_is_run() {
    for (words, file) in reading::RUN_ELSEWHERE {
        case!(words, file);
        let test = fs::read_to_string(root().join("tests/end_to_end/tests/all").join(file)).unwrap();
        assert!(test.contains(&format!("\"sql {words}\"")));
    }
}

#[test]
fn every_page_with_sql_is_run() {
    let with_sql = Document::all().into_iter().filter(reading::has_steps).map(|page| page.path);
    let mut listed: Vec<&str> = PAGES.to_vec();
    listed.sort_unstable();
    assert_eq!(with_sql.collect::<Vec<_>>(), listed);
}
