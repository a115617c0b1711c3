//! Brokered mode: WorkOS's redirect comes to us, and the browser goes on to the application with a code of our own.
//!
//! Nobody's account is touched here: the browser that brings a callback need not be the one that began the sign-in, and only the
//! verifier tells. The implicit flow has none, and is finished here for that reason alone.

use uuid::Uuid;
use workos_auth_core::callback::{self, CallbackRefusal, FragmentTokens, IDP_INITIATED_SSO_DISABLED};
use workos_auth_core::redirect::RedirectUrls;
use workos_auth_core::refused_sign_in::Reason;
use workos_auth_core::secret::AuthorizationCode;
use workos_auth_core::workos::{self, CarriedAnswer, Profile, TokenAnswer};
use workos_auth_core::{Error, ErrorCode, Result, pkce};

use super::exchange::sign_in;
use super::link;
use super::redemption::{self, CarriedRequest, Redemption, provider_of};
use super::redirects::redirect_urls;
use super::refused;
use super::start::{SignInRequest, start};
use crate::postgres::transaction::{in_subtransaction, require_writable};
use crate::store::RequestClient;
use crate::store::flows::{self, Flow, Mode};
use crate::store::locks::{self, TransactionLock};
use crate::store::scan::FlowKey;
use crate::{error, installation, secrets, settings};

/// The query of WorkOS's redirect. What is empty counts as absent.
#[derive(Hash)]
pub struct CallbackQuery<'a> {
    /// WorkOS's code
    pub code: Option<&'a str>,
    /// the state of the sign-in
    pub state: Option<&'a str>,
    /// why there is no code
    pub error: Option<&'a str>,
    /// the same in words
    pub error_description: Option<&'a str>,
    /// where an identity provider began, as WorkOS names it
    pub connection: Option<&'a str>,
    /// where an identity provider began, as WorkOS names it
    pub organization: Option<&'a str>,
    /// whether this browser began the sign-in, as far as the caller knows (RFC 6749, section 10.12)
    pub is_bound: bool,
}

/// Consumes WorkOS's redirect, and says where to send the browser.
///
/// # Errors
/// None for what a browser sent, nor for what WorkOS answered: these are in the URL. `read_only`, and `site_url_missing` where the browser
/// cannot be sent anywhere else.
pub fn handle_callback(query: &CallbackQuery) -> Result<String> {
    let callback = match Callback::begin(query)? {
        Begun::Ended(url) => return Ok(url),
        Begun::Goes(callback) => callback,
    };
    let answer = callback.code(query).and_then(|code| {
        let provider = provider_of(&callback.flow)?;
        Ok(Redemption::of(&callback.flow, &provider, code)?.redeem()?.answer()?)
    });
    callback.finish(Some(query), answer)
}

/// What comes of WorkOS's redirect where a broker asks WorkOS.
pub enum CallbackStep {
    /// WorkOS need not be asked: where to send the browser.
    Ended(String),
    /// What a broker is to ask WorkOS.
    Asks(CarriedRequest),
}

/// The first half of [`handle_callback`] where a broker carries the request to WorkOS. The state is spent, whatever comes of it.
///
/// # Errors
/// As [`handle_callback`].
pub fn callback_request(query: &CallbackQuery) -> Result<CallbackStep> {
    let callback = match Callback::begin(query)? {
        Begun::Ended(url) => return Ok(CallbackStep::Ended(url)),
        Begun::Goes(callback) => callback,
    };
    let request = callback.code(query).and_then(|code| {
        let provider = provider_of(&callback.flow)?;
        Ok(Redemption::of(&callback.flow, &provider, code)?.hand_out(Mode::Brokered)?)
    });
    match request {
        Ok(request) => {
            callback.lock.keep();
            Ok(CallbackStep::Asks(request))
        }
        Err(failed) => callback.finish(Some(query), Err(failed)).map(CallbackStep::Ended),
    }
}

