//! `auth.trust_issuer` and its like: whose tokens count beside our own, and with which keys.

use std::ffi::CString;

use pgrx::prelude::*;
use serde_json::{Value, json};
use workos_auth_core::trusted_issuer::{self, Issuer, IssuerKey, Kind, Mapping, check_jwks_uri, is_below, read_jwks};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::audit::audit;
use crate::postgres::clock;
use crate::postgres::jsonb::Jsonb;
use crate::postgres::roles::{Right, as_owner, require_right};
use crate::postgres::transaction::require_writable;
use crate::store::{Subject, accounts, configuration, issuers as store, locks, scan, sessions};
use crate::{current_session, http, installation, settings};

/// The arguments of `auth.trust_issuer`, as they came from SQL.
pub struct Trust<'a> {
    /// the claim `iss`
    pub issuer: Option<&'a str>,
    /// which tokens
    pub kind: Option<&'a str>,
    /// where its keys are
    pub jwks_uri: Option<&'a str>,
    /// its keys
    pub jwks: Option<Jsonb>,
    /// what `aud` must hold
    pub audience: Option<&'a str>,
    /// which client the tokens must be for
    pub client_id: Option<&'a str>,
    /// the database role of its people
    pub database_role: Option<&'a str>,
    /// which claim means what
    pub claims: Option<Jsonb>,
}

/// `auth.trust_issuer`
pub fn trust(arguments: Trust) -> Result<()> {
    require_writable()?;
    let kind = Kind::parse(arguments.kind.ok_or_else(|| Error::null("kind"))?)?;
    let claims = arguments.claims.ok_or_else(|| Error::null("claims"))?;
    let unreadable = || Error::invalid("claims", &format!("it is {}.", Jsonb::UNREADABLE));
    let claims = claims.parse().ok_or_else(unreadable)?;
    let issuer = Issuer {
        name: arguments.issuer.ok_or_else(|| Error::null("issuer"))?.to_owned(),
        kind,
        audience: arguments.audience.map(str::to_owned),
        client_id: arguments.client_id.map(str::to_owned),
        mapping: Mapping::read(kind, &claims)?,
    };
    issuer.check()?;
    if current_session::is_own_issuer(&issuer.name) {
        return Err(Error::invalid(
            "issuer",
            "it is this installation, or one that feeds this database: its tokens are good without it.",
        ));
    }
    if arguments.jwks_uri.is_none() && arguments.jwks.is_none() {
        return Err(Error::invalid(
            "jwks_uri",
            "jwks_uri or jwks is required: a token is verified by its issuer's keys.",
        ));
    }
    if let Some(uri) = arguments.jwks_uri {
        check_jwks_uri(uri)?;
        let is_workos = configuration::provider()?.is_some_and(|provider| is_below(uri, &provider.api_url));
        if !is_workos {
            require_right(
                Right::Superuser,
                "Where the database asks for keys, other than WorkOS, is a superuser's to say. An administrator passes the keys in jwks.",
            )?;
        }
    }
    arguments.database_role.map(check_role).transpose()?;
    let keys = arguments.jwks.map(keys_of).transpose()?;
    as_owner(|| {
        locks::lock_setup();
        write(&issuer, arguments.jwks_uri, arguments.database_role, &claims, keys.as_deref())
    })?;
    current_session::recheck_on_next_read();
    Ok(())
}

/// A database role that sessions may have. What its rights are is not looked at, as for our own sessions.
fn check_role(role: &str) -> Result<()> {
    if !settings::is_allowed_role(role) {
        return Err(Error::with_detail(
            ErrorCode::RoleNotAllowed,
            "The argument database_role is not in workos_auth.allowed_roles.",
        ));
    }
    let name = CString::new(role).map_err(|_| Error::invalid("database_role", "it holds a NUL character."))?;
    // SAFETY: a catalog look-up by a C string; missing_ok.
    match unsafe { pg_sys::get_role_oid(name.as_ptr(), true) } {
        pg_sys::InvalidOid => Err(Error::invalid("database_role", "there is no such role.")),
        _ => Ok(()),
    }
}

fn write(
    issuer: &Issuer,
    jwks_uri: Option<&str>,
    database_role: Option<&str>,
    claims: &Value,
    keys: Option<&[IssuerKey]>,
) -> Result<()> {
    let before = store::lock(&issuer.name)?;
    store::upsert(issuer, jwks_uri, database_role, claims)?;
    let payload = json!({
        "issuer": issuer.name, "kind": issuer.kind.as_str(), "jwks_uri": jwks_uri, "audience": issuer.audience,
        "client_id": issuer.client_id, "database_role": database_role, "claims": claims,
    });
    audit("issuer_trusted", &Subject::default(), payload)?;
    match keys {
        Some(keys) => replace(&issuer.name, keys).map(drop),
        // Those of another place were another's word.
        None if before.is_some_and(|before| before.as_deref() != jwks_uri) => store::delete_keys(&issuer.name),
        None => Ok(()),
    }
}

