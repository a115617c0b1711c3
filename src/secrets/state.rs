//! Whether the root key that the settings name opens the database's data keys now, whatever this backend has opened before.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use pgrx::prelude::*;
use workos_auth_core::seal::RootKey;
use workos_auth_core::{Error, Result};

use super::root_key::{self, Retry};
use super::{remember, unwrap_key};
use crate::settings;
use crate::store::configuration::{self, DataKeyRow};
use crate::store::scan;

/// Fails as every sign-in in a new backend would. Where nothing is sealed, there is nothing to open.
///
/// # Errors
/// `root_key_required`, `root_key_mismatch`, and whatever keeps the root key from being had.
pub fn check() -> Result<()> {
    open_all(Retry::AtOnce).map(drop)
}

/// Keeps what it opens: whoever needs a data key next does not have the program run once more. True where the program alone opens all.
fn open_all(retry: Retry) -> Result<bool> {
    let Some(installation) = scan::installation_id() else { return Ok(false) };
    let mut found: Option<RootKey> = None;
    let mut is_from_program = true;
    for row in configuration::data_keys() {
        let known = found.as_ref().and_then(|root| unwrap_key(&row, root, installation).ok());
        let key = match known {
            Some(key) => key,
            None => {
                let root = root_key::find(retry, |root| unwrap_key(&row, root, installation))?;
                is_from_program &= root.is_from_program;
                found = Some(root.key);
                root.value
            }
        };
        remember(&row.wrapped_key, key);
    }
    Ok(is_from_program && found.is_some())
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

/// Fails as every sign-in in a new backend would, for those who ask every few seconds: a program that has just printed the right key is not
/// run again for a minute, and one that has just failed not for some seconds. Files are looked at each time.
///
/// # Errors
/// As [`check`].
pub fn check_now_and_then() -> Result<()> {
    let wrapped: Vec<Vec<u8>> =
        configuration::data_keys().into_iter().map(|DataKeyRow { wrapped_key, .. }| wrapped_key).collect();
    GOOD.with(|(hasher, good)| {
        let asked = hasher.hash_one((settings::root_key_command(), wrapped));
        if good.get().is_some_and(|(known, at)| known == asked && at.elapsed() < REMEMBERED) {
            return Ok(());
        }
        let is_from_program = open_all(Retry::NotAtOnce)?;
        good.set(is_from_program.then(|| (asked, Instant::now())));
        Ok(())
    })
}
