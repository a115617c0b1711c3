//! The variables that Postgres keeps the settings in, with their defaults.

use std::ffi::CString;

use pgrx::guc::{GucSetting, PostgresGucEnum};

pub(super) type Text = GucSetting<Option<CString>>;

pub(super) static SITE_URL: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static ISSUER: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static AUDIENCE: Text = GucSetting::<Option<CString>>::new(Some(c"authenticated"));
pub(super) static ALLOWED_ROLES: Text = GucSetting::<Option<CString>>::new(Some(c"authenticated"));
pub(super) static CA_FILE: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static HTTPS_PROXY: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static HTTPS_PROXY_CREDENTIALS_FILE: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static ROOT_KEY_FILE: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static ROOT_KEY_COMMAND: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static ROOT_KEY_COMMAND_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5);
pub(super) static WORKER_DATABASES: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static INSTALLATION_HOMES: Text = GucSetting::<Option<CString>>::new(None);
pub(super) static ACCESS_TOKEN_TTL: GucSetting<i32> = GucSetting::<i32>::new(3600);
pub(super) static SESSION_TTL: GucSetting<i32> = GucSetting::<i32>::new(7 * 86400);
pub(super) static SESSION_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(0);
pub(super) static REFRESH_REUSE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
pub(super) static SINGLE_SESSION_PER_USER: GucSetting<bool> = GucSetting::<bool>::new(false);
pub(super) static AUDIT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
pub(super) static FLOW_TTL: GucSetting<i32> = GucSetting::<i32>::new(900);
pub(super) static CONNECT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(2);
pub(super) static REQUEST_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5);
pub(super) static REQUEST_QUEUE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5);
pub(super) static MAX_CONCURRENT_REQUESTS: GucSetting<i32> = GucSetting::<i32>::new(16);
pub(super) static MAX_TOKEN_SIZE: GucSetting<i32> = GucSetting::<i32>::new(12 * 1024);
pub(super) static TOKEN_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(64);
pub(super) static MAX_REPLICATION_LAG: GucSetting<i32> = GucSetting::<i32>::new(30);
pub(super) static CHECK_SESSIONS: GucSetting<bool> = GucSetting::<bool>::new(true);
pub(super) static ALLOW_SIGNUP: GucSetting<bool> = GucSetting::<bool>::new(true);
pub(super) static LINK_ACROSS_ORGANIZATIONS: GucSetting<bool> = GucSetting::<bool>::new(false);
pub(super) static TRUST_EMAIL_DOMAINS: GucSetting<bool> = GucSetting::<bool>::new(true);
pub(super) static REQUIRE_CODE_CHALLENGE: GucSetting<bool> = GucSetting::<bool>::new(false);
pub(super) static ALLOW_PLAIN_PKCE: GucSetting<bool> = GucSetting::<bool>::new(false);
pub(super) static ALLOW_IMPLICIT: GucSetting<bool> = GucSetting::<bool>::new(true);
pub(super) static IDP_INITIATED: GucSetting<IdpInitiated> = GucSetting::<IdpInitiated>::new(IdpInitiated::Refuse);
pub(super) static ALLOW_ROOT_KEY_IN_DATA_DIRECTORY: GucSetting<bool> = GucSetting::<bool>::new(false);
pub(super) static DEPROVISION: GucSetting<Deprovision> = GucSetting::<Deprovision>::new(Deprovision::EndSessions);
pub(super) static SYNC_MAX_AGE: GucSetting<i32> = GucSetting::<i32>::new(0);
pub(super) static SYNC_OVERDUE: GucSetting<SyncOverdue> = GucSetting::<SyncOverdue>::new(SyncOverdue::Warn);
pub(super) static RLS_GUARD: GucSetting<RlsGuard> = GucSetting::<RlsGuard>::new(RlsGuard::Error);
pub(super) static ACCOUNT_LINKING: GucSetting<AccountLinking> =
    GucSetting::<AccountLinking>::new(AccountLinking::Organization);

/// What `auth.set_session` does for a role that row-level security does not bind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum RlsGuard {
    /// Refuses it.
    #[name = c"error"]
    Error,
    /// Warns.
    #[name = c"warning"]
    Warning,
    /// Says nothing.
    #[name = c"off"]
    Off,
}

/// What becomes of somebody who has left a customer, as WorkOS tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum Deprovision {
    /// They are out, until WorkOS says otherwise.
    #[name = c"end_sessions"]
    EndSessions,
    /// They are banned too, until an administrator says otherwise.
    #[name = c"ban"]
    Ban,
    /// Nothing.
    #[name = c"off"]
    Off,
}

/// What becomes of sign-ins where it is not known any more who has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub(super) enum SyncOverdue {
    #[name = c"warn"]
    Warn,
    #[name = c"refuse_sign_in"]
    RefuseSignIn,
}

/// When a new identity may join an account that is already there.
#[derive(Debug, Clone, Copy, PostgresGucEnum)]
pub(super) enum AccountLinking {
    #[name = c"organization"]
    Organization,
    #[name = c"email"]
    Email,
    #[name = c"none"]
    None,
}

/// What becomes of a sign-in that the identity provider began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub(super) enum IdpInitiated {
    #[name = c"refuse"]
    Refuse,
    #[name = c"restart"]
    Restart,
}
