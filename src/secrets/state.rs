//! Whether the root key that the settings name opens the database's data keys now, whatever this backend has opened before.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use workos_auth_core::seal::RootKey;
use workos_auth_core::{Error, Result};

use super::{root_key, unwrap_key};
use crate::settings;
use crate::store::configuration::{self, DataKeyRow};
use crate::store::scan;

/// Fails as every sign-in in a new backend would. Where nothing is sealed, there is nothing to open.
///
/// # Errors
/// `root_key_required`, `root_key_mismatch`, and whatever keeps the root key from being had.
pub fn check() -> Result<()> {
    let Some(installation) = scan::installation_id() else { return Ok(()) };
    let mut found: Option<RootKey> = None;
    for row in configuration::data_keys() {
        let is_open = found.as_ref().is_some_and(|root| unwrap_key(&row, root, installation).is_ok());
        if !is_open {
            found = Some(root_key::find(|root| unwrap_key(&row, root, installation))?.0);
        }
    }
    Ok(())
}

/// What `auth.check()` reports; `None` where all is well. A standby needs no root key, but one that is named there must be the right one.
pub fn finding() -> Option<Error> {
    // SAFETY: reads the state of the server.
    let is_standby = unsafe { pg_sys::RecoveryInProgress() };
    match is_standby && !root_key::is_configured() {
        true => None,
        false => check().err(),
    }
}

/// How long a program's key is taken to be the right one by [`check_now_and_then`].
const REMEMBERED: Duration = Duration::from_secs(60);

thread_local! {
    /// What was found good, and when.
    static GOOD: (RandomState, Cell<Option<(u64, Instant)>>) = (RandomState::new(), Cell::new(None));
}

/// As [`check`], for those who ask every few seconds: a program that has just printed the right key is not run again for a minute. Files are
/// looked at each time.
///
/// # Errors
/// As [`check`].
pub fn check_now_and_then() -> Result<()> {
    let names_files = settings::root_key_files().is_none_or(|files| !files.is_empty());
    let Some(command) = settings::root_key_command().filter(|_| !names_files) else { return check() };
    let wrapped: Vec<Vec<u8>> =
        configuration::data_keys().into_iter().map(|DataKeyRow { wrapped_key, .. }| wrapped_key).collect();
    GOOD.with(|(hasher, good)| {
        let asked = hasher.hash_one((command, wrapped));
        if good.get().is_some_and(|(known, at)| known == asked && at.elapsed() < REMEMBERED) {
            return Ok(());
        }
        good.set(None);
        check()?;
        good.set(Some((asked, Instant::now())));
        Ok(())
    })
}
