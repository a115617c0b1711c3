//! `sessions`, and what their tokens say of the person.

use std::time::Duration;

use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::Result;

use super::{RequestClient, Subject, pg_uuid, query, scan, users, uuid_arg};
use crate::error::unexpected;
use crate::postgres::clock::unix_seconds;
use crate::postgres::snapshot::Snapshot;

/// What the tags of a session's refresh tokens are made with.
#[derive(Debug, Clone)]
pub struct RefreshKey {
    /// the data key
    pub id: u32,
    /// the session's own salt
    pub salt: [u8; 16],
}

/// What a new row needs.
pub struct NewSession<'a> {
    /// chosen beforehand
    pub id: Uuid,
    /// whose it is
    pub user_id: Uuid,
    /// which identity signed in
    pub identity_id: Option<Uuid>,
    /// through which organization
    pub organization_id: Option<&'a str>,
    /// through which connection
    pub connection_id: Option<&'a str>,
    /// the identity's address
    pub email: Option<&'a str>,
    /// how (RFC 8176)
    pub amr: Value,
    /// none for a session that cannot be refreshed
    pub refresh_key: Option<RefreshKey>,
    /// who acts as the person
    pub actor: Option<&'a str>,
    /// the client's address, as `inet` prints it
    pub ip: Option<&'a str>,
    /// the client's User-Agent header
    pub user_agent: Option<&'a str>,
    /// how long it lasts at most
    pub ttl: Duration,
}

/// Writes a new session. It begins by the same clock as its first token, to the microsecond, so that the newest of a person's is known.
pub fn insert(session: &NewSession) -> Result<()> {
    let key = session.refresh_key.as_ref();
    query::execute(
        "INSERT INTO auth.sessions (id, user_id, identity_id, organization_id, connection_id, email, amr,
             refresh_token_key_id, refresh_token_salt, actor, ip, user_agent, created_at, not_after)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::pg_catalog.inet, $12, clock.now,
             clock.now OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $13)
         FROM (VALUES (GREATEST(pg_catalog.statement_timestamp(), pg_catalog.now()))) AS clock (now)",
        &[
            uuid_arg(session.id),
            uuid_arg(session.user_id),
            pg_uuid(session.identity_id).into(),
            session.organization_id.into(),
            session.connection_id.into(),
            session.email.into(),
            JsonB(session.amr.clone()).into(),
            key.map(|key| i64::from(key.id)).into(),
            key.map(|key| key.salt.as_slice()).into(),
            session.actor.into(),
            session.ip.into(),
            session.user_agent.into(),
            session.ttl.as_secs_f64().into(),
        ],
    )
    .map(drop)
}

/// Writes down which session of AuthKit's a session began with: its end there is known by that name.
pub fn name_authkit_session(id: Uuid, authkit_session_id: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.sessions SET authkit_session_id = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[uuid_arg(id), authkit_session_id.into()],
    )
    .map(drop)
}

/// What a session is from now on.
pub struct Moved<'a> {
    /// of which organization
    pub organization_id: &'a str,
    /// which session of AuthKit's goes on with it
    pub authkit_session_id: &'a str,
    /// how the person signed in (RFC 8176)
    pub amr: Value,
}

/// The session goes on in another organization: tokens that say the one before are stale from now on. False if the refresh token of `counter` is
/// not the newest, the person's rights changed since `row` was read, or the session has ended.
pub fn move_to(row: &StoredSession, counter: i64, moved: &Moved) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.sessions
         SET organization_id = $4, authkit_session_id = $5, amr = $6,
             claims_version = claims_version OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) $1 AND refresh_token_counter OPERATOR(pg_catalog.=) $2
             AND claims_version OPERATOR(pg_catalog.=) $3",
        &[
            uuid_arg(row.id),
            counter.into(),
            row.claims_version.into(),
            moved.organization_id.into(),
            moved.authkit_session_id.into(),
            JsonB(moved.amr.clone()).into(),
        ],
    )?;
    Ok(written == 1)
}

/// Which session of AuthKit's a session began with.
pub fn authkit_session(id: Uuid) -> Option<String> {
    scan::session(id, &Snapshot::now(), |row| row.get(c"authkit_session_id")).flatten()
}

/// How many sessions of AuthKit's are looked at.
const MOST_AUTHKIT_SESSIONS: i64 = 32;

