//! Makes a user whom WorkOS does not know.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::authorize::Selector;
use workos_auth_core::{Error, ErrorCode, Result, admin, random};

use crate::audit::audit;
use crate::auth_hooks::{self, NewUser};
use crate::installation;
use crate::postgres::transaction::require_writable;
use crate::sign_in::lock_email;
use crate::store::{Subject, accounts, users as store};

/// Makes a user, as a member of the organization if one is given.
///
/// # Errors
/// `email_exists`, `user_already_exists`; `validation_failed` for what is no address or no organization's id.
pub fn create_user(email: Option<&str>, organization: Option<&str>, user_id: Option<Uuid>) -> Result<Uuid> {
    require_writable()?;
    installation::refuse_verifier()?;
    let email = admin::check_email(email.ok_or_else(|| Error::null("email"))?)?;
    // The same rules as where somebody signs in through it.
    organization.map(|organization| Selector::new(Some(organization), None, None)).transpose()?;
    lock_email(&email);

    let id = match user_id {
        Some(id) if store::exists(id)? => return Err(ErrorCode::UserAlreadyExists.into()),
        Some(id) => id,
        None => random::uuid()?,
    };
    if accounts::email_holder(&email)?.is_some() {
        return Err(ErrorCode::EmailExists.into());
    }
    // The address is locked, so only the id can have been taken meanwhile.
    if !store::insert_user(id, &email, organization.is_some(), admin::app_metadata())? {
        return Err(ErrorCode::UserAlreadyExists.into());
    }
    if let Some(organization) = organization {
        accounts::ensure_organization(organization)?;
        store::insert_membership(organization, id)?;
    }
    let subject = Subject { user_id: Some(id), organization_id: organization, ..Subject::default() };
    audit("user_signedup", &subject, json!({ "provider": "custom" }))?;
    auth_hooks::user_created(&NewUser {
        user_id: id,
        method: "custom",
        email: Some(&email),
        organization_id: organization,
        connection_id: None,
    })?;
    Ok(id)
}
