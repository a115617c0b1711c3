//! Direct scans of the tables that readers look at, and of those that every sign-in and refresh looks at.
//!
//! Not SPI: a reader may be called by a role without any right on these tables, in a parallel worker, on a standby, and in
//! a REPEATABLE READ transaction that must still see a later sign-out. A scan sees what is there now: it is given a fresh snapshot
//! each time, or, where several rows must agree, a [`Snapshot`]. For a handful of rows it also costs a fraction of what a plan does.

mod feeds;
mod live_session;
mod table;
mod tables;

use std::ffi::CStr;

use pgrx::prelude::*;
use serde_json::Value;
use uuid::Uuid;
use workos_auth_core::accounts::WORKOS;
use workos_auth_core::installation::Homes;

use crate::postgres::jsonb::Jsonb;
use crate::postgres::snapshot::Snapshot;
use table::{Key, collect, row_by_key, search_all_rows};

pub use feeds::{
    FED, FeedRow, HeartbeatRow, concerns_feeds, contested_organizations, feed_of_organization, feeds, has_another_feed,
    has_organizations_of_others, heartbeats, is_copying_heartbeat, organization_is_fed, organization_is_fed_by,
    subscription_name, verifier,
};
pub use live_session::{LiveSession, fed_session, live_session};
pub use table::{ScannedRow, unreadable};
pub use tables::forget;
use tables::{
    AUTHKIT_TOKENS, DATA_KEYS, DIRECTORY_USERS_BY_EMAIL, DIRECTORY_USERS_BY_IDP_ID, DIRECTORY_USERS_BY_USER, DOMAINS,
    ENDED_SESSIONS, EXTENSIONS, FLOW_STATES, FLOW_STATES_BY_CHALLENGE, FLOW_STATES_BY_CODE, FLOW_STATES_BY_EXCHANGE,
    FLOW_STATES_BY_EXPIRY, FLOW_STATES_BY_STATE, HOOKS, IDENTITIES, IDENTITIES_BY_PROFILE, INSTALLATION, ISSUER_KEYS,
    MEMBERSHIP, MEMBERSHIPS, ORGANIZATIONS, PROVIDERS, REDIRECT_URLS, ROLE_SETTINGS, ROLES, ROLES_BY_VERSION, SESSIONS,
    SESSIONS_BY_USER, SIGNING_KEYS, TRUSTED_ISSUERS, USERS, WORKER_STATUS, WORKOS_MEMBERSHIPS, WORKOS_REMOVALS,
    WORKOS_SYNC_STATE,
};

/// A row of `auth.signing_keys`, as far as verifying needs it.
pub struct PublicKeyRow {
    /// the key of the row
    pub kid: String,
    /// the JWK
    pub public_key: Value,
    /// pending, active, retiring or retired
    pub status: String,
    /// which subscription has brought it into a verifier
    pub subscription: Option<pg_sys::Oid>,
}

/// A row of `auth.flow_states` as it is now, or `None` where it is gone.
pub fn flow_now<T>(id: Uuid, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    row_by_key(&FLOW_STATES, &[Key::Uuid(c"id", id)], None, read)
}

