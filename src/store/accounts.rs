//! `users`, `identities`, `organizations`, `organization_domains`, `organization_memberships`.

use pgrx::JsonB;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::accounts::{AUTHKIT, Candidate, KnownIdentity};
use workos_auth_core::workos::Profile;
use workos_auth_core::{Error, ErrorCode, Result};

use super::sessions::StoredSession;
use super::{query, scan, sign_up_triggers, users, uuid_arg};
use crate::postgres::snapshot::Snapshot;
use crate::settings::{self, Deprovision};

fn identity(row: &scan::ScannedRow) -> Result<KnownIdentity> {
    Ok(KnownIdentity {
        id: row.required_uuid(c"id")?,
        user_id: row.required_uuid(c"user_id")?,
        provider: row.required(c"provider")?,
        provider_id: row.required(c"provider_id")?,
        organization_id: row.get(c"organization_id"),
        connection_id: row.get(c"connection_id"),
        idp_id: row.get(c"idp_id"),
        // One without an address is nobody's sign-in, and matches none.
        email: row.get(c"email").unwrap_or_default(),
    })
}

/// The identity of a WorkOS profile.
pub fn identity_by_profile(profile_id: &str) -> Result<Option<KnownIdentity>> {
    scan::identity_by_profile(profile_id, &Snapshot::of_transaction(), identity).transpose()
}

/// The identity of whoever has come: of a profile, or of AuthKit's person.
pub fn identity_of(profile: &Profile) -> Result<Option<KnownIdentity>> {
    match profile.authkit {
        Some(_) => identity_of_subject(AUTHKIT, &profile.id),
        None => identity_by_profile(&profile.id),
    }
}

/// The identity of somebody at a trusted issuer, or of AuthKit's.
pub fn identity_of_subject(issuer: &str, subject: &str) -> Result<Option<KnownIdentity>> {
    scan::identity_of_subject(issuer, subject, &Snapshot::of_transaction(), identity).transpose()
}

/// Who of AuthKit opened a session; `None` where it began otherwise. A session of a connection did.
pub fn authkit_subject(session: &StoredSession) -> Result<Option<String>> {
    let Some(opened) = session.identity_id.filter(|_| session.connection_id.is_none()) else { return Ok(None) };
    let identities = identities_of(session.user_id, &Snapshot::now())?;
    let found = identities.into_iter().find(|identity| identity.id == opened && identity.provider == AUTHKIT);
    Ok(found.map(|identity| identity.provider_id))
}

/// Writes the identity of somebody at a trusted issuer, or of AuthKit's: new, or as it is now.
pub fn upsert_identity_of_subject(user_id: Uuid, issuer: &str, subject: &str, data: Value) -> Result<Uuid> {
    query::row(
        "INSERT INTO auth.identities AS i (user_id, provider, provider_id, identity_data, last_sign_in_at)
         VALUES ($1, $2, $3, $4, pg_catalog.now())
         ON CONFLICT (provider, provider_id) DO UPDATE
         SET identity_data = excluded.identity_data, last_sign_in_at = pg_catalog.now(), updated_at = pg_catalog.now()
         RETURNING id",
        &[uuid_arg(user_id), issuer.into(), subject.into(), JsonB(data).into()],
        |row| row.uuid(1),
    )?
    .ok_or_else(|| crate::error::unexpected("An identity was not written."))
}

/// Makes somebody a member, without any rights there: what a token of a trusted issuer says of these counts for that token alone.
pub fn ensure_membership(user_id: Uuid, organization_id: &str) -> Result<()> {
    query::execute(
        "INSERT INTO auth.organization_memberships AS m (organization_id, user_id) VALUES ($1, $2)
         ON CONFLICT (organization_id, user_id) DO NOTHING",
        &[organization_id.into(), uuid_arg(user_id)],
    )
    .map(drop)
}

/// An identity.
pub fn identity_by_id(id: Uuid) -> Result<Option<KnownIdentity>> {
    query::row(
        "SELECT user_id, provider, provider_id, organization_id, connection_id, idp_id, email FROM auth.identities
         WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(id)],
        |row| {
            Ok(KnownIdentity {
                id,
                user_id: row.uuid(1)?,
                provider: row.get(2)?,
                provider_id: row.get(3)?,
                organization_id: row.nullable(4)?,
                connection_id: row.nullable(5)?,
                idp_id: row.nullable(6)?,
                email: row.nullable(7)?.unwrap_or_default(),
            })
        },
    )
}