/// With which sessions of AuthKit's a person's sessions began, the newest first; those that a session which stays began with are left out.
pub fn authkit_sessions(user_id: Uuid, scope: Scope) -> Result<Vec<String>> {
    let (only, but) = scope.ids();
    query::rows(
        "SELECT s.authkit_session_id FROM auth.sessions AS s
         WHERE s.user_id OPERATOR(pg_catalog.=) $1 AND s.authkit_session_id IS NOT NULL AND ($2 IS NULL OR s.id OPERATOR(pg_catalog.=) $2)
             AND NOT EXISTS (SELECT FROM auth.sessions AS own
                 WHERE own.id OPERATOR(pg_catalog.=) $3 AND own.authkit_session_id OPERATOR(pg_catalog.=) s.authkit_session_id)
         GROUP BY s.authkit_session_id ORDER BY pg_catalog.max(s.created_at) DESC LIMIT $4",
        &[uuid_arg(user_id), pg_uuid(only).into(), pg_uuid(but).into(), MOST_AUTHKIT_SESSIONS.into()],
        |row| row.get(1),
    )
}

/// Ends the sessions that began with a session of AuthKit's; says how many.
pub fn end_of_authkit_session(authkit_session_id: &str) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions WHERE authkit_session_id OPERATOR(pg_catalog.=) $1 ORDER BY id FOR UPDATE))",
        &[authkit_session_id.into()],
    )
}

/// A session with what its tokens say of the person.
pub struct StoredSession {
    /// its id
    pub id: Uuid,
    /// whose it is
    pub user_id: Uuid,
    /// which identity signed in
    pub identity_id: Option<Uuid>,
    /// of which organization
    pub organization_id: Option<String>,
    /// through which connection
    pub connection_id: Option<String>,
    /// the address of the identity that signed in
    pub email: Option<String>,
    /// how (RFC 8176)
    pub amr: Value,
    /// who acts as the person
    pub actor: Option<String>,
    /// rises with the person's rights
    pub claims_version: i64,
    /// none for a session that cannot be refreshed
    pub refresh_key: Option<RefreshKey>,
    /// what refreshing it is decided by
    pub refreshing: Refreshing,
    /// seconds since 1970
    pub created_at: i64,
    /// when it ends; seconds since 1970
    pub not_after: Option<i64>,
    /// `users`
    pub user: SessionUser,
    /// `organization_memberships`: empty without an organization
    pub member: SessionMember,
}

impl StoredSession {
    /// For the audit log.
    pub fn subject(&self) -> Subject<'_> {
        Subject::of_session(self.user_id, self.id, self.organization_id.as_deref(), self.connection_id.as_deref())
    }
}

/// What a refresh is decided by. Times are in Postgres's own microseconds.
pub struct Refreshing {
    /// `refresh_token_counter`
    pub counter: i64,
    /// `created_at`
    pub created_at: i64,
    /// `refreshed_at`
    pub refreshed_at: Option<i64>,
    /// `recoveries`
    pub recoveries: i16,
    /// `recovered_counter`
    pub recovered_counter: Option<i64>,
    /// `recovered_at`
    pub recovered_at: Option<i64>,
    /// `not_after`
    pub not_after: Option<i64>,
}

/// What the token says of a user.
#[derive(Default)]
pub struct SessionUser {
    /// the database role of their sessions
    pub role: String,
    /// `users.email`
    pub email: Option<String>,
    /// `users.phone`
    pub phone: Option<String>,
    /// Supabase's `app_metadata`
    pub app_metadata: Value,
    /// Supabase's `user_metadata`
    pub user_metadata: Value,
    /// anonymous accounts are not made here, but may be brought along
    pub is_anonymous: bool,
    /// in Postgres's own microseconds
    pub banned_until: Option<i64>,
    /// whether `deleted_at` is set
    pub is_deleted: bool,
}

/// What the token says of a member of the session's organization.
#[derive(Default)]
pub struct SessionMember {
    /// the role's slug
    pub role: Option<String>,
    /// all of them
    pub roles: Vec<String>,
    /// of the identity provider
    pub groups: Vec<String>,
    /// those of the roles that WorkOS has told of; else what a sign-in said, or whoever administers the database has written
    pub permissions: Vec<String>,
    /// the highest version that a role had
    pub roles_version: i64,
}

