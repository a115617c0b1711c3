//! Verifies access tokens, and remembers the last few that were good.

use std::cell::RefCell;
use std::rc::Rc;

use pgrx::prelude::*;
use workos_auth_core::token::{self, Claims, Rules};
use workos_auth_core::{ErrorCode, Result, pkce};

use super::keys;
use crate::{settings, store};

/// How many tokens a backend remembers; each is a few kilobytes.
const REMEMBERED: usize = 8;

struct Known {
    hash: [u8; 32],
    kid: String,
    claims: Rc<Claims>,
}

thread_local! {
    /// The last used first.
    static KNOWN: RefCell<Vec<Known>> = const { RefCell::new(Vec::new()) };
}

/// Verifies a token: form, key, signature and claims, unless this backend has done so before; time, issuer, audience, key and session
/// in any case.
pub fn verify(access_token: &str) -> Result<Rc<Claims>> {
    // What other backends did to keys and issuer is otherwise learnt at the begin of a transaction and when a lock is taken.
    // SAFETY: in a transaction, as every SQL function is.
    unsafe { pg_sys::AcceptInvalidationMessages() };
    let issuer = keys::issuer()?;
    let audience = settings::audience();
    let rules = Rules { issuer: &issuer, audience: &audience, now: now() };
    let hash = pkce::sha256(access_token);
    let claims = match known(&hash) {
        Some((kid, claims)) => {
            keys::find(&kid)?;
            claims.recheck(&rules)?;
            claims
        }
        None => {
            let unverified = token::parse(access_token)?;
            let kid = unverified.kid().to_owned();
            let claims = Rc::new(unverified.verify(&*keys::find(&kid)?, &rules)?);
            remember(Known { hash, kid, claims: Rc::clone(&claims) });
            claims
        }
    };
    check_session(&claims)?;
    Ok(claims)
}

fn known(hash: &[u8; 32]) -> Option<(String, Rc<Claims>)> {
    KNOWN.with_borrow_mut(|all| {
        let at = all.iter().position(|known| known.hash == *hash)?;
        all[..=at].rotate_right(1);
        all.first().map(|known| (known.kid.clone(), Rc::clone(&known.claims)))
    })
}

fn remember(known: Known) {
    KNOWN.with_borrow_mut(|all| {
        all.truncate(REMEMBERED - 1);
        all.insert(0, known);
    });
}

/// A token is good only while its session is there, and says what the session's rights are now.
fn check_session(claims: &Claims) -> Result<()> {
    if !settings::check_sessions() {
        return Ok(());
    }
    match store::scan::session_claims_version(claims.session_id) {
        None => Err(ErrorCode::SessionNotFound.into()),
        Some(version) if claims.claims_version < version => Err(ErrorCode::SessionStale.into()),
        Some(_) => Ok(()),
    }
}

/// Seconds since 1970: the later of the statement's and the transaction's start.
pub fn now() -> i64 {
    const POSTGRES_EPOCH: i64 = 946_684_800;
    // SAFETY: reads of the backend's own state.
    let micros =
        unsafe { pg_sys::GetCurrentStatementStartTimestamp().max(pg_sys::GetCurrentTransactionStartTimestamp()) };
    micros.div_euclid(1_000_000) + POSTGRES_EPOCH
}
