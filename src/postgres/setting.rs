//! Settings of any name, set from here.

use std::ffi::CStr;

use pgrx::prelude::*;

/// Sets a setting for the rest of the session.
pub fn set_for_session(name: &CStr, value: &CStr) {
    // SAFETY: two C strings; Postgres copies the value.
    unsafe {
        pg_sys::set_config_option(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
            pg_sys::GucAction::GUC_ACTION_SET,
            true,
            0,
            false,
        );
    }
}
