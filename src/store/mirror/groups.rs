//! `directory_groups` and `directory_group_members`, and what follows for the groups in `organization_memberships`.

use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::DirectoryGroup;

use super::super::{query, uuid_arg};
use super::timestamp;

/// Writes a group. Returns the name that it had, where it has another one now.
pub fn write(group: &DirectoryGroup) -> Result<Option<String>> {
    let before = query::row(
        "SELECT name FROM auth.directory_groups WHERE id OPERATOR(pg_catalog.=) $1 FOR NO KEY UPDATE",
        &[group.id.as_str().into()],
        |row| row.get::<String>(1),
    )?;
    let written = query::execute(
        "INSERT INTO auth.directory_groups AS g (id, directory_id, organization_id, idp_id, name, workos_updated_at)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) ANY (ARRAY[$1, $2, $3]))
         ON CONFLICT (id) DO UPDATE
         SET directory_id = excluded.directory_id, organization_id = excluded.organization_id, idp_id = excluded.idp_id, name = excluded.name,
             workos_updated_at = excluded.workos_updated_at, seen_at = pg_catalog.clock_timestamp()
         WHERE g.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at",
        &[
            group.id.as_str().into(),
            group.directory_id.as_str().into(),
            group.organization_id.as_deref().into(),
            group.idp_id.as_deref().into(),
            group.name.as_str().into(),
            timestamp(group.updated_at)?,
        ],
    )?;
    Ok(before.filter(|before| written == 1 && *before != group.name))
}

/// A group that is taken away.
pub struct Gone {
    /// what it was called
    pub name: String,
    /// whose it was here
    pub users: Vec<Uuid>,
    /// where
    pub organization_id: Option<String>,
}

/// Who of a group is known here.
pub fn users_of(id: &str) -> Result<Vec<Uuid>> {
    query::rows(
        "SELECT DISTINCT d.user_id FROM auth.directory_group_members AS m JOIN auth.directory_users AS d ON d.id OPERATOR(pg_catalog.=) m.directory_user_id
         WHERE m.group_id OPERATOR(pg_catalog.=) $1 AND d.user_id IS NOT NULL ORDER BY d.user_id",
        &[id.into()],
        |row| row.uuid(1),
    )
}

/// Removes a group with its members.
pub fn remove(id: &str) -> Result<Option<Gone>> {
    let users = users_of(id)?;
    query::execute("DELETE FROM auth.directory_group_members WHERE group_id OPERATOR(pg_catalog.=) $1", &[id.into()])?;
    query::row(
        "DELETE FROM auth.directory_groups WHERE id OPERATOR(pg_catalog.=) $1 RETURNING name, organization_id",
        &[id.into()],
        |row| Ok(Gone { name: row.get(1)?, users: users.clone(), organization_id: row.nullable(2)? }),
    )
}

/// The groups of a directory, by their ids.
pub fn of_directory(directory_id: &str) -> Result<Vec<String>> {
    query::rows(
        "SELECT id FROM auth.directory_groups WHERE directory_id OPERATOR(pg_catalog.=) $1 ORDER BY id",
        &[directory_id.into()],
        |row| row.get(1),
    )
}

/// Puts a directory user into a group.
pub fn add_member(group: &DirectoryGroup, directory_user_id: &str) -> Result<()> {
    query::execute(
        "INSERT INTO auth.directory_group_members AS m (group_id, directory_user_id, organization_id)
         SELECT $1, $2, $3 WHERE EXISTS (SELECT FROM auth.directory_groups AS g WHERE g.id OPERATOR(pg_catalog.=) $1)
             AND EXISTS (SELECT FROM auth.directory_users AS d WHERE d.id OPERATOR(pg_catalog.=) $2 AND d.deleted_at IS NULL)
         ON CONFLICT (group_id, directory_user_id) DO UPDATE SET seen_at = pg_catalog.clock_timestamp()",
        &[group.id.as_str().into(), directory_user_id.into(), group.organization_id.as_deref().into()],
    )
    .map(drop)
}

/// Takes a directory user out of a group.
pub fn remove_member(group_id: &str, directory_user_id: &str) -> Result<()> {
    query::execute(
        "DELETE FROM auth.directory_group_members
         WHERE group_id OPERATOR(pg_catalog.=) $1 AND directory_user_id OPERATOR(pg_catalog.=) $2",
        &[group_id.into(), directory_user_id.into()],
    )
    .map(drop)
}

/// Takes a directory user out of every group.
pub fn remove_memberships(directory_user_id: &str) -> Result<()> {
    query::execute(
        "DELETE FROM auth.directory_group_members WHERE directory_user_id OPERATOR(pg_catalog.=) $1",
        &[directory_user_id.into()],
    )
    .map(drop)
}

/// The names of the groups that the directories of an organization have somebody in.
pub fn names_of(user_id: Uuid, organization_id: &str) -> Result<Vec<String>> {
    query::rows(
        "SELECT DISTINCT g.name FROM auth.directory_users AS d
             JOIN auth.directory_group_members AS m ON m.directory_user_id OPERATOR(pg_catalog.=) d.id
             JOIN auth.directory_groups AS g ON g.id OPERATOR(pg_catalog.=) m.group_id
         WHERE d.user_id OPERATOR(pg_catalog.=) $1 AND d.organization_id OPERATOR(pg_catalog.=) $2
             AND d.state OPERATOR(pg_catalog.=) 'active' ORDER BY g.name",
        &[uuid_arg(user_id), organization_id.into()],
        |row| row.get(1),
    )
}

/// The names of the groups that a directory user is in.
pub fn names_of_directory_user(directory_user_id: &str) -> Result<Vec<String>> {
    query::rows(
        "SELECT DISTINCT g.name FROM auth.directory_group_members AS m
             JOIN auth.directory_groups AS g ON g.id OPERATOR(pg_catalog.=) m.group_id
         WHERE m.directory_user_id OPERATOR(pg_catalog.=) $1 ORDER BY g.name",
        &[directory_user_id.into()],
        |row| row.get(1),
    )
}

/// Writes a name among somebody's groups, or takes it away, where it is otherwise.
pub fn set_name(user_id: Uuid, organization_id: &str, name: &str, is_member: bool) -> Result<()> {
    query::execute(
        "UPDATE auth.organization_memberships AS m
         SET groups = CASE WHEN $4 THEN pg_catalog.array_append(m.groups, $3) ELSE pg_catalog.array_remove(m.groups, $3) END,
             updated_at = pg_catalog.now()
         WHERE m.organization_id OPERATOR(pg_catalog.=) $2 AND m.user_id OPERATOR(pg_catalog.=) $1
             AND ($3 OPERATOR(pg_catalog.=) ANY (m.groups)) IS DISTINCT FROM $4",
        &[uuid_arg(user_id), organization_id.into(), name.into(), is_member.into()],
    )
    .map(drop)
}
