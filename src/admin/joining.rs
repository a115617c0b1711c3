//! Gives an account back: `auth.move_identity` and `auth.merge_users`.
//!
//! Both lock as a sign-in does: profiles first, then addresses, then the users' rows. A sign-in under way comes before or after.

use std::collections::BTreeSet;

use pgrx::Uuid as PgUuid;
use serde_json::json;
use uuid::Uuid;
use workos_auth_core::accounts::{Candidate, KnownIdentity, WORKOS, fold_email, joining};
use workos_auth_core::trusted_issuer::Kind;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::postgres::transaction::require_writable;
use crate::postgres::uuid::from_postgres;
use crate::sign_in::{change_email, lock_email, lock_identity};
use crate::store::mirror::belonging;
use crate::store::sessions::{self, Scope};
use crate::store::{Subject, accounts, ended_sessions, issuers, joining as store, operating, scan, users};
use crate::{current_session, settings};

/// The most tables that a detail names.
const NAMED: usize = 20;

/// Who vouches for an identity must be who speaks for the organization.
fn require_spokesman(provider: &str, organization: &str) -> Result<()> {
    let kind = if provider == WORKOS { None } else { issuers::kind(provider)? };
    let speaks_as = match kind.map(|kind| Kind::parse(&kind)).transpose()? {
        Some(kind) if !kind.has_organizations_of_workos() => Some(provider),
        _ => None,
    };
    accounts::require_issuer(organization, speaks_as)
}

/// `auth.move_identity`: the identity is of another organization from now on, and leads into the same account.
///
/// # Errors
/// `identity_not_found`, `organization_not_found`, `organization_of_another_issuer`, `cross_organization_link_disabled`.
pub fn move_identity(identity_id: Option<PgUuid>, organization: Option<&str>) -> Result<()> {
    require_writable()?;
    let identity_id = from_postgres(identity_id.ok_or_else(|| Error::null("identity_id"))?);
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    let identity = accounts::identity_by_id(identity_id)?.ok_or_else(unknown_identity)?;
    if !accounts::knows_organization(organization) {
        return Err(ErrorCode::OrganizationNotFound.into());
    }
    require_spokesman(&identity.provider, organization)?;
    if identity.organization_id.as_deref() == Some(organization) {
        return Ok(());
    }
    lock_identity(&identity.provider, &identity.provider_id);
    // Written, not only locked: a transaction with an older snapshot fails with 40001.
    if !users::lock_by_update(identity.user_id)? {
        return Err(unknown_identity());
    }
    let user = accounts::candidate(identity.user_id)?.ok_or_else(unknown_identity)?;
    let across = settings::link_across_organizations();
    let moving = joining::relocate(&user, identity_id, organization, across).map_err(|error| match error.code() {
        ErrorCode::IdentityNotFound => unknown_identity(),
        _ => error,
    })?;
    let Some(moving) = moving else { return Ok(()) };

    // What the old organization has vouched for ends with it.
    let mut ended = sessions::end_of_identity(identity_id)?;
    if let Some(left) = &moving.leaves {
        ended += sessions::end_in_organization(user.user_id, left)?;
        users::delete_membership(left, user.user_id)?;
    }
    store::set_organization(identity_id, organization)?;
    change_email(user.user_id, &moving.email)?;
    write_move(&user, &identity, organization, ended)?;
    current_session::recheck_on_next_read();
    Ok(())
}

fn write_move(user: &Candidate, identity: &KnownIdentity, organization: &str, ended: u64) -> Result<()> {
    let subject = Subject {
        user_id: Some(user.user_id),
        organization_id: Some(organization),
        connection_id: identity.connection_id.as_deref(),
        ..Subject::default()
    };
    let payload = json!({
        "provider": identity.provider, "provider_id": identity.provider_id, "identity_id": identity.id,
        "old_organization_id": identity.organization_id, "sessions": ended,
    });
    audit("identity_moved", &subject, payload)
}

fn unknown_identity() -> Error {
    Error::with_detail(ErrorCode::IdentityNotFound, "auth.identities has no row with this id.")
        .hint("Look for it by auth.identities.email or provider_id.")
}

