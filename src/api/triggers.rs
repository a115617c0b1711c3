//! Triggers of the extension's own tables. Declared in `sql/20_setting_up.sql`, attached in `sql/90_protect_tables.sql`.

use pgrx::JsonB;
use pgrx::prelude::*;
use serde_json::json;
use workos_auth_core::installation::home_of_new_row;
use workos_auth_core::redirect::Pattern;
use workos_auth_core::{Error, email, random};

use crate::audit::configuration;
use crate::error::{or_raise, unexpected};
use crate::postgres::clock;
use crate::postgres::uuid::from_postgres;
use crate::store::authkit_tokens;
use crate::store::installation::{self as store, LockKey};
use crate::{auth_hooks, members, restoring};

/// Trigger of `auth.redirect_urls`: refuses a pattern that could match a foreign address. A restore brings what was in use, also where the
/// rules for a new pattern have become stricter since.
#[pg_trigger(sql = false)]
fn check_redirect_url<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    let pattern = new.get_by_name::<String>("pattern").ok().flatten();
    let parse = if restoring::is_restore() { Pattern::parse } else { Pattern::parse_new };
    or_raise(pattern.ok_or_else(|| Error::null("pattern")).and_then(|pattern| parse(&pattern).map(drop)));
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

/// Trigger of `auth.hooks`: refuses a function that may not be a hook, and notes whose it is. A restore brings the row as it was: a hook may
/// be what keeps people out, so it must not be lost where the function is not there yet, or where its owner is missing. A sign-in looks again.
#[pg_trigger(sql = false)]
fn check_hook<'a>(trigger: &'a PgTrigger<'a>) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    let mut new = new.into_owned();
    if restoring::is_restore() {
        return Ok(Some(new));
    }
    let function = new.get_by_name::<String>("function").ok().flatten();
    let owner =
        or_raise(function.ok_or_else(|| Error::null("function")).and_then(|function| auth_hooks::check(&function)));
    or_raise(
        new.set_by_name("function_owner", owner).map_err(|_| unexpected("auth.hooks has no column function_owner.")),
    );
    Ok(Some(new))
}

/// Trigger of `auth.users` and `auth.identities`: what Supabase Auth lets be NULL, and is not here, gets the default of its column. Only
/// those of the columns are looked at that the table has.
#[pg_trigger(sql = false)]
fn fill_in_defaults<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let Some(new) = trigger.new() else { return Ok(None) };
    let mut new = new.into_owned();
    /// Gives columns a value where they are NULL.
    macro_rules! fill_in {
        ($($name:literal),+: $type:ty = $value:expr) => {$(
            if let Ok(None) = new.get_by_name::<$type>($name) {
                or_raise(new.set_by_name($name, $value).map_err(unchanged));
            }
        )+};
    }
    fill_in!("aud", "role": String = "authenticated".to_owned());
    fill_in!("raw_app_meta_data", "raw_user_meta_data": JsonB = JsonB(json!({})));
    fill_in!("is_sso_user", "is_anonymous": bool = false);
    fill_in!("created_at", "updated_at": TimestampWithTimeZone = or_raise(clock::transaction_start()));
    Ok(Some(new))
}

pub(super) fn unchanged(error: impl std::fmt::Display) -> Error {
    unexpected(&format!("The row cannot be changed: {error}."))
}

/// Trigger of `auth.installation`: a row that comes from another cluster, with a dump or by replication, lives where it is written.
#[pg_trigger(sql = false)]
fn settle_installation<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    const SYSTEM: &str = "system_identifier";
    const DATABASE: &str = "database_oid";
    const LOCK_KEY: &str = "lock_key";
    let Some(new) = trigger.new() else { return Ok(None) };
    let mut new = new.into_owned();
    let number = |name| new.get_by_name::<i64>(name).ok().flatten();
    let home = home_of_new_row(store::here(), store::place(number(SYSTEM), number(DATABASE)));
    let written =
        new.set_by_name(SYSTEM, store::system(home)).and_then(|()| new.set_by_name(DATABASE, store::database(home)));
    or_raise(written.map_err(unchanged));
    // A verifier is not sent that of its issuer, and has locks of its own.
    let lacks_key = matches!(new.get_by_name::<&[u8]>(LOCK_KEY), Ok(None));
    if lacks_key {
        let key: LockKey = or_raise(random::bytes());
        or_raise(new.set_by_name(LOCK_KEY, key.to_vec()).map_err(unchanged));
    }
    Ok(Some(new))
}

/// Trigger of what administrators write with plain INSERT, UPDATE and DELETE: writes it into the audit log. A restore brings that log with it.
#[pg_trigger(sql = false)]
fn audit_configuration<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let read = |row: &PgHeapTuple<'_, AllocatedByPostgres>| {
        configuration::COLUMNS
            .iter()
            .filter_map(|name| Some((*name, row.get_by_name::<String>(name).ok().flatten()?)))
            .collect()
    };
    let table = trigger.table_name().unwrap_or_default();
    let (old, new) = (trigger.old(), trigger.new());
    if restoring::is_restore() {
        return Ok(new);
    }
    or_raise(configuration::write(&table, old.as_ref().map(read), new.as_ref().map(read)));
    Ok(new)
}

/// Trigger of `auth.organization_memberships`.
#[pg_trigger(sql = false)]
fn member_changed<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let read = |row: PgHeapTuple<'_, AllocatedByPostgres>| {
        let user_id = row.get_by_name::<pgrx::Uuid>("user_id").ok().flatten()?;
        let organization_id = row.get_by_name("organization_id").ok().flatten()?;
        Some(members::Member { organization_id, user_id: from_postgres(user_id) })
    };
    or_raise(members::changed(trigger.old().and_then(read).as_ref(), trigger.new().and_then(read).as_ref()));
    Ok(trigger.new())
}

/// Trigger of `auth.identities`, for those of trusted issuers.
#[pg_trigger(sql = false)]
fn identity_left<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let old = trigger.old();
    let text = |name| old.as_ref().and_then(|row| row.get_by_name::<String>(name).ok().flatten());
    if let (Some(issuer), Some(subject)) = (text("provider"), text("provider_id")) {
        or_raise(members::identity_left(&issuer, &subject));
    }
    Ok(old)
}

/// Trigger of `auth.sessions`: what AuthKit's session is refreshed with goes with the session, or with all of them.
#[pg_trigger(sql = false)]
fn forget_authkit_token<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    let old = trigger.old();
    or_raise(match old.as_ref().and_then(|row| row.get_by_name::<pgrx::Uuid>("id").ok().flatten()) {
        Some(session) => authkit_tokens::forget(from_postgres(session)),
        None => authkit_tokens::forget_all(),
    });
    Ok(old)
}

/// Trigger before and after every statement that inserts into a table with foreign keys: a restore may bring rows in any order.
#[pg_trigger(sql = false)]
fn restore_rows<'a>(
    trigger: &'a PgTrigger<'a>,
) -> Result<Option<PgHeapTuple<'a, impl WhoAllocated>>, PgHeapTupleError> {
    match trigger.when() {
        Ok(PgTriggerWhen::Before) => restoring::statement_begins(),
        _ => restoring::statement_ends(),
    }
    Ok(trigger.new())
}

/// Event trigger of the commands that can make a constraint. It does nothing: that it is called has loaded the library, which looks at
/// the constraint.
#[pg_extern(sql = false)]
fn load_library() {}

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
