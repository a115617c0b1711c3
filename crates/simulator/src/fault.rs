//! What can be made to go wrong, and when.
//!
//! As JSON (`POST /_simulator/faults`): `{"endpoint":"token","times":1,"kind":{"delay":{"ms":500}}}`; a kind without
//! parameters is a string: `"kind":"hang"`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One thing that goes wrong at one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where.
    pub endpoint: Endpoint,
    /// For how many requests; `None`: until the faults are cleared.
    #[serde(default)]
    pub times: Option<u32>,
    /// What.
    pub kind: FaultKind,
}

/// An endpoint that faults can be set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `POST /sso/token`
    Token,
    /// `POST /user_management/authenticate`
    Authenticate,
    /// `GET /sso/authorize` and `GET /user_management/authorize`
    Authorize,
    /// `GET /events`
    Events,
    /// Everything else that needs an API key: organizations, directories, the Admin Portal, …
    Api,
}

/// What goes wrong.
///
/// A kind that says *instead* answers without looking at the request: the code stays good. Every other kind lets the
/// request be processed first: the code is spent, or the organization
/// made, though the client may never learn of it.
///
/// Faults are taken in the order in which they were set. One request meets at most one *instead*, at most one kind
/// that changes the body, and all of the others; while an *instead* answers, what changes the profile or the
/// page of events waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// Answers with a status instead; the body is `{"message": …}` where none is given.
    Status {
        /// 200 to 599.
        code: u16,
        /// The JSON to answer.
        #[serde(default)]
        body: Option<Value>,
    },
    /// Answers 429 instead.
    RateLimited {
        /// The header `Retry-After` (RFC 9110, section 10.2.3); none without it.
        #[serde(default)]
        retry_after: Option<RetryAfter>,
    },
    /// Token and authenticate: answers a form with 400 `invalid_request_body` instead, as WorkOS's own emulator does; JSON passes.
    JsonOnly,
    /// Authorize: goes back to the redirect URI with an error instead.
    CallbackError {
        /// One of [`crate::CallbackError`]'s codes, or anything else.
        code: String,
        /// The usual one of a known code where none is given.
        #[serde(default)]
        description: Option<String>,
    },

    /// Token and authenticate: any code verifier will do, and none will.
    PkceIgnored,
    /// Authenticate: a JSON merge patch (RFC 7396) on the answer.
    AnswerOverrides {
        /// The patch.
        patch: Value,
    },
    /// Authenticate: a JSON merge patch (RFC 7396) on the claims of the access token.
    ClaimOverrides {
        /// The patch.
        patch: Value,
    },
    /// Token: the profile is of an organization that nobody asked for.
    WrongOrganization,
    /// Token: the profile is of a connection that nobody asked for.
    WrongConnection,
    /// Token: the profile is of a connection type that nobody asked for.
    WrongConnectionType,
    /// Token: the profile lacks members.
    MissingProfileFields {
        /// Their names.
        names: Vec<String>,
        /// In which way they are missing.
        #[serde(default, rename = "as")]
        missing: Missing,
    },
    /// Token: a JSON merge patch (RFC 7396) on the profile.
    ProfileOverrides {
        /// The patch.
        patch: Value,
    },

    /// Events: every event stands on the page twice, as far as the limit goes.
    RepeatedEvents,
    /// Events: the parameter `events` is ignored, and types come that nobody asked for.
    EventFilterIgnored,

    /// Announces the whole body, sends half of it, and hangs up.
    TruncatedBody,
    /// A well-formed answer of at least so many bytes.
    OversizedBody {
        /// How many.
        bytes: u64,
        /// Without announcing its length.
        #[serde(default)]
        chunked: bool,
    },
    /// JSON that is none.
    MalformedJson,
    /// A proxy's page, with status 200.
    Html,
    /// Nothing, with status 200.
    EmptyBody,
    /// The body trickles: one byte every so many milliseconds.
    Drip {
        /// Milliseconds between two bytes.
        ms: u64,
    },

    /// The answer comes late.
    Delay {
        /// By how many milliseconds.
        ms: u64,
    },
    /// The answer never comes; the connection stays open.
    Hang,
    /// The connection is reset (TCP RST) instead of an answer.
    Reset,
}

