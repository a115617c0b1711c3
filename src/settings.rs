//! Every setting of the extension, with the help text a DBA reads in `pg_settings`.
//!
//! All but `workos_auth.session_token` (see `current_session::token`) are superuser-only.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, c_char};
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};
use pgrx::pg_sys;
use workos_auth_core::accounts::Linking;
use workos_auth_core::{Error, ErrorCode};

const PREFIX: &str = "workos_auth.";

type Text = GucSetting<Option<CString>>;

static SITE_URL: Text = GucSetting::<Option<CString>>::new(None);
static ISSUER: Text = GucSetting::<Option<CString>>::new(None);
static AUDIENCE: Text = GucSetting::<Option<CString>>::new(Some(c"authenticated"));
static ALLOWED_ROLES: Text = GucSetting::<Option<CString>>::new(Some(c"authenticated"));
static CA_FILE: Text = GucSetting::<Option<CString>>::new(None);
static HTTPS_PROXY: Text = GucSetting::<Option<CString>>::new(None);
static HTTPS_PROXY_CREDENTIALS_FILE: Text = GucSetting::<Option<CString>>::new(None);
static ROOT_KEY_FILE: Text = GucSetting::<Option<CString>>::new(None);
static ROOT_KEY_COMMAND: Text = GucSetting::<Option<CString>>::new(None);
static ROOT_KEY_COMMAND_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5);
static INSTALLATION_HOMES: Text = GucSetting::<Option<CString>>::new(None);
static ACCESS_TOKEN_TTL: GucSetting<i32> = GucSetting::<i32>::new(3600);
static SESSION_TTL: GucSetting<i32> = GucSetting::<i32>::new(7 * 86400);
static SESSION_IDLE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(0);
static REFRESH_REUSE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static SINGLE_SESSION_PER_USER: GucSetting<bool> = GucSetting::<bool>::new(false);
static AUDIT_RETENTION: GucSetting<i32> = GucSetting::<i32>::new(0);
static FLOW_TTL: GucSetting<i32> = GucSetting::<i32>::new(900);
static CONNECT_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(2);
static REQUEST_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5);
static REQUEST_QUEUE_TIMEOUT: GucSetting<i32> = GucSetting::<i32>::new(5);
static MAX_CONCURRENT_REQUESTS: GucSetting<i32> = GucSetting::<i32>::new(16);
static MAX_TOKEN_SIZE: GucSetting<i32> = GucSetting::<i32>::new(12 * 1024);
static TOKEN_CACHE_SIZE: GucSetting<i32> = GucSetting::<i32>::new(64);
static CHECK_SESSIONS: GucSetting<bool> = GucSetting::<bool>::new(true);
static ALLOW_SIGNUP: GucSetting<bool> = GucSetting::<bool>::new(true);
static LINK_ACROSS_ORGANIZATIONS: GucSetting<bool> = GucSetting::<bool>::new(false);
static TRUST_EMAIL_DOMAINS: GucSetting<bool> = GucSetting::<bool>::new(true);
static REQUIRE_CODE_CHALLENGE: GucSetting<bool> = GucSetting::<bool>::new(false);
static ALLOW_PLAIN_PKCE: GucSetting<bool> = GucSetting::<bool>::new(false);
static ALLOW_IMPLICIT: GucSetting<bool> = GucSetting::<bool>::new(true);
static IDP_INITIATED: GucSetting<IdpInitiated> = GucSetting::<IdpInitiated>::new(IdpInitiated::Refuse);
static ALLOW_ROOT_KEY_IN_DATA_DIRECTORY: GucSetting<bool> = GucSetting::<bool>::new(false);
static RLS_GUARD: GucSetting<RlsGuard> = GucSetting::<RlsGuard>::new(RlsGuard::Error);
static ACCOUNT_LINKING: GucSetting<AccountLinking> = GucSetting::<AccountLinking>::new(AccountLinking::Organization);

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

/// When a new identity may join an account that is already there.
#[derive(Debug, Clone, Copy, PostgresGucEnum)]
enum AccountLinking {
    #[name = c"organization"]
    Organization,
    #[name = c"email"]
    Email,
    #[name = c"none"]
    None,
}

