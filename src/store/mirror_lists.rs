//! The tables of the mirror, as far as they are compared with WorkOS's lists: what was seen, what was not, and what comes next.

use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;
use workos_auth_core::Result;
use workos_auth_core::mirror::lists::{Known, Stop};
use workos_auth_core::mirror::{Change, DirectoryGroup, DirectoryUser, Membership, Moment, Role};

use super::query::{self, QueryRow};
use crate::postgres::clock;

/// What comes next, of all that is known here.
pub struct AllKnown;

/// The same of one organization.
pub struct KnownOf<'a>(pub &'a str);

impl Known for AllKnown {
    fn next_organization(&self, after: Option<&str>) -> Result<Option<String>> {
        query::row(
            "SELECT id FROM auth.organizations
             WHERE id OPERATOR(pg_catalog.>) coalesce($1, '') AND deleted_at IS NULL AND seen_at IS NOT NULL ORDER BY id LIMIT 1",
            &[after.into()],
            |row| row.get(1),
        )
    }

    fn next_directory(&self, after: Option<&str>) -> Result<Option<String>> {
        query::row(
            "SELECT id FROM auth.directories WHERE id OPERATOR(pg_catalog.>) coalesce($1, '') ORDER BY id LIMIT 1",
            &[after.into()],
            |row| row.get(1),
        )
    }
}

impl Known for KnownOf<'_> {
    fn next_organization(&self, _: Option<&str>) -> Result<Option<String>> {
        Ok(None)
    }

    fn next_directory(&self, after: Option<&str>) -> Result<Option<String>> {
        query::row(
            "SELECT id FROM auth.directories
             WHERE id OPERATOR(pg_catalog.>) coalesce($1, '') AND organization_id OPERATOR(pg_catalog.=) $2 ORDER BY id LIMIT 1",
            &[after.into(), self.0.into()],
            |row| row.get(1),
        )
    }
}