/// The two forms of `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetryAfter {
    /// `Retry-After: 3`
    Seconds(u32),
    /// So many seconds from now, as an HTTP date.
    Date(u32),
}

/// How a member is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// Not there.
    #[default]
    Absent,
    /// `null`
    Null,
    /// `""`
    Empty,
}

/// A fault that would never show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// The kind means nothing at this endpoint.
    #[error("this kind of fault means nothing at this endpoint")]
    Endpoint,
    /// `times` is 0.
    #[error("times must be at least 1")]
    Times,
    /// A status that cannot be answered.
    #[error("a status is a number from 200 to 599")]
    Status,
}

impl Fault {
    /// At `POST /sso/token`, until cleared.
    pub fn token(kind: FaultKind) -> Self {
        Self { endpoint: Endpoint::Token, times: None, kind }
    }

    /// At `POST /user_management/authenticate`, until cleared.
    pub fn authenticate(kind: FaultKind) -> Self {
        Self { endpoint: Endpoint::Authenticate, times: None, kind }
    }

    /// At `GET /sso/authorize`, until cleared.
    pub fn authorize(kind: FaultKind) -> Self {
        Self { endpoint: Endpoint::Authorize, times: None, kind }
    }

    /// At `GET /events`, until cleared.
    pub fn events(kind: FaultKind) -> Self {
        Self { endpoint: Endpoint::Events, times: None, kind }
    }

    /// At everything else that needs an API key, until cleared.
    pub fn api(kind: FaultKind) -> Self {
        Self { endpoint: Endpoint::Api, times: None, kind }
    }

    /// For this many requests only.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn check(&self) -> Result<(), FaultError> {
        let only = match &self.kind {
            FaultKind::JsonOnly | FaultKind::PkceIgnored if self.endpoint == Endpoint::Authenticate => None,
            FaultKind::JsonOnly => Some(Endpoint::Token),
            FaultKind::AnswerOverrides { .. } | FaultKind::ClaimOverrides { .. } => Some(Endpoint::Authenticate),
            FaultKind::CallbackError { .. } => Some(Endpoint::Authorize),
            FaultKind::RepeatedEvents | FaultKind::EventFilterIgnored => Some(Endpoint::Events),
            kind if kind.stage() == Stage::Grant => Some(Endpoint::Token),
            _ => None,
        };
        if only.is_some_and(|endpoint| endpoint != self.endpoint) {
            return Err(FaultError::Endpoint);
        }
        if self.times == Some(0) {
            return Err(FaultError::Times);
        }
        if let FaultKind::Status { code, .. } = self.kind
            && !(200..600).contains(&code)
        {
            return Err(FaultError::Status);
        }
        Ok(())
    }
}

/// Where in the making of an answer a fault has its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Answers instead.
    Instead,
    /// Bends the rules of the grant, the profile or the page of events.
    Grant,
    /// Changes the body.
    Body,
    /// Changes when the answer comes, if at all.
    Transport,
}

impl FaultKind {
    fn stage(&self) -> Stage {
        match self {
            Self::Status { .. } | Self::RateLimited { .. } | Self::JsonOnly | Self::CallbackError { .. } => {
                Stage::Instead
            }
            Self::PkceIgnored
            | Self::AnswerOverrides { .. }
            | Self::ClaimOverrides { .. }
            | Self::WrongOrganization
            | Self::WrongConnection
            | Self::WrongConnectionType
            | Self::MissingProfileFields { .. }
            | Self::ProfileOverrides { .. }
            | Self::RepeatedEvents
            | Self::EventFilterIgnored => Stage::Grant,
            Self::TruncatedBody
            | Self::OversizedBody { .. }
            | Self::MalformedJson
            | Self::Html
            | Self::EmptyBody
            | Self::Drip { .. } => Stage::Body,
            Self::Delay { .. } | Self::Hang | Self::Reset => Stage::Transport,
        }
    }
}

