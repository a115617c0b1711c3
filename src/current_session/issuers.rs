//! The trusted issuers and their keys, cached per backend and dropped when Postgres says that their tables changed.
//!
//! Nothing else has them read again. So a key that is not known costs no look at a table, however many tokens name one.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use serde_json::Value;
use workos_auth_core::trusted_issuer::{Issuer, IssuerKey, Kind, Mapping};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::error::log_line;
use crate::postgres::{clock, wishes};
use crate::store::scan::{self, IssuerRow};

/// Whom the database trusts.
#[derive(PartialEq, Eq)]
pub struct TrustedIssuer {
    /// What its tokens are compared with.
    pub rules: Issuer,
    /// The database role of its people; that of their accounts where there is none.
    pub database_role: Option<String>,
}

impl TrustedIssuer {
    /// What `auth.organizations.issuer` is of the organizations that it may speak for.
    pub fn organizations_issuer(&self) -> Option<&str> {
        match self.rules.kind.has_organizations_of_workos() {
            true => None,
            false => Some(&self.rules.name),
        }
    }
}

struct Cached {
    issuers: Vec<Rc<TrustedIssuer>>,
    keys: Vec<CachedKey>,
}

struct CachedKey {
    issuer: String,
    jwk: Value,
    key: Rc<IssuerKey>,
}

thread_local! {
    static CACHED: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

struct Stale(Cell<bool>);

// SAFETY: a backend has one thread.
unsafe impl Sync for Stale {}

static STALE: Stale = Stale(Cell::new(true));

/// The rows may have changed. Allocates nothing and raises nothing.
pub fn mark_stale() {
    STALE.0.set(true);
}

fn ensure_loaded() {
    if !STALE.0.get() && CACHED.with_borrow(Option::is_some) {
        return;
    }
    // Before the scans, as for our own keys.
    STALE.0.set(false);
    let (known_issuers, known_keys) = CACHED.take().map(|cached| (cached.issuers, cached.keys)).unwrap_or_default();
    // What did not change stays the same, and what it verified stays verified.
    let issuers: Vec<_> = scan::trusted_issuers()
        .into_iter()
        .filter_map(|row| {
            let issuer = read(row)?;
            Some(known_issuers.iter().find(|known| ***known == issuer).cloned().unwrap_or_else(|| Rc::new(issuer)))
        })
        .collect();
    let keys = match issuers.is_empty() {
        true => Vec::new(),
        false => scan::issuer_keys(),
    };
    let keys = keys
        .into_iter()
        .filter_map(|(issuer, jwk)| {
            let known = known_keys.iter().find(|known| known.issuer == issuer && known.jwk == jwk);
            let key = known.map(|known| Rc::clone(&known.key)).or_else(|| IssuerKey::from_jwk(&jwk).map(Rc::new))?;
            Some(CachedKey { issuer, jwk, key })
        })
        .collect();
    CACHED.set(Some(Cached { issuers, keys }));
}

/// `None` where somebody wrote into the row by hand what is none.
fn read(row: IssuerRow) -> Option<TrustedIssuer> {
    let kind = Kind::parse(&row.kind).ok()?;
    let rules = Issuer {
        name: row.issuer,
        kind,
        audience: row.audience,
        client_id: row.client_id,
        mapping: Mapping::read(kind, &row.claims).ok()?,
    };
    rules.check().ok()?;
    Some(TrustedIssuer { rules, database_role: row.database_role })
}

/// Whether any issuer is trusted.
pub fn are_none() -> bool {
    ensure_loaded();
    CACHED.with_borrow(|cached| cached.as_ref().is_none_or(|cached| cached.issuers.is_empty()))
}

/// The issuer of exactly this name, if it is trusted.
pub fn find(name: &str) -> Option<Rc<TrustedIssuer>> {
    ensure_loaded();
    CACHED.with_borrow(|cached| cached.as_ref()?.issuers.iter().find(|issuer| issuer.rules.name == name).map(Rc::clone))
}

/// The key of an issuer that has this `kid`.
///
/// # Errors
/// `bad_jwt_key`. The database's background worker, if it has one, fetches the keys soon. The server's log is told once a minute.
pub fn key(issuer: &TrustedIssuer, kid: &str) -> Result<Rc<IssuerKey>> {
    find_key(&issuer.rules.name, kid).ok_or_else(|| {
        wishes::wish();
        note_unknown_key(&issuer.rules.name);
        Error::with_detail(ErrorCode::BadJwtKey, "No active key of its issuer in auth.issuer_keys has its kid.").hint(
            "If the issuer has a new key, auth.refresh_issuer_keys or auth.set_issuer_keys brings it. Otherwise sign in again.",
        )
    })
}

/// The same without a word where there is none.
pub fn find_key(issuer: &str, kid: &str) -> Option<Rc<IssuerKey>> {
    ensure_loaded();
    CACHED.with_borrow(|cached| {
        let is_it = |cached: &&CachedKey| cached.issuer == issuer && cached.key.kid() == kid;
        cached.as_ref()?.keys.iter().find(is_it).map(|cached| Rc::clone(&cached.key))
    })
}

fn note_unknown_key(issuer: &str) {
    thread_local! {
        static NOTED: Cell<Option<i64>> = const { Cell::new(None) };
    }
    const MINUTE: i64 = 60_000_000;
    let now = clock::now();
    if NOTED.get().is_none_or(|noted| now.saturating_sub(noted) >= MINUTE) {
        NOTED.set(Some(now));
        // Whoever can send a token can have this said, but not what: the name is that of a row.
        log_line(
            "a token of a trusted issuer names a key that is not known here",
            &format!(
                "The issuer is {issuer}. auth.refresh_issuer_keys fetches its keys. This is said once a minute in each connection."
            ),
        );
    }
}
