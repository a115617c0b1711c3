//! `flow_states`: sign-ins under way.

use pgrx::prelude::*;
use uuid::Uuid;
use workos_auth_core::authorize::{AUTHKIT, Selector};
use workos_auth_core::pkce::CodeChallenge;
use workos_auth_core::{ErrorCode, Result};

use super::scan::{self, FlowKey, ScannedRow};
use super::{pg_uuid, query, uuid_arg};
use crate::error::unexpected;
use crate::postgres::clock;
use crate::postgres::snapshot::Snapshot;

/// What a new row needs.
pub struct NewFlow<'a> {
    /// chosen beforehand, since the verifier is sealed to it
    pub id: Uuid,
    /// SHA-256 of the state
    pub state_hash: [u8; 32],
    /// the client's challenge
    pub code_challenge: Option<&'a CodeChallenge>,
    /// the verifier toward WorkOS, sealed
    pub upstream_verifier: &'a [u8],
    /// the data key it is sealed with
    pub data_key_id: u32,
    /// the provider as it is now
    pub client_id: &'a str,
    /// the provider as it is now
    pub api_url: &'a str,
    /// whom to sign in with
    pub selector: &'a Selector,
    /// where the caller wants the browser afterwards
    pub redirect_to: Option<&'a str>,
    /// what it is for, if not a sign-in
    pub link: Option<Link>,
    /// seconds to live
    pub ttl: f64,
}

/// A profile is to become a further identity of somebody.
#[derive(Debug, Clone, Copy)]
pub struct Link {
    /// whose
    pub user_id: Uuid,
    /// the session that asked for it
    pub session_id: Uuid,
}

/// Who takes WorkOS's redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The application, which then shows us WorkOS's code. So is every flow until `auth.handle_callback` takes it.
    Direct,
    /// We did, and the application shows us our own code.
    Brokered,
}

impl Mode {
    /// As it stands in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Mode::Direct => "direct",
            Mode::Brokered => "brokered",
        }
    }

    fn of(row: &ScannedRow) -> Result<Self> {
        Ok(match row.required::<String>(c"mode")?.as_str() {
            "brokered" => Mode::Brokered,
            _ => Mode::Direct,
        })
    }
}

/// A sign-in under way.
#[derive(Debug)]
pub struct Flow {
    /// the row's key
    pub id: Uuid,
    /// who took, or takes, WorkOS's redirect
    pub mode: Mode,
    /// WorkOS's answer, sealed; of a brokered flow
    pub sealed_answer: Option<Vec<u8>>,
    /// SHA-256 of the state
    pub state_hash: Vec<u8>,
    /// the client's challenge; a flow without one is found by its state alone
    pub code_challenge: Option<CodeChallenge>,
    /// the verifier toward WorkOS, sealed
    pub upstream_verifier: Vec<u8>,
    /// the data key it is sealed with
    pub data_key_id: u32,
    /// the provider as it was
    pub client_id: String,
    /// the provider as it was
    pub api_url: String,
    /// whom the sign-in was asked for
    pub selector: Selector,
    /// where the caller wants the browser afterwards
    pub redirect_to: Option<String>,
    /// what it is for, if not a sign-in
    pub link: Option<Link>,
    /// whether its time is over
    pub is_expired: bool,
    /// what a broker asks WorkOS
    pub exchange: Option<CarriedExchange>,
}

/// WorkOS's question which organization a sign-in through AuthKit is for.
#[derive(Debug)]
pub struct Question {
    /// what WorkOS takes with the answer, sealed
    pub sealed_token: Vec<u8>,
    /// the organizations to pick from
    pub organizations: Vec<String>,
}

/// Only rows of AuthKit have one: the SQL of before has no such columns.
fn question(row: &ScannedRow) -> Option<Question> {
    row.get::<String>(c"provider").filter(|provider| provider == AUTHKIT)?;
    Some(Question { sealed_token: row.get(c"pending_token")?, organizations: row.get(c"pending_organizations")? })
}

