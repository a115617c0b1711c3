//! What people do to the identities of their own account: they link one, they unlink one.
//!
//! The person has proved both: the account by a session, the identity by signing in with it. What is left to decide is what the
//! rest of this module guards: one organization's say about an account never becomes another's.

use uuid::Uuid;

use super::{Candidate, ComparedProfile, EmailChange, Incoming, KnownIdentity, Policy, refuse_banned_or_deleted};
use crate::error::{Error, ErrorCode, Result};

/// Decides whether a profile becomes an identity of `user`, who asked for it, and what becomes of `users.email`, which is set only if
/// the user has none.
///
/// `known` is whose identity the profile is already; `candidates` and `email_holder` are those of [`decide`](super::decide).
/// `across` is `workos_auth.link_across_organizations`.
///
/// # Errors
/// `user_banned`, also where the profile would be refused for somebody else's ban; `user_deleted`, `identity_already_exists`,
/// `cross_organization_link_disabled`.
pub fn link(
    incoming: &Incoming<'_>,
    known: Option<Uuid>,
    user: &Candidate,
    candidates: &[Candidate],
    email_holder: Option<Uuid>,
    policy: &Policy,
    across: bool,
) -> Result<EmailChange> {
    refuse_banned_or_deleted(user)?;
    match known {
        Some(owner) if owner == user.user_id => {
            return Err(Error::with_detail(ErrorCode::IdentityAlreadyExists, "It is linked to this user."));
        }
        Some(_) => return Err(Error::with_detail(ErrorCode::IdentityAlreadyExists, "It is linked to another user.")),
        None => {}
    }
    let profile = ComparedProfile { incoming, policy, email: super::fold_email(incoming.email), holder: email_holder };
    // A way around a ban otherwise: in by the account of a colleague.
    if candidates.iter().any(|other| other.user_id != user.user_id && other.banned && profile.concerns(other)) {
        return Err(ErrorCode::UserBanned.into());
    }
    if !across && is_elsewhere(incoming.organization_id, &user.identities, &user.memberships) {
        return Err(ErrorCode::CrossOrganizationLinkDisabled.into());
    }
    Ok(profile.email_change(user, None))
}

/// Whether nothing ties an account of these identities and memberships to an organization, and something to another.
pub(super) fn is_elsewhere(organization: Option<&str>, identities: &[KnownIdentity], memberships: &[String]) -> bool {
    if identities.is_empty() {
        return !memberships.is_empty() && memberships.iter().all(|id| Some(id.as_str()) != organization);
    }
    identities.iter().all(|identity| identity.organization_id.as_deref() != organization)
}

/// What follows where an identity is no longer one of an account's in its organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlinking {
    /// What becomes of `users.email`.
    pub email: EmailChange,
    /// The organization that no identity leads to any more, if there is one.
    pub leaves: Option<String>,
}

/// Decides what follows from unlinking one of the user's identities. An address that came from it is given up. That of another identity
/// is taken on when that identity signs in next: a sign-in elsewhere would have to wait for whoever takes an address.
///
/// # Errors
/// `identity_not_found`, `single_identity_not_deletable`.
pub fn unlink(user: &Candidate, identity_id: Uuid) -> Result<Unlinking> {
    let (gone, left) = apart(user, identity_id)?;
    if left.is_empty() {
        return Err(ErrorCode::SingleIdentityNotDeletable.into());
    }
    Ok(without(user, gone, &left))
}

/// One of the user's identities, and the others.
pub(super) fn apart(user: &Candidate, identity_id: Uuid) -> Result<(&KnownIdentity, Vec<&KnownIdentity>)> {
    let (gone, left): (Vec<&KnownIdentity>, Vec<&KnownIdentity>) =
        user.identities.iter().partition(|identity| identity.id == identity_id);
    match gone.first() {
        Some(gone) => Ok((gone, left)),
        None => Err(ErrorCode::IdentityNotFound.into()),
    }
}

/// What the account is without an identity: an address that came from it is given up.
pub(super) fn without(user: &Candidate, gone: &KnownIdentity, left: &[&KnownIdentity]) -> Unlinking {
    let is_address_of = |identity: &KnownIdentity| {
        user.email.as_deref().is_some_and(|email| super::fold_email(email) == super::fold_email(&identity.email))
    };
    let email = match is_address_of(gone) && !left.iter().any(|other| is_address_of(other)) {
        true => EmailChange::Release,
        false => EmailChange::Keep,
    };
    let leaves = gone.organization_id.clone();
    let leaves = leaves.filter(|_| left.iter().all(|other| other.organization_id != gone.organization_id));
    Unlinking { email, leaves }
}
