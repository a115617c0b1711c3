//! Starts a sign-in.

use pgrx::prelude::*;
use serde_json::Value;
use workos_auth_core::authorize::{AuthorizeRequest, Selector};
use workos_auth_core::pkce::{self, CodeChallenge, CodeVerifier};
use workos_auth_core::secret::State;
use workos_auth_core::{Error, ErrorCode, Result};

use super::redirects::redirect_urls;
use crate::postgres::transaction::require_writable;
use crate::store::configuration;
use crate::store::flows::{self, Link, NewFlow};
use crate::{installation, secrets, settings};

/// What a caller asks for. Everything as it came from SQL.
#[derive(Hash, Default)]
pub struct SignInRequest<'a> {
    /// WorkOS's organization, `org_…`
    pub organization: Option<&'a str>,
    /// WorkOS's connection, `conn_…`
    pub connection: Option<&'a str>,
    /// such as `GoogleOAuth`, or `authkit`, which may stand beside an organization
    pub provider: Option<&'a str>,
    /// where the browser goes afterwards
    pub redirect_to: Option<&'a str>,
    /// the e-mail address to fill in at the identity provider
    pub login_hint: Option<&'a str>,
    /// the domain to fill in at the identity provider
    pub domain_hint: Option<&'a str>,
    /// further query parameters
    pub params: Option<&'a Value>,
}

/// A sign-in that has begun.
pub struct StartedSignIn {
    /// where to send the browser
    pub url: String,
    /// comes back with the callback
    pub state: State,
    /// when the sign-in must be over
    pub expires_at: TimestampWithTimeZone,
}

/// Starts a sign-in whose verifier is made here, and is the caller's to keep.
pub fn start_with_verifier(request: &SignInRequest) -> Result<(StartedSignIn, CodeVerifier)> {
    require_writable()?;
    let verifier = CodeVerifier::generate()?;
    let started = insert(request, Some(&verifier.challenge()), None)?;
    Ok((started, verifier))
}

/// Starts what links an identity. It always has a challenge: a link that somebody else's browser completes comes to nothing.
pub fn start_link(
    request: &SignInRequest,
    challenge: Option<(&str, Option<&str>)>,
    link: Link,
) -> Result<(StartedSignIn, Option<CodeVerifier>)> {
    if let Some((challenge, method)) = challenge {
        return Ok((insert(request, Some(&parse(challenge, method)?), Some(link))?, None));
    }
    let verifier = CodeVerifier::generate()?;
    let started = insert(request, Some(&verifier.challenge()), Some(link))?;
    Ok((started, Some(verifier)))
}

/// Starts a sign-in for a caller that holds its own verifier, or, without a challenge, none.
pub fn start(request: &SignInRequest, code_challenge: Option<&str>, method: Option<&str>) -> Result<StartedSignIn> {
    require_writable()?;
    let challenge = match code_challenge {
        Some(challenge) => Some(parse(challenge, method)?),
        None if settings::require_code_challenge() => return Err(ErrorCode::CodeChallengeRequired.into()),
        None => None,
    };
    insert(request, challenge.as_ref(), None)
}

fn parse(challenge: &str, method: Option<&str>) -> Result<CodeChallenge> {
    let method = method.ok_or_else(|| Error::null("code_challenge_method"))?;
    CodeChallenge::parse(challenge, method, settings::allow_plain_pkce())
}

fn insert(
    request: &SignInRequest,
    code_challenge: Option<&CodeChallenge>,
    link: Option<Link>,
) -> Result<StartedSignIn> {
    let selector = Selector::new(request.organization, request.connection, request.provider)?;
    if link.is_some() && selector.is_authkit() {
        return Err(Error::invalid("provider", "a person of AuthKit becomes no further identity of an account."));
    }
    installation::minting()?;
    let provider = configuration::enabled_provider()?;
    if selector.is_authkit() && !configuration::has_authkit() {
        return Err(ErrorCode::AuthkitNotConfigured.into());
    }
    if let Some(redirect_to) = request.redirect_to {
        redirect_urls()?.check(redirect_to)?;
    }
    let state = pkce::generate_state()?;
    // Toward WorkOS there always is a verifier of our own, whatever the client does.
    let upstream = CodeVerifier::generate()?;
    let url = AuthorizeRequest {
        api_url: &provider.api_url,
        client_id: &provider.client_id,
        redirect_uri: &provider.redirect_uri,
        selector: &selector,
        state: &state,
        code_challenge: &upstream.challenge(),
        login_hint: request.login_hint,
        domain_hint: request.domain_hint,
        params: request.params,
    }
    .url()?;
    let id = pkce::flow_id(&state);
    let (upstream_verifier, data_key_id) = secrets::seal_verifier(id, &selector, &upstream)?;
    flows::remove_expired()?;
    let expires_at = flows::insert(&NewFlow {
        id,
        state_hash: pkce::sha256(state.expose()),
        code_challenge,
        upstream_verifier: &upstream_verifier,
        data_key_id,
        client_id: &provider.client_id,
        api_url: &provider.api_url,
        selector: &selector,
        redirect_to: request.redirect_to,
        link,
        ttl: settings::flow_ttl().as_secs_f64(),
    })?;
    Ok(StartedSignIn { url, state, expires_at })
}