/// What a flow is found by. Each is unique.
pub enum FlowKey<'a> {
    /// SHA-256 of the state
    State(&'a [u8; 32]),
    /// SHA-256 of a code of our own
    Code(&'a [u8; 32]),
    /// what a broker asks WorkOS
    Exchange(Uuid),
}

/// A row of `auth.flow_states`, if there is one.
pub fn flow<T>(key: &FlowKey, snapshot: &Snapshot, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    let (table, key) = match key {
        FlowKey::State(hash) => (&FLOW_STATES_BY_STATE, Key::Bytes(c"state_hash", &hash[..])),
        FlowKey::Code(hash) => (&FLOW_STATES_BY_CODE, Key::Bytes(c"code_hash", &hash[..])),
        FlowKey::Exchange(id) => (&FLOW_STATES_BY_EXCHANGE, Key::Uuid(c"exchange_id", *id)),
    };
    row_by_key(table, &[key], Some(snapshot), read)
}

/// The rows of `auth.flow_states` with the challenge of one verifier.
pub fn flows_of_challenge<T>(challenge: &str, snapshot: &Snapshot, mut read: impl FnMut(&ScannedRow) -> T) -> Vec<T> {
    collect(&FLOW_STATES_BY_CHALLENGE, &[Key::Text(c"code_challenge", challenge)], Some(snapshot), |row| {
        Some(read(row))
    })
}

/// Whether some flow expired before this time, in Postgres's own microseconds.
pub fn has_expired_flow(before: i64, snapshot: &Snapshot) -> bool {
    row_by_key(&FLOW_STATES_BY_EXPIRY, &[Key::Before(c"expires_at", before)], Some(snapshot), |_| ()).is_some()
}

/// The row of `auth.authkit_tokens` of a session as it is now, if there is one.
pub fn authkit_token<T>(session: Uuid, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    row_by_key(&AUTHKIT_TOKENS, &[Key::Uuid(c"session_id", session)], None, read)
}

/// Whether tokens of AuthKit's are kept: the SQL may be that of an older version.
pub fn has_authkit_tokens() -> bool {
    AUTHKIT_TOKENS.exists()
}

/// The row of `auth.providers`, if there is one.
pub fn provider<T>(mut read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    search_all_rows(&PROVIDERS, |row| Some(read(row)))
}

/// Every signing key; in a verifier, of every issuer.
pub fn signing_keys(is_verifier: bool) -> Vec<PublicKeyRow> {
    collect(&SIGNING_KEYS, &[], None, |row| {
        let public_key = row.get::<Jsonb>(c"public_key")?.parse()?;
        // The SQL of before has no such column, and no verifiers.
        let subscription = if is_verifier { row.get(c"subscription") } else { None };
        Some(PublicKeyRow { kid: row.get(c"kid")?, public_key, status: row.get(c"status")?, subscription })
    })
}

/// The id of the installation, if there is one yet.
pub fn installation_id() -> Option<Uuid> {
    search_all_rows(&INSTALLATION, |row| row.uuid(c"id"))
}

/// What the names of locks are keyed with, if there is an installation yet.
pub fn lock_key() -> Option<Vec<u8>> {
    search_all_rows(&INSTALLATION, |row| row.get(c"lock_key"))
}

/// Which installations of the cluster were taken over: a setting of the role `workos_auth_owner`, which every database of the cluster
/// sees, and which nobody logs in as. The catalog is read, not the setting: what another database writes counts in the next look.
pub fn homes(snapshot: Option<&Snapshot>) -> Homes {
    // SAFETY: a catalog look-up by a constant name; missing_ok.
    let owner = unsafe { pg_sys::get_role_oid(c"workos_auth_owner".as_ptr(), true) };
    let keys = [Key::Oid(c"setdatabase", pg_sys::InvalidOid), Key::Oid(c"setrole", owner)];
    let settings = row_by_key(&ROLE_SETTINGS, &keys, snapshot, |row| row.get::<Vec<String>>(c"setconfig")).flatten();
    let text = settings.iter().flatten().find_map(|setting| setting.strip_prefix("workos_auth.installation_homes="));
    text.map(Homes::parse).unwrap_or_default()
}

/// Of which version the SQL objects in this database are: by the extension's row in Postgres's catalog.
pub fn sql_version() -> Option<String> {
    search_all_rows(&EXTENSIONS, |row| match row.get::<&CStr>(c"extname")? == c"workos_auth" {
        true => row.get(c"extversion"),
        false => None,
    })
}

/// The function that is named for an event, and whose it was then.
pub fn hook(event: &str) -> Option<(String, Option<String>)> {
    search_all_rows(&HOOKS, |row| match row.get::<String>(c"event")? == event {
        true => Some((row.get(c"function")?, row.get(c"function_owner"))),
        false => None,
    })
}

/// The patterns of `auth.redirect_urls`.
pub fn redirect_patterns() -> Vec<String> {
    collect(&REDIRECT_URLS, &[], None, |row| row.get(c"pattern"))
}

/// A row of `auth.sessions`, if there is one.
pub fn session<T>(id: Uuid, snapshot: &Snapshot, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    row_by_key(&SESSIONS, &[Key::Uuid(c"id", id)], Some(snapshot), read)
}

/// The rows of `auth.sessions` of a user, in no order.
pub fn sessions_of<T>(user_id: Uuid, snapshot: &Snapshot, mut read: impl FnMut(&ScannedRow) -> T) -> Vec<T> {
    collect(&SESSIONS_BY_USER, &[Key::Uuid(c"user_id", user_id)], Some(snapshot), |row| Some(read(row)))
}

/// A row of `auth.users`, if there is one.
pub fn user<T>(id: Uuid, snapshot: &Snapshot, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    row_by_key(&USERS, &[Key::Uuid(c"id", id)], Some(snapshot), read)
}

/// The rows of `auth.identities` of a user, in no order.
pub fn identities<T>(user_id: Uuid, snapshot: &Snapshot, mut read: impl FnMut(&ScannedRow) -> T) -> Vec<T> {
    collect(&IDENTITIES, &[Key::Uuid(c"user_id", user_id)], Some(snapshot), |row| Some(read(row)))
}

/// The row of `auth.identities` of a WorkOS profile, if there is one.
pub fn identity_by_profile<T>(profile_id: &str, snapshot: &Snapshot, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    let keys = [Key::Text(c"provider", "workos"), Key::Text(c"provider_id", profile_id)];
    row_by_key(&IDENTITIES_BY_PROFILE, &keys, Some(snapshot), read)
}

/// The row of `auth.identities` of somebody at an issuer, if there is one.
pub fn identity_of_subject<T>(
    issuer: &str,
    subject: &str,
    snapshot: &Snapshot,
    read: impl FnMut(&ScannedRow) -> T,
) -> Option<T> {
    let keys = [Key::Text(c"provider", issuer), Key::Text(c"provider_id", subject)];
    row_by_key(&IDENTITIES_BY_PROFILE, &keys, Some(snapshot), read)
}

/// Whose identity a person of an issuer is, as it is now.
pub fn owner_of_subject(issuer: &str, subject: &str) -> Option<Uuid> {
    let keys = [Key::Text(c"provider", issuer), Key::Text(c"provider_id", subject)];
    row_by_key(&IDENTITIES_BY_PROFILE, &keys, None, |row| row.uuid(c"user_id"))?
}

/// A row of `auth.users` as it is now, if there is one.
pub fn user_now<T>(id: Uuid, read: impl FnMut(&ScannedRow) -> T) -> Option<T> {
    row_by_key(&USERS, &[Key::Uuid(c"id", id)], None, read)
}

/// Whether somebody is a member of an organization now.
pub fn is_member(user_id: Uuid, organization_id: &str) -> bool {
    let keys = [Key::Text(c"organization_id", organization_id), Key::Uuid(c"user_id", user_id)];
    row_by_key(&MEMBERSHIP, &keys, None, |_| ()).is_some()
}

/// A row of `auth.trusted_issuers`.
pub struct IssuerRow {
    /// `iss`
    pub issuer: String,
    /// which tokens are accepted
    pub kind: String,
    /// what `aud` must hold
    pub audience: Option<String>,
    /// which client they must be made for
    pub client_id: Option<String>,
    /// the database role of its people
    pub database_role: Option<String>,
    /// what its claims mean
    pub claims: Value,
}

/// Whether this database can trust issuers: the SQL may be that of an older version.
pub fn can_trust_issuers() -> bool {
    TRUSTED_ISSUERS.exists() && ENDED_SESSIONS.exists()
}

/// Whether this database has what its background worker needs: the SQL may be that of an older version, or not be there.
pub fn can_have_a_worker() -> bool {
    WORKER_STATUS.exists()
}

/// Whether an issuer is trusted, which signs elsewhere and feeds nobody.
pub fn trusts_issuer(issuer: &str) -> bool {
    row_by_key(&TRUSTED_ISSUERS, &[Key::Text(c"issuer", issuer)], None, |_| ()).is_some()
}

/// Every trusted issuer.
pub fn trusted_issuers() -> Vec<IssuerRow> {
    collect(&TRUSTED_ISSUERS, &[], None, |row| {
        Some(IssuerRow {
            issuer: row.get(c"issuer")?,
            kind: row.get(c"kind")?,
            audience: row.get(c"audience"),
            client_id: row.get(c"client_id"),
            database_role: row.get(c"database_role"),
            claims: row.get::<Jsonb>(c"claims")?.parse()?,
        })
    })
}

/// Whose they are, and the JWK, of every key of an issuer that is not retired.
pub fn issuer_keys() -> Vec<(String, Value)> {
    collect(&ISSUER_KEYS, &[], None, |row| match row.get::<String>(c"status")? == "active" {
        true => Some((row.get(c"issuer")?, row.get::<Jsonb>(c"public_key")?.parse()?)),
        false => None,
    })
}

/// When sessions of an issuer ended, in Postgres's own microseconds: one, those of a person, or those of an organization; an empty text stands for
/// all.
pub fn sessions_ended_at(issuer: &str, sid: &str, subject: &str, organization_id: &str) -> Option<i64> {
    let keys = [
        Key::Text(c"issuer", issuer),
        Key::Text(c"sid", sid),
        Key::Text(c"subject", subject),
        Key::Text(c"organization_id", organization_id),
    ];
    row_by_key(&ENDED_SESSIONS, &keys, None, |row| row.micros(c"ended_at"))?
}

/// Whether an organization is known.
pub fn knows_organization(id: &str, snapshot: &Snapshot) -> bool {
    row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], Some(snapshot), |_| ()).is_some()
}

