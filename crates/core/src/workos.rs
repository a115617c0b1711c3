//! Requests and answers of `POST /sso/token`, which turns WorkOS's code into a profile. AuthKit's answers stand in [`authkit`], those about
//! customers in [`api`], those of lists in [`lists`], webhooks in [`webhook`].

mod answer;
pub mod api;
pub mod authkit;
mod carried;
pub mod lists;
mod profile;
mod refusal;
#[cfg(test)]
mod tests;
pub mod webhook;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use url::form_urlencoded::Serializer;
use zeroize::Zeroizing;

use crate::authorize::{AUTHKIT, Selector};
use crate::error::{Error, ErrorCode, Result};
use crate::json::{self, Free};
use crate::pkce::CodeVerifier;
use crate::secret::{AuthkitRefreshToken, AuthorizationCode, ClientSecret, ProviderToken};
pub use answer::{HttpAnswer, MAX_ANSWER, answer_too_large};
pub use carried::CarriedAnswer;
pub use profile::{AuthkitSession, Impersonator, LeftOut, Profile};
use refusal::{ErrorBody, request_id};

/// The media type of [`TokenRequest::form`].
pub const FORM: &str = "application/x-www-form-urlencoded";
/// The media type of [`TokenRequest::json`], and of every answer.
pub const JSON: &str = "application/json";

/// The longest authorization code, in bytes.
const MAX_CODE_BYTES: usize = 2048;
/// `grant_type` of the exchange (RFC 6749, section 4.1.3).
const GRANT_TYPE: &str = "authorization_code";

/// Takes the `code` of a callback URL.
///
/// # Errors
/// [`ErrorCode::AuthorizationCodeInvalid`] unless it is 1 to 2048 visible ASCII characters (RFC 6749, appendix A.11).
pub fn check_code(code: &str) -> Result<AuthorizationCode> {
    if code.is_empty() || code.len() > MAX_CODE_BYTES || !code.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(ErrorCode::AuthorizationCodeInvalid.into());
    }
    Ok(AuthorizationCode::new(code.to_owned()))
}

/// Where codes are exchanged, given WorkOS's base URL: AuthKit's at a place of their own.
pub fn token_url(api_url: &str, is_authkit: bool) -> String {
    let path = if is_authkit { "user_management/authenticate" } else { "sso/token" };
    format!("{}/{path}", api_url.strip_suffix('/').unwrap_or(api_url))
}

/// One exchange of a code.
#[derive(Debug)]
pub struct TokenRequest<'a> {
    /// `client_…`
    pub client_id: &'a str,
    /// WorkOS's API key.
    pub client_secret: &'a ClientSecret,
    /// WorkOS's code.
    pub code: &'a AuthorizationCode,
    /// The verifier of our own challenge toward WorkOS.
    pub code_verifier: &'a CodeVerifier,
}

impl TokenRequest<'_> {
    /// The body as `application/x-www-form-urlencoded`, as RFC 6749 and WorkOS's SDKs have it.
    pub fn form(&self) -> Zeroizing<String> {
        let pairs = self.pairs();
        // Reserved at the most it can take (%XX a byte), since growing would leave copies behind.
        let most = pairs.iter().map(|(name, value)| name.len() + 3 * value.len() + 2).sum();
        Zeroizing::new(Serializer::new(String::with_capacity(most)).extend_pairs(pairs).finish())
    }

    /// The body as `application/json`, which WorkOS's emulator alone reads.
    pub fn json(&self) -> Zeroizing<String> {
        #[derive(Serialize)]
        struct Body<'a> {
            client_id: &'a str,
            client_secret: &'a str,
            grant_type: &'a str,
            code: &'a str,
            code_verifier: &'a str,
        }
        let [client_id, client_secret, grant_type, code, code_verifier] = self.pairs().map(|(_, value)| value);
        let most = self.pairs().iter().map(|(name, value)| name.len() + 6 * value.len() + 8).sum();
        let mut body = Vec::with_capacity(most);
        // Strings into memory: neither step can fail.
        let _ = serde_json::to_writer(&mut body, &Body { client_id, client_secret, grant_type, code, code_verifier });
        Zeroizing::new(String::from_utf8(body).unwrap_or_default())
    }

    /// What must not come back in an error: for [`parse_token_answer`].
    pub fn secrets(&self) -> [&str; 3] {
        [self.client_secret.expose(), self.code.expose(), self.code_verifier.expose()]
    }

    fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("client_id", self.client_id),
            ("client_secret", self.client_secret.expose()),
            ("grant_type", GRANT_TYPE),
            ("code", self.code.expose()),
            ("code_verifier", self.code_verifier.expose()),
        ]
    }
}