/// Whether somebody has signed in through the organization, or an administrator has made it known.
pub fn knows_organization(id: &str) -> bool {
    scan::knows_organization(id, &Snapshot::of_transaction())
}

/// Users whom this e-mail address could mean, by an identity or by `users.email`; the oldest first. The address is already
/// ASCII-lower-case.
pub fn user_ids_by_email(email: &str) -> Result<Vec<Uuid>> {
    query::rows(
        r#"SELECT u.id FROM auth.users AS u WHERE u.id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT user_id FROM auth.identities WHERE pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $1
             UNION ALL SELECT id FROM auth.users WHERE pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $1))
         ORDER BY u.created_at, u.id"#,
        &[email.into()],
        |row| row.uuid(1),
    )
}

/// The user who holds this address in `users.email`.
pub fn email_holder(email: &str) -> Result<Option<Uuid>> {
    query::row(
        r#"SELECT id FROM auth.users WHERE pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $1"#,
        &[email.into()],
        |row| row.uuid(1),
    )
}

fn identities_of(user_id: Uuid, snapshot: &Snapshot) -> Result<Vec<KnownIdentity>> {
    let dated = |row: &scan::ScannedRow| Ok((row.micros(c"created_at"), identity(row)?));
    let mut identities = scan::identities(user_id, snapshot, dated).into_iter().collect::<Result<Vec<_>>>()?;
    identities.sort_unstable_by_key(|(created_at, identity)| (*created_at, identity.id));
    Ok(identities.into_iter().map(|(_, identity)| identity).collect())
}

/// A user with all their identities, the oldest first, as the decision needs them. Locks nothing.
pub fn candidate(user_id: Uuid) -> Result<Option<Candidate>> {
    let snapshot = Snapshot::of_transaction();
    let user = scan::user(user_id, &snapshot, |row| Candidate {
        user_id,
        email: row.get(c"email"),
        banned: users::is_banned(row),
        deleted: users::is_deleted(row),
        invited: row.micros(c"invited_at").is_some() && row.micros(c"email_confirmed_at").is_none(),
        memberships: Vec::new(),
        identities: Vec::new(),
    });
    let Some(user) = user else { return Ok(None) };
    let memberships = scan::organizations_of(user_id, &snapshot);
    Ok(Some(Candidate { memberships, identities: identities_of(user_id, &snapshot)?, ..user }))
}

/// The same of a user whose row stays locked, so that the decision holds until it is carried out: a ban or a deletion is seen here, or waits
/// and finds the session that came of it.
pub fn lock_candidate(user_id: Uuid) -> Result<Option<Candidate>> {
    match users::lock(user_id)? {
        true => candidate(user_id),
        false => Ok(None),
    }
}

/// Whether somebody is a member of an organization. The row stays locked until the end of the transaction: who takes it away by hand waits, and
/// finds what came of it.
pub fn lock_membership(user_id: Uuid, organization_id: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.organization_memberships AS m
         WHERE m.organization_id OPERATOR(pg_catalog.=) $1 AND m.user_id OPERATOR(pg_catalog.=) $2 FOR SHARE",
        &[organization_id.into(), uuid_arg(user_id)],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// Whether the organization vouches for a domain.
pub fn organization_has_domain(organization_id: &str, domain: &str) -> bool {
    scan::organization_has_domain(organization_id, domain, &Snapshot::of_transaction())
}

/// Makes an organization known as one of WorkOS. Written once, so that sign-ins of colleagues do not wait for each other.
///
/// # Errors
/// `organization_of_another_issuer`
pub fn ensure_organization(id: &str) -> Result<()> {
    if !knows_organization(id) {
        query::execute("INSERT INTO auth.organizations (id) VALUES ($1) ON CONFLICT DO NOTHING", &[id.into()])?;
    }
    require_issuer(id, None)
}

/// The same as one of a trusted issuer's; without the issuer, of WorkOS.
///
/// # Errors
/// As above.
pub fn ensure_organization_of(id: &str, issuer: Option<&str>) -> Result<()> {
    let Some(issuer) = issuer else { return ensure_organization(id) };
    if !knows_organization(id) {
        query::execute(
            "INSERT INTO auth.organizations (id, issuer) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &[id.into(), issuer.into()],
        )?;
    }
    require_issuer(id, Some(issuer))
}

/// Says whose an organization is; says how many. One that is not WorkOS's asks for no single sign-on of it.
pub fn assign_organization(id: &str, issuer: Option<&str>) -> Result<u64> {
    query::execute(
        "UPDATE auth.organizations SET issuer = $2, require_sso = require_sso AND $2 IS NULL WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into(), issuer.into()],
    )
}

/// The organization of WorkOS that alone vouches for a domain, by an administrator's word or by WorkOS's, which has verified it.
pub fn organization_to_sign_in(domain: &str) -> Result<Option<String>> {
    if scan::has_mirror() {
        return query::row(
            "SELECT pg_catalog.min(d.organization_id) FROM auth.organization_domains AS d
             JOIN auth.organizations AS o ON o.id OPERATOR(pg_catalog.=) d.organization_id
             WHERE d.domain OPERATOR(pg_catalog.=) $1 AND o.deleted_at IS NULL
                 AND (d.state IS NULL OR d.state OPERATOR(pg_catalog.=) ANY (ARRAY['verified', 'legacy_verified']))
             HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) 1 AND pg_catalog.bool_and(o.issuer IS NULL)",
            &[domain.into()],
            |row| row.get(1),
        );
    }
    query::row(
        "SELECT pg_catalog.min(d.organization_id) FROM auth.organization_domains AS d
         JOIN auth.organizations AS o ON o.id OPERATOR(pg_catalog.=) d.organization_id
         WHERE d.domain OPERATOR(pg_catalog.=) $1
         HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) 1 AND pg_catalog.bool_and(o.issuer IS NULL)",
        &[domain.into()],
        |row| row.get(1),
    )
}

