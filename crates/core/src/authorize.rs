//! The authorize URL: whom to sign in, and what WorkOS is asked (`GET /sso/authorize`; of AuthKit, `GET /user_management/authorize`).
//!
//! Encoded as WorkOS's Node SDK 11 does it: sorted names, arrays as repeated names, objects as `name[member]`.

mod authkit;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use crate::error::{Error, ErrorCode, Result};
use crate::pkce::CodeChallenge;
use crate::redirect::is_loopback;
use crate::secret::State;
use crate::workos_id;

/// WorkOS itself.
pub const DEFAULT_API_URL: &str = "https://api.workos.com";

/// The longest hint, in bytes: an e-mail address (RFC 5321, section 4.5.3.1).
const MAX_HINT_BYTES: usize = 320;
/// The most query parameters that `params` may become.
const MAX_PARAMETERS: usize = 64;
/// The longest query that `params` may become, in bytes after encoding.
const MAX_PARAMETER_BYTES: usize = 8192;

/// Parameters that decide who signs in, where the code goes, or what it is bound to.
const RESERVED: [&str; 16] = [
    "client_id",
    "client_secret",
    "redirect_uri",
    "response_type",
    "state",
    "code",
    "code_challenge",
    "code_challenge_method",
    "code_verifier",
    "organization",
    "connection",
    "provider",
    "domain",
    "login_hint",
    "domain_hint",
    "grant_type",
];

/// The `provider` of AuthKit, WorkOS's hosted sign-in.
pub const AUTHKIT: &str = "authkit";

/// Which products of WorkOS people may sign in through: `auth.providers.product`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// Single sign-on and the public providers.
    Sso,
    /// The same, and AuthKit.
    AuthKit,
}

impl Product {
    /// As it stands in the table.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sso => "sso",
            Self::AuthKit => AUTHKIT,
        }
    }

    /// The product of that name.
    ///
    /// # Errors
    /// `validation_failed`
    pub fn parse(name: &str) -> Result<Self> {
        let known = [Self::Sso, Self::AuthKit].into_iter().find(|product| product.as_str() == name);
        known.ok_or_else(|| Error::invalid("product", "it is sso or authkit."))
    }
}

/// Who is to sign in. WorkOS takes exactly one of the three, but that AuthKit may be told an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// Through the connection of a WorkOS organization, `org_…`.
    Organization(String),
    /// Through one connection, `conn_…`.
    Connection(String),
    /// Through one connection that must belong to the organization: WorkOS is sent the connection, and the
    /// answer must match both.
    OrganizationAndConnection {
        /// `org_…`
        organization: String,
        /// `conn_…`
        connection: String,
    },
    /// Through an OAuth provider, such as `GoogleOAuth`.
    Provider(String),
    /// Through AuthKit: in an organization, or whichever the person picks there.
    AuthKit(Option<String>),
}

impl Selector {
    /// Makes the selector of what was asked for.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for a value that is no id of WorkOS ([`workos_id`]); [`ErrorCode::SelectorMissing`];
    /// [`ErrorCode::SelectorConflict`] for a provider beside others, but for [`AUTHKIT`] in an organization.
    pub fn new(organization: Option<&str>, connection: Option<&str>, provider: Option<&str>) -> Result<Self> {
        let organization = organization.map(|value| selector_value("organization", value)).transpose()?;
        let connection = connection.map(|value| selector_value("connection", value)).transpose()?;
        let provider = provider.map(|value| selector_value("provider", value)).transpose()?;
        match (organization, connection, provider) {
            (Some(organization), None, None) => Ok(Self::Organization(organization)),
            (None, Some(connection), None) => Ok(Self::Connection(connection)),
            (Some(organization), Some(connection), None) => {
                Ok(Self::OrganizationAndConnection { organization, connection })
            }
            (organization, None, Some(provider)) if provider == AUTHKIT => Ok(Self::AuthKit(organization)),
            (None, None, Some(provider)) => Ok(Self::Provider(provider)),
            (None, None, None) => Err(ErrorCode::SelectorMissing.into()),
            (_, _, Some(_)) => Err(ErrorCode::SelectorConflict.into()),
        }
    }

    /// The organization asked for.
    pub fn organization(&self) -> Option<&str> {
        match self {
            Self::Organization(organization) | Self::OrganizationAndConnection { organization, .. } => {
                Some(organization)
            }
            Self::AuthKit(organization) => organization.as_deref(),
            _ => None,
        }
    }