/// `auth.trust_workos`
pub fn trust_workos() -> Result<()> {
    require_writable()?;
    let provider = configuration::provider()?.ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
    let (issuers, jwks_uri) = trusted_issuer::of_workos(&provider.api_url, &provider.client_id);
    as_owner(|| {
        locks::lock_setup();
        for name in issuers {
            let issuer = Issuer {
                name,
                kind: Kind::Authkit,
                audience: None,
                client_id: Some(provider.client_id.clone()),
                mapping: Mapping::of_kind(Kind::Authkit),
            };
            issuer.check()?;
            // What an administrator has said of it stays.
            let (database_role, claims) = store::said_of(&issuer.name)?.unwrap_or_else(|| (None, json!({})));
            write(&issuer, Some(&jwks_uri), database_role.as_deref(), &claims, None)?;
        }
        Ok(())
    })?;
    current_session::recheck_on_next_read();
    Ok(())
}

/// `auth.distrust_issuer`: how many issuers.
pub fn distrust(issuer: Option<&str>) -> Result<i64> {
    require_writable()?;
    let issuer = issuer.ok_or_else(|| Error::null("issuer"))?;
    locks::lock_setup();
    let removed = store::delete(issuer)?;
    if removed > 0 {
        audit("issuer_distrusted", &Subject::default(), json!({ "issuer": issuer }))?;
        current_session::recheck_on_next_read();
    }
    Ok(i64::try_from(removed).unwrap_or(i64::MAX))
}

/// `auth.set_issuer_keys`: how many keys.
pub fn set_keys(issuer: Option<&str>, jwks: Option<Jsonb>) -> Result<i64> {
    require_writable()?;
    let issuer = issuer.ok_or_else(|| Error::null("issuer"))?;
    let keys = keys_of(jwks.ok_or_else(|| Error::null("jwks"))?)?;
    locks::lock_setup();
    if store::lock(issuer)?.is_none() {
        return Err(unknown_issuer());
    }
    let count = replace(issuer, &keys)?;
    current_session::recheck_on_next_read();
    Ok(count)
}

/// `auth.refresh_issuer_keys`: how many keys.
pub fn refresh_keys(issuer: Option<&str>) -> Result<i64> {
    require_writable()?;
    let addresses = store::to_refresh(issuer)?;
    if let Some(issuer) = issuer
        && addresses.is_empty()
    {
        return Err(match store::lock(issuer)? {
            None => unknown_issuer(),
            Some(_) => Error::invalid("issuer", "its row has no jwks_uri: auth.set_issuer_keys brings its keys."),
        });
    }
    let refreshed = refresh(&addresses)?;
    match refreshed.failed {
        Some((_, error)) if refreshed.issuers == 0 => return Err(error),
        Some((name, error)) => {
            let detail = format!("{name}: {}", error.detail().unwrap_or_default());
            let code = PgSqlErrorCode::ERRCODE_WARNING;
            crate::error::warn(code, error.code().message(), &detail, error.hint_text().unwrap_or_default());
        }
        None => {}
    }
    Ok(refreshed.keys)
}

/// The keys of the issuers of one address, which is the first behind another: the address, how many keys, and why they could not be fetched.
/// `None` where there is no other. So nobody waits for all servers at once.
pub fn refresh_keys_of_next(after: Option<&str>) -> Result<Option<(String, i64, Option<Error>)>> {
    require_writable()?;
    let mut addresses = store::to_refresh(None)?;
    addresses.retain(|(_, uri)| after.is_none_or(|after| **uri > *after));
    let Some(next) = addresses.iter().map(|(_, uri)| uri).min().cloned() else { return Ok(None) };
    addresses.retain(|(_, uri)| *uri == next);
    let refreshed = refresh(&addresses)?;
    let failed = refreshed.failed.map(|(name, error)| {
        let detail = format!("{name}: {}", error.detail().unwrap_or_default());
        Error::with_detail(error.code(), detail)
    });
    Ok(Some((next, refreshed.keys, failed)))
}

