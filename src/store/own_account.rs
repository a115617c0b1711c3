//! What a person sees and changes of their own row of `users`.

use pgrx::JsonB;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::user::{Identity, User};

use super::query::{self, Row};
use super::uuid_arg;
use crate::error::unexpected;

/// A time as `core::user` takes it: UTC, six decimals; what RFC 3339 cannot say, such as infinity, as the nearest that it can.
macro_rules! utc {
    ($time:literal) => {
        concat!(
            "CASE WHEN ",
            $time,
            " IS NOT NULL THEN pg_catalog.to_char(
                 LEAST(GREATEST(",
            $time,
            ", '0001-01-01 00:00:00+00'), '9999-12-31 23:59:59+00') AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US') END"
        )
    };
}

/// A user with their identities, the oldest first.
pub fn user(id: Uuid) -> Result<Option<User>> {
    let identities = identities(id)?;
    query::looked_up(
        concat!(
            "SELECT aud, role, email, phone, raw_app_meta_data::pg_catalog.text, raw_user_meta_data::pg_catalog.text, is_anonymous, ",
            utc!("created_at"),
            ", ",
            utc!("updated_at"),
            ", ",
            utc!("email_confirmed_at"),
            ", ",
            utc!("phone_confirmed_at"),
            ", ",
            utc!("last_sign_in_at"),
            ", ",
            utc!("banned_until"),
            ", ",
            utc!("deleted_at"),
            " FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1"
        ),
        &[uuid_arg(id)],
        |row| {
            Ok(User {
                id,
                aud: row.get(1)?,
                role: row.get(2)?,
                email: row.nullable(3)?,
                phone: row.nullable(4)?,
                app_metadata: json(row, 5)?,
                user_metadata: json(row, 6)?,
                is_anonymous: row.get(7)?,
                created_at: row.get(8)?,
                updated_at: row.get(9)?,
                email_confirmed_at: row.nullable(10)?,
                phone_confirmed_at: row.nullable(11)?,
                last_sign_in_at: row.nullable(12)?,
                banned_until: row.nullable(13)?,
                deleted_at: row.nullable(14)?,
                identities: identities.clone(),
            })
        },
    )
    .map(|found| found.into_iter().next())
}

fn identities(user_id: Uuid) -> Result<Vec<Identity>> {
    query::looked_up(
        concat!(
            "SELECT id, provider_id, provider, email, identity_data::pg_catalog.text, ",
            utc!("last_sign_in_at"),
            ", ",
            utc!("created_at"),
            ", ",
            utc!("updated_at"),
            " FROM auth.identities WHERE user_id OPERATOR(pg_catalog.=) $1 ORDER BY auth.identities.created_at, id"
        ),
        &[uuid_arg(user_id)],
        |row| {
            Ok(Identity {
                id: row.uuid(1)?,
                provider_id: row.get(2)?,
                provider: row.get(3)?,
                email: row.get(4)?,
                identity_data: json(row, 5)?,
                last_sign_in_at: row.nullable(6)?,
                created_at: row.get(7)?,
                updated_at: row.get(8)?,
            })
        },
    )
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
