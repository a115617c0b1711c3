//! `authkit_tokens`: what sessions of AuthKit are refreshed with, at WorkOS.

use uuid::Uuid;
use workos_auth_core::Result;

use super::scan::{self, ScannedRow};
use super::{query, uuid_arg};

/// What AuthKit's session is refreshed with.
pub struct KeptToken {
    /// the token, sealed
    pub sealed: Vec<u8>,
    /// the data key it is sealed with
    pub data_key_id: u32,
    /// the provider as it was when WorkOS gave the token
    pub client_id: String,
    /// the provider as it was when WorkOS gave the token
    pub api_url: String,
}

/// The token of a session as it is now, whatever snapshot the transaction keeps: WorkOS takes each once.
pub fn find(session: Uuid) -> Result<Option<KeptToken>> {
    scan::authkit_token(session, token).transpose()
}

fn token(row: &ScannedRow) -> Result<KeptToken> {
    Ok(KeptToken {
        sealed: row.required(c"refresh_token")?,
        data_key_id: row.required_key_id(c"data_key_id")?,
        client_id: row.required(c"client_id")?,
        api_url: row.required(c"api_url")?,
    })
}

/// Keeps the token of a session in place of the one before.
pub fn put(session: Uuid, token: &KeptToken) -> Result<()> {
    query::execute(
        "INSERT INTO auth.authkit_tokens AS t (session_id, refresh_token, data_key_id, client_id, api_url)
         VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (session_id) DO UPDATE SET refresh_token = excluded.refresh_token, data_key_id = excluded.data_key_id,
             client_id = excluded.client_id, api_url = excluded.api_url, updated_at = pg_catalog.now()",
        &[
            uuid_arg(session),
            token.sealed.as_slice().into(),
            i64::from(token.data_key_id).into(),
            token.client_id.as_str().into(),
            token.api_url.as_str().into(),
        ],
    )
    .map(drop)
}

/// A session has ended: its token goes.
pub fn forget(session: Uuid) -> Result<()> {
    match scan::authkit_token(session, |_| ()) {
        Some(()) => query::execute(
            "DELETE FROM auth.authkit_tokens WHERE session_id OPERATOR(pg_catalog.=) $1",
            &[uuid_arg(session)],
        )
        .map(drop),
        None => Ok(()),
    }
}

/// All sessions have ended.
pub fn forget_all() -> Result<()> {
    match scan::has_authkit_tokens() {
        true => query::execute("DELETE FROM auth.authkit_tokens", &[]).map(drop),
        false => Ok(()),
    }
}
