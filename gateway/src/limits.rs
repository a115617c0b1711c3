//! Limits for each client address, and for each session: requests a minute, and requests at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota, RateLimiter};
use ipnet::IpNet;
use uuid::Uuid;

use crate::address::{counted, is_trusted};
use crate::config::Config;
use crate::error::ApiError;

/// How often addresses that have not come for a while are forgotten, so that a flood of them does not stay in memory.
pub const FORGET_EVERY: Duration = Duration::from_secs(10);

/// The endpoints that cost something before anybody is known, each with a count of its own.
#[derive(Debug)]
pub struct Limits {
    /// `/authorize`, which writes a row
    pub authorize: Limit,
    /// `/callback`, which asks WorkOS
    pub callback: Limit,
    /// `/token`, where codes and tokens could be guessed: what is refused, by address
    pub refused: Refused,
    /// The refreshes of one session
    pub refreshes: OfSession<SessionKey>,
    /// What one session changes of its account: each change writes a row
    pub changes: OfSession<Uuid>,
    /// All endpoints together
    pub at_once: AtOnce,
}

impl Limits {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let (per_minute, burst) = (config.rate_limit, config.rate_limit_burst);
        Self {
            authorize: Limit::new(per_minute, burst),
            callback: Limit::new(per_minute, burst),
            refused: Refused { limit: Limit::new(per_minute, burst), waiting: Waiting::default() },
            refreshes: OfSession::new(per_minute, burst),
            changes: OfSession::new(per_minute, burst),
            at_once: AtOnce::new(config),
        }
    }

    /// Forgets addresses that may send everything again.
    pub fn forget(&self) {
        for limit in [&self.authorize, &self.callback, &self.refused.limit] {
            limit.forget();
        }
        self.refused.waiting.forget();
        self.refreshes.forget();
        self.changes.forget();
    }
}

/// One count for each address, or each session.
#[derive(Debug)]
pub struct Limit<K: Hash + Eq + Clone = IpAddr>(Option<Limiter<K>>);

type Limiter<K> = RateLimiter<K, DefaultKeyedStateStore<K>, DefaultClock, StateInformationMiddleware>;

impl<K: Hash + Eq + Clone> Limit<K> {
    fn new(per_minute: u32, burst: u32) -> Self {
        let quota = NonZeroU32::new(per_minute)
            .zip(NonZeroU32::new(burst))
            .map(|(per_minute, burst)| Quota::per_minute(per_minute).allow_burst(burst));
        Self(quota.map(|quota| RateLimiter::keyed(quota).with_middleware()))
    }

    fn forget(&self) {
        if let Some(limiter) = &self.0 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    /// Counts a request. Where there were too many: how long to wait. Where it was the last for now: how long the next one has to wait.
    fn count(&self, key: &K) -> Result<Option<Duration>, Duration> {
        let Some(limiter) = &self.0 else { return Ok(None) };
        let state =
            limiter.check_key(key).map_err(|not_until| not_until.wait_time_from(DefaultClock::default().now()))?;
        Ok((state.remaining_burst_capacity() == 0).then(|| state.quota().replenish_interval()))
    }
}

impl Limit {
    /// Counts a request.
    ///
    /// # Errors
    /// The answer, 429, where there were too many.
    pub fn check(&self, address: IpAddr) -> Result<(), Box<Response>> {
        self.count(&counted(address)).map(drop).map_err(limit_reached)
    }
}

/// What every refresh token of one session begins with, and none of another: version, key and session id are 21 bytes, which are 28
/// characters.
pub type SessionKey = [u8; 28];

/// What one session does, as far as the database has taken it: whoever only knows a session's id uses nothing of this up.
#[derive(Debug)]
pub struct OfSession<K: Hash + Eq + Copy> {
    limit: Limit<K>,
    waiting: Waiting<K>,
}

impl<K: Hash + Eq + Copy> OfSession<K> {
    fn new(per_minute: u32, burst: u32) -> Self {
        Self { limit: Limit::new(per_minute, burst), waiting: Waiting::default() }
    }

    fn forget(&self) {
        self.limit.forget();
        self.waiting.forget();
    }

    /// Asked before the database is: the session that a token names, which may be a forged one.
    ///
    /// # Errors
    /// The answer, 429, where the session has done too much.
    pub fn check(&self, session: Option<K>) -> Result<(), Box<Response>> {
        session.map_or(Ok(()), |session| self.waiting.check(session))
    }

