//! The answer of `POST /user_management/authenticate`, which turns AuthKit's code into a person with a session of WorkOS's own.
//!
//! The request is [`super::TokenRequest`]: the grant `authorization_code` takes the same members. The answer comes from WorkOS over TLS, to
//! the holder of the API key, so that the signature of its token shows nothing more (OpenID Connect Core 1.0, section 3.1.3.7, number 6).
//! What it says is compared: the token and the answer must name the same person and organization, and the token must be of a person's
//! session with this client.

mod grant;
mod logout;
mod refusal;
#[cfg(test)]
mod tests;
mod token;

use serde::Deserialize;
use serde_json::Value;

use super::answer::HttpAnswer;
use super::profile::{AuthkitSession, Impersonator, Membership, Profile};
use super::refusal::request_id;
use super::{TokenAnswer, parse_object};
use crate::accounts::fold_email;
use crate::error::{Error, ErrorCode, Result};
use crate::json::Free;
use crate::secret::AuthkitRefreshToken;
use crate::{email, workos_id};
use grant::is_token;
pub use grant::{Grant, GrantRequest};
pub use logout::{logout_url, revoked};
pub use refusal::{Selection, selection, selection_required};

/// The longest name of a method, in bytes.
const LONGEST_METHOD: usize = 64;
/// The method of whoever acts as somebody else.
const IMPERSONATION: &str = "Impersonation";
/// How much of an impersonator's reason is kept, in characters.
const LONGEST_REASON: usize = 200;

/// Reads AuthKit's answer. `client_id` is who asked; `redact` as of [`super::parse_token_answer`].
///
/// # Errors
/// For any status but 2xx the failure it stands for. WorkOS's own words are not shown: its messages name codes and addresses.
/// [`ErrorCode::WorkosAnswerMalformed`], [`ErrorCode::WorkosProfileIncomplete`] and [`ErrorCode::WorkosProfileMalformed`] for an answer that
/// nobody can be signed in with.
pub fn parse_answer(answer: &HttpAnswer, client_id: &str, redact: &[&str]) -> Result<TokenAnswer> {
    if !(200..300).contains(&answer.status) {
        return Err(refusal::error(answer, redact));
    }
    let request = request_id(answer, redact);
    let malformed = |why: &str| Error::with_detail(ErrorCode::WorkosAnswerMalformed, format!("{why}{request}."));
    let raw: RawAnswer = parse_object(answer, redact)?;
    let token =
        raw.access_token.filter(|token| !token.is_empty()).ok_or_else(|| malformed("It has no access_token"))?;
    let token = token::read(&token, client_id).map_err(|why| malformed(&format!("Of its access_token: {why}")))?;

    let organization_id = match raw.organization_id {
        Some(Free(Value::String(id))) => Some(id).filter(|id| !id.is_empty()),
        None | Some(Free(Value::Null)) => None,
        Some(_) => return Err(malformed("Its organization_id is not a string")),
    };
    if let Some(id) = &organization_id {
        workos_id::check(id).map_err(|why| malformed(&format!("Its organization_id {why}")))?;
    }
    if organization_id != token.organization_id {
        return Err(malformed("The answer and its access_token name different organizations"));
    }
    let impersonator = match raw.impersonator {
        Some(Free(Value::Null)) | None => None,
        Some(Free(impersonator)) => {
            Some(read_impersonator(&impersonator).ok_or_else(|| malformed("Its impersonator has no address"))?)
        }
    };
    // Who acts as somebody must not pass for them, wherever it stands.
    let actor = match token.actor {
        None => None,
        Some(actor) => {
            let address =
                email::parse(&actor).map_err(|_| malformed("Its access_token says no address of who acts"))?;
            Some(Impersonator { email: address.to_owned(), reason: None })
        }
    };
    let is_other = |one: &Impersonator, other: &Impersonator| fold_email(&one.email) != fold_email(&other.email);
    if impersonator.as_ref().zip(actor.as_ref()).is_some_and(|(one, other)| is_other(one, other)) {
        return Err(malformed("The answer and its access_token name different people who act"));
    }
    let impersonator = impersonator.or(actor);
    // A session in which somebody acts as the person goes on nowhere.
    let refresh_token = match raw.refresh_token {
        Some(Free(Value::String(token))) if impersonator.is_none() && is_token(&token) => {
            Some(AuthkitRefreshToken::new(token))
        }
        _ => None,
    };
    let method = match raw.authentication_method {
        Some(Free(Value::String(method))) if is_word(&method) => Some(method),
        _ => None,
    };
    if method.as_deref() == Some(IMPERSONATION) && impersonator.is_none() {
        return Err(malformed("It does not say who acts"));
    }
    let session = AuthkitSession {
        id: token.session_id,
        auth_time: token.auth_time,
        issued_at: token.issued_at,
        method,
        email_verified: false,
        impersonator,
    };
    let membership =
        Membership { organization_id, role: token.role, roles: token.roles, permissions: token.permissions };
    let (profile, left_out) =
        Profile::of_user(raw.user.0, membership, session).map_err(|refusal| refusal.into_error(&request))?;
    if profile.id != token.subject {
        return Err(malformed("The answer and its access_token name different people"));
    }
    Ok(TokenAnswer { profile, left_out, access_token: None, refresh_token, expires_in: None })
}

/// The members that are read. What else there is, the tokens of a public provider among it, is never kept.
#[derive(Deserialize)]
struct RawAnswer {
    #[serde(default)]
    user: Free,
    organization_id: Option<Free>,
    access_token: Option<String>,
    refresh_token: Option<Free>,
    authentication_method: Option<Free>,
    impersonator: Option<Free>,
}

fn read_impersonator(impersonator: &Value) -> Option<Impersonator> {
    let email = impersonator.get("email")?.as_str()?;
    let email = email::parse(email).ok()?.to_owned();
    let reason = impersonator.get("reason").and_then(Value::as_str).map(str::trim).filter(|reason| !reason.is_empty());
    let shown = |reason: &str| reason.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect();
    Some(Impersonator { email, reason: reason.map(shown) })
}

fn is_word(text: &str) -> bool {
    (1..=LONGEST_METHOD).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}
