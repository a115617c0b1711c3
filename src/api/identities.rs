//! The identities of a person's own account. Declared in `sql/36_identities.sql`.

use pgrx::prelude::*;
use workos_auth_core::Result;

use super::signing_in::{parse_params, started_record};
use crate::current_session::{self, Verified};
use crate::error::or_raise;
use crate::postgres::jsonb::Jsonb;
use crate::postgres::once_per_query;
use crate::postgres::record::Record;
use crate::postgres::transaction::require_writable;
use crate::postgres::uuid::from_postgres;
use crate::sign_in::{self, SignInRequest};

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn link_identity(
    access_token: Option<&str>,
    organization: Option<&str>,
    connection: Option<&str>,
    provider: Option<&str>,
    redirect_to: Option<&str>,
    login_hint: Option<&str>,
    domain_hint: Option<&str>,
    params: Option<Jsonb>,
    code_challenge: Option<&str>,
    code_challenge_method: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let session = or_raise(writing(access_token));
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
    let challenge = code_challenge.map(|challenge| (challenge, code_challenge_method));
    let arguments = (session.own_session(), &request, challenge);
    let answer = or_raise(once_per_query::answer(fcinfo, &arguments, || sign_in::link(&request, challenge, &session)));
    let (started, verifier) = &*answer;
    started_record(started, verifier.as_ref())
}

fn writing(access_token: Option<&str>) -> Result<std::rc::Rc<Verified>> {
    require_writable()?;
    current_session::of_token(access_token)
}

#[pg_extern(sql = false)]
fn unlink_identity(access_token: Option<&str>, identity_id: Option<pgrx::Uuid>) {
    let session = or_raise(writing(access_token));
    or_raise(sign_in::unlink(&session, identity_id.map(from_postgres)));
}
