//! What the settings say, as the types that the rest of the extension works with.

use std::ffi::{CStr, OsStr, c_char};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use pgrx::guc::GucSetting;
use pgrx::pg_sys;
use workos_auth_core::accounts::Linking;

use super::variables::*;
use crate::postgres::wishes::PLACES;

/// The value of a text setting; empty counts as absent.
fn value(setting: &Text) -> Option<String> {
    setting.get().map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
}

/// The names of a list of files, which Postgres reads as that of `unix_socket_directories`: separated by commas, in double quotes where need be.
pub(super) fn file_list(list: &CStr) -> Option<Vec<PathBuf>> {
    // SAFETY: the arguments that `listed` passes.
    let names = unsafe { listed(list, |text, names| pg_sys::SplitDirectoriesString(text, b',' as c_char, names)) };
    Some(names?.iter().map(|name| PathBuf::from(OsStr::from_bytes(name.to_bytes()))).collect())
}

/// The names of a list of databases, each once, with capitals as they stand. None where it is no such list, or one that is too long.
pub(super) fn name_list(list: &CStr) -> Option<Vec<String>> {
    const LONGEST: usize = pg_sys::NAMEDATALEN as usize - 1;
    // SAFETY: as above.
    let listed = unsafe { listed(list, |text, names| pg_sys::SplitGUCList(text, b',' as c_char, names)) };
    let mut names: Vec<String> = Vec::new();
    for name in listed? {
        let name = name.to_str().ok().filter(|name| (1..=LONGEST).contains(&name.len()))?;
        if !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }
    Some(names).filter(|names| names.len() <= PLACES)
}

/// # Safety
/// `split` passes its arguments to one of Postgres's functions of such a shape.
unsafe fn listed<'a>(
    list: &CStr,
    split: impl FnOnce(*mut c_char, *mut *mut pg_sys::List) -> bool,
) -> Option<Vec<&'a CStr>> {
    // SAFETY: Postgres takes a copy apart, in the current memory context; what it lists are C strings.
    unsafe {
        let mut names: *mut pg_sys::List = std::ptr::null_mut();
        if !split(pg_sys::pstrdup(list.as_ptr()), &mut names) {
            return None;
        }
        // NIL, the empty list, is NULL.
        let Some(list) = names.as_ref() else { return Some(Vec::new()) };
        let cells = std::slice::from_raw_parts(list.elements, usize::try_from(list.length).unwrap_or_default());
        Some(cells.iter().map(|cell| CStr::from_ptr(cell.ptr_value.cast())).collect())
    }
}

fn duration(setting: &GucSetting<i32>) -> Duration {
    Duration::from_secs(setting.get().max(1).unsigned_abs().into())
}