/// Whether an organization belongs to an issuer, or without one to WorkOS; also where it is not known. Before there were trusted issuers, all
/// did.
pub fn organization_is_of(id: &str, issuer: Option<&str>) -> bool {
    !can_trust_issuers()
        || row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], None, |row| row.get::<String>(c"issuer"))
            .is_none_or(|of| of.as_deref() == issuer)
}

/// Whether an organization asks for single sign-on; before there was a column for it, none did.
pub fn organization_requires_sso(id: &str) -> bool {
    can_trust_issuers()
        && row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], None, |row| row.get::<bool>(c"require_sso"))
            == Some(Some(true))
}

/// Whether the organization vouches for a domain.
pub fn organization_has_domain(organization_id: &str, domain: &str, snapshot: &Snapshot) -> bool {
    let keys = [Key::Text(c"organization_id", organization_id), Key::Text(c"domain", domain)];
    let counts = |row: &ScannedRow| match has_mirror() {
        true => row.get::<String>(c"state").is_none_or(|state| VERIFIED.contains(&state.as_str())),
        false => true,
    };
    row_by_key(&DOMAINS, &keys, Some(snapshot), counts) == Some(true)
}

/// The states of a domain that WorkOS has verified.
const VERIFIED: [&str; 2] = ["verified", "legacy_verified"];

