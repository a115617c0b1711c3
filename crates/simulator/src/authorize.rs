//! `GET /sso/authorize`: what is asked for, whether it may be, and where the browser goes.

use std::sync::Arc;

use axum::extract::{ConnectInfo, RawQuery, State as Shared};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use url::Url;

use crate::answer;
use crate::callback::{CallbackError, location};
use crate::fault::{Endpoint, FaultKind};
use crate::ids::random;
use crate::login_page;
use crate::parameters::{self, Pairs};
use crate::registry::Registry;
use crate::seed::{Connection, Profile};
use crate::socket::ResetHandle;
use crate::state::{Grant, State};

/// The values of `provider` in WorkOS's OpenAPI description.
const PROVIDERS: [&str; 13] = [
    "AppleOAuth",
    "BitbucketOAuth",
    "GitHubOAuth",
    "GitLabOAuth",
    "GoogleOAuth",
    "IntuitOAuth",
    "LinkedInOAuth",
    "MicrosoftOAuth",
    "SalesforceOAuth",
    "SlackOAuth",
    "VercelMarketplaceOAuth",
    "VercelOAuth",
    "XeroOAuth",
];

/// Parameters that must not stand twice (RFC 6749, section 3.1). `provider_scopes` may: WorkOS's SDK repeats it.
const SINGLE: [&str; 10] = [
    "response_type",
    "connection",
    "organization",
    "provider",
    "domain",
    "state",
    "login_hint",
    "domain_hint",
    "code_challenge",
    "code_challenge_method",
];

/// A request whose client and redirect URI are known to belong together, so that its errors may go there.
pub(crate) struct Request {
    pub client_id: String,
    pub redirect_uri: Url,
    pub parameters: Pairs,
}

/// Why a request ends at its redirect URI without a code: `error` and `error_description`.
pub(crate) struct Refused(pub &'static str, pub &'static str);

impl From<CallbackError> for Refused {
    fn from(error: CallbackError) -> Self {
        Self(error.code(), error.description())
    }
}

/// `GET /sso/authorize`
pub(crate) async fn authorize(
    Shared(state): Shared<Arc<State>>,
    ConnectInfo(connection): ConnectInfo<ResetHandle>,
    RawQuery(query): RawQuery,
) -> Response {
    let faults = state.lock().faults.take(Endpoint::Authorize, false);
    let query = query.unwrap_or_default();
    let response = match &faults.instead {
        Some(FaultKind::CallbackError { code, description }) => {
            callback_error(&state, &query, code, description.as_deref())
        }
        Some(kind) => answer::instead(kind),
        None => begin(&state, &query),
    };
    answer::damage(response, faults, &connection).await
}

/// `POST /sso/authorize/continue`: the login page's answer. The request it belongs to comes along and is checked anew.
pub(crate) async fn resume(Shared(state): Shared<Arc<State>>, body: Bytes) -> Response {
    let form = parameters::decode(&body);
    let request = match Request::check(&state.lock().registry, parameters::get(&form, "request").unwrap_or_default()) {
        Ok(request) => request,
        Err(why) => return page(why),
    };
    match parameters::get(&form, "profile") {
        None => request.refuse(CallbackError::AccessDenied.into()),
        Some(profile) => request.finish(&state, |person| person.id == profile),
    }
}

fn begin(state: &State, query: &str) -> Response {
    let request = match Request::check(&state.lock().registry, query) {
        Ok(request) => request,
        Err(why) => return page(why),
    };
    let hint = request.get("login_hint").map(str::to_owned);
    if !state.interactive {
        return request.finish(state, |person| match &hint {
            Some(hint) => person.email.eq_ignore_ascii_case(hint),
            None => true,
        });
    }
    let memory = state.lock();
    let registry = &memory.registry;
    match request.check_rest().and_then(|_| Ok(select(registry, &request.parameters)?)) {
        Err(refused) => request.refuse(refused),
        Ok(connection) => {
            let organization = registry.organization_of(connection);
            let people = registry.people(connection);
            login_page::render(connection, organization, people, hint.as_deref(), query).into_response()
        }
    }
}

