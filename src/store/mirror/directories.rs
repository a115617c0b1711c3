//! `directories` and `directory_users`.

use pgrx::JsonB;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::{ACTIVE, Directory, DirectoryUser};

use super::super::{query, scan, uuid_arg};
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

/// Removes a directory. Nobody has left by that: who was in it is forgotten, but for those who had left.
pub fn remove(id: &str) -> Result<()> {
    for sql in [
        "DELETE FROM auth.directories WHERE id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM auth.directory_users WHERE directory_id OPERATOR(pg_catalog.=) $1 AND state OPERATOR(pg_catalog.=) 'active'",
        "UPDATE auth.directory_users SET state = 'deleted', deleted_at = pg_catalog.clock_timestamp()
         WHERE directory_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
    ] {
        query::execute(sql, &[id.into()])?;
    }
    Ok(())
}

/// What of a directory user's row says what follows from another one.
pub struct Known {
    /// who it is here
    pub user_id: Option<Uuid>,
    /// whether the directory gave a role
    pub had_roles: bool,
}

/// The row of a directory user, if it is here. It stays locked.
pub fn lock_user(id: &str) -> Result<Option<Known>> {
    query::row(
        "SELECT user_id, pg_catalog.cardinality(roles) OPERATOR(pg_catalog.>) 0 FROM auth.directory_users
         WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
        &[id.into()],
        |row| Ok(Known { user_id: row.nullable::<pgrx::Uuid>(1)?.map(from_postgres), had_roles: row.get(2)? }),
    )
}

/// Writes a directory user; false where what is here is newer, or the person or the directory was removed.
pub fn write_user(user: &DirectoryUser) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.directory_users AS d
             (id, directory_id, organization_id, idp_id, email, state, role, roles, custom_attributes, workos_updated_at)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) ANY (ARRAY[$2, $3]))
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

/// Who of an organization has signed in with an id of its identity provider; where nobody has, with an address.
pub fn users_like(organization_id: &str, idp_id: Option<&str>, email: Option<&str>) -> Result<Vec<Uuid>> {
    let by_idp_id = query::rows(
        "SELECT DISTINCT user_id FROM auth.identities
         WHERE idp_id OPERATOR(pg_catalog.=) $2 AND organization_id OPERATOR(pg_catalog.=) $1 ORDER BY user_id",
        &[organization_id.into(), idp_id.into()],
        |row| row.uuid(1),
    )?;
    if !by_idp_id.is_empty() {
        return Ok(by_idp_id);
    }
    query::rows(
        r#"SELECT DISTINCT user_id FROM auth.identities
         WHERE pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $2 AND organization_id OPERATOR(pg_catalog.=) $1 ORDER BY user_id"#,
        &[organization_id.into(), email.into()],
        |row| row.uuid(1),
    )
}

/// Says who a directory user is here.
pub fn set_user(id: &str, user_id: Uuid) -> Result<()> {
    query::execute(
        "UPDATE auth.directory_users SET user_id = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into(), uuid_arg(user_id)],
    )
    .map(drop)
}

/// Whether a directory of an organization has somebody as active, but for one directory user.
pub fn is_active_otherwise(user_id: Uuid, organization_id: &str, id: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.directory_users
         WHERE user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2 AND id OPERATOR(pg_catalog.<>) $3
             AND state OPERATOR(pg_catalog.=) 'active' LIMIT 1",
        &[uuid_arg(user_id), organization_id.into(), id.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// Whether the directories of an organization have somebody who signs in: as active, as one who has left, or not at all; by what is committed now,
/// whatever snapshot the transaction keeps. The rows stay as they are until its end, so that whoever removes one finds what came of it.
pub fn is_active(organization_id: &str, idp_id: Option<&str>, email: &str) -> Result<Option<bool>> {
    query::rows(
        "SELECT true FROM auth.directory_users AS d
         WHERE d.organization_id OPERATOR(pg_catalog.=) $1 AND (d.idp_id OPERATOR(pg_catalog.=) $2 OR d.email OPERATOR(pg_catalog.=) $3)
         ORDER BY d.id FOR SHARE",
        &[organization_id.into(), idp_id.into(), email.into()],
        |row| row.get::<bool>(1),
    )?;
    let states = scan::directory_states(organization_id, idp_id, email);
    Ok((!states.is_empty()).then(|| states.iter().any(|state| state == ACTIVE)))
}

/// Says of the active directory users whom somebody who signs in is, that they are this person. One who is somebody else by the address alone stays
/// that.
pub fn claim(user_id: Uuid, organization_id: &str, idp_id: Option<&str>, email: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.directory_users AS d SET user_id = $1
         WHERE d.organization_id OPERATOR(pg_catalog.=) $2 AND d.state OPERATOR(pg_catalog.=) 'active'
             AND d.user_id IS DISTINCT FROM $1
             AND (d.idp_id OPERATOR(pg_catalog.=) $3
                 OR d.email OPERATOR(pg_catalog.=) $4 AND d.user_id IS NULL AND NOT EXISTS (
                     SELECT FROM auth.directory_users AS other
                     WHERE other.organization_id OPERATOR(pg_catalog.=) $2 AND other.idp_id OPERATOR(pg_catalog.=) $3))",
        &[uuid_arg(user_id), organization_id.into(), idp_id.into(), email.into()],
    )
    .map(drop)
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