/// What becomes of a sign-in that the identity provider began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
enum IdpInitiated {
    #[name = c"refuse"]
    Refuse,
    #[name = c"restart"]
    Restart,
}

/// `GUC_ALLOW_IN_PARALLEL` (`guc.h`), which headers before 15.9 and 16.5 do not have; the servers of those days leave the bit alone.
const CHANGES_IN_PARALLEL: GucFlags =
    GucFlags::from_bits_retain(if cfg!(feature = "pg15") { 0x0040_0000 } else { 0x0000_8000 });

/// The flags that a setting is declared with. In a parallel query Postgres changes no setting without [`CHANGES_IN_PARALLEL`], and so would lose
/// what was set before the library was there, where such a query is the first to need it.
pub fn flags(flags: GucFlags) -> GucFlags {
    // SAFETY: reads the state of the transaction.
    if unsafe { pg_sys::IsInParallelMode() } { flags | CHANGES_IN_PARALLEL } else { flags }
}

/// Takes [`CHANGES_IN_PARALLEL`] back, once every setting is declared.
pub fn settle_flags() {
    for (variable, _) in own_variables() {
        // SAFETY: one of Postgres's variables; a backend has one thread.
        unsafe { (*variable).flags &= !CHANGES_IN_PARALLEL.bits() };
    }
}