/// The second half: where to send the browser. An `exchange_id` that nobody waits for any more is answered like a state that nobody does.
///
/// # Errors
/// As [`handle_callback`], and for what the broker itself gets wrong.
pub fn callback_answer(exchange_id: Option<Uuid>, answer: &CarriedAnswer) -> Result<String> {
    require_writable()?;
    let exchange_id = exchange_id.ok_or_else(|| Error::null("exchange_id"))?;
    answer.check()?;
    let refuse = |code: ErrorCode| Ok(CallbackRefusal::from(code).in_query(&site_url()?));
    let Some(flow) = redemption::take(exchange_id, Mode::Brokered)? else { return refuse(ErrorCode::BadOauthState) };
    let Some(callback) = Callback::of(flow)? else { return refuse(ErrorCode::FlowStateAlreadyUsed) };
    let is_late = match flows::progress(callback.flow.id)? {
        Some(now) if now.exchange_id == Some(exchange_id) => now.is_late,
        _ => return refuse(ErrorCode::BadOauthState),
    };
    let answer = callback.check_target().and_then(|()| {
        callback.check_implicit()?;
        let provider = provider_of(&callback.flow)?;
        Ok(Redemption::carried(&callback.flow, &provider)?.read_carried(answer, is_late)?)
    });
    callback.finish(None, answer)
}

/// A redirect that belongs to a flow, which nobody else exchanges meanwhile.
struct Callback {
    flow: Flow,
    target: Target,
    lock: TransactionLock,
}

enum Begun {
    /// Where the browser goes: the redirect is nobody's, or somebody else's.
    Ended(String),
    Goes(Box<Callback>),
}

impl Callback {
    /// Finds the flow. Burns nothing.
    fn begin(query: &CallbackQuery) -> Result<Begun> {
        require_writable()?;
        let flow = match find_flow(query)? {
            Ok(flow) => flow,
            Err(refusal) => return nowhere(query, refusal).map(Begun::Ended),
        };
        let refuse = |code: ErrorCode| Ok(Begun::Ended(CallbackRefusal::from(code).in_query(&site_url()?)));
        // A transaction that is not finished yet has it, or had it when our snapshot was taken.
        let Some(callback) = Self::of(flow)? else { return refuse(ErrorCode::FlowStateAlreadyUsed) };
        match flows::progress(callback.flow.id)? {
            Some(now) if now.mode == Mode::Direct && !now.awaits_answer() && now.question.is_none() => {
                Ok(Begun::Goes(Box::new(callback)))
            }
            Some(_) => refuse(ErrorCode::FlowStateAlreadyUsed),
            None => refuse(ErrorCode::BadOauthState),
        }
    }

    fn of(flow: Flow) -> Result<Option<Self>> {
        let target = Target::of(&flow)?;
        Ok(locks::lock_flow_for_exchange(flow.id).ok().map(|lock| Self { flow, target, lock }))
    }

    /// The code that WorkOS is shown, or why it is not.
    fn code(&self, query: &CallbackQuery) -> Outcome<AuthorizationCode> {
        self.check_target()?;
        if let Some(error) = present(query.error) {
            return Err(CallbackFailure::Refused(CallbackRefusal::of_workos(error, description(query, &self.flow))));
        }
        let code = workos::check_code(present(query.code).ok_or(ErrorCode::BadOauthCallback)?)?;
        redemption::refuse_own(&code)?;
        self.check_implicit()?;
        if self.flow.code_challenge.is_none() && !query.is_bound {
            return Err(CallbackFailure::Refused(CallbackRefusal::of_workos("access_denied", Some(ANOTHER_BROWSER))));
        }
        if let Some(link) = &self.flow.link {
            link::check(link)?;
        }
        Ok(code)
    }

    fn check_target(&self) -> Outcome<()> {
        installation::minting()?;
        match &self.target.refused {
            Some(refused) => Err(refused.clone().into()),
            None => Ok(()),
        }
    }

    fn check_implicit(&self) -> Outcome<()> {
        match self.flow.code_challenge {
            Some(_) => Ok(()),
            None => Ok(check_implicit(&self.target.url)?),
        }
    }

    /// Writes what comes of WorkOS's answer, or of its lack, and says where the browser goes. `query` is what the browser brought, where this
    /// is its own request.
    fn finish(self, query: Option<&CallbackQuery>, answer: Outcome<TokenAnswer>) -> Result<String> {
        let Self { flow, target, lock } = self;
        let mut redeemed = None;
        let next = answer.and_then(|answer| Completion::of(&flow, &target, redeemed.insert(answer)));
        // Whatever comes now, the state is spent.
        let burnt = match &next {
            Ok(Completion::StoreAnswer { code_hash, sealed_answer, .. }) => {
                flows::store_answer(flow.id, code_hash, sealed_answer, callback::CODE_TTL)
            }
            _ => flows::consume(flow.id),
        };
        match burnt {
            Ok(()) => lock.keep(),
            Err(gone) if gone.code() == ErrorCode::FlowStateExpired => {
                return Ok(CallbackRefusal::from(ErrorCode::BadOauthState).in_query(&site_url()?));
            }
            Err(other) => return Err(other),
        }
        let outcome = next.and_then(|next| match (next, &redeemed) {
            (Completion::SignIn { url }, Some(answer)) => finish(answer, &flow, &url),
            (Completion::StoreAnswer { url, .. } | Completion::SignIn { url }, _) => Ok(url),
        });
        match outcome {
            Ok(url) => Ok(url),
            Err(failed) => {
                write_down(query, &flow, redeemed.as_ref().map(|answer| &answer.profile), &failed)?;
                Ok(target.refuse(&failed))
            }
        }
    }
}

