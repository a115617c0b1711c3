//! Redeems WorkOS's code: what WorkOS is asked, and what it answers.
//!
//! [`Redemption::redeem`] is the whole of it, where the database asks WorkOS itself. A broker carries it in two halves, in two
//! transactions: [`Redemption::hand_out`] is the first, and [`take`] and [`Redemption::read_carried`] are the second. The row of the sign-in
//! stands between them.

use std::time::Duration;

use uuid::Uuid;
use workos_auth_core::callback;
use workos_auth_core::pkce::CodeVerifier;
use workos_auth_core::secret::{AuthorizationCode, ClientSecret};
use workos_auth_core::workos::authkit::{self, Selection};
use workos_auth_core::workos::{self, CarriedAnswer, HttpAnswer, TokenAnswer, TokenRequest};
use workos_auth_core::{Error, ErrorCode, Result, random};
use zeroize::Zeroizing;

use crate::store::configuration::{self, Provider};
use crate::store::flows::{self, CarriedExchange, Flow, Mode};
use crate::store::scan::FlowKey;
use crate::{error, http, secrets, settings};

/// How long a broker may take on its way back, beyond what WorkOS may take to answer.
const WAY_BACK: Duration = Duration::from_secs(5);

/// What WorkOS is asked about a flow.
pub struct Redemption<'a> {
    flow: &'a Flow,
    provider: &'a Provider,
    client_secret: ClientSecret,
    code: AuthorizationCode,
    code_verifier: CodeVerifier,
}

/// One HTTP request that a broker sends in the database's place. It holds the client secret.
pub struct CarriedRequest {
    /// names it
    pub exchange_id: Uuid,
    /// where to POST it
    pub url: String,
    /// the body, as [`workos::FORM`]
    pub form: Zeroizing<String>,
    /// the same as [`workos::JSON`], for a server that cannot read forms
    pub json: Zeroizing<String>,
    /// `workos_auth.connect_timeout`
    pub connect_timeout: Duration,
    /// `workos_auth.request_timeout`
    pub request_timeout: Duration,
}

/// The provider, if it still is what the flow was made with: a code of one environment is never shown to another.
pub fn provider_of(flow: &Flow) -> Result<Provider> {
    let provider = configuration::enabled_provider()?;
    if provider.client_id != flow.client_id || provider.api_url != flow.api_url {
        return Err(ErrorCode::ProviderChanged.into());
    }
    if flow.selector.is_authkit() && !configuration::has_authkit() {
        return Err(ErrorCode::AuthkitNotConfigured.into());
    }
    Ok(provider)
}

/// Tells the server's log what of a profile cannot be kept.
pub fn log_left_out(answer: &TokenAnswer) {
    if !answer.left_out.is_empty() {
        let left_out: Vec<&str> = answer.left_out.iter().map(|left_out| left_out.0.as_str()).collect();
        let detail = format!("Of {}: {}.", answer.profile.id, left_out.join("; "));
        error::log_line("a part of a WorkOS profile was left out", &detail);
    }
}

/// Refuses a code of our own, which WorkOS must not see.
pub fn refuse_own(code: &AuthorizationCode) -> Result<()> {
    match callback::own_code_hash(code)? {
        None => Ok(()),
        Some(_) => {
            let detail = "It is one of our own, which WorkOS must not see.";
            Err(Error::with_detail(ErrorCode::AuthorizationCodeInvalid, detail))
        }
    }
}

/// The flow whose answer a broker brings, if that flow is in this mode: each course has its own second half.
pub fn take(exchange_id: Uuid, mode: Mode) -> Result<Option<Flow>> {
    Ok(flows::find(&FlowKey::Exchange(exchange_id))?.filter(|flow| flow.mode == mode))
}

/// What WorkOS says to a code.
pub enum Redeemed {
    /// who signs in
    Answered(Box<TokenAnswer>),
    /// which organization the sign-in is for, it asks; and the error of whoever cannot keep the question
    Asked(Selection, Error),
}

