//! All settings of the prefix `workos_auth` at once: what is done to them while the library is loaded.

use std::borrow::Cow;
use std::ffi::CStr;

use pgrx::guc::GucFlags;
use pgrx::pg_sys;
use workos_auth_core::{Error, ErrorCode};

const PREFIX: &str = "workos_auth.";

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
pub(super) fn own_variables() -> impl Iterator<Item = (*mut pg_sys::config_generic, Cow<'static, str>)> {
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
