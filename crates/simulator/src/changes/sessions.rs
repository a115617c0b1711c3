//! Sessions of AuthKit begin and end.

use serde::Deserialize;
use serde_json::json;

use crate::changes::users;
use crate::ids;
use crate::objects::user::{SessionObject, SessionStatus};
use crate::refusal::Refusal;
use crate::state::Memory;

/// A new session.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSession {
    /// `session_…`; a new one where none is given.
    #[serde(default)]
    pub id: Option<String>,
    /// Whose.
    pub user: String,
    /// Where; none for somebody without an organization.
    #[serde(default)]
    pub organization: Option<String>,
    /// By which connection, if it is one of single sign-on. Only `authentication.sso_succeeded` says it.
    #[serde(default)]
    pub connection: Option<String>,
}

/// How long a session lives; WorkOS's dashboard sets it.
const LIFETIME: i64 = 30 * 24 * 60 * 60;

pub(crate) fn create(memory: &mut Memory, new: NewSession) -> Result<String, Refusal> {
    let user = users::find(memory, &new.user)?.clone();
    let now = memory.clock.timestamp();
    let session = SessionObject {
        id: new.id.unwrap_or_else(|| ids::id("session_", now)),
        user_id: new.user,
        organization_id: new.organization,
        auth_method: if new.connection.is_some() { "sso" } else { "password" }.to_owned(),
        status: SessionStatus::Active,
        expires_at: now.plus_seconds(LIFETIME),
        ended_at: None,
        ip_address: None,
        user_agent: None,
        created_at: now,
        updated_at: now,
    };
    memory.emit("session.created", json!(session));
    if let Some(connection) = new.connection {
        let sso = json!({
            "organization_id": session.organization_id,
            "connection_id": connection,
            "session_id": session.id,
        });
        let data = json!({
            "type": "sso",
            "status": "succeeded",
            "ip_address": null,
            "user_agent": null,
            "user_id": user.id,
            "email": user.email,
            "sso": sso,
        });
        memory.emit("authentication.sso_succeeded", data);
    }
    let id = session.id.clone();
    memory.registry.sessions.insert(id.clone(), session);
    Ok(id)
}

/// `POST /user_management/sessions/revoke`
pub(crate) fn revoke(memory: &mut Memory, id: &str) -> Result<String, Refusal> {
    let now = memory.clock.timestamp();
    let found = memory.registry.sessions.get_mut(id);
    let session =
        found.ok_or_else(|| Refusal::bad_request("invalid_session", format!("There is no session '{id}'.")))?;
    end(session, now);
    let session = json!(session);
    memory.emit("session.revoked", session);
    Ok(id.to_owned())
}

/// Ends the sessions of a person in an organization. That such an end is told by an event is not documented.
pub(super) fn end_silently(memory: &mut Memory, user: &str, organization: &str) {
    let now = memory.clock.timestamp();
    let own = |session: &&mut SessionObject| {
        session.user_id == user && session.organization_id.as_deref() == Some(organization)
    };
    memory.registry.sessions.values_mut().filter(own).for_each(|session| end(session, now));
}

/// The organization of a session that goes on; `None` where it has ended.
pub(crate) fn organization_of(memory: &Memory, id: &str) -> Option<Option<String>> {
    let session = memory.registry.sessions.get(id)?;
    (session.status == SessionStatus::Active).then(|| session.organization_id.clone())
}

/// The session goes on in another organization.
pub(crate) fn move_to(memory: &mut Memory, id: &str, organization: Option<String>) {
    let now = memory.clock.timestamp();
    if let Some(session) = memory.registry.sessions.get_mut(id) {
        session.organization_id = organization;
        session.updated_at = now;
    }
}

fn end(session: &mut SessionObject, now: crate::clock::Timestamp) {
    if session.status == SessionStatus::Active {
        session.status = SessionStatus::Revoked;
        session.ended_at = Some(now);
        session.updated_at = now;
    }
}
