//! WorkOS's redirect in brokered mode: our own one-time code, what is kept of WorkOS's answer until that code is exchanged, and the URL
//! that the browser is sent to.
//!
//! URLs and the names of errors are as Supabase Auth has them, whose clients read them.

use serde::Deserialize;
use url::form_urlencoded;
use zeroize::Zeroizing;

use crate::error::{Error, ErrorCode, Result};
use crate::pkce;
use crate::secret::{AuthkitRefreshToken, AuthorizationCode, OneTimeCode, ProviderToken};
use crate::workos::{Profile, TokenAnswer};
use crate::{hook, json};

/// What our own codes begin with; WorkOS's do not.
const CODE_PREFIX: &str = "wac_";
/// How many characters follow: 32 bytes of base64url.
const CODE_LENGTH: usize = 43;
/// How many seconds a code of our own is good for.
pub const CODE_TTL: u32 = 60;
/// How much of a description is handed on, in characters.
pub(crate) const MAX_DESCRIPTION: usize = 300;

/// The callback errors that WorkOS documents
/// (<https://workos.com/docs/reference/sso/get-authorization-url/error-codes>).
const WORKOS_ERRORS: [&str; 14] = [
    "access_denied",
    "ambiguous_connection_selector",
    "connection_domain_invalid",
    "connection_invalid",
    "connection_strategy_invalid",
    "connection_unlinked",
    "domain_connection_selector_not_allowed",
    IDP_INITIATED_SSO_DISABLED,
    "invalid_connection_selector",
    "oauth_failed",
    "organization_invalid",
    "profile_not_allowed_outside_organization",
    "server_error",
    "signin_consent_denied",
];

/// WorkOS's error where the identity provider began a sign-in and may not.
pub const IDP_INITIATED_SSO_DISABLED: &str = "idp_initiated_sso_disabled";

/// A fresh code of our own: 256 random bits behind a prefix that tells it from WorkOS's.
///
/// # Errors
/// [`ErrorCode::Unexpected`] if the random generator fails.
pub fn generate_code() -> Result<OneTimeCode> {
    Ok(OneTimeCode::new(format!("{CODE_PREFIX}{}", *Zeroizing::new(pkce::random_base64url()?))))
}

/// Whose code this is: the SHA-256 of one of ours, or `None` for WorkOS's.
///
/// # Errors
/// [`ErrorCode::AuthorizationCodeInvalid`] for what begins as ours and is none: it is not WorkOS's to see either.
pub fn own_code_hash(code: &AuthorizationCode) -> Result<Option<[u8; 32]>> {
    let Some(random) = code.expose().strip_prefix(CODE_PREFIX) else { return Ok(None) };
    let is_base64url = random.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if random.len() != CODE_LENGTH || !is_base64url {
        let detail = "It begins as a code of auth.handle_callback does, and is none.";
        return Err(Error::with_detail(ErrorCode::AuthorizationCodeInvalid, detail));
    }
    Ok(Some(pkce::sha256(code.expose())))
}

/// WorkOS's answer as it is kept, sealed, until our code is exchanged.
///
/// # Errors
/// [`ErrorCode::Unexpected`]; a profile always becomes JSON.
pub fn keep(answer: &TokenAnswer) -> Result<Zeroizing<Vec<u8>>> {
    let failed = |_| Error::with_detail(ErrorCode::Unexpected, "A profile could not be written as JSON.");
    let profile = serde_json::to_vec(&answer.profile).map_err(failed)?;
    let token = answer.access_token.as_ref().map(ProviderToken::expose);
    let refresh_token = answer.refresh_token.as_ref().map(AuthkitRefreshToken::expose);
    // Reserved at the most it can take, since growing would leave copies of the token behind.
    let most = profile.len() + 6 * (token.map_or(0, str::len) + refresh_token.map_or(0, str::len)) + 32;
    let mut kept = Zeroizing::new(Vec::with_capacity(most));
    serde_json::to_writer(&mut *kept, &(token, &answer.profile, refresh_token)).map_err(failed)?;
    Ok(kept)
}

