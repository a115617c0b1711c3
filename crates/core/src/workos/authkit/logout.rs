//! How AuthKit's session ends: in the browser, whose cookie only WorkOS's own page removes, or by a call.

use super::refusal;
use crate::authorize::page_scheme;
use crate::error::{Error, Result};
use crate::secret::ClientSecret;
use crate::workos::answer::HttpAnswer;
use crate::workos::api;

/// The longest address to go back to, in bytes.
const LONGEST_URL: usize = 2048;

/// The URL of WorkOS's page that ends a session, and sends the browser to `return_to` or to the address of the dashboard.
///
/// # Errors
/// `validation_failed`, `api_url_invalid`
pub fn logout_url(api_url: &str, session_id: &str, return_to: Option<&str>) -> Result<String> {
    if return_to.is_some_and(|url| url.len() > LONGEST_URL) {
        return Err(Error::invalid("return_to", &format!("it is longer than {LONGEST_URL} bytes.")));
    }
    if return_to.is_some_and(|url| page_scheme(url).is_none()) {
        let why = "it must be an absolute https URL, or http for loopback, without user name or password.";
        return Err(Error::invalid("return_to", why));
    }
    let mut url = api::url(api_url, &["user_management", "sessions", "logout"])?;
    let mut query = url.query_pairs_mut();
    query.append_pair("session_id", session_id);
    if let Some(return_to) = return_to {
        query.append_pair("return_to", return_to);
    }
    drop(query);
    Ok(url.into())
}

/// Whether WorkOS has ended a session, as [`api::Api::revoke_session`] asks for; false where it says that there is none to end. A request of one
/// id, which WorkOS gave, can be wrong in nothing else.
///
/// # Errors
/// The failure that another status stands for, without WorkOS's words, which may name the person.
pub fn revoked(answer: &HttpAnswer, key: &ClientSecret) -> Result<bool> {
    match answer.status {
        400 | 404 | 422 => Ok(false),
        200..300 => Ok(true),
        _ => Err(refusal::error(answer, &[key.expose()])),
    }
}
