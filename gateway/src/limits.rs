//! Limits for each client address: requests a minute, and requests at a time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use ipnet::IpNet;

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
    /// `/token`, where codes and tokens could be guessed
    pub token: Limit,
    /// All endpoints together
    pub at_once: AtOnce,
}

impl Limits {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let limit = || Limit::new(config.rate_limit, config.rate_limit_burst);
        Self { authorize: limit(), callback: limit(), token: limit(), at_once: AtOnce::new(config) }
    }

    /// Forgets addresses that may send everything again.
    pub fn forget(&self) {
        for limit in [&self.authorize, &self.callback, &self.token] {
            if let Some(limiter) = &limit.0 {
                limiter.retain_recent();
                limiter.shrink_to_fit();
            }
        }
    }
}

/// One count for each address.
#[derive(Debug)]
pub struct Limit(Option<DefaultKeyedRateLimiter<IpAddr>>);

impl Limit {
    fn new(per_minute: u32, burst: u32) -> Self {
        let quota = NonZeroU32::new(per_minute)
            .zip(NonZeroU32::new(burst))
            .map(|(per_minute, burst)| Quota::per_minute(per_minute).allow_burst(burst));
        Self(quota.map(RateLimiter::keyed))
    }

    /// Counts a request.
    ///
    /// # Errors
    /// The answer, 429, where there were too many.
    pub fn check(&self, address: IpAddr) -> Result<(), Box<Response>> {
        let Some(limiter) = &self.0 else { return Ok(()) };
        limiter.check_key(&counted(address)).map_err(|not_until| {
            let wait = not_until.wait_time_from(DefaultClock::default().now()).as_secs().saturating_add(1);
            Box::new(refusal("Request rate limit reached", wait))
        })
    }
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

fn lock(under_way: &Counts) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
    under_way.lock().unwrap_or_else(PoisonError::into_inner)
}
