//! Whose account somebody of AuthKit is: collects what the decision needs, has `core::accounts::by_authkit` decide, and writes.

use uuid::Uuid;
use workos_auth_core::accounts::by_authkit::Person;
use workos_auth_core::accounts::{AUTHKIT, AccountDecision, Candidate, Policy, fold_email};
use workos_auth_core::workos::{AuthkitSession, Profile};
use workos_auth_core::{Error, ErrorCode, Result, metadata, random};

use super::account::{Account, change_email, lock_email, lock_identity, policy, require_standing, write_audit};
use crate::auth_hooks::{self, NewUser};
use crate::mirror;
use crate::settings;
use crate::store::{RequestClient, accounts as store, users};

/// Decides whose account the person is and writes user, identity, organization and membership. `issuer` is WorkOS's API URL.
///
/// # Errors
/// Those of [`Person::decide`]; `sso_required`, `member_removed`, `mirror_stale`, `organization_of_another_issuer`, `hook_failed`.
pub fn resolve(profile: &Profile, session: &AuthkitSession, issuer: &str, client: &RequestClient) -> Result<Account> {
    let address = fold_email(&profile.email);
    let email = session.email_verified.then(|| address.as_str());
    admit(profile, session.is_sso(), email)?;
    let person = Person { id: &profile.id, organization_id: profile.organization_id.as_deref(), email };
    let decision = decide(&person, profile, &address)?;
    if let Some(organization) = &profile.organization_id {
        store::ensure_organization(organization)?;
    }
    let user_metadata = metadata::user_metadata(profile, issuer);
    let (user_id, is_new_user) = match decision {
        AccountDecision::SignIn { user_id, email } => {
            change_email(user_id, &email)?;
            (user_id, false)
        }
        AccountDecision::Join { user_id, email } => {
            change_email(user_id, &email)?;
            store::mark_linked(user_id, &address, AUTHKIT)?;
            write_audit("identity_linked", user_id, profile, client)?;
            (user_id, false)
        }
        AccountDecision::Create { email, .. } => {
            let user_id = random::uuid()?;
            let app_metadata = metadata::app_metadata(AUTHKIT);
            store::insert_user(user_id, email.as_deref(), false, app_metadata, user_metadata.clone())?;
            write_audit("user_signedup", user_id, profile, client)?;
            (user_id, true)
        }
    };
    store::record_sign_in(user_id, user_metadata)?;
    let identity_id = write_identity(user_id, profile, email, issuer)?;
    if is_new_user {
        auth_hooks::user_created(&NewUser {
            user_id,
            method: session.amr_method(),
            email,
            organization_id: profile.organization_id.as_deref(),
            connection_id: None,
        })?;
    }
    Ok(Account { user_id, identity_id, is_new_user })
}

/// Lets somebody whose session is in the organization `from` into an organization: everything that a sign-in there looks at, and the membership. The
/// account stays as it is. WorkOS says again how the session began: single sign-on of `from` is none of another organization.
///
/// # Errors
/// Those of [`resolve`]; `workos_answer_malformed` where the person is not the account's.
pub fn enter(
    user_id: Uuid,
    from: Option<&str>,
    organization: &str,
    profile: &Profile,
    session: &AuthkitSession,
) -> Result<()> {
    let address = fold_email(&profile.email);
    let email = session.email_verified.then(|| address.as_str());
    admit(profile, session.is_sso() && from == Some(organization), email)?;
    let person = Person { id: &profile.id, organization_id: Some(organization), email };
    match decide(&person, profile, &address)? {
        AccountDecision::SignIn { user_id: known, .. } if known == user_id => (),
        _ => {
            let detail = "The person whom WorkOS names is not the session's.";
            return Err(Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail));
        }
    }
    // Whoever takes the person out of the organization under an older snapshot finds that something came of it.
    users::lock_by_update(user_id)?;
    store::ensure_organization(organization)?;
    write_membership(user_id, organization, profile, email)
}

/// Everything about a person that can be looked at before the account is.
fn admit(profile: &Profile, is_sso: bool, email: Option<&str>) -> Result<()> {
    if let Some(organization) = &profile.organization_id
        && !is_sso
    {
        // Whoever has it require that waits for the session, and ends it.
        store::lock_organization(organization)?;
        store::refuse_without_sso(organization)?;
    }
    // As every sign-in: of two at once, one decides after the other.
    lock_identity(AUTHKIT, &profile.id);
    if let Some(email) = email {
        lock_email(email);
    }
    require_standing(profile)?;
    mirror::refuse_removed_subject(&profile.id, profile.organization_id.as_deref())
}

fn write_identity(user_id: Uuid, profile: &Profile, email: Option<&str>, issuer: &str) -> Result<Uuid> {
    let data = metadata::authkit_identity_data(profile, issuer);
    let identity_id = store::upsert_identity_of_subject(user_id, AUTHKIT, &profile.id, data)?;
    if let Some(organization) = &profile.organization_id {
        write_membership(user_id, organization, profile, email)?;
    }
    Ok(identity_id)
}

fn write_membership(user_id: Uuid, organization: &str, profile: &Profile, email: Option<&str>) -> Result<()> {
    mirror::claim(user_id, organization, None, email)?;
    // An address that is not verified lets nobody in, and does not hide who has left either.
    mirror::refuse_departed(user_id, organization, None, &fold_email(&profile.email))?;
    store::upsert_authkit_membership(organization, user_id, profile, &mirror::granted(user_id, profile)?)
}

fn decide(person: &Person<'_>, profile: &Profile, address: &str) -> Result<AccountDecision> {
    let known = match store::identity_of(profile)? {
        Some(identity) => store::lock_candidate(identity.user_id)?.map(|user| (identity, user)),
        None => None,
    };
    let policy = policy(profile, address)?;
    let candidates = match (&known, person.email) {
        (None, Some(email)) => candidates(person, email, &policy)?,
        _ => Vec::new(),
    };
    let holder = person.email.map_or(Ok(None), store::email_holder)?;
    let known = known.as_ref().map(|(identity, user)| (identity, user));
    person.decide(known, &candidates, holder, &policy, settings::link_across_organizations())
}

/// Whom an address could mean. Only their rows are locked.
fn candidates(person: &Person<'_>, email: &str, policy: &Policy) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for user_id in store::user_ids_by_email(email)? {
        if store::candidate(user_id)?.is_some_and(|user| person.concerns(&user, policy)) {
            candidates.extend(store::lock_candidate(user_id)?);
        }
    }
    Ok(candidates)
}