/// A duration of which 0 says that there is none.
fn positive(setting: &GucSetting<i32>) -> Option<Duration> {
    u64::try_from(setting.get()).ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// `workos_auth.site_url`
pub fn site_url() -> Option<String> {
    value(&SITE_URL)
}

/// `workos_auth.issuer`; `None` means the default, which derives from the installation.
pub fn issuer() -> Option<String> {
    value(&ISSUER)
}

/// `workos_auth.audience`
pub fn audience() -> String {
    value(&AUDIENCE).unwrap_or_else(|| "authenticated".into())
}

/// Whether `workos_auth.allowed_roles` has this role.
pub fn is_allowed_role(role: &str) -> bool {
    value(&ALLOWED_ROLES).is_some_and(|roles| roles.split(',').any(|r| r.trim() == role))
}

/// `workos_auth.ca_file`
pub fn ca_file() -> Option<PathBuf> {
    value(&CA_FILE).map(PathBuf::from)
}

/// `workos_auth.https_proxy`
pub fn https_proxy() -> Option<String> {
    value(&HTTPS_PROXY)
}

/// `workos_auth.https_proxy_credentials_file`
pub fn https_proxy_credentials_file() -> Option<PathBuf> {
    value(&HTTPS_PROXY_CREDENTIALS_FILE).map(PathBuf::from)
}

/// The files of `workos_auth.root_key_file`, in their order; `None` where it is no list.
pub fn root_key_files() -> Option<Vec<PathBuf>> {
    file_list(ROOT_KEY_FILE.get().as_deref().unwrap_or_default())
}

/// `workos_auth.root_key_command`
pub fn root_key_command() -> Option<String> {
    value(&ROOT_KEY_COMMAND)
}

/// `workos_auth.root_key_command_timeout`
pub fn root_key_command_timeout() -> Duration {
    duration(&ROOT_KEY_COMMAND_TIMEOUT)
}

/// `workos_auth.worker_databases`
pub fn worker_databases() -> Vec<String> {
    name_list(WORKER_DATABASES.get().as_deref().unwrap_or_default()).unwrap_or_default()
}

/// `workos_auth.allow_root_key_in_data_directory`
pub fn allow_root_key_in_data_directory() -> bool {
    ALLOW_ROOT_KEY_IN_DATA_DIRECTORY.get()
}

/// `workos_auth.access_token_ttl`
pub fn access_token_ttl() -> Duration {
    duration(&ACCESS_TOKEN_TTL)
}

/// `workos_auth.session_ttl`
pub fn session_ttl() -> Duration {
    duration(&SESSION_TTL)
}

/// `workos_auth.session_idle_timeout`; `None` is off.
pub fn session_idle_timeout() -> Option<Duration> {
    positive(&SESSION_IDLE_TIMEOUT)
}

/// `workos_auth.refresh_reuse_interval`; zero is off.
pub fn refresh_reuse_interval() -> Duration {
    positive(&REFRESH_REUSE_INTERVAL).unwrap_or_default()
}

/// `workos_auth.single_session_per_user`
pub fn single_session_per_user() -> bool {
    SINGLE_SESSION_PER_USER.get()
}

/// `workos_auth.audit_retention`; `None` is for ever.
pub fn audit_retention() -> Option<Duration> {
    positive(&AUDIT_RETENTION)
}

/// `workos_auth.flow_ttl`
pub fn flow_ttl() -> Duration {
    duration(&FLOW_TTL)
}

/// `workos_auth.connect_timeout`
pub fn connect_timeout() -> Duration {
    duration(&CONNECT_TIMEOUT)
}

/// `workos_auth.request_timeout`
pub fn request_timeout() -> Duration {
    duration(&REQUEST_TIMEOUT)
}

/// `workos_auth.request_queue_timeout`; zero refuses at once.
pub fn request_queue_timeout() -> Duration {
    positive(&REQUEST_QUEUE_TIMEOUT).unwrap_or_default()
}

/// `workos_auth.max_concurrent_requests`
pub fn max_concurrent_requests() -> u32 {
    MAX_CONCURRENT_REQUESTS.get().max(1).unsigned_abs()
}

/// `workos_auth.max_token_size`, in bytes.
pub fn max_token_size() -> usize {
    usize::try_from(MAX_TOKEN_SIZE.get()).unwrap_or_default()
}

/// `workos_auth.token_cache_size`
pub fn token_cache_size() -> NonZeroUsize {
    usize::try_from(TOKEN_CACHE_SIZE.get()).ok().and_then(NonZeroUsize::new).unwrap_or(NonZeroUsize::MIN)
}

/// `workos_auth.max_replication_lag`
pub fn max_replication_lag() -> Duration {
    duration(&MAX_REPLICATION_LAG)
}

/// `workos_auth.deprovision`
pub fn deprovision() -> Deprovision {
    DEPROVISION.get()
}

/// `workos_auth.sync_max_age`, if there is a limit.
pub fn sync_max_age() -> Option<Duration> {
    positive(&SYNC_MAX_AGE)
}

/// `workos_auth.sync_overdue` is `refuse_sign_in`
pub fn refuses_overdue() -> bool {
    SYNC_OVERDUE.get() == SyncOverdue::RefuseSignIn
}

/// `workos_auth.check_sessions`
pub fn check_sessions() -> bool {
    CHECK_SESSIONS.get()
}

/// `workos_auth.allow_signup`
pub fn allow_signup() -> bool {
    ALLOW_SIGNUP.get()
}

/// `workos_auth.link_across_organizations`
pub fn link_across_organizations() -> bool {
    LINK_ACROSS_ORGANIZATIONS.get()
}

/// `workos_auth.trust_email_domains`
pub fn trust_email_domains() -> bool {
    TRUST_EMAIL_DOMAINS.get()
}

/// `workos_auth.require_code_challenge`
pub fn require_code_challenge() -> bool {
    REQUIRE_CODE_CHALLENGE.get()
}

/// `workos_auth.allow_plain_pkce`
pub fn allow_plain_pkce() -> bool {
    ALLOW_PLAIN_PKCE.get()
}

/// `workos_auth.allow_implicit`
pub fn allow_implicit() -> bool {
    ALLOW_IMPLICIT.get()
}

/// `workos_auth.idp_initiated` is `restart`
pub fn restarts_idp_initiated() -> bool {
    IDP_INITIATED.get() == IdpInitiated::Restart
}

/// `workos_auth.rls_guard`
pub fn rls_guard() -> RlsGuard {
    RLS_GUARD.get()
}

/// `workos_auth.account_linking`
pub fn account_linking() -> Linking {
    match ACCOUNT_LINKING.get() {
        AccountLinking::Organization => Linking::Organization,
        AccountLinking::Email => Linking::Email,
        AccountLinking::None => Linking::None,
    }
}
