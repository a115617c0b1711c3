//! What a request was about, for its log line: ids alone, as the database has accepted them.

use aws_lc_rs::digest::{SHA256, digest};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use uuid::{Builder, Uuid};

use crate::json;

/// Which sign-in, which organization, which person, which session: as far as they are known.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct About {
    /// `flow_id` of the audit log
    pub flow: Option<Uuid>,
    /// WorkOS's organization
    pub organization: Option<String>,
    /// `auth.users.id`
    pub user: Option<Uuid>,
    /// `auth.sessions.id`
    pub session: Option<Uuid>,
    /// Why a browser was sent on without a session: such an answer is no error of HTTP's
    pub refused: Option<String>,
}

impl About {
    /// The sign-in of a state. The database names it so too: the first half of the state's SHA-256, as a UUID. It does not lead back.
    pub fn sign_in(state: &str) -> Self {
        let hash = digest(&SHA256, state.as_bytes());
        let half = hash.as_ref().get(..16).and_then(|half| half.try_into().ok());
        Self { flow: half.map(|half| Builder::from_custom_bytes(half).into_uuid()), ..Self::default() }
    }

    /// The person and the session of an access token that the database has accepted. It is read, not verified.
    pub fn token(access_token: &str) -> Self {
        #[derive(Deserialize)]
        struct Claims {
            sub: Option<Uuid>,
            session_id: Option<Uuid>,
            org_id: Option<String>,
        }
        let payload = access_token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
        let claims = payload.and_then(|payload| json::parse::<Claims>(&payload).ok());
        claims.map_or_else(Self::default, |claims| Self {
            organization: claims.org_id,
            user: claims.sub,
            session: claims.session_id,
            ..Self::default()
        })
    }

    /// Has the request's log line say it.
    pub fn on(self, mut response: Response) -> Response {
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use workos_auth_core::pkce::flow_id;
    use workos_auth_core::secret::State;

    use super::*;

    #[test]
    fn a_sign_in_has_the_databases_name() {
        for state in ["abc", "", "u0S4yZkVfY2mJq3qv1n0rQn7b8b5y3yJm1w9x0z1A2B"] {
            assert_eq!(About::sign_in(state).flow, Some(flow_id(&State::new(state.to_owned()))), "{state}");
        }
    }

    #[test]
    fn what_is_no_token_says_nothing() {
        let token = |payload: &str| format!("x.{}.x", URL_SAFE_NO_PAD.encode(payload));
        for nothing in ["", "a.b.c", "a.e30.c", &token("[]"), &token(r#"{"sub": "x"}"#), &token("\u{fffd}")] {
            assert_eq!(About::token(nothing), About::default(), "{nothing}");
        }
        let id = Uuid::from_u128(7);
        let known = About::token(&token(&format!(r#"{{"sub": "{id}", "session_id": "{id}", "org_id": "org_acme"}}"#)));
        let expected =
            About { organization: Some("org_acme".into()), user: Some(id), session: Some(id), ..About::default() };
        assert_eq!(known, expected);
    }
}
