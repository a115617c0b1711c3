//! Signing in: what the backend's role calls. Declared in `sql/30_signing_in.sql`.

use pgrx::datum::{Inet, Internal};
use pgrx::prelude::*;
use workos_auth_core::pkce::CodeVerifier;
use workos_auth_core::secret::RefreshToken;
use workos_auth_core::{Error, ErrorCode, Result};

use crate::error::or_raise;
use crate::postgres::clock::timestamp;
use crate::postgres::jsonb::{Built, Jsonb};
use crate::postgres::once_per_query;
use crate::postgres::record::Record;
use crate::postgres::uuid::{from_postgres, to_postgres};
use crate::sessions::{self, Session};
use crate::sign_in::{self, CallbackQuery, ExchangeRequest, Exchanged, SelectionRequest, SignInRequest, StartedSignIn};
use crate::store::RequestClient;

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn start_sign_in(
    organization: Option<&str>,
    connection: Option<&str>,
    provider: Option<&str>,
    redirect_to: Option<&str>,
    login_hint: Option<&str>,
    domain_hint: Option<&str>,
    params: Option<Jsonb>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let params = or_raise(params.as_ref().map(parse_params).transpose());
    let request = SignInRequest {
        organization,
        connection,
        provider,
        redirect_to,
        login_hint,
        domain_hint,
        params: params.as_ref(),
    };
    let answer = or_raise(once_per_query::answer(fcinfo, &request, || sign_in::start_with_verifier(&request)));
    let (started, verifier) = &*answer;
    started_record(started, Some(verifier))
}

