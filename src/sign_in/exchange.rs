//! Exchanges a code: lock, call, consume, write, in that order, so that however many race, WorkOS sees one call and there is one
//! session, and no row is locked while WorkOS is waited for. Where a broker makes the call, the course is cut in two there.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::accounts;
use workos_auth_core::admin;
use workos_auth_core::callback;
use workos_auth_core::pkce::{self, CodeVerifier};
use workos_auth_core::refused_sign_in::Reason;
use workos_auth_core::secret::AuthorizationCode;
use workos_auth_core::workos::authkit::{Selection, selection_required};
use workos_auth_core::workos::{self, AuthkitSession, CarriedAnswer, Impersonator, TokenAnswer};
use workos_auth_core::{Error, ErrorCode, Result};

use super::account::{self, Account, METHOD};
use super::redemption::{self, CarriedRequest, Redeemed, Redemption, provider_of};
use super::{authkit, link, refused};
use crate::audit::audit;
use crate::postgres::transaction::{require_writable, undone_if_refused};
use crate::sessions::{self, Opening, Session};
use crate::store::configuration::Provider;
use crate::store::flows::{self, Flow, Mode, Question};
use crate::store::locks::{self, TransactionLock};
use crate::store::scan::FlowKey;
use crate::store::{RequestClient, Subject, accounts as members, authkit_tokens, sessions as store, users};
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

impl<'a> ExchangeRequest<'a> {
    fn client(&self) -> RequestClient<'a> {
        RequestClient { ip: self.ip, user_agent: self.user_agent }
    }
}

/// Turns a code into a session.
///
/// # Errors
/// The server's log says of each what is known of the sign-in.
pub fn exchange(request: &ExchangeRequest) -> Result<Session> {
    signed_in(take(request)?, &request.client())
}

/// The first half of an exchange whose request to WorkOS a broker carries. A code of our own needs none: it is for [`exchange`] alone.
///
/// # Errors
/// As [`exchange`].
pub fn exchange_request(request: &ExchangeRequest) -> Result<CarriedRequest> {
    let (code, exchange) = Exchange::begin(request)?;
    let Exchange { flow, provider, lock } = exchange.unless_asked()?;
    let carried = redemption::refuse_own(&code)
        .and_then(|()| Redemption::of(&flow, &provider, code)?.hand_out(Mode::Direct))
        .map_err(|error| refused::for_log(error, &flow, None))?;
    lock.keep();
    Ok(carried)
}

/// The second half.
///
/// # Errors
/// As [`exchange`].
pub fn exchange_answer(exchange_id: Option<Uuid>, answer: &CarriedAnswer, client: &RequestClient) -> Result<Session> {
    signed_in(take_answer(exchange_id, answer)?, client)
}

/// What became of a code.
pub struct Exchanged {
    /// `flow_states.id`
    pub flow_id: Uuid,
    /// The session, or why there is none: WorkOS has named somebody who may not sign in.
    pub session: Result<Session>,
}

/// [`exchange`] for a caller that commits where somebody may not sign in. The code is spent then too, and the audit log has it.
///
/// # Errors
/// Those that come before anybody knows who signs in, and those after which another try may go well.
pub fn try_exchange(request: &ExchangeRequest) -> Result<Exchanged> {
    match advance(request)? {
        Step::Taken(taken) => tried(*taken, &request.client()),
        Step::Asked(asked) => asked.keep(),
    }
}

/// [`exchange_answer`] for a caller that commits where somebody may not sign in.
///
/// # Errors
/// As [`try_exchange`].
pub fn try_exchange_answer(
    exchange_id: Option<Uuid>,
    answer: &CarriedAnswer,
    client: &RequestClient,
) -> Result<Exchanged> {
    tried(take_answer(exchange_id, answer)?, client)
}

fn tried(taken: Taken, client: &RequestClient) -> Result<Exchanged> {
    let flow_id = taken.flow.id;
    let session = match undone_if_refused(|| finish(&taken, client)) {
        Ok(signed_in) => Ok(taken.into_session(signed_in)),
        // Another try may go well, with the same code.
        Err(error) if error.code().http_status() == 503 => {
            return Err(refused::for_log(error, &taken.flow, Some(&taken.answer.profile)));
        }
        Err(error) => {
            let refused = refused::of(&taken.flow, Some(&taken.answer.profile), Reason::Error(&error));
            refused::write_audit(&refused, &taken.flow, client)?;
            Err(error)
        }
    };
    Ok(Exchanged { flow_id, session })
}

/// An exchange of a flow that nobody else exchanges meanwhile.
pub(super) struct Exchange {
    pub(super) flow: Flow,
    pub(super) provider: Provider,
    lock: TransactionLock,
}