/// The session, its user, and their membership in its organization, as they are now, whatever snapshot the transaction keeps.
pub fn find(id: Uuid) -> Result<Option<StoredSession>> {
    let snapshot = Snapshot::now();
    let session = scan::session(id, &snapshot, |row| session_of(row, id)).transpose()?.flatten();
    let Some(session) = session else { return Ok(None) };
    let Some(user) = scan::user(session.user_id, &snapshot, user_of).transpose()? else { return Ok(None) };
    let member = session.organization_id.as_deref().and_then(|organization| {
        let member = scan::membership(session.user_id, organization, &snapshot, member_of)?;
        Some(with_permissions_of_roles(member, organization, &snapshot))
    });
    Ok(Some(StoredSession { user, member: member.unwrap_or_default(), ..session }))
}

/// A session whose user and member are still to be read. One on a database that only verifies may be nobody's.
fn session_of(row: &scan::ScannedRow, id: Uuid) -> Result<Option<StoredSession>> {
    let Some(user_id) = row.uuid(c"user_id") else { return Ok(None) };
    let created_at = row.micros(c"created_at").unwrap_or_default();
    let not_after = row.micros(c"not_after");
    Ok(Some(StoredSession {
        id,
        user_id,
        identity_id: row.uuid(c"identity_id"),
        organization_id: row.get(c"organization_id"),
        connection_id: row.get(c"connection_id"),
        email: row.get(c"email"),
        amr: row.json(c"amr")?,
        actor: row.get(c"actor"),
        claims_version: row.required(c"claims_version")?,
        refresh_key: refresh_key(row.get(c"refresh_token_key_id"), row.get(c"refresh_token_salt"))?,
        refreshing: Refreshing {
            counter: row.required(c"refresh_token_counter")?,
            created_at,
            refreshed_at: row.micros(c"refreshed_at"),
            recoveries: row.required(c"recoveries")?,
            recovered_counter: row.get(c"recovered_counter"),
            recovered_at: row.micros(c"recovered_at"),
            not_after,
        },
        created_at: unix_seconds(created_at),
        not_after: not_after.map(unix_seconds),
        user: SessionUser::default(),
        member: SessionMember::default(),
    }))
}

fn user_of(row: &scan::ScannedRow) -> Result<SessionUser> {
    Ok(SessionUser {
        role: row.required(c"role")?,
        email: row.get(c"email"),
        phone: row.get(c"phone"),
        app_metadata: row.json(c"raw_app_meta_data")?,
        user_metadata: row.json(c"raw_user_meta_data")?,
        is_anonymous: row.required(c"is_anonymous")?,
        banned_until: row.micros(c"banned_until"),
        is_deleted: users::is_deleted(row),
    })
}

fn member_of(row: &scan::ScannedRow) -> SessionMember {
    let list = |column| row.get::<Vec<Option<String>>>(column).unwrap_or_default().into_iter().flatten().collect();
    SessionMember {
        role: row.get(c"role"),
        roles: list(c"roles"),
        groups: list(c"groups"),
        permissions: list(c"permissions"),
        roles_version: 0,
    }
}

/// What the roles allow that WorkOS has told of; where it has told of none of the member's, what the row says.
fn with_permissions_of_roles(member: SessionMember, organization_id: &str, snapshot: &Snapshot) -> SessionMember {
    if !scan::has_mirror() {
        return member;
    }
    let mut roles = member.roles.clone();
    roles.extend(member.role.clone().filter(|role| !member.roles.contains(role)));
    let known = scan::permissions_of(organization_id, &roles, snapshot);
    let roles_version = scan::roles_version(snapshot);
    if known.is_empty() {
        return SessionMember { roles_version, ..member };
    }
    let mut permissions: Vec<String> = known.into_iter().flatten().collect();
    permissions.sort_unstable();
    permissions.dedup();
    SessionMember { permissions, roles_version, ..member }
}

fn refresh_key(id: Option<i64>, salt: Option<Vec<u8>>) -> Result<Option<RefreshKey>> {
    let (Some(id), Some(salt)) = (id, salt) else { return Ok(None) };
    match (u32::try_from(id), salt.try_into()) {
        (Ok(id), Ok(salt)) => Ok(Some(RefreshKey { id, salt })),
        _ => Err(unexpected("The refresh token's key or salt is out of range.")),
    }
}

/// Replaces the refresh token by that of `next`. False if `row` has not the newest any more, the person's rights changed since `row` was
/// read, or the session has ended.
///
/// No column of an index is written, so that the new version of the row needs no entry in one (a HOT update).
pub fn rotate(row: &StoredSession, next: i64, client: &RequestClient) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.sessions
         SET refresh_token_counter = $3, refreshed_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.now(),
             ip = coalesce($4::pg_catalog.inet, ip), user_agent = coalesce($5, user_agent)
         WHERE id OPERATOR(pg_catalog.=) $1 AND refresh_token_counter OPERATOR(pg_catalog.=) $2
             AND claims_version OPERATOR(pg_catalog.=) $6",
        &[
            uuid_arg(row.id),
            row.refreshing.counter.into(),
            next.into(),
            client.ip.into(),
            client.user_agent().into(),
            row.claims_version.into(),
        ],
    )?;
    Ok(written == 1)
}

