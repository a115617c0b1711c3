//! `ended_sessions`: sessions of trusted issuers, which this database does not open and can end.
//!
//! A session is ended by its own id, or with all that a person began before. How many those are is the issuer's knowledge: here each of the
//! person's identities at issuers counts once.

use uuid::Uuid;
use workos_auth_core::Result;

use super::{query, scan, uuid_arg};
use crate::settings;

/// Longer than a session lasts anywhere, in seconds: 400 days, for which browsers keep a cookie at most.
const KEPT: f64 = 400.0 * 86_400.0;

fn kept() -> f64 {
    settings::session_ttl().as_secs_f64().max(KEPT)
}

/// Ends a session of an issuer; says how many: 0 where it has ended before.
pub fn end(issuer: &str, sid: &str) -> Result<u64> {
    if !scan::can_trust_issuers() {
        return Ok(0);
    }
    query::execute(
        "INSERT INTO auth.ended_sessions (issuer, sid, expires_at)
         VALUES ($1, $2, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $3))
         ON CONFLICT DO NOTHING",
        &[issuer.into(), sid.into(), kept().into()],
    )
}

/// Ends all that somebody has begun at an issuer.
pub fn end_of_subject(issuer: &str, subject: &str) -> Result<u64> {
    if !scan::can_trust_issuers() {
        return Ok(0);
    }
    query::execute(
        "INSERT INTO auth.ended_sessions AS e (issuer, subject, expires_at)
         VALUES ($1, $2, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $3))
         ON CONFLICT (issuer, sid, subject, organization_id) DO UPDATE
         SET ended_at = excluded.ended_at, expires_at = excluded.expires_at",
        &[issuer.into(), subject.into(), kept().into()],
    )
}

/// The same in an organization alone, if one is given.
pub fn end_of_subject_in(issuer: &str, subject: &str, organization_id: Option<&str>) -> Result<u64> {
    query::execute(
        "INSERT INTO auth.ended_sessions AS e (issuer, subject, organization_id, expires_at)
         VALUES ($1, $2, coalesce($3, ''), pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $4))
         ON CONFLICT (issuer, sid, subject, organization_id) DO UPDATE
         SET ended_at = excluded.ended_at, expires_at = excluded.expires_at",
        &[issuer.into(), subject.into(), organization_id.into(), kept().into()],
    )
}

/// Ends all that a user has begun at issuers, in an organization alone if one is given. An identity of an issuer is told by its provider,
/// which is a URI, also while the issuer is not trusted.
pub fn end_of_user(user_id: Uuid, organization_id: Option<&str>) -> Result<u64> {
    if !scan::can_trust_issuers() {
        return Ok(0);
    }
    query::execute(
        "INSERT INTO auth.ended_sessions AS e (issuer, subject, organization_id, expires_at)
         SELECT i.provider, i.provider_id, coalesce($2, ''),
             pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $3)
         FROM auth.identities AS i
         WHERE i.user_id OPERATOR(pg_catalog.=) $1 AND pg_catalog.strpos(i.provider, ':') OPERATOR(pg_catalog.>) 0
         ORDER BY i.provider, i.provider_id
         ON CONFLICT (issuer, sid, subject, organization_id) DO UPDATE
         SET ended_at = excluded.ended_at, expires_at = excluded.expires_at",
        &[uuid_arg(user_id), organization_id.into(), kept().into()],
    )
}

/// Ends all that was begun at trusted issuers in an organization; says at how many.
pub fn end_of_organization(organization_id: &str) -> Result<u64> {
    if !scan::can_trust_issuers() {
        return Ok(0);
    }
    query::execute(
        "INSERT INTO auth.ended_sessions AS e (issuer, organization_id, expires_at)
         SELECT t.issuer, $1, pg_catalog.clock_timestamp() OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $2)
         FROM auth.trusted_issuers AS t WHERE $1 OPERATOR(pg_catalog.<>) '' ORDER BY t.issuer
         ON CONFLICT (issuer, sid, subject, organization_id) DO UPDATE
         SET ended_at = excluded.ended_at, expires_at = excluded.expires_at",
        &[organization_id.into(), kept().into()],
    )
}

/// Removes rows of which nothing is left to refuse.
pub fn remove_expired(batch: i64) -> Result<u64> {
    if !scan::can_trust_issuers() {
        return Ok(0);
    }
    query::execute(
"DELETE FROM auth.ended_sessions AS e USING (
             SELECT issuer, sid, subject, organization_id FROM auth.ended_sessions
             WHERE expires_at OPERATOR(pg_catalog.<) pg_catalog.now()
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED) AS over
         WHERE (e.issuer, e.sid, e.subject, e.organization_id) OPERATOR(pg_catalog.=) (over.issuer, over.sid, over.subject, over.organization_id)",
        &[batch.into()],
    )
}
