//! Directories, their users and groups.

use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::{Directory, DirectoryGroup, DirectoryUser};

use super::leaving;
use crate::audit::audit;
use crate::store::Subject;
use crate::store::locks::lock_email;
use crate::store::mirror::{directories as store, groups, people, remember_removal};
use crate::store::scan;

pub(super) fn write(directory: &Directory) -> Result<()> {
    store::write(directory)
}

/// WorkOS tells of the directory alone: its groups are gone with it. Nobody has left by that.
pub(super) fn delete(id: &str) -> Result<()> {
    remember_removal(id)?;
    groups::of_directory(id)?.iter().try_for_each(|group| delete_group(group))?;
    store::remove(id)
}

pub(super) fn write_user(user: &DirectoryUser) -> Result<()> {
    let before = store::lock_user(&user.id)?;
    if !store::write_user(user)? {
        return Ok(());
    }
    let Some(organization) = user.organization_id.as_deref() else { return Ok(()) };
    let known = before.as_ref().and_then(|before| before.user_id);
    if !user.is_active() {
        if before.is_none() {
            wait_for_sign_in(user);
        }
        return leave(user, organization, known);
    }
    let Some(user_id) = find(user, organization, known)? else { return Ok(()) };
    // A role that the directory gave, and gives no more, is taken away.
    match !user.roles.is_empty() || before.is_some_and(|before| before.had_roles) {
        true => people::set_roles(user_id, organization, &user.roles),
        false => Ok(()),
    }
}

pub(super) fn delete_user(user: &DirectoryUser) -> Result<()> {
    let before = store::lock_user(&user.id)?;
    if !store::mark_user_deleted(user)? {
        return Ok(());
    }
    if before.is_none() {
        wait_for_sign_in(user);
    }
    if let Some(organization) = user.organization_id.as_deref() {
        leave(user, organization, before.and_then(|before| before.user_id))?;
    }
    groups::remove_memberships(&user.id)
}

/// A sign-in holds the row of the directory user whom it has looked at. Where there was none, it holds the address.
fn wait_for_sign_in(user: &DirectoryUser) {
    if let Some(email) = &user.email {
        lock_email(email);
    }
}

fn leave(user: &DirectoryUser, organization: &str, known: Option<Uuid>) -> Result<()> {
    let Some(user_id) = find(user, organization, known)? else { return Ok(()) };
    // Such as somebody who has moved from one directory to another.
    match store::is_active_otherwise(user_id, organization, &user.id)? {
        true => settle_names(user_id, organization, &user.id),
        false => leaving::leave(user_id, organization),
    }
}

/// Who of the organization a directory user is, written down.
fn find(user: &DirectoryUser, organization: &str, known: Option<Uuid>) -> Result<Option<Uuid>> {
    let found = who(user, organization, known)?;
    if let Some(user_id) = found.filter(|found| known != Some(*found)) {
        store::set_user(&user.id, user_id)?;
        settle_names(user_id, organization, &user.id)?;
    }
    Ok(found)
}

/// Who of the organization a directory user is: whoever was found before, else the one who has signed in with the id of the identity provider or,
/// where nobody has, with the address. Where several have, nobody.
fn who(user: &DirectoryUser, organization: &str, known: Option<Uuid>) -> Result<Option<Uuid>> {
    if known.is_some() {
        return Ok(known);
    }
    match store::users_like(organization, user.idp_id.as_deref(), user.email.as_deref())?.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(*only)),
        several => {
            let subject = Subject { organization_id: Some(organization), ..Subject::default() };
            audit(
                "directory_user_ambiguous",
                &subject,
                serde_json::json!({ "directory_user": user.id, "users": several }),
            )?;
            Ok(None)
        }
    }
}

pub(super) fn write_group(group: &DirectoryGroup) -> Result<()> {
    let Some(before) = groups::write(group)? else { return Ok(()) };
    let Some(organization) = group.organization_id.as_deref() else { return Ok(()) };
    for user_id in groups::users_of(&group.id)? {
        settle_name(user_id, organization, &before)?;
        settle_name(user_id, organization, &group.name)?;
    }
    Ok(())
}

/// WorkOS tells of the group alone: its members are no longer in it.
pub(super) fn delete_group(id: &str) -> Result<()> {
    remember_removal(id)?;
    let Some(gone) = groups::remove(id)? else { return Ok(()) };
    let Some(organization) = gone.organization_id.as_deref() else { return Ok(()) };
    gone.users.into_iter().try_for_each(|user_id| settle_name(user_id, organization, &gone.name))
}

/// Both come whole, and may be here for the first time.
pub(super) fn add_to_group(group: &DirectoryGroup, user: &DirectoryUser) -> Result<()> {
    write_group(group)?;
    write_user(user)?;
    if scan::was_removed(&group.id) {
        return Ok(());
    }
    groups::add_member(group, &user.id)?;
    settle_member(group, user)
}

/// Nothing comes of it but that somebody is no longer there.
pub(super) fn remove_from_group(group: &DirectoryGroup, user: &DirectoryUser) -> Result<()> {
    groups::remove_member(&group.id, &user.id)?;
    settle_member(group, user)
}

fn settle_member(group: &DirectoryGroup, user: &DirectoryUser) -> Result<()> {
    let known = store::lock_user(&user.id)?.and_then(|known| known.user_id);
    match (known, group.organization_id.as_deref()) {
        (Some(user_id), Some(organization)) => settle_name(user_id, organization, &group.name),
        _ => Ok(()),
    }
}

/// Has somebody's groups say a name where a directory has them in a group of that name, and not where none has.
fn settle_name(user_id: Uuid, organization: &str, name: &str) -> Result<()> {
    let is_member = groups::names_of(user_id, organization)?.iter().any(|own| own == name);
    groups::set_name(user_id, organization, name, is_member)
}

/// The same for every group of a directory user.
fn settle_names(user_id: Uuid, organization: &str, directory_user_id: &str) -> Result<()> {
    groups::names_of_directory_user(directory_user_id)?
        .iter()
        .try_for_each(|name| settle_name(user_id, organization, name))
}
