//! Moves everything sealed to another root key.
//!
//! Every data key is wrapped anew, and fresh ones seal from now on: whoever has the old root key and a copy of the database from before
//! learns nothing of what is sealed later. The old data keys stay, since refresh tokens name theirs and sign-ins are under way. A later
//! `auth.cleanup` removes them when nothing needs them.

use workos_auth_core::Result;
use workos_auth_core::seal::{DataKey, Purpose, RootKey};

use super::root_key::{self, Retry};
use super::{data_key, signing_key_place};
use super::{
    keep_webhook_secret, new_data_key, open_client_secret, open_private_key, remember, seal_client_secret, unwrap_key,
    webhook_secret,
};
use crate::store::configuration::{self, DataKeyRow, Provider, SigningKeyRow};

/// Returns how many values were sealed anew: none where everything stands under this root key already.
///
/// # Errors
/// `provider_not_configured`, and those of the root key that is to be replaced.
pub fn reseal(new: &RootKey) -> Result<u64> {
    let installation = configuration::installation_id()?;
    let rows = configuration::data_keys();
    if rows.iter().all(|row| unwrap_key(row, new, installation).is_ok()) {
        return Ok(0);
    }
    let opened = open_all(&rows, new)?;
    let provider = configuration::provider()?;
    let secret = provider.as_ref().map(open_client_secret).transpose()?;
    let of_webhooks = provider.as_ref().map(webhook_secret).transpose()?.flatten();
    let signing_keys = configuration::signing_keys();
    let private_keys = signing_keys.iter().map(open_private_key).collect::<Result<Vec<_>>>()?;
    let mut resealed = 0;

    for (row, key) in rows.iter().zip(opened) {
        let wrapped_key = key.wrap(new, installation)?;
        configuration::rewrap_data_key(row.id, &wrapped_key)?;
        remember(&wrapped_key, key);
        resealed += 1;
    }
    configuration::retire_data_keys()?;
    for &purpose in Purpose::ALL {
        new_data_key(purpose, new, installation)?;
    }
    if let (Some(provider), Some(secret)) = (provider, secret) {
        let Provider { id, client_id, api_url, .. } = &provider;
        let (client_secret, data_key_id) = seal_client_secret(*id, client_id, api_url, &secret)?;
        configuration::upsert_provider(&Provider { client_secret, data_key_id, ..provider })?;
        resealed += 1;
        if let Some(secret) = of_webhooks {
            keep_webhook_secret(data_key_id, Some(&secret))?;
            resealed += 1;
        }
    }
    for (row, private_key) in signing_keys.into_iter().zip(private_keys) {
        let key = data_key(Purpose::SigningKey)?;
        let private_key = key.seal(&signing_key_place(&row.kid), private_key.expose())?;
        configuration::reseal_signing_key(&SigningKeyRow { private_key, data_key_id: key.id(), ..row })?;
        resealed += 1;
    }
    Ok(resealed)
}

/// Opens every data key, with the new root key or the one that the settings name. Each of these is asked for once.
fn open_all(rows: &[DataKeyRow], new: &RootKey) -> Result<Vec<DataKey>> {
    let installation = configuration::installation_id()?;
    let mut found: Option<RootKey> = None;
    let mut opened = Vec::with_capacity(rows.len());
    for row in rows {
        let known =
            [Some(new), found.as_ref()].into_iter().flatten().find_map(|root| unwrap_key(row, root, installation).ok());
        opened.push(match known {
            Some(key) => key,
            None => {
                let root = root_key::find(Retry::AtOnce, |root| unwrap_key(row, root, installation))?;
                found = Some(root.key);
                root.value
            }
        });
    }
    Ok(opened)
}
