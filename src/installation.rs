//! Which installation this database is: the one that lives here, or a copy of one, which mints nothing until somebody says which of the two
//! it is. What is a copy is decided by `core::installation`.
//!
//! Everything that starts a sign-in, exchanges a code or signs a token asks [`minting`] first. Readers do not.

use serde_json::json;
use uuid::Uuid;
use workos_auth_core::installation::{Standing, standing};
use workos_auth_core::{Error, ErrorCode, Result, random};

use crate::audit::audit;
use crate::postgres::roles::{Right, as_owner, require_right};
use crate::postgres::snapshot::Snapshot;
use crate::postgres::transaction::require_writable;
use crate::store::configuration::{self, Provider};
use crate::store::{Subject, authkit_tokens, flows, installation as store, locks, scan, sessions};
use crate::{current_session, secrets};

/// The installation that lives here and may mint. Nobody can have one of a copy.
#[derive(Debug, Clone, Copy)]
pub struct Installation {
    /// `auth.installation.id`
    pub id: Uuid,
}

/// The installation, if it lives here. Where it came from another cluster, its row says from now on that it does.
///
/// # Errors
/// `verifier_only`, `installation_is_a_copy`, `provider_not_configured`.
pub fn minting() -> Result<Installation> {
    refuse_verifier()?;
    let row = store::row().ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
    match standing_of(&row, Some(&Snapshot::now())) {
        Standing::Home => {}
        Standing::Moved => store::settle(store::here())?,
        Standing::CopyOf(other) => return Err(is_a_copy(&row, other)),
    }
    Ok(Installation { id: row.id })
}

/// Refuses what only the issuer does, where this database verifies what another one signs.
///
/// # Errors
/// `verifier_only`.
pub fn refuse_verifier() -> Result<()> {
    let Some(verifier) = scan::verifier() else { return Ok(()) };
    let error = Error::new(ErrorCode::VerifierOnly);
    Err(match verifier.issuer_database {
        Some(place) => error.hint(format!("Make this call in the issuer's database: {place}.")),
        None => error,
    })
}

/// Refuses to set a copy up, or a verifier. What is set up for the first time is no copy.
///
/// # Errors
/// `verifier_only`, `installation_is_a_copy`.
pub fn refuse_copy() -> Result<()> {
    refuse_verifier()?;
    match scan::installation_id() {
        Some(_) => minting().map(drop),
        None => Ok(()),
    }
}

/// What `auth.check()` says of a copy; `None` where this is none.
pub fn copy_finding() -> Option<String> {
    let row = store::row()?;
    copied_from(&row).map(|other| where_it_lives(&row, other))
}

/// Refuses a copy, as [`minting`] does, and writes nothing.
///
/// # Errors
/// `verifier_only`, `installation_is_a_copy`.
pub fn require_home() -> Result<()> {
    refuse_verifier()?;
    let Some(row) = store::row() else { return Ok(()) };
    copied_from(&row).map_or(Ok(()), |other| Err(is_a_copy(&row, other)))
}

/// Where the installation lives of which this database is a copy.
fn copied_from(row: &store::InstallationRow) -> Option<u32> {
    match standing_of(row, None) {
        Standing::CopyOf(other) => Some(other),
        _ => None,
    }
}

fn standing_of(row: &store::InstallationRow, snapshot: Option<&Snapshot>) -> Standing {
    let exists = |oid| store::database_name(oid).is_some();
    standing(store::here(), row.home, scan::homes(snapshot).of(row.id), exists)
}

fn is_a_copy(row: &store::InstallationRow, other: u32) -> Error {
    Error::with_detail(ErrorCode::InstallationIsACopy, where_it_lives(row, other))
}

fn where_it_lives(row: &store::InstallationRow, other: u32) -> String {
    let named = |oid| match store::database_name(oid) {
        Some(name) => format!("the database \"{name}\" (OID {oid})"),
        None => format!("a database that is gone (OID {oid})"),
    };
    let here = store::here().database;
    format!("The installation {} lives in {} of this cluster; this is {}.", row.id, named(other), named(here))
}

/// `auth.become_new_installation`: a new id, new keys, no session and no sign-in under way; people, identities, memberships, the provider and
/// its secret stay. Returns the id.
///
/// # Errors
/// `insufficient_privilege`, `provider_not_configured`, and those of a root key that cannot be used.
pub fn become_new() -> Result<Uuid> {
    require_superuser()?;
    refuse_verifier()?;
    let id = as_owner(|| {
        locks::lock_setup();
        let old = store::row().ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
        let provider = configuration::provider()?;
        let secret = provider.as_ref().map(secrets::open_client_secret).transpose()?;
        let of_webhooks = provider.as_ref().map(secrets::webhook_secret).transpose()?.flatten();
        let root = secrets::root_key()?;
        store::shut_out_sign_ins()?;
        flows::remove_all()?;
        let ended = sessions::end_all()?;
        authkit_tokens::forget_all()?;
        configuration::delete_signing_keys()?;
        configuration::retire_data_keys()?;

        let id = random::uuid()?;
        store::rename(id, store::here(), &random::bytes()?)?;
        secrets::set_up_under(&root)?;
        if let (Some(provider), Some(secret)) = (provider, secret) {
            let Provider { id, client_id, api_url, .. } = &provider;
            let (client_secret, data_key_id) = secrets::seal_client_secret(*id, client_id, api_url, &secret)?;
            configuration::upsert_provider(&Provider { client_secret, data_key_id, ..provider })?;
            if let Some(secret) = of_webhooks {
                secrets::keep_webhook_secret(data_key_id, Some(&secret))?;
            }
        }
        configuration::delete_retired_data_keys()?;
        let payload = json!({ "was": old.id, "is": id, "sessions": ended });
        audit("installation_made_new", &Subject::default(), payload)?;
        Ok(id)
    })?;
    current_session::recheck_on_next_read();
    Ok(id)
}

/// `auth.take_over_installation`: the installation lives here from now on, and wherever it lived before is the copy. Returns its id. Where it
/// lives here already, nothing changes.
///
/// # Errors
/// `insufficient_privilege`, `provider_not_configured`.
pub fn take_over() -> Result<Uuid> {
    require_superuser()?;
    refuse_verifier()?;
    locks::lock_setup();
    let row = store::row().ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
    let here = store::here();
    match standing_of(&row, Some(&Snapshot::now())) {
        Standing::Home => {}
        Standing::Moved => as_owner(|| store::move_to(here))?,
        Standing::CopyOf(other) => {
            store::announce(row.id, here)?;
            let payload = json!({ "id": row.id, "from": { "database": store::database_name(other), "oid": other } });
            as_owner(|| {
                store::move_to(here)?;
                audit("installation_taken_over", &Subject::default(), payload)
            })?;
        }
    }
    Ok(row.id)
}

fn require_superuser() -> Result<()> {
    require_writable()?;
    require_right(Right::Superuser, "Which installation a database is, a superuser says.")
}
