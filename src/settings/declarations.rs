//! Every setting's name, help text, limits and unit.

use std::ffi::{CStr, c_char, c_void};

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};
use pgrx::pg_sys;

use super::prefix::flags;
use super::values::name_list;
use super::variables::*;

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
    // SAFETY: the hook neither panics nor raises.
    unsafe {
        GucRegistry::define_string_guc_with_hooks(
            c"workos_auth.worker_databases",
            c"The databases that have a background worker, separated by commas.",
            c"As each is written in pg_database, in double quotes where need be; at most 64. Needs workos_auth in shared_preload_libraries. Can only be set in the configuration file, and counts from the next start of the server.",
            &WORKER_DATABASES,
            worker_databases_context(),
            flags(GucFlags::from_bits_retain(pg_sys::GUC_LIST_INPUT.cast_signed())),
            Some(check_names),
            None,
            None,
        );
    }
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
    int(
        c"workos_auth.max_replication_lag",
        c"How old the issuer's last heartbeat may be in a database that only verifies.",
        c"At least 1 s. Older: every access token is refused, since a sign-out may not have arrived. See auth.become_verifier().",
        &MAX_REPLICATION_LAG,
        1,
        86400,
        seconds,
    );
    GucRegistry::define_enum_guc(
        c"workos_auth.deprovision",
        c"What becomes of people who have left a customer, as the events of WorkOS tell it.",
        c"end_sessions: their sessions in the organization end, and they cannot sign in there until WorkOS says that they are back. ban: the same, and who belongs to no other organization is banned until auth.unban_user. off: nothing.",
        &DEPROVISION,
        GucContext::Suset,
        flags(GucFlags::empty()),
    );
    int(
        c"workos_auth.sync_max_age",
        c"How old the last complete reading of WorkOS's events may be where somebody signs in to an organization, or refreshes.",
        c"0: however old. Older, or never read: workos_auth.sync_overdue says what follows.",
        &SYNC_MAX_AGE,
        0,
        30 * 86400,
        seconds,
    );
    GucRegistry::define_enum_guc(
        c"workos_auth.sync_overdue",
        c"What follows where WorkOS's events were not read for longer than workos_auth.sync_max_age.",
        c"warn: the server's log says so. refuse_sign_in: sign-ins to organizations, and refreshes there, are refused.",
        &SYNC_OVERDUE,
        GucContext::Suset,
        flags(GucFlags::empty()),
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

/// Postgres lets a setting count from the start of the server where it is declared then.
fn worker_databases_context() -> GucContext {
    // SAFETY: reads a global of the backend.
    match unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        true => GucContext::Postmaster,
        false => GucContext::Sighup,
    }
}

/// Refuses what is no list of names.
unsafe extern "C-unwind" fn check_names(
    value: *mut *mut c_char,
    _: *mut *mut c_void,
    _: pg_sys::GucSource::Type,
) -> bool {
    // SAFETY: Postgres passes a pointer to a C string, or to NULL.
    let value = unsafe { if (*value).is_null() { c"" } else { CStr::from_ptr(*value) } };
    name_list(value).is_some()
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