impl Exchange {
    /// Everything before WorkOS is asked.
    fn begin(request: &ExchangeRequest) -> Result<(AuthorizationCode, Begun)> {
        require_writable()?;
        let code = workos::check_code(request.code.ok_or_else(|| Error::null("code"))?)?;
        let verifier = request.verifier.map(CodeVerifier::parse).transpose()?;
        installation::minting()?;
        let flow = match callback::own_code_hash(&code)? {
            Some(hash) => find_by_own_code(&hash, verifier.as_ref(), request.state)?,
            None => find(verifier.as_ref(), request.state)?,
        };
        // Whoever held the lock before may have finished since: look again, past this transaction's snapshot.
        let (exchange, question) = Self::of(flow, |flow| match flows::progress(flow.id)? {
            Some(now) if now.mode != flow.mode => Err(ErrorCode::FlowStateNotFound.into()),
            Some(now) if now.awaits_answer() => {
                let detail = "A broker asks WorkOS about this sign-in's code, and has not brought the answer yet.";
                Err(Error::with_detail(ErrorCode::Conflict, detail))
            }
            Some(now) => Ok(now.question),
            None => Err(ErrorCode::FlowStateNotFound.into()),
        })?;
        Ok((code, Begun { exchange, question }))
    }

    /// Of a flow in which `look` finds what it wants, with the lock held.
    pub(super) fn of<T>(flow: Flow, look: impl FnOnce(&Flow) -> Result<T>) -> Result<(Self, T)> {
        let held = || {
            let provider = provider_of(&flow)?;
            let lock = locks::lock_flow_for_exchange(flow.id)?;
            let seen = look(&flow)?;
            flow.link.as_ref().map_or(Ok(()), link::check)?;
            Ok((provider, lock, seen))
        };
        match held() {
            Ok((provider, lock, seen)) => Ok((Self { flow, provider, lock }, seen)),
            Err(error) => Err(refused::for_log(error, &flow, None)),
        }
    }

    /// Gets WorkOS's answer, and consumes the flow.
    pub(super) fn consume(self, answer: impl FnOnce(&Self) -> Result<TokenAnswer>) -> Result<Taken> {
        let answer = answer(&self).and_then(|answer| flows::consume(self.flow.id).map(|()| answer));
        let Self { flow, lock, .. } = self;
        match answer {
            Ok(answer) => {
                lock.keep();
                Ok(Taken { flow, answer })
            }
            Err(error) => Err(refused::for_log(error, &flow, None)),
        }
    }
}

/// An exchange, and what WorkOS has asked of the sign-in before.
struct Begun {
    exchange: Exchange,
    question: Option<Question>,
}

impl Begun {
    /// An exchange in which WorkOS may be shown a code.
    fn unless_asked(self) -> Result<Exchange> {
        match self.question {
            None => Ok(self.exchange),
            Some(question) => Err(Asked::again(self.exchange, &question).into_error()),
        }
    }
}

/// A sign-in of which WorkOS asks which organization it is for.
struct Asked {
    exchange: Exchange,
    /// none where it is kept already
    selection: Option<Selection>,
    error: Error,
}

impl Asked {
    fn again(exchange: Exchange, question: &Question) -> Self {
        let error = selection_required(question.organizations.iter().map(String::as_str));
        Self { exchange, selection: None, error }
    }

    /// For a caller whose transaction the error rolls back.
    fn into_error(self) -> Error {
        refused::for_log(self.error, &self.exchange.flow, None)
    }

    /// For a caller that commits: `auth.select_organization` finishes the sign-in.
    fn keep(self) -> Result<Exchanged> {
        let Self { exchange: Exchange { flow, lock, .. }, selection, error } = self;
        if let Some(selection) = selection {
            let question = secrets::authkit::seal_question(&flow, &selection)?;
            flows::keep_question(flow.id, &question, settings::flow_ttl().as_secs_f64())?;
        }
        lock.keep();
        Ok(Exchanged { flow_id: flow.id, session: Err(error) })
    }
}

/// How far an exchange comes.
enum Step {
    Taken(Box<Taken>),
    Asked(Box<Asked>),
}

/// A sign-in that WorkOS has answered, and that is nobody else's any more.
pub(super) struct Taken {
    flow: Flow,
    answer: TokenAnswer,
}

impl Taken {
    fn into_session(self, (account, session): (Account, Session)) -> Session {
        Session {
            is_new_user: account.is_new_user,
            redirect_to: self.flow.redirect_to,
            provider_token: self.answer.access_token,
            ..session
        }
    }
}

/// Finds the sign-in, asks WorkOS, and consumes it.
fn take(request: &ExchangeRequest) -> Result<Taken> {
    match advance(request)? {
        Step::Taken(taken) => Ok(*taken),
        Step::Asked(asked) => Err(asked.into_error()),
    }
}

/// Finds the sign-in, asks WorkOS, and consumes it unless WorkOS asks for more.
fn advance(request: &ExchangeRequest) -> Result<Step> {
    let (code, Begun { exchange, question }) = Exchange::begin(request)?;
    if let Some(question) = question {
        return Ok(Step::Asked(Box::new(Asked::again(exchange, &question))));
    }
    let redeemed = match redeem(&exchange, code) {
        Ok(Redeemed::Asked(selection, error)) => {
            return Ok(Step::Asked(Box::new(Asked { exchange, selection: Some(selection), error })));
        }
        redeemed => redeemed.and_then(Redeemed::answer),
    };
    exchange.consume(|_| redeemed).map(|taken| Step::Taken(Box::new(taken)))
}