impl Request {
    /// Whether the client is known and the redirect URI is its own; the reason why not never leaves by redirect.
    pub fn check(registry: &Registry, query: &str) -> Result<Self, &'static str> {
        let parameters = parameters::decode(query.as_bytes());
        if let Some(name) = parameters::repeated(&parameters, &["client_id", "redirect_uri"]) {
            return Err(if name == "client_id" { "client_id stands twice." } else { "redirect_uri stands twice." });
        }
        let client_id = parameters::get(&parameters, "client_id").ok_or("client_id is missing.")?;
        let client = registry.clients.get(client_id).ok_or("There is no application with this client_id.")?;
        let redirect_uri = parameters::get(&parameters, "redirect_uri").ok_or("redirect_uri is missing.")?;
        if !client.allows_redirect(redirect_uri) {
            return Err("This redirect_uri is not in the application's list.");
        }
        let redirect_uri = Url::parse(redirect_uri).map_err(|_| "This redirect_uri is no URL.")?;
        Ok(Self { client_id: client_id.to_owned(), redirect_uri, parameters })
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        parameters::get(&self.parameters, name)
    }

    /// Everything that needs no registry. Answers the code challenge.
    pub fn check_rest(&self) -> Result<Option<&str>, Refused> {
        if parameters::repeated(&self.parameters, &SINGLE).is_some() {
            return Err(Refused("invalid_request", "A parameter stands twice."));
        }
        match self.get("response_type") {
            Some("code") => {}
            // RFC 6749, section 4.1.2.1.
            Some(_) => return Err(Refused("unsupported_response_type", "response_type must be code.")),
            None => return Err(Refused("invalid_request", "response_type is missing.")),
        }
        // RFC 7636, section 4.4.1. A challenge without a method would mean plain.
        match (self.get("code_challenge"), self.get("code_challenge_method")) {
            (None, None) => Ok(None),
            (Some(challenge), Some("S256"))
                if URL_SAFE_NO_PAD.decode(challenge).is_ok_and(|digest| digest.len() == 32) =>
            {
                Ok(Some(challenge))
            }
            (Some(_), Some("S256")) => Err(Refused("invalid_request", "code_challenge is not the S256 of anything.")),
            (Some(_), _) => Err(Refused("invalid_request", "code_challenge_method must be S256.")),
            (None, Some(_)) => Err(Refused("invalid_request", "code_challenge is missing.")),
        }
    }

    /// Signs the first person in who is the one: a code, or an error.
    fn finish(self, state: &State, is_the_one: impl Fn(&Profile) -> bool) -> Response {
        let mut memory = state.lock();
        let chosen = self.check_rest().and_then(|challenge| {
            let connection = select(&memory.registry, &self.parameters)?;
            let person = memory
                .registry
                .people(connection)
                .find(|person| is_the_one(person))
                .ok_or_else(|| nobody(&memory.registry, connection, self.get("login_hint")))?;
            Ok((challenge.map(str::to_owned), person.id.clone()))
        });
        let (code_challenge, profile_id) = match chosen {
            Ok(chosen) => chosen,
            Err(refused) => return self.refuse(refused),
        };
        let code = random("sso_code_");
        let grant = Grant {
            client_id: self.client_id.clone(),
            // As it was written, not as `Url` writes it: the token endpoint compares characters.
            redirect_uri: self.get("redirect_uri").unwrap_or_default().to_owned(),
            code_challenge,
            profile_id,
        };
        let now = memory.clock.now();
        memory.codes.insert(code.clone(), grant, now);
        found(location(&self.redirect_uri, &[("code", Some(&code)), ("state", self.get("state"))]))
    }

    pub fn refuse(&self, Refused(error, description): Refused) -> Response {
        let parameters =
            [("error", Some(error)), ("error_description", Some(description)), ("state", self.get("state"))];
        found(location(&self.redirect_uri, &parameters))
    }
}

