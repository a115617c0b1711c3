//! What is written where accounts become one and identities move; and who else references a user.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;
use uuid::Uuid;
use workos_auth_core::Result;

use super::{query, spi, uuid_arg};
use crate::error::unexpected;
use crate::postgres::roles::reading_as_owner;

/// An identity is of another organization. What its profile said stays until it signs in.
pub fn set_organization(identity_id: Uuid, organization_id: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.identities SET organization_id = $2, updated_at = pg_catalog.now() WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(identity_id), organization_id.into()],
    )
    .map(drop)
}

/// Locks two users in the order in which a sign-in locks several. Nobody references them meanwhile who has not done so.
pub fn lock_both(one: Uuid, other: Uuid) -> Result<()> {
    query::execute(
        "SELECT FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1 OR id OPERATOR(pg_catalog.=) $2 ORDER BY created_at, id FOR UPDATE",
        &[uuid_arg(one), uuid_arg(other)],
    )
    .map(drop)
}

/// Whether a user is an anonymous one.
pub fn is_anonymous(user_id: Uuid) -> Result<bool> {
    let found = query::row(
        "SELECT is_anonymous FROM auth.users WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(user_id)],
        |row| row.get(1),
    )?;
    Ok(found.unwrap_or(false))
}

/// Says how many.
pub fn hand_over_identities(from: Uuid, into: Uuid) -> Result<u64> {
    query::execute(
        "UPDATE auth.identities SET user_id = $2, updated_at = pg_catalog.now() WHERE user_id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(from), uuid_arg(into)],
    )
}

/// Of an organization that both belong to, what is said of `into` counts. Says how many came.
pub fn hand_over_memberships(from: Uuid, into: Uuid) -> Result<u64> {
    query::execute(
        "INSERT INTO auth.organization_memberships
             (organization_id, user_id, role, roles, groups, permissions, custom_attributes, created_at)
         SELECT organization_id, $2, role, roles, groups, permissions, custom_attributes, created_at
         FROM auth.organization_memberships WHERE user_id OPERATOR(pg_catalog.=) $1
         ON CONFLICT (organization_id, user_id) DO NOTHING",
        &[uuid_arg(from), uuid_arg(into)],
    )
}

/// What a user who goes leaves to the other.
pub struct Kept {
    /// Whether the other is banned from now on.
    pub is_banned: bool,
    email: Option<String>,
    email_confirmed_at: Option<TimestampWithTimeZone>,
    phone: Option<String>,
    phone_confirmed_at: Option<TimestampWithTimeZone>,
}

/// Writes what two users were into one of them: the later ban counts. Addresses are unique, and come when the other is gone.
pub fn absorb(from: Uuid, into: Uuid) -> Result<Kept> {
    query::row(
        "UPDATE auth.users AS i
         SET banned_until = GREATEST(i.banned_until, f.banned_until), is_sso_user = i.is_sso_user OR f.is_sso_user,
             last_sign_in_at = GREATEST(i.last_sign_in_at, f.last_sign_in_at), updated_at = pg_catalog.now()
         FROM auth.users AS f
         WHERE i.id OPERATOR(pg_catalog.=) $2 AND f.id OPERATOR(pg_catalog.=) $1
         RETURNING coalesce(i.banned_until OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp(), false),
             f.email, f.email_confirmed_at, f.phone, f.phone_confirmed_at",
        &[uuid_arg(from), uuid_arg(into)],
        |row| {
            Ok(Kept {
                is_banned: row.get(1)?,
                email: row.nullable(2)?,
                email_confirmed_at: row.nullable(3)?,
                phone: row.nullable(4)?,
                phone_confirmed_at: row.nullable(5)?,
            })
        },
    )?
    .ok_or_else(|| unexpected("Two users were locked, and one of them is gone."))
}

/// The addresses of a user who is gone, where the other has none.
pub fn take_addresses(into: Uuid, kept: &Kept) -> Result<()> {
    query::execute(
        "UPDATE auth.users
         SET email = coalesce(email, $2), email_confirmed_at = CASE WHEN email IS NULL THEN $3 ELSE email_confirmed_at END,
             phone = coalesce(phone, $4), phone_confirmed_at = CASE WHEN phone IS NULL THEN $5 ELSE phone_confirmed_at END
         WHERE id OPERATOR(pg_catalog.=) $1",
        &[
            uuid_arg(into),
            kept.email.as_deref().into(),
            kept.email_confirmed_at.into(),
            kept.phone.as_deref().into(),
            kept.phone_confirmed_at.into(),
        ],
    )
    .map(drop)
}

