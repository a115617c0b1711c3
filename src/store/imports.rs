//! What `auth.import_supabase` writes. Nothing that is here already is changed, but for an invitation.

use pgrx::JsonB;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::import::{ImportedIdentity, ImportedUser};
use workos_auth_core::{ErrorCode, Result};

use super::{pg_uuid, query, uuid_arg};

/// Writes a user who is not here. `row` is Supabase's, whose times are kept. Address and phone are left out if somebody has them.
pub fn insert_user(user: &ImportedUser, row: &Value, email: Option<&str>) -> Result<()> {
    let insert = |email: Option<&str>, phone: Option<&str>| {
        query::execute(
            "INSERT INTO auth.users (id, aud, role, email, phone, raw_app_meta_data, raw_user_meta_data, is_sso_user, is_anonymous,
                 email_confirmed_at, phone_confirmed_at, invited_at, last_sign_in_at, banned_until, deleted_at, created_at, updated_at)
             SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9,
                 CASE WHEN $4 IS NOT NULL THEN r.email_confirmed_at END, CASE WHEN $5 IS NOT NULL THEN r.phone_confirmed_at END,
                 r.invited_at, r.last_sign_in_at, r.banned_until, r.deleted_at,
                 coalesce(r.created_at, pg_catalog.now()), coalesce(r.updated_at, pg_catalog.now())
             FROM pg_catalog.jsonb_to_record($10) AS r (
                 email_confirmed_at pg_catalog.timestamptz, phone_confirmed_at pg_catalog.timestamptz, invited_at pg_catalog.timestamptz,
                 last_sign_in_at pg_catalog.timestamptz, banned_until pg_catalog.timestamptz, deleted_at pg_catalog.timestamptz,
                 created_at pg_catalog.timestamptz, updated_at pg_catalog.timestamptz)
             ON CONFLICT DO NOTHING",
            &[
                uuid_arg(user.id),
                user.audience.as_str().into(),
                user.role.as_str().into(),
                email.into(),
                phone.into(),
                JsonB(user.app_metadata.clone()).into(),
                JsonB(user.user_metadata.clone()).into(),
                user.is_sso_user.into(),
                user.is_anonymous.into(),
                JsonB(row.clone()).into(),
            ],
        )
    };
    let phone = user.phone.as_deref();
    for (email, phone) in [(email, phone), (email, None), (None, None)] {
        if insert(email, phone)? == 1 {
            return Ok(());
        }
    }
    // Another import was ahead.
    Err(ErrorCode::UserAlreadyExists.into())
}

/// Writes an identity that is not here. False if its id is another's.
pub fn insert_identity(user_id: Uuid, identity: &ImportedIdentity) -> Result<bool> {
    let written = query::execute(
        "INSERT INTO auth.identities (id, user_id, provider, provider_id, organization_id, connection_id, identity_data,
             last_sign_in_at, created_at, updated_at)
         SELECT coalesce($1, pg_catalog.gen_random_uuid()), $2, 'workos', $3, $4, $5, $6,
             r.last_sign_in_at, coalesce(r.created_at, pg_catalog.now()), coalesce(r.updated_at, pg_catalog.now())
         FROM pg_catalog.jsonb_to_record($7) AS r (
             last_sign_in_at pg_catalog.timestamptz, created_at pg_catalog.timestamptz, updated_at pg_catalog.timestamptz)
         ON CONFLICT DO NOTHING",
        &[
            pg_uuid(identity.id).into(),
            uuid_arg(user_id),
            identity.provider_id.as_str().into(),
            identity.organization_id.as_deref().into(),
            identity.connection_id.as_deref().into(),
            JsonB(identity.data.clone()).into(),
            JsonB(identity.row.clone()).into(),
        ],
    )?;
    Ok(written == 1)
}

/// Makes the user a member of an organization that is known, unless they are one.
pub fn insert_membership(organization_id: &str, user_id: Uuid) -> Result<()> {
    query::execute(
        "INSERT INTO auth.organization_memberships (organization_id, user_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &[organization_id.into(), uuid_arg(user_id)],
    )
    .map(drop)
}

/// The organization that vouches for a domain, if exactly one does.
pub fn organization_of_domain(domain: &str) -> Result<Option<String>> {
    query::row(
        "SELECT pg_catalog.min(d.organization_id) FROM auth.organization_domains AS d
         WHERE d.domain OPERATOR(pg_catalog.=) $1 HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) 1",
        &[domain.into()],
        |row| row.get(1),
    )
}

/// The first profile with the user's address, of an organization that they belong to, signs in to this account.
pub fn invite(user_id: Uuid) -> Result<()> {
    query::execute(
        "UPDATE auth.users SET invited_at = pg_catalog.now(), email_confirmed_at = NULL WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(user_id)],
    )
    .map(drop)
}
