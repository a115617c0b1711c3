//! Gives a session its tokens.

use std::time::Duration;

use workos_auth_core::claims::{self, TokenSubject};
use workos_auth_core::refresh_token::{self, Parts};
use workos_auth_core::secret::{AccessToken, RefreshToken};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::error::unexpected;
use crate::installation::Installation;
use crate::store::accounts;
use crate::store::sessions::StoredSession;
use crate::{auth_hooks, current_session, secrets, settings};

/// What a session is given.
#[derive(Debug)]
pub struct Tokens {
    /// proves who somebody is
    pub access_token: AccessToken,
    /// gets the next ones; none for a session that cannot be refreshed
    pub refresh_token: Option<RefreshToken>,
    /// when the access token expires, in seconds since 1970
    pub expires_at: i64,
    /// what the access token says, as JSON
    pub claims: String,
}

/// Makes an access token of this installation from what the database says now, and the refresh token of `counter`. `method` tells the
/// hook why: `token_refresh`, or how the person signed in.
///
/// # Errors
/// `role_not_allowed`, `hook_failed`, `token_too_large`, and those of keys that cannot be opened.
pub fn issue(
    installation: Installation,
    row: &StoredSession,
    counter: u64,
    ttl: Duration,
    method: &str,
) -> Result<Tokens> {
    let subject = subject(row, ttl)?;
    let claims = auth_hooks::token(row, method, subject.claims())?;
    let json = serde_json::to_string(&claims).map_err(|_| unexpected("The claims cannot be written as JSON."))?;
    let (access_token, own) = secrets::signing_key()?.sign(&json)?;
    claims::check_size(&access_token, settings::max_token_size(), &claims)?;
    current_session::remember_own(own);
    let refresh_token = match &row.refresh_key {
        Some(key) => {
            let parts = Parts { key_id: key.id, session_id: row.id, counter };
            let data_key = secrets::data_key_by_id(key.id)?;
            Some(refresh_token::mint(&data_key, installation.id, &key.salt, &parts)?)
        }
        None => None,
    };
    Ok(Tokens { access_token, refresh_token, expires_at: subject.expires_at, claims: json })
}

/// What the token of a session is made from.
///
/// # Errors
/// `role_not_allowed`, `organization_of_another_issuer`.
pub fn subject(row: &StoredSession, ttl: Duration) -> Result<TokenSubject> {
    let user = &row.user;
    if !settings::is_allowed_role(&user.role) {
        let detail = format!("The role {} is not in workos_auth.allowed_roles.", user.role);
        return Err(Error::with_detail(ErrorCode::RoleNotAllowed, detail));
    }
    if let Some(organization) = &row.organization_id {
        accounts::require_issuer(organization, None)?;
    }
    let now = current_session::now();
    let expires_at = now.saturating_add_unsigned(ttl.as_secs());
    Ok(TokenSubject {
        user_id: row.user_id,
        session_id: row.id,
        issuer: current_session::issuer()?.to_string(),
        audience: settings::audience(),
        role: user.role.clone(),
        email: user.email.clone(),
        phone: user.phone.clone(),
        app_metadata: user.app_metadata.clone(),
        user_metadata: user.user_metadata.clone(),
        auth_time: claims::signed_in_at(&row.amr).map_or(row.created_at, |time| time.min(now)),
        issued_at: now,
        expires_at: row.not_after.map_or(expires_at, |end| expires_at.min(end)),
        amr: row.amr.clone(),
        actor: row.actor.clone(),
        organization_id: row.organization_id.clone(),
        connection_id: row.connection_id.clone(),
        org_role: row.member.role.clone(),
        org_roles: row.member.roles.clone(),
        groups: row.member.groups.clone(),
        permissions: row.member.permissions.clone(),
        claims_version: row.claims_version,
        roles_version: row.member.roles_version,
        is_anonymous: user.is_anonymous,
    })
}