/// A foreign key of a table of others.
struct Reference {
    owner: pg_sys::Oid,
    /// Asks whether a row of the table references the user, or a membership of theirs.
    question: String,
    /// The table and its columns.
    name: String,
}

/// The tables of others that have rows which would go with a user, or keep them: by a foreign key to the user's row, or to a membership.
///
/// Each is asked as Postgres itself asks for a foreign key: with the rights of the table's owner, past its policies.
pub fn tables_that_reference(user_id: Uuid) -> Result<Vec<String>> {
    let mut tables = Vec::new();
    for reference in references(user_id)? {
        if reading_as_owner(reference.owner, || spi::holds(&reference.question))? {
            tables.push(reference.name);
        }
    }
    Ok(tables)
}

fn references(user_id: Uuid) -> Result<Vec<Reference>> {
    query::rows(
        "WITH gone (relation, data) AS (
             SELECT 'auth.users'::pg_catalog.regclass, pg_catalog.to_jsonb(u)
             FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) $1
             UNION ALL
             SELECT 'auth.organization_memberships'::pg_catalog.regclass, pg_catalog.to_jsonb(m)
             FROM auth.organization_memberships AS m WHERE m.user_id OPERATOR(pg_catalog.=) $1
         )
         SELECT r.relowner,
             pg_catalog.format('SELECT EXISTS (SELECT FROM %s%I.%I AS t WHERE %s)',
                 CASE WHEN r.relkind OPERATOR(pg_catalog.=) 'p' THEN '' ELSE 'ONLY ' END, n.nspname, r.relname,
                 pg_catalog.string_agg(pg_catalog.format('(%s)', k.condition), ' OR ')),
             pg_catalog.format('%I.%I (%s)', n.nspname, r.relname, pg_catalog.min(k.columns))
         FROM pg_catalog.pg_constraint AS c
             JOIN gone AS g ON g.relation OPERATOR(pg_catalog.=) c.confrelid
             JOIN pg_catalog.pg_class AS r ON r.oid OPERATOR(pg_catalog.=) c.conrelid
             JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) r.relnamespace
             CROSS JOIN LATERAL (
                 SELECT pg_catalog.string_agg(pg_catalog.format('t.%I OPERATOR(pg_catalog.=) %L::%s', a.attname,
                         g.data OPERATOR(pg_catalog.->>) b.attname::pg_catalog.text, pg_catalog.format_type(b.atttypid, b.atttypmod)), ' AND '),
                     pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ')
                 FROM ROWS FROM (pg_catalog.unnest(c.conkey), pg_catalog.unnest(c.confkey)) AS pair (own, theirs)
                     JOIN pg_catalog.pg_attribute AS a
                         ON a.attrelid OPERATOR(pg_catalog.=) c.conrelid AND a.attnum OPERATOR(pg_catalog.=) pair.own
                     JOIN pg_catalog.pg_attribute AS b
                         ON b.attrelid OPERATOR(pg_catalog.=) c.confrelid AND b.attnum OPERATOR(pg_catalog.=) pair.theirs
             ) AS k (condition, columns)
         WHERE c.contype OPERATOR(pg_catalog.=) 'f' AND c.conparentid OPERATOR(pg_catalog.=) 0::pg_catalog.oid AND NOT EXISTS (
             SELECT FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid OPERATOR(pg_catalog.=) d.refobjid
             WHERE d.classid OPERATOR(pg_catalog.=) 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid OPERATOR(pg_catalog.=) r.oid
                 AND d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_extension'::pg_catalog.regclass
                 AND e.extname OPERATOR(pg_catalog.=) 'workos_auth')
         GROUP BY c.oid, r.relowner, r.relkind, n.nspname, r.relname
         ORDER BY 3",
        &[uuid_arg(user_id)],
        |row| Ok(Reference { owner: row.get(1)?, question: row.get(2)?, name: row.get(3)? }),
    )
}
