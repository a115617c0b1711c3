//! What becomes of `users`, `organization_memberships` and `identities` other than by a sign-in.

use pgrx::JsonB;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::{ErrorCode, Result};

use super::{query, scan, uuid_arg};
use crate::postgres::clock::now;
use crate::postgres::snapshot::Snapshot;

/// Writes a user whom an administrator makes. False if the id or the address is taken. The address is confirmed by nobody yet.
pub fn insert_user(id: Uuid, email: &str, invited: bool, app_metadata: Value) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.users (id, email, invited_at, raw_app_meta_data)
         VALUES ($1, $2, CASE WHEN $3 THEN pg_catalog.now() END, $4) ON CONFLICT DO NOTHING",
        &[uuid_arg(id), email.into(), invited.into(), JsonB(app_metadata).into()],
    )?;
    Ok(written == 1)
}

/// Puts a new user into an organization that is known.
pub fn insert_membership(organization_id: &str, user_id: Uuid) -> Result<()> {
    query::execute(
        "INSERT INTO auth.organization_memberships (organization_id, user_id) VALUES ($1, $2)",
        &[organization_id.into(), uuid_arg(user_id)],
    )
    .map(drop)
}

/// Takes a user out of an organization; says how many memberships.
pub fn delete_membership(organization_id: &str, user_id: Uuid) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.organization_memberships
         WHERE organization_id OPERATOR(pg_catalog.=) $1 AND user_id OPERATOR(pg_catalog.=) $2",
        &[organization_id.into(), uuid_arg(user_id)],
    )
}

/// A row of `auth.find_user`.
pub struct FoundUser {
    /// `users.id`
    pub user_id: pgrx::Uuid,
    /// `users.email`
    pub email: Option<String>,
    /// the organizations that they belong to
    pub organization_ids: Vec<String>,
    /// `identities.id`, the oldest first
    pub identity_ids: Vec<pgrx::Uuid>,
    /// `identities.email`, in the same order
    pub identity_emails: Vec<String>,
    /// until when they are banned
    pub banned_until: Option<TimestampWithTimeZone>,
    /// when they were deleted
    pub deleted_at: Option<TimestampWithTimeZone>,
    /// when they last signed in
    pub last_sign_in_at: Option<TimestampWithTimeZone>,
    /// when the account was made
    pub created_at: TimestampWithTimeZone,
}

/// Users of this address, which is ASCII-lower-case already; the oldest first. With an organization, those who belong to it or have an
/// identity of it.
pub fn find(email: &str, organization_id: Option<&str>) -> Result<Vec<FoundUser>> {
    query::rows(
        r#"SELECT u.id, u.email,
             ARRAY(SELECT m.organization_id FROM auth.organization_memberships AS m
                 WHERE m.user_id OPERATOR(pg_catalog.=) u.id ORDER BY m.organization_id),
             ARRAY(SELECT i.id FROM auth.identities AS i WHERE i.user_id OPERATOR(pg_catalog.=) u.id ORDER BY i.created_at, i.id),
             ARRAY(SELECT i.email FROM auth.identities AS i WHERE i.user_id OPERATOR(pg_catalog.=) u.id ORDER BY i.created_at, i.id),
             u.banned_until, u.deleted_at, u.last_sign_in_at, u.created_at
         FROM auth.users AS u
         WHERE u.id OPERATOR(pg_catalog.=) ANY (ARRAY(
                 SELECT user_id FROM auth.identities WHERE pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $1
                 UNION ALL SELECT id FROM auth.users WHERE pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $1))
             AND ($2 IS NULL
                 OR EXISTS (SELECT FROM auth.organization_memberships AS m
                     WHERE m.user_id OPERATOR(pg_catalog.=) u.id AND m.organization_id OPERATOR(pg_catalog.=) $2)
                 OR EXISTS (SELECT FROM auth.identities AS i
                     WHERE i.user_id OPERATOR(pg_catalog.=) u.id AND i.organization_id OPERATOR(pg_catalog.=) $2))
         ORDER BY u.created_at, u.id"#,
        &[email.into(), organization_id.into()],
        |row| {
            Ok(FoundUser {
                user_id: row.get(1)?,
                email: row.nullable(2)?,
                organization_ids: row.get(3)?,
                identity_ids: row.get(4)?,
                identity_emails: row.get(5)?,
                banned_until: row.nullable(6)?,
                deleted_at: row.nullable(7)?,
                last_sign_in_at: row.nullable(8)?,
                created_at: row.get(9)?,
            })
        },
    )
}

/// Whether there is such a user.
pub fn exists(user_id: Uuid) -> Result<bool> {
    let found =
        query::row("SELECT true FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1", &[uuid_arg(user_id)], |row| {
            row.get(1)
        })?;
    Ok(found.unwrap_or(false))
}

/// Holds off whoever would change the user, until the transaction ends. False if there is none.
pub fn lock(user_id: Uuid) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
        &[uuid_arg(user_id)],
        |row| row.get(1),
    )?;
    Ok(found.unwrap_or(false))
}

/// The same by writing, so that a transaction with an older snapshot fails with 40001 instead of deciding by what was. False if there
/// is none.
pub fn lock_by_update(user_id: Uuid) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.users SET updated_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(user_id)],
    )?;
    Ok(written == 1)
}

/// Whether a ban lasts, by a row of `auth.users`.
pub fn is_banned(row: &scan::ScannedRow) -> bool {
    row.micros(c"banned_until").is_some_and(|until| until > now())
}

/// Whether it is marked as deleted.
pub fn is_deleted(row: &scan::ScannedRow) -> bool {
    row.micros(c"deleted_at").is_some()
}

/// Refuses a person who is banned or deleted by now, whatever snapshot the transaction keeps: a trigger of a sign-in's own rows may have
/// said so.
///
/// # Errors
/// `user_banned`, `user_deleted`.
pub fn require_good_standing(user_id: Uuid) -> Result<()> {
    let standing = scan::user(user_id, &Snapshot::now(), |row| (is_banned(row), is_deleted(row)));
    match standing {
        Some((false, false)) => Ok(()),
        Some((true, _)) => Err(ErrorCode::UserBanned.into()),
        Some((false, true)) | None => Err(ErrorCode::UserDeleted.into()),
    }
}

/// Somebody has signed in, by whatever way.
pub fn signed_in(user_id: Uuid) -> Result<()> {
    query::execute(
        "UPDATE auth.users SET last_sign_in_at = pg_catalog.now(), updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(user_id)],
    )
    .map(drop)
}

/// Removes an identity.
pub fn delete_identity(id: Uuid) -> Result<()> {
    query::execute("DELETE FROM auth.identities WHERE id OPERATOR(pg_catalog.=) $1", &[uuid_arg(id)]).map(drop)
}
