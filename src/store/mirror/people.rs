//! `roles` and `workos_memberships`, and what follows for `organization_memberships`.

use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::{ACTIVE, Membership, Role};

use super::super::{query, scan, uuid_arg};
use super::timestamp;

/// Writes a role, with a version of its own where its permissions change; false where they are what they were. Without permissions they stay.
pub fn write_role(role: &Role, version: i64) -> Result<bool> {
    let row = query::row(
        "INSERT INTO auth.roles AS r (organization_id, slug, permissions, version, workos_updated_at)
         SELECT coalesce($1, ''), $2, coalesce($3, '{}'), $4, $5
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS gone WHERE gone.id OPERATOR(pg_catalog.=) $1)
         ON CONFLICT (organization_id, slug) DO UPDATE
         SET permissions = coalesce($3, r.permissions), deleted_at = NULL, workos_updated_at = excluded.workos_updated_at,
             seen_at = pg_catalog.clock_timestamp(),
             version = CASE WHEN r.permissions OPERATOR(pg_catalog.=) coalesce($3, r.permissions) THEN r.version ELSE $4 END
         WHERE r.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at
         RETURNING version OPERATOR(pg_catalog.=) $4",
        &[
            role.organization_id.as_deref().into(),
            role.slug.as_str().into(),
            role.permissions.clone().into(),
            version.into(),
            timestamp(role.updated_at)?,
        ],
        |row| row.get::<bool>(1),
    )?;
    Ok(row.unwrap_or(false))
}

/// Marks a role as deleted, which allows nothing from now on; false where it is, or is not known.
pub fn mark_role_deleted(role: &Role, version: i64) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.roles SET permissions = '{}', version = $3, deleted_at = pg_catalog.clock_timestamp()
         WHERE organization_id OPERATOR(pg_catalog.=) coalesce($1, '') AND slug OPERATOR(pg_catalog.=) $2 AND deleted_at IS NULL
             AND workos_updated_at OPERATOR(pg_catalog.<=) $4",
        &[role.organization_id.as_deref().into(), role.slug.as_str().into(), version.into(), timestamp(role.updated_at)?],
    )?;
    Ok(written == 1)
}

/// Has the tokens refreshed of every session whose person has a role: for verifiers, which know of sessions alone.
pub fn raise_claims_versions(role: &Role) -> Result<()> {
    query::execute(
        "UPDATE auth.sessions
         SET claims_version = claims_version OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT s.id FROM auth.sessions AS s JOIN auth.organization_memberships AS m
                 ON m.user_id OPERATOR(pg_catalog.=) s.user_id AND m.organization_id OPERATOR(pg_catalog.=) s.organization_id
             WHERE ($1 IS NULL OR m.organization_id OPERATOR(pg_catalog.=) $1)
                 AND ($2 OPERATOR(pg_catalog.=) m.role OR $2 OPERATOR(pg_catalog.=) ANY (m.roles))
             ORDER BY s.id FOR NO KEY UPDATE OF s))",
        &[role.organization_id.as_deref().into(), role.slug.as_str().into()],
    )
    .map(drop)
}

/// Writes a membership; false where what is here is newer, or it was removed.
pub fn write_membership(membership: &Membership) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.workos_memberships AS m
             (id, organization_id, workos_user_id, status, directory_managed, role, roles, workos_updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
         ON CONFLICT (id) DO UPDATE
         SET status = excluded.status, directory_managed = excluded.directory_managed, role = excluded.role, roles = excluded.roles,
             workos_updated_at = excluded.workos_updated_at, seen_at = pg_catalog.clock_timestamp()
         WHERE m.deleted_at IS NULL AND m.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at",
        &[
            membership.id.as_str().into(),
            membership.organization_id.as_str().into(),
            membership.user_id.as_str().into(),
            membership.status.as_str().into(),
            membership.directory_managed.into(),
            membership.roles.first().map(String::as_str).into(),
            membership.roles.clone().into(),
            timestamp(membership.updated_at)?,
        ],
    )?;
    Ok(written == 1)
}

/// Marks a membership as deleted, also one that was never here; false where it is.
pub fn mark_membership_deleted(membership: &Membership) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.workos_memberships AS m (id, organization_id, workos_user_id, status, deleted_at, workos_updated_at)
         VALUES ($1, $2, $3, 'deleted', pg_catalog.clock_timestamp(), $4)
         ON CONFLICT (id) DO UPDATE SET status = 'deleted', deleted_at = excluded.deleted_at WHERE m.deleted_at IS NULL",
        &[
            membership.id.as_str().into(),
            membership.organization_id.as_str().into(),
            membership.user_id.as_str().into(),
            timestamp(membership.updated_at)?,
        ],
    )?;
    Ok(written == 1)
}

/// Marks every membership of somebody as deleted.
pub fn mark_memberships_deleted(workos_user_id: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.workos_memberships SET status = 'deleted', deleted_at = pg_catalog.clock_timestamp()
         WHERE workos_user_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
        &[workos_user_id.into()],
    )
    .map(drop)
}

/// Keeps somebody's memberships in an organization as they are until the end of the transaction, so that whoever removes one finds what came of it.
pub fn lock_memberships(workos_user_id: &str, organization_id: &str) -> Result<()> {
    query::rows(
        "SELECT true FROM auth.workos_memberships AS m
         WHERE m.workos_user_id OPERATOR(pg_catalog.=) $1 AND m.organization_id OPERATOR(pg_catalog.=) $2
         ORDER BY m.id FOR SHARE",
        &[workos_user_id.into(), organization_id.into()],
        |row| row.get::<bool>(1),
    )
    .map(drop)
}

