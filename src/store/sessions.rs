//! `sessions`.

use pgrx::JsonB;
use uuid::Uuid;
use workos_auth_core::Result;

use super::query;
use super::{pg_uuid, uuid_arg};

/// What a new row needs.
pub struct NewSession<'a> {
    /// chosen beforehand: it stands in the refresh token
    pub id: Uuid,
    /// whose it is
    pub user_id: Uuid,
    /// which identity signed in
    pub identity_id: Uuid,
    /// through which organization
    pub organization_id: Option<&'a str>,
    /// through which connection
    pub connection_id: &'a str,
    /// the identity's address
    pub email: &'a str,
    /// how (RFC 8176)
    pub amr: serde_json::Value,
    /// the data key of the refresh token's tag
    pub refresh_token_key_id: u32,
    /// the refresh token's salt
    pub refresh_token_salt: &'a [u8],
    /// the client's address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the client's User-Agent header
    pub user_agent: Option<&'a str>,
    /// seconds to live
    pub ttl: f64,
}

/// Writes a new session.
pub fn insert(session: &NewSession) -> Result<()> {
    query::execute(
        "INSERT INTO auth.sessions (id, user_id, identity_id, organization_id, connection_id, email, amr,
             refresh_token_key_id, refresh_token_salt, ip, user_agent, not_after)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::pg_catalog.inet, $11,
             pg_catalog.now() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $12))",
        &[
            uuid_arg(session.id),
            uuid_arg(session.user_id),
            uuid_arg(session.identity_id),
            session.organization_id.into(),
            session.connection_id.into(),
            session.email.into(),
            JsonB(session.amr.clone()).into(),
            i64::from(session.refresh_token_key_id).into(),
            session.refresh_token_salt.into(),
            session.ip.into(),
            session.user_agent.into(),
            session.ttl.into(),
        ],
    )
    .map(drop)
}

/// The person's rights in an organization changed: tokens that say otherwise are stale from now on.
pub fn raise_claims_version(user_id: Uuid, organization_id: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.sessions
         SET claims_version = claims_version OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now()
         WHERE user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2",
        &[uuid_arg(user_id), organization_id.into()],
    )
    .map(drop)
}

/// Which of a person's sessions end.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// every one
    Global,
    /// the one given
    Local(Uuid),
    /// all but the one given
    Others(Uuid),
}

/// Ends sessions of a user; says how many.
pub fn end(user_id: Uuid, scope: Scope) -> Result<u64> {
    let (only, but) = match scope {
        Scope::Global => (None, None),
        Scope::Local(id) => (Some(id), None),
        Scope::Others(id) => (None, Some(id)),
    };
    query::execute(
        "DELETE FROM auth.sessions
         WHERE user_id OPERATOR(pg_catalog.=) $1
             AND ($2 IS NULL OR id OPERATOR(pg_catalog.=) $2) AND ($3 IS NULL OR id OPERATOR(pg_catalog.<>) $3)",
        &[uuid_arg(user_id), pg_uuid(only).into(), pg_uuid(but).into()],
    )
}