/// A request to WorkOS that a broker carries.
#[derive(Debug)]
pub struct CarriedExchange {
    /// names it
    pub id: Uuid,
    /// the code that WorkOS is shown, sealed
    pub sealed_code: Vec<u8>,
}

/// Removes up to two expired flows, so that a flood of starts cannot grow the table for ever.
pub fn remove_expired() -> Result<()> {
    if !scan::has_expired_flow(clock::now(), &Snapshot::of_transaction()) {
        return Ok(());
    }
    query::execute(
        "DELETE FROM auth.flow_states WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.flow_states WHERE expires_at OPERATOR(pg_catalog.<) pg_catalog.now()
             ORDER BY expires_at LIMIT 2 FOR UPDATE SKIP LOCKED))",
        &[],
    )
    .map(drop)
}

/// Writes a new flow and says when it expires.
pub fn insert(flow: &NewFlow) -> Result<TimestampWithTimeZone> {
    query::row(
        "INSERT INTO auth.flow_states (id, state_hash, code_challenge, upstream_verifier, data_key_id,
             client_id, api_url, organization, connection, provider, redirect_to, expires_at, link_user_id, link_session_id)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
             pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $12), $13, $14)
         RETURNING expires_at",
        &[
            uuid_arg(flow.id),
            flow.state_hash.as_slice().into(),
            flow.code_challenge.map(CodeChallenge::value).into(),
            flow.upstream_verifier.into(),
            i64::from(flow.data_key_id).into(),
            flow.client_id.into(),
            flow.api_url.into(),
            flow.selector.organization().into(),
            flow.selector.connection().into(),
            flow.selector.provider().into(),
            flow.redirect_to.into(),
            flow.ttl.into(),
            pg_uuid(flow.link.map(|link| link.user_id)).into(),
            pg_uuid(flow.link.map(|link| link.session_id)).into(),
        ],
        |row| row.get(1),
    )?
    .ok_or_else(|| unexpected("The sign-in was not written."))
}

/// A flow, an expired one too.
pub fn find(key: &FlowKey) -> Result<Option<Flow>> {
    scan::flow(key, &Snapshot::of_transaction(), flow).transpose()
}

/// The flows of a challenge, expired ones too: a link that is clicked twice begins two.
pub fn of_challenge(challenge: &str) -> Result<Vec<Flow>> {
    scan::flows_of_challenge(challenge, &Snapshot::of_transaction(), flow).into_iter().collect()
}

fn flow(row: &ScannedRow) -> Result<Flow> {
    let text = |column| row.get::<String>(column);
    Ok(Flow {
        id: row.required_uuid(c"id")?,
        state_hash: row.required(c"state_hash")?,
        code_challenge: text(c"code_challenge")
            .map(|challenge| CodeChallenge::parse(&challenge, "S256", false))
            .transpose()?,
        upstream_verifier: row.required(c"upstream_verifier")?,
        data_key_id: row.required_key_id(c"data_key_id")?,
        client_id: row.required(c"client_id")?,
        api_url: row.required(c"api_url")?,
        selector: Selector::new(
            text(c"organization").as_deref(),
            text(c"connection").as_deref(),
            text(c"provider").as_deref(),
        )?,
        redirect_to: text(c"redirect_to"),
        is_expired: row.micros(c"expires_at").is_none_or(|expires_at| expires_at < clock::now()),
        link: match (row.uuid(c"link_user_id"), row.uuid(c"link_session_id")) {
            (Some(user_id), Some(session_id)) => Some(Link { user_id, session_id }),
            _ => None,
        },
        mode: Mode::of(row)?,
        sealed_answer: row.get(c"profile"),
        exchange: match (row.uuid(c"exchange_id"), row.get(c"exchange_code")) {
            (Some(id), Some(sealed_code)) => Some(CarriedExchange { id, sealed_code }),
            _ => None,
        },
    })
}

/// How far a flow is.
pub struct Progress {
    /// who took, or takes, WorkOS's redirect
    pub mode: Mode,
    /// what a broker asks WorkOS
    pub exchange_id: Option<Uuid>,
    /// whether its answer comes too late by now
    pub is_late: bool,
    /// what WorkOS has asked
    pub question: Option<Question>,
}