/// WorkOS's words, but for those of AuthKit, whose messages name addresses.
fn description<'a>(query: &CallbackQuery<'a>, flow: &Flow) -> Option<&'a str> {
    query.error_description.filter(|_| !flow.selector.is_authkit())
}

/// The name of WorkOS's refusal. One of AuthKit that is no word is left out, as its description is.
fn error_name<'a>(query: &CallbackQuery<'a>, flow: &Flow) -> Option<&'a str> {
    let is_word = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    present(query.error).map(|name| if flow.selector.is_authkit() && !is_word(name) { "(no word)" } else { name })
}

/// Tells the audit log of a refused sign-in, and the server's log of what failed here.
fn write_down(
    query: Option<&CallbackQuery>,
    flow: &Flow,
    profile: Option<&Profile>,
    failed: &CallbackFailure,
) -> Result<()> {
    let reason = match failed {
        CallbackFailure::Refused(refusal) => Reason::Callback(
            refusal,
            query.and_then(|query| error_name(query, flow)),
            query.and_then(|query| description(query, flow)),
        ),
        CallbackFailure::Ours(error) => {
            error::log("a sign-in failed in its callback", &refused::for_log(error.clone(), flow, profile));
            Reason::Error(error)
        }
    };
    refused::write_audit(&refused::of(flow, profile, reason), flow, &RequestClient::default())
}

/// Why the browser goes on without a code or a token.
enum CallbackFailure {
    /// WorkOS, or the person, said no, or another person's browser came.
    Refused(CallbackRefusal),
    /// Something went wrong on our side, or between WorkOS and us.
    Ours(Error),
}

impl From<Error> for CallbackFailure {
    fn from(error: Error) -> Self {
        Self::Ours(error)
    }
}

impl From<ErrorCode> for CallbackFailure {
    fn from(code: ErrorCode) -> Self {
        Self::Ours(code.into())
    }
}

type Outcome<T> = std::result::Result<T, CallbackFailure>;

/// The flow that the state names, or why there is none. Burns nothing.
fn find_flow(query: &CallbackQuery) -> Result<std::result::Result<Flow, CallbackRefusal>> {
    let Some(state) = present(query.state) else {
        let refusal = CallbackRefusal::from(ErrorCode::BadOauthCallback);
        let by_provider = present(query.code).is_some() || query.error == Some(IDP_INITIATED_SSO_DISABLED);
        return Ok(Err(match by_provider {
            true => refusal.described("the identity provider began this sign-in: begin it at the application instead"),
            false => refusal,
        }));
    };
    Ok(match flows::find(&FlowKey::State(&pkce::sha256(state)))? {
        None => Err(ErrorCode::BadOauthState.into()),
        Some(flow) if flow.mode == Mode::Brokered => Err(ErrorCode::FlowStateAlreadyUsed.into()),
        Some(flow) if flow.is_expired => {
            Err(CallbackRefusal::from(ErrorCode::BadOauthState).described("the state has expired"))
        }
        Some(flow) => Ok(flow),
    })
}

/// Where the browser goes with a callback that belongs to no sign-in.
fn nowhere(query: &CallbackQuery, refusal: CallbackRefusal) -> Result<String> {
    let site_url = site_url()?;
    // A code that nobody asked for is somebody else's sign-in: it is never redeemed, and names no connection.
    if present(query.state).is_none()
        && query.error == Some(IDP_INITIATED_SSO_DISABLED)
        && settings::restarts_idp_initiated()
    {
        return Ok(restart(query, &site_url).unwrap_or_else(|error| {
            error::log("an IdP-initiated sign-in was not restarted", &error);
            refusal.in_query(&site_url)
        }));
    }
    Ok(refusal.in_query(&site_url))
}

