//! What the documents show and name is there: code in files that tests run, links, commands, functions and settings.

use workos_auth_core::mirror::EVENTS;
use workos_end_to_end::Bed;
use workos_end_to_end::documents::{Document, included, links, shell};
use workos_end_to_end::sql::lines;

#[test]
fn code_stands_in_files_that_tests_run() {
    let faults: Vec<String> = Document::all().iter().flat_map(included::faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn links_lead_somewhere() {
    let dead = links::dead_links(&Document::all());
    assert!(dead.is_empty(), "{}", dead.join("\n"));
}

#[test]
fn every_part_of_a_command_is_known() {
    // How the fuzzer is driven is for whoever drives it: `make test` does not.
    let pages = Document::all().into_iter().filter(|page| !page.path.starts_with("crates/core/fuzz/"));
    let faults: Vec<String> = pages.flat_map(|page| shell::faults(&page)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whoever brings the pages of events, or sets up an endpoint for webhooks, asks for these.
#[test]
fn the_types_of_events_are_listed() {
    let page = Document::all().into_iter().find(|page| page.path == "docs/mirror.md").unwrap();
    let after = page.text.split("These types count here.").nth(1).unwrap();
    let table = after.split("\n## ").next().unwrap();
    let mut listed: Vec<&str> = table.split('`').skip(1).step_by(2).collect();
    listed.sort_unstable();
    assert_eq!(listed, EVENTS);
}

/// The pages that people read name every function and every setting; the generated reference does not count.
#[tokio::test]
async fn every_function_and_setting_is_named() {
    let bed = Bed::shared("names").await;
    let names = "select distinct 'auth.' || proname from pg_proc
        where pronamespace = 'auth'::regnamespace and prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
        union all select name from pg_settings where name like 'workos\\_auth.%'
        union all select 'workos_auth.session_token'";
    let names = lines(&bed.admin, names).await.unwrap();
    assert!(names.len() > 100, "{names:?}");
    let pages: Vec<Document> = Document::all()
        .into_iter()
        .filter(|page| page.path == "README.md" || page.path.starts_with("docs/"))
        .filter(|page| !page.path.starts_with("docs/reference/"))
        .collect();
    let missing: Vec<&String> =
        names.iter().filter(|name| !pages.iter().any(|page| page.text.contains(name.as_str()))).collect();
    assert!(missing.is_empty(), "in no page: {missing:?}");
}
