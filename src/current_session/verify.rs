//! Verifies access tokens, and remembers those that were good.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::rc::Rc;
use std::thread::LocalKey;

use lru::LruCache;
use pgrx::prelude::*;
use workos_auth_core::token::{self, Bearer, Claims, Hashed, Own, Rules, Visitor};
use workos_auth_core::{Error, ErrorCode, Result};

use super::keys::KnownKey;
use super::purpose::{Purpose, expired_for, now};
use super::verified::{Origin, Verified};
use super::{link, trusted};
use crate::postgres::snapshot::SnapshotStamp;
use crate::settings;
use crate::store::scan::{self, LiveSession};

thread_local! {
    /// By the token's hash.
    static KNOWN: RefCell<LruCache<[u8; 32], Rc<Verified>>> = RefCell::new(LruCache::new(NonZeroUsize::MIN));
    /// The same of visitors' keys.
    static VISITORS: RefCell<LruCache<[u8; 32], Rc<KnownVisitor>>> = RefCell::new(LruCache::new(NonZeroUsize::MIN));
    /// Of tokens that this backend has signed and nobody has presented to it yet; by the same.
    static OWN: RefCell<LruCache<[u8; 32], Own>> = RefCell::new(LruCache::new(NonZeroUsize::MIN));
}

/// A visitor's key that was verified.
struct KnownVisitor {
    /// what verified it
    key: Rc<KnownKey>,
    claims: Visitor,
}

/// This backend has signed a token: when it is presented here, its signature is known to be good.
pub fn remember_own(own: Own) {
    OWN.with_borrow_mut(|all| {
        all.resize(settings::token_cache_size());
        all.put(*own.token(), own);
    });
}

/// Verifies a token: form, key, signature and claims, unless this backend has done so before; what may have changed since, in any
/// case.
///
/// # Errors
/// One code a check, class WA5.
pub fn verify(access_token: &str) -> Result<Rc<Verified>> {
    verify_for(Purpose::Acting, access_token)
}

/// The same of a token that need not be good for everything.
///
/// # Errors
/// As above.
pub fn verify_for(purpose: Purpose, access_token: &str) -> Result<Rc<Verified>> {
    verify_any(purpose, access_token)?.ok_or_else(token::visitor_has_no_session)
}

/// The same of a token that may be a visitor's: then there is nobody, and `None`.
///
/// # Errors
/// As above.
pub fn verify_bearer(access_token: &str) -> Result<Option<Rc<Verified>>> {
    verify_any(Purpose::Acting, access_token)
}

fn verify_any(purpose: Purpose, access_token: &str) -> Result<Option<Rc<Verified>>> {
    let token = Hashed::new(access_token);
    let hash = *token.hash();
    if let Some(known) = KNOWN.with_borrow_mut(|known| known.get(&hash).map(Rc::clone))
        && recheck_for(purpose, &known)?
    {
        return Ok(Some(known));
    }
    if let Some(visitor) = VISITORS.with_borrow_mut(|visitors| visitors.get(&hash).map(Rc::clone))
        && recheck_visitor(&visitor)?
    {
        return Ok(None);
    }
    if let Some(verified) = trusted::verify(purpose, hash, access_token)? {
        let verified = Rc::new(verified);
        remember(&KNOWN, hash, Rc::clone(&verified));
        return Ok(Some(verified));
    }
    accept_changes();
    link::require_signer()?;
    let unverified = token.parse()?;
    let kid = unverified.kid().to_owned();
    with_rules(purpose, &kid, |key, rules| {
        let own = OWN.with_borrow_mut(|own| own.pop(&hash));
        match unverified.verify_bearer(own.as_ref(), &key.key, rules)? {
            Bearer::Person(claims) => {
                let verified = Rc::new(Verified::new(hash, Rc::clone(key), claims));
                remember(&KNOWN, hash, Rc::clone(&verified));
                if let Origin::Own { claims, .. } = &verified.origin {
                    check_session(purpose, &verified, key, claims)?;
                }
                Ok(Some(verified))
            }
            Bearer::Visitor(claims) => {
                remember(&VISITORS, hash, Rc::new(KnownVisitor { key: Rc::clone(key), claims }));
                Ok(None)
            }
        }
    })
}

fn remember<T>(cache: &'static LocalKey<RefCell<LruCache<[u8; 32], T>>>, hash: [u8; 32], value: T) {
    cache.with_borrow_mut(|known| {
        known.resize(settings::token_cache_size());
        known.put(hash, value);
    });
}

/// As [`recheck`].
fn recheck_visitor(visitor: &KnownVisitor) -> Result<bool> {
    accept_changes();
    with_rules(Purpose::Acting, visitor.key.key.kid(), |key, rules| {
        if !Rc::ptr_eq(key, &visitor.key) {
            return Ok(false);
        }
        visitor.claims.recheck(rules)?;
        Ok(true)
    })
}