/// Says whether an organization asks for single sign-on; says how many.
pub fn require_sso(id: &str, required: bool) -> Result<u64> {
    query::execute(
        "UPDATE auth.organizations SET require_sso = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[id.into(), required.into()],
    )
}

/// Keeps an organization as it is until the end of the transaction, so that what was seen of it holds for what comes of it.
pub fn lock_organization(id: &str) -> Result<()> {
    query::row(
        "SELECT true FROM auth.organizations AS o WHERE o.id OPERATOR(pg_catalog.=) $1 FOR SHARE",
        &[id.into()],
        |row| row.get::<bool>(1),
    )
    .map(drop)
}

/// Refuses what would be a session of an organization without a sign-in through it, where it asks for that.
///
/// # Errors
/// `sso_required`
pub fn refuse_without_sso(id: &str) -> Result<()> {
    match scan::organization_requires_sso(id) {
        true => Err(ErrorCode::SsoRequired.into()),
        false => Ok(()),
    }
}

/// Refuses an organization that WorkOS has deleted.
///
/// # Errors
/// `member_removed`
pub fn refuse_deleted(id: &str) -> Result<()> {
    if !scan::has_mirror() || settings::deprovision() == Deprovision::Off {
        return Ok(());
    }
    let detail = match (scan::organization_is_deleted(id), scan::was_removed(id)) {
        (true, _) => "auth.organizations.deleted_at is set.",
        (false, true) => "auth.workos_removals has the row.",
        (false, false) => return Ok(()),
    };
    Err(Error::with_detail(ErrorCode::MemberRemoved, detail))
}

/// Refuses a person of AuthKit whom WorkOS has deleted.
///
/// # Errors
/// `member_removed`
pub fn refuse_deleted_subject(subject: &str) -> Result<()> {
    match scan::has_mirror() && settings::deprovision() != Deprovision::Off && scan::was_removed(subject) {
        true => Err(Error::with_detail(ErrorCode::MemberRemoved, "auth.workos_removals has the row.")),
        false => Ok(()),
    }
}

/// Refuses a token of a person of AuthKit whose account here, by a sign-in through AuthKit, is banned, or has left the organization by its
/// directories: the token may lead to another account.
///
/// # Errors
/// `user_banned`, `member_removed`
pub fn refuse_account_of_subject(subject: &str, organization: Option<&str>) -> Result<()> {
    let Some(user_id) = scan::owner_of_subject(AUTHKIT, subject) else { return Ok(()) };
    if scan::user_now(user_id, users::is_banned) == Some(true) {
        return Err(ErrorCode::UserBanned.into());
    }
    let counts = scan::has_mirror() && settings::deprovision() != Deprovision::Off;
    let Some(organization) = organization.filter(|_| counts) else { return Ok(()) };
    let states = scan::directory_users_of(user_id, organization);
    match states.is_empty() || states.contains(&true) {
        true => Ok(()),
        false => Err(Error::with_detail(ErrorCode::MemberRemoved, "auth.directory_users has the row.")),
    }
}

/// One issuer never speaks for the organization of another; without an issuer it is WorkOS that speaks.
///
/// # Errors
/// `organization_of_another_issuer`
pub fn require_issuer(id: &str, issuer: Option<&str>) -> Result<()> {
    match scan::organization_is_of(id, issuer) {
        true => Ok(()),
        false => Err(ErrorCode::OrganizationOfAnotherIssuer.into()),
    }
}