/// The one connection that is meant.
fn select<'a>(registry: &'a Registry, parameters: &[(String, String)]) -> Result<&'a Connection, CallbackError> {
    let get = |name| parameters::get(parameters, name);
    if get("domain").is_some() {
        return Err(CallbackError::DomainConnectionSelectorNotAllowed);
    }
    match (get("connection"), get("organization"), get("provider")) {
        (Some(id), None, None) => {
            let connection = registry.connections.get(id).ok_or(CallbackError::ConnectionInvalid)?;
            usable(&[connection], CallbackError::ConnectionInvalid)
        }
        (None, Some(id), None) => {
            let of_organization: Vec<_> =
                registry.connections.values().filter(|c| c.organization.as_deref() == Some(id)).collect();
            if of_organization.is_empty() {
                return Err(CallbackError::OrganizationInvalid);
            }
            usable(&of_organization, CallbackError::AmbiguousConnectionSelector)
        }
        (None, None, Some(provider)) if PROVIDERS.contains(&provider) => {
            let of_provider: Vec<_> = registry
                .connections
                .values()
                .filter(|c| c.organization.is_none() && c.connection_type == provider)
                .collect();
            usable(&of_provider, CallbackError::ConnectionStrategyInvalid)
        }
        _ => Err(CallbackError::InvalidConnectionSelector),
    }
}

/// The only active one of `connections`.
fn usable<'a>(connections: &[&'a Connection], several: CallbackError) -> Result<&'a Connection, CallbackError> {
    let mut active = connections.iter().copied().filter(|connection| connection.is_active());
    match (active.next(), active.next()) {
        (Some(connection), None) => Ok(connection),
        (Some(_), Some(_)) => Err(several),
        (None, _) => {
            let unlinked = |connection: &&Connection| connection.status == crate::seed::ConnectionStatus::Unlinked;
            Err(if connections.iter().any(unlinked) {
                CallbackError::ConnectionUnlinked
            } else {
                CallbackError::ConnectionInvalid
            })
        }
    }
}

/// Why nobody of this connection can be signed in.
fn nobody(registry: &Registry, connection: &Connection, login_hint: Option<&str>) -> Refused {
    let outside = registry.organization_of(connection).zip(login_hint).is_some_and(|(organization, hint)| {
        let domain = hint.rsplit_once('@').map_or("", |(_, domain)| domain);
        !organization.verified_domains().any(|own| own.eq_ignore_ascii_case(domain))
    });
    if outside { CallbackError::ProfileNotAllowedOutsideOrganization } else { CallbackError::AccessDenied }.into()
}

/// The fault `callback_error`. An unlisted redirect URI is not followed for it either.
pub(crate) fn callback_error(state: &State, query: &str, code: &str, description: Option<&str>) -> Response {
    let memory = state.lock();
    let request = match Request::check(&memory.registry, query) {
        Ok(request) => request,
        Err(why) => return page(why),
    };
    let known = CallbackError::ALL.iter().copied().find(|error| error.code() == code);
    let description = description.or(known.map(CallbackError::description));
    // "The error callback will include the connection and organization IDs."
    let connection = known
        .filter(|error| *error == CallbackError::IdpInitiatedSsoDisabled)
        .and_then(|_| select(&memory.registry, &request.parameters).ok());
    let parameters = [
        ("error", Some(code)),
        ("error_description", description),
        ("connection_id", connection.map(|connection| connection.id.as_str())),
        ("organization_id", connection.and_then(|connection| connection.organization.as_deref())),
        ("state", request.get("state")),
    ];
    found(location(&request.redirect_uri, &parameters))
}

pub(crate) fn found(location: String) -> Response {
    (StatusCode::FOUND, [(header::LOCATION, location), (header::CACHE_CONTROL, "no-store".into())]).into_response()
}

pub(crate) fn page(why: &str) -> Response {
    (StatusCode::BAD_REQUEST, Html(login_page::error(why).into_string())).into_response()
}
