//! The session that AuthKit has begun with a sign-in.

use serde::{Deserialize, Serialize};

/// What AuthKit says of a sign-in beside the person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuthkitSession {
    /// `session_…`: WorkOS's own session, whose end it tells in an event, and which a sign-out there names.
    pub id: String,
    /// When the person last signed in there, in seconds since the epoch; a session that goes on in the browser does not change it.
    pub auth_time: Option<i64>,
    /// When WorkOS said all this, in seconds since the epoch.
    #[serde(default)]
    pub issued_at: Option<i64>,
    /// `authentication_method`, such as `SSO` or `Password`; WorkOS adds to the list, so it is open text.
    pub method: Option<String>,
    /// Whether WorkOS has verified the person's address.
    pub email_verified: bool,
    /// Who of the support acts as the person, from WorkOS's dashboard.
    pub impersonator: Option<Impersonator>,
}

/// Somebody of the support who acts as a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impersonator {
    /// Their address.
    pub email: String,
    /// Why, as they said.
    pub reason: Option<String>,
}

impl AuthkitSession {
    /// How the person signed in, for `amr`: as Supabase Auth calls it where it has a word for it.
    pub fn amr_method(&self) -> &'static str {
        match self.method.as_deref() {
            Some("Password") => "password",
            Some("MagicAuth") => "otp",
            Some("Passkey") => "webauthn",
            // Single sign-on, and the public providers.
            _ => "oauth",
        }
    }

    /// Whether the person came through single sign-on.
    pub fn is_sso(&self) -> bool {
        self.method.as_deref() == Some("SSO")
    }
}
