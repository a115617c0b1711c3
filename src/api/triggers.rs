//! Triggers of the extension's own tables. Declared in `sql/20_setting_up.sql`, attached in `sql/90_protect_tables.sql`.

use pgrx::prelude::*;
use workos_auth_core::Error;
use workos_auth_core::redirect::Pattern;

use crate::error::or_raise;

/// Trigger of `auth.redirect_urls`: refuses a pattern that could match a foreign address.
#[pg_trigger(sql = false)]
fn check_redirect_url<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    let pattern = new.get_by_name::<String>("pattern").ok().flatten();
    or_raise(pattern.ok_or_else(|| Error::null("pattern")).and_then(|pattern| Pattern::parse_new(&pattern).map(drop)));
    Ok(Some(new))
}

/// Trigger of the tables that backends cache: tells every backend, and every standby, that its copy is old.
#[pg_trigger(sql = false)]
fn forget_cached_rows<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    if let Ok(table) = trigger.relid() {
        // SAFETY: the OID of the table whose trigger this is.
        unsafe { pg_sys::CacheInvalidateRelcacheByRelid(table) };
    }
    Ok(trigger.new())
}