/// How somebody stands in an organization by their memberships there: the best of them, by what is committed now, whatever snapshot the transaction
/// keeps.
pub fn membership_status(workos_user_id: &str, organization_id: &str) -> Option<String> {
    let statuses = scan::membership_statuses(workos_user_id, organization_id);
    let best = [ACTIVE, "pending"].into_iter().find(|status| statuses.iter().any(|found| found == status));
    best.map(str::to_owned).or_else(|| statuses.into_iter().next())
}

/// Where somebody is a member here, and not by a sign-in of the organization's own: because AuthKit said so.
pub fn memberships_without_sso(user_id: Uuid) -> Result<Vec<String>> {
    query::rows(
        "SELECT m.organization_id FROM auth.organization_memberships AS m
             JOIN auth.organizations AS o ON o.id OPERATOR(pg_catalog.=) m.organization_id
         WHERE m.user_id OPERATOR(pg_catalog.=) $1 AND o.issuer IS NULL AND NOT EXISTS (
             SELECT FROM auth.identities AS i
             WHERE i.user_id OPERATOR(pg_catalog.=) $1 AND i.organization_id OPERATOR(pg_catalog.=) m.organization_id)
         ORDER BY m.organization_id",
        &[uuid_arg(user_id)],
        |row| row.get(1),
    )
}

/// Who of this database somebody of AuthKit is: by a sign-in through AuthKit, and by every issuer of AuthKit that is trusted.
pub fn users_of(workos_user_id: &str) -> Result<Vec<Uuid>> {
    query::rows(
        "SELECT DISTINCT i.user_id FROM auth.identities AS i
         WHERE i.provider OPERATOR(pg_catalog.=) ANY (ARRAY(
                 SELECT 'authkit' UNION ALL SELECT t.issuer FROM auth.trusted_issuers AS t WHERE t.kind OPERATOR(pg_catalog.=) 'authkit'))
             AND i.provider_id OPERATOR(pg_catalog.=) $1
         ORDER BY i.user_id",
        &[workos_user_id.into()],
        |row| row.uuid(1),
    )
}

/// The issuers of AuthKit that are trusted.
pub fn authkit_issuers() -> Result<Vec<String>> {
    query::rows(
        "SELECT issuer FROM auth.trusted_issuers WHERE kind OPERATOR(pg_catalog.=) 'authkit' ORDER BY issuer",
        &[],
        |row| row.get(1),
    )
}

/// The roles of somebody's membership in an organization, where WorkOS has changed it after a time, in seconds since the epoch.
pub fn roles_since(workos_user_id: &str, organization_id: &str, since: i64) -> Result<Option<Vec<String>>> {
    query::row(
        "SELECT roles FROM auth.workos_memberships
         WHERE workos_user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2
             AND status OPERATOR(pg_catalog.=) 'active' AND workos_updated_at OPERATOR(pg_catalog.>) pg_catalog.to_timestamp($3)
         ORDER BY workos_updated_at DESC LIMIT 1",
        &[workos_user_id.into(), organization_id.into(), (since as f64).into()],
        |row| row.get::<Vec<String>>(1),
    )
}

/// Gives a member who is one here the roles of the membership at WorkOS, where they are others.
pub fn copy_roles(user_id: Uuid, workos_user_id: &str, organization_id: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.organization_memberships AS m SET role = w.role, roles = w.roles, updated_at = pg_catalog.now()
         FROM auth.workos_memberships AS w
         WHERE m.organization_id OPERATOR(pg_catalog.=) $3 AND m.user_id OPERATOR(pg_catalog.=) $1
             AND w.organization_id OPERATOR(pg_catalog.=) $3 AND w.workos_user_id OPERATOR(pg_catalog.=) $2
             AND w.status OPERATOR(pg_catalog.=) 'active'
             AND (m.role IS DISTINCT FROM w.role OR m.roles OPERATOR(pg_catalog.<>) w.roles)",
        &[uuid_arg(user_id), workos_user_id.into(), organization_id.into()],
    )
    .map(drop)
}

/// Gives a member who is one here other roles, where they are others.
pub fn set_roles(user_id: Uuid, organization_id: &str, roles: &[String]) -> Result<()> {
    query::execute(
        "UPDATE auth.organization_memberships SET role = $3, roles = $4, updated_at = pg_catalog.now()
         WHERE organization_id OPERATOR(pg_catalog.=) $2 AND user_id OPERATOR(pg_catalog.=) $1
             AND (role IS DISTINCT FROM $3 OR roles OPERATOR(pg_catalog.<>) $4)",
        &[uuid_arg(user_id), organization_id.into(), roles.first().map(String::as_str).into(), roles.to_vec().into()],
    )
    .map(drop)
}

/// Whether AuthKit has somebody in another organization too.
pub fn is_member_elsewhere(user_id: Uuid, organization_id: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.identities AS i
             JOIN auth.workos_memberships AS w ON w.workos_user_id OPERATOR(pg_catalog.=) i.provider_id
         WHERE i.user_id OPERATOR(pg_catalog.=) $1 AND i.provider OPERATOR(pg_catalog.<>) 'workos'
             AND w.organization_id OPERATOR(pg_catalog.<>) $2 AND w.status OPERATOR(pg_catalog.=) ANY ('{active,pending}') LIMIT 1",
        &[uuid_arg(user_id), organization_id.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}
