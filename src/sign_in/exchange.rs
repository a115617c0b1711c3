//! Exchanges a code: lock, call, consume, write, in that order, so that however many race, WorkOS sees one call and there is one
//! session, and no row is locked while WorkOS is waited for. Where a broker makes the call, the course is cut in two there.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::accounts;
use workos_auth_core::callback;
use workos_auth_core::pkce::{self, CodeVerifier};
use workos_auth_core::secret::AuthorizationCode;
use workos_auth_core::workos::{self, CarriedAnswer, Profile, TokenAnswer};
use workos_auth_core::{Error, ErrorCode, Result};

use super::account::{self, Account, METHOD};
use super::link;
use super::redemption::{self, CarriedRequest, Redemption, provider_of};
use crate::audit::audit;
use crate::postgres::transaction::require_writable;
use crate::sessions::{self, Opening, Session};
use crate::store::configuration::Provider;
use crate::store::flows::{self, Flow, Link, Mode};
use crate::store::locks::{self, TransactionLock};
use crate::store::scan::FlowKey;
use crate::store::{RequestClient, Subject, users};
use crate::{installation, secrets, settings};

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
    let (code, exchange) = Exchange::begin(request)?;
    let Exchange { flow, provider, .. } = &exchange;
    let answer = match &flow.sealed_answer {
        // WorkOS was asked when its callback came.
        Some(sealed) => callback::kept(secrets::open_answer(flow, sealed)?.expose())?,
        None => Redemption::of(flow, provider, code)?.redeem()?,
    };
    exchange.finish(answer, &RequestClient { ip: request.ip, user_agent: request.user_agent })
}

/// The first half of an exchange whose request to WorkOS a broker carries. A code of our own needs none: it is for [`exchange`] alone.
pub fn exchange_request(request: &ExchangeRequest) -> Result<CarriedRequest> {
    let (code, exchange) = Exchange::begin(request)?;
    redemption::refuse_own(&code)?;
    let carried = Redemption::of(&exchange.flow, &exchange.provider, code)?.hand_out(Mode::Direct)?;
    exchange.lock.keep();
    Ok(carried)
}

/// The second half.
pub fn exchange_answer(exchange_id: Option<Uuid>, answer: &CarriedAnswer, client: &RequestClient) -> Result<Session> {
    require_writable()?;
    let exchange_id = exchange_id.ok_or_else(|| Error::null("exchange_id"))?;
    answer.check()?;
    installation::minting()?;
    let flow = redemption::take(exchange_id, Mode::Direct)?.ok_or_else(|| {
        let detail = "No row of auth.flow_states waits for the answer of this exchange_id.";
        Error::with_detail(ErrorCode::FlowStateNotFound, detail)
    })?;
    let exchange = Exchange::of(flow)?;
    let is_late = match flows::progress(exchange.flow.id)? {
        Some(now) if now.exchange_id == Some(exchange_id) => now.is_late,
        _ => return Err(ErrorCode::FlowStateNotFound.into()),
    };
    exchange.check_link()?;
    let answer = Redemption::carried(&exchange.flow, &exchange.provider)?.read_carried(answer, is_late)?;
    exchange.finish(answer, client)
}

/// An exchange of a flow that nobody else exchanges meanwhile.
struct Exchange {
    flow: Flow,
    provider: Provider,
    lock: TransactionLock,
}

impl Exchange {
    /// Everything before WorkOS is asked.
    fn begin(request: &ExchangeRequest) -> Result<(AuthorizationCode, Self)> {
        require_writable()?;
        let code = workos::check_code(request.code.ok_or_else(|| Error::null("code"))?)?;
        let verifier = request.verifier.map(CodeVerifier::parse).transpose()?;
        installation::minting()?;
        let exchange = Self::of(match callback::own_code_hash(&code)? {
            Some(hash) => find_by_own_code(&hash, verifier.as_ref(), request.state)?,
            None => find(verifier.as_ref(), request.state)?,
        })?;
        // Whoever held the lock before may have finished since: look again, past this transaction's snapshot.
        match flows::progress(exchange.flow.id)? {
            Some(now) if now.mode != exchange.flow.mode => return Err(ErrorCode::FlowStateNotFound.into()),
            Some(now) if now.awaits_answer() => {
                let detail = "A broker asks WorkOS about this sign-in's code, and has not brought the answer yet.";
                return Err(Error::with_detail(ErrorCode::Conflict, detail));
            }
            Some(_) => {}
            None => return Err(ErrorCode::FlowStateNotFound.into()),
        }
        exchange.check_link()?;
        Ok((code, exchange))
    }

    fn of(flow: Flow) -> Result<Self> {
        let provider = provider_of(&flow)?;
        let lock = locks::lock_flow_for_exchange(flow.id)?;
        Ok(Self { flow, provider, lock })
    }

    fn check_link(&self) -> Result<()> {
        self.flow.link.as_ref().map_or(Ok(()), link::check)
    }

    /// Consumes the flow, and signs in whom WorkOS named.
    fn finish(self, answer: TokenAnswer, client: &RequestClient) -> Result<Session> {
        let Self { flow, provider, lock } = self;
        flows::consume(flow.id)?;
        lock.keep();
        let (account, session) = sign_in(&answer.profile, &provider.api_url, client, flow.link.as_ref())?;
        Ok(Session {
            is_new_user: account.is_new_user,
            redirect_to: flow.redirect_to,
            provider_token: answer.access_token,
            ..session
        })
    }
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
        provider: Some("workos"),
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
        Some(verifier) => {
            let found = direct(flows::find(&FlowKey::Challenge(verifier.challenge().value()))?);
            match found.filter(|flow| flow.code_challenge.as_ref().is_some_and(|c| c.matches(verifier))) {
                Some(flow) => flow,
                None if by_state()?.is_some() => return Err(ErrorCode::BadCodeVerifier.into()),
                None => return Err(ErrorCode::FlowStateNotFound.into()),
            }
        }
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
