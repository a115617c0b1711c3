//! Opens a session: its row, and its first tokens.

use std::time::Duration;

use uuid::Uuid;
use workos_auth_core::seal::Purpose;
use workos_auth_core::{Result, claims, random};

use super::session::Session;
use super::tokens::{issue, subject};
use crate::error::unexpected;
use crate::store::RequestClient;
use crate::store::sessions::{self, NewSession, RefreshKey};
use crate::{auth_hooks, installation, secrets, settings};

/// What a session is opened with.
pub struct Opening<'a> {
    /// `users.id`
    pub user_id: Uuid,
    /// the identity that signed in, if one did
    pub identity_id: Option<Uuid>,
    /// the organization that the session is of
    pub organization_id: Option<&'a str>,
    /// the connection that the person came through
    pub connection_id: Option<&'a str>,
    /// the identity's address
    pub email: Option<&'a str>,
    /// how they signed in, for `amr`
    pub method: &'a str,
    /// when they signed in, in seconds since the epoch, where that was before
    pub signed_in_at: Option<i64>,
    /// who acts as the person; such a session has no refresh token
    pub actor: Option<&'a str>,
    /// how long it lasts at most
    pub ttl: Duration,
}

/// Opens a session of a user who is there.
///
/// # Errors
/// `installation_is_a_copy`, `hook_failed`, and what `issue` returns.
pub fn open(opening: &Opening, client: &RequestClient) -> Result<Session> {
    let installation = installation::minting()?;
    let id = random::uuid()?;
    // The statement's clock, which the token is verified by: a slow answer of WorkOS must not date it into the future.
    let now = crate::current_session::now();
    let key = match opening.actor {
        None => Some(RefreshKey { id: secrets::data_key(Purpose::RefreshToken)?.id(), salt: random::bytes()? }),
        Some(_) => None,
    };
    sessions::insert(&NewSession {
        id,
        user_id: opening.user_id,
        identity_id: opening.identity_id,
        organization_id: opening.organization_id,
        connection_id: opening.connection_id,
        email: opening.email,
        amr: claims::amr(opening.method, opening.signed_in_at.map_or(now, |time| time.min(now))),
        refresh_key: key,
        actor: opening.actor,
        ip: client.ip,
        user_agent: client.user_agent(),
        ttl: opening.ttl,
    })?;
    let found = || sessions::find(id)?.ok_or_else(|| unexpected("The session was not written."));
    let ttl = settings::access_token_ttl();
    let mut row = found()?;
    if auth_hooks::signed_in(&row, client, opening.method, || Ok(subject(&row, ttl)?.claims()))? {
        row = found()?;
    }
    let tokens = issue(installation, &row, 0, ttl, opening.method)?;
    Ok(Session::of(tokens, row))
}
