//! Everything the extension asks of its own tables. Nobody else writes SQL.
//!
//! Rows are named as the tables are; each function is one statement.

pub mod accounts;
mod attached;
pub mod audit_log;
pub mod authkit_tokens;
pub mod citus;
pub mod configuration;
pub mod configuration_file;
pub mod ended_sessions;
pub mod flows;
pub mod hooks;
pub mod imports;
pub mod installation;
pub mod issuers;
pub mod joining;
pub mod locks;
pub mod mirror;
pub mod mirror_lists;
pub mod operating;
pub mod own_account;
pub mod privileges;
mod put_off;
mod query;
pub mod request_slots;
pub mod scan;
pub mod sessions;
mod sign_up_triggers;
mod spi;
pub mod stored_settings;
pub mod users;
pub mod verifier;
pub mod worker_status;
pub mod workos_sync;

pub use query::watched;
use uuid::Uuid;

use crate::postgres::uuid::to_postgres;

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
    /// the address that a refused person came with, in lower case
    pub email: Option<&'a str>,
    /// the client's address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the client's User-Agent header
    pub user_agent: Option<&'a str>,
}

/// Whose browser it is, as far as the caller tells.
#[derive(Debug, Clone, Copy, Default, Hash)]
pub struct RequestClient<'a> {
    /// the address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the User-Agent header
    pub user_agent: Option<&'a str>,
}

impl<'a> Subject<'a> {
    /// The person of a session.
    pub fn of_session(
        user_id: Uuid,
        session_id: Uuid,
        organization_id: Option<&'a str>,
        connection_id: Option<&'a str>,
    ) -> Self {
        Self { user_id: Some(user_id), session_id: Some(session_id), organization_id, connection_id, ..Self::default() }
    }

    /// The same, as it came from this browser.
    #[must_use]
    pub fn with_client(self, client: &RequestClient<'a>) -> Self {
        Self { ip: client.ip, user_agent: client.user_agent(), ..self }
    }
}

impl<'a> RequestClient<'a> {
    /// The longest User-Agent header that is kept, in characters.
    const USER_AGENT: usize = 1000;

    /// The User-Agent header as it is kept.
    pub fn user_agent(&self) -> Option<&'a str> {
        self.user_agent.map(|text| text.char_indices().nth(Self::USER_AGENT).map_or(text, |(end, _)| &text[..end]))
    }
}

fn pg_uuid(id: Option<Uuid>) -> Option<pgrx::Uuid> {
    id.map(to_postgres)
}

fn uuid_arg<'a>(id: Uuid) -> pgrx::datum::DatumWithOid<'a> {
    to_postgres(id).into()
}