/// Declares every setting, and reserves the prefix. Called once, from `_PG_init`.
pub fn define() {
    let seconds = GucFlags::UNIT_S;
    text(
        c"workos_auth.site_url",
        c"The application's own address.",
        c"Redirects to the same scheme, host and port are allowed beside auth.redirect_urls. Empty: only the list.",
        &SITE_URL,
    );
    text(
        c"workos_auth.issuer",
        c"The iss claim of access tokens.",
        c"Empty: urn:uuid: and the id of auth.installation, so that another installation's tokens are refused.",
        &ISSUER,
    );
    text(c"workos_auth.audience", c"The aud claim of access tokens, required when they are verified.", c"", &AUDIENCE);
    text(
        c"workos_auth.allowed_roles",
        c"The database roles a session may have, separated by commas.",
        c"The role claim is auth.users.role; a sign-in of a user with another role is refused.",
        &ALLOWED_ROLES,
    );
    text(
        c"workos_auth.ca_file",
        c"A PEM file with the certificate authorities that WorkOS's certificate is checked with.",
        c"Empty: the operating system's.",
        &CA_FILE,
    );
    text(
        c"workos_auth.https_proxy",
        c"The HTTP proxy that connects to WorkOS for a server that cannot.",
        c"http://host:port, asked for a tunnel (CONNECT). Empty: none, whatever HTTPS_PROXY in the server's environment says.",
        &HTTPS_PROXY,
    );
    GucRegistry::define_string_guc(
        c"workos_auth.https_proxy_credentials_file",
        c"The file that holds user:password for the proxy.",
        c"Absolute path, readable by the server's user alone. Empty: the proxy wants none.",
        &HTTPS_PROXY_CREDENTIALS_FILE,
        GucContext::Suset,
        flags(GucFlags::SUPERUSER_ONLY),
    );
    GucRegistry::define_string_guc(c"workos_auth.root_key_file", c"The file that holds the root key, 32 random bytes that auth.create_root_key writes.", c"Absolute path, outside the data directory, readable by the server's user alone. Several, separated by commas, are tried in their order: while the root key is changed, name both. Can only be set in the configuration file.", &ROOT_KEY_FILE, GucContext::Sighup, flags(GucFlags::SUPERUSER_ONLY));
    GucRegistry::define_string_guc(c"workos_auth.root_key_command", c"A shell command that prints the root key.", c"32 random bytes, as they are, in base64 or in hexadecimal digits. It is run where no file of workos_auth.root_key_file holds the key. Can only be set in the configuration file.", &ROOT_KEY_COMMAND, GucContext::Sighup, flags(GucFlags::SUPERUSER_ONLY));
    GucRegistry::define_int_guc(
        c"workos_auth.root_key_command_timeout",
        c"How long workos_auth.root_key_command may take.",
        c"At least 1 s. Then it is killed. Can only be set in the configuration file.",
        &ROOT_KEY_COMMAND_TIMEOUT,
        1,
        300,
        GucContext::Sighup,
        flags(seconds),
    );
    // Of the role workos_auth_owner alone, which nobody logs in as, and read from the catalog (store::scan::homes). Declared so that the
    // prefix may be reserved, and hidden since it is nothing to set.
    GucRegistry::define_string_guc(
        c"workos_auth.installation_homes",
        c"Where installations of this cluster live that were taken over.",
        c"auth.take_over_installation() writes it to the role workos_auth_owner.",
        &INSTALLATION_HOMES,
        GucContext::Suset,
        flags(GucFlags::NO_SHOW_ALL | GucFlags::SUPERUSER_ONLY | GucFlags::DISALLOW_IN_FILE),
    );
    int(
        c"workos_auth.access_token_ttl",
        c"How long an access token is good for.",
        c"At least 1 s, at most a week.",
        &ACCESS_TOKEN_TTL,
        1,
        7 * 86400,
        seconds,
    );
    int(
        c"workos_auth.session_ttl",
        c"How long a session lasts at most.",
        c"At least 1 s, at most ten years.",
        &SESSION_TTL,
        1,
        3650 * 86400,
        seconds,
    );
    int(
        c"workos_auth.session_idle_timeout",
        c"How long a session may go without a refresh.",
        c"0: as long as it lasts. Longer than workos_auth.access_token_ttl, or each session ends with its access token.",
        &SESSION_IDLE_TIMEOUT,
        0,
        3650 * 86400,
        seconds,
    );
    int(
        c"workos_auth.refresh_reuse_interval",
        c"How long the refresh token before the newest one is taken for that of another tab.",
        c"Later it counts as a lost answer, and the third in a row as theft. 0 is off: always later.",
        &REFRESH_REUSE_INTERVAL,
        0,
        3600,
        seconds,
    );
    flag(
        c"workos_auth.single_session_per_user",
        c"Refuses to refresh a session when its person has signed in again since.",
        c"The older session's access token stays good until it expires.",
        &SINGLE_SESSION_PER_USER,
    );
    int(
        c"workos_auth.audit_retention",
        c"How long auth.cleanup keeps the entries of auth.audit_log_entries.",
        c"0: for ever. Write the unit, for example 90d: a bare number is seconds.",
        &AUDIT_RETENTION,
        0,
        30 * 365 * 86400,
        seconds,
    );
    int(
        c"workos_auth.flow_ttl",
        c"How long a sign-in may take, from the authorize URL to the exchange.",
        c"At least 1 s, at most a day.",
        &FLOW_TTL,
        1,
        86400,
        seconds,
    );
    int(
        c"workos_auth.connect_timeout",
        c"How long to wait for a connection to WorkOS, name look-up included.",
        c"At least 1 s.",
        &CONNECT_TIMEOUT,
        1,
        300,
        seconds,
    );
    int(
        c"workos_auth.request_timeout",
        c"How long to wait for WorkOS's whole answer, connecting and the wait for a place included.",
        c"At least 1 s.",
        &REQUEST_TIMEOUT,
        1,
        300,
        seconds,
    );
    int(
        c"workos_auth.request_queue_timeout",
        c"How long a call waits for its turn where workos_auth.max_concurrent_requests others wait for WorkOS.",
        c"First come, first served. 0: refused at once. Never so long that workos_auth.request_timeout leaves WorkOS no time to answer.",
        &REQUEST_QUEUE_TIMEOUT,
        0,
        300,
        seconds,
    );
    int(
        c"workos_auth.max_concurrent_requests",
        c"How many backends of this cluster may wait for WorkOS at a time.",
        c"The next one waits for a place, as long as workos_auth.request_queue_timeout says.",
        &MAX_CONCURRENT_REQUESTS,
        1,
        1024,
        GucFlags::empty(),
    );
    int(
        c"workos_auth.max_token_size",
        c"How large an access token may be.",
        c"HTTP servers refuse long headers; a sign-in that would exceed this fails.",
        &MAX_TOKEN_SIZE,
        1024,
        64 * 1024,
        GucFlags::UNIT_BYTE,
    );
    int(
        c"workos_auth.token_cache_size",
        c"How many verified access tokens a backend remembers.",
        c"A remembered token costs no signature check; each takes some kilobytes. Time, key and session are looked at all the same.",
        &TOKEN_CACHE_SIZE,
        1,
        65536,
        GucFlags::empty(),
    );
    flag(
        c"workos_auth.check_sessions",
        c"Looks at the session's row once a statement, unless nothing was written since the last look.",
        c"On: a sign-out is seen in the next statement everywhere. Off: an access token is good until it expires.",
        &CHECK_SESSIONS,
    );
    flag(c"workos_auth.allow_signup", c"Lets people in who have no account yet.", c"", &ALLOW_SIGNUP);
    flag(
        c"workos_auth.link_across_organizations",
        c"Lets people link identities of several organizations to one account.",
        c"Off: auth.link_identity takes identities of an organization that the account belongs to already.",
        &LINK_ACROSS_ORGANIZATIONS,
    );
    flag(
        c"workos_auth.trust_email_domains",
        c"Trusts WorkOS to check the e-mail domains of an organization's profiles.",
        c"Off: auth.users.email stays NULL for people who sign in through an organization.",
        &TRUST_EMAIL_DOMAINS,
    );
    flag(
        c"workos_auth.require_code_challenge",
        c"Refuses sign-ins without a code challenge.",
        c"",
        &REQUIRE_CODE_CHALLENGE,
    );
    flag(
        c"workos_auth.allow_plain_pkce",
        c"Allows the code challenge method plain.",
        c"For old clients; it protects less than S256.",
        &ALLOW_PLAIN_PKCE,
    );
    flag(
        c"workos_auth.allow_implicit",
        c"Lets auth.handle_callback finish a sign-in that was begun without a code challenge.",
        c"The tokens then stand in the URL that the browser is sent to, which must be listed in auth.redirect_urls. Off: such a sign-in is refused there.",
        &ALLOW_IMPLICIT,
    );
    GucRegistry::define_enum_guc(
        c"workos_auth.idp_initiated",
        c"What auth.handle_callback does with a sign-in that the identity provider began.",
        c"refuse: sends the browser to workos_auth.site_url with an error. restart: sends it into a fresh sign-in, where WorkOS names the connection.",
        &IDP_INITIATED,
        GucContext::Suset,
        flags(GucFlags::empty()),
    );
    GucRegistry::define_bool_guc(
        c"workos_auth.allow_root_key_in_data_directory",
        c"Allows a root key that every base backup copies.",
        c"For demonstrations. Can only be set in the configuration file.",
        &ALLOW_ROOT_KEY_IN_DATA_DIRECTORY,
        GucContext::Sighup,
        flags(GucFlags::empty()),
    );
    GucRegistry::define_enum_guc(
        c"workos_auth.rls_guard",
        c"What auth.set_session does for a role that row-level security does not bind.",
        c"error, warning or off.",
        &RLS_GUARD,
        GucContext::Suset,
        flags(GucFlags::empty()),
    );
    GucRegistry::define_enum_guc(c"workos_auth.account_linking", c"When a new identity may join an account that is already there.", c"organization: same organization and e-mail, another connection. email: the same e-mail, whose domain stands in auth.organization_domains for the organization. none: never.", &ACCOUNT_LINKING, GucContext::Suset, flags(GucFlags::empty()));
}

