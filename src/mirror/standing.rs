//! Whether somebody who signs in has left, as far as WorkOS has told; what the directory says that they may do; and how old that is.

use std::time::Duration;

use uuid::Uuid;
use workos_auth_core::accounts::fold_email;
use workos_auth_core::workos::Profile;
use workos_auth_core::{Error, ErrorCode, Result};

use super::leaving;
use crate::error;
use crate::postgres::clock;
use crate::settings;
use crate::store::accounts::{self, Granted};
use crate::store::mirror::{directories, groups, people};
use crate::store::scan;

/// Refuses a profile whom the organization's directories have as one who has left. Whether they have them as one who is there. To be called with the
/// address locked, and before the user is.
///
/// # Errors
/// `member_removed`
pub fn refuse_removed_profile(profile: &Profile) -> Result<bool> {
    let Some(organization) = profile.organization_id.as_deref().filter(|_| counts()) else { return Ok(false) };
    match directories::is_active(organization, profile.idp_id.as_deref(), &fold_email(&profile.email))? {
        Some(false) => Err(removed("auth.directory_users")),
        found => Ok(found == Some(true)),
    }
}

/// Refuses somebody whom the organization's directories have, and all as one who has left.
///
/// # Errors
/// `member_removed`
pub fn refuse_removed(user_id: Uuid, organization: &str) -> Result<()> {
    if !counts() {
        return Ok(());
    }
    let found = scan::directory_users_of(user_id, organization);
    match !found.is_empty() && !found.contains(&true) {
        true => Err(removed("auth.directory_users")),
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
    if scan::was_removed(subject) {
        return Err(removed("auth.workos_removals"));
    }
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

/// Says that a directory's user is this person, who signs in.
///
/// # Errors
/// Those of the tables.
pub fn claim(user_id: Uuid, profile: &Profile) -> Result<()> {
    match profile.organization_id.as_deref().filter(|_| scan::has_mirror()) {
        Some(organization) => {
            directories::claim(user_id, organization, profile.idp_id.as_deref(), &fold_email(&profile.email))
        }
        None => Ok(()),
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
