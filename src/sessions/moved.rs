//! A session goes on in another organization: the same row, with new tokens.

use workos_auth_core::Result;

use super::presented::{Presentation, signed};
use super::refresh::until_current;
use super::session::Session;
use super::tokens::{issue, subject};
use crate::error::unexpected;
use crate::store::RequestClient;
use crate::store::sessions::{self, Moved};
use crate::{auth_hooks, settings};

/// `authentication_method` of the hooks.
const METHOD: &str = "organization_switch";

/// Judges the refresh token again, as a refresh does, and gives the session its new tokens.
///
/// # Errors
/// Those of a refresh; `hook_failed`
pub fn go_on(presented: Presentation, moved: &Moved, client: &RequestClient) -> Result<Session> {
    // What was written since, by this transaction too, may have changed the session.
    let (presented, counter) = until_current(presented.read_again()?, |presented| {
        let decision = presented.decide(client)?;
        let Some(counter) = presented.carry_out(&decision, client)? else { return Ok(None) };
        let is_moved = sessions::move_to(&presented.row, signed(counter), moved)?;
        Ok(if is_moved { Some(counter) } else { None })
    })?;
    let found = || sessions::find(presented.row.id)?.ok_or_else(|| unexpected("The session was not written."));
    let ttl = settings::access_token_ttl();
    let mut row = found()?;
    if auth_hooks::signed_in(&row, client, METHOD, || Ok(subject(&row, ttl)?.claims()))? {
        row = found()?;
    }
    let tokens = issue(presented.installation, &row, counter, ttl, METHOD)?;
    Ok(Session::of(tokens, row))
}
