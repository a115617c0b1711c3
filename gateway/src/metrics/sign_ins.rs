//! The figures of sign-ins and refreshes. A label `code` is a name of `auth.error_codes` or an error of WorkOS's redirect; where all went
//! well, it is empty.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use crate::error::ApiError;
use crate::landing::Landing;

/// What the database calls a sign-in that had no place on the way to WorkOS (`workos_auth.max_concurrent_requests`).
const NO_PLACE: (&str, &str) = ("over_request_rate_limit", "53400");
/// What it calls a refresh token that somebody else has used: the session has been ended.
const THEFT: &str = "refresh_token_already_used";
/// Its failures on the way to WorkOS and back. They are counted from the start, so that the first of them is a rise.
const WORKOS_ERRORS: [&str; 18] = [
    "https_proxy_credentials_invalid",
    "https_proxy_credentials_refused",
    "https_proxy_failed",
    "https_proxy_invalid",
    "tls_roots_unavailable",
    "workos_answer_malformed",
    "workos_answer_too_large",
    "workos_connection_lost",
    "workos_invalid_client",
    "workos_invalid_grant",
    "workos_not_found",
    "workos_profile_incomplete",
    "workos_rate_limited",
    "workos_rejected",
    "workos_timeout",
    "workos_unavailable",
    "workos_unprocessable",
    "workos_unreachable",
];

/// The figures.
#[derive(Debug)]
pub struct SignIns {
    started: IntCounter,
    ended: IntCounterVec,
    refreshes: IntCounterVec,
    thefts: IntCounter,
    workos_seconds: HistogramVec,
    workos_errors: IntCounterVec,
    no_place: IntCounter,
}

impl SignIns {
    /// Registers them.
    ///
    /// # Errors
    /// A name stands twice.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let count = |name: &str, help: &str| IntCounter::new(name, help);
        let counts = |name: &str, help: &str, labels: &[&str]| IntCounterVec::new(Opts::new(name, help), labels);
        let sign_ins = Self {
            started: count("gateway_sign_ins_started_total", "Browsers that were sent to WorkOS")?,
            ended: counts(
                "gateway_sign_ins_total",
                "Sign-ins that ended, by outcome (success or failure) and error code",
                &["outcome", "code"],
            )?,
            refreshes: counts(
                "gateway_refreshes_total",
                "Refreshes, by outcome (success or failure) and error code",
                &["outcome", "code"],
            )?,
            thefts: count(
                "gateway_refresh_token_thefts_total",
                "Refresh tokens that were presented after somebody else had used them; their sessions have ended",
            )?,
            workos_seconds: HistogramVec::new(
                HistogramOpts::new(
                    "gateway_workos_seconds",
                    "How long statements took in which the database asked WorkOS, the wait for its turn included, by outcome (answer or failure)",
                )
                .buckets(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0]),
                &["outcome"],
            )?,
            workos_errors: counts(
                "gateway_workos_errors_total",
                "Sign-ins that failed on the way to WorkOS and back, by error code",
                &["code"],
            )?,
            no_place: count(
                "gateway_workos_queue_timeouts_total",
                "Sign-ins that the database refused because too many others waited for WorkOS (53400)",
            )?,
        };
        for counter in [&sign_ins.started, &sign_ins.thefts, &sign_ins.no_place] {
            registry.register(Box::new(counter.clone()))?;
        }
        for counters in [&sign_ins.ended, &sign_ins.refreshes, &sign_ins.workos_errors] {
            registry.register(Box::new(counters.clone()))?;
        }
        registry.register(Box::new(sign_ins.workos_seconds.clone()))?;
        // What has not happened yet is 0, and not missing.
        for counters in [&sign_ins.ended, &sign_ins.refreshes] {
            counters.with_label_values(&["success", ""]);
        }
        for outcome in ["answer", "failure"] {
            sign_ins.workos_seconds.with_label_values(&[outcome]);
        }
        for code in WORKOS_ERRORS {
            sign_ins.workos_errors.with_label_values(&[code]);
        }
        Ok(sign_ins)
    }

    /// A browser was sent to WorkOS.
    pub fn started(&self) {
        self.started.inc();
    }

    /// A browser came back, and `auth.handle_callback` took so long. A code is not the end of a sign-in: the application exchanges it.
    pub fn came_back(&self, landing: &Landing, took: Duration) {
        match landing {
            Landing::Code => self.answered(took),
            Landing::Tokens => {
                self.answered(took);
                self.ended.with_label_values(&["success", ""]).inc();
            }
            Landing::Refused(code) => {
                self.ended.with_label_values(&["failure", code]).inc();
                if self.count_workos(code) {
                    self.workos_seconds.with_label_values(&["failure"]).observe(took.as_secs_f64());
                }
                if code == NO_PLACE.0 {
                    self.no_place.inc();
                }
            }
        }
    }

    /// A code was exchanged.
    pub fn exchanged(&self, refused: Option<&ApiError>) {
        end(&self.ended, refused);
        let Some(error) = refused else { return };
        self.count_workos(&error.code);
        if is_no_place(error) {
            self.no_place.inc();
        }
    }

    /// A request failed before the database said anything of its sign-in.
    pub fn failed(&self, error: &ApiError) {
        end(&self.ended, Some(error));
    }

    /// A session was refreshed.
    pub fn refreshed(&self, refused: Option<&ApiError>) {
        end(&self.refreshes, refused);
        if refused.is_some_and(|error| error.code == THEFT) {
            self.thefts.inc();
        }
    }

    fn answered(&self, took: Duration) {
        self.workos_seconds.with_label_values(&["answer"]).observe(took.as_secs_f64());
    }

    /// Counts a failure on the way to WorkOS and back, and says whether it is one.
    fn count_workos(&self, code: &str) -> bool {
        let is_of_workos = WORKOS_ERRORS.contains(&code);
        if is_of_workos {
            self.workos_errors.with_label_values(&[code]).inc();
        }
        is_of_workos
    }
}

fn end(counters: &IntCounterVec, refused: Option<&ApiError>) {
    match refused {
        None => counters.with_label_values(&["success", ""]).inc(),
        Some(error) => counters.with_label_values(&["failure", &error.code]).inc(),
    }
}

/// The gateway's own limit has the same name, and no SQLSTATE.
fn is_no_place(error: &ApiError) -> bool {
    let sqlstate = error.cause.as_ref().and_then(|cause| cause.sqlstate.as_deref());
    (error.code.as_str(), sqlstate) == (NO_PLACE.0, Some(NO_PLACE.1))
}