/// Counts that the token before the newest was presented late. False as above, or if that was counted meanwhile.
pub fn recover(row: &StoredSession, recoveries: i16) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.sessions
         SET recoveries = $3, recovered_counter = $2, recovered_at = pg_catalog.clock_timestamp(), updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) $1 AND refresh_token_counter OPERATOR(pg_catalog.=) $2
             AND (recovered_counter IS NULL OR recovered_counter OPERATOR(pg_catalog.<>) $2) AND claims_version OPERATOR(pg_catalog.=) $4",
        &[uuid_arg(row.id), row.refreshing.counter.into(), recoveries.into(), row.claims_version.into()],
    )?;
    Ok(written == 1)
}

/// Whether the person has signed in again since this session began, and could still use that session. One that somebody else acts in
/// is none of theirs.
pub fn is_superseded(row: &StoredSession, idle_timeout: Option<Duration>) -> Result<bool> {
    let newer = query::row(
        "SELECT true FROM auth.sessions AS s JOIN auth.sessions AS newer ON newer.user_id OPERATOR(pg_catalog.=) s.user_id
         WHERE s.id OPERATOR(pg_catalog.=) $1 AND s.user_id OPERATOR(pg_catalog.=) $2 AND newer.actor IS NULL
             AND (newer.created_at, newer.id) OPERATOR(pg_catalog.>) (s.created_at, s.id)
             AND (newer.not_after IS NULL OR newer.not_after OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())
             AND ($3 IS NULL OR GREATEST(newer.created_at, newer.refreshed_at, newer.recovered_at)
                 OPERATOR(pg_catalog.+) pg_catalog.make_interval(secs => $3) OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())
         LIMIT 1",
        &[uuid_arg(row.id), uuid_arg(row.user_id), idle_timeout.map(|timeout| timeout.as_secs_f64()).into()],
        |row| row.get(1),
    )?;
    Ok(newer.unwrap_or(false))
}

/// A session that a thief has a token of.
pub struct Stolen<'a> {
    /// `sessions.id`
    pub session: Uuid,
    /// the database role whose connection the token came over
    pub actor: pg_sys::Oid,
    /// what gave the thief away
    pub theft: &'a str,
    /// the counter of the token that did
    pub presented: u64,
    /// where it came from, as `inet` prints it
    pub ip: Option<&'a str>,
    /// and with which User-Agent header
    pub user_agent: Option<&'a str>,
}

/// Ends it and writes the audit log, unless it has ended.
pub fn end_stolen(stolen: &Stolen) -> Result<()> {
    query::execute(
        "WITH ended AS (DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) $1
             RETURNING id, user_id, organization_id, connection_id, refresh_token_counter)
         INSERT INTO auth.audit_log_entries
             (action, actor, user_id, session_id, organization_id, connection_id, ip, user_agent, payload)
         SELECT 'token_theft', pg_catalog.pg_get_userbyid($2), user_id, id, organization_id, connection_id,
             $3::pg_catalog.inet, $4,
             pg_catalog.jsonb_build_object('theft', $5, 'presented', $6, 'current', refresh_token_counter)
         FROM ended",
        &[
            uuid_arg(stolen.session),
            stolen.actor.into(),
            stolen.ip.into(),
            stolen.user_agent.into(),
            stolen.theft.into(),
            i64::try_from(stolen.presented).unwrap_or(i64::MAX).into(),
        ],
    )
    .map(drop)
}

/// The person's rights in an organization changed: tokens that say otherwise are stale from now on.
pub fn raise_claims_version(user_id: Uuid, organization_id: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.sessions
         SET claims_version = claims_version OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions
             WHERE user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2
             ORDER BY id FOR NO KEY UPDATE))",
        &[uuid_arg(user_id), organization_id.into()],
    )
    .map(drop)
}