/// A fresh sign-in at the connection where the identity provider began one. It ends at the site, implicitly, since no
/// application holds a verifier for it. It brings a state along, so it is not restarted again.
fn restart(query: &CallbackQuery, site_url: &str) -> Result<String> {
    let (organization, connection) = (present(query.organization), present(query.connection));
    check_implicit(site_url)?;
    let request = SignInRequest {
        organization,
        connection,
        provider: None,
        redirect_to: Some(site_url),
        login_hint: None,
        domain_hint: None,
        params: None,
    };
    Ok(start(&request, None, None)?.url)
}

/// Somebody may have a victim's browser finish a sign-in that they began themselves. With a challenge, the verifier tells.
const ANOTHER_BROWSER: &str = "this browser did not begin the sign-in";

/// The implicit flow is for addresses that an administrator has listed: whoever answers there gets the tokens.
fn check_implicit(url: &str) -> Result<()> {
    let refuse = |detail: &str| Err(Error::with_detail(ErrorCode::ImplicitNotAllowed, detail));
    if !settings::allow_implicit() {
        return refuse("workos_auth.allow_implicit is off.");
    }
    if settings::require_code_challenge() {
        return refuse("workos_auth.require_code_challenge is on.");
    }
    match redirect_urls()?.check_listed(url) {
        Ok(()) => Ok(()),
        Err(_) => refuse("auth.redirect_urls does not list the address, which the implicit flow needs."),
    }
}

/// What is written once WorkOS has answered.
enum Completion {
    /// The answer, sealed, under a code of our own.
    StoreAnswer { code_hash: [u8; 32], sealed_answer: Vec<u8>, url: String },
    /// The account and the session at once.
    SignIn { url: String },
}

impl Completion {
    fn of(flow: &Flow, target: &Target, answer: &TokenAnswer) -> Outcome<Self> {
        workos::check_answer(&flow.selector, &answer.profile)?;
        if let Some(link) = &flow.link {
            link::foresee(link, &answer.profile)?;
        }
        if flow.code_challenge.is_none() {
            return Ok(Self::SignIn { url: target.url.clone() });
        }
        let code = callback::generate_code()?;
        Ok(Completion::StoreAnswer {
            code_hash: pkce::sha256(code.expose()),
            sealed_answer: secrets::seal_answer(flow, &callback::keep(answer)?)?,
            url: callback::with_code(&target.url, &code),
        })
    }
}

/// Signs in without a verifier. What fails takes all of its own writes back, and none of the others.
fn finish(answer: &TokenAnswer, flow: &Flow, url: &str) -> Outcome<String> {
    let session = in_subtransaction(|| sign_in(answer, flow, &RequestClient::default()))?.1;
    Ok(callback::with_tokens(
        url,
        &FragmentTokens {
            access_token: session.access_token.expose(),
            expires_at: session.expires_at,
            expires_in: session.expires_at.saturating_sub(crate::current_session::now()),
            provider_token: answer.access_token.as_ref().map(|token| token.expose()),
            refresh_token: session.refresh_token.as_ref().map(|token| token.expose()),
        },
    ))
}

/// Where the browser of a flow goes.
struct Target {
    url: String,
    /// The address that the flow was begun with is not allowed any more: nobody is sent there.
    refused: Option<Error>,
}

impl Target {
    fn of(flow: &Flow) -> Result<Self> {
        let Some(redirect_to) = &flow.redirect_to else { return Ok(Self { url: site_url()?, refused: None }) };
        match redirect_urls().and_then(|urls| urls.check(redirect_to)) {
            Ok(()) => Ok(Self { url: redirect_to.clone(), refused: None }),
            Err(error) => Ok(Self { url: site_url()?, refused: Some(error) }),
        }
    }

    fn refuse(&self, failed: &CallbackFailure) -> String {
        let refusal = match failed {
            CallbackFailure::Refused(refusal) => refusal.clone(),
            CallbackFailure::Ours(error) => CallbackRefusal::from(error),
        };
        match self.refused {
            None => refusal.in_query_and_fragment(&self.url),
            Some(_) => refusal.in_query(&self.url),
        }
    }
}

/// The application's own address, where browsers go that nobody can be asked about.
fn site_url() -> Result<String> {
    let site_url = settings::site_url().ok_or(ErrorCode::SiteUrlMissing)?;
    match RedirectUrls::new(Some(&site_url), &[]) {
        Ok(_) => Ok(site_url),
        Err(error) => {
            Err(Error::with_detail(ErrorCode::SiteUrlMissing, error.detail().unwrap_or("It cannot be used.")))
        }
    }
}

fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}
