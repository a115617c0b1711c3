//! `organizations`, `organization_domains` and `connections`, as WorkOS tells of them.

use pgrx::JsonB;
use workos_auth_core::Result;
use workos_auth_core::mirror::{Connection, Domain, Moment, Organization};

use super::super::query;
use super::timestamp;

/// Writes an organization; false where what is here is newer, or it was removed. One of another issuer is none of WorkOS's.
pub fn write(organization: &Organization) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.organizations AS o (id, name, external_id, metadata, workos_updated_at, seen_at)
         SELECT $1, $2, $3, $4, $5, pg_catalog.clock_timestamp()
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) $1)
         ON CONFLICT (id) DO UPDATE
         SET name = excluded.name, external_id = excluded.external_id, metadata = excluded.metadata,
             workos_updated_at = excluded.workos_updated_at, seen_at = excluded.seen_at
         WHERE o.issuer IS NULL AND (o.workos_updated_at IS NULL OR o.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at)",
        &[
            organization.id.as_str().into(),
            organization.name.as_deref().into(),
            organization.external_id.as_deref().into(),
            JsonB(organization.metadata.clone()).into(),
            timestamp(organization.updated_at)?,
        ],
    )?;
    Ok(written == 1)
}

/// Removes the domains that WorkOS no longer has of an organization. What an administrator wrote stays.
pub fn keep_domains(organization_id: &str, domains: &[Domain]) -> Result<()> {
    let ids: Vec<String> = domains.iter().map(|domain| domain.id.clone()).collect();
    query::execute(
        "DELETE FROM auth.organization_domains
         WHERE organization_id OPERATOR(pg_catalog.=) $1 AND workos_id OPERATOR(pg_catalog.<>) ALL ($2)",
        &[organization_id.into(), ids.into()],
    )
    .map(drop)
}

/// Marks an organization as deleted; false where there is none, or it was. Nobody opens a session there meanwhile: whoever is about to has the
/// row, and finds it marked afterwards.
pub fn mark_deleted(id: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.organizations
         WHERE id OPERATOR(pg_catalog.=) $1 AND issuer IS NULL AND deleted_at IS NULL FOR UPDATE",
        &[id.into()],
        |row| row.get::<bool>(1),
    )?;
    if found.is_none() {
        return Ok(false);
    }
    query::execute(
        "UPDATE auth.organizations SET deleted_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into()],
    )?;
    Ok(true)
}

/// Removes what belongs to an organization and is of no use without it. Its people stay, as removed ones.
pub fn remove_belongings(id: &str) -> Result<()> {
    for sql in [
        "DELETE FROM auth.organization_domains WHERE organization_id OPERATOR(pg_catalog.=) $1 AND workos_id IS NOT NULL",
        "DELETE FROM auth.connections WHERE organization_id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM auth.roles WHERE organization_id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM auth.directories WHERE organization_id OPERATOR(pg_catalog.=) $1",
        "DELETE FROM auth.directory_group_members WHERE group_id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.directory_groups WHERE organization_id OPERATOR(pg_catalog.=) $1))",
        "DELETE FROM auth.directory_groups WHERE organization_id OPERATOR(pg_catalog.=) $1",
        "UPDATE auth.directory_users SET state = 'deleted', deleted_at = pg_catalog.clock_timestamp()
         WHERE organization_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
        "UPDATE auth.workos_memberships SET status = 'deleted', deleted_at = pg_catalog.clock_timestamp()
         WHERE organization_id OPERATOR(pg_catalog.=) $1 AND deleted_at IS NULL",
    ] {
        query::execute(sql, &[id.into()])?;
    }
    Ok(())
}

/// Writes a domain, where it is said otherwise than it is here. One that an administrator wrote stays as it is.
pub fn write_domain(domain: &Domain) -> Result<()> {
    let Some(name) = &domain.domain else { return Ok(()) };
    query::execute(
        "INSERT INTO auth.organizations (id)
         SELECT $1 WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) $1)
         ON CONFLICT DO NOTHING",
        &[domain.organization_id.as_str().into()],
    )?;
    query::execute(
        "INSERT INTO auth.organization_domains AS d (organization_id, domain, workos_id, state, workos_updated_at)
         SELECT o.id, $2, $3, $4, $5 FROM auth.organizations AS o
         WHERE o.id OPERATOR(pg_catalog.=) $1 AND o.issuer IS NULL AND o.deleted_at IS NULL
             AND NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) $3)
         ON CONFLICT (organization_id, domain) DO UPDATE
         SET workos_id = excluded.workos_id, state = excluded.state, workos_updated_at = excluded.workos_updated_at
         WHERE (d.workos_id OPERATOR(pg_catalog.<>) excluded.workos_id OR d.state OPERATOR(pg_catalog.<>) excluded.state)
             AND d.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at",
        &[
            domain.organization_id.as_str().into(),
            name.as_str().into(),
            domain.id.as_str().into(),
            domain.state.as_str().into(),
            timestamp(domain.updated_at)?,
        ],
    )
    .map(drop)
}

/// Removes a domain.
pub fn remove_domain(organization_id: &str, workos_id: &str) -> Result<()> {
    query::execute(
        "DELETE FROM auth.organization_domains
         WHERE organization_id OPERATOR(pg_catalog.=) $1 AND workos_id OPERATOR(pg_catalog.=) $2",
        &[organization_id.into(), workos_id.into()],
    )
    .map(drop)
}

/// Writes a connection.
pub fn write_connection(connection: &Connection) -> Result<()> {
    query::execute(
        "INSERT INTO auth.connections AS c (id, organization_id, type, name, state, workos_updated_at)
         SELECT $1, $2, $3, $4, $5, $6
         WHERE NOT EXISTS (SELECT FROM auth.workos_removals AS r WHERE r.id OPERATOR(pg_catalog.=) $1)
         ON CONFLICT (id) DO UPDATE
         SET organization_id = excluded.organization_id, type = excluded.type, name = excluded.name, state = excluded.state,
             workos_updated_at = excluded.workos_updated_at, seen_at = pg_catalog.clock_timestamp()
         WHERE c.workos_updated_at OPERATOR(pg_catalog.<=) excluded.workos_updated_at",
        &[
            connection.id.as_str().into(),
            connection.organization_id.as_deref().into(),
            connection.kind.as_deref().into(),
            connection.name.as_deref().into(),
            connection.state.as_str().into(),
            timestamp(connection.updated_at)?,
        ],
    )
    .map(drop)
}

/// Says when the certificate of a connection expires. Of a connection that is not known there is nothing to say.
pub fn set_certificate_expiry(connection_id: &str, at: Moment) -> Result<()> {
    query::execute(
        "UPDATE auth.connections SET certificate_expires_at = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[connection_id.into(), timestamp(at)?],
    )
    .map(drop)
}

/// Removes a connection.
pub fn remove_connection(id: &str) -> Result<()> {
    query::execute("DELETE FROM auth.connections WHERE id OPERATOR(pg_catalog.=) $1", &[id.into()]).map(drop)
}