/// `auth.merge_users`: what leads into one account leads into the other, and the first is deleted.
///
/// No row of others is written. A table's triggers and policies would run with our rights, or with those of a caller who may not see
/// every row. So rows that reference the user who goes must be moved before, by somebody who may; until then the call is refused.
///
/// # Errors
/// `user_not_found`, `user_deleted`, `cross_organization_link_disabled`, `user_referenced`.
pub fn merge_users(from: Option<PgUuid>, into: Option<PgUuid>) -> Result<()> {
    require_writable()?;
    let from = from_postgres(from.ok_or_else(|| Error::null("from_user"))?);
    let into = from_postgres(into.ok_or_else(|| Error::null("into_user"))?);
    if from == into {
        return Err(Error::invalid("into_user", "it is from_user."));
    }
    let (from, into) = lock_both(from, into)?;
    joining::merge(&from, &into, settings::link_across_organizations())?;
    if store::is_anonymous(into.user_id)? && !store::is_anonymous(from.user_id)? {
        return Err(Error::invalid("into_user", "it is anonymous. Merge it into the other user."));
    }
    refuse_referenced(from.user_id)?;

    let ended = sessions::end(from.user_id, Scope::Global)?;
    let identities = store::hand_over_identities(from.user_id, into.user_id)?;
    let memberships = store::hand_over_memberships(from.user_id, into.user_id)?;
    if scan::has_mirror() {
        belonging::hand_over(from.user_id, into.user_id)?;
    }
    let kept = store::absorb(from.user_id, into.user_id)?;
    operating::delete(from.user_id)?;
    store::take_addresses(into.user_id, &kept)?;
    if let Some(identity) = from.identities.iter().find(|identity| !identity.is_of_issuer()) {
        accounts::mark_linked(into.user_id, &identity.email, &identity.provider)?;
    }
    // A ban of either is a ban of both. Else tokens are refreshed, whose address may have changed.
    let ended_of_into = match kept.is_banned {
        true => sessions::end(into.user_id, Scope::Global)? + ended_sessions::end_of_user(into.user_id, None)?,
        false => sessions::raise_claims_versions(into.user_id).map(|()| 0)?,
    };
    let subject = Subject { user_id: Some(into.user_id), ..Subject::default() };
    let payload = json!({
        "from_user": from.user_id, "email": from.email, "identities": identities, "memberships": memberships,
        "sessions": ended + ended_of_into,
    });
    audit("users_merged", &subject, payload)?;
    current_session::recheck_on_next_read();
    Ok(())
}

/// Locks everything that leads into both accounts, and returns what they are from then on.
fn lock_both(from: Uuid, into: Uuid) -> Result<(Candidate, Candidate)> {
    let (mut names, mut emails) = (BTreeSet::new(), BTreeSet::new());
    let name = |identity: &KnownIdentity| (identity.provider.clone(), identity.provider_id.clone());
    for user in read_both(from, into)? {
        names.extend(user.identities.iter().map(name));
        emails.extend(user.identities.iter().map(|identity| fold_email(&identity.email)));
        emails.extend(user.email.as_deref().map(fold_email));
    }
    names.iter().for_each(|(provider, id)| lock_identity(provider, id));
    emails.iter().for_each(|email| lock_email(email));
    store::lock_both(from, into)?;
    let [from, into] = read_both(from, into)?;
    let mut identities = from.identities.iter().chain(&into.identities);
    if !identities.all(|identity| names.contains(&name(identity))) {
        let detail = "Somebody signed in with another identity of one of the users meanwhile.";
        return Err(Error::with_detail(ErrorCode::SerializationFailure, detail));
    }
    Ok((from, into))
}

fn read_both(from: Uuid, into: Uuid) -> Result<[Candidate; 2]> {
    let read = |user_id, argument| {
        let unknown = || Error::with_detail(ErrorCode::UserNotFound, format!("auth.users has no row for {argument}."));
        accounts::candidate(user_id)?.ok_or_else(unknown)
    };
    Ok([read(from, "from_user")?, read(into, "into_user")?])
}

fn refuse_referenced(user_id: Uuid) -> Result<()> {
    let tables = store::tables_that_reference(user_id)?;
    if tables.is_empty() {
        return Ok(());
    }
    let named = tables.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = match tables.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let detail = format!("These tables have rows that reference from_user: {named}{more}.");
    Err(Error::with_detail(ErrorCode::UserReferenced, detail))
}
