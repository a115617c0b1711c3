//! Refresh tokens from outside: what they say, and sessions that are made older than they are.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tokio_postgres::GenericClient;
use uuid::Uuid;

use crate::bed::{Bed, Session, refresh};

/// How many times the session had been refreshed when this refresh token was issued.
pub fn counter(refresh_token: &str) -> u64 {
    let bytes = URL_SAFE_NO_PAD.decode(refresh_token).unwrap();
    u64::from_be_bytes(bytes[21..29].try_into().unwrap())
}

/// Refreshes so many times, each with the token that the last one gave.
pub async fn refresh_times(client: &impl GenericClient, session: &Session, times: usize) -> Session {
    let mut session = session.clone();
    for _ in 0..times {
        session = refresh(client, &session.refresh_token).await.unwrap();
    }
    session
}

impl Bed<'_> {
    /// Has the session's last refresh be a minute earlier: longer ago than `workos_auth.refresh_reuse_interval`.
    pub async fn age(&self, session: Uuid) {
        let sql = "update auth.sessions set refreshed_at = refreshed_at - interval '1 min' where id = $1";
        assert_eq!(self.admin.execute(sql, &[&session]).await.unwrap(), 1);
    }

    /// Whether the session has not ended.
    pub async fn is_alive(&self, session: Uuid) -> bool {
        let sql = "select exists (select from auth.sessions where id = $1)";
        self.admin.query_one(sql, &[&session]).await.unwrap().get(0)
    }

    /// What the session's row holds, with where it lies: any write shows.
    pub async fn session_row(&self, session: Uuid) -> String {
        let sql = "select concat_ws(' ', xmin, ctid, s) from auth.sessions s where id = $1";
        self.admin.query_one(sql, &[&session]).await.unwrap().get(0)
    }

    /// The payloads of the audit entries about a session of this name, the oldest first.
    pub async fn audited(&self, action: &str, session: Uuid) -> Vec<serde_json::Value> {
        let sql =
            "select payload from auth.audit_log_entries where action = $1 and session_id = $2 order by created_at";
        let rows = self.admin.query(sql, &[&action, &session]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}