    /// The connection asked for.
    pub fn connection(&self) -> Option<&str> {
        match self {
            Self::Connection(connection) | Self::OrganizationAndConnection { connection, .. } => Some(connection),
            _ => None,
        }
    }

    /// The provider asked for.
    pub fn provider(&self) -> Option<&str> {
        match self {
            Self::Provider(provider) => Some(provider),
            Self::AuthKit(_) => Some(AUTHKIT),
            _ => None,
        }
    }

    /// Whether AuthKit is asked.
    pub fn is_authkit(&self) -> bool {
        matches!(self, Self::AuthKit(_))
    }

    /// The one parameter that WorkOS is sent; AuthKit is sent the organization besides.
    fn parameter(&self) -> (&'static str, &str) {
        match self {
            Self::AuthKit(_) => ("provider", AUTHKIT),
            Self::Organization(organization) => ("organization", organization),
            Self::Connection(connection) | Self::OrganizationAndConnection { connection, .. } => {
                ("connection", connection)
            }
            Self::Provider(provider) => ("provider", provider),
        }
    }
}

fn selector_value(argument: &str, value: &str) -> Result<String> {
    if value.is_empty() {
        return Err(Error::invalid(argument, "it is empty; leave it out or pass NULL."));
    }
    let checked = workos_id::check(value);
    checked.map(|()| value.to_owned()).map_err(|why| Error::invalid(argument, &format!("it {why}.")))
}

/// Everything that one authorize URL says.
#[derive(Debug)]
pub struct AuthorizeRequest<'a> {
    /// WorkOS's base URL, as [`check_api_url`] returns it; one trailing slash does no harm.
    pub api_url: &'a str,
    /// `client_…`
    pub client_id: &'a str,
    /// Where WorkOS sends the code.
    pub redirect_uri: &'a str,
    /// Who is to sign in.
    pub selector: &'a Selector,
    /// Comes back with the code.
    pub state: &'a State,
    /// Our own challenge toward WorkOS, always S256.
    pub code_challenge: &'a CodeChallenge,
    /// Whom the identity provider shall suggest, commonly an e-mail address.
    pub login_hint: Option<&'a str>,
    /// The domain that the identity provider shall suggest.
    pub domain_hint: Option<&'a str>,
    /// Further query parameters, a JSON object.
    pub params: Option<&'a Value>,
}

impl AuthorizeRequest<'_> {
    /// The URL to send the browser to, its parameters sorted by name.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] for a hint that is empty, longer than 320 bytes or holds control characters;
    /// [`ErrorCode::ReservedParameter`] and [`ErrorCode::ParameterInvalid`] for `params`, also for one of AuthKit's that says nothing.
    pub fn url(&self) -> Result<String> {
        let mut pairs = match self.params {
            Some(params) => further_parameters(params)?,
            None => Vec::new(),
        };
        let path = match self.selector {
            Selector::AuthKit(organization) => {
                authkit::check(&pairs)?;
                pairs.extend(organization.iter().map(|id| ("organization_id".to_owned(), id.clone())));
                "user_management/authorize"
            }
            _ => "sso/authorize",
        };
        for (name, hint) in [("login_hint", self.login_hint), ("domain_hint", self.domain_hint)] {
            if let Some(hint) = hint {
                check_hint(name, hint)?;
                pairs.push((name.to_owned(), hint.to_owned()));
            }
        }
        for (name, value) in [
            self.selector.parameter(),
            ("client_id", self.client_id),
            ("code_challenge", self.code_challenge.value()),
            ("code_challenge_method", "S256"),
            ("redirect_uri", self.redirect_uri),
            ("response_type", "code"),
            ("state", self.state.expose()),
        ] {
            pairs.push((name.to_owned(), value.to_owned()));
        }
        // Stable, so the members of an array keep their order.
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        let base = self.api_url.strip_suffix('/').unwrap_or(self.api_url);
        Ok(format!("{base}/{path}?{}", encode(&pairs)))
    }
}

fn check_hint(name: &str, hint: &str) -> Result<()> {
    if hint.is_empty() {
        return Err(Error::invalid(name, "it is empty; leave it out or pass NULL."));
    }
    if hint.len() > MAX_HINT_BYTES {
        return Err(Error::invalid(name, "it is longer than 320 bytes."));
    }
    if hint.contains(char::is_control) {
        return Err(Error::invalid(name, "it contains a control character."));
    }
    Ok(())
}

