//! Rate limits, for each client address.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::address::counted;
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
}

impl Limits {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let limit = || Limit::new(config.rate_limit, config.rate_limit_burst);
        Self { authorize: limit(), callback: limit(), token: limit() }
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
            let error =
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit", "Request rate limit reached");
            let mut response = error.into_response();
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(wait));
            Box::new(response)
        })
    }
}