/// What became of the keys of issuers.
struct Refreshed {
    /// how many verify now
    keys: i64,
    /// how many issuers answered
    issuers: usize,
    /// one that did not, and why
    failed: Option<(String, Error)>,
}

/// Those of one address stand behind each other.
fn refresh(addresses: &[(String, String)]) -> Result<Refreshed> {
    // No lock is held while a server is waited for.
    let mut fetched: Vec<(&str, TimestampWithTimeZone, Result<Vec<IssuerKey>>)> = Vec::new();
    for (_, uri) in addresses {
        // Issuers of one address get the same answer.
        if fetched.last().is_none_or(|(of, ..)| of != uri) {
            let began = clock::timestamp_now()?;
            fetched.push((uri, began, fetch(uri)));
        }
    }
    locks::lock_setup();
    let mut refreshed = Refreshed { keys: 0, issuers: 0, failed: None };
    for (name, uri) in addresses {
        match fetched.iter().find(|(of, ..)| of == uri) {
            Some((_, began, Ok(keys))) => {
                // Somebody may have distrusted it meanwhile, sent it elsewhere, or brought keys that are newer.
                if store::lock(name)?.flatten().as_deref() == Some(uri) && !store::refreshed_since(name, *began)? {
                    refreshed.keys = refreshed.keys.saturating_add(replace(name, keys)?);
                }
                refreshed.issuers += 1;
            }
            Some((.., Err(error))) => refreshed.failed = Some((name.clone(), error.clone())),
            None => {}
        }
    }
    current_session::recheck_on_next_read();
    Ok(refreshed)
}

fn fetch(uri: &str) -> Result<Vec<IssuerKey>> {
    let not_fetched = |why: String| Error::with_detail(ErrorCode::IssuerKeysNotFetched, why);
    let reply = http::fetch(uri).map_err(|error| match error.code() {
        // It is about this server, and not about the other.
        ErrorCode::TooManyRequests | ErrorCode::TlsRootsUnavailable => error,
        code => not_fetched(format!("{}: {}", code.name(), error.detail().unwrap_or(code.message()))),
    })?;
    let answer = reply.answer();
    if answer.status != 200 {
        return Err(not_fetched(format!("The server answered {}.", answer.status)));
    }
    let text = std::str::from_utf8(answer.body).map_err(|_| not_fetched("The answer is not UTF-8.".to_owned()))?;
    read_jwks(text)
}

fn keys_of(jwks: Jsonb) -> Result<Vec<IssuerKey>> {
    let unreadable = || Error::with_detail(ErrorCode::JwksInvalid, format!("It is {}.", Jsonb::UNREADABLE));
    read_jwks(jwks.raw().ok_or_else(unreadable)?.get())
}

/// Replaces the keys of an issuer, whose row is locked; says how many there are.
fn replace(issuer: &str, keys: &[IssuerKey]) -> Result<i64> {
    let replaced = store::replace_keys(issuer, keys)?;
    if !replaced.added.is_empty() || !replaced.retired.is_empty() {
        let payload = json!({ "issuer": issuer, "added": replaced.added, "retired": replaced.retired });
        audit("issuer_keys_changed", &Subject::default(), payload)?;
    }
    Ok(i64::try_from(keys.len()).unwrap_or(i64::MAX))
}

/// `auth.set_organization_issuer`: how many organizations.
pub fn assign_organization(organization: Option<&str>, issuer: Option<&str>) -> Result<i64> {
    require_writable()?;
    let organization = organization.ok_or_else(|| Error::null("organization"))?;
    if let Some(issuer) = issuer {
        let kind = store::kind(issuer)?.ok_or_else(unknown_issuer)?;
        if Kind::parse(&kind)?.has_organizations_of_workos() {
            return Err(Error::invalid("issuer", "it speaks for the organizations of WorkOS: pass NULL."));
        }
    }
    if scan::organization_is_fed(organization) {
        installation::refuse_verifier()?;
    }
    let changed = accounts::assign_organization(organization, issuer)?;
    if changed > 0 {
        // What another issuer said of it is not to be believed any more: no more is what a sign-in with WorkOS did.
        let ended = sessions::end_of_organization(organization)?;
        let subject = Subject { organization_id: Some(organization), ..Subject::default() };
        audit("organization_assigned", &subject, json!({ "issuer": issuer, "sessions": ended }))?;
        current_session::recheck_on_next_read();
    }
    Ok(i64::try_from(changed).unwrap_or(i64::MAX))
}

/// What is said where an issuer is needed that is trusted.
pub(super) fn unknown_issuer() -> Error {
    Error::invalid("issuer", "auth.trusted_issuers has no such row.")
}
