//! `auth.accept_token`: makes the person of a token known, which a trusted issuer has signed. Whose account it is,
//! `core::accounts::by_token` decides.

use serde_json::{Value, json};
use uuid::Uuid;
use workos_auth_core::accounts::by_token::Person;
use workos_auth_core::accounts::{AccountDecision, Policy};
use workos_auth_core::trusted_issuer::Claims;
use workos_auth_core::{Error, ErrorCode, Result, random};

use super::account::{candidates, change_email, lock_email, lock_identity};
use crate::audit::audit;
use crate::auth_hooks::{self, NewUser};
use crate::current_session::{self, Purpose};
use crate::mirror;
use crate::postgres::transaction::require_writable;
use crate::settings;
use crate::store::{Subject, accounts as store};

/// How such people come, in hooks.
const METHOD: &str = "token";

/// Writes account, identity and membership of a token's person where the token is good and one of them is not there; returns `users.id`.
///
/// # Errors
/// Those of a bad token; `session_not_found` for a session that ended here; `user_banned`, `user_deleted`, `signup_disabled`, `hook_failed`;
/// `organization_of_another_issuer`, `sso_required`, `member_removed`, `mirror_stale`.
pub fn accept(access_token: Option<&str>) -> Result<Uuid> {
    require_writable()?;
    let token = access_token.ok_or_else(|| Error::null("access_token"))?;
    match current_session::verify(token) {
        Ok(session) => return Ok(session.user_id),
        Err(error) if error.code() == ErrorCode::PersonNotAccepted => {}
        Err(error) => return Err(error),
    }
    let signed = current_session::signed(Purpose::Acting, token)?;
    let signed = signed.ok_or_else(|| Error::new(ErrorCode::PersonNotAccepted))?;
    write(&signed.claims, signed.issuer.organizations_issuer())?;
    current_session::recheck_on_next_read();
    // As a reader will.
    Ok(current_session::verify(token)?.user_id)
}

fn write(claims: &Claims, organizations_issuer: Option<&str>) -> Result<()> {
    let person = Person {
        issuer: &claims.issuer,
        subject: &claims.subject,
        organization_id: claims.organization.as_deref(),
        email: claims.email.as_deref(),
    };
    if let Some(organization) = &claims.organization {
        store::refuse_without_sso(organization)?;
    }
    if organizations_issuer.is_none() {
        if claims.organization.is_some() {
            mirror::refuse_overdue()?;
        }
        mirror::refuse_removed_subject(&claims.subject, claims.organization.as_deref())?;
        store::refuse_account_of_subject(&claims.subject, claims.organization.as_deref())?;
    }
    // As every sign-in: of two at once, one decides after the other.
    lock_identity(person.issuer, person.subject);
    if let Some(email) = person.email {
        lock_email(email);
    }
    let (user_id, is_new_user) = match decide(&person)? {
        AccountDecision::SignIn { user_id, email } | AccountDecision::Join { user_id, email } => {
            change_email(user_id, &email)?;
            (user_id, false)
        }
        AccountDecision::Create { email, .. } => {
            let user_id = random::uuid()?;
            store::insert_user(user_id, email.as_deref(), false, app_metadata(claims), user_metadata(claims))?;
            write_audit("user_signedup", user_id, claims)?;
            (user_id, true)
        }
    };
    store::record_sign_in(user_id, user_metadata(claims))?;
    store::upsert_identity_of_subject(user_id, &claims.issuer, &claims.subject, user_metadata(claims))?;
    if let Some(organization) = &claims.organization {
        store::ensure_organization_of(organization, organizations_issuer)?;
        if organizations_issuer.is_none() {
            mirror::claim(user_id, organization, None, claims.email.as_deref())?;
        }
        store::ensure_membership(user_id, organization)?;
        mirror::grant_roles(user_id, &claims.subject, organization)?;
    }
    write_audit("token_accepted", user_id, claims)?;
    if is_new_user {
        auth_hooks::user_created(&NewUser {
            user_id,
            method: METHOD,
            email: claims.email.as_deref(),
            organization_id: claims.organization.as_deref(),
            connection_id: None,
        })?;
    }
    Ok(())
}

fn decide(person: &Person<'_>) -> Result<AccountDecision> {
    let policy = Policy {
        linking: settings::account_linking(),
        allow_signup: settings::allow_signup(),
        trust_email_domains: settings::trust_email_domains(),
        email_domain_is_organizations: false,
    };
    let known = match store::identity_of_subject(person.issuer, person.subject)? {
        Some(identity) => store::lock_candidate(identity.user_id)?.map(|user| (identity, user)),
        None => None,
    };
    let mut meant = Vec::new();
    if known.is_none() {
        for profile in person.profiles() {
            meant.extend(candidates(&profile, profile.email, &policy)?);
        }
    }
    let holder = person.email.map_or(Ok(None), store::email_holder)?;
    person.decide(known.as_ref().map(|(identity, user)| (identity, user)), &meant, holder, &policy)
}

fn app_metadata(claims: &Claims) -> Value {
    json!({ "provider": claims.issuer, "providers": [claims.issuer] })
}

/// With the members that Supabase Auth writes.
fn user_metadata(claims: &Claims) -> Value {
    let mut data = json!({
        "iss": claims.issuer, "sub": claims.subject, "provider_id": claims.subject, "email_verified": claims.email.is_some(),
        "phone_verified": false,
    });
    for (name, value) in [("email", &claims.email), ("name", &claims.name), ("full_name", &claims.name)] {
        if let Some(value) = value {
            data[name] = json!(value);
        }
    }
    data
}

fn write_audit(action: &str, user_id: Uuid, claims: &Claims) -> Result<()> {
    let subject = Subject {
        user_id: Some(user_id),
        session_id: claims.session_id(),
        organization_id: claims.organization.as_deref(),
        ..Subject::default()
    };
    audit(action, &subject, json!({ "provider": claims.issuer, "provider_id": claims.subject }))
}
