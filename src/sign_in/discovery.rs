//! Whose organization an e-mail address is of. Nothing of people is read, so that nobody finds out by it who has an account.

use workos_auth_core::{Error, ErrorCode, Result, email};

use super::start::SignInRequest;
use crate::postgres::transaction::require_writable;
use crate::store::accounts;

/// The organization of WorkOS that alone vouches for the domain of the address; `None` for whatever reason there is none.
pub fn organization_for_email(email: Option<&str>) -> Result<Option<String>> {
    find(email.ok_or_else(|| Error::null("email"))?).map(|found| found.map(|(_, organization)| organization))
}

/// Starts a sign-in with the organization of the address, which is the login hint unless there is one.
///
/// # Errors
/// `sso_provider_not_found`, and those of a sign-in's start.
pub fn start_by_email<T>(
    email: Option<&str>,
    request: &SignInRequest,
    start: impl FnOnce(&SignInRequest) -> Result<T>,
) -> Result<T> {
    require_writable()?;
    let found = find(email.ok_or_else(|| Error::null("email"))?)?;
    let (address, organization) = found.ok_or(ErrorCode::SsoProviderNotFound)?;
    let login_hint = request.login_hint.or(Some(address));
    start(&SignInRequest { organization: Some(&organization), login_hint, ..*request })
}

/// With the address as it is without blanks around it.
fn find(text: &str) -> Result<Option<(&str, String)>> {
    let Ok(address) = email::parse(text) else { return Ok(None) };
    let Some(domain) = email::domain(address) else { return Ok(None) };
    Ok(accounts::organization_to_sign_in(&domain)?.map(|organization| (address, organization)))
}
