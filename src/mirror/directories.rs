//! Directories, their users and groups.

use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::{Directory, DirectoryGroup, DirectoryUser};

use super::leaving;
use crate::audit::audit;
use crate::store::Subject;
use crate::store::locks::lock_email;
use crate::store::mirror::{belonging, directories as store, groups, people, remember_removal};
use crate::store::scan;

/// The state of whoever is deleted, in our table.
const DELETED: &str = "deleted";

pub(super) fn write(directory: &Directory) -> Result<()> {
    store::write(directory)
}

/// WorkOS tells of the directory alone: its groups and roles are gone with it. Nobody has left by that.
pub(super) fn delete(id: &str) -> Result<()> {
    remember_removal(id)?;
    groups::of_directory(id)?.iter().try_for_each(|group| delete_group(group))?;
    let had_roles = store::given_roles(id)?;
    store::remove(id)?;
    had_roles.iter().try_for_each(|(user_id, organization)| settle_roles(*user_id, organization))
}

pub(super) fn write_user(user: &DirectoryUser) -> Result<()> {
    // Who is suspended in a directory that is gone has left; who is there is not in it any more.
    if user.is_active() && scan::was_removed(&user.directory_id) {
        return store::forget_user(user);
    }
    let before = store::lock_user(&user.id)?;
    let user = &placed(user, before.as_ref())?;
    if !store::write_user(user)? {
        return Ok(());
    }
    if !user.is_active() && before.is_none() {
        wait_for_sign_in(user);
    }
    follow(user, before.as_ref())
}

pub(super) fn delete_user(user: &DirectoryUser) -> Result<()> {
    let before = store::lock_user(&user.id)?;
    // Whatever state the event gives somebody who is deleted.
    let user = &DirectoryUser { state: DELETED.to_owned(), ..placed(user, before.as_ref())? };
    if !store::mark_user_deleted(user)? {
        return Ok(());
    }
    if before.is_none() {
        wait_for_sign_in(user);
    }
    follow(user, before.as_ref())?;
    groups::remove_memberships(&user.id)
}

/// With the organization that is known here, where WorkOS does not say it.
fn placed(user: &DirectoryUser, before: Option<&store::Known>) -> Result<DirectoryUser> {
    let mut user = user.clone();
    if user.organization_id.is_none() {
        user.organization_id = match before.and_then(|before| before.organization_id.clone()) {
            None => store::organization_of(&user.directory_id)?,
            known => known,
        };
    }
    Ok(user)
}

/// A sign-in holds the row of the directory user whom it has looked at. Where there was none, it holds the address.
fn wait_for_sign_in(user: &DirectoryUser) {
    if let Some(email) = &user.email {
        lock_email(email);
    }
}

/// Does what follows from a row that is written: all rows of the person say whether they have left.
fn follow(user: &DirectoryUser, before: Option<&store::Known>) -> Result<()> {
    let Some(organization) = user.organization_id.as_deref() else { return Ok(()) };
    if let Some(user_id) = find(user, organization, before.and_then(|before| before.user_id))? {
        follow_person(user_id, user, organization, before)?;
    }
    match user.is_active() {
        true => Ok(()),
        false => {
            let others = belonging::others_of_address(user, organization)?;
            others.into_iter().try_for_each(|user_id| leaving::leave(user_id, organization))
        }
    }
}

fn follow_person(user_id: Uuid, user: &DirectoryUser, organization: &str, before: Option<&store::Known>) -> Result<()> {
    if !user.is_active() {
        if !store::is_active(user_id, organization)? {
            return leaving::leave(user_id, organization);
        }
        // Such as somebody who has moved from one directory to another.
        settle_names(user_id, organization, &user.id)?;
    }
    match !user.roles.is_empty() || before.is_some_and(|before| before.had_roles) {
        true => settle_roles(user_id, organization),
        false => Ok(()),
    }
}

/// Has somebody have the roles that the directories give; one that a directory gave, and none gives any more, is taken away.
fn settle_roles(user_id: Uuid, organization: &str) -> Result<()> {
    let roles = store::roles_of(user_id, organization)?.unwrap_or_default();
    people::set_roles(user_id, organization, &roles)
}

/// Who of the organization a directory user is, written down: whoever was found before, else the only one who matches. Where several do, nobody.
fn find(user: &DirectoryUser, organization: &str, known: Option<Uuid>) -> Result<Option<Uuid>> {
    if known.is_some() {
        return Ok(known);
    }
    match belonging::people_of(user, organization)?.as_slice() {
        [] => Ok(None),
        [only] => {
            belonging::set_user(&user.id, *only)?;
            settle_names(*only, organization, &user.id)?;
            Ok(Some(*only))
        }
        several => {
            let subject = Subject { organization_id: Some(organization), ..Subject::default() };
            let payload = serde_json::json!({ "directory_user": user.id, "users": several });
            audit("directory_user_ambiguous", &subject, payload)?;
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