/// A new user. The address is left out if somebody took it meanwhile.
pub fn insert_user(id: Uuid, email: Option<&str>, is_sso_user: bool, app: Value, user: Value) -> Result<()> {
    let sql = r#"INSERT INTO auth.users (id, email, email_confirmed_at, is_sso_user, raw_app_meta_data, raw_user_meta_data)
         VALUES ($1, $2, CASE WHEN $2 IS NULL THEN NULL ELSE pg_catalog.now() END, $3, $4, $5)
         ON CONFLICT (pg_catalog.lower(email COLLATE "C")) DO NOTHING"#;
    let insert = |email: Option<&str>| {
        query::execute(
            sql,
            &[uuid_arg(id), email.into(), is_sso_user.into(), JsonB(app.clone()).into(), JsonB(user.clone()).into()],
        )
    };
    match email {
        Some(_) if insert(email)? > 0 => Ok(()),
        _ => sign_up_triggers::explained(|| insert(None)).map(drop),
    }
}

/// Sets or releases `users.email`. The address stays as it is if another account holds it.
pub fn set_user_email(user_id: Uuid, email: Option<&str>) -> Result<()> {
    query::execute(
        r#"UPDATE auth.users AS u
         SET email = $2, email_confirmed_at = CASE WHEN $2 IS NULL THEN NULL ELSE pg_catalog.now() END,
             updated_at = pg_catalog.now()
         WHERE u.id OPERATOR(pg_catalog.=) $1 AND NOT EXISTS (
             SELECT FROM auth.users AS other
             WHERE pg_catalog.lower(other.email COLLATE "C") OPERATOR(pg_catalog.=) $2 AND other.id OPERATOR(pg_catalog.<>) $1)"#,
        &[uuid_arg(user_id), email.into()],
    )
    .map(drop)
}

/// A profile has become an identity of somebody who was there before: what speaks for the address is confirmed by it, and `provider` is one
/// of the account's from now on.
pub fn mark_linked(user_id: Uuid, email: &str, provider: &str) -> Result<()> {
    query::execute(
        r#"UPDATE auth.users
         SET email_confirmed_at = CASE
                 WHEN pg_catalog.lower(email COLLATE "C") OPERATOR(pg_catalog.=) $2 THEN coalesce(email_confirmed_at, pg_catalog.now())
                 ELSE email_confirmed_at END,
             raw_app_meta_data = CASE
                 WHEN pg_catalog.jsonb_typeof(raw_app_meta_data) OPERATOR(pg_catalog.<>) 'object'
                     OR (raw_app_meta_data OPERATOR(pg_catalog.->) 'providers') OPERATOR(pg_catalog.?) $3 THEN raw_app_meta_data
                 WHEN pg_catalog.jsonb_typeof(raw_app_meta_data OPERATOR(pg_catalog.->) 'providers') OPERATOR(pg_catalog.=) 'array'
                     THEN pg_catalog.jsonb_insert(raw_app_meta_data, '{providers,-1}', pg_catalog.to_jsonb($3), true)
                 ELSE pg_catalog.jsonb_set(raw_app_meta_data, '{providers}', pg_catalog.jsonb_build_array($3)) END
         WHERE id OPERATOR(pg_catalog.=) $1"#,
        &[uuid_arg(user_id), email.into(), provider.into()],
    )
    .map(drop)
}

/// A sign-in changes what the person's profile says; members that others wrote stay, and so does what somebody made of it that has none:
/// a list would grow at every sign-in.
///
/// A name is the person's own where it is not what one of their identities said last: it stays as it is. To be called before the identity is
/// written.
pub fn record_sign_in(user_id: Uuid, user_metadata: Value) -> Result<()> {
    query::execute(
        "UPDATE auth.users AS u
         SET last_sign_in_at = pg_catalog.now(), updated_at = pg_catalog.now(),
             raw_user_meta_data = CASE WHEN pg_catalog.jsonb_typeof(u.raw_user_meta_data) OPERATOR(pg_catalog.=) 'object'
                 THEN u.raw_user_meta_data OPERATOR(pg_catalog.||) ($2 OPERATOR(pg_catalog.-) ARRAY(
                     SELECT n.name FROM (VALUES ('name'), ('full_name')) AS n (name)
                     WHERE u.raw_user_meta_data OPERATOR(pg_catalog.?) n.name AND NOT EXISTS (
                         SELECT FROM auth.identities AS i WHERE i.user_id OPERATOR(pg_catalog.=) u.id
                             AND i.identity_data OPERATOR(pg_catalog.->) n.name
                                 OPERATOR(pg_catalog.=) (u.raw_user_meta_data OPERATOR(pg_catalog.->) n.name))))
                 ELSE u.raw_user_meta_data END
         WHERE u.id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(user_id), JsonB(user_metadata).into()],
    )
    .map(drop)
}

