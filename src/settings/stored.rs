//! Settings as they are stored: in the catalogs and in configuration files, which take whatever is written there while the library is not
//! loaded.

use std::ffi::{CStr, CString, c_char};

use pgrx::pg_sys;

use super::prefix::own_variables;
use super::values::file_list;

/// What is wrong with a setting of our prefix, in a sentence; without a value, with its name alone. `in_file` is whether it stands in a
/// configuration file, where alone some may stand.
pub fn finding(name: &str, value: Option<&str>, in_file: bool) -> Option<&'static str> {
    let Some((variable, _)) = own_variables().find(|(_, known)| known.eq_ignore_ascii_case(name)) else {
        return Some("There is no setting of this name, so that it does nothing.");
    };
    let value = value?;
    // SAFETY: one of Postgres's variables.
    let context = unsafe { (*variable).context };
    let needs_file = [pg_sys::GucContext::PGC_SIGHUP, pg_sys::GucContext::PGC_POSTMASTER].contains(&context);
    if needs_file && !in_file {
        return Some("It does nothing outside the configuration file.");
    }
    let is_good = match (CString::new(name), CString::new(value)) {
        (Ok(name), Ok(value)) => is_taken(&name, &value, context, in_file),
        _ => false,
    };
    if is_good { None } else { Some("Its value cannot be used, so that it does nothing.") }
}

/// Whether Postgres would take the value, of which it changes nothing and tells nobody. `of` is when the setting may change.
fn is_taken(name: &CStr, value: &CStr, of: pg_sys::GucContext::Type, in_file: bool) -> bool {
    let (context, source) = match in_file {
        // Whether the server has the value already is not asked.
        true if of == pg_sys::GucContext::PGC_POSTMASTER => (of, pg_sys::GucSource::PGC_S_FILE),
        true => (pg_sys::GucContext::PGC_SIGHUP, pg_sys::GucSource::PGC_S_FILE),
        false => (pg_sys::GucContext::PGC_SUSET, pg_sys::GucSource::PGC_S_TEST),
    };
    let (set, quietly) = (pg_sys::GucAction::GUC_ACTION_SET, pg_sys::DEBUG5.cast_signed());
    // SAFETY: two C strings; nothing is changed. A value that is refused is told at the lowest level, and answered by 0.
    let answer = unsafe {
        pg_sys::set_config_option(name.as_ptr(), value.as_ptr(), context, source, set, false, quietly, false)
    };
    answer != 0
}

/// Whether `shared_preload_libraries` or `session_preload_libraries` names the library.
pub fn is_preloaded() -> bool {
    // SAFETY: Postgres's own variables, of which each points to a C string or to nothing; their values stay until the next SET.
    let lists = unsafe { [pg_sys::shared_preload_libraries_string, pg_sys::session_preload_libraries_string] };
    lists.into_iter().any(|list| {
        // SAFETY: as above.
        let list = if list.is_null() { c"" } else { unsafe { CStr::from_ptr(list.cast::<c_char>()) } };
        let libraries = file_list(list).unwrap_or_default();
        libraries.iter().any(|library| library.file_stem().is_some_and(|name| name == "workos_auth"))
    })
}
