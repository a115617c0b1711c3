//! Triggers of the extension's own tables. Declared in `sql/20_setting_up.sql`, attached in `sql/90_protect_tables.sql`.

use pgrx::prelude::*;
use workos_auth_core::redirect::Pattern;
use workos_auth_core::{Error, email};

use crate::error::or_raise;
use crate::hooks;
use crate::store::configuration_log;

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

/// Trigger of `auth.organization_domains`: refuses what no address has behind its `@`.
#[pg_trigger(sql = false)]
fn check_organization_domain<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    // NULL is left to the column.
    if let Some(domain) = new.get_by_name::<String>("domain").ok().flatten().filter(|domain| !email::is_domain(domain))
    {
        let why = match domain.is_empty() {
            true => "it is empty.",
            false => "it is no domain: labels of letters, digits and hyphens, with single dots between them.",
        };
        or_raise(Err(Error::invalid("domain", why)))
    }
    Ok(Some(new))
}

/// Trigger of `auth.hooks`: refuses a function that may not be a hook.
#[pg_trigger(sql = false)]
fn check_hook<'a>(trigger: &'a PgTrigger<'a>) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    let function = new.get_by_name::<String>("function").ok().flatten();
    or_raise(function.ok_or_else(|| Error::null("function")).and_then(|function| hooks::check(&function)));
    Ok(Some(new))
}

/// Trigger of what administrators write with plain INSERT, UPDATE and DELETE: writes it into the audit log.
#[pg_trigger(sql = false)]
fn audit_configuration<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let read = |row: &PgHeapTuple<'_, AllocatedByPostgres>| {
        configuration_log::COLUMNS
            .iter()
            .filter_map(|name| Some((*name, row.get_by_name::<String>(name).ok().flatten()?)))
            .collect()
    };
    let table = trigger.table_name().unwrap_or_default();
    let (old, new) = (trigger.old(), trigger.new());
    or_raise(configuration_log::write(&table, old.as_ref().map(read), new.as_ref().map(read)));
    Ok(new)
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
