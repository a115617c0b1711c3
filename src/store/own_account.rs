//! What a person sees and changes of their own row of `users`.

use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::user::{Identity, User};

use super::query::{self, Row};
use super::uuid_arg;
use crate::error::unexpected;

/// A user with their identities, the oldest first.
pub fn user(id: Uuid) -> Result<Option<User>> {
    let rows = query::looked_up(
        "SELECT u.aud, u.role, u.email, u.phone, u.raw_app_meta_data::pg_catalog.text, u.raw_user_meta_data::pg_catalog.text,
             u.is_anonymous, u.created_at, u.updated_at, u.email_confirmed_at, u.phone_confirmed_at, u.last_sign_in_at,
             u.banned_until, u.deleted_at, i.id, i.provider_id, i.provider, i.email, i.identity_data::pg_catalog.text,
             i.last_sign_in_at, i.created_at, i.updated_at
         FROM auth.users AS u LEFT JOIN auth.identities AS i ON i.user_id OPERATOR(pg_catalog.=) u.id
         WHERE u.id OPERATOR(pg_catalog.=) $1 ORDER BY i.created_at, i.id",
        &[uuid_arg(id)],
        |row| Ok((user_alone(row, id)?, row.nullable_uuid(15)?.map(|id| identity(row, id)).transpose()?)),
    )?;
    let (users, identities): (Vec<User>, Vec<Option<Identity>>) = rows.into_iter().unzip();
    Ok(users.into_iter().next().map(|user| User { identities: identities.into_iter().flatten().collect(), ..user }))
}

fn user_alone(row: &Row, id: Uuid) -> Result<User> {
    let time = |column| row.nullable(column).map(|time| time.map(utc));
    Ok(User {
        id,
        aud: row.get(1)?,
        role: row.get(2)?,
        email: row.nullable(3)?,
        phone: row.nullable(4)?,
        app_metadata: json(row, 5)?,
        user_metadata: json(row, 6)?,
        is_anonymous: row.get(7)?,
        created_at: utc(row.get(8)?),
        updated_at: utc(row.get(9)?),
        email_confirmed_at: time(10)?,
        phone_confirmed_at: time(11)?,
        last_sign_in_at: time(12)?,
        banned_until: time(13)?,
        deleted_at: time(14)?,
        identities: Vec::new(),
    })
}

fn identity(row: &Row, id: Uuid) -> Result<Identity> {
    Ok(Identity {
        id,
        provider_id: row.get(16)?,
        provider: row.get(17)?,
        email: row.get(18)?,
        identity_data: json(row, 19)?,
        last_sign_in_at: row.nullable(20)?.map(utc),
        created_at: utc(row.get(21)?),
        updated_at: utc(row.get(22)?),
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
        |row| json(row, 1),
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

fn json(row: &Row, column: usize) -> Result<Value> {
    serde_json::from_str(&row.get::<String>(column)?).map_err(|_| {
        unexpected("A user's metadata is nested too deeply, or has a member that the parser keeps for itself.")
    })
}
