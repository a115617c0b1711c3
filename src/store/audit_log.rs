//! `audit_log_entries`.

use pgrx::JsonB;
use serde_json::Value;
use workos_auth_core::Result;
use workos_auth_core::token::Claims;

use super::{Subject, pg_uuid, query};

/// Writes one entry, with the person who acts. `payload` must hold no secret.
pub fn insert(actor: Option<&Claims>, action: &str, subject: &Subject, payload: Value) -> Result<()> {
    query::execute(
        "INSERT INTO auth.audit_log_entries (action, user_id, session_id, organization_id, connection_id, ip, user_agent, payload,
             actor_id, actor_act)
         VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.inet, $7, $8, $9, $10)",
        &[
            action.into(),
            pg_uuid(subject.user_id).into(),
            pg_uuid(subject.session_id).into(),
            subject.organization_id.into(),
            subject.connection_id.into(),
            subject.ip.into(),
            subject.user_agent.into(),
            JsonB(payload).into(),
            pg_uuid(actor.map(|claims| claims.sub)).into(),
            actor.and_then(|claims| claims.act_sub()).into(),
        ],
    )
    .map(drop)
}
