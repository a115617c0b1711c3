//! `audit_log_entries`.

use pgrx::JsonB;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::Result;

use super::{Subject, pg_uuid, query};

/// Who acts: the person, and who acts as that person.
#[derive(Debug, Default, Clone)]
pub struct Actor {
    /// `auth.users.id`
    pub user_id: Option<Uuid>,
    /// the claim `act.sub`
    pub act: Option<String>,
}

/// Writes one entry, with the person who acts. `payload` must hold no secret.
pub fn insert(actor: &Actor, action: &str, subject: &Subject, payload: Value) -> Result<()> {
    query::execute(
        "INSERT INTO auth.audit_log_entries (action, user_id, session_id, organization_id, connection_id, ip, user_agent, payload,
             actor_id, actor_act, email)
         VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.inet, $7, $8, $9, $10, $11)",
        &[
            action.into(),
            pg_uuid(subject.user_id).into(),
            pg_uuid(subject.session_id).into(),
            subject.organization_id.into(),
            subject.connection_id.into(),
            subject.ip.into(),
            subject.user_agent.into(),
            JsonB(payload).into(),
            pg_uuid(actor.user_id).into(),
            actor.act.as_deref().into(),
            subject.email.into(),
        ],
    )
    .map(drop)
}

/// Whether the log has as many refused sign-ins of the last hour as this: of an address in an organization, or of people whom WorkOS has not
/// named. The time is that of the statement: a volatile one would have the whole index read.
pub fn has_refusals(email: Option<&str>, organization: Option<&str>, count: i64) -> Result<bool> {
    let found = match email {
        Some(email) => query::row(
            "SELECT true FROM auth.audit_log_entries
             WHERE email OPERATOR(pg_catalog.=) $1 AND NOT organization_id IS DISTINCT FROM $3 AND action OPERATOR(pg_catalog.=) 'login_refused'
               AND created_at OPERATOR(pg_catalog.>) (pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) pg_catalog.make_interval(hours => 1))
             OFFSET $2 LIMIT 1",
            &[email.into(), (count - 1).into(), organization.into()],
            |row| row.get::<bool>(1),
        ),
        None => query::row(
            "SELECT true FROM auth.audit_log_entries
             WHERE user_id IS NULL AND email IS NULL AND action OPERATOR(pg_catalog.=) 'login_refused'
               AND created_at OPERATOR(pg_catalog.>) (pg_catalog.statement_timestamp() OPERATOR(pg_catalog.-) pg_catalog.make_interval(hours => 1))
             OFFSET $1 LIMIT 1",
            &[(count - 1).into()],
            |row| row.get::<bool>(1),
        ),
    }?;
    Ok(found.is_some())
}
