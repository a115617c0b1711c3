//! Roles, and the memberships, users and sessions of AuthKit.

use workos_auth_core::Result;
use workos_auth_core::accounts::AUTHKIT;
use workos_auth_core::mirror::{Membership, Role};

use super::leaving;
use crate::store::locks::lock_identity;
use crate::store::mirror::{following, people as store, remember_removal};
use crate::store::{ended_sessions, scan, sessions};

/// Everybody who has the role may do other things from now on. Their rows stay as they are: a role's version is compared with that of a token
/// ([`scan::has_newer_role`]).
pub(super) fn write_role(role: &Role) -> Result<()> {
    let version = following::next_roles_version()?;
    match store::write_role(role, version)? {
        true => tell_verifiers(role),
        false => Ok(()),
    }
}

pub(super) fn delete_role(role: &Role) -> Result<()> {
    let version = following::next_roles_version()?;
    match store::mark_role_deleted(role, version)? {
        true => tell_verifiers(role),
        false => Ok(()),
    }
}

/// Verifiers know of sessions, and not of roles: where there are any, the sessions are written.
fn tell_verifiers(role: &Role) -> Result<()> {
    match scan::heartbeats().is_empty() {
        true => Ok(()),
        false => store::raise_claims_versions(role),
    }
}

pub(super) fn write_membership(membership: &Membership) -> Result<()> {
    if !membership.is_active() {
        wait_for_sign_in(membership);
    }
    if !store::write_membership(membership)? {
        return Ok(());
    }
    match membership.status.as_str() {
        // Has not accepted yet.
        "pending" => Ok(()),
        _ if membership.is_active() => {
            let users = store::users_of(&membership.user_id)?;
            users
                .into_iter()
                .try_for_each(|user_id| store::set_roles(user_id, &membership.organization_id, &membership.roles))
        }
        _ => leave(&membership.user_id, &membership.organization_id),
    }
}

/// A sign-in holds the memberships that it has looked at. Where there were none, it holds the person.
fn wait_for_sign_in(membership: &Membership) {
    if store::membership_status(&membership.user_id, &membership.organization_id).is_none() {
        lock_identity(AUTHKIT, &membership.user_id);
    }
}

pub(super) fn delete_membership(membership: &Membership) -> Result<()> {
    wait_for_sign_in(membership);
    match store::mark_membership_deleted(membership)? {
        true => leave(&membership.user_id, &membership.organization_id),
        false => Ok(()),
    }
}

/// Somebody of AuthKit has left an organization, unless another membership there is good.
fn leave(workos_user_id: &str, organization_id: &str) -> Result<()> {
    if store::membership_status(workos_user_id, organization_id).as_deref() == Some("active") {
        return Ok(());
    }
    leaving::end_at_authkit(workos_user_id, Some(organization_id))?;
    store::users_of(workos_user_id)?.into_iter().try_for_each(|user_id| leaving::leave(user_id, organization_id))
}

pub(super) fn delete_user(id: &str) -> Result<()> {
    // A sign-in without an organization looks at no membership.
    lock_identity(AUTHKIT, id);
    remember_removal(id)?;
    store::mark_memberships_deleted(id)?;
    leaving::end_at_authkit(id, None)?;
    for user_id in store::users_of(id)? {
        // Also those that WorkOS has never told of.
        leaving::leave_everywhere(user_id, &store::memberships_without_sso(user_id)?)?;
    }
    Ok(())
}

pub(super) fn end_session(id: &str) -> Result<()> {
    if leaving::is_off() {
        return Ok(());
    }
    sessions::end_of_authkit_session(id)?;
    store::authkit_issuers()?.iter().try_for_each(|issuer| ended_sessions::end(issuer, id).map(drop))
}