/// What the caller is given of a sign-in or a link that has begun.
pub(super) fn started_record(started: &StartedSignIn, verifier: Option<&CodeVerifier>) -> Record {
    Record::default()
        .with(started.url.as_str())
        .with(started.state.expose())
        .with(verifier.map(CodeVerifier::expose))
        .with(started.expires_at)
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn workos_authorize_url(
    organization: Option<&str>,
    connection: Option<&str>,
    provider: Option<&str>,
    redirect_to: Option<&str>,
    code_challenge: Option<&str>,
    code_challenge_method: Option<&str>,
    login_hint: Option<&str>,
    domain_hint: Option<&str>,
    params: Option<Jsonb>,
) -> String {
    let params = or_raise(params.as_ref().map(parse_params).transpose());
    let request = SignInRequest {
        organization,
        connection,
        provider,
        redirect_to,
        login_hint,
        domain_hint,
        params: params.as_ref(),
    };
    or_raise(sign_in::start(&request, code_challenge, code_challenge_method)).url
}

#[pg_extern(sql = false)]
fn organization_for_email(email: Option<&str>) -> Option<String> {
    or_raise(sign_in::organization_for_email(email))
}

#[pg_extern(sql = false)]
fn start_sign_in_by_email(
    email: Option<&str>,
    redirect_to: Option<&str>,
    login_hint: Option<&str>,
    domain_hint: Option<&str>,
    params: Option<Jsonb>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let params = or_raise(params.as_ref().map(parse_params).transpose());
    let request = SignInRequest { redirect_to, login_hint, domain_hint, params: params.as_ref(), ..Default::default() };
    let answer = or_raise(once_per_query::answer(fcinfo, &(email, &request), || {
        sign_in::start_by_email(email, &request, sign_in::start_with_verifier)
    }));
    let (started, verifier) = &*answer;
    started_record(started, Some(verifier))
}

#[pg_extern(sql = false)]
fn workos_authorize_url_by_email(
    email: Option<&str>,
    redirect_to: Option<&str>,
    code_challenge: Option<&str>,
    code_challenge_method: Option<&str>,
    login_hint: Option<&str>,
    domain_hint: Option<&str>,
    params: Option<Jsonb>,
) -> String {
    let params = or_raise(params.as_ref().map(parse_params).transpose());
    let request = SignInRequest { redirect_to, login_hint, domain_hint, params: params.as_ref(), ..Default::default() };
    or_raise(sign_in::start_by_email(email, &request, |request| {
        sign_in::start(request, code_challenge, code_challenge_method)
    }))
    .url
}

#[pg_extern(sql = false)]
fn handle_callback(
    code: Option<&str>,
    state: Option<&str>,
    error: Option<&str>,
    error_description: Option<&str>,
    connection: Option<&str>,
    organization: Option<&str>,
    is_bound: Option<bool>,
) -> String {
    let is_bound = is_bound == Some(true);
    let callback = CallbackQuery { code, state, error, error_description, connection, organization, is_bound };
    or_raise(sign_in::handle_callback(&callback))
}

#[pg_extern(sql = false)]
fn exchange_code(
    code: Option<&str>,
    verifier: Option<&str>,
    state: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let exchange = ExchangeRequest { code, verifier, state, ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let session = or_raise(once_per_query::answer(fcinfo, &exchange, || sign_in::exchange(&exchange)));
    or_raise(session_record(&session))
}

#[pg_extern(sql = false)]
fn try_exchange_code(
    code: Option<&str>,
    verifier: Option<&str>,
    state: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let exchange = ExchangeRequest { code, verifier, state, ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let exchanged = or_raise(once_per_query::answer(fcinfo, &exchange, || sign_in::try_exchange(&exchange)));
    or_raise(exchanged_record(&exchanged))
}

/// A row of `auth.session`, and why there is none.
pub(super) fn exchanged_record(exchanged: &Exchanged) -> Result<Record> {
    let refused = exchanged.session.as_ref().err();
    let record = match &exchanged.session {
        Ok(session) => session_record(session)?,
        Err(_) => no_session(),
    };
    Ok(record
        .with(refused.map(|error| error.code().name()))
        .with(refused.map(Error::sqlstate))
        .with(refused.and_then(Error::detail))
        .with(to_postgres(exchanged.flow_id)))
}

/// A row of `auth.session` with nothing in it.
fn no_session() -> Record {
    (0..SESSION_COLUMNS).fold(Record::default(), |record, _| record.with(None::<bool>))
}

#[pg_extern(sql = false)]
fn refresh_session(
    refresh_token: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let client = RequestClient { ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let token = refresh_token.map(|token| RefreshToken::new(token.to_owned()));
    let session = or_raise(once_per_query::answer(fcinfo, &(refresh_token, client), || {
        sessions::refresh(token.as_ref(), &client)
    }));
    or_raise(session_record(&session))
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn select_organization(
    pending: Option<pgrx::Uuid>,
    organization: Option<&str>,
    verifier: Option<&str>,
    state: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let client = RequestClient { ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let request = SelectionRequest { pending: pending.map(from_postgres), organization, verifier, state, client };
    let session = or_raise(once_per_query::answer(fcinfo, &request, || sign_in::select(&request)));
    or_raise(session_record(&session))
}

#[pg_extern(sql = false)]
fn switch_organization(
    refresh_token: Option<&str>,
    organization: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let client = RequestClient { ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let token = refresh_token.map(|token| RefreshToken::new(token.to_owned()));
    let session = or_raise(once_per_query::answer(fcinfo, &(refresh_token, organization, client), || {
        sign_in::switch(token.as_ref(), organization, &client)
    }));
    or_raise(session_record(&session))
}

/// Support function (`supportnodes.h`) of the functions above: answers no request with anything, and is there to be called, since
/// the library is then loaded, and its hook on the executor in place, before the query runs.
#[pg_extern(sql = false)]
fn plan_support(_request: Internal) -> i64 {
    0
}

pub(super) fn parse_params(params: &Jsonb) -> Result<serde_json::Value> {
    let unreadable = || Error::with_detail(ErrorCode::ParameterInvalid, format!("It is {}.", Jsonb::UNREADABLE));
    params.parse().ok_or_else(unreadable)
}

#[pg_extern(sql = false)]
fn accept_token(access_token: Option<&str>) -> pgrx::Uuid {
    to_postgres(or_raise(sign_in::accept(access_token)))
}

/// How many columns `auth.session` has.
const SESSION_COLUMNS: usize = 11;

/// A row of `auth.session`.
pub(super) fn session_record(session: &Session) -> Result<Record> {
    Ok(Record::default()
        .with(session.access_token.expose())
        .with(session.refresh_token.as_ref().map(|token| token.expose()))
        .with(timestamp(session.expires_at)?)
        .with(to_postgres(session.session_id))
        .with(to_postgres(session.user_id))
        .with(session.email.as_deref())
        .with(session.organization_id.as_deref())
        .with(session.is_new_user)
        .with(session.redirect_to.as_deref())
        .with(session.provider_token.as_ref().map(|token| token.expose()))
        .with(Built::of(&session.claims)?))
}
