//! Whether somebody who signs in has left, as far as WorkOS has told; what the directory says that they may do; and how old that is.

use std::time::Duration;

use uuid::Uuid;
use workos_auth_core::accounts::fold_email;
use workos_auth_core::mirror::ACTIVE;
use workos_auth_core::workos::Profile;
use workos_auth_core::{Error, ErrorCode, Result};

use super::leaving;
use crate::error;
use crate::postgres::clock;
use crate::settings;
use crate::store::accounts::{self, Granted};
use crate::store::mirror::{belonging, directories, groups, people};
use crate::store::scan;

/// Keeps the directory users whom a profile could be as they are until the end of the transaction. To be called with the address locked, and before
/// the user is.
///
/// # Errors
/// Those of the tables.
pub fn await_removal(profile: &Profile) -> Result<()> {
    match profile.organization_id.as_deref().filter(|_| counts()) {
        Some(organization) => belonging::lock(organization, profile.idp_id.as_deref(), &fold_email(&profile.email)),
        None => Ok(()),
    }
}

/// Refuses somebody who has left an organization: whom its directories have, and all as one who has left; or, where they do not have them, whose
/// memberships of AuthKit are all gone.
///
/// # Errors
/// `member_removed`
pub fn refuse_removed(user_id: Uuid, organization: &str) -> Result<()> {
    if !counts() {
        return Ok(());
    }
    let directories = scan::directory_users_of(user_id, organization);
    if directories.contains(&true) {
        return Ok(());
    }
    if !directories.is_empty() {
        return Err(removed("auth.directory_users"));
    }
    let at_authkit = scan::authkit_statuses_of(user_id, organization);
    match !at_authkit.is_empty() && !at_authkit.iter().any(|status| status == "active" || status == "pending") {
        true => Err(removed("auth.workos_memberships")),
        false => Ok(()),
    }
}

/// Refuses somebody of AuthKit whom WorkOS has deleted, or whose membership in the organization is not good any more. The membership stays as it is
/// until the end of the transaction.
///
/// # Errors
/// `member_removed`
pub fn refuse_removed_subject(subject: &str, organization: Option<&str>) -> Result<()> {
    if let Some(organization) = organization.filter(|_| counts()) {
        people::lock_memberships(subject, organization)?;
    }
    refuse_subject_of_session(subject, organization)
}

/// The same of a session that is there already: whoever removes somebody ends it, or waits for it.
///
/// # Errors
/// `member_removed`
pub fn refuse_subject_of_session(subject: &str, organization: Option<&str>) -> Result<()> {
    if !counts() {
        return Ok(());
    }
    accounts::refuse_deleted_subject(subject)?;
    let Some(organization) = organization else { return Ok(()) };
    match people::membership_status(subject, organization).as_deref() {
        None | Some("active" | "pending") => accounts::refuse_deleted(organization),
        Some(_) => Err(removed("auth.workos_memberships")),
    }
}

/// Gives somebody of AuthKit, who is a member here now, the roles that WorkOS has told of.
///
/// # Errors
/// Those of the tables.
pub fn grant_roles(user_id: Uuid, subject: &str, organization: &str) -> Result<()> {
    match scan::has_mirror() {
        true => people::copy_roles(user_id, subject, organization),
        false => Ok(()),
    }
}

/// Says that a directory's users are this person, who comes with this id and address, and refuses them where they have left.
///
/// # Errors
/// `member_removed`
pub fn claim(user_id: Uuid, organization: &str, idp_id: Option<&str>, email: Option<&str>) -> Result<()> {
    if !scan::has_mirror() {
        return Ok(());
    }
    let email = email.map(fold_email).unwrap_or_default();
    belonging::claim(user_id, organization, idp_id, &email)?;
    refuse_departed(user_id, organization, idp_id, &email)?;
    refuse_removed(user_id, organization)
}

/// Refuses a person of whom the organization's directories have no row, where they have all of the id or the address as people who have left: such
/// as another account of somebody who has, or one whose row is of later than the snapshot.
///
/// # Errors
/// `member_removed`
pub fn refuse_departed(user_id: Uuid, organization: &str, idp_id: Option<&str>, email: &str) -> Result<()> {
    if !counts() || !scan::directory_users_of(user_id, organization).is_empty() {
        return Ok(());
    }
    let states = scan::directory_states(organization, idp_id, email);
    match !states.is_empty() && !states.iter().any(|state| state == ACTIVE) {
        true => Err(removed("auth.directory_users")),
        false => Ok(()),
    }
}

/// What a profile and the organization's directories say together: the directory's role comes before that of a sign-in (WorkOS's documentation), and
/// a group counts that either of them names.
///
/// # Errors
/// Those of the tables.
pub fn granted(user_id: Uuid, profile: &Profile) -> Result<Granted> {
    let mut granted =
        Granted { role: profile.role.clone(), roles: profile.roles.clone(), groups: profile.groups.clone() };
    let Some(organization) = profile.organization_id.as_deref().filter(|_| scan::has_mirror()) else {
        return Ok(granted);
    };
    // An answer that was kept for a while may be older than what the events have told since.
    let answered_at = profile.authkit.as_ref().and_then(|session| session.issued_at);
    let newer = answered_at.map(|since| people::roles_since(&profile.id, organization, since)).transpose()?.flatten();
    if let Some(roles) = newer {
        granted.role = roles.first().cloned();
        granted.roles = roles;
    }
    if let Some(roles) = directories::roles_of(user_id, organization)? {
        granted.role = roles.first().cloned();
        granted.roles = roles;
    }
    for name in groups::names_of(user_id, organization)? {
        if !granted.groups.contains(&name) {
            granted.groups.push(name);
        }
    }
    Ok(granted)
}

/// How long ago everything was read that WorkOS had to tell; `None` where it never was.
pub fn age() -> Option<Duration> {
    let drained_at = scan::mirror_drained_at()?;
    Some(Duration::from_micros(clock::statement_start().saturating_sub(drained_at).max(0).unsigned_abs()))
}

/// Warns, or refuses, where the mirror is older than it may be: who has left since is not known.
///
/// # Errors
/// `mirror_stale`
pub fn refuse_overdue() -> Result<()> {
    let Some(limit) = settings::sync_max_age().filter(|_| scan::has_mirror()) else { return Ok(()) };
    let age = age();
    if age.is_some_and(|age| age <= limit) {
        return Ok(());
    }
    let detail = match age {
        Some(age) => format!("They were last read {} s ago.", age.as_secs()),
        None => "They were never read.".to_owned(),
    };
    match settings::refuses_overdue() {
        true => Err(Error::with_detail(ErrorCode::MirrorStale, detail)),
        false => {
            error::log_line(
                "the events of WorkOS have not been read for longer than workos_auth.sync_max_age",
                &detail,
            );
            Ok(())
        }
    }
}

fn counts() -> bool {
    scan::has_mirror() && !leaving::is_off()
}

fn removed(table: &str) -> Error {
    Error::with_detail(ErrorCode::MemberRemoved, format!("{table} has the row."))
}
