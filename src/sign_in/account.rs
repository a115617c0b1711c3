//! Whose account a profile belongs to: collects what the decision needs, has `core::accounts` decide, and writes.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::accounts::{self, AUTHKIT, AccountDecision, Candidate, EmailChange, Incoming, Policy, WORKOS};
use workos_auth_core::workos::Profile;
use workos_auth_core::{Result, email, metadata, random};

use crate::audit::audit;
use crate::auth_hooks::{self, NewUser};
use crate::mirror;
use crate::settings;
pub use crate::store::locks::{lock_email, lock_identity};
use crate::store::sessions::{self, Scope};
use crate::store::{RequestClient, Subject, accounts as store, ended_sessions};

/// How people sign in through WorkOS, in `amr`: as Supabase Auth calls it.
pub const METHOD: &str = "oauth";

/// Who signs in.
pub struct Account {
    /// `users.id`
    pub user_id: Uuid,
    /// `identities.id`
    pub identity_id: Uuid,
    /// whether the user was made just now
    pub is_new_user: bool,
}

/// Decides whose account the profile belongs to and writes user, identity, organization and membership. `issuer` is WorkOS's API URL.
pub fn resolve(profile: &Profile, issuer: &str, client: &RequestClient) -> Result<Account> {
    let email = accounts::fold_email(&profile.email);
    // Two sign-ins of one person, or of one address, decide one after the other.
    lock_identity(WORKOS, &profile.id);
    lock_email(&email);
    require_standing(profile)?;

    let decision = decide(profile, &email)?;
    if let Some(organization) = &profile.organization_id {
        store::ensure_organization(organization)?;
    }
    let user_metadata = metadata::user_metadata(profile, issuer);
    let (user_id, is_new_user) = match decision {
        AccountDecision::SignIn { user_id, email } => {
            change_email(user_id, &email)?;
            (user_id, false)
        }
        AccountDecision::Join { user_id, email: email_change } => {
            change_email(user_id, &email_change)?;
            store::mark_linked(user_id, &email, WORKOS)?;
            write_audit("identity_linked", user_id, profile, client)?;
            (user_id, false)
        }
        AccountDecision::Create { email, succeeded } => {
            if let Some(predecessor) = succeeded {
                store::set_user_email(predecessor, None)?;
                sessions::end(predecessor, Scope::Global)?;
                ended_sessions::end_of_user(predecessor, None)?;
                write_audit("email_released", predecessor, profile, client)?;
            }
            let user_id = random::uuid()?;
            let is_sso_user = profile.organization_id.is_some();
            store::insert_user(
                user_id,
                email.as_deref(),
                is_sso_user,
                metadata::app_metadata(WORKOS),
                user_metadata.clone(),
            )?;
            write_audit("user_signedup", user_id, profile, client)?;
            (user_id, true)
        }
    };
    store::record_sign_in(user_id, user_metadata)?;
    let identity_id = write_identity(user_id, profile, issuer)?;
    if is_new_user {
        auth_hooks::user_created(&NewUser {
            user_id,
            method: METHOD,
            email: Some(&email),
            organization_id: profile.organization_id.as_deref(),
            connection_id: profile.connection_id.as_deref(),
        })?;
    }
    Ok(Account { user_id, identity_id, is_new_user })
}

/// Refuses a mirror that is too old to know who has left, and keeps what it says of the profile as it is. With the address locked, and before the
/// user is: as whoever removes somebody does.
///
/// # Errors
/// `mirror_stale`
pub fn require_standing(profile: &Profile) -> Result<()> {
    match profile.organization_id {
        Some(_) => mirror::refuse_overdue().and_then(|()| mirror::await_removal(profile)),
        None => Ok(()),
    }
}

