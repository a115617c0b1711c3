//! WorkOS as the mirror asks it: a page of a list, with as few items as it takes to be read.

use std::time::Duration;

use pgrx::memcxt::PgMemoryContexts;
use serde_json::Value;
use workos_auth_core::mirror::follow;
use workos_auth_core::secret::ClientSecret;
use workos_auth_core::workos::HttpAnswer;
use workos_auth_core::workos::api::ApiRequest;
use workos_auth_core::workos::lists::{self, LIMITS, List, MAX_PAGE, Page};
use workos_auth_core::{Error, ErrorCode, Result};

use crate::postgres::clock;
use crate::postgres::roles::as_owner;
use crate::postgres::setting::{self, Lifetime};
use crate::postgres::transaction::undone_if_refused;
use crate::store::configuration;
use crate::{http, installation, secrets};

/// WorkOS, and the key that its API is asked with.
pub struct Source {
    api_url: String,
    key: ClientSecret,
    patience: Patience,
}

/// What is done where WorkOS asks to slow down: so often it is asked again, after a pause of no more than this.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    tries: u32,
    longest: Duration,
}

impl Patience {
    /// Of a call that somebody has made.
    pub const OF_CALL: Self = Self { tries: 8, longest: Duration::from_secs(60) };
    /// Of the background worker, which has other tasks and comes again by itself.
    pub const OF_WORKER: Self = Self { tries: 3, longest: Duration::from_secs(1) };
    /// Whoever asks every few seconds asks again then.
    pub const NONE: Self = Self { tries: 0, longest: Duration::ZERO };
}

impl Source {
    /// Also where sign-ins are switched off.
    ///
    /// # Errors
    /// `verifier_only`, `installation_is_a_copy`, `provider_not_configured`, and those of a secret that does not open.
    pub fn open(patience: Patience) -> Result<Self> {
        installation::require_home()?;
        let provider = configuration::provider()?.ok_or_else(|| Error::new(ErrorCode::ProviderNotConfigured))?;
        let key = secrets::open_client_secret(&provider)?;
        Ok(Self { api_url: provider.api_url, key, patience })
    }

    /// The next page of a list. One that is too large is asked for again with fewer items.
    ///
    /// # Errors
    /// Those of [`http::call`] and [`lists::read`].
    pub fn page(&self, list: &List, after: Option<&str>) -> Result<Page> {
        let mut too_large = None;
        for limit in LIMITS {
            match self.ask(&list.page(&self.api_url, after, limit)?, lists::read) {
                Err(error) if error.code() == ErrorCode::WorkosAnswerTooLarge => too_large = Some(error),
                Ok(page) if !page.leads_on(after) => {
                    let detail = "The list leads to where it was asked from.";
                    return Err(Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail));
                }
                answer => return answer,
            }
        }
        Err(too_large.unwrap_or_else(|| Error::new(ErrorCode::WorkosAnswerTooLarge)))
    }

    /// A list that has no pages.
    ///
    /// # Errors
    /// As [`Source::page`].
    pub fn whole(&self, list: &List) -> Result<Page> {
        self.ask(&list.whole(&self.api_url)?, lists::read)
    }

    /// One thing by its path.
    ///
    /// # Errors
    /// As [`Source::page`].
    pub fn one(&self, path: &[&str]) -> Result<Value> {
        let request = List { path, filters: &[] }.whole(&self.api_url)?;
        self.ask(&request, lists::read_one)
    }

    fn ask<T>(&self, request: &ApiRequest, read: impl Fn(&HttpAnswer, &ClientSecret) -> Result<T>) -> Result<T> {
        let mut tries: u32 = 0;
        loop {
            let answer = http::call_for(request, &self.key, MAX_PAGE).map_err(follow::about_mirror)?;
            match lists::pause(&answer.answer())
                .filter(|pause| tries < self.patience.tries && *pause <= self.patience.longest)
            {
                Some(pause) => clock::sleep(pause),
                None => return read(&answer.answer(), &self.key).map_err(follow::about_mirror),
            }
            tries += 1;
        }
    }
}

/// Writes what WorkOS tells, as the owner and with the settings of the SQL functions that do the same. Where that is refused, nothing of it stays,
/// and the transaction goes on.
///
/// # Errors
/// Those of `f`.
pub fn writing<T>(f: impl FnOnce() -> Result<T>) -> Result<T> {
    as_owner(|| {
        for name in [c"enable_seqscan", c"jit"] {
            setting::set(name, c"off", Lifetime::Transaction);
        }
        // What is allocated for a page goes with its transaction, and not with the procedure.
        // SAFETY: the context of this transaction, which `f` does not end; what `f` returns holds nothing of Postgres's memory.
        undone_if_refused(|| unsafe { PgMemoryContexts::TopTransactionContext.switch_to(|_| f()) })
    })
}