/// Whether this database can follow WorkOS's events: the SQL may be that of an older version.
pub fn has_mirror() -> bool {
    WORKOS_SYNC_STATE.exists()
}

/// When everything was last read that WorkOS had to tell, in Postgres's own microseconds.
pub fn mirror_drained_at() -> Option<i64> {
    search_all_rows(&WORKOS_SYNC_STATE, |row| row.micros(c"drained_at"))
}

/// Whether WorkOS has deleted an organization.
pub fn organization_is_deleted(id: &str) -> bool {
    row_by_key(&ORGANIZATIONS, &[Key::Text(c"id", id)], None, |row| row.micros(c"deleted_at").is_some()) == Some(true)
}

/// Of each directory user of an organization that somebody is, whether it is active.
pub fn directory_users_of(user_id: Uuid, organization_id: &str) -> Vec<bool> {
    collect(&DIRECTORY_USERS_BY_USER, &[Key::Uuid(c"user_id", user_id)], None, |row| {
        let is_here = row.get::<String>(c"organization_id").as_deref() == Some(organization_id);
        is_here.then(|| row.get::<String>(c"state").as_deref() == Some("active"))
    })
}

/// The status of each membership in an organization that somebody's persons of AuthKit have; `deleted` of a person whom WorkOS has deleted, unless
/// single sign-on of the organization leads into the account too: that goes on without AuthKit.
pub fn authkit_statuses_of(user_id: Uuid, organization_id: &str) -> Vec<String> {
    let mut has_sso = false;
    let subjects = collect(&IDENTITIES, &[Key::Uuid(c"user_id", user_id)], None, |row| {
        let is_of_workos = row.get::<String>(c"provider").as_deref() == Some(WORKOS);
        has_sso |= is_of_workos && row.get::<String>(c"organization_id").as_deref() == Some(organization_id);
        row.get::<String>(c"provider_id").filter(|id| !is_of_workos && id.starts_with("user_"))
    });
    let statuses = |subject: &String| match (was_removed(subject), has_sso) {
        (true, true) => Vec::new(),
        (true, false) => vec!["deleted".to_owned()],
        (false, _) => membership_statuses(subject, organization_id),
    };
    subjects.iter().flat_map(statuses).collect()
}

/// What each of these roles allows in an organization, of those that are known. One of the organization's own comes before one of the
/// environment.
pub fn permissions_of(organization_id: &str, roles: &[String], snapshot: &Snapshot) -> Vec<Vec<String>> {
    let role = |slug: &str, of: &str| {
        let keys = [Key::Text(c"organization_id", of), Key::Text(c"slug", slug)];
        row_by_key(&ROLES, &keys, Some(snapshot), |row| row.get::<Vec<String>>(c"permissions")).flatten()
    };
    roles.iter().filter_map(|slug| role(slug, organization_id).or_else(|| role(slug, ""))).collect()
}