/// Refuses a connection whose options set what is not its role's to set. Called first, from `_PG_init`.
///
/// Where the library is loaded by its first use, such an option has covered the administrator's value before there was anybody to
/// refuse it, and Postgres would go on with the built-in default of the setting.
pub fn refuse_options() {
    if let Some(name) = option_without_right() {
        let detail = format!("The connection's options set {name}, which is not this role's to set.");
        crate::error::raise(
            Error::with_detail(ErrorCode::InsufficientPrivilege, detail).hint("Connect without this option."),
        );
    }
}

/// Every setting of our prefix, with its name.
fn own_variables() -> impl Iterator<Item = (*mut pg_sys::config_generic, Cow<'static, str>)> {
    // SAFETY: Postgres's own array of its variables.
    let variables = unsafe {
        #[cfg(feature = "pg15")]
        let (start, count) = (pg_sys::get_guc_variables(), pg_sys::GetNumConfigOptions());
        #[cfg(not(feature = "pg15"))]
        let (start, count) = {
            let mut count = 0;
            (pg_sys::get_guc_variables(&mut count), count)
        };
        std::slice::from_raw_parts(start, usize::try_from(count).unwrap_or_default())
    };
    variables.iter().filter_map(|variable| {
        // SAFETY: a variable's name is a C string, which lives as long as the variable.
        let name = unsafe { CStr::from_ptr((**variable).name).to_string_lossy() };
        let is_ours = name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX));
        is_ours.then(|| (*variable, name))
    })
}

