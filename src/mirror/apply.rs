//! Applies events: pages of them, which move the cursor, and single ones, which do not.

use serde_json::Value;
use workos_auth_core::mirror::{Change, Event, Page};
use workos_auth_core::{Error, ErrorCode, Result, workos_id};

use super::{directories, organizations, people};
use crate::audit::audit;
use crate::postgres::jsonb::Jsonb;
use crate::postgres::snapshot::uses_one_snapshot;
use crate::postgres::transaction::require_writable;
use crate::store::Subject;
use crate::store::mirror::following;
use crate::{current_session, installation};

/// Begins to write what WorkOS tells: one transaction at a time. Returns the cursor.
///
/// # Errors
/// `read_only`, `verifier_only`, `installation_is_a_copy`; `conflict` in a transaction that keeps one snapshot.
pub fn begin() -> Result<Option<String>> {
    require_writable()?;
    installation::refuse_copy()?;
    // A session that was opened since the snapshot would not be seen, and go on.
    if uses_one_snapshot() {
        let detail = "This transaction sees the sessions of when it began, and not those that were opened since.";
        return Err(Error::with_detail(ErrorCode::Conflict, detail).hint("Call it in a transaction of READ COMMITTED."));
    }
    following::lock()
}

/// `auth.apply_events`: how many events were applied that had not been before.
///
/// # Errors
/// Those of [`begin`]; `cursor_moved`, `event_malformed`. Nothing is applied then.
pub fn apply_events(page: Option<Jsonb>, after: Option<&str>) -> Result<i64> {
    let page = page.ok_or_else(|| Error::null("page"))?;
    apply_page(after, || {
        page.parse()
            .ok_or_else(|| Error::with_detail(ErrorCode::EventMalformed, format!("The page is {}.", Jsonb::UNREADABLE)))
    })
}

/// The same of a page that is read once it is known to be the next one.
///
/// # Errors
/// As [`apply_events`].
pub fn apply_page(after: Option<&str>, page: impl FnOnce() -> Result<Value>) -> Result<i64> {
    let cursor = begin()?;
    if cursor.as_deref() != after {
        let shown = |id: Option<&str>| id.map_or("the beginning".to_owned(), |id| format!("\"{id}\""));
        let detail = format!(
            "The cursor is {}, and the page comes after {}.",
            shown(cursor.as_deref()),
            shown(after.filter(|id| workos_id::check(id).is_ok()))
        );
        return Err(Error::with_detail(ErrorCode::CursorMoved, detail));
    }
    let page = Page::read(page()?)?;
    let mut applied = 0;
    for event in &page.events {
        if following::source_of(&event.id)?.as_deref() == Some("skipped") {
            continue;
        }
        if let Some(change) = event.change()? {
            // Also one that a webhook has brought: what came in between is applied before it now.
            apply_change(&change)?;
            applied += i64::from(following::note(event, "poll")?);
        }
    }
    let last_event = page.events.last().map(|event| event.created_at);
    following::advance(page.end(), last_event, page.after.is_none())?;
    current_session::recheck_on_next_read();
    Ok(applied)
}

/// What became of an event that a webhook has brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It is applied.
    Applied,
    /// It was applied before.
    Known,
    /// Nothing follows from its type here.
    Skipped,
    /// Only the order in which WorkOS lists events says what follows: the next page brings it again.
    Left,
}

impl Received {
    /// What `auth.receive_webhook` calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Known => "known",
            Self::Skipped => "skipped",
            Self::Left => "left",
        }
    }
}

/// Applies one event that a webhook has brought, and never moves the cursor.
///
/// # Errors
/// Those of [`begin`]; `event_malformed`.
pub fn apply_webhook_event(event: &Event) -> Result<Received> {
    begin()?;
    let Some(change) = event.change()? else { return Ok(Received::Skipped) };
    if !change.is_dated() {
        return Ok(Received::Left);
    }
    if !following::note(event, "webhook")? {
        return Ok(Received::Known);
    }
    apply_change(&change)?;
    current_session::recheck_on_next_read();
    Ok(Received::Applied)
}

/// `auth.skip_event`: whether it will be passed over.
pub fn skip_event(id: Option<&str>) -> Result<bool> {
    require_writable()?;
    installation::refuse_copy()?;
    let id = id.ok_or_else(|| Error::null("id"))?;
    if workos_id::check(id).is_err() || !id.starts_with("event_") {
        return Err(Error::invalid("id", "it must be the id of an event, event_…."));
    }
    let skipped = following::skip(id)?;
    if skipped {
        audit("workos_event_skipped", &Subject::default(), serde_json::json!({ "event": id }))?;
    }
    Ok(skipped)
}

/// Writes down what WorkOS tells, and does what follows. After [`begin`].
///
/// # Errors
/// Those of the tables.
pub fn apply_change(change: &Change) -> Result<()> {
    match change {
        Change::Organization(organization) => organizations::write(organization),
        Change::OrganizationDeleted(id) => organizations::delete(id),
        Change::Domain(domain) => organizations::write_domain(domain),
        Change::DomainDeleted(domain) => organizations::delete_domain(domain),
        Change::Connection(connection) => organizations::write_connection(connection),
        Change::ConnectionDeleted(id) => organizations::delete_connection(id),
        Change::CertificateExpires { connection_id, at } => organizations::certificate_expires(connection_id, *at),
        Change::Role(role) => people::write_role(role),
        Change::RoleDeleted(role) => people::delete_role(role),
        Change::Membership(membership) => people::write_membership(membership),
        Change::MembershipDeleted(membership) => people::delete_membership(membership),
        Change::UserDeleted(id) => people::delete_user(id),
        Change::SessionRevoked(id) => people::end_session(id),
        Change::Directory(directory) => directories::write(directory),
        Change::DirectoryDeleted(id) => directories::delete(id),
        Change::DirectoryUser(user) => directories::write_user(user),
        Change::DirectoryUserDeleted(user) => directories::delete_user(user),
        Change::DirectoryGroup(group) => directories::write_group(group),
        Change::DirectoryGroupDeleted(id) => directories::delete_group(id),
        Change::GroupMemberAdded(group, user) => directories::add_to_group(group, user),
        Change::GroupMemberRemoved(group, user) => directories::remove_from_group(group, user),
    }
}