/// The faults that one request meets.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub instead: Option<FaultKind>,
    pub grant: Vec<FaultKind>,
    pub body: Option<FaultKind>,
    pub transport: Vec<FaultKind>,
}

/// The faults that are set.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    pub fn set(&mut self, fault: Fault) -> Result<(), FaultError> {
        fault.check()?;
        self.0.push(fault);
        Ok(())
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn list(&self) -> &[Fault] {
        &self.0
    }

    /// What the next request to `endpoint` meets; `form` says whether its body is a form.
    pub fn take(&mut self, endpoint: Endpoint, form: bool) -> Taken {
        let mut taken = Taken::default();
        let applies = |fault: &Fault| fault.endpoint == endpoint && (form || fault.kind != FaultKind::JsonOnly);
        let answered = self.0.iter().any(|fault| applies(fault) && fault.kind.stage() == Stage::Instead);
        self.0.retain_mut(|fault| {
            if !applies(fault) {
                return true;
            }
            let kind = &fault.kind;
            match kind.stage() {
                Stage::Instead if taken.instead.is_none() => taken.instead = Some(kind.clone()),
                Stage::Grant if !answered => taken.grant.push(kind.clone()),
                Stage::Body if taken.body.is_none() => taken.body = Some(kind.clone()),
                Stage::Transport => taken.transport.push(kind.clone()),
                _ => return true,
            }
            fault.times = fault.times.map(|times| times.saturating_sub(1));
            fault.times != Some(0)
        });
        taken
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn faults_come_one_request_after_the_other() {
        let mut faults = Faults::default();
        faults.set(Fault::token(FaultKind::RateLimited { retry_after: None }).times(1)).unwrap();
        faults.set(Fault::token(FaultKind::Status { code: 500, body: None }).times(1)).unwrap();
        faults.set(Fault::token(FaultKind::WrongOrganization).times(1)).unwrap();
        faults.set(Fault::token(FaultKind::Delay { ms: 1 })).unwrap();

        assert!(faults.take(Endpoint::Authorize, false).transport.is_empty());
        let first = faults.take(Endpoint::Token, true);
        assert_eq!(first.instead, Some(FaultKind::RateLimited { retry_after: None }));
        assert!(first.grant.is_empty());
        assert_eq!(first.transport.len(), 1);
        let second = faults.take(Endpoint::Token, true);
        assert_eq!(second.instead, Some(FaultKind::Status { code: 500, body: None }));
        let third = faults.take(Endpoint::Token, true);
        assert_eq!((third.instead, third.grant), (None, vec![FaultKind::WrongOrganization]));
        assert!(faults.take(Endpoint::Token, true).grant.is_empty());
        assert_eq!(faults.list().len(), 1, "the delay stays");
    }

    #[test]
    fn json_only_counts_forms_alone() {
        let mut faults = Faults::default();
        faults.set(Fault::token(FaultKind::JsonOnly).times(1)).unwrap();
        assert_eq!(faults.take(Endpoint::Token, false).instead, None);
        assert_eq!(faults.take(Endpoint::Token, true).instead, Some(FaultKind::JsonOnly));
        assert_eq!(faults.take(Endpoint::Token, true).instead, None);
    }

    #[test]
    fn what_would_never_show_is_refused() {
        let mut faults = Faults::default();
        let callback = FaultKind::CallbackError { code: "server_error".into(), description: None };
        assert_eq!(faults.set(Fault::token(callback)), Err(FaultError::Endpoint));
        assert_eq!(faults.set(Fault::authorize(FaultKind::PkceIgnored)), Err(FaultError::Endpoint));
        assert_eq!(faults.set(Fault::authorize(FaultKind::JsonOnly)), Err(FaultError::Endpoint));
        assert_eq!(faults.set(Fault::token(FaultKind::Hang).times(0)), Err(FaultError::Times));
        assert_eq!(faults.set(Fault::token(FaultKind::Status { code: 101, body: None })), Err(FaultError::Status));
    }
}
