//! Sign in with WorkOS from SQL: the Postgres side of the extension.
//!
//! | module | what it does |
//! |---|---|
//! | [`api`] | the SQL functions, grouped by what they are for |
//! | [`installation`] | which installation this database is, and whether it is a copy |
//! | [`verifier`] | databases that verify what another one signs: published to, fed |
//! | [`worker`] | the background worker of a database |
//! | [`sign_in`] | the course of a sign-in: start, exchange, account |
//! | [`sessions`] | the life of a session: opened, given tokens |
//! | [`members`] | what follows from a change of a membership |
//! | [`mirror`] | what WorkOS's events tell is written down, and what follows is done |
//! | [`own_account`] | what a person sees and changes of their account |
//! | [`authkit_sessions`] | what a sign-out means at WorkOS |
//! | [`auth_hooks`] | the administrator's own functions, called on the way |
//! | [`admin`] | what `auth.grant_admin` gives: set-up, keys, bans, people and sessions that do not come through WorkOS |
//! | [`audit`] | the audit log |
//! | [`store`] | every SQL statement and every table scan the extension runs |
//! | [`current_session`] | the current session: its token, verified and cached |
//! | [`http`] | waiting for WorkOS inside a backend |
//! | [`secrets`] | root key and data keys |
//! | [`postgres`] | what Postgres offers: the executor, roles, transactions, values |
//! | [`foreign_keys`] | which foreign keys to the extension's tables are refused |
//! | [`settings`] | every setting, with its help text |
//! | [`mod@error`] | how an error reaches the client |
//!
//! What is decided, as opposed to done, stands in `crates/core`.

#![allow(unsafe_code, reason = "Postgres is called, and calls, by pointers of C")]

use std::ffi::CStr;

use pgrx::prelude::*;

use crate::postgres::executor::{self, Callbacks};

mod admin;
mod api;
mod audit;
mod auth_hooks;
mod authkit_sessions;
mod current_session;
mod error;
mod foreign_keys;
mod http;
mod installation;
mod members;
mod mirror;
mod own_account;
#[cfg(any(test, feature = "pg_test"))]
mod pg_test;
mod postgres;
mod restoring;
mod secrets;
mod sessions;
mod settings;
mod sign_in;
mod store;
mod verifier;
mod worker;

::pgrx::pg_module_magic!(name = c"workos_auth", version = VERSION);

/// What Postgres 18 shows in `pg_get_loaded_modules()`. Said here: pgrx's own takes the version for the name.
const VERSION: &CStr = match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
    Ok(version) => version,
    Err(_) => c"",
};

// What `cargo pgrx` makes the install script of, each after the one before: tools/extension-files.sh takes them by their names.
extension_sql_file!("../sql/00_preflight.sql", name = "preflight", bootstrap);
extension_sql_file!("../sql/10_installation.sql", name = "installation", requires = ["preflight"]);
extension_sql_file!("../sql/11_account_tables.sql", name = "account_tables", requires = ["installation"]);
extension_sql_file!("../sql/12_types.sql", name = "types", requires = ["account_tables"]);
extension_sql_file!("../sql/13_trusted_issuers.sql", name = "issuer_tables", requires = ["types"]);
extension_sql_file!("../sql/14_worker.sql", name = "worker_tables", requires = ["issuer_tables"]);
extension_sql_file!("../sql/15_verifiers.sql", name = "verifier_tables", requires = ["worker_tables"]);
extension_sql_file!("../sql/16_workos_mirror.sql", name = "mirror_tables", requires = ["verifier_tables"]);
extension_sql_file!("../sql/20_setting_up.sql", name = "setting_up", requires = ["mirror_tables"]);
extension_sql_file!("../sql/21_versions.sql", name = "versions", requires = ["setting_up"]);
extension_sql_file!("../sql/22_trusted_issuers.sql", name = "trusted_issuers", requires = ["versions"]);
extension_sql_file!("../sql/23_verifiers.sql", name = "verifiers", requires = ["trusted_issuers"]);
extension_sql_file!("../sql/24_customers.sql", name = "customers", requires = ["verifiers"]);
extension_sql_file!("../sql/25_workos_mirror.sql", name = "mirror", requires = ["customers"]);
extension_sql_file!("../sql/26_workos_sync.sql", name = "workos_sync", requires = ["mirror"]);
extension_sql_file!("../sql/30_signing_in.sql", name = "signing_in", requires = ["workos_sync"]);
extension_sql_file!("../sql/31_brokering.sql", name = "brokering", requires = ["signing_in"]);
extension_sql_file!("../sql/32_operating.sql", name = "operating", requires = ["brokering"]);
extension_sql_file!("../sql/33_people_without_workos.sql", name = "people_without_workos", requires = ["operating"]);
extension_sql_file!("../sql/36_identities.sql", name = "identities", requires = ["people_without_workos"]);
extension_sql_file!("../sql/40_reading.sql", name = "reading", requires = ["identities"]);
extension_sql_file!("../sql/42_own_account.sql", name = "own_account", requires = ["reading"]);
extension_sql_file!("../sql/45_check_parts.sql", name = "check_parts", requires = ["own_account"]);
extension_sql_file!("../sql/46_check_people.sql", name = "check_people", requires = ["check_parts"]);
extension_sql_file!("../sql/47_check_functions.sql", name = "check_functions", requires = ["check_people"]);
extension_sql_file!("../sql/48_check_own.sql", name = "check_own", requires = ["check_functions"]);
extension_sql_file!("../sql/49_check_mirror.sql", name = "check_mirror", requires = ["check_own"]);
extension_sql_file!("../sql/49_check_settings.sql", name = "check_settings", requires = ["check_mirror"]);
extension_sql_file!("../sql/49_check_sign_up.sql", name = "check_sign_up", requires = ["check_settings"]);
extension_sql_file!("../sql/49_check_verifier.sql", name = "check_verifier", requires = ["check_sign_up"]);
extension_sql_file!("../sql/49_check_worker.sql", name = "check_worker", requires = ["check_verifier"]);
extension_sql_file!("../sql/50_check.sql", name = "check", requires = ["check_worker"]);
extension_sql_file!("../sql/80_rights.sql", name = "rights", requires = ["check"]);
extension_sql_file!("../sql/90_protect_tables.sql", name = "protect_tables", requires = ["rights"]);
extension_sql_file!("../sql/99_epilogue.sql", name = "epilogue", requires = ["protect_tables"]);

/// Called by Postgres when a backend, or the postmaster, loads the library. Nothing here touches the network, reads a key or uses
/// randomness: all of that waits for the first call that needs it.
#[pg_guard]
pub extern "C-unwind" fn _PG_init() {
    error::switch_backtraces_off();
    settings::refuse_options();
    settings::define();
    current_session::define();
    settings::settle_flags();
    settings::reserve_prefix();
    executor::install(Callbacks {
        identity: current_session::unverified_identity,
        before_spread_query: current_session::require_handed_on,
        before_commit: admin::end_sessions_before_commit,
        transaction_ended,
    });
    foreign_keys::install();
    worker::register();
}

/// Called by the executor's hooks, where nothing may be raised.
fn transaction_ended() {
    current_session::transaction_ended();
    admin::transaction_ended();
}