/// Writes the identity of a profile: new, or as it is now.
pub fn upsert_identity(user_id: Uuid, profile: &Profile, data: Value) -> Result<Uuid> {
    query::row(
        "INSERT INTO auth.identities AS i (user_id, provider, provider_id, organization_id, connection_id, connection_type,
             idp_id, identity_data, last_sign_in_at)
         VALUES ($1, 'workos', $2, $3, $4, $5, $6, $7, pg_catalog.now())
         ON CONFLICT (provider, provider_id) DO UPDATE
         SET connection_id = excluded.connection_id, connection_type = excluded.connection_type, idp_id = excluded.idp_id,
             identity_data = excluded.identity_data, last_sign_in_at = pg_catalog.now(), updated_at = pg_catalog.now()
         RETURNING id",
        &[
            uuid_arg(user_id),
            profile.id.as_str().into(),
            profile.organization_id.as_deref().into(),
            profile.connection_id.as_deref().into(),
            profile.connection_type.as_deref().into(),
            profile.idp_id.as_deref().into(),
            JsonB(data).into(),
        ],
        |row| row.uuid(1),
    )?
    .ok_or_else(|| crate::error::unexpected("An identity was not written."))
}

/// What somebody is in an organization.
pub struct Granted {
    /// the role
    pub role: Option<String>,
    /// all of them
    pub roles: Vec<String>,
    /// their groups
    pub groups: Vec<String>,
}

/// Writes what WorkOS says of a member, where anything changed. Permissions stay as they are where it says nothing of them.
pub fn upsert_membership(organization_id: &str, user_id: Uuid, profile: &Profile, granted: &Granted) -> Result<()> {
    query::execute(
        "INSERT INTO auth.organization_memberships AS m (organization_id, user_id, role, roles, groups, custom_attributes, permissions)
         VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, '{}'))
         ON CONFLICT (organization_id, user_id) DO UPDATE
         SET role = excluded.role, roles = excluded.roles, groups = excluded.groups,
             custom_attributes = excluded.custom_attributes, permissions = coalesce($7, m.permissions), updated_at = pg_catalog.now()
         WHERE m.permissions OPERATOR(pg_catalog.<>) coalesce($7, m.permissions) OR m.roles OPERATOR(pg_catalog.<>) excluded.roles OR m.groups OPERATOR(pg_catalog.<>) excluded.groups
             OR m.custom_attributes OPERATOR(pg_catalog.<>) excluded.custom_attributes
             OR NOT coalesce(m.role OPERATOR(pg_catalog.=) excluded.role, m.role IS NULL AND excluded.role IS NULL)",
        &[
            organization_id.into(),
            uuid_arg(user_id),
            granted.role.as_deref().into(),
            granted.roles.clone().into(),
            granted.groups.clone().into(),
            JsonB(profile.custom_attributes.0.clone()).into(),
            profile.permissions.clone().into(),
        ],
    )
    .map(drop)
}

/// Writes what AuthKit says of a member, where anything changed. It says nothing of groups and attributes, which stay.
pub fn upsert_authkit_membership(
    organization_id: &str,
    user_id: Uuid,
    profile: &Profile,
    granted: &Granted,
) -> Result<()> {
    query::execute(
        "INSERT INTO auth.organization_memberships AS m (organization_id, user_id, role, roles, permissions)
         VALUES ($1, $2, $3, $4, coalesce($5, '{}'))
         ON CONFLICT (organization_id, user_id) DO UPDATE
         SET role = excluded.role, roles = excluded.roles, permissions = excluded.permissions, updated_at = pg_catalog.now()
         WHERE m.permissions OPERATOR(pg_catalog.<>) excluded.permissions OR m.roles OPERATOR(pg_catalog.<>) excluded.roles
             OR NOT coalesce(m.role OPERATOR(pg_catalog.=) excluded.role, m.role IS NULL AND excluded.role IS NULL)",
        &[
            organization_id.into(),
            uuid_arg(user_id),
            granted.role.as_deref().into(),
            granted.roles.clone().into(),
            profile.permissions.clone().into(),
        ],
    )
    .map(drop)
}