/// What every token of the person says has changed: those that say otherwise are stale from now on.
pub fn raise_claims_versions(user_id: Uuid) -> Result<()> {
    query::execute(
        "UPDATE auth.sessions
         SET claims_version = claims_version OPERATOR(pg_catalog.+) 1, updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions WHERE user_id OPERATOR(pg_catalog.=) $1 ORDER BY id FOR NO KEY UPDATE))",
        &[uuid_arg(user_id)],
    )
    .map(drop)
}

/// Whether a person's session lives; if so, nobody ends it before this transaction does.
pub fn lives(id: Uuid, user_id: Uuid) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.sessions
         WHERE id OPERATOR(pg_catalog.=) $1 AND user_id OPERATOR(pg_catalog.=) $2
             AND (not_after IS NULL OR not_after OPERATOR(pg_catalog.>) pg_catalog.clock_timestamp())
         FOR KEY SHARE",
        &[uuid_arg(id), uuid_arg(user_id)],
        |row| row.get(1),
    )?;
    Ok(found.unwrap_or(false))
}

/// Which of a person's sessions end.
#[derive(Debug, Clone, Copy)]
pub enum Scope {
    /// every one
    Global,
    /// the one given
    Local(Uuid),
    /// all but the one given
    Others(Uuid),
}

impl Scope {
    /// The one session that ends, and the one that does not.
    fn ids(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Self::Global => (None, None),
            Self::Local(id) => (Some(id), None),
            Self::Others(id) => (None, Some(id)),
        }
    }
}

/// Ends a session, if it is there; says how many.
pub fn end_one(id: Uuid) -> Result<u64> {
    query::execute("DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) $1", &[uuid_arg(id)])
}

/// A session that an identity opened becomes another identity's, and ends with that one. False if it is none of the first one's.
pub fn hand_over(id: Uuid, from: Uuid, to: Uuid) -> Result<bool> {
    let written = query::execute(
        "UPDATE auth.sessions SET identity_id = $3, updated_at = pg_catalog.now()
         WHERE id OPERATOR(pg_catalog.=) $1 AND identity_id OPERATOR(pg_catalog.=) $2",
        &[uuid_arg(id), uuid_arg(from), uuid_arg(to)],
    )?;
    Ok(written == 1)
}

/// Ends the sessions that an identity opened; says how many.
pub fn end_of_identity(identity_id: Uuid) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions WHERE identity_id OPERATOR(pg_catalog.=) $1 ORDER BY id FOR UPDATE))",
        &[uuid_arg(identity_id)],
    )
}

/// Ends a user's sessions of an organization; says how many.
pub fn end_in_organization(user_id: Uuid, organization_id: &str) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions
             WHERE user_id OPERATOR(pg_catalog.=) $1 AND organization_id OPERATOR(pg_catalog.=) $2
             ORDER BY id FOR UPDATE))",
        &[uuid_arg(user_id), organization_id.into()],
    )
}

/// Ends sessions of a user; says how many. As everything that ends or changes several sessions at once, in the order of their ids, so
/// that two of these never wait for each other.
pub fn end(user_id: Uuid, scope: Scope) -> Result<u64> {
    let (only, but) = scope.ids();
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions
             WHERE user_id OPERATOR(pg_catalog.=) $1
                 AND ($2 IS NULL OR id OPERATOR(pg_catalog.=) $2) AND ($3 IS NULL OR id OPERATOR(pg_catalog.<>) $3)
             ORDER BY id FOR UPDATE))",
        &[uuid_arg(user_id), pg_uuid(only).into(), pg_uuid(but).into()],
    )
}

/// Ends every session of an organization, whichever; says how many.
pub fn end_of_organizations() -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions WHERE organization_id IS NOT NULL ORDER BY id FOR UPDATE))",
        &[],
    )
}

/// Ends the sessions of an organization; says how many.
pub fn end_of_organization(organization_id: &str) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions WHERE organization_id OPERATOR(pg_catalog.=) $1 ORDER BY id FOR UPDATE))",
        &[organization_id.into()],
    )
}

/// Ends the sessions of an organization that no sign-in with WorkOS opened, but for those of somebody who acts as a person; says how many.
pub fn end_without_sso(organization_id: &str) -> Result<u64> {
    query::execute(
        "DELETE FROM auth.sessions WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT id FROM auth.sessions
             WHERE organization_id OPERATOR(pg_catalog.=) $1 AND connection_id IS NULL AND actor IS NULL
             ORDER BY id FOR UPDATE))",
        &[organization_id.into()],
    )
}

/// Ends every session; says how many.
pub fn end_all() -> Result<u64> {
    query::execute("DELETE FROM auth.sessions", &[])
}