fn encode(pairs: &[(String, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// `params` as pairs of names and values.
fn further_parameters(params: &Value) -> Result<Vec<(String, String)>> {
    let members = params.as_object().ok_or_else(|| unusable("It is not a JSON object."))?;
    let mut pairs = Vec::new();
    for (name, value) in members {
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(name)) {
            return Err(Error::with_detail(ErrorCode::ReservedParameter, format!("The parameter is {name}.")));
        }
        check_name(name)?;
        push_parameter(&mut pairs, name, value)?;
        if pairs.len() > MAX_PARAMETERS {
            return Err(unusable("It holds more than 64 parameters."));
        }
    }
    if encode(&pairs).len() > MAX_PARAMETER_BYTES {
        return Err(unusable("It is longer than 8 kB."));
    }
    Ok(pairs)
}

fn push_parameter(pairs: &mut Vec<(String, String)>, name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Array(items) => {
            for item in items {
                pairs.extend(scalar(name, item)?.map(|item| (name.to_owned(), item)));
            }
        }
        Value::Object(members) => {
            for (member, value) in sorted(members) {
                check_name(member)?;
                pairs.extend(scalar(name, value)?.map(|value| (format!("{name}[{member}]"), value)));
            }
        }
        value => pairs.extend(scalar(name, value)?.map(|value| (name.to_owned(), value))),
    }
    Ok(())
}

fn sorted(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut members: Vec<_> = members.iter().collect();
    members.sort_by_key(|(name, _)| *name);
    members
}

/// `None` for null, which says nothing.
fn scalar(name: &str, value: &Value) -> Result<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::Bool(value) => Ok(Some(value.to_string())),
        Value::Number(value) => Ok(Some(value.to_string())),
        Value::String(value) => Ok(Some(value.clone())),
        Value::Array(_) | Value::Object(_) => Err(unusable(&format!("The parameter {name} is nested too deeply."))),
    }
}

/// Plain names only: `state[]` or `organization[0]` would be the reserved name itself to a server that reads
/// brackets, and a name of control characters has no place in an error message.
fn check_name(name: &str) -> Result<()> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(plain) {
        return Err(unusable("A name has 1 to 64 characters from A-Z a-z 0-9 _ - . :"));
    }
    Ok(())
}

fn unusable(why: &str) -> Error {
    Error::with_detail(ErrorCode::ParameterInvalid, why)
}

/// Checks WorkOS's base URL and returns it as a URL parser writes it, without a trailing slash.
///
/// # Errors
/// [`ErrorCode::ApiUrlInvalid`] unless it is https, or http for loopback, without user name, query or fragment.
pub fn check_api_url(api_url: &str) -> Result<String> {
    let invalid = |why: &str| Error::with_detail(ErrorCode::ApiUrlInvalid, why);
    let url = parse_web_url(api_url).map_err(invalid)?;
    if url.query().is_some() {
        return Err(invalid("It has a query."));
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Checks the address that WorkOS sends codes to. WorkOS compares it with the dashboard's, so it stays as it is.
///
/// # Errors
/// [`ErrorCode::RedirectUriInvalid`] unless it is absolute https, or http for loopback, without user name or fragment.
pub fn check_redirect_uri(redirect_uri: &str) -> Result<()> {
    parse_web_url(redirect_uri).map(|_| ()).map_err(|why| Error::with_detail(ErrorCode::RedirectUriInvalid, why))
}

/// The scheme of a page that a browser may be sent to: https, or http for loopback. Pages of one address are told apart by their fragment.
pub(crate) fn page_scheme(url: &str) -> Option<&'static str> {
    let (address, fragment) = url.split_once('#').unwrap_or((url, ""));
    if fragment.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return None;
    }
    Some(if parse_web_url(address).ok()?.scheme() == "https" { "https" } else { "http" })
}

/// An https URL, or http for loopback, as an administrator writes it; the error is a sentence without it.
pub(crate) fn parse_web_url(text: &str) -> std::result::Result<Url, &'static str> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("It contains a backslash, white space or a control character.");
    }
    let (_, after) = text.split_once("://").ok_or("It is not an absolute URL.")?;
    let authority = after.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() {
        return Err("It has no host.");
    }
    if authority.contains('@') {
        return Err("It contains a user name or password.");
    }
    let url = Url::parse(text).map_err(|_| "It is not an absolute URL.")?;
    if url.fragment().is_some() {
        return Err("It has a fragment.");
    }
    match (url.scheme(), url.host_str()) {
        ("https", Some(_)) => Ok(url),
        ("http", Some(host)) if is_loopback(host) => Ok(url),
        ("http", _) => Err("http is for loopback only."),
        _ => Err("It is not https."),
    }
}
