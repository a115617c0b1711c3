//! Whom the database trusts, and where the keys are.

use super::kind::Kind;
use super::mapping::Mapping;
use super::text::is_visible;
use crate::authorize::parse_web_url;
use crate::error::{Error, Result};

/// Whom the database trusts, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issuer {
    /// `iss`, compared exactly.
    pub name: String,
    /// Which tokens of it are accepted.
    pub kind: Kind,
    /// What `aud` must hold, if anything.
    pub audience: Option<String>,
    /// Which client the tokens must be made for, if any.
    pub client_id: Option<String>,
    /// What the claims mean.
    pub mapping: Mapping,
}

impl Issuer {
    /// Checks what an administrator says of an issuer.
    ///
    /// # Errors
    /// `validation_failed`: a text that is none, or neither audience nor client id where tokens of strangers would pass without.
    pub fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        for (argument, value) in [("audience", &self.audience), ("client_id", &self.client_id)] {
            if value.as_deref().is_some_and(|value| !is_visible(value)) {
                return Err(Error::invalid(argument, "it must be 1 to 500 visible ASCII characters."));
            }
        }
        match (self.kind, &self.audience, &self.client_id) {
            (Kind::Authkit, _, None) => {
                Err(Error::invalid("client_id", "AuthKit's tokens have no audience: the client id is required."))
            }
            (Kind::WorkosAuth, None, _) => {
                Err(Error::invalid("audience", "it is required: workos_auth.audience of the other installation."))
            }
            (Kind::Oidc | Kind::AuthkitM2m, None, None) => Err(Error::invalid(
                "audience",
                "audience or client_id is required: without them a token for any application of the issuer would pass.",
            )),
            _ => Ok(()),
        }
    }
}

/// Checks the name of an issuer, which stays as it is: it is compared exactly, with the slash at its end or without.
///
/// # Errors
/// `validation_failed`
pub fn check_name(name: &str) -> Result<()> {
    if !is_visible(name) {
        return Err(Error::invalid("issuer", "it must be 1 to 500 visible ASCII characters."));
    }
    // RFC 7519, section 2, StringOrURI: with a colon it is a URI. So it is never the name of a provider, which have none.
    if !name.contains(':') {
        return Err(Error::invalid("issuer", "it must be a URI, as it stands in the claim iss."));
    }
    Ok(())
}

/// Checks where keys are fetched from.
///
/// # Errors
/// `validation_failed` unless it is absolute https, or http for loopback, without user name or fragment.
pub fn check_jwks_uri(uri: &str) -> Result<()> {
    if !is_visible(uri) {
        return Err(Error::invalid("jwks_uri", "it must be 1 to 500 visible ASCII characters."));
    }
    parse_web_url(uri).map(drop).map_err(|why| Error::invalid("jwks_uri", &lower_first(why)))
}

/// Whether keys are fetched from the WorkOS environment at this base URL.
pub fn is_below(uri: &str, api_url: &str) -> bool {
    uri.strip_prefix(api_url).is_some_and(|path| path.starts_with('/'))
}

/// The issuers of a WorkOS environment, which depend on its age, and where their keys are.
pub fn of_workos(api_url: &str, client_id: &str) -> ([String; 2], String) {
    let api_url = api_url.trim_end_matches('/');
    ([api_url.to_owned(), format!("{api_url}/user_management/{client_id}")], format!("{api_url}/sso/jwks/{client_id}"))
}

fn lower_first(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next().map(|first| first.to_lowercase().chain(rest).collect()).unwrap_or_default()
}
