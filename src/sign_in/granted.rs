//! What AuthKit says to whoever shows it something in place of a code.

use workos_auth_core::Result;
use workos_auth_core::authorize::{AUTHKIT, Selector};
use workos_auth_core::workos::authkit::{self, Grant, GrantRequest};
use workos_auth_core::workos::{self, TokenAnswer};

use super::redemption::log_left_out;
use crate::store::configuration::Provider;
use crate::{http, secrets};

/// Asks for an organization. Writes nothing.
///
/// # Errors
/// Those of asking WorkOS; `organization_mismatch`
pub fn ask(provider: &Provider, grant: Grant, organization_id: &str) -> Result<TokenAnswer> {
    let client_secret = secrets::open_client_secret(provider)?;
    let request =
        GrantRequest { client_id: &provider.client_id, client_secret: &client_secret, grant, organization_id };
    let reply = http::ask_in_json(&workos::token_url(&provider.api_url, true), request.json())?;
    let answer = authkit::parse_answer(&reply.answer(), &provider.client_id, &request.secrets())?;
    log_left_out(&answer);
    workos::check_answer(&Selector::new(Some(organization_id), None, Some(AUTHKIT))?, &answer.profile)?;
    Ok(answer)
}
