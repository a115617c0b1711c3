//! The session that a token must agree with.

use pgrx::prelude::*;
use uuid::Uuid;

use super::table::{Key, ScannedRow, row_by_key};
use super::tables::SESSIONS;

/// What a token must agree with.
pub struct LiveSession {
    /// rises with the person's rights
    pub claims_version: i64,
    /// whose it is; a database that only verifies may not know
    pub user_id: Option<Uuid>,
    /// of which organization, as far as `user_id` is known
    pub organization_id: Option<String>,
}

impl LiveSession {
    fn read(row: &ScannedRow) -> Option<Self> {
        Some(Self {
            claims_version: row.get(c"claims_version")?,
            user_id: row.uuid(c"user_id"),
            organization_id: row.get(c"organization_id"),
        })
    }
}

/// A session, or `None` where it has ended.
pub fn live_session(id: Uuid) -> Option<LiveSession> {
    row_by_key(&SESSIONS, &[Key::Uuid(c"id", id)], None, LiveSession::read)?
}

/// The same in a verifier: of the issuer that this subscription brings.
pub fn fed_session(id: Uuid, subscription: pg_sys::Oid) -> Option<LiveSession> {
    row_by_key(&SESSIONS, &[Key::Uuid(c"id", id)], None, |row| match is_fed_by(row, subscription) {
        true => LiveSession::read(row),
        false => None,
    })?
}

fn is_fed_by(row: &ScannedRow, subscription: pg_sys::Oid) -> bool {
    row.get(c"subscription") == Some(subscription)
}