fn redeem(Exchange { flow, provider, .. }: &Exchange, code: AuthorizationCode) -> Result<Redeemed> {
    match &flow.sealed_answer {
        // WorkOS was asked when its callback came.
        Some(sealed) => {
            let answer = callback::kept(secrets::open_answer(flow, sealed)?.expose())?;
            Ok(Redeemed::Answered(Box::new(answer)))
        }
        None => Redemption::of(flow, provider, code)?.redeem(),
    }
}

/// Finds the sign-in whose answer a broker brings, reads the answer, and consumes it.
fn take_answer(exchange_id: Option<Uuid>, answer: &CarriedAnswer) -> Result<Taken> {
    require_writable()?;
    let exchange_id = exchange_id.ok_or_else(|| Error::null("exchange_id"))?;
    answer.check()?;
    installation::minting()?;
    let flow = redemption::take(exchange_id, Mode::Direct)?.ok_or_else(|| {
        let detail = "No row of auth.flow_states waits for the answer of this exchange_id.";
        Error::with_detail(ErrorCode::FlowStateNotFound, detail)
    })?;
    let (exchange, is_late) = Exchange::of(flow, |flow| match flows::progress(flow.id)? {
        Some(now) if now.exchange_id == Some(exchange_id) => Ok(now.is_late),
        _ => Err(ErrorCode::FlowStateNotFound.into()),
    })?;
    exchange
        .consume(|Exchange { flow, provider, .. }| Redemption::carried(flow, provider)?.read_carried(answer, is_late))
}

/// The session, or an error of which the server's log says more.
pub(super) fn signed_in(taken: Taken, client: &RequestClient) -> Result<Session> {
    match finish(&taken, client) {
        Ok(signed_in) => Ok(taken.into_session(signed_in)),
        Err(error) => Err(refused::for_log(error, &taken.flow, Some(&taken.answer.profile))),
    }
}

/// Signs in whom WorkOS has named.
fn finish(Taken { flow, answer }: &Taken, client: &RequestClient) -> Result<(Account, Session)> {
    workos::check_answer(&flow.selector, &answer.profile)?;
    sign_in(answer, flow, client)
}

/// Finds or makes the account of a profile, or links the profile to the account that it is for, and opens a session.
pub(super) fn sign_in(answer: &TokenAnswer, flow: &Flow, client: &RequestClient) -> Result<(Account, Session)> {
    let (profile, issuer) = (&answer.profile, flow.api_url.as_str());
    let account = match (&flow.link, &profile.authkit) {
        (Some(link), _) => link::finish(link, profile, issuer, client)?,
        (None, Some(session)) => authkit::resolve(profile, session, issuer, client)?,
        (None, None) => account::resolve(profile, issuer, client)?,
    };
    let impersonator = profile.authkit.as_ref().and_then(|session| session.impersonator.as_ref());
    let email = profile.has_verified_email().then(|| accounts::fold_email(&profile.email));
    let opening = Opening {
        user_id: account.user_id,
        identity_id: Some(account.identity_id),
        organization_id: profile.organization_id.as_deref(),
        connection_id: profile.connection_id.as_deref(),
        email: email.as_deref(),
        method: profile.authkit.as_ref().map_or(METHOD, AuthkitSession::amr_method),
        signed_in_at: profile.authkit.as_ref().and_then(|session| session.auth_time),
        actor: impersonator.map(|impersonator| impersonator.email.as_str()),
        ttl: match impersonator {
            Some(_) => settings::session_ttl().min(admin::LONGEST_IMPERSONATION),
            None => settings::session_ttl(),
        },
    };
    let session = sessions::open(&opening, client)?;
    let subject =
        Subject::of_session(account.user_id, session.session_id, opening.organization_id, opening.connection_id)
            .with_client(client);
    audit("login", &subject, json!({ "provider": account::provider(profile) }))?;
    if let Some(authkit) = &profile.authkit {
        store::name_authkit_session(session.session_id, &authkit.id)?;
    }
    if let Some(token) = &answer.refresh_token {
        let kept = secrets::authkit::seal_token(session.session_id, &flow.client_id, issuer, token)?;
        authkit_tokens::put(session.session_id, &kept)?;
    }
    if let Some(Impersonator { email, reason }) = impersonator {
        audit(
            "session_impersonated",
            &subject,
            json!({ "actor": email, "reason": reason, "provider": accounts::AUTHKIT }),
        )?;
    }
    users::require_good_standing(account.user_id)?;
    // Whoever deletes the organization waits for the session, which is there now.
    opening.organization_id.map_or(Ok(()), members::refuse_deleted)?;
    Ok((account, session))
}

/// Finds the flow that the caller's verifier and state belong to. Burns nothing, whatever is wrong.
pub(super) fn find(verifier: Option<&CodeVerifier>, state: Option<&str>) -> Result<Flow> {
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
