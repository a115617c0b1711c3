//! The public keys and the issuer, cached per backend and dropped when Postgres says that their tables changed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use pgrx::prelude::*;
use serde_json::Value;
use workos_auth_core::token::PublicKey;
use workos_auth_core::{Error, ErrorCode, Result};

use super::issuers;
use crate::postgres::citus;
use crate::postgres::statement::Statement;
use crate::settings;
use crate::store::scan::{self, PublicKeyRow};

/// A key that verifies.
pub struct KnownKey {
    /// the key
    pub key: PublicKey,
    /// which subscription has brought it into a verifier
    pub subscription: Option<pg_sys::Oid>,
    jwk: Value,
}

struct Cached {
    /// the installation's own name
    issuer: Option<Rc<str>>,
    is_verifier: bool,
    keys: Vec<Rc<KnownKey>>,
    loaded_in: Statement,
}

thread_local! {
    static CACHED: RefCell<Option<Cached>> = const { RefCell::new(None) };
}

struct Stale(Cell<bool>);

// SAFETY: a backend has one thread.
unsafe impl Sync for Stale {}

static STALE: Stale = Stale(Cell::new(true));

/// Registers the callback through which Postgres says that a relation changed. `auth.forget_cached_rows()` has it said for rows.
pub fn register() {
    // SAFETY: in _PG_init; the callback is a function of this library, which is never unloaded.
    unsafe { pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), pg_sys::Datum::null()) };
}

/// Allocates nothing and raises nothing: it may be called at any point where a lock is taken.
unsafe extern "C-unwind" fn relation_changed(_: pg_sys::Datum, relation: pg_sys::Oid) {
    let changed = scan::forget(relation);
    if changed.own {
        STALE.0.set(true);
    }
    if changed.issuers {
        issuers::mark_stale();
    }
}

fn load() {
    // Before the scans: what changes during them is loaded again, and an error in one of them leaves nothing that is old.
    STALE.0.set(false);
    let before = CACHED.take().map(|cached| cached.keys).unwrap_or_default();
    let issuer = scan::installation_id().map(|id| format!("urn:uuid:{id}").into());
    let is_verifier = scan::verifier().is_some();
    let keys = scan::signing_keys(is_verifier)
        .into_iter()
        .filter(|row| row.status != "retired")
        .filter_map(|row| {
            let PublicKeyRow { kid, public_key: jwk, subscription, .. } = row;
            // A key that did not change stays the same one, and what it verified stays verified.
            let known = before.iter().find(|known| known.jwk == jwk && known.subscription == subscription);
            known.map(Rc::clone).or_else(|| {
                // By its row alone: what else it calls itself is no name.
                let key = PublicKey::from_jwk(&jwk).ok().filter(|key| key.kid() == kid)?;
                Some(Rc::new(KnownKey { key, subscription, jwk }))
            })
        })
        .collect();
    CACHED.set(Some(Cached { issuer, is_verifier, keys, loaded_in: Statement::current() }));
}

fn ensure_loaded() {
    if STALE.0.get() || CACHED.with_borrow(Option::is_none) {
        load();
    }
}

/// The key of this `kid`, if it is known and not retired. An unknown one has the keys loaded again, once a statement.
pub fn find(kid: &str) -> Option<Rc<KnownKey>> {
    ensure_loaded();
    let known = || {
        CACHED.with_borrow(|cached| {
            let keys = &cached.as_ref()?.keys;
            keys.iter().find(|known| known.key.kid() == kid).map(Rc::clone)
        })
    };
    if let Some(key) = known() {
        return Some(key);
    }
    let this = Statement::current();
    if CACHED.with_borrow(|cached| cached.as_ref().is_some_and(|cached| cached.loaded_in != this)) {
        load();
    }
    known()
}

/// The JWKs of all keys that are not retired.
pub fn public_keys() -> Vec<Value> {
    ensure_loaded();
    CACHED.with_borrow(|cached| {
        cached.as_ref().map(|cached| cached.keys.iter().map(|known| known.jwk.clone()).collect()).unwrap_or_default()
    })
}

/// Whether this database only verifies.
pub fn is_verifier() -> bool {
    ensure_loaded();
    CACHED.with_borrow(|cached| cached.as_ref().is_some_and(|cached| cached.is_verifier))
}

/// What `iss` is in the tokens that this database signs: the setting, or the installation's own name.
pub fn issuer() -> Result<Rc<str>> {
    if let Some(issuer) = settings::issuer() {
        return Ok(issuer.into());
    }
    ensure_loaded();
    CACHED.with_borrow(|cached| cached.as_ref().and_then(|cached| cached.issuer.clone())).ok_or_else(|| {
        match citus::is_entered_by_node() {
            true => Error::with_detail(ErrorCode::ProviderNotConfigured, "This node of Citus is no verifier yet.")
                .hint("A superuser runs auth.become_verifier() and CREATE SUBSCRIPTION there, as docs/citus.md says."),
            false => Error::new(ErrorCode::ProviderNotConfigured),
        }
    })
}