/// The highest version of a role there has been.
pub fn roles_version(snapshot: &Snapshot) -> i64 {
    let version = |row: &ScannedRow| row.get::<i64>(c"roles_version");
    row_by_key(&WORKOS_SYNC_STATE, &[], Some(snapshot), version).flatten().unwrap_or_default()
}

/// Whether a role that somebody has in an organization has changed since a version.
pub fn has_newer_role(user_id: Uuid, organization_id: &str, version: i64) -> bool {
    // Mostly, none has: of the organization, nor of the whole environment.
    let has_newer = |of: &str| {
        let keys = [Key::Text(c"organization_id", of), Key::Above(c"version", version)];
        row_by_key(&ROLES_BY_VERSION, &keys, None, |_| ()).is_some()
    };
    if !has_newer(organization_id) && !has_newer("") {
        return false;
    }
    let keys = [Key::Text(c"organization_id", organization_id), Key::Uuid(c"user_id", user_id)];
    let roles = row_by_key(&MEMBERSHIP, &keys, None, |row| {
        let roles = row.get::<Vec<Option<String>>>(c"roles").unwrap_or_default();
        roles.into_iter().flatten().chain(row.get::<String>(c"role")).collect::<Vec<_>>()
    });
    let is_newer = |of: &str, slug: &str| {
        let keys = [Key::Text(c"organization_id", of), Key::Text(c"slug", slug)];
        row_by_key(&ROLES, &keys, None, |row| row.get::<i64>(c"version") > Some(version)) == Some(true)
    };
    roles.unwrap_or_default().iter().any(|slug| is_newer(organization_id, slug) || is_newer("", slug))
}

/// Whether WorkOS has removed what has this id.
pub fn was_removed(id: &str) -> bool {
    row_by_key(&WORKOS_REMOVALS, &[Key::Text(c"id", id)], None, |_| ()).is_some()
}

/// The state of each directory user of an organization whom the identity provider gave this id; where there is none, of each with this address.
pub fn directory_states(organization_id: &str, idp_id: Option<&str>, email: &str) -> Vec<String> {
    let states = |table, key| {
        let keys = [Key::Text(c"organization_id", organization_id), key];
        collect(table, &keys, None, |row| row.get::<String>(c"state"))
    };
    let by_idp_id = idp_id.map(|id| states(&DIRECTORY_USERS_BY_IDP_ID, Key::Text(c"idp_id", id))).unwrap_or_default();
    match by_idp_id.is_empty() {
        true => states(&DIRECTORY_USERS_BY_EMAIL, Key::Text(c"email", email)),
        false => by_idp_id,
    }
}

/// The status of each membership of somebody of AuthKit in an organization.
pub fn membership_statuses(workos_user_id: &str, organization_id: &str) -> Vec<String> {
    let keys = [Key::Text(c"workos_user_id", workos_user_id), Key::Text(c"organization_id", organization_id)];
    collect(&WORKOS_MEMBERSHIPS, &keys, None, |row| row.get(c"status"))
}

/// The organizations that a user belongs to, in no order.
pub fn organizations_of(user_id: Uuid, snapshot: &Snapshot) -> Vec<String> {
    collect(&MEMBERSHIPS, &[Key::Uuid(c"user_id", user_id)], Some(snapshot), |row| row.get(c"organization_id"))
}

/// The row of `auth.organization_memberships` of a user in an organization, if there is one.
pub fn membership<T>(
    user_id: Uuid,
    organization_id: &str,
    snapshot: &Snapshot,
    read: impl FnMut(&ScannedRow) -> T,
) -> Option<T> {
    let keys = [Key::Text(c"organization_id", organization_id), Key::Uuid(c"user_id", user_id)];
    row_by_key(&MEMBERSHIP, &keys, Some(snapshot), read)
}

/// The first answer, over all data keys.
pub fn data_key<T>(read: impl FnMut(&ScannedRow) -> Option<T>) -> Option<T> {
    search_all_rows(&DATA_KEYS, read)
}

/// The first answer, over all signing keys.
pub fn signing_key<T>(read: impl FnMut(&ScannedRow) -> Option<T>) -> Option<T> {
    search_all_rows(&SIGNING_KEYS, read)
}

/// The row of `auth.installation`, if there is one yet.
pub fn installation<T>(read: impl FnMut(&ScannedRow) -> Option<T>) -> Option<T> {
    search_all_rows(&INSTALLATION, read)
}