fn option_without_right() -> Option<String> {
    own_variables().find_map(|(variable, name)| {
        // SAFETY: one of Postgres's variables.
        let variable = unsafe { &*variable };
        let is_from_the_connection = variable.reset_source == pg_sys::GucSource::PGC_S_CLIENT;
        let is_without_right =
            [pg_sys::GucContext::PGC_BACKEND, pg_sys::GucContext::PGC_USERSET].contains(&variable.reset_scontext);
        let is_checked = !name.eq_ignore_ascii_case("workos_auth.session_token");
        (is_checked && is_from_the_connection && is_without_right).then(|| name.into_owned())
    })
}

/// Refuses settings of our prefix that do not exist. After all are defined.
pub fn reserve_prefix() {
    // SAFETY: a constant string, in _PG_init.
    unsafe { pg_sys::MarkGUCPrefixReserved(c"workos_auth".as_ptr()) };
}

fn text(name: &'static CStr, short: &'static CStr, long: &'static CStr, setting: &'static Text) {
    GucRegistry::define_string_guc(name, short, long, setting, GucContext::Suset, flags(GucFlags::empty()));
}

fn int(
    name: &'static CStr,
    short: &'static CStr,
    long: &'static CStr,
    setting: &'static GucSetting<i32>,
    min: i32,
    max: i32,
    unit: GucFlags,
) {
    GucRegistry::define_int_guc(name, short, long, setting, min, max, GucContext::Suset, flags(unit));
}

fn flag(name: &'static CStr, short: &'static CStr, long: &'static CStr, setting: &'static GucSetting<bool>) {
    GucRegistry::define_bool_guc(name, short, long, setting, GucContext::Suset, flags(GucFlags::empty()));
}

/// The value of a text setting; empty counts as absent.
fn value(setting: &Text) -> Option<String> {
    setting.get().map(|v| v.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
}

/// The names of a list of files, which Postgres reads as that of `unix_socket_directories`: separated by commas, in double quotes where need be.
fn file_list(list: &CStr) -> Option<Vec<PathBuf>> {
    // SAFETY: Postgres takes a copy apart, in the current memory context; what it lists are C strings.
    unsafe {
        let mut names: *mut pg_sys::List = std::ptr::null_mut();
        if !pg_sys::SplitDirectoriesString(pg_sys::pstrdup(list.as_ptr()), b',' as c_char, &mut names) {
            return None;
        }
        // NIL, the empty list, is NULL.
        let Some(list) = names.as_ref() else { return Some(Vec::new()) };
        let cells = std::slice::from_raw_parts(list.elements, usize::try_from(list.length).unwrap_or_default());
        let name = |cell: &pg_sys::ListCell| CStr::from_ptr(cell.ptr_value.cast()).to_bytes();
        Some(cells.iter().map(|cell| PathBuf::from(OsStr::from_bytes(name(cell)))).collect())
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
