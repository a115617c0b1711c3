//! Exchanges a code: lock, call, consume, write, in that order, so that however many race, WorkOS sees one call and there is one
//! session, and no row is locked while WorkOS is waited for.

use serde_json::json;
use workos_auth_core::accounts;
use workos_auth_core::callback;
use workos_auth_core::pkce::{self, CodeVerifier};
use workos_auth_core::secret::AuthorizationCode;
use workos_auth_core::workos::{self, Profile, TokenAnswer, TokenRequest};
use workos_auth_core::{Error, ErrorCode, Result};

use super::account::{self, Account, METHOD};
use super::link;
use crate::audit::audit;
use crate::postgres::transaction::require_writable;
use crate::sessions::{self, Opening, Session};
use crate::store::configuration::{self, Provider};
use crate::store::flows::{self, Flow, Link, Mode};
use crate::store::scan::{self, FlowKey};
use crate::store::{RequestClient, Subject, locks, users};
use crate::{http, installation, secrets, settings};

/// What a caller hands over. Everything as it came from SQL.
#[derive(Hash)]
pub struct ExchangeRequest<'a> {
    /// the code of the callback URL: WorkOS's, or in brokered mode our own
    pub code: Option<&'a str>,
    /// the verifier that the caller kept
    pub verifier: Option<&'a str>,
    /// the state of the callback URL
    pub state: Option<&'a str>,
    /// the client's address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the client's User-Agent header
    pub user_agent: Option<&'a str>,
}

/// Turns a code into a session.
pub fn exchange(request: &ExchangeRequest) -> Result<Session> {
    require_writable()?;
    let code = workos::check_code(request.code.ok_or_else(|| Error::null("code"))?)?;
    let verifier = request.verifier.map(CodeVerifier::parse).transpose()?;
    installation::minting()?;
    let flow = match callback::own_code_hash(&code)? {
        Some(hash) => find_by_own_code(&hash, verifier.as_ref(), request.state)?,
        None => find(verifier.as_ref(), request.state)?,
    };
    let provider = provider_of(&flow)?;

    let lock = locks::lock_flow_for_exchange(flow.id)?;
    // Whoever held the lock before may have finished since: look again, past this transaction's snapshot.
    if scan::flow_mode(flow.id).as_deref() != Some(flow.mode.as_str()) {
        return Err(ErrorCode::FlowStateNotFound.into());
    }
    if let Some(link) = &flow.link {
        link::check(link)?;
    }

    let answer = match &flow.sealed_answer {
        // WorkOS was asked when its callback came.
        Some(sealed) => callback::kept(secrets::open_answer(&flow, sealed)?.expose())?,
        None => redeem(&flow, &provider, &code)?,
    };

    flows::consume(flow.id)?;
    lock.keep();

    let client = RequestClient { ip: request.ip, user_agent: request.user_agent };
    let (account, session) = sign_in(&answer.profile, &provider.api_url, &client, flow.link.as_ref())?;
    Ok(Session {
        is_new_user: account.is_new_user,
        redirect_to: flow.redirect_to,
        provider_token: answer.access_token,
        ..session
    })
}

/// Shows WorkOS its code, and checks that the answer is what was asked for. Writes nothing.
pub(super) fn redeem(flow: &Flow, provider: &Provider, code: &AuthorizationCode) -> Result<TokenAnswer> {
    let client_secret = secrets::open_client_secret(provider)?;
    let upstream = secrets::open_verifier(flow.id, &flow.selector, &flow.upstream_verifier, flow.data_key_id)?;
    let answer = http::redeem(
        &provider.api_url,
        &TokenRequest { client_id: &provider.client_id, client_secret: &client_secret, code, code_verifier: &upstream },
    )?;
    workos::check_answer(&flow.selector, &answer.profile)?;
    Ok(answer)
}

/// Finds or makes the account of a profile, or links the profile to the account that it is for, and opens a session.
pub(super) fn sign_in(
    profile: &Profile,
    issuer: &str,
    client: &RequestClient,
    link: Option<&Link>,
) -> Result<(Account, Session)> {
    let account = match link {
        None => account::resolve(profile, issuer, client)?,
        Some(link) => link::finish(link, profile, issuer, client)?,
    };
    let opening = Opening {
        user_id: account.user_id,
        identity_id: Some(account.identity_id),
        organization_id: profile.organization_id.as_deref(),
        connection_id: Some(&profile.connection_id),
        email: Some(&accounts::fold_email(&profile.email)),
        method: METHOD,
        actor: None,
        ttl: settings::session_ttl(),
    };
    let session = sessions::open(&opening, client)?;
    audit(
        "login",
        &Subject::of_session(account.user_id, session.session_id, opening.organization_id, opening.connection_id)
            .with_client(client),
        json!({ "provider": "workos" }),
    )?;
    users::require_good_standing(account.user_id)?;
    Ok((account, session))
}

