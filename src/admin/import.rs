//! `auth.import_supabase`: somebody who was known to Supabase Auth.

use serde_json::{Value, json};
use uuid::Uuid;
use workos_auth_core::accounts::WORKOS;
use workos_auth_core::import::{self, ImportedUser};
use workos_auth_core::{Error, ErrorCode, Result, email};

use crate::audit::audit;
use crate::installation;
use crate::postgres::jsonb::Jsonb;
use crate::postgres::transaction::require_writable;
use crate::settings;
use crate::sign_in::{lock_email, lock_identity};
use crate::store::{Subject, accounts, imports, users};

/// Writes a person and their WorkOS identities, as far as they are not here yet; returns the id.
///
/// # Errors
/// `identities_of_several_organizations`, `identity_already_exists`, `identity_organization_changed`; `validation_failed` for what are no
/// rows of Supabase's tables, and Postgres's own of class 22 for times that are none.
pub fn import_supabase(user_row: Option<&Jsonb>, identity_rows: Option<&Jsonb>) -> Result<Uuid> {
    require_writable()?;
    installation::refuse_verifier()?;
    let row = parsed("user_row", user_row.ok_or_else(|| Error::null("user_row"))?)?;
    let identities = identity_rows.map_or(Ok(Value::Null), |rows| parsed("identity_rows", rows))?;
    let user = import::read(row.clone(), identities)?;
    let mut profiles: Vec<&str> = user.identities.iter().map(|identity| identity.provider_id.as_str()).collect();
    // In one order, so that of two imports at once none waits for the other.
    profiles.sort_unstable();
    profiles.iter().for_each(|profile| lock_identity(WORKOS, profile));
    if let Some(email) = &user.email {
        lock_email(&email.address);
    }

    let here = accounts::lock_candidate(user.id)?;
    let new = unknown_identities(&user)?;
    if !new.is_empty() && !settings::link_across_organizations() {
        let identities =
            here.iter().flat_map(|user| &user.identities).map(|identity| identity.organization_id.as_deref());
        let memberships =
            here.iter().flat_map(|user| &user.memberships).map(|organization| Some(organization.as_str()));
        user.check_organizations(identities.chain(memberships))?;
    }
    let is_new = here.is_none();
    if is_new {
        imports::insert_user(&user, &row, email_of(&user)?.as_deref())?;
    }
    for identity in &new {
        if let Some(organization) = &identity.organization_id {
            accounts::ensure_organization(organization)?;
            imports::insert_membership(organization, user.id)?;
        }
        if !imports::insert_identity(user.id, identity)? {
            let detail = format!("The id of the identity {} is another's here.", identity.provider_id);
            return Err(Error::with_detail(ErrorCode::IdentityAlreadyExists, detail));
        }
    }
    let invited = invite(&user)?;
    if is_new || !new.is_empty() || invited {
        let profiles: Vec<&str> = new.iter().map(|identity| identity.provider_id.as_str()).collect();
        let subject = Subject { user_id: Some(user.id), ..Subject::default() };
        audit("user_imported", &subject, json!({ "is_new": is_new, "identities": profiles, "invited": invited }))?;
    }
    Ok(user.id)
}

fn parsed(argument: &str, json: &Jsonb) -> Result<Value> {
    json.parse().ok_or_else(|| Error::invalid(argument, &format!("it is {}.", Jsonb::UNREADABLE)))
}

/// Those that no account here has. One of another account is never taken from it, and one of another organization is another's.
fn unknown_identities(user: &ImportedUser) -> Result<Vec<&import::ImportedIdentity>> {
    let mut unknown = Vec::new();
    for identity in &user.identities {
        match accounts::identity_by_profile(&identity.provider_id)? {
            None => unknown.push(identity),
            Some(known) if known.user_id != user.id => {
                let detail =
                    format!("The profile {} leads into another account here, {}.", known.provider_id, known.user_id);
                return Err(Error::with_detail(ErrorCode::IdentityAlreadyExists, detail));
            }
            Some(known) if known.organization_id != identity.organization_id => {
                return Err(ErrorCode::IdentityOrganizationChanged.into());
            }
            Some(_) => {}
        }
    }
    Ok(unknown)
}

/// What becomes `auth.users.email`: by the e-mail rule of every account.
fn email_of(user: &ImportedUser) -> Result<Option<String>> {
    let Some(email) = &user.email else { return Ok(None) };
    let is_trusted = !email.is_an_organizations || settings::trust_email_domains();
    let is_free = accounts::email_holder(&email.address)?.is_none();
    Ok((is_trusted && is_free).then(|| email.address.clone()))
}

/// Somebody who is known by address alone is invited by the one organization that vouches for its domain. Says whether they were just now.
fn invite(user: &ImportedUser) -> Result<bool> {
    let Some(email) = user.email.as_ref().filter(|_| user.is_known_by_address()) else { return Ok(false) };
    let Some(domain) = email::domain(&email.address) else { return Ok(false) };
    let Some(organization) = imports::organization_of_domain(&domain)? else { return Ok(false) };
    match accounts::candidate(user.id)? {
        Some(here)
            if here.identities.is_empty()
                && here.memberships.is_empty()
                && !here.deleted
                && here.email.as_deref() == Some(email.address.as_str()) => {}
        _ => return Ok(false),
    }
    imports::invite(user.id)?;
    users::insert_membership(&organization, user.id)?;
    Ok(true)
}
