//! Whose row of `directory_users` it is. The rules are in docs/directories.md, "Who is who".

use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::mirror::DirectoryUser;

use super::super::{query, uuid_arg};

/// Whom of an organization a directory user could be: by the id of the identity provider; where nobody is, by the address of an identity; where
/// nobody is, by that of a member.
pub fn people_of(user: &DirectoryUser, organization_id: &str) -> Result<Vec<Uuid>> {
    let found = by_id(user, organization_id)?;
    match found.is_empty() {
        true => by_address(user, organization_id),
        false => Ok(found),
    }
}

/// Where the id stands for several, here or in the directories, only those who have the address as well.
fn by_id(user: &DirectoryUser, organization_id: &str) -> Result<Vec<Uuid>> {
    let found = query::rows(
        r#"SELECT i.user_id, pg_catalog.bool_or(coalesce(pg_catalog.lower(i.email COLLATE "C") OPERATOR(pg_catalog.=) $3, false)),
             EXISTS (SELECT FROM auth.directory_users AS other
                 WHERE other.organization_id OPERATOR(pg_catalog.=) $1 AND other.idp_id OPERATOR(pg_catalog.=) $2
                     AND other.directory_id OPERATOR(pg_catalog.<>) $4 AND other.email IS DISTINCT FROM $3)
         FROM auth.identities AS i WHERE i.idp_id OPERATOR(pg_catalog.=) $2 AND i.organization_id OPERATOR(pg_catalog.=) $1
         GROUP BY i.user_id ORDER BY i.user_id"#,
        &[
            organization_id.into(),
            user.idp_id.as_deref().into(),
            user.email.as_deref().into(),
            user.directory_id.as_str().into(),
        ],
        |row| Ok((row.uuid(1)?, row.get::<bool>(2)?, row.get::<bool>(3)?)),
    )?;
    let is_shared = found.len() > 1 || found.iter().any(|(.., elsewhere)| *elsewhere);
    Ok(found.into_iter().filter(|(_, has_address, _)| *has_address || !is_shared).map(|(id, ..)| id).collect())
}

/// Whoever is another directory user of the same directory is not meant. What another organization's identity provider says of a member does not
/// count.
fn by_address(user: &DirectoryUser, organization_id: &str) -> Result<Vec<Uuid>> {
    let found = query::rows(
        r#"SELECT p.id, pg_catalog.bool_or(p.is_identity) FROM (
             SELECT i.user_id AS id, i.organization_id IS NOT NULL AS is_identity FROM auth.identities AS i
             WHERE pg_catalog.lower(i.email COLLATE "C") OPERATOR(pg_catalog.=) $2
                 AND (i.organization_id OPERATOR(pg_catalog.=) $1 OR i.organization_id IS NULL AND EXISTS (
                     SELECT FROM auth.organization_memberships AS m
                     WHERE m.organization_id OPERATOR(pg_catalog.=) $1 AND m.user_id OPERATOR(pg_catalog.=) i.user_id))
             UNION ALL
             SELECT u.id, false FROM auth.users AS u
                 JOIN auth.organization_memberships AS m ON m.user_id OPERATOR(pg_catalog.=) u.id
             WHERE pg_catalog.lower(u.email COLLATE "C") OPERATOR(pg_catalog.=) $2 AND m.organization_id OPERATOR(pg_catalog.=) $1
         ) AS p
         WHERE NOT EXISTS (SELECT FROM auth.directory_users AS own
             WHERE own.user_id OPERATOR(pg_catalog.=) p.id AND own.directory_id OPERATOR(pg_catalog.=) $3
                 AND own.idp_id IS DISTINCT FROM $4)
         GROUP BY p.id ORDER BY p.id"#,
        &[
            organization_id.into(),
            user.email.as_deref().into(),
            user.directory_id.as_str().into(),
            user.idp_id.as_deref().into(),
        ],
        |row| Ok((row.uuid(1)?, row.get::<bool>(2)?)),
    )?;
    let has_identity = found.iter().any(|(_, is_identity)| *is_identity);
    Ok(found.into_iter().filter(|(_, is_identity)| *is_identity || !has_identity).map(|(id, _)| id).collect())
}

