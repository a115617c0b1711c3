//! `auth.reseal` and `auth.abandon_sealed_data`: another root key, and the way out where the root key is lost. And what tells of the states in
//! between: `auth.require_ready` and the finding of `auth.check()`.

use std::path::Path;

use pgrx::prelude::*;
use serde_json::{Value, json};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::error::warn;
use crate::postgres::roles::{Right, as_owner, require_right};
use crate::postgres::transaction::require_writable;
use crate::secrets::{self, reseal, state};
use crate::store::{Subject, authkit_tokens, configuration, flows, installation as store, locks, sessions};
use crate::{current_session, installation};

/// Moves everything sealed to the root key of a file, and says how many values that were.
///
/// # Errors
/// `insufficient_privilege`, `null_value`, those of a root key file that cannot be used, and those of [`reseal::reseal`].
pub fn move_to(new_root_key_file: Option<&str>) -> Result<i64> {
    require_superuser()?;
    let path = new_root_key_file.ok_or_else(|| Error::null("new_root_key_file"))?;
    let new = secrets::load_root_key_file(Path::new(path)).map_err(|error| match error.code() {
        // The hint of that code is about a key that was there before.
        ErrorCode::RootKeyNotFound => error.hint(
            "Make it with select auth.create_root_key('/absolute/path'), or name the file that is to hold the new root key. Nothing was changed.",
        ),
        _ => error,
    })?;
    let resealed = as_owner(|| {
        locks::lock_setup();
        let resealed = reseal::reseal(&new)?;
        if resealed > 0 {
            audit("root_key_replaced", &Subject::default(), json!({ "values": resealed }))?;
        }
        Ok(resealed)
    })?;
    if let Err(error) = state::check() {
        warn(
            PgSqlErrorCode::ERRCODE_WARNING,
            "no setting names the new root key",
            error.detail().unwrap_or_default(),
            "Name it in workos_auth.root_key_file or workos_auth.root_key_command, on every server of the cluster, and reload: until then nobody signs in.",
        );
    }
    Ok(i64::try_from(resealed).unwrap_or(i64::MAX))
}

/// Removes whatever only the lost root key opens. People, identities and memberships stay. Says what was ended.
///
/// # Errors
/// `insufficient_privilege`
pub fn abandon() -> Result<Value> {
    require_superuser()?;
    let ended = as_owner(|| {
        locks::lock_setup();
        store::shut_out_sign_ins()?;
        let provider = configuration::provider()?;
        let ended = json!({
            "provider": provider.map(|p| json!({ "client_id": p.client_id, "redirect_uri": p.redirect_uri, "api_url": p.api_url })),
            "sessions": sessions::end_all()?,
            "sign_ins": flows::remove_all()?,
            "signing_keys": configuration::delete_signing_keys()?,
        });
        // Those of sessions that are not there, such as after a restore without them, too.
        authkit_tokens::forget_all()?;
        configuration::delete_provider()?;
        configuration::delete_data_keys()?;
        audit("sealed_data_abandoned", &Subject::default(), ended.clone())?;
        Ok(ended)
    })?;
    current_session::recheck_on_next_read();
    Ok(ended)
}

/// Fails where no sign-in of a new connection can succeed, whoever signs in: for probes that ask every few seconds. Settings of the way to WorkOS
/// and of accounts are not looked at: they may be another role's, and a sign-in says what is wrong with them.
///
/// # Errors
/// `provider_not_configured`, `installation_is_a_copy`, those of [`state::check`], and those of [`secrets::require_opened`].
pub fn require_ready() -> Result<()> {
    installation::require_home()?;
    // Who has switched it off wants no sign-ins. Sessions go on, and what asks this may take away the servers that refresh them.
    let provider = configuration::provider()?.ok_or(ErrorCode::ProviderNotConfigured)?;
    state::check_now_and_then()?;
    secrets::require_opened(&provider)
}

/// The error's name, what `auth.check()` says of it, and what a person does then: where the key should be is for superusers to know.
pub fn finding() -> Option<(&'static str, String, String)> {
    let error = state::finding()?;
    // SAFETY: reads the current role.
    let is_superuser = unsafe { pg_sys::superuser() };
    let detail = error.detail().filter(|_| is_superuser).map(|detail| format!(" {detail}")).unwrap_or_default();
    let finding = format!("New connections sign nobody in: {}.{detail}", error.code().message());
    Some((error.code().name(), finding, error.hint_text().unwrap_or_default().to_owned()))
}

fn require_superuser() -> Result<()> {
    require_writable()?;
    require_right(Right::Superuser, "What is sealed and by which root key, a superuser says.")
}