/// Reads what [`keep`] wrote.
///
/// # Errors
/// [`ErrorCode::SealBroken`]: it was opened, and is something else.
pub fn kept(bytes: &[u8]) -> Result<TokenAnswer> {
    let Kept(token, profile, refresh_token) = json::read(bytes).map_err(|_| Error::new(ErrorCode::SealBroken))?;
    Ok(TokenAnswer {
        profile,
        left_out: Vec::new(),
        access_token: token.map(ProviderToken::new),
        refresh_token: refresh_token.map(AuthkitRefreshToken::new),
        expires_in: None,
    })
}

/// What an older library kept has no third part.
#[derive(Deserialize)]
struct Kept(Option<String>, Profile, #[serde(default)] Option<String>);

/// Why a sign-in ends without a code, as the application is told of it (RFC 6749, section 4.1.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallbackRefusal {
    error: String,
    /// Supabase's clients for Kotlin and Swift take a page without it for one that tells of no error.
    error_code: String,
    description: String,
}

impl CallbackRefusal {
    /// What WorkOS says: one of its known errors as it came, any other as `server_error`. The description is cut, and loses what could
    /// break a header, a line or the direction of a text.
    pub fn of_workos(error: &str, description: Option<&str>) -> Self {
        let error = if WORKOS_ERRORS.contains(&error) { error } else { "server_error" };
        Self {
            error: error.to_owned(),
            error_code: error.to_owned(),
            description: presentable(description.unwrap_or_default(), MAX_DESCRIPTION),
        }
    }

    /// The name that tells it from others: ours, where it is one of ours, and otherwise WorkOS's.
    pub fn name(&self) -> &str {
        &self.error_code
    }

    /// The same in words.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// With other words than the error's own.
    #[must_use]
    pub fn described(self, description: &str) -> Self {
        Self { description: description.to_owned(), ..self }
    }

    /// The URL with this in its query.
    pub fn in_query(&self, url: &str) -> String {
        let pairs = [
            ("error", self.error.as_str()),
            ("error_code", &self.error_code),
            ("error_description", &self.description),
        ];
        // One that stood there before would be read as ours.
        with_query(url, &["error", "error_code", "error_description"], &pairs)
    }

    /// The URL with this in its query and, in place of any other, in its fragment.
    ///
    /// As Supabase Auth does, to the letter: the fragment is encoded twice (`%3A` becomes `%253A`; a blank stays `+`), has `sb` at its end, and
    /// leaves an empty description out. Its clients read the query first.
    pub fn in_query_and_fragment(&self, url: &str) -> String {
        let url = without_fragment(url);
        let mut pairs = vec![("error", self.error.as_str()), ("error_code", &self.error_code)];
        if !self.description.is_empty() {
            pairs.push(("error_description", &self.description));
        }
        pairs.push(("sb", ""));
        format!("{}#{}", self.in_query(url), encode(&pairs).replace('%', "%25"))
    }
}

/// What the application is told of a failure here: its name and its message, and not its detail, but for the words of a hook that
/// refuses. What is none of a browser's business (keys, configuration, bugs) is `unexpected_failure`; the server's log has it.
impl From<&Error> for CallbackRefusal {
    fn from(error: &Error) -> Self {
        let code = if is_internal(error.code()) { ErrorCode::Unexpected } else { error.code() };
        Self {
            error: oauth_error(code).to_owned(),
            error_code: code.name().to_owned(),
            description: match error.detail().and_then(hook::refusal_in_words) {
                Some((_, words)) if code == ErrorCode::HookRefused => presentable(words, MAX_DESCRIPTION),
                _ => code.message().to_owned(),
            },
        }
    }
}

impl From<ErrorCode> for CallbackRefusal {
    fn from(code: ErrorCode) -> Self {
        Self::from(&Error::new(code))
    }
}