/// The members of an organization who came by AuthKit with the address of a directory user, and whom its directories do not have by another row: other
/// accounts of the same person. Nobody where a row of this address is active.
pub fn others_of_address(user: &DirectoryUser, organization_id: &str) -> Result<Vec<Uuid>> {
    query::rows(
        r#"SELECT DISTINCT i.user_id FROM auth.identities AS i
             JOIN auth.organization_memberships AS m
                 ON m.user_id OPERATOR(pg_catalog.=) i.user_id AND m.organization_id OPERATOR(pg_catalog.=) $1
         WHERE i.provider OPERATOR(pg_catalog.=) 'authkit' AND pg_catalog.lower(i.email COLLATE "C") OPERATOR(pg_catalog.=) $2
             AND NOT EXISTS (SELECT FROM auth.directory_users AS own
                 WHERE own.user_id OPERATOR(pg_catalog.=) i.user_id AND own.organization_id OPERATOR(pg_catalog.=) $1)
             AND NOT EXISTS (SELECT FROM auth.directory_users AS a
                 WHERE a.organization_id OPERATOR(pg_catalog.=) $1 AND a.email OPERATOR(pg_catalog.=) $2
                     AND a.state OPERATOR(pg_catalog.=) 'active')
         ORDER BY i.user_id"#,
        &[organization_id.into(), user.email.as_deref().into()],
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

/// The rows that somebody who signs in could be stay as they are until the end of the transaction, so that whoever removes one finds what came of
/// the sign-in.
pub fn lock(organization_id: &str, idp_id: Option<&str>, email: &str) -> Result<()> {
    query::rows(
        "SELECT true FROM auth.directory_users AS d
         WHERE d.organization_id OPERATOR(pg_catalog.=) $1 AND (d.idp_id OPERATOR(pg_catalog.=) $2 OR d.email OPERATOR(pg_catalog.=) $3)
         ORDER BY d.id FOR SHARE",
        &[organization_id.into(), idp_id.into(), email.into()],
        |row| row.get::<bool>(1),
    )
    .map(drop)
}

/// Says of the directory users whom somebody who signs in is, that they are this person: first by the id, then by the address.
pub fn claim(user_id: Uuid, organization_id: &str, idp_id: Option<&str>, email: &str) -> Result<()> {
    let arguments = [uuid_arg(user_id), organization_id.into(), idp_id.into(), email.into()];
    for sql in [CLAIM_BY_ID, CLAIM_BY_ADDRESS] {
        query::execute(sql, &arguments)?;
    }
    Ok(())
}

/// Where the id stands for several, only the one with the address.
const CLAIM_BY_ID: &str = "UPDATE auth.directory_users AS d SET user_id = $1
     WHERE d.organization_id OPERATOR(pg_catalog.=) $2 AND d.idp_id OPERATOR(pg_catalog.=) $3 AND d.user_id IS DISTINCT FROM $1
         AND (d.email OPERATOR(pg_catalog.=) $4
             OR NOT EXISTS (SELECT FROM auth.identities AS i
                 WHERE i.organization_id OPERATOR(pg_catalog.=) $2 AND i.idp_id OPERATOR(pg_catalog.=) $3 AND i.user_id OPERATOR(pg_catalog.<>) $1)
             AND NOT EXISTS (SELECT FROM auth.directory_users AS other
                 WHERE other.organization_id OPERATOR(pg_catalog.=) $2 AND other.idp_id OPERATOR(pg_catalog.=) $3
                     AND other.directory_id OPERATOR(pg_catalog.<>) d.directory_id AND other.email IS DISTINCT FROM d.email))";

/// Not where this person is another directory user of the same directory. From somebody else only where the address is no longer theirs, and the id
/// is not.
const CLAIM_BY_ADDRESS: &str = r#"UPDATE auth.directory_users AS d SET user_id = $1
     WHERE d.organization_id OPERATOR(pg_catalog.=) $2 AND d.email OPERATOR(pg_catalog.=) $4 AND d.user_id IS DISTINCT FROM $1
         AND ($3 IS NULL OR d.idp_id IS DISTINCT FROM $3)
         AND NOT EXISTS (SELECT FROM auth.directory_users AS own
             WHERE own.user_id OPERATOR(pg_catalog.=) $1 AND own.directory_id OPERATOR(pg_catalog.=) d.directory_id
                 AND own.idp_id IS DISTINCT FROM d.idp_id)
         AND (d.user_id IS NULL
             OR d.state OPERATOR(pg_catalog.=) 'active'
             AND EXISTS (SELECT FROM auth.users AS u
                 WHERE u.id OPERATOR(pg_catalog.=) $1 AND pg_catalog.lower(u.email COLLATE "C") OPERATOR(pg_catalog.=) $4)
             AND NOT EXISTS (SELECT FROM auth.identities AS i
                 WHERE i.user_id OPERATOR(pg_catalog.=) d.user_id AND i.organization_id OPERATOR(pg_catalog.=) $2
                     AND i.idp_id OPERATOR(pg_catalog.=) d.idp_id))"#;

/// What one account was, another one is, into which it is merged.
pub fn hand_over(from: Uuid, into: Uuid) -> Result<()> {
    query::execute(
        "UPDATE auth.directory_users SET user_id = $2 WHERE user_id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(from), uuid_arg(into)],
    )
    .map(drop)
}
