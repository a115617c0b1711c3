//! The sessions of AuthKit that sessions here began with. They outlive a sign-out here, and let whoever sits at the computer in again.

use serde_json::json;
use workos_auth_core::secret::ClientSecret;
use workos_auth_core::workos::api::Api;
use workos_auth_core::workos::authkit;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::current_session::{self, Purpose};
use crate::error::log_line;
use crate::own_account::SigningOut;
use crate::store::configuration::{self, Provider};
use crate::store::sessions as store;
use crate::{http, installation, secrets};

/// `auth.workos_logout_url`: none for a session that did not begin with AuthKit.
///
/// # Errors
/// Those of a bad token; `validation_failed`, `verifier_only`, `provider_not_configured`
pub fn logout_url(access_token: Option<&str>, return_to: Option<&str>) -> Result<Option<String>> {
    let session = current_session::of_token_for(Purpose::SigningOut, access_token)?;
    installation::refuse_verifier()?;
    let api_url = provider()?.api_url;
    let name = session.own_session().and_then(store::authkit_session);
    name.map(|name| authkit::logout_url(&api_url, &name, return_to)).transpose()
}

/// `auth.sign_out_of_workos`: how many sessions ended here. No lock is held while WorkOS is waited for.
///
/// # Errors
/// Those of `auth.sign_out`, and those of asking WorkOS: nothing has ended here then.
pub fn sign_out(access_token: Option<&str>, scope: Option<&str>) -> Result<i64> {
    let signing_out = SigningOut::check(access_token, scope)?;
    let names = signing_out.own_scope().map_or(Ok(Vec::new()), |scope| {
        installation::require_home()?;
        store::authkit_sessions(signing_out.user_id(), scope)
    })?;
    let mut ended = 0;
    if !names.is_empty() {
        let provider = provider()?;
        let key = secrets::open_client_secret(&provider)?;
        for name in &names {
            ended += u64::from(revoke(&provider, &key, name)?);
        }
    }
    signing_out.end(json!({ "at_workos": ended }))
}

fn revoke(provider: &Provider, key: &ClientSecret, name: &str) -> Result<bool> {
    let api = Api { api_url: &provider.api_url, key };
    let asked = api.revoke_session(name).and_then(|request| http::call(&request, key));
    let revoked = asked
        .and_then(|reply| authkit::revoked(&reply.answer(), key))
        .map_err(|error| error.hint("Nothing has ended here. Try again, or call auth.sign_out, which asks nobody."))?;
    if !revoked {
        log_line("WorkOS has no such session to end", name);
    }
    Ok(revoked)
}

fn provider() -> Result<Provider> {
    configuration::provider()?.ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))
}