/// What an exchange brings.
#[derive(Debug)]
pub struct TokenAnswer {
    /// Who signed in.
    pub profile: Profile,
    /// What of the profile cannot be kept: for the log.
    pub left_out: Vec<LeftOut>,
    /// WorkOS's own token, for `GET /sso/profile`.
    pub access_token: Option<ProviderToken>,
    /// What AuthKit's session is refreshed with; none of single sign-on, and none where somebody acts as the person.
    pub refresh_token: Option<AuthkitRefreshToken>,
    /// How long it is good for, in seconds.
    pub expires_in: Option<u64>,
}

/// Whether the server could not read the form and wants the same request as JSON; the code is then still good.
pub fn wants_json(answer: &HttpAnswer) -> bool {
    answer.status == 400 && ErrorBody::parse(answer.body).code.as_deref() == Some("invalid_request_body")
}

/// Reads WorkOS's answer. `redact` names what must not appear in an error ([`TokenRequest::secrets`]).
///
/// # Errors
/// For any status but 2xx the failure it stands for, from [`ErrorCode::WorkosInvalidClient`] to
/// [`ErrorCode::WorkosRejected`]; [`ErrorCode::WorkosAnswerMalformed`], [`ErrorCode::WorkosProfileIncomplete`] and
/// [`ErrorCode::WorkosProfileMalformed`] for an answer that nobody can be signed in with. None shows anything of the body but WorkOS's own error text.
pub fn parse_token_answer(answer: &HttpAnswer, redact: &[&str]) -> Result<TokenAnswer> {
    if !(200..300).contains(&answer.status) {
        return Err(refusal::error(answer, redact));
    }
    let raw: RawAnswer = parse_object(answer, redact)?;
    let access_token = raw.access_token.map(ProviderToken::new).filter(|token| !token.expose().is_empty());
    if access_token.as_ref().is_some_and(|token| token.expose().contains('\0')) {
        let detail = format!("The access_token contains a NUL character{}.", request_id(answer, redact));
        return Err(Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail));
    }
    let (profile, left_out) =
        Profile::from_json(raw.profile.0).map_err(|refusal| refusal.into_error(&request_id(answer, redact)))?;
    Ok(TokenAnswer {
        profile,
        left_out,
        access_token,
        refresh_token: None,
        expires_in: raw.expires_in.and_then(|Free(seconds)| seconds.as_u64()),
    })
}

/// The members that are read; what else there is (tokens of the identity provider among it) is never kept.
#[derive(Deserialize)]
struct RawAnswer {
    #[serde(default)]
    profile: Free,
    access_token: Option<String>,
    expires_in: Option<Free>,
}

/// Reads the body of an answer of 2xx. The error says what the body is, never what it holds: it may be a token.
fn parse_object<T: DeserializeOwned>(answer: &HttpAnswer, redact: &[&str]) -> Result<T> {
    parse_body(answer.body).map_err(|why| {
        let detail = format!("WorkOS answered {} with {why}{}.", answer.status, request_id(answer, redact));
        Error::with_detail(ErrorCode::WorkosAnswerMalformed, detail)
    })
}

fn parse_body<T: DeserializeOwned>(body: &[u8]) -> std::result::Result<T, String> {
    let length = body.len();
    if length == 0 {
        return Err("an empty body".to_owned());
    }
    let text = std::str::from_utf8(body).map_err(|_| format!("{length} bytes that are not UTF-8"))?;
    // Serde would take an array for the struct as well.
    if !text.trim_start().starts_with('{') {
        return Err(format!("{length} bytes that are not a JSON object"));
    }
    json::borrow(&json::whole_characters(text)).map_err(|error| {
        let category = match error.classify() {
            Category::Eof => "cut off",
            Category::Data => "unexpected data",
            Category::Syntax | Category::Io => "not JSON",
        };
        format!("{length} bytes that cannot be read: line {}, column {}, {category}", error.line(), error.column())
    })
}

/// Whether the answer is what was asked for: without this, the organization that a sign-in was started for says nothing
/// about who came back.
///
/// # Errors
/// [`ErrorCode::OrganizationMismatch`], [`ErrorCode::ConnectionMismatch`], [`ErrorCode::ProviderMismatch`].
pub fn check_answer(asked: &Selector, profile: &Profile) -> Result<()> {
    let organization = profile.organization_id.as_deref().unwrap_or_default();
    let provider = match profile.authkit {
        Some(_) => AUTHKIT,
        None => profile.connection_type.as_deref().unwrap_or_default(),
    };
    for (asked, answered, code) in [
        (asked.organization(), organization, ErrorCode::OrganizationMismatch),
        (asked.connection(), profile.connection_id.as_deref().unwrap_or_default(), ErrorCode::ConnectionMismatch),
        (asked.provider(), provider, ErrorCode::ProviderMismatch),
    ] {
        if let Some(asked) = asked.filter(|asked| *asked != answered) {
            let answered = if answered.is_empty() { "none" } else { answered };
            return Err(Error::with_detail(code, format!("Asked for {asked}, answered with {answered}.")));
        }
    }
    Ok(())
}
