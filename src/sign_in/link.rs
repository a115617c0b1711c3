//! Links an identity to the account of somebody who is signed in: a sign-in whose profile is added to that account.
//!
//! Whoever completes it has the verifier, which only the one who started it was given. So nobody can have their own identity added to
//! somebody else's account by opening that somebody's URL.

use uuid::Uuid;
use workos_auth_core::accounts::{Candidate, EmailChange, Incoming, Policy, WORKOS, fold_email, identities};
use workos_auth_core::pkce::CodeVerifier;
use workos_auth_core::workos::Profile;
use workos_auth_core::{Error, ErrorCode, Result};

use super::account::{self, Account};
use super::start::{SignInRequest, StartedSignIn, start_link};
use crate::current_session::{self, Verified};
use crate::settings;
use crate::store::flows::Link;
use crate::store::{RequestClient, accounts as store, scan, sessions, users};

/// Starts a link for the person of a session. `challenge`, with its method, is of a verifier that the caller keeps.
///
/// # Errors
/// `insufficient_privilege` for who acts as somebody else, and those of a sign-in's start.
pub fn link(
    request: &SignInRequest,
    challenge: Option<(&str, Option<&str>)>,
    session: &Verified,
) -> Result<(StartedSignIn, Option<CodeVerifier>)> {
    let session_id = required_session(session)?;
    refuse_actor(session_id)?;
    start_link(request, challenge, Link { user_id: session.user_id, session_id })
}

/// The session that changes what leads into the account: one of this database, which knows when it began and who acts in it.
///
/// # Errors
/// `no_authorization` for a token of another issuer.
pub fn required_session(session: &Verified) -> Result<Uuid> {
    session.own_session().ok_or_else(|| {
        let detail =
            "The token is of another issuer, and identities are linked and unlinked in a session of this database.";
        Error::with_detail(ErrorCode::NoAuthorization, detail).hint("Sign in through auth.start_sign_in first.")
    })
}

/// Refuses a session in which somebody acts as the person: what leads into an account outlasts it.
pub fn refuse_actor(session_id: Uuid) -> Result<()> {
    match sessions::find(session_id)?.and_then(|session| session.actor) {
        None => Ok(()),
        Some(_) => Err(Error::with_detail(
            ErrorCode::InsufficientPrivilege,
            "Whoever acts as somebody else does not change what leads into their account.",
        )),
    }
}

/// Refuses what cannot be finished, before WorkOS is asked.
///
/// # Errors
/// `link_session_not_found`: the session that started it has ended, or another person's session is the current one.
pub fn check(link: &Link) -> Result<()> {
    if scan::live_session(link.session_id).is_none() {
        return Err(ended());
    }
    match current_session::current()? {
        Some(current) if current.user_id != link.user_id => Err(Error::with_detail(
            ErrorCode::LinkSessionNotFound,
            "The current session is another person's than the one that started the link.",
        )),
        _ => Ok(()),
    }
}

/// Refuses, before a code is given out, what [`finish`] would refuse: where the browser comes back to the application, clients take the
/// error of a link for no more than that. Writes and locks nothing, so [`finish`] decides again.
///
/// # Errors
/// As [`finish`].
pub fn foresee(link: &Link, profile: &Profile) -> Result<()> {
    check(link)?;
    let email = fold_email(&profile.email);
    let user = store::candidate(link.user_id)?.ok_or_else(ended)?;
    let (incoming, policy) = (account::incoming(profile, &email), account::policy(profile, &email)?);
    let mut candidates = Vec::new();
    for user_id in store::user_ids_by_email(&email)? {
        candidates.extend(store::candidate(user_id)?);
    }
    decide(profile, &incoming, &user, &candidates, &policy).map(drop)
}

fn decide(
    profile: &Profile,
    incoming: &Incoming,
    user: &Candidate,
    candidates: &[Candidate],
    policy: &Policy,
) -> Result<EmailChange> {
    identities::link(
        incoming,
        store::identity_of(profile)?.map(|identity| identity.user_id),
        user,
        candidates,
        store::email_holder(incoming.email)?,
        policy,
        settings::link_across_organizations(),
    )
}

fn ended() -> Error {
    Error::with_detail(ErrorCode::LinkSessionNotFound, "The session that started the link has ended.")
}

/// Adds the profile to the account. `issuer` is WorkOS's API URL.
///
/// # Errors
/// `link_session_not_found`, and those of `core::accounts::identities::link`.
pub fn finish(link: &Link, profile: &Profile, issuer: &str, client: &RequestClient) -> Result<Account> {
    let user_id = link.user_id;
    let email = fold_email(&profile.email);
    account::lock_identity(WORKOS, &profile.id);
    account::lock_email(&email);
    account::require_standing(profile)?;
    // First the user and then the session, as a deletion does it.
    if !users::lock_by_update(user_id)? || !sessions::lives(link.session_id, user_id)? {
        return Err(ended());
    }
    check(link)?;
    let user = store::lock_candidate(user_id)?.ok_or_else(ended)?;
    let (incoming, policy) = (account::incoming(profile, &email), account::policy(profile, &email)?);
    let candidates = account::candidates(&incoming, &email, &policy)?;
    let change = decide(profile, &incoming, &user, &candidates, &policy)?;
    account::change_email(user_id, &change)?;
    store::mark_linked(user_id, &email, WORKOS)?;
    if let Some(organization) = &profile.organization_id {
        store::ensure_organization(organization)?;
    }
    let identity_id = account::write_identity(user_id, profile, issuer)?;
    users::signed_in(user_id)?;
    account::write_audit("identity_linked", user_id, profile, client)?;
    Ok(Account { user_id, identity_id, is_new_user: false })
}