/// Supabase Auth's choice of `error`, and `temporarily_unavailable` for what is.
fn oauth_error(code: ErrorCode) -> &'static str {
    match (code, code.http_status()) {
        (ErrorCode::SignupDisabled | ErrorCode::UserBanned, _) => "access_denied",
        (_, 400) => "invalid_request",
        (_, 401) => "unauthorized_client",
        (_, 403) => "access_denied",
        (_, 429 | 503 | 504) => "temporarily_unavailable",
        _ => "server_error",
    }
}

/// Failures of the set-up: class WA1, but for what a person at a browser can make sense of.
fn is_internal(code: ErrorCode) -> bool {
    code.sqlstate().starts_with("WA1") && !matches!(code, ErrorCode::ProviderChanged | ErrorCode::ProviderDisabled)
}

/// Text of a redirect's query, which anybody may have written: cut, and without what could break a header, a line or the direction of a text.
pub(crate) fn presentable(text: &str, most: usize) -> String {
    text.chars().filter(|c| !is_disturbing(*c)).take(most).collect()
}

/// Control characters, line ends of Unicode, and what turns the direction of a text around.
fn is_disturbing(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The URL with our code in its query; a fragment stays.
pub fn with_code(url: &str, code: &OneTimeCode) -> String {
    with_query(url, &["code"], &[("code", code.expose())])
}

/// What an implicit sign-in hands to the browser.
#[derive(Debug)]
pub struct FragmentTokens<'a> {
    /// proves who somebody is
    pub access_token: &'a str,
    /// seconds since 1970
    pub expires_at: i64,
    /// seconds from now
    pub expires_in: i64,
    /// WorkOS's own
    pub provider_token: Option<&'a str>,
    /// gets the next access token
    pub refresh_token: Option<&'a str>,
}

/// The URL with the tokens in its fragment, in place of any other: a second `#` would hide them.
pub fn with_tokens(url: &str, tokens: &FragmentTokens) -> String {
    let (expires_at, expires_in) = (tokens.expires_at.to_string(), tokens.expires_in.to_string());
    let mut pairs =
        vec![("access_token", tokens.access_token), ("expires_at", &*expires_at), ("expires_in", &*expires_in)];
    pairs.extend(tokens.provider_token.map(|token| ("provider_token", token)));
    pairs.extend(tokens.refresh_token.map(|token| ("refresh_token", token)));
    pairs.extend([("sb", ""), ("token_type", "bearer")]);
    format!("{}#{}", ascii(without_fragment(url)), encode(&pairs))
}

fn without_fragment(url: &str) -> &str {
    url.split('#').next().unwrap_or_default()
}

/// The URL with `pairs` at the end of its query, which loses the parameters named in `replaced` and keeps the others as they are written.
fn with_query(url: &str, replaced: &[&str], pairs: &[(&str, &str)]) -> String {
    let (url, fragment) = match url.split_once('#') {
        Some((url, fragment)) => (url, Some(fragment)),
        None => (url, None),
    };
    let (path, query) = url.split_once('?').unwrap_or((url, ""));
    let is_replaced = |pair: &&str| {
        form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| replaced.contains(&&*name))
    };
    let mut all: Vec<&str> = query.split('&').filter(|pair| !pair.is_empty() && !is_replaced(pair)).collect();
    let added = encode(pairs);
    all.push(&added);
    let fragment = fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
    ascii(&format!("{path}?{}{fragment}", all.join("&")))
}

/// `application/x-www-form-urlencoded`, as Go's `url.Values` writes it.
fn encode(pairs: &[(&str, &str)]) -> String {
    let word = |text: &str| {
        form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('*', "%2A").replace("%7E", "~")
    };
    pairs.iter().map(|(name, value)| format!("{name}={}", word(value))).collect::<Vec<_>>().join("&")
}

/// Fit for a `Location` header: what is not a visible ASCII character is percent-encoded.
fn ascii(url: &str) -> String {
    let mut out = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b if b.is_ascii_graphic() => out.push(b.into()),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests;