impl Progress {
    /// Whether a broker is to bring WorkOS's answer yet.
    pub fn awaits_answer(&self) -> bool {
        self.exchange_id.is_some() && !self.is_late
    }
}

/// How far a flow is now, past this transaction's snapshot; `None` where it is gone.
pub fn progress(id: Uuid) -> Result<Option<Progress>> {
    let read = |row: &ScannedRow| {
        Ok(Progress {
            mode: Mode::of(row)?,
            exchange_id: row.uuid(c"exchange_id"),
            is_late: row.micros(c"exchange_until").is_some_and(|until| until < clock::now()),
            question: question(row),
        })
    };
    scan::flow_now(id, read).transpose()
}

/// Writes down that a broker asks WorkOS, and has `ttl` seconds to bring the answer. Nobody removes the flow meanwhile.
pub fn await_answer(id: Uuid, mode: Mode, exchange: &CarriedExchange, ttl: f64) -> Result<()> {
    let taken = query::execute(
        "UPDATE auth.flow_states SET mode = $2, exchange_id = $3, exchange_code = $4,
             exchange_until = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $5),
             expires_at = GREATEST(expires_at,
                 pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $5))
         WHERE id OPERATOR(pg_catalog.=) $1 AND mode OPERATOR(pg_catalog.=) 'direct'",
        &[
            uuid_arg(id),
            mode.as_str().into(),
            uuid_arg(exchange.id),
            exchange.sealed_code.as_slice().into(),
            ttl.into(),
        ],
    )?;
    if taken == 1 { Ok(()) } else { Err(ErrorCode::FlowStateExpired.into()) }
}

/// Keeps WorkOS's question in a flow, which lives for `ttl` seconds from now at least.
pub fn keep_question(id: Uuid, question: &Question, ttl: f64) -> Result<()> {
    let taken = query::execute(
        "UPDATE auth.flow_states SET pending_token = $2, pending_organizations = $3,
             exchange_id = NULL, exchange_code = NULL, exchange_until = NULL,
             expires_at = GREATEST(expires_at,
                 pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $4))
         WHERE id OPERATOR(pg_catalog.=) $1 AND mode OPERATOR(pg_catalog.=) 'direct' AND pending_token IS NULL",
        &[uuid_arg(id), question.sealed_token.as_slice().into(), question.organizations.clone().into(), ttl.into()],
    )?;
    if taken == 1 { Ok(()) } else { Err(ErrorCode::FlowStateExpired.into()) }
}

/// Keeps WorkOS's answer in a flow under the hash of a code of our own, which is good for `ttl` seconds.
pub fn store_answer(id: Uuid, code_hash: &[u8; 32], sealed_answer: &[u8], ttl: u32) -> Result<()> {
    let taken = query::execute(
        "UPDATE auth.flow_states SET mode = 'brokered', code_hash = $2, profile = $3,
             exchange_id = NULL, exchange_code = NULL, exchange_until = NULL,
             expires_at = pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $4)
         WHERE id OPERATOR(pg_catalog.=) $1 AND code_hash IS NULL",
        &[uuid_arg(id), code_hash.as_slice().into(), sealed_answer.into(), f64::from(ttl).into()],
    )?;
    if taken == 1 { Ok(()) } else { Err(ErrorCode::FlowStateExpired.into()) }
}

/// Removes every flow.
pub fn remove_all() -> Result<u64> {
    query::execute("DELETE FROM auth.flow_states", &[])
}

/// Consumes a flow: whoever deletes the row owns the sign-in.
pub fn consume(id: Uuid) -> Result<()> {
    let deleted = query::execute("DELETE FROM auth.flow_states WHERE id OPERATOR(pg_catalog.=) $1", &[uuid_arg(id)])?;
    match deleted {
        1 => Ok(()),
        // Only the clean-up of expired flows can have come between: the lock keeps everybody else out.
        _ => Err(ErrorCode::FlowStateExpired.into()),
    }
}
