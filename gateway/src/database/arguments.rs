//! What the SQL functions are called with.

use std::net::IpAddr;

use serde_json::{Map, Value};
use tokio_postgres::types::{Json, Type};

use super::lease::Parameter;

/// What `/authorize` asks for.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the arguments of auth.workos_authorize_url")]
pub struct Authorize<'a> {
    pub organization: Option<&'a str>,
    pub connection: Option<&'a str>,
    pub provider: Option<&'a str>,
    pub redirect_to: Option<&'a str>,
    pub code_challenge: Option<&'a str>,
    pub code_challenge_method: Option<&'a str>,
    pub login_hint: Option<&'a str>,
    pub domain_hint: Option<&'a str>,
    pub params: Map<String, Value>,
}

impl Authorize<'_> {
    /// `params`, unless there are none.
    pub(super) fn params(&self) -> Option<Json<&Map<String, Value>>> {
        (!self.params.is_empty()).then(|| Json(&self.params))
    }

    /// In the order of the function's arguments.
    pub(super) fn arguments<'a>(&'a self, params: &'a Option<Json<&'a Map<String, Value>>>) -> [Parameter<'a>; 9] {
        [
            (&self.organization, Type::TEXT),
            (&self.connection, Type::TEXT),
            (&self.provider, Type::TEXT),
            (&self.redirect_to, Type::TEXT),
            (&self.code_challenge, Type::TEXT),
            (&self.code_challenge_method, Type::TEXT),
            (&self.login_hint, Type::TEXT),
            (&self.domain_hint, Type::TEXT),
            (params, Type::JSONB),
        ]
    }
}

/// The query of WorkOS's redirect, and whether this browser began the sign-in.
#[derive(Debug, Default)]
#[allow(missing_docs, reason = "the arguments of auth.handle_callback")]
pub struct CallbackQuery<'a> {
    pub code: Option<&'a str>,
    pub state: Option<&'a str>,
    pub error: Option<&'a str>,
    pub error_description: Option<&'a str>,
    pub connection: Option<&'a str>,
    pub organization: Option<&'a str>,
    pub is_bound: bool,
}

impl CallbackQuery<'_> {
    /// In the order of the function's arguments.
    pub(super) fn arguments(&self) -> [Parameter<'_>; 7] {
        [
            (&self.code, Type::TEXT),
            (&self.state, Type::TEXT),
            (&self.error, Type::TEXT),
            (&self.error_description, Type::TEXT),
            (&self.connection, Type::TEXT),
            (&self.organization, Type::TEXT),
            (&self.is_bound, Type::BOOL),
        ]
    }
}

/// From where a session is opened or refreshed.
#[derive(Debug)]
pub struct RequestClient<'a> {
    /// The browser's address.
    pub ip: IpAddr,
    /// What it calls itself.
    pub user_agent: Option<&'a str>,
}

impl RequestClient<'_> {
    /// `ip`
    pub(super) fn ip(&self) -> Parameter<'_> {
        (&self.ip, Type::INET)
    }

    /// `user_agent`
    pub(super) fn user_agent(&self) -> Parameter<'_> {
        (&self.user_agent, Type::TEXT)
    }
}
