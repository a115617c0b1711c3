//! What WorkOS says in the callback when a sign-in fails
//! (<https://workos.com/docs/reference/sso/get-authorization-url/error-codes>).

use url::Url;

macro_rules! callback_errors {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $description:literal;)+) => {
        /// The callback errors that WorkOS documents.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum CallbackError {
            $($(#[$doc])* $name,)+
        }

        impl CallbackError {
            /// All of them, as the documentation lists them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The value of `error`.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }

            /// The value of `error_description`; WorkOS does not fix its wording.
            pub fn description(self) -> &'static str {
                match self {
                    $(Self::$name => $description,)+
                }
            }
        }
    };
}

callback_errors! {
    /// Cancelled on the login page; a `login_hint` of the organization's domain that nobody bears.
    AccessDenied = "access_denied", "The identity provider denied access to the application.";
    /// `organization` with several active connections.
    AmbiguousConnectionSelector = "ambiguous_connection_selector",
        "The organization has several connections; use the connection parameter.";
    /// By fault only: `domain` is refused before it is looked at.
    ConnectionDomainInvalid = "connection_domain_invalid", "There is no connection for the provided domain.";
    /// `connection` unknown or not active; `provider` without a connection.
    ConnectionInvalid = "connection_invalid", "There is no connection for the provided ID.";
    /// `provider` with several connections.
    ConnectionStrategyInvalid = "connection_strategy_invalid", "The provider has several strategies in this environment.";
    /// The connection's status is `unlinked`.
    ConnectionUnlinked = "connection_unlinked", "The connection is unlinked.";
    /// `domain` given.
    DomainConnectionSelectorNotAllowed = "domain_connection_selector_not_allowed",
        "The domain parameter is no longer valid; use organization or connection.";
    /// By fault only: every sign-in here begins at the application. Carries `connection_id` and `organization_id`.
    IdpInitiatedSsoDisabled = "idp_initiated_sso_disabled", "IdP-initiated SSO is disabled for the connection.";
    /// Not exactly one selector, or an unknown provider.
    InvalidConnectionSelector = "invalid_connection_selector",
        "Exactly one of connection, organization and provider must be given.";
    /// `organization` unknown or without any connection.
    OrganizationInvalid = "organization_invalid", "No connection associated with organization.";
    /// By fault only.
    OauthFailed = "oauth_failed", "An OAuth authorization request failed for the user.";
    /// A `login_hint` outside of the organization.
    ProfileNotAllowedOutsideOrganization = "profile_not_allowed_outside_organization",
        "The profile's email is outside of the organization's domains.";
    /// By fault only.
    ServerError = "server_error", "The SSO authentication failed for the user.";
    /// By fault only.
    SigninConsentDenied = "signin_consent_denied", "The user rejected the sign-in consent screen.";
}

/// `redirect_uri` with these parameters appended to what query it has.
pub(crate) fn location(redirect_uri: &Url, parameters: &[(&str, Option<&str>)]) -> String {
    let mut url = redirect_uri.clone();
    url.query_pairs_mut().extend_pairs(parameters.iter().filter_map(|(name, value)| Some((name, (*value)?))));
    url.into()
}
