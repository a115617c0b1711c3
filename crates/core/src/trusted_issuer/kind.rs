//! Which tokens of an issuer are accepted. It is looked at before anybody asks whose a token is.

use crate::error::{Error, ErrorCode, Result};
use crate::jsonb::{Members, Node};
use crate::token::reading::as_uuid;

/// The kinds of issuers, by the tokens that are accepted of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Another installation of this extension: people's tokens.
    WorkosAuth,
    /// WorkOS AuthKit: tokens of people's sessions.
    Authkit,
    /// WorkOS AuthKit: tokens of machines (client credentials).
    AuthkitM2m,
    /// An OpenID provider: tokens of people.
    Oidc,
}

impl Kind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::WorkosAuth, Self::Authkit, Self::AuthkitM2m, Self::Oidc];

    /// The name in `auth.trusted_issuers`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WorkosAuth => "workos_auth",
            Self::Authkit => "authkit",
            Self::AuthkitM2m => "authkit_m2m",
            Self::Oidc => "oidc",
        }
    }

    /// Whether its organizations are those of WorkOS, which this database signs people in to itself.
    pub const fn has_organizations_of_workos(self) -> bool {
        matches!(self, Self::Authkit | Self::AuthkitM2m)
    }

    /// The kind of that name.
    ///
    /// # Errors
    /// `validation_failed`
    pub fn parse(name: &str) -> Result<Self> {
        let known = Self::ALL.iter().copied().find(|kind| kind.as_str() == name);
        known.ok_or_else(|| Error::invalid("kind", "it must be workos_auth, authkit, authkit_m2m or oidc."))
    }

    /// Refuses a token of another kind, by its claims.
    ///
    /// # Errors
    /// `wrong_token_kind`
    pub(super) fn check(self, claims: &Members<'_>) -> Result<()> {
        let is_text = |name: &str| claims.get(name).and_then(Node::as_text).is_some_and(|text| !text.is_empty());
        let text = |name: &str| claims.get(name).and_then(Node::as_text).unwrap_or_default();
        let has = |name: &str| claims.get(name).is_some();
        let why = match self {
            Self::WorkosAuth if claims.get("session_id").and_then(as_uuid).is_none() => Some("It has no session_id."),
            Self::WorkosAuth if claims.get("sub").and_then(as_uuid).is_none() => Some("Its sub is no uuid."),
            // What WorkOS's own SDK looks at: agents' and widgets' tokens are signed with the same key.
            Self::Authkit if !is_text("sid") => Some("It has no sid: it is of no session."),
            Self::Authkit if !matches!(claims.get("auth_time"), Some(Node::Integer { .. })) => {
                Some("It has no auth_time: nobody signed in for it.")
            }
            Self::Authkit if has("sub_profile") && text("sub_profile") != "user" => {
                Some("Its sub_profile is not user.")
            }
            Self::Authkit if has("sub_type") => Some("It has a sub_type."),
            Self::Authkit if !text("sub").starts_with("user_") => Some("Its sub does not begin with user_."),
            Self::AuthkitM2m if has("sid") => Some("It has a sid: it is of a person's session."),
            Self::AuthkitM2m if !text("sub").starts_with("client_") => Some("Its sub does not begin with client_."),
            // OpenID Connect Back-Channel Logout 1.0, section 2.4.
            Self::Oidc if has("events") => Some("It has events: it is a logout token."),
            // RFC 9068, section 2.2: of client credentials the sub is the client's. Others say it in words of their own.
            Self::Oidc if is_text("client_id") && text("client_id") == text("sub") => {
                Some("Its sub is its client_id: it is a machine's.")
            }
            Self::Oidc if is_text("azp") && text("azp") == text("sub") => {
                Some("Its sub is its azp: it is a machine's.")
            }
            Self::Oidc if text("idtyp") == "app" => Some("Its idtyp is app: it is a machine's."),
            Self::Oidc if text("gty") == "client-credentials" => {
                Some("Its gty is client-credentials: it is a machine's.")
            }
            _ => None,
        };
        why.map_or(Ok(()), |why| Err(Error::with_detail(ErrorCode::WrongTokenKind, why)))
    }
}