    /// Counts what the database has taken.
    pub fn count(&self, session: Option<K>) {
        let Some(session) = session else { return };
        match self.limit.count(&session) {
            Ok(None) => {}
            Ok(Some(wait)) | Err(wait) => self.waiting.wait(session, wait),
        }
    }
}

/// The session that a refresh token names. Another text names none.
pub fn session_of(refresh_token: &str) -> Option<SessionKey> {
    refresh_token.as_bytes().first_chunk().copied()
}

/// Who has to wait, and until when.
#[derive(Debug)]
struct Waiting<K>(Mutex<HashMap<K, Instant>>);

impl<K> Default for Waiting<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq> Waiting<K> {
    fn check(&self, key: K) -> Result<(), Box<Response>> {
        let until = lock(&self.0).get(&key).copied();
        match until.and_then(|until| until.checked_duration_since(Instant::now())) {
            Some(wait) if !wait.is_zero() => Err(limit_reached(wait)),
            _ => Ok(()),
        }
    }

    fn wait(&self, key: K, wait: Duration) {
        if let Some(until) = Instant::now().checked_add(wait) {
            lock(&self.0).insert(key, until);
        }
    }

    fn forget(&self) {
        let now = Instant::now();
        lock(&self.0).retain(|_, until| *until > now);
    }
}

/// A company has one address: what its people ask for and get is counted for each session, and only what is refused for the address.
#[derive(Debug)]
pub struct Refused {
    limit: Limit,
    /// The addresses of which too much was refused.
    waiting: Waiting<IpAddr>,
}

impl Refused {
    /// # Errors
    /// The answer, 429, where too much of this address was refused.
    pub fn check(&self, address: IpAddr) -> Result<(), Box<Response>> {
        self.waiting.check(counted(address))
    }

    /// Counts a request that was refused.
    ///
    /// # Errors
    /// As above, in place of the refusal.
    pub fn count(&self, address: IpAddr) -> Result<(), Box<Response>> {
        let address = counted(address);
        self.limit.count(&address).map(drop).map_err(|wait| {
            self.waiting.wait(address, wait);
            limit_reached(wait)
        })
    }
}

fn limit_reached(wait: Duration) -> Box<Response> {
    Box::new(refusal("Request rate limit reached", wait.as_secs().saturating_add(1)))
}

fn refusal(message: &str, wait: u64) -> Response {
    let error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit", message);
    let mut response = error.into_response();
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
    response
}

type Counts = Mutex<HashMap<IpAddr, u32>>;

/// How many requests of one address are under way at a time. A client that comes by itself has no more of them than connections, which
/// [`crate::places::Places`] counts; behind a proxy, whose connections are many people's, this is the one limit.
#[derive(Debug)]
pub struct AtOnce {
    most: u32,
    proxies: Vec<IpNet>,
    under_way: Arc<Counts>,
}

impl AtOnce {
    fn new(config: &Config) -> Self {
        Self { most: config.max_per_address, proxies: config.trusted_proxies.clone(), under_way: Arc::default() }
    }

    /// A request begins; it counts until the result is dropped. Where a proxy does not name its client, nobody is counted: everybody
    /// behind it would be.
    ///
    /// # Errors
    /// The answer, 429, where there are too many.
    pub fn enter(&self, address: IpAddr) -> Result<UnderWay, Box<Response>> {
        if is_trusted(address, &self.proxies) {
            return Ok(UnderWay(None));
        }
        let address = counted(address);
        let mut under_way = lock(&self.under_way);
        let count = under_way.entry(address).or_default();
        if *count >= self.most {
            return Err(Box::new(refusal("Too many requests of this address are under way", 1)));
        }
        *count = count.saturating_add(1);
        Ok(UnderWay(Some((Arc::clone(&self.under_way), address))))
    }
}

/// Ends its request's count. [`crate::places::Seat::counted`] keeps it.
#[derive(Debug)]
pub struct UnderWay(Option<(Arc<Counts>, IpAddr)>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        let Some((under_way, address)) = &self.0 else { return };
        let mut under_way = lock(under_way);
        if let Some(count) = under_way.get_mut(address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                under_way.remove(address);
            }
        }
    }
}

fn lock<K, T>(map: &Mutex<HashMap<K, T>>) -> MutexGuard<'_, HashMap<K, T>> {
    map.lock().unwrap_or_else(PoisonError::into_inner)
}