/// Writes the identity of a profile, and what WorkOS says of the member; the organization is known already.
///
/// # Errors
/// `member_removed`
pub fn write_identity(user_id: Uuid, profile: &Profile, issuer: &str) -> Result<Uuid> {
    let identity_id = store::upsert_identity(user_id, profile, metadata::identity_data(profile, issuer))?;
    if let Some(organization) = &profile.organization_id {
        mirror::claim(user_id, organization, profile.idp_id.as_deref(), Some(&profile.email))?;
        store::upsert_membership(organization, user_id, profile, &mirror::granted(user_id, profile)?)?;
    }
    Ok(identity_id)
}

fn decide(profile: &Profile, email: &str) -> Result<AccountDecision> {
    let known = match store::identity_of(profile)? {
        // Without its user, who was deleted just now, the identity is gone as well.
        Some(identity) => store::lock_candidate(identity.user_id)?.map(|user| (identity, user)),
        None => None,
    };
    let (incoming, policy) = (incoming(profile, email), policy(profile, email)?);
    // Who else it could be is a question only of a profile that is not known.
    let candidates = if known.is_none() { candidates(&incoming, email, &policy)? } else { Vec::new() };
    // It mostly is who signs in.
    let email_holder = match &known {
        Some((_, user)) if user.email.as_deref().map(accounts::fold_email).as_deref() == Some(email) => {
            Some(user.user_id)
        }
        _ => store::email_holder(email)?,
    };
    let known = known.as_ref().map(|(identity, user)| (identity, user));
    accounts::decide(&incoming, known, &candidates, email_holder, &policy)
}

/// Whom a profile of this address could mean. Only their rows are locked: one identity provider can say the address of another
/// customer's people, and nobody of the one may keep those of the other waiting.
pub fn candidates(incoming: &Incoming, email: &str, policy: &Policy) -> Result<Vec<Candidate>> {
    let mut candidates = Vec::new();
    for user_id in store::user_ids_by_email(email)? {
        if store::candidate(user_id)?.is_some_and(|user| accounts::concerns(incoming, &user, policy)) {
            candidates.extend(store::lock_candidate(user_id)?);
        }
    }
    Ok(candidates)
}

/// The profile as decisions take it.
pub fn incoming<'a>(profile: &'a Profile, email: &'a str) -> Incoming<'a> {
    Incoming {
        provider_id: &profile.id,
        organization_id: profile.organization_id.as_deref(),
        connection_id: profile.connection_id.as_deref().unwrap_or_default(),
        idp_id: profile.idp_id.as_deref(),
        email,
    }
}

/// The settings, and what is known of the address's domain.
pub fn policy(profile: &Profile, email: &str) -> Result<Policy> {
    let email_domain_is_organizations = match (&profile.organization_id, email::domain(email)) {
        (Some(organization), Some(domain)) => store::organization_has_domain(organization, &domain),
        _ => false,
    };
    Ok(Policy {
        linking: settings::account_linking(),
        allow_signup: settings::allow_signup(),
        trust_email_domains: settings::trust_email_domains(),
        email_domain_is_organizations,
    })
}

/// Carries out what was decided about `users.email`. Tokens that say the old address are stale then: it may be another person's soon.
pub fn change_email(user_id: Uuid, change: &EmailChange) -> Result<()> {
    match change {
        EmailChange::Keep => return Ok(()),
        EmailChange::Set(email) => store::set_user_email(user_id, Some(email))?,
        EmailChange::Release => store::set_user_email(user_id, None)?,
    }
    sessions::raise_claims_versions(user_id)
}

/// `identities.provider` of the profile.
pub fn provider(profile: &Profile) -> &'static str {
    if profile.authkit.is_some() { AUTHKIT } else { WORKOS }
}

/// An entry of the audit log about a profile and an account.
pub fn write_audit(action: &str, user_id: Uuid, profile: &Profile, client: &RequestClient) -> Result<()> {
    let subject = Subject {
        user_id: Some(user_id),
        organization_id: profile.organization_id.as_deref(),
        connection_id: profile.connection_id.as_deref(),
        ..Subject::default()
    };
    audit(action, &subject.with_client(client), json!({ "provider": provider(profile), "provider_id": profile.id }))
}