/// Finds the flow that the caller's verifier and state belong to. Burns nothing, whatever is wrong.
fn find(verifier: Option<&CodeVerifier>, state: Option<&str>) -> Result<Flow> {
    let state_hash = state.map(pkce::sha256);
    // Once `auth.handle_callback` has taken a flow, WorkOS's code is none of its codes.
    let direct = |flow: Option<Flow>| flow.filter(|flow| flow.mode == Mode::Direct);
    let by_state = || {
        let found = state_hash.as_ref().map(|hash| flows::find(&FlowKey::State(hash))).transpose();
        found.map(|flow| direct(flow.flatten()))
    };
    let flow = match verifier {
        Some(verifier) => match find_by_verifier(verifier, state_hash.as_ref())? {
            Some(flow) => flow,
            None if by_state()?.is_some() => return Err(ErrorCode::BadCodeVerifier.into()),
            None => return Err(ErrorCode::FlowStateNotFound.into()),
        },
        None if state.is_none() => {
            return Err(Error::with_detail(ErrorCode::CodeVerifierRequired, "Neither verifier nor state was passed."));
        }
        None => match by_state()? {
            None => return Err(ErrorCode::FlowStateNotFound.into()),
            Some(flow) if flow.code_challenge.is_some() => return Err(ErrorCode::CodeVerifierRequired.into()),
            Some(flow) => flow,
        },
    };
    check_state(&flow, state)?;
    if flow.is_expired {
        return Err(ErrorCode::FlowStateExpired.into());
    }
    Ok(flow)
}

/// The direct flow of the verifier. Where a link was clicked twice there are several, which the state tells apart.
fn find_by_verifier(verifier: &CodeVerifier, state_hash: Option<&[u8; 32]>) -> Result<Option<Flow>> {
    let mut waiting = flows::of_challenge(verifier.challenge().value())?;
    waiting.retain(|flow| {
        flow.mode == Mode::Direct && flow.code_challenge.as_ref().is_some_and(|challenge| challenge.matches(verifier))
    });
    if waiting.len() > 1 {
        match state_hash {
            Some(hash) => waiting.retain(|flow| flow.state_hash == hash),
            None => waiting.retain(|flow| !flow.is_expired),
        }
    }
    match waiting.len() {
        0 | 1 => Ok(waiting.pop()),
        _ => Err(ErrorCode::CodeChallengeInUse.into()),
    }
}

/// Finds the flow of a code that `auth.handle_callback` issued. Burns nothing, whatever is wrong.
fn find_by_own_code(hash: &[u8; 32], verifier: Option<&CodeVerifier>, state: Option<&str>) -> Result<Flow> {
    let verifier = verifier.ok_or(ErrorCode::CodeVerifierRequired)?;
    let flow = flows::find(&FlowKey::Code(hash))?.ok_or_else(|| {
        Error::with_detail(ErrorCode::FlowStateNotFound, "No row of auth.flow_states has issued this code.")
    })?;
    if !flow.code_challenge.as_ref().is_some_and(|challenge| challenge.matches(verifier)) {
        return Err(Error::with_detail(
            ErrorCode::BadCodeVerifier,
            "The code belongs to a sign-in with another code challenge.",
        ));
    }
    check_state(&flow, state)?;
    if flow.is_expired {
        return Err(Error::new(ErrorCode::FlowStateExpired)
            .hint("Start the sign-in again; the code of auth.handle_callback is good for 60 seconds."));
    }
    Ok(flow)
}

/// A state beside the verifier must name the same flow.
fn check_state(flow: &Flow, state: Option<&str>) -> Result<()> {
    let Some(hash) = state.map(pkce::sha256).filter(|hash| flow.state_hash != hash) else { return Ok(()) };
    let names_another = flows::find(&FlowKey::State(&hash))?.is_some_and(|other| other.mode == flow.mode);
    Err(if names_another { ErrorCode::BadCodeVerifier } else { ErrorCode::FlowStateNotFound }.into())
}

/// The provider, if it still is what the flow was made with: a code of one environment is never shown to another.
pub(super) fn provider_of(flow: &Flow) -> Result<Provider> {
    let provider = configuration::enabled_provider()?;
    if provider.client_id != flow.client_id || provider.api_url != flow.api_url {
        return Err(ErrorCode::ProviderChanged.into());
    }
    Ok(provider)
}