/// Checks of a verified token what may have changed: time, issuer, audience and session. False where its `kid` is another key now,
/// so that the signature has to be checked again.
///
/// # Errors
/// One code a check, class WA5.
pub fn recheck(verified: &Verified) -> Result<bool> {
    recheck_for(Purpose::Acting, verified)
}

fn recheck_for(purpose: Purpose, verified: &Verified) -> Result<bool> {
    let (key, claims) = match &verified.origin {
        Origin::Own { key, claims } => (key, claims),
        Origin::Trusted(trusted) => return trusted::recheck(purpose, verified, trusted),
    };
    accept_changes();
    with_rules(purpose, key.key.kid(), |now, rules| {
        if !Rc::ptr_eq(now, key) {
            return Ok(false);
        }
        claims.recheck(rules)?;
        check_session(purpose, verified, key, claims)?;
        Ok(true)
    })
}

/// What other backends did to keys and issuer is otherwise learnt at the begin of a transaction and when a lock is taken.
fn accept_changes() {
    // SAFETY: in a transaction, as every SQL function is.
    unsafe { pg_sys::AcceptInvalidationMessages() };
}

/// With the key of a `kid`, and what the claims of its tokens are compared with.
fn with_rules<T>(purpose: Purpose, kid: &str, check: impl FnOnce(&Rc<KnownKey>, &Rules) -> Result<T>) -> Result<T> {
    let (key, signer) = link::key(kid)?;
    let (issuer, audience) = (&signer.issuer, &signer.audience);
    check(&key, &Rules { issuer, audience, now: now(), expired_for: expired_for(purpose) })
}

/// A token is good only while its session is there, and says what the session's rights are now. The row is looked at again as soon as
/// anybody may have changed it.
fn check_session(purpose: Purpose, verified: &Verified, key: &KnownKey, claims: &Claims) -> Result<()> {
    // Before the look, which sees no less.
    let stamp = SnapshotStamp::now();
    if stamp.is_some() && verified.session_checked_at.get() == stamp {
        return Ok(());
    }
    let session = match key.subscription {
        _ if !settings::check_sessions() => None,
        None => scan::live_session(claims.session_id),
        Some(subscription) => scan::fed_session(claims.session_id, subscription),
    };
    if let Some(subscription) = key.subscription {
        // An organization that a session goes on in may come after the session, with what changed it.
        let has_arrived = session.as_ref().is_some_and(|session| session.claims_version >= claims.claims_version);
        link::require_organization(claims, subscription, has_arrived)?;
    }
    match session {
        None if !settings::check_sessions() => Ok(()),
        None if key.subscription.is_some_and(|subscription| link::is_on_its_way(claims, subscription)) => {
            verified.session_checked_at.set(stamp);
            Ok(())
        }
        None => Err(ErrorCode::SessionNotFound.into()),
        Some(session) if session.user_id.is_some_and(|user_id| user_id != claims.sub) => {
            Err(Error::with_detail(ErrorCode::SessionNotFound, "The session of this token is another person's."))
        }
        Some(session) if claims.claims_version < session.claims_version => match purpose {
            Purpose::Acting => Err(ErrorCode::SessionStale.into()),
            Purpose::OwnAccount | Purpose::SigningOut => Ok(()),
        },
        Some(session) if is_elsewhere(key, claims, &session) => match purpose {
            Purpose::Acting => Err(Error::with_detail(
                ErrorCode::SessionStale,
                "The token is of a change of the organization that was not committed.",
            )),
            Purpose::OwnAccount | Purpose::SigningOut => Ok(()),
        },
        Some(_) if has_newer_role(claims) => match purpose {
            Purpose::Acting => Err(Error::with_detail(
                ErrorCode::SessionStale,
                "A role of the person's allows something else since the token was issued.",
            )),
            Purpose::OwnAccount | Purpose::SigningOut => Ok(()),
        },
        Some(_) => {
            verified.session_checked_at.set(stamp);
            Ok(())
        }
    }
}

/// Whether the session is in another organization than its token says. A standby and a verifier may not have the change yet that the token tells of.
fn is_elsewhere(key: &KnownKey, claims: &Claims, session: &LiveSession) -> bool {
    let differs = session.user_id.is_some() && claims.org_id != session.organization_id;
    // SAFETY: reads the state of the server.
    let may_lag = || key.subscription.is_some() || unsafe { pg_sys::RecoveryInProgress() };
    differs && (claims.claims_version == session.claims_version || !may_lag())
}

fn has_newer_role(claims: &Claims) -> bool {
    let newer = |organization| scan::has_newer_role(claims.sub, organization, claims.roles_version);
    claims.org_id.as_deref().is_some_and(newer)
}
