//! `auth.sync_workos`: asks WorkOS what happened since the last time. The request is made in a transaction that has neither lock nor snapshot;
//! the next one applies the page and moves the cursor.

use serde_json::json;
use workos_auth_core::mirror::EVENTS;
use workos_auth_core::mirror::follow::{From, next_from};
use workos_auth_core::workos::lists::{List, Page};
use workos_auth_core::{Error, Result};

use super::apply::apply_page;
use super::source::{Patience, Source, writing};
use crate::installation;
use crate::postgres::clock;
use crate::postgres::procedure::Transactions;
use crate::postgres::roles::as_owner;
use crate::postgres::transaction::require_writable;
use crate::store::{locks, workos_sync as store};

/// What a page has brought.
#[derive(Debug, Clone, Copy)]
pub struct Synced {
    /// how many events were applied
    pub events: i64,
    /// whether WorkOS has more
    pub has_more: bool,
}

/// `auth.sync_workos`: at most so many pages; how many events were applied.
///
/// # Errors
/// `validation_failed`, `null_value`, and those of [`next_page`].
pub fn sync(transactions: &Transactions, max_pages: Option<i32>) -> Result<i64> {
    require_writable()?;
    let max_pages = max_pages.ok_or_else(|| Error::null("max_pages"))?;
    if max_pages < 1 {
        return Err(Error::invalid("max_pages", "it must be at least 1."));
    }
    let mut events: i64 = 0;
    for _ in 0..max_pages {
        let synced = next_page(transactions)?;
        events = events.saturating_add(synced.events);
        if !synced.has_more {
            break;
        }
    }
    Ok(events)
}

/// Asks for a page, applies it and commits. Whoever else does the same is waited for.
///
/// # Errors
/// `reconciliation_needed`; those of [`Source`], and of a page that cannot be applied, which are written down and committed too.
pub fn next_page(transactions: &Transactions) -> Result<Synced> {
    require_writable()?;
    installation::require_home()?;
    let _turn = locks::lock_mirror();
    // What another has committed meanwhile is seen.
    transactions.apart(|| ())?;
    let begun = as_owner(|| {
        let source = Source::open(Patience::NONE)?;
        let state = store::state()?;
        let from = next_from(&state, clock::unix_seconds(clock::now()))?;
        Ok((source, state, from))
    });
    let outcome = begun.and_then(|(source, state, from)| {
        let page = transactions.apart(|| fetch(&source, &from))??;
        let has_more = page.after.is_some();
        let page = json!({ "data": page.items, "list_metadata": { "after": page.after } });
        let events = writing(|| apply_page(state.cursor.as_deref(), || Ok(page)))?;
        Ok(Synced { events, has_more })
    });
    if let Err(error) = &outcome {
        as_owner(|| store::note_failure(error))?;
    }
    transactions.apart(|| ())?;
    outcome
}

fn fetch(source: &Source, from: &From) -> Result<Page> {
    let types = EVENTS.join(",");
    let (after, since) = match from {
        From::Cursor(cursor) => (Some(cursor.as_str()), None),
        From::Time(since) => (None, Some(since.as_str())),
    };
    let filters = [("events", Some(types.as_str())), ("range_start", since)];
    let filters: Vec<(&str, &str)> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    source.page(&List { path: &["events"], filters: &filters }, after)
}
