//! Brokered mode: WorkOS's redirect comes to us, and the browser goes on to the application with a code of our own.
//!
//! Nobody's account is touched here: the browser that brings a callback need not be the one that began the sign-in, and only the
//! verifier tells. The implicit flow has none, and is finished here for that reason alone.

use workos_auth_core::callback::{self, CallbackRefusal, FragmentTokens, IDP_INITIATED_SSO_DISABLED};
use workos_auth_core::redirect::RedirectUrls;
use workos_auth_core::workos::{self, TokenAnswer};
use workos_auth_core::{Error, ErrorCode, Result, pkce};

use super::exchange::{provider_of, redeem, sign_in};
use super::link;
use super::redirects::redirect_urls;
use super::start::{SignInRequest, start};
use crate::postgres::transaction::{in_subtransaction, require_writable};
use crate::store::flows::{self, Flow, Mode};
use crate::store::scan::{self, FlowKey};
use crate::store::{RequestClient, locks};
use crate::{error, installation, secrets, settings};

/// The query of WorkOS's redirect. What is empty counts as absent.
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
    require_writable()?;
    let flow = match find_flow(query)? {
        Ok(flow) => flow,
        Err(refusal) => return nowhere(query, refusal),
    };
    let target = Target::of(&flow)?;
    // A transaction that is not finished yet has it, or had it when our snapshot was taken.
    let Ok(lock) = locks::lock_flow_for_exchange(flow.id) else {
        return Ok(CallbackRefusal::from(ErrorCode::FlowStateAlreadyUsed).in_query(&site_url()?));
    };
    match scan::flow_mode(flow.id).as_deref() {
        Some("direct") => {}
        Some(_) => return Ok(CallbackRefusal::from(ErrorCode::FlowStateAlreadyUsed).in_query(&site_url()?)),
        None => return Ok(CallbackRefusal::from(ErrorCode::BadOauthState).in_query(&site_url()?)),
    }

    let next = redeem_unless_refused(query, &flow, &target).and_then(|answer| Completion::of(&flow, &target, answer));
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
    Ok(match next {
        Ok(Completion::StoreAnswer { url, .. }) => url,
        Ok(Completion::SignIn { url, answer }) => match finish(&answer, &flow.api_url, &url) {
            Ok(url) => url,
            Err(failed) => target.refuse(failed),
        },
        Err(failed) => target.refuse(failed),
    })
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

/// Everything up to WorkOS's answer. Writes nothing.
fn redeem_unless_refused(query: &CallbackQuery, flow: &Flow, target: &Target) -> Outcome<TokenAnswer> {
    installation::minting()?;
    if let Some(refused) = &target.refused {
        return Err(refused.clone().into());
    }
    if let Some(error) = present(query.error) {
        return Err(CallbackFailure::Refused(CallbackRefusal::of_workos(error, query.error_description)));
    }
    let code = workos::check_code(present(query.code).ok_or(ErrorCode::BadOauthCallback)?)?;
    if callback::own_code_hash(&code)?.is_some() {
        let detail = "It is one of our own, which WorkOS must not see.";
        return Err(Error::with_detail(ErrorCode::AuthorizationCodeInvalid, detail).into());
    }
    if flow.code_challenge.is_none() {
        check_implicit(&target.url)?;
        if !query.is_bound {
            return Err(CallbackFailure::Refused(CallbackRefusal::of_workos("access_denied", Some(ANOTHER_BROWSER))));
        }
    }
    let provider = provider_of(flow)?;
    if let Some(link) = &flow.link {
        link::check(link)?;
    }
    let answer = redeem(flow, &provider, &code)?;
    if let Some(link) = &flow.link {
        link::foresee(link, &answer.profile)?;
    }
    Ok(answer)
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
    SignIn { url: String, answer: Box<TokenAnswer> },
}

impl Completion {
    fn of(flow: &Flow, target: &Target, answer: TokenAnswer) -> Outcome<Self> {
        if flow.code_challenge.is_none() {
            return Ok(Self::SignIn { url: target.url.clone(), answer: Box::new(answer) });
        }
        let code = callback::generate_code()?;
        Ok(Completion::StoreAnswer {
            code_hash: pkce::sha256(code.expose()),
            sealed_answer: secrets::seal_answer(flow, &callback::keep(&answer)?)?,
            url: callback::with_code(&target.url, &code),
        })
    }
}

/// Signs in without a verifier. What fails takes all of its own writes back, and none of the others.
fn finish(answer: &TokenAnswer, issuer: &str, url: &str) -> Outcome<String> {
    let session = in_subtransaction(|| sign_in(&answer.profile, issuer, &RequestClient::default(), None))?.1;
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

    fn refuse(&self, failed: CallbackFailure) -> String {
        let refusal = match failed {
            CallbackFailure::Refused(refusal) => refusal,
            CallbackFailure::Ours(error) => {
                error::log("a sign-in failed in its callback", &error);
                CallbackRefusal::from(&error)
            }
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
