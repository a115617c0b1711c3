//! `installation`, `data_keys`, `signing_keys`, `providers`.

use pgrx::JsonB;
use pgrx::prelude::TimestampWithTimeZone;
use uuid::Uuid;
use workos_auth_core::Result;
use workos_auth_core::authorize::Product;
use workos_auth_core::error::{Error, ErrorCode};
use workos_auth_core::seal::Purpose;
use workos_auth_core::token::Algorithm;

use super::{query, scan, uuid_arg};
use crate::postgres::clock;

/// A row of `auth.data_keys`.
pub struct DataKeyRow {
    /// unsigned 32-bit number
    pub id: u32,
    /// what it seals
    pub purpose: Purpose,
    /// the key, sealed under the root key
    pub wrapped_key: Vec<u8>,
}

/// A row of `auth.signing_keys` that has its private half.
pub struct SigningKeyRow {
    /// thumbprint of the public key
    pub kid: String,
    /// what it signs with
    pub algorithm: Algorithm,
    /// whether it is the key that signs today
    pub is_active: bool,
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

/// Every data key.
pub fn data_keys() -> Vec<DataKeyRow> {
    let mut all = Vec::new();
    first_data_key(|row| {
        all.extend(read_data_key(row));
        false
    });
    all
}

/// Any data key, if there is one: if something is sealed.
pub fn any_data_key() -> Option<DataKeyRow> {
    first_data_key(|_| true)
}

/// The first data key that is wanted.
fn first_data_key(mut is_wanted: impl FnMut(&scan::ScannedRow) -> bool) -> Option<DataKeyRow> {
    scan::data_key(|row| is_wanted(row).then(|| read_data_key(row))?)
}

fn read_data_key(row: &scan::ScannedRow) -> Option<DataKeyRow> {
    Some(DataKeyRow {
        id: row.key_id(c"id")?,
        purpose: Purpose::parse(&row.get::<String>(c"purpose")?).ok()?,
        wrapped_key: row.get(c"wrapped_key")?,
    })
}

/// The signing key that signs today.
pub fn active_signing_key() -> Option<SigningKeyRow> {
    signing_key(|status| status == "active")
}

/// A signing key that is published and has not signed yet.
pub fn pending_signing_key() -> Option<SigningKeyRow> {
    signing_key(|status| status == "pending")
}

/// Every signing key with its private half.
pub fn signing_keys() -> Vec<SigningKeyRow> {
    let mut all = Vec::new();
    scan::signing_key(|row| {
        all.extend(read_signing_key(row));
        None::<()>
    });
    all
}

/// The first signing key of a wanted status that has its private half.
fn signing_key(is_wanted: impl Fn(&str) -> bool) -> Option<SigningKeyRow> {
    scan::signing_key(|row| is_wanted(&row.get::<String>(c"status")?).then(|| read_signing_key(row))?)
}

fn read_signing_key(row: &scan::ScannedRow) -> Option<SigningKeyRow> {
    Some(SigningKeyRow {
        kid: row.get(c"kid")?,
        algorithm: Algorithm::parse(&row.get::<String>(c"algorithm")?)?,
        is_active: row.get::<String>(c"status")? == "active",
        private_key: row.get(c"private_key")?,
        data_key_id: row.key_id(c"data_key_id")?,
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

/// The data key, sealed under another root key.
pub fn rewrap_data_key(id: u32, wrapped_key: &[u8]) -> Result<()> {
    query::execute(
        "UPDATE auth.data_keys SET wrapped_key = $2 WHERE id OPERATOR(pg_catalog.=) $1",
        &[i64::from(id).into(), wrapped_key.into()],
    )
    .map(drop)
}

/// A new signing key, pending: it is published, and signs nothing yet.
pub fn insert_signing_key(key: &SigningKeyRow, public_key: serde_json::Value) -> Result<()> {
    query::execute(
        "INSERT INTO auth.signing_keys (kid, algorithm, public_key, status, private_key, data_key_id)
         VALUES ($1, $2, $3, 'pending', $4, $5)",
        &[
            key.kid.as_str().into(),
            key.algorithm.as_str().into(),
            JsonB(public_key).into(),
            key.private_key.as_slice().into(),
            i64::from(key.data_key_id).into(),
        ],
    )
    .map(drop)
}

/// A signing key signs from now on. No other may be active.
pub fn activate_signing_key(kid: &str) -> Result<()> {
    query::execute(
        "UPDATE auth.signing_keys SET status = 'active', activated_at = pg_catalog.now() WHERE kid OPERATOR(pg_catalog.=) $1",
        &[kid.into()],
    )
    .map(drop)
}

/// A visitor's key was signed with this one, and is good until then, in seconds since 1970.
pub fn note_visitors(kid: &str, until: i64) -> Result<()> {
    query::execute(
        "UPDATE auth.signing_keys SET visitors_until = GREATEST(visitors_until, $2)
         WHERE kid OPERATOR(pg_catalog.=) $1",
        &[kid.into(), clock::timestamp(until)?.into()],
    )
    .map(drop)
}

/// The private half of a signing key, sealed anew.
pub fn reseal_signing_key(key: &SigningKeyRow) -> Result<()> {
    query::execute(
        "UPDATE auth.signing_keys SET private_key = $2, data_key_id = $3 WHERE kid OPERATOR(pg_catalog.=) $1",
        &[key.kid.as_str().into(), key.private_key.as_slice().into(), i64::from(key.data_key_id).into()],
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

/// Whether people may sign in through AuthKit too. The SQL must be of this version.
pub fn has_authkit() -> bool {
    scan::provider(|row| row.get::<String>(c"product")).flatten().as_deref() == Some(Product::AuthKit.as_str())
}

/// Says which products of WorkOS people may sign in through.
pub fn set_product(product: Product) -> Result<()> {
    query::execute("UPDATE auth.providers SET product = $1", &[product.as_str().into()]).map(drop)
}

/// Every data key seals no more. Those that have replaced them do.
pub fn retire_data_keys() -> Result<()> {
    query::execute("UPDATE auth.data_keys SET retired_at = pg_catalog.now() WHERE retired_at IS NULL", &[]).map(drop)
}

/// Removes the data keys that seal no more, which nothing may need.
pub fn delete_retired_data_keys() -> Result<()> {
    query::execute("DELETE FROM auth.data_keys WHERE retired_at IS NOT NULL", &[]).map(drop)
}

/// Removes data keys that something else has sealed in place of for a day, and that nothing needs: the last of what they sealed is gone.
pub fn delete_unused_data_keys(batch: i64) -> Result<u64> {
    /// Of keys that no row of the tables which every version has needs, and that this condition holds for too.
    macro_rules! delete_unused {
        ($condition:literal) => {
            concat!(
"DELETE FROM auth.data_keys WHERE id OPERATOR(pg_catalog.=) ANY (ARRAY(
             SELECT k.id FROM auth.data_keys AS k
             WHERE k.retired_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => 1))
                 AND NOT EXISTS (SELECT FROM auth.signing_keys AS s WHERE s.data_key_id OPERATOR(pg_catalog.=) k.id)
                 AND NOT EXISTS (SELECT FROM auth.providers AS p WHERE p.data_key_id OPERATOR(pg_catalog.=) k.id)
                 AND NOT EXISTS (SELECT FROM auth.flow_states AS f WHERE f.data_key_id OPERATOR(pg_catalog.=) k.id)
                 AND NOT EXISTS (SELECT FROM auth.sessions AS s WHERE s.refresh_token_key_id OPERATOR(pg_catalog.=) k.id)",
                $condition,
                " LIMIT $1 FOR UPDATE SKIP LOCKED))"
            )
        };
    }
    let delete = match scan::has_authkit_tokens() {
        true => delete_unused!(
            " AND NOT EXISTS (SELECT FROM auth.authkit_tokens AS t WHERE t.data_key_id OPERATOR(pg_catalog.=) k.id)"
        ),
        false => delete_unused!(""),
    };
    query::execute(delete, &[batch.into()])
}

/// Removes every data key. Nothing may be sealed with one.
pub fn delete_data_keys() -> Result<()> {
    query::execute("DELETE FROM auth.data_keys", &[]).map(drop)
}

/// Removes every signing key: no token that was signed before is good any more. Says how many.
pub fn delete_signing_keys() -> Result<u64> {
    query::execute("DELETE FROM auth.signing_keys", &[])
}

/// Removes the WorkOS provider, with its secret.
pub fn delete_provider() -> Result<()> {
    query::execute("DELETE FROM auth.providers", &[]).map(drop)
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
