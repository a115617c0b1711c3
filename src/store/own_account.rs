//! What a person sees and changes of their own row of `users`.

use pgrx::JsonB;
use pgrx::datum::Inet;
use pgrx::prelude::*;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::user::{Identity, User};

use super::scan::{self, ScannedRow};
use super::{query, uuid_arg};
use crate::postgres::clock;
use crate::postgres::snapshot::Snapshot;
use crate::postgres::uuid::to_postgres;

/// A row of `auth.my_sessions`.
pub struct OwnSession {
    /// `sessions.id`
    pub id: pgrx::Uuid,
    /// when it was opened
    pub created_at: TimestampWithTimeZone,
    /// when it was last refreshed
    pub refreshed_at: Option<TimestampWithTimeZone>,
    /// when it ends
    pub not_after: Option<TimestampWithTimeZone>,
    /// the client's address
    pub ip: Option<Inet>,
    /// the client's User-Agent header
    pub user_agent: Option<String>,
    /// of which organization
    pub organization_id: Option<String>,
    /// through which connection
    pub connection_id: Option<String>,
    /// whether it is the one that asks
    pub is_current: bool,
}

/// A person's live sessions, the oldest first.
pub fn sessions(user_id: Uuid, current: Option<Uuid>) -> Result<Vec<OwnSession>> {
    let now = clock::now();
    let read = |row: &ScannedRow| {
        if row.micros(c"not_after").is_some_and(|end| end <= now) {
            return Ok(None);
        }
        let id = row.required_uuid(c"id")?;
        Ok(Some(OwnSession {
            id: to_postgres(id),
            created_at: row.required(c"created_at")?,
            refreshed_at: row.get(c"refreshed_at"),
            not_after: row.get(c"not_after"),
            ip: row.get(c"ip"),
            user_agent: row.get(c"user_agent"),
            organization_id: row.get(c"organization_id"),
            connection_id: row.get(c"connection_id"),
            is_current: Some(id) == current,
        }))
    };
    let sessions = scan::sessions_of(user_id, &Snapshot::now(), read).into_iter().collect::<Result<Vec<_>>>()?;
    let mut sessions: Vec<OwnSession> = sessions.into_iter().flatten().collect();
    sessions.sort_unstable_by_key(|session| (i64::from(session.created_at), *session.id.as_bytes()));
    Ok(sessions)
}

/// A user with their identities, the oldest first.
pub fn user(id: Uuid) -> Result<Option<User>> {
    let snapshot = Snapshot::now();
    let user = scan::user(id, &snapshot, |row| user_alone(row, id)).transpose()?;
    let mut identities = scan::identities(id, &snapshot, identity).into_iter().collect::<Result<Vec<_>>>()?;
    identities.sort_unstable_by(|one, other| (&one.created_at, one.id).cmp(&(&other.created_at, other.id)));
    Ok(user.map(|user| User { identities, ..user }))
}

fn user_alone(row: &ScannedRow, id: Uuid) -> Result<User> {
    Ok(User {
        id,
        aud: row.required(c"aud")?,
        role: row.required(c"role")?,
        email: row.get(c"email"),
        phone: row.get(c"phone"),
        app_metadata: row.raw_json(c"raw_app_meta_data")?,
        user_metadata: row.raw_json(c"raw_user_meta_data")?,
        is_anonymous: row.required(c"is_anonymous")?,
        created_at: utc(row.required(c"created_at")?),
        updated_at: utc(row.required(c"updated_at")?),
        email_confirmed_at: row.get(c"email_confirmed_at").map(utc),
        phone_confirmed_at: row.get(c"phone_confirmed_at").map(utc),
        last_sign_in_at: row.get(c"last_sign_in_at").map(utc),
        banned_until: row.get(c"banned_until").map(utc),
        deleted_at: row.get(c"deleted_at").map(utc),
        identities: Vec::new(),
    })
}

fn identity(row: &ScannedRow) -> Result<Identity> {
    Ok(Identity {
        id: row.required_uuid(c"id")?,
        provider_id: row.required(c"provider_id")?,
        provider: row.required(c"provider")?,
        email: row.get(c"email").unwrap_or_default(),
        identity_data: row.raw_json(c"identity_data")?,
        last_sign_in_at: row.get(c"last_sign_in_at").map(utc),
        created_at: utc(row.required(c"created_at")?),
        updated_at: utc(row.required(c"updated_at")?),
    })
}

/// A time as `core::user` takes it: UTC, six decimals; what RFC 3339 cannot say, such as infinity, as the nearest that it can.
fn utc(time: TimestampWithTimeZone) -> String {
    const SECOND: i64 = 1_000_000;
    const DAY: i64 = 86_400 * SECOND;
    /// Days from 2000-01-01, which Postgres counts from, to 0001-01-01 and 9999-12-31.
    const FIRST: i64 = -730_119;
    const LAST: i64 = 2_921_939;
    let micros = i64::from(time).clamp(FIRST * DAY, LAST * DAY + DAY - SECOND);
    let (days, of_day) = (micros.div_euclid(DAY), micros.rem_euclid(DAY));
    let (mut year, mut month, mut day) = (0, 0, 0);
    // SAFETY: computes, and writes the three numbers.
    unsafe { pg_sys::j2date(days as i32 + pg_sys::POSTGRES_EPOCH_JDATE as i32, &mut year, &mut month, &mut day) };
    let (seconds, fraction) = (of_day / SECOND, of_day % SECOND);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{fraction:06}")
}

/// `raw_user_meta_data` of a user who is going to be changed: whoever else changes it waits.
pub fn lock_user_metadata(id: Uuid) -> Result<Option<Value>> {
    query::row(
        "SELECT raw_user_meta_data::pg_catalog.text FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
        &[uuid_arg(id)],
        |row| row.json(1, "raw_user_meta_data"),
    )
}

/// Replaces `raw_user_meta_data`.
pub fn set_user_metadata(id: Uuid, metadata: Value) -> Result<()> {
    query::execute(
        "UPDATE auth.users SET raw_user_meta_data = $2, updated_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(id), JsonB(metadata).into()],
    )
    .map(drop)
}
