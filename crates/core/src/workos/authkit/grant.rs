//! What AuthKit is asked about somebody whom it knows: `POST /user_management/authenticate` with a grant of its own.
//!
//! The members stand in WorkOS's OpenAPI file of 2026-08-07. They are sent as JSON, as WorkOS's SDKs send them.

use serde::Serialize;
use zeroize::Zeroizing;

use crate::secret::{AuthkitRefreshToken, ClientSecret, PendingToken};

/// What stands in for a code.
#[derive(Debug, Clone, Copy)]
pub enum Grant<'a> {
    /// The answer to WorkOS's question which organization a sign-in is for.
    Selection(&'a PendingToken),
    /// A session of AuthKit's goes on in an organization.
    Refresh(&'a AuthkitRefreshToken),
}

/// One request.
#[derive(Debug)]
pub struct GrantRequest<'a> {
    /// `client_…`
    pub client_id: &'a str,
    /// WorkOS's API key.
    pub client_secret: &'a ClientSecret,
    /// What stands in for a code.
    pub grant: Grant<'a>,
    /// The organization that the person is to be in.
    pub organization_id: &'a str,
}

impl GrantRequest<'_> {
    /// The body.
    pub fn json(&self) -> Zeroizing<String> {
        #[derive(Serialize)]
        struct Body<'a> {
            client_id: &'a str,
            client_secret: &'a str,
            grant_type: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            pending_authentication_token: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            refresh_token: Option<&'a str>,
            organization_id: &'a str,
        }
        let (grant_type, pending, refresh) = match self.grant {
            Grant::Selection(token) => {
                ("urn:workos:oauth:grant-type:organization-selection", Some(token.expose()), None)
            }
            Grant::Refresh(token) => ("refresh_token", None, Some(token.expose())),
        };
        let body = Body {
            client_id: self.client_id,
            client_secret: self.client_secret.expose(),
            grant_type,
            pending_authentication_token: pending,
            refresh_token: refresh,
            organization_id: self.organization_id,
        };
        // Reserved at the most it can take (\u00XX a byte), since growing would leave copies behind.
        let values = [self.client_id, body.client_secret, grant_type, self.token(), self.organization_id];
        let most = values.iter().map(|value| 6 * value.len()).sum::<usize>() + NAMES;
        let mut json = Vec::with_capacity(most);
        // Strings into memory: neither step can fail.
        let _ = serde_json::to_writer(&mut json, &body);
        Zeroizing::new(String::from_utf8(json).unwrap_or_default())
    }

    /// What must not come back in an error: for [`super::parse_answer`].
    pub fn secrets(&self) -> [&str; 2] {
        [self.client_secret.expose(), self.token()]
    }

    fn token(&self) -> &str {
        match self.grant {
            Grant::Selection(token) => token.expose(),
            Grant::Refresh(token) => token.expose(),
        }
    }
}

/// More than the names of the members take, with what stands between them.
const NAMES: usize = 160;
/// The longest token that is kept for a later request, in bytes.
const LONGEST_TOKEN: usize = 8192;

/// What can be shown WorkOS again as it came.
pub(super) fn is_token(text: &str) -> bool {
    (1..=LONGEST_TOKEN).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
