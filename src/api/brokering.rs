//! Brokering: what a role calls that asks WorkOS in the database's place. Declared in `sql/31_brokering.sql`.

use std::time::Duration;

use pgrx::datum::{Inet, Interval};
use pgrx::prelude::*;
use serde_json::{Value, json};
use workos_auth_core::workos::{self, CarriedAnswer};
use workos_auth_core::{Error, Result};

use super::signing_in::{exchanged_record, session_record};
use crate::error::or_raise;
use crate::postgres::jsonb::{Built, Jsonb};
use crate::postgres::once_per_query;
use crate::postgres::record::Record;
use crate::postgres::uuid::{from_postgres, to_postgres};
use crate::sign_in::{self, CallbackQuery, CallbackStep, CarriedRequest, ExchangeRequest};
use crate::store::RequestClient;

#[pg_extern(sql = false)]
fn exchange_request(
    code: Option<&str>,
    verifier: Option<&str>,
    state: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let exchange = ExchangeRequest { code, verifier, state, ip: None, user_agent: None };
    let request = or_raise(once_per_query::answer(fcinfo, &exchange, || sign_in::exchange_request(&exchange)));
    or_raise(with_request(Record::default(), Some(&request)))
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn exchange_answer(
    exchange_id: Option<pgrx::Uuid>,
    status: Option<i32>,
    headers: Option<Jsonb>,
    body: Option<&str>,
    failure: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let headers = or_raise(headers.as_ref().map(parse_headers).transpose());
    let answer = CarriedAnswer { status, headers: headers.as_ref(), body, failure };
    let client = RequestClient { ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let exchange_id = exchange_id.map(from_postgres);
    let session = or_raise(once_per_query::answer(fcinfo, &(exchange_id, answer, client), || {
        sign_in::exchange_answer(exchange_id, &answer, &client)
    }));
    or_raise(session_record(&session))
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn try_exchange_answer(
    exchange_id: Option<pgrx::Uuid>,
    status: Option<i32>,
    headers: Option<Jsonb>,
    body: Option<&str>,
    failure: Option<&str>,
    ip: Option<Inet>,
    user_agent: Option<&str>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let headers = or_raise(headers.as_ref().map(parse_headers).transpose());
    let answer = CarriedAnswer { status, headers: headers.as_ref(), body, failure };
    let client = RequestClient { ip: ip.as_ref().map(|ip| ip.0.as_str()), user_agent };
    let exchange_id = exchange_id.map(from_postgres);
    let exchanged = or_raise(once_per_query::answer(fcinfo, &(exchange_id, answer, client), || {
        sign_in::try_exchange_answer(exchange_id, &answer, &client)
    }));
    or_raise(exchanged_record(&exchanged))
}

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments, reason = "the arguments of the SQL function")]
fn callback_request(
    code: Option<&str>,
    state: Option<&str>,
    error: Option<&str>,
    error_description: Option<&str>,
    connection: Option<&str>,
    organization: Option<&str>,
    is_bound: Option<bool>,
    fcinfo: pg_sys::FunctionCallInfo,
) -> Record {
    let is_bound = is_bound == Some(true);
    let callback = CallbackQuery { code, state, error, error_description, connection, organization, is_bound };
    let step = or_raise(once_per_query::answer(fcinfo, &callback, || sign_in::callback_request(&callback)));
    or_raise(match &*step {
        CallbackStep::Ended(url) => with_request(Record::default().with(url.as_str()), None),
        CallbackStep::Asks(request) => with_request(Record::default().with(None::<&str>), Some(request)),
    })
}

#[pg_extern(sql = false)]
fn callback_answer(
    exchange_id: Option<pgrx::Uuid>,
    status: Option<i32>,
    headers: Option<Jsonb>,
    body: Option<&str>,
    failure: Option<&str>,
) -> String {
    let headers = or_raise(headers.as_ref().map(parse_headers).transpose());
    let answer = CarriedAnswer { status, headers: headers.as_ref(), body, failure };
    or_raise(sign_in::callback_answer(exchange_id.map(from_postgres), &answer))
}

fn parse_headers(headers: &Jsonb) -> Result<Value> {
    headers.parse().ok_or_else(|| Error::invalid("headers", &format!("it is {}.", Jsonb::UNREADABLE)))
}

/// The columns that say what a broker is to ask WorkOS; all NULL where WorkOS need not be asked.
fn with_request(record: Record, request: Option<&CarriedRequest>) -> Result<Record> {
    let headers = || Built::of(&json!({ "accept": workos::JSON, "content-type": workos::FORM }).to_string());
    Ok(record
        .with(request.map(|request| to_postgres(request.exchange_id)))
        .with(request.map(|request| request.url.as_str()))
        .with(request.map(|_| headers()).transpose()?)
        .with(request.map(|request| request.form.as_str()))
        .with(request.map(|request| request.json.as_str()))
        .with(request.map(|request| interval(request.connect_timeout)))
        .with(request.map(|request| interval(request.request_timeout))))
}

fn interval(duration: Duration) -> Interval {
    Interval::from_seconds(duration.as_secs_f64())
}