/// What was told of is there, also where nothing of it is new. Of a role the slug stands for its id.
pub fn mark_seen(stop: &Stop, ids: &[String]) -> Result<()> {
    let ids = ids.to_vec();
    match stop {
        Stop::Organizations => query::execute(
            "UPDATE auth.organizations SET seen_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
        Stop::Connections => query::execute(
            "UPDATE auth.connections SET seen_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
        Stop::Roles => query::execute(
            "UPDATE auth.roles SET seen_at = pg_catalog.clock_timestamp()
             WHERE organization_id OPERATOR(pg_catalog.=) '' AND slug OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
        Stop::RolesOf(organization) => query::execute(
            "UPDATE auth.roles SET seen_at = pg_catalog.clock_timestamp()
             WHERE organization_id OPERATOR(pg_catalog.=) $2 AND slug OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into(), organization.as_str().into()],
        ),
        Stop::MembershipsOf(_) => query::execute(
            "UPDATE auth.workos_memberships SET seen_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
        Stop::Directories => query::execute(
            "UPDATE auth.directories SET seen_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
        Stop::GroupsOf(_) => query::execute(
            "UPDATE auth.directory_groups SET seen_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
        Stop::UsersOf(_) => query::execute(
            "UPDATE auth.directory_users SET seen_at = pg_catalog.clock_timestamp() WHERE id OPERATOR(pg_catalog.=) ANY ($1)",
            &[ids.into()],
        ),
    }
    .map(drop)
}

/// Something that a list has told of before.
pub struct Missing {
    /// WorkOS's id of it; a role has none
    pub id: Option<String>,
    /// what follows where WorkOS has it no more
    pub removal: Change,
}

/// How many organizations the list has told of before and not since a time, and how many it has told of at all.
pub fn missing_organizations(began: TimestampWithTimeZone) -> Result<(i64, i64)> {
    let counted = query::row(
        "SELECT pg_catalog.count(*) FILTER (WHERE seen_at OPERATOR(pg_catalog.<) $1), pg_catalog.count(*) FROM auth.organizations
         WHERE seen_at IS NOT NULL AND deleted_at IS NULL AND issuer IS NULL",
        &[began.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )?;
    Ok(counted.unwrap_or_default())
}

/// What a list has told of before, and has not since a time: one of it.
pub fn missing(stop: &Stop, organization: Option<&str>, began: TimestampWithTimeZone) -> Result<Option<Missing>> {
    let by_id = |change: fn(String) -> Change| {
        move |row: &QueryRow| {
            let id: String = row.get(1)?;
            Ok(Missing { id: Some(id.clone()), removal: change(id) })
        }
    };
    match stop {
        Stop::Organizations => query::row(
            "SELECT id FROM auth.organizations
             WHERE seen_at OPERATOR(pg_catalog.<) $1 AND deleted_at IS NULL AND issuer IS NULL LIMIT 1",
            &[began.into()],
            by_id(Change::OrganizationDeleted),
        ),
        Stop::Connections => query::row(
            "SELECT id FROM auth.connections
             WHERE seen_at OPERATOR(pg_catalog.<) $1 AND ($2 IS NULL OR organization_id OPERATOR(pg_catalog.=) $2) LIMIT 1",
            &[began.into(), organization.into()],
            by_id(Change::ConnectionDeleted),
        ),
        Stop::Directories => query::row(
            "SELECT id FROM auth.directories
             WHERE seen_at OPERATOR(pg_catalog.<) $1 AND ($2 IS NULL OR organization_id OPERATOR(pg_catalog.=) $2) LIMIT 1",
            &[began.into(), organization.into()],
            by_id(Change::DirectoryDeleted),
        ),
        Stop::GroupsOf(directory) => query::row(
            "SELECT id FROM auth.directory_groups
             WHERE seen_at OPERATOR(pg_catalog.<) $1 AND directory_id OPERATOR(pg_catalog.=) $2 LIMIT 1",
            &[began.into(), directory.as_str().into()],
            by_id(Change::DirectoryGroupDeleted),
        ),
        Stop::Roles => missing_role(None, began),
        Stop::RolesOf(organization) => missing_role(Some(organization), began),
        Stop::MembershipsOf(organization) => missing_membership(organization, began),
        Stop::UsersOf(directory) => missing_user(directory, began),
    }
}

fn missing_role(organization: Option<&str>, began: TimestampWithTimeZone) -> Result<Option<Missing>> {
    query::row(
        "SELECT slug FROM auth.roles
         WHERE seen_at OPERATOR(pg_catalog.<) $1 AND organization_id OPERATOR(pg_catalog.=) coalesce($2, '') AND deleted_at IS NULL LIMIT 1",
        &[began.into(), organization.into()],
        |row| {
            let organization_id = organization.map(str::to_owned);
            let role = Role { organization_id, slug: row.get(1)?, permissions: None, updated_at: now() };
            Ok(Missing { id: None, removal: Change::RoleDeleted(role) })
        },
    )
}

fn missing_membership(organization: &str, began: TimestampWithTimeZone) -> Result<Option<Missing>> {
    query::row(
        "SELECT id, organization_id, workos_user_id FROM auth.workos_memberships
         WHERE seen_at OPERATOR(pg_catalog.<) $1 AND organization_id OPERATOR(pg_catalog.=) $2 AND deleted_at IS NULL LIMIT 1",
        &[began.into(), organization.into()],
        |row| {
            let membership = Membership {
                id: row.get(1)?,
                organization_id: row.get(2)?,
                user_id: row.get(3)?,
                status: GONE.to_owned(),
                directory_managed: false,
                roles: Vec::new(),
                updated_at: now(),
            };
            Ok(Missing { id: Some(membership.id.clone()), removal: Change::MembershipDeleted(membership) })
        },
    )
}

fn missing_user(directory: &str, began: TimestampWithTimeZone) -> Result<Option<Missing>> {
    query::row(
        "SELECT id, directory_id, organization_id, idp_id, email FROM auth.directory_users
         WHERE seen_at OPERATOR(pg_catalog.<) $1 AND directory_id OPERATOR(pg_catalog.=) $2 AND deleted_at IS NULL LIMIT 1",
        &[began.into(), directory.into()],
        |row| {
            let user = DirectoryUser {
                id: row.get(1)?,
                directory_id: row.get(2)?,
                organization_id: row.nullable(3)?,
                idp_id: row.nullable(4)?,
                email: row.nullable(5)?,
                state: GONE.to_owned(),
                roles: Vec::new(),
                custom_attributes: Value::Object(serde_json::Map::new()),
                updated_at: now(),
            };
            Ok(Missing { id: Some(user.id.clone()), removal: Change::DirectoryUserDeleted(user) })
        },
    )
}

/// The state of what WorkOS has no more.
const GONE: &str = "deleted";

fn now() -> Moment {
    // Microseconds of both, counted from other years.
    Moment(clock::unix_micros(clock::now()))
}

/// Which groups these people are in: the group, as far as it is known here, and the person.
pub fn groups_of(users: &[String]) -> Result<Vec<(DirectoryGroup, String)>> {
    query::rows(
        "SELECT m.group_id, m.directory_user_id, g.directory_id, g.organization_id, g.idp_id, g.name
         FROM auth.directory_group_members AS m JOIN auth.directory_groups AS g ON g.id OPERATOR(pg_catalog.=) m.group_id
         WHERE m.directory_user_id OPERATOR(pg_catalog.=) ANY ($1)",
        &[users.to_vec().into()],
        |row| {
            let group = DirectoryGroup {
                id: row.get(1)?,
                directory_id: row.get(3)?,
                organization_id: row.nullable(4)?,
                idp_id: row.nullable(5)?,
                name: row.get(6)?,
                updated_at: now(),
            };
            Ok((group, row.get(2)?))
        },
    )
}
