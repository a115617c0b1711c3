//! `trusted_issuers` and `issuer_keys`.

use pgrx::JsonB;
use pgrx::datum::TimestampWithTimeZone;
use serde_json::Value;
use workos_auth_core::Result;
use workos_auth_core::trusted_issuer::{Issuer, IssuerKey};

use super::query;

/// For how many days a key is kept that an issuer publishes no more.
const RETIRED_DAYS: i32 = 90;

/// What becomes of keys.
#[derive(Default)]
pub struct Replaced {
    /// the `kid` of each that is new, or another key now
    pub added: Vec<String>,
    /// the `kid` of each that the issuer publishes no more
    pub retired: Vec<String>,
}

/// Where the keys of an issuer are fetched, if it is trusted. The row stays locked.
pub fn lock(issuer: &str) -> Result<Option<Option<String>>> {
    query::row(
        "SELECT jwks_uri FROM auth.trusted_issuers WHERE issuer OPERATOR(pg_catalog.=) $1 FOR UPDATE",
        &[issuer.into()],
        |row| row.nullable(1),
    )
}

/// Whether an issuer is trusted. The row stays there until the end of the transaction.
pub fn hold(issuer: &str) -> Result<bool> {
    let found = query::row(
        "SELECT true FROM auth.trusted_issuers WHERE issuer OPERATOR(pg_catalog.=) $1 FOR KEY SHARE",
        &[issuer.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.is_some())
}

/// Which tokens of an issuer are accepted, if it is trusted. The row stays there until the end of the transaction.
pub fn kind(issuer: &str) -> Result<Option<String>> {
    query::row(
        "SELECT kind FROM auth.trusted_issuers WHERE issuer OPERATOR(pg_catalog.=) $1 FOR KEY SHARE",
        &[issuer.into()],
        |row| row.get(1),
    )
}

/// Whether the keys of an issuer have been written since a time.
pub fn refreshed_since(issuer: &str, began: TimestampWithTimeZone) -> Result<bool> {
    let found = query::row(
        "SELECT coalesce(refreshed_at OPERATOR(pg_catalog.>=) $2, false) FROM auth.trusted_issuers WHERE issuer OPERATOR(pg_catalog.=) $1",
        &[issuer.into(), began.into()],
        |row| row.get::<bool>(1),
    )?;
    Ok(found.unwrap_or(false))
}

/// The database role and the claims of an issuer that is trusted.
pub fn said_of(issuer: &str) -> Result<Option<(Option<String>, Value)>> {
    query::row(
        "SELECT database_role, claims::text FROM auth.trusted_issuers WHERE issuer OPERATOR(pg_catalog.=) $1",
        &[issuer.into()],
        |row| Ok((row.nullable(1)?, row.json(2, "claims")?)),
    )
}

/// Writes an issuer.
pub fn upsert(issuer: &Issuer, jwks_uri: Option<&str>, database_role: Option<&str>, claims: &Value) -> Result<()> {
    query::execute(
        "INSERT INTO auth.trusted_issuers AS t (issuer, kind, jwks_uri, audience, client_id, database_role, claims)
         VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (issuer) DO UPDATE SET kind = excluded.kind, jwks_uri = excluded.jwks_uri, audience = excluded.audience,
             client_id = excluded.client_id, database_role = excluded.database_role, claims = excluded.claims,
             updated_at = pg_catalog.now()",
        &[
            issuer.name.as_str().into(),
            issuer.kind.as_str().into(),
            jwks_uri.into(),
            issuer.audience.as_deref().into(),
            issuer.client_id.as_deref().into(),
            database_role.into(),
            JsonB(claims.clone()).into(),
        ],
    )
    .map(drop)
}

/// Removes an issuer, and with it its keys; says how many.
pub fn delete(issuer: &str) -> Result<u64> {
    query::execute("DELETE FROM auth.trusted_issuers WHERE issuer OPERATOR(pg_catalog.=) $1", &[issuer.into()])
}

/// Removes the keys of an issuer.
pub fn delete_keys(issuer: &str) -> Result<()> {
    query::execute("DELETE FROM auth.issuer_keys WHERE issuer OPERATOR(pg_catalog.=) $1", &[issuer.into()]).map(drop)
}

/// Which issuers have their keys fetched, and from where: all, or the one that is named. Those of one address behind each other.
pub fn to_refresh(issuer: Option<&str>) -> Result<Vec<(String, String)>> {
    query::rows(
        "SELECT issuer, jwks_uri FROM auth.trusted_issuers
         WHERE jwks_uri IS NOT NULL AND ($1 IS NULL OR issuer OPERATOR(pg_catalog.=) $1) ORDER BY jwks_uri, issuer",
        &[issuer.into()],
        |row| Ok((row.get(1)?, row.get(2)?)),
    )
}

/// Writes the keys that an issuer publishes now, and retires the others. The issuer's row is locked.
pub fn replace_keys(issuer: &str, keys: &[IssuerKey]) -> Result<Replaced> {
    let mut replaced = Replaced::default();
    for key in keys {
        let written = query::row(
            "WITH before AS (
                 SELECT k.public_key, k.status FROM auth.issuer_keys AS k
                 WHERE k.issuer OPERATOR(pg_catalog.=) $1 AND k.kid OPERATOR(pg_catalog.=) $2)
             INSERT INTO auth.issuer_keys AS k (issuer, kid, algorithm, public_key) VALUES ($1, $2, $3, $4)
             ON CONFLICT (issuer, kid) DO UPDATE SET algorithm = excluded.algorithm, public_key = excluded.public_key,
                 status = 'active', seen_at = pg_catalog.now()
             RETURNING NOT EXISTS (SELECT FROM before AS b
                 WHERE b.status OPERATOR(pg_catalog.=) 'active' AND b.public_key OPERATOR(pg_catalog.=) $4)",
            &[issuer.into(), key.kid().into(), key.algorithm().as_str().into(), JsonB(key.jwk().clone()).into()],
            |row| row.get::<bool>(1),
        )?;
        if written.unwrap_or(false) {
            replaced.added.push(key.kid().to_owned());
        }
    }
    let kids: Vec<String> = keys.iter().map(|key| key.kid().to_owned()).collect();
    replaced.retired = query::rows(
        "UPDATE auth.issuer_keys SET status = 'retired'
         WHERE issuer OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'active' AND kid OPERATOR(pg_catalog.<>) ALL ($2)
         RETURNING kid",
        &[issuer.into(), kids.into()],
        |row| row.get(1),
    )?;
    query::execute(
"DELETE FROM auth.issuer_keys WHERE issuer OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'retired'
             AND seen_at OPERATOR(pg_catalog.<) (pg_catalog.now() OPERATOR(pg_catalog.-) pg_catalog.make_interval(days => $2))",
        &[issuer.into(), RETIRED_DAYS.into()],
    )?;
    query::execute(
        "UPDATE auth.trusted_issuers SET refreshed_at = pg_catalog.clock_timestamp() WHERE issuer OPERATOR(pg_catalog.=) $1",
        &[issuer.into()],
    )?;
    Ok(replaced)
}
