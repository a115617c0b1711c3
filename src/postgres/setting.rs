//! Settings of any name, set from here.

use std::ffi::CStr;

use pgrx::prelude::*;

/// How long a value lasts.
#[derive(Debug, Clone, Copy)]
pub enum Lifetime {
    /// The end of the session, or of the subtransaction that is rolled back.
    Session,
    /// The end of the transaction.
    Transaction,
    /// The end of the nest level of settings: a function that has settings of its own, or [`acting_as`](super::roles).
    NestLevel,
}

/// Sets what every user may set, as the session's own SET does. Postgres raises an error of its own for a value that the setting refuses.
pub fn set(name: &CStr, value: &CStr, lifetime: Lifetime) {
    set_as(pg_sys::GucContext::PGC_USERSET, name, value, lifetime);
}

/// Sets what a superuser may set.
pub fn set_as_superuser(name: &CStr, value: &CStr, lifetime: Lifetime) {
    set_as(pg_sys::GucContext::PGC_SUSET, name, value, lifetime);
}

/// What a setting is now, of this or another library; `None` where nobody has set it, and nobody has declared it.
pub fn value(name: &CStr) -> Option<String> {
    // SAFETY: NULL for a name that is not there; Postgres owns the text.
    let value = unsafe { pg_sys::GetConfigOption(name.as_ptr(), true, false) };
    // SAFETY: as above.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_string_lossy().into_owned())
}

fn set_as(context: pg_sys::GucContext::Type, name: &CStr, value: &CStr, lifetime: Lifetime) {
    let action = match lifetime {
        Lifetime::Session => pg_sys::GucAction::GUC_ACTION_SET,
        Lifetime::Transaction => pg_sys::GucAction::GUC_ACTION_LOCAL,
        Lifetime::NestLevel => pg_sys::GucAction::GUC_ACTION_SAVE,
    };
    let source = pg_sys::GucSource::PGC_S_SESSION;
    // SAFETY: two C strings; Postgres copies the value.
    unsafe { pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, action, true, 0, false) };
}
