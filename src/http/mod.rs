//! The one client that may wait inside a backend.
//!
//! Every request has a deadline, ends at once when the query is cancelled, spawns no thread, follows no redirect and reads a bounded
//! answer. One runtime and one client a backend, made at the first request, so that connections are kept alive.

mod client;
mod deadline;
mod failure;
mod proxy;
mod resolver;
mod roots;
mod wait;

use workos_auth_core::Result;
use workos_auth_core::secret::ClientSecret;
use workos_auth_core::workos::api::ApiRequest;
use workos_auth_core::workos::{self, HttpAnswer, MAX_ANSWER, TokenRequest};
use zeroize::Zeroizing;

use self::deadline::Deadline;
use self::failure::Failure;
use self::proxy::HttpsProxy;
use crate::settings;
use crate::store::request_slots;

/// Asks WorkOS for the profile of a code: one POST to the URL, form-encoded (RFC 6749, section 4.1.3), once more as JSON where the
/// server says that it cannot read a form; JSON alone where `is_json`. A code is good once, so nothing is sent again after an answer was lost.
///
/// # Errors
/// `over_request_rate_limit` without a request; everything of class WA3 that has no answer; 57014, 57P01 and 55P03 raised by Postgres itself.
pub fn ask(url: &str, request: &TokenRequest, is_json: bool) -> Result<Reply> {
    let mut deadline = Deadline::new(settings::request_timeout());
    let slot = request_slots::take(settings::request_queue_timeout().min(deadline.patience()))?;
    deadline.has_its_turn();
    let in_json = || post(url, workos::JSON, request.json(), &deadline);
    let reply = match is_json {
        true => in_json()?,
        false => {
            let reply = post(url, workos::FORM, request.form(), &deadline)?;
            if workos::wants_json(&reply.answer()) { in_json()? } else { reply }
        }
    };
    drop(slot);
    Ok(reply)
}

/// Asks AuthKit with a body of JSON that stands in for a code: one POST, by the same rules.
///
/// # Errors
/// As [`ask`].
pub fn ask_in_json(url: &str, body: Zeroizing<String>) -> Result<Reply> {
    let mut deadline = Deadline::new(settings::request_timeout());
    let slot = request_slots::take(settings::request_queue_timeout().min(deadline.patience()))?;
    deadline.has_its_turn();
    let reply = post(url, workos::JSON, body, &deadline)?;
    drop(slot);
    Ok(reply)
}

/// What came back.
pub struct Reply {
    status: u16,
    request_id: Option<String>,
    retry_after: Option<String>,
    body: Zeroizing<Vec<u8>>,
}

impl Reply {
    /// The answer.
    pub fn answer(&self) -> HttpAnswer<'_> {
        HttpAnswer {
            status: self.status,
            request_id: self.request_id.as_deref(),
            retry_after: self.retry_after.as_deref(),
            body: &self.body,
        }
    }
}

/// Asks WorkOS's API with the API key, by the same rules.
///
/// # Errors
/// As [`ask`].
pub fn call(request: &ApiRequest, key: &ClientSecret) -> Result<Reply> {
    call_for(request, key, MAX_ANSWER)
}

/// The same for an answer of at most so many bytes, such as a page of a list.
///
/// # Errors
/// As [`ask`].
pub fn call_for(request: &ApiRequest, key: &ClientSecret, most: usize) -> Result<Reply> {
    let mut deadline = Deadline::new(settings::request_timeout());
    let slot = request_slots::take(settings::request_queue_timeout().min(deadline.patience()))?;
    deadline.has_its_turn();
    let reply = send(&request.url, &deadline, most, |client| {
        let request = match &request.body {
            Some(body) => client.post(&request.url).header("content-type", workos::JSON).body(body.clone()),
            None => client.get(&request.url),
        };
        request.header("accept", workos::JSON).bearer_auth(key.expose())
    })?;
    drop(slot);
    Ok(reply)
}

/// Fetches what is published at an address: one `GET`, by the same rules.
///
/// # Errors
/// As [`ask`].
pub fn fetch(url: &str) -> Result<Reply> {
    let mut deadline = Deadline::new(settings::request_timeout());
    let slot = request_slots::take(settings::request_queue_timeout().min(deadline.patience()))?;
    deadline.has_its_turn();
    let reply = send(url, &deadline, MAX_ANSWER, |client| client.get(url).header("accept", workos::JSON))?;
    drop(slot);
    Ok(reply)
}

fn post(url: &str, content_type: &'static str, body: Zeroizing<String>, deadline: &Deadline) -> Result<Reply> {
    send(url, deadline, MAX_ANSWER, |client| {
        let request = client.post(url).header("content-type", content_type).header("accept", workos::JSON);
        request.body(body.as_bytes().to_vec())
    })
}

/// Sends once, and once more where no connection was made, so that the server cannot have seen the request.
fn send(
    url: &str,
    deadline: &Deadline,
    most: usize,
    request: impl Fn(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<Reply> {
    let client = client::get(url)?;
    let proxy = HttpsProxy::for_address(url);
    let mut tries = 0;
    loop {
        tries += 1;
        match wait::until_done(read(request(&client).timeout(deadline.left()), most)) {
            Err(Failure::Http(error)) if error.is_connect() && !error.is_timeout() && tries < 2 => {}
            Err(failure) => {
                client::forget_if_unconnected(&failure);
                return Err(failure.into_error(deadline, proxy.as_ref()));
            }
            Ok(reply) => return Ok(reply),
        }
    }
}

async fn read(request: reqwest::RequestBuilder, most: usize) -> std::result::Result<Reply, Failure> {
    // Lets the tasks of idle connections run once, so that one which the server closed meanwhile is not chosen.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
    let mut response = request.send().await.map_err(Failure::Http)?;
    let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut reply = Reply {
        status: response.status().as_u16(),
        request_id: header("x-request-id"),
        retry_after: header("retry-after"),
        body: Zeroizing::new(Vec::new()),
    };
    while let Some(chunk) = response.chunk().await.map_err(Failure::Http)? {
        if reply.body.len() + chunk.len() > most {
            return Err(Failure::TooLarge(most));
        }
        reply.body.extend_from_slice(&chunk);
    }
    Ok(reply)
}
