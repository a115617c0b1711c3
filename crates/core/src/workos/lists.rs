//! WorkOS's lists, a page at a time, oldest first: `GET …?order=asc&limit&after`, answered with `data` and `list_metadata.after`, which is
//! null on the last page (WorkOS's OpenAPI file).

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::answer::HttpAnswer;
use super::api::{ApiRequest, url};
use super::refusal::{self, request_id};
use crate::error::{Error, ErrorCode, Result};
use crate::json::Free;
use crate::secret::ClientSecret;

/// The largest page that is read, in bytes. One that is larger is asked for with fewer items.
pub const MAX_PAGE: usize = 8 * 1024 * 1024;
/// How many items a page has: first the most that WorkOS gives, and fewer where a page was larger than [`MAX_PAGE`].
pub const LIMITS: [u32; 3] = [100, 10, 1];

/// The most bytes of a cursor, which is an id of WorkOS's.
const LONGEST_CURSOR: usize = 255;

/// A list, and what of it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    /// The parts of its path.
    pub path: &'a [&'a str],
    /// Its filters; several values of one are joined by commas, as WorkOS's SDKs do.
    pub filters: &'a [(&'a str, &'a str)],
}

impl List<'_> {
    /// One page, behind the item that the cursor names.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn page(&self, api_url: &str, after: Option<&str>, limit: u32) -> Result<ApiRequest> {
        let mut url = url(api_url, self.path)?;
        let limit = limit.to_string();
        let further = [("order", Some("asc")), ("limit", Some(limit.as_str())), ("after", after)];
        let further = further.into_iter().filter_map(|(name, value)| Some((name, value?)));
        url.query_pairs_mut().extend_pairs(self.filters.iter().copied().chain(further));
        Ok(ApiRequest { url: url.into(), body: None })
    }

    /// All of it, of a list that has no pages.
    ///
    /// # Errors
    /// `api_url_invalid`
    pub fn whole(&self, api_url: &str) -> Result<ApiRequest> {
        Ok(ApiRequest { url: url(api_url, self.path)?.into(), body: None })
    }
}

/// A page of a list.
#[derive(Debug, PartialEq)]
pub struct Page {
    /// What stands on it.
    pub items: Vec<Value>,
    /// Behind which the next one begins; none of the last one.
    pub after: Option<String>,
}

impl Page {
    /// Whether it leads further than to where it was asked from: otherwise nobody would come to the end of the list.
    pub fn leads_on(&self, from: Option<&str>) -> bool {
        self.after.is_none() || self.after.as_deref() != from
    }
}

/// Reads a page.
///
/// # Errors
/// The failures of [`super::parse_token_answer`] for other statuses than 2xx; `workos_answer_malformed`.
pub fn read(answer: &HttpAnswer, key: &ClientSecret) -> Result<Page> {
    let secrets = [key.expose()];
    if !(200..300).contains(&answer.status) {
        return Err(refusal::error(answer, &secrets));
    }
    let RawPage { data, list_metadata } = super::parse_object(answer, &secrets)?;
    let after = list_metadata.and_then(|metadata| metadata.after);
    let is_cursor = |after: &String| {
        (1..=LONGEST_CURSOR).contains(&after.len()) && after.bytes().all(|byte| byte.is_ascii_graphic())
    };
    match after {
        Some(after) if !is_cursor(&after) => {
            let detail = format!("list_metadata.after is no cursor{}.", request_id(answer, &secrets));
            Err(Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail))
        }
        after => Ok(Page { items: data.into_iter().map(|Free(item)| item).collect(), after }),
    }
}

/// Reads an object that was asked for by its id.
///
/// # Errors
/// As [`read`]; `workos_not_found` where WorkOS itself says so, as an object with a `message`, and not a proxy's page.
pub fn read_one(answer: &HttpAnswer, key: &ClientSecret) -> Result<Value> {
    let secrets = [key.expose()];
    if answer.status == 404 {
        let said: Map<String, Value> = super::parse_object(answer, &secrets)?;
        if !said.get("message").is_some_and(Value::is_string) {
            let detail = format!("WorkOS answered 404 without a message{}.", request_id(answer, &secrets));
            return Err(Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail));
        }
    }
    match (200..300).contains(&answer.status) {
        true => super::parse_object::<Free>(answer, &secrets).map(|Free(item)| item),
        false => Err(refusal::error(answer, &secrets)),
    }
}

/// How long WorkOS asks to be left alone: what `Retry-After` says in seconds, a minute at most; five seconds where it says nothing or a date.
/// `None` where it does not ask.
pub fn pause(answer: &HttpAnswer) -> Option<Duration> {
    let seconds = answer.retry_after.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(5);
    (answer.status == 429).then(|| Duration::from_secs(seconds.min(60)))
}

#[derive(Deserialize)]
struct RawPage {
    data: Vec<Free>,
    list_metadata: Option<RawMetadata>,
}

#[derive(Deserialize)]
struct RawMetadata {
    after: Option<String>,
}
