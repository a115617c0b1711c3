//! Everything the extension asks of its own tables. Nobody else writes SQL.
//!
//! Rows are named as the tables are; each function is one statement.

pub mod accounts;
pub mod configuration;
pub mod configuration_file;
pub mod configuration_log;
pub mod flows;
pub mod hooks;
pub mod installation;
pub mod locks;
pub mod operating;
pub mod own_account;
pub mod privileges;
mod query;
mod removal;
pub mod scan;
pub mod sessions;
pub mod users;

use pgrx::JsonB;
use uuid::Uuid;
use workos_auth_core::Result;

/// Writes one entry of the audit log, with the person whose session is current, if any. `payload` must hold no secret.
pub fn audit(action: &str, subject: &Subject, payload: serde_json::Value) -> Result<()> {
    audit_as(crate::current_session::peek().as_deref(), action, subject, payload)
}

/// The same, with the person who acts.
pub fn audit_as(
    actor: Option<&crate::current_session::Verified>,
    action: &str,
    subject: &Subject,
    payload: serde_json::Value,
) -> Result<()> {
    let claims = actor.map(|session| &session.claims);
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
            pg_uuid(claims.map(|claims| claims.sub)).into(),
            claims.and_then(|claims| claims.act_sub()).into(),
        ],
    )?;
    Ok(())
}

/// Whom an audit entry is about.
#[derive(Debug, Default, Clone, Copy)]
pub struct Subject<'a> {
    /// `auth.users.id`
    pub user_id: Option<Uuid>,
    /// `auth.sessions.id`
    pub session_id: Option<Uuid>,
    /// WorkOS's organization
    pub organization_id: Option<&'a str>,
    /// WorkOS's connection
    pub connection_id: Option<&'a str>,
    /// the client's address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the client's User-Agent header
    pub user_agent: Option<&'a str>,
}

/// Whose browser it is, as far as the caller tells.
#[derive(Debug, Clone, Copy, Default)]
pub struct Client<'a> {
    /// the address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the User-Agent header
    pub user_agent: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The person of a session.
    pub fn of(session: &'a crate::current_session::Verified) -> Self {
        let claims = &session.claims;
        Self {
            user_id: Some(claims.sub),
            session_id: Some(claims.session_id),
            organization_id: claims.org_id.as_deref(),
            connection_id: claims.connection_id.as_deref(),
            ..Self::default()
        }
    }
}

impl<'a> Client<'a> {
    /// The longest User-Agent header that is kept, in characters.
    const USER_AGENT: usize = 1000;

    /// The User-Agent header as it is kept.
    pub fn user_agent(&self) -> Option<&'a str> {
        self.user_agent.map(|text| text.char_indices().nth(Self::USER_AGENT).map_or(text, |(end, _)| &text[..end]))
    }
}

fn pg_uuid(id: Option<Uuid>) -> Option<pgrx::Uuid> {
    id.map(|id| pgrx::Uuid::from_bytes(id.into_bytes()))
}

fn uuid_arg<'a>(id: Uuid) -> pgrx::datum::DatumWithOid<'a> {
    pgrx::Uuid::from_bytes(id.into_bytes()).into()
}
