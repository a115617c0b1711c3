//! The tables that are read without a plan, each by an index.

use pgrx::prelude::*;

use super::table::Table;

pub(super) static SESSIONS: Table = Table::new(c"sessions", c"sessions_pkey");
pub(super) static SESSIONS_BY_USER: Table = Table::new(c"sessions", c"sessions_user_id_idx");
pub(super) static SIGNING_KEYS: Table = Table::new(c"signing_keys", c"signing_keys_pkey");
pub(super) static INSTALLATION: Table = Table::new(c"installation", c"installation_pkey");
pub(super) static ROLE_SETTINGS: Table =
    Table::catalog(c"pg_db_role_setting", c"pg_db_role_setting_databaseid_rol_index");
pub(super) static EXTENSIONS: Table = Table::catalog(c"pg_extension", c"pg_extension_name_index");
pub(super) static PROVIDERS: Table = Table::new(c"providers", c"providers_pkey");
pub(super) static FLOW_STATES: Table = Table::new(c"flow_states", c"flow_states_pkey");
pub(super) static FLOW_STATES_BY_STATE: Table = Table::new(c"flow_states", c"flow_states_state_hash_key");
pub(super) static FLOW_STATES_BY_CHALLENGE: Table = Table::new(c"flow_states", c"flow_states_code_challenge_idx");
pub(super) static FLOW_STATES_BY_CODE: Table = Table::new(c"flow_states", c"flow_states_code_hash_key");
pub(super) static FLOW_STATES_BY_EXCHANGE: Table = Table::new(c"flow_states", c"flow_states_exchange_id_key");
pub(super) static FLOW_STATES_BY_EXPIRY: Table = Table::new(c"flow_states", c"flow_states_expires_at_idx");
pub(super) static AUTHKIT_TOKENS: Table = Table::new(c"authkit_tokens", c"authkit_tokens_pkey");
pub(super) static DATA_KEYS: Table = Table::new(c"data_keys", c"data_keys_pkey");
pub(super) static HOOKS: Table = Table::new(c"hooks", c"hooks_pkey");
pub(super) static REDIRECT_URLS: Table = Table::new(c"redirect_urls", c"redirect_urls_pkey");
pub(super) static USERS: Table = Table::new(c"users", c"users_pkey");
pub(super) static IDENTITIES: Table = Table::new(c"identities", c"identities_user_id_idx");
pub(super) static IDENTITIES_BY_PROFILE: Table = Table::new(c"identities", c"identities_provider_provider_id_key");
pub(super) static ORGANIZATIONS: Table = Table::new(c"organizations", c"organizations_pkey");
pub(super) static DOMAINS: Table = Table::new(c"organization_domains", c"organization_domains_pkey");
pub(super) static MEMBERSHIP: Table = Table::new(c"organization_memberships", c"organization_memberships_pkey");
pub(super) static MEMBERSHIPS: Table = Table::new(c"organization_memberships", c"organization_memberships_user_id_idx");
pub(super) static TRUSTED_ISSUERS: Table = Table::new(c"trusted_issuers", c"trusted_issuers_pkey");
pub(super) static ISSUER_KEYS: Table = Table::new(c"issuer_keys", c"issuer_keys_pkey");
pub(super) static HEARTBEAT: Table = Table::new(c"heartbeat", c"heartbeat_pkey");
pub(super) static VERIFIER: Table = Table::new(c"verifier", c"verifier_pkey");
pub(super) static FEEDS: Table = Table::new(c"feeds", c"feeds_pkey");
pub(super) static SUBSCRIBED: Table =
    Table::catalog(c"pg_subscription_rel", c"pg_subscription_rel_srrelid_srsubid_index");
pub(super) static SUBSCRIPTIONS: Table = Table::catalog(c"pg_subscription", c"pg_subscription_oid_index");
pub(super) static ENDED_SESSIONS: Table = Table::new(c"ended_sessions", c"ended_sessions_pkey");
pub(super) static WORKER_STATUS: Table = Table::new(c"worker_status", c"worker_status_pkey");
pub(super) static ROLES: Table = Table::new(c"roles", c"roles_pkey");
pub(super) static ROLES_BY_VERSION: Table = Table::new(c"roles", c"roles_version_idx");
pub(super) static DIRECTORY_USERS_BY_IDP_ID: Table = Table::new(c"directory_users", c"directory_users_idp_id_idx");
pub(super) static DIRECTORY_USERS_BY_EMAIL: Table = Table::new(c"directory_users", c"directory_users_email_idx");
pub(super) static WORKOS_MEMBERSHIPS: Table =
    Table::new(c"workos_memberships", c"workos_memberships_workos_user_id_idx");
pub(super) static WORKOS_REMOVALS: Table = Table::new(c"workos_removals", c"workos_removals_pkey");
pub(super) static DIRECTORY_USERS_BY_USER: Table = Table::new(c"directory_users", c"directory_users_user_id_idx");
pub(super) static WORKOS_SYNC_STATE: Table = Table::new(c"workos_sync_state", c"workos_sync_state_pkey");

/// In no order.
pub(super) static ALL: [&Table; 41] = [
    &SESSIONS,
    &SESSIONS_BY_USER,
    &SIGNING_KEYS,
    &INSTALLATION,
    &ROLE_SETTINGS,
    &EXTENSIONS,
    &PROVIDERS,
    &FLOW_STATES,
    &FLOW_STATES_BY_STATE,
    &FLOW_STATES_BY_CHALLENGE,
    &FLOW_STATES_BY_CODE,
    &FLOW_STATES_BY_EXCHANGE,
    &FLOW_STATES_BY_EXPIRY,
    &AUTHKIT_TOKENS,
    &DATA_KEYS,
    &HOOKS,
    &REDIRECT_URLS,
    &USERS,
    &IDENTITIES,
    &IDENTITIES_BY_PROFILE,
    &ORGANIZATIONS,
    &DOMAINS,
    &MEMBERSHIP,
    &MEMBERSHIPS,
    &TRUSTED_ISSUERS,
    &ISSUER_KEYS,
    &HEARTBEAT,
    &VERIFIER,
    &FEEDS,
    &SUBSCRIBED,
    &SUBSCRIPTIONS,
    &ENDED_SESSIONS,
    &WORKER_STATUS,
    &ROLES,
    &ROLES_BY_VERSION,
    &DIRECTORY_USERS_BY_USER,
    &DIRECTORY_USERS_BY_IDP_ID,
    &DIRECTORY_USERS_BY_EMAIL,
    &WORKOS_MEMBERSHIPS,
    &WORKOS_REMOVALS,
    &WORKOS_SYNC_STATE,
];

/// Which cached rows may have changed.
pub struct Changed {
    /// signing keys, the installation, whether it only verifies
    pub own: bool,
    /// trusted issuers, their keys
    pub issuers: bool,
}

/// Called from the relation cache's callback, where nothing may be allocated or raised.
pub fn forget(relation: pg_sys::Oid) -> Changed {
    let all = relation == pg_sys::InvalidOid;
    let concerns = |one: &Table, other: &Table| {
        all || one.is(relation) || other.is(relation) || !(one.is_known() || other.is_known())
    };
    let changed = Changed {
        own: concerns(&SIGNING_KEYS, &INSTALLATION) || concerns(&VERIFIER, &FEEDS),
        issuers: concerns(&TRUSTED_ISSUERS, &ISSUER_KEYS),
    };
    for table in ALL {
        if all || table.is(relation) {
            table.forget();
        }
    }
    changed
}
