//! Opens a session: its row, its access token, its refresh token.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::claims::{self, TokenSubject};
use workos_auth_core::refresh_token::{self, Parts};
use workos_auth_core::seal::Purpose;
use workos_auth_core::secret::{AccessToken, ProviderToken, RefreshToken};
use workos_auth_core::workos::Profile;
use workos_auth_core::{Error, ErrorCode, Result, random};

use super::account::Account;
use crate::store::sessions::{self, NewSession};
use crate::store::{Subject, accounts, audit, configuration};
use crate::{error, secrets, settings};

/// `auth.session`
#[derive(Debug)]
pub struct Session {
    /// proves who somebody is
    pub access_token: AccessToken,
    /// gets the next access token
    pub refresh_token: RefreshToken,
    /// when the access token expires, in seconds since 1970
    pub expires_at: i64,
    /// `sessions.id`
    pub session_id: Uuid,
    /// `users.id`
    pub user_id: Uuid,
    /// the identity's address
    pub email: String,
    /// WorkOS's organization
    pub organization_id: Option<String>,
    /// whether the user was made just now
    pub is_new_user: bool,
    /// what the sign-in was started with
    pub redirect_to: Option<String>,
    /// WorkOS's own token
    pub provider_token: Option<ProviderToken>,
    /// the access token's claims, as JSON
    pub claims: String,
}

/// Whose browser it is, as far as the caller tells.
pub struct Client<'a> {
    /// the address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the User-Agent header
    pub user_agent: Option<&'a str>,
}

/// The longest User-Agent header that is kept.
const USER_AGENT: usize = 1000;

/// Opens a session of an account.
pub fn open(
    account: &Account,
    profile: &Profile,
    provider_token: Option<ProviderToken>,
    redirect_to: Option<String>,
    client: &Client,
) -> Result<Session> {
    let session_id = random::uuid()?;
    let email = workos_auth_core::accounts::fold_email(&profile.email);
    let subject = subject(account, profile, session_id)?;
    let claims = subject.to_json();
    let access_token = secrets::signing_key()?.sign(&claims)?;
    claims::check_size(&access_token, settings::max_token_size(), &subject)?;

    let key = secrets::data_key(Purpose::RefreshToken)?;
    let salt = random::bytes::<16>()?;
    let parts = Parts { key_id: key.id(), session_id, counter: 0 };
    let refresh_token = refresh_token::mint(&key, configuration::installation_id()?, &salt, &parts)?;
    let user_agent: Option<String> = client.user_agent.map(|text| text.chars().take(USER_AGENT).collect());
    sessions::insert(&NewSession {
        id: session_id,
        user_id: account.user_id,
        identity_id: account.identity_id,
        organization_id: profile.organization_id.as_deref(),
        connection_id: &profile.connection_id,
        email: &email,
        amr: json!([subject.amr()]),
        refresh_token_key_id: key.id(),
        refresh_token_salt: &salt,
        ip: client.ip,
        user_agent: user_agent.as_deref(),
        ttl: settings::session_ttl().as_secs_f64(),
    })?;
    audit(
        "login",
        &Subject {
            user_id: Some(account.user_id),
            session_id: Some(session_id),
            organization_id: profile.organization_id.as_deref(),
            connection_id: Some(&profile.connection_id),
            ip: client.ip,
            user_agent: user_agent.as_deref(),
        },
        json!({ "provider": "workos" }),
    )?;
    Ok(Session {
        access_token,
        refresh_token,
        expires_at: subject.expires_at,
        session_id,
        user_id: account.user_id,
        email,
        organization_id: profile.organization_id.clone(),
        is_new_user: account.is_new_user,
        redirect_to,
        provider_token,
        claims,
    })
}

fn subject(account: &Account, profile: &Profile, session_id: Uuid) -> Result<TokenSubject> {
    let user = accounts::user(account.user_id)?.ok_or_else(|| error::unexpected("The user is not there."))?;
    if !settings::is_allowed_role(&user.role) {
        let detail = format!("The role {} is not in workos_auth.allowed_roles.", user.role);
        return Err(Error::with_detail(ErrorCode::RoleNotAllowed, detail));
    }
    let permissions = match &profile.organization_id {
        Some(organization) => accounts::permissions(organization, account.user_id)?,
        None => Vec::new(),
    };
    // The statement's clock, which the token is verified by: a slow answer of WorkOS must not date it into the future.
    let now = crate::session::now();
    let ttl = settings::access_token_ttl().min(settings::session_ttl());
    Ok(TokenSubject {
        user_id: account.user_id,
        session_id,
        issuer: crate::session::issuer()?.to_string(),
        audience: settings::audience(),
        role: user.role,
        email: user.email,
        phone: user.phone,
        app_metadata: user.app_metadata,
        user_metadata: user.user_metadata,
        auth_time: now,
        issued_at: now,
        expires_at: now.saturating_add_unsigned(ttl.as_secs()),
        amr_method: "oauth".into(),
        provider: "workos".into(),
        organization_id: profile.organization_id.clone(),
        connection_id: Some(profile.connection_id.clone()),
        org_role: profile.role.clone(),
        org_roles: profile.roles.clone(),
        groups: profile.groups.clone(),
        permissions,
        claims_version: 0,
        is_anonymous: user.is_anonymous,
    })
}
