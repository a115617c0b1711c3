//! `directories` and `directory_users`.

use pgrx::JsonB;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::{Directory, DirectoryUser};

use super::super::{query, uuid_arg};
use super::timestamp;
use crate::postgres::uuid::from_postgres;

/// Writes a directory.
pub fn write(directory: &Directory) -> Result<()> {
    query::execute(
        "INSERT INTO auth.directories AS d (id, organization_id, type, name, state, workos_updated_at)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) ANY (ARRAY[$1, $2]))
         ON CONFLICT (id) DO UPDATE
         SET organization_id = excluded.organization_id, type = excluded.type, name = excluded.name, state = excluded.state,
             workos_updated_at = excluded.workos_updated_at, seen_at = pg_catalog.clock_timestamp()
         WHERE d.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at",
        &[
            directory.id.as_str().into(),
            directory.organization_id.as_deref().into(),
            directory.kind.as_deref().into(),
            directory.name.as_deref().into(),
            directory.state.as_str().into(),
            timestamp(directory.updated_at)?,
        ],
    )
    .map(drop)
}

/// Whose a directory is.
pub fn organization_of(id: &str) -> Result<Option<String>> {
    let found = query::row(
        "SELECT organization_id FROM auth.directories WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into()],
        |row| row.nullable(1),
    )?;
    Ok(found.flatten())
}

/// Whom a directory that goes has given a role, and where.
pub fn given_roles(id: &str) -> Result<Vec<(Uuid, String)>> {
    query::rows(
        "SELECT DISTINCT user_id, organization_id FROM auth.directory_users
         WHERE directory_id OPERATOR(pg_catalog.=) $1 AND pg_catalog.cardinality(roles) OPERATOR(pg_catalog.>) 0
             AND user_id IS NOT NULL AND organization_id IS NOT NULL ORDER BY user_id, organization_id",
        &[id.into()],
        |row| Ok((row.uuid(1)?, row.get(2)?)),
    )
}

/// Removes a directory. Nobody has left by that: who was in it is forgotten, but for those who had left. Of somebody who was there, it is forgotten
/// as well that they had left before.
pub fn remove(id: &str) -> Result<()> {
    for sql in [
        "WITH forgotten AS (
             DELETE FROM auth.directory_users AS gone USING auth.directory_users AS there
             WHERE there.directory_id OPERATOR(pg_catalog.=) $1 AND there.state OPERATOR(pg_catalog.=) 'active'
                 AND gone.state OPERATOR(pg_catalog.<>) 'active' AND gone.organization_id OPERATOR(pg_catalog.=) there.organization_id
                 AND (gone.user_id OPERATOR(pg_catalog.=) there.user_id
                     OR gone.directory_id OPERATOR(pg_catalog.=) $1 AND gone.idp_id OPERATOR(pg_catalog.=) there.idp_id)
             RETURNING gone.id)
         INSERT INTO auth.workos_removals (id) SELECT id FROM forgotten ON CONFLICT DO NOTHING",
        "DELETE FROM auth.directories WHERE id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM auth.directory_users WHERE directory_id OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'active'",
        "UPDATE auth.directory_users SET state = 'deleted', deleted_at = pg_catalog.clock_timestamp()
         WHERE directory_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
    ] {
        query::execute(sql, &[id.into()])?;
    }
    Ok(())
}

/// Forgets somebody whom a directory that is gone has as one who is there.
pub fn forget_user(user: &DirectoryUser) -> Result<()> {
    query::execute(
        "DELETE FROM auth.directory_users
         WHERE id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL AND workos_updated_at OPERATOR(pg_catalog.<=) $2",
        &[user.id.as_str().into(), timestamp(user.updated_at)?],
    )
    .map(drop)
}

/// What of a directory user's row says what follows from another one.
pub struct Known {
    /// the organization whose directory it is
    pub organization_id: Option<String>,
    /// who it is here
    pub user_id: Option<Uuid>,
    /// whether the directory gave a role
    pub had_roles: bool,
}

/// The row of a directory user, if it is here. It stays locked.
pub fn lock_user(id: &str) -> Result<Option<Known>> {
    query::row(
        "SELECT user_id, pg_catalog.cardinality(roles) OPERATOR(pg_catalog.>) 0, organization_id FROM auth.directory_users
         WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
        &[id.into()],
        |row| {
            let user_id = row.nullable::<pgrx::Uuid>(1)?.map(from_postgres);
            Ok(Known { user_id, had_roles: row.get(2)?, organization_id: row.nullable(3)? })
        },
    )
}

/// Writes a directory user; false where what is here is newer, or the person was removed.
pub fn write_user(user: &DirectoryUser) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.directory_users AS d
             (id, directory_id, organization_id, idp_id, email, state, role, roles, custom_attributes, workos_updated_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) ANY (ARRAY[$1, $3]))
         ON CONFLICT (id) DO UPDATE
         SET directory_id = excluded.directory_id, organization_id = excluded.organization_id, idp_id = excluded.idp_id, email = excluded.email,
             state = excluded.state, role = excluded.role, roles = excluded.roles, custom_attributes = excluded.custom_attributes,
             workos_updated_at = excluded.workos_updated_at, seen_at = pg_catalog.clock_timestamp()
         WHERE d.deleted_at IS NULL AND d.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at",
        &[
            user.id.as_str().into(),
            user.directory_id.as_str().into(),
            user.organization_id.as_deref().into(),
            user.idp_id.as_deref().into(),
            user.email.as_deref().into(),
            user.state.as_str().into(),
            user.roles.first().map(String::as_str).into(),
            user.roles.clone().into(),
            JsonB(user.custom_attributes.clone()).into(),
            timestamp(user.updated_at)?,
        ],
    )?;
    Ok(written == 1)
}

/// Marks a directory user as deleted, also one who was never here; false where they are.
pub fn mark_user_deleted(user: &DirectoryUser) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.directory_users AS d (id, directory_id, organization_id, idp_id, email, state, deleted_at, workos_updated_at)
         VALUES ($1, $2, $3, $4, $5, 'deleted', pg_catalog.clock_timestamp(), $6)
         ON CONFLICT (id) DO UPDATE SET state = 'deleted', deleted_at = excluded.deleted_at WHERE d.deleted_at IS NULL",
        &[
            user.id.as_str().into(),
            user.directory_id.as_str().into(),
            user.organization_id.as_deref().into(),
            user.idp_id.as_deref().into(),
            user.email.as_deref().into(),
            timestamp(user.updated_at)?,
        ],
    )?;
    Ok(written == 1)
}

/// Whether a directory of an organization has somebody as active.
pub fn is_active(user_id: Uuid, organization_id: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.directory_users
         WHERE user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2
             AND state OPERATOR(pg_catalog.=) 'active' LIMIT 1",
        &[uuid_arg(user_id), organization_id.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// The roles that the directories of an organization give somebody: those of the first that gives any.
pub fn roles_of(user_id: Uuid, organization_id: &str) -> Result<Option<Vec<String>>> {
    query::row(
        "SELECT roles FROM auth.directory_users
         WHERE user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2
             AND state OPERATOR(pg_catalog.=) 'active' AND pg_catalog.cardinality(roles) OPERATOR(pg_catalog.>) 0
         ORDER BY id LIMIT 1",
        &[uuid_arg(user_id), organization_id.into()],
        |row| row.get(1),
    )
}
