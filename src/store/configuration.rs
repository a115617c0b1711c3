//! `installation`, `data_keys`, `signing_keys`, `providers`.

use pgrx::JsonB;
use pgrx::prelude::TimestampWithTimeZone;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::error::{Error, ErrorCode};
use workos_auth_core::seal::Purpose;

use super::removal::remove;
use super::{query, scan, uuid_arg};

/// A row of `auth.data_keys`.
pub struct DataKeyRow {
    /// unsigned 32-bit number
    pub id: u32,
    /// what it seals
    pub purpose: Purpose,
    /// the key, sealed under the root key
    pub wrapped_key: Vec<u8>,
}

/// The active row of `auth.signing_keys`.
pub struct SigningKeyRow {
    /// thumbprint of the public key
    pub kid: String,
    /// PKCS #8, sealed
    pub private_key: Vec<u8>,
    /// the data key it is sealed with
    pub data_key_id: u32,
}

/// The row of `auth.providers`.
pub struct Provider {
    /// the row's key; part of what the secret is sealed to
    pub id: Uuid,
    /// whether people may sign in
    pub enabled: bool,
    /// WorkOS's client id
    pub client_id: String,
    /// the API key, sealed
    pub client_secret: Vec<u8>,
    /// the data key it is sealed with
    pub data_key_id: u32,
    /// the callback that WorkOS knows
    pub redirect_uri: String,
    /// without a slash at the end
    pub api_url: String,
}

/// The key that seals for this purpose today.
pub fn active_data_key(purpose: Purpose) -> Option<DataKeyRow> {
    first_data_key(|row| {
        row.get::<String>(c"purpose").is_some_and(|of| of == purpose.as_str())
            && row.get::<TimestampWithTimeZone>(c"retired_at").is_none()
    })
}

/// The key of this number.
pub fn data_key(id: u32) -> Option<DataKeyRow> {
    first_data_key(|row| row.key_id(c"id") == Some(id))
}

/// The first data key that is wanted.
fn first_data_key(is_wanted: impl Fn(&scan::ScannedRow) -> bool) -> Option<DataKeyRow> {
    scan::data_key(|row| {
        is_wanted(row).then(|| {
            Some(DataKeyRow {
                id: row.key_id(c"id")?,
                purpose: Purpose::parse(&row.get::<String>(c"purpose")?).ok()?,
                wrapped_key: row.get(c"wrapped_key")?,
            })
        })?
    })
}

/// The signing key that signs today.
pub fn active_signing_key() -> Option<SigningKeyRow> {
    scan::signing_key(|row| {
        if row.get::<String>(c"status")? != "active" {
            return None;
        }
        Some(SigningKeyRow {
            kid: row.get(c"kid")?,
            private_key: row.get(c"private_key")?,
            data_key_id: row.key_id(c"data_key_id")?,
        })
    })
}

/// A new data key.
pub fn insert_data_key(key: &DataKeyRow) -> Result<()> {
    query::execute(
        "INSERT INTO auth.data_keys (id, purpose, wrapped_key) VALUES ($1, $2, $3)",
        &[i64::from(key.id).into(), key.purpose.as_str().into(), key.wrapped_key.as_slice().into()],
    )
    .map(drop)
}

/// A new signing key, active at once.
pub fn insert_signing_key(key: &SigningKeyRow, algorithm: &str, public_key: serde_json::Value) -> Result<()> {
    query::execute(
        "INSERT INTO auth.signing_keys (kid, algorithm, public_key, status, private_key, data_key_id, activated_at)
         VALUES ($1, $2, $3, 'active', $4, $5, pg_catalog.now())",
        &[
            key.kid.as_str().into(),
            algorithm.into(),
            JsonB(public_key).into(),
            key.private_key.as_slice().into(),
            i64::from(key.data_key_id).into(),
        ],
    )
    .map(drop)
}

/// The active signing key signs no more, and still verifies.
pub fn replace_active_signing_key() -> Result<()> {
    query::execute("UPDATE auth.signing_keys SET status = 'retiring' WHERE status OPERATOR(pg_catalog.=) 'active'", &[])
        .map(drop)
}

/// What a signing key is doing; `None` where there is none of this name.
pub fn signing_key_status(kid: &str) -> Result<Option<String>> {
    query::row(
        "SELECT status FROM auth.signing_keys WHERE kid OPERATOR(pg_catalog.=) $1 FOR UPDATE",
        &[kid.into()],
        |row| row.get(1),
    )
}

/// A signing key verifies no more, and its private half is erased.
pub fn retire_signing_key(kid: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.signing_keys SET status = 'retired', private_key = NULL, retired_at = pg_catalog.now()
         WHERE kid OPERATOR(pg_catalog.=) $1",
        &[kid.into()],
    )
    .map(drop)
}

/// The WorkOS provider, if there is one.
pub fn provider() -> Result<Option<Provider>> {
    let read = |row: &scan::ScannedRow| {
        Ok(Provider {
            id: row.required_uuid(c"id")?,
            enabled: row.required(c"enabled")?,
            client_id: row.required(c"client_id")?,
            client_secret: row.required(c"client_secret")?,
            data_key_id: row.required_key_id(c"data_key_id")?,
            redirect_uri: row.required(c"redirect_uri")?,
            api_url: row.required(c"api_url")?,
        })
    };
    scan::provider(read).transpose()
}

/// The WorkOS provider, ready for a sign-in, or why it is not.
pub fn enabled_provider() -> Result<Provider> {
    match provider()? {
        None => Err(ErrorCode::ProviderNotConfigured.into()),
        Some(provider) if !provider.enabled => Err(ErrorCode::ProviderDisabled.into()),
        Some(provider) => Ok(provider),
    }
}

/// Every data key seals no more. Those that have replaced them do.
pub fn retire_data_keys() -> Result<()> {
    query::execute("UPDATE auth.data_keys SET retired_at = pg_catalog.now() WHERE retired_at IS NULL", &[]).map(drop)
}

/// Removes the data keys that seal no more, which nothing may need.
pub fn delete_retired_data_keys() -> Result<()> {
    remove(c"data_keys", "DELETE FROM auth.data_keys WHERE retired_at IS NOT NULL", &[]).map(drop)
}

/// Removes every signing key: no token that was signed before is good any more.
pub fn delete_signing_keys() -> Result<()> {
    remove(c"signing_keys", "DELETE FROM auth.signing_keys", &[]).map(drop)
}

/// Writes the WorkOS provider.
pub fn upsert_provider(provider: &Provider) -> Result<()> {
    query::execute(
        "INSERT INTO auth.providers AS p (id, name, enabled, client_id, client_secret, data_key_id, redirect_uri, api_url)
         VALUES ($1, 'workos', $2, $3, $4, $5, $6, $7)
         ON CONFLICT (id) DO UPDATE SET enabled = excluded.enabled, client_id = excluded.client_id,
             client_secret = excluded.client_secret, data_key_id = excluded.data_key_id,
             redirect_uri = excluded.redirect_uri, api_url = excluded.api_url, updated_at = pg_catalog.now()",
        &[
            uuid_arg(provider.id),
            provider.enabled.into(),
            provider.client_id.as_str().into(),
            provider.client_secret.as_slice().into(),
            i64::from(provider.data_key_id).into(),
            provider.redirect_uri.as_str().into(),
            provider.api_url.as_str().into(),
        ],
    )
    .map(drop)
}

/// The installation's id, which every sealed value depends on.
pub fn installation_id() -> Result<Uuid> {
    scan::installation_id().ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))
}
