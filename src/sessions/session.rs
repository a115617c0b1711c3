//! A session as it is given to whoever signs in or refreshes.

use uuid::Uuid;
use workos_auth_core::secret::{AccessToken, ProviderToken, RefreshToken};

use super::tokens::Tokens;
use crate::store::sessions::StoredSession;

/// `auth.session`
#[derive(Debug)]
pub struct Session {
    /// proves who somebody is
    pub access_token: AccessToken,
    /// gets the next access token; a session may have none
    pub refresh_token: Option<RefreshToken>,
    /// when the access token expires, in seconds since 1970
    pub expires_at: i64,
    /// `sessions.id`
    pub session_id: Uuid,
    /// `users.id`
    pub user_id: Uuid,
    /// the identity's address
    pub email: Option<String>,
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

impl Session {
    /// What there is of a session that nobody has just signed in to.
    pub fn of(tokens: Tokens, row: StoredSession) -> Self {
        Self {
            access_token: tokens.access_token,
            refresh_token: tokens.refresh_token,
            expires_at: tokens.expires_at,
            session_id: row.id,
            user_id: row.user_id,
            email: row.email,
            organization_id: row.organization_id,
            is_new_user: false,
            redirect_to: None,
            provider_token: None,
            claims: tokens.claims,
        }
    }
}
