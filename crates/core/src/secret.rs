//! Values that must not be seen: newtypes that move, cannot be copied, print `[redacted]` and are zeroized.

use std::fmt;

use zeroize::Zeroizing;

/// Declares a newtype of a secret string.
macro_rules! secret_string {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub struct $name(Zeroizing<String>);

        impl $name {
            /// Takes the value over; it is wiped when this is dropped.
            pub fn new(value: String) -> Self {
                Self(Zeroizing::new(value))
            }

            /// The secret itself. Every use of this is a place to review.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "([redacted])"))
            }
        }
    )+};
}

secret_string! {
    /// WorkOS's API key, which is the client secret of the code exchange.
    ClientSecret;
    /// The `code` that WorkOS puts into the callback URL (RFC 6749, section 4.1.2).
    AuthorizationCode;
    /// The code that brokered mode hands to the application in place of WorkOS's: see [`crate::callback`].
    OneTimeCode;
    /// The `state` of one sign-in (RFC 6749, section 10.12): 256 random bits, base64url.
    State;
    /// A signed access token (RFC 7519).
    AccessToken;
    /// The token a session is refreshed with.
    RefreshToken;
    /// The access token of WorkOS's own answer.
    ProviderToken;
    /// What WorkOS gives along where it asks for a further step, and takes with the answer to it.
    PendingToken;
    /// The token that a session of AuthKit's is refreshed with, at WorkOS.
    AuthkitRefreshToken;
    /// What WorkOS signs webhooks with.
    WebhookSecret;
    /// A link into WorkOS's Admin Portal: whoever has it sets the customer's connection up.
    PortalLink;
}

/// Key material.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Takes the bytes over; they are wiped when this is dropped.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes themselves. Every use of this is a place to review.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretBytes([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_print_redacted() {
        assert_eq!(format!("{:?}", ClientSecret::new("sk_test_1".into())), "ClientSecret([redacted])");
        assert_eq!(format!("{:?}", SecretBytes::new(vec![7; 32])), "SecretBytes([redacted])");
    }
}