impl Redeemed {
    /// Who signs in.
    ///
    /// # Errors
    /// `organization_selection_required`
    pub fn answer(self) -> Result<TokenAnswer> {
        match self {
            Self::Answered(answer) => Ok(*answer),
            Self::Asked(_, error) => Err(error),
        }
    }
}

impl<'a> Redemption<'a> {
    /// Of a code that a caller brings.
    pub fn of(flow: &'a Flow, provider: &'a Provider, code: AuthorizationCode) -> Result<Self> {
        Ok(Self {
            flow,
            provider,
            client_secret: secrets::open_client_secret(provider)?,
            code,
            code_verifier: secrets::open_verifier(flow.id, &flow.selector, &flow.upstream_verifier, flow.data_key_id)?,
        })
    }

    /// Of the code that a broker has shown WorkOS.
    pub fn carried(flow: &'a Flow, provider: &'a Provider) -> Result<Self> {
        let exchange = flow.exchange.as_ref().ok_or(ErrorCode::FlowStateNotFound)?;
        Self::of(flow, provider, secrets::open_code(flow, exchange)?)
    }

    /// Shows WorkOS its code. Writes nothing, and does not look at whom it names: [`workos::check_answer`] does.
    pub fn redeem(&self) -> Result<Redeemed> {
        let reply = http::ask(&self.url(), &self.request(), self.flow.selector.is_authkit())?;
        let error = match self.read(&reply.answer()) {
            Ok(answer) => return Ok(Redeemed::Answered(Box::new(answer))),
            Err(error) => error,
        };
        // Whoever asked for an organization is not asked for another.
        let may_ask = self.flow.selector.is_authkit() && self.flow.selector.organization().is_none();
        match authkit::selection(&reply.answer()).filter(|_| may_ask) {
            Some(question) => Ok(Redeemed::Asked(question, error)),
            None => Err(error),
        }
    }

    /// What a broker is to ask WorkOS. Writes down that it does: the flow is of this mode from now on.
    pub fn hand_out(&self, mode: Mode) -> Result<CarriedRequest> {
        let (exchange_id, request) = (random::uuid()?, self.request());
        let sealed_code = secrets::seal_code(self.flow, exchange_id, &self.code)?;
        let (connect_timeout, request_timeout) = (settings::connect_timeout(), settings::request_timeout());
        let exchange = CarriedExchange { id: exchange_id, sealed_code };
        flows::await_answer(self.flow.id, mode, &exchange, (request_timeout + WAY_BACK).as_secs_f64())?;
        Ok(CarriedRequest {
            exchange_id,
            url: self.url(),
            form: request.form(),
            json: request.json(),
            connect_timeout,
            request_timeout,
        })
    }

    /// Reads the answer that a broker brings, as [`Self::redeem`] does.
    pub fn read_carried(&self, answer: &CarriedAnswer, is_late: bool) -> Result<TokenAnswer> {
        let answer = answer.http()?;
        if is_late {
            let detail = "The broker's answer came after the time for it, workos_auth.request_timeout and 5 s.";
            return Err(Error::with_detail(ErrorCode::WorkosTimeout, detail));
        }
        self.read(&answer)
    }

    fn read(&self, answer: &HttpAnswer) -> Result<TokenAnswer> {
        let (request, client_id) = (self.request(), &self.provider.client_id);
        let answer = match self.flow.selector.is_authkit() {
            true => workos::authkit::parse_answer(answer, client_id, &request.secrets())?,
            false => workos::parse_token_answer(answer, &request.secrets())?,
        };
        log_left_out(&answer);
        Ok(answer)
    }

    fn url(&self) -> String {
        workos::token_url(&self.provider.api_url, self.flow.selector.is_authkit())
    }

    fn request(&self) -> TokenRequest<'_> {
        TokenRequest {
            client_id: &self.provider.client_id,
            client_secret: &self.client_secret,
            code: &self.code,
            code_verifier: &self.code_verifier,
        }
    }
}
