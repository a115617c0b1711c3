//! Clients that refresh or sign in, through the gateway or by the bare SQL calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tokio_postgres::{Client as Connection, Statement};
use url::Url;
use workos_auth_core::pkce::CodeVerifier;
use workos_testbed::workos::REDIRECT_URI;
use workos_testbed::{Browser, Callback, Error, Result};

use crate::bench::{Bench, DATABASE};
use crate::exchanges::person;

/// The gateway's role.
pub const ROLE: &str = "gateway";

const AUTHORIZE: &str = "select auth.workos_authorize_url(organization => 'org_acme', redirect_to => $1,
    code_challenge => $2, code_challenge_method => 's256')";
const CALLBACK: &str = "select auth.handle_callback(code => $1, state => $2)";
const EXCHANGE: &str = "select * from auth.exchange_code($1, $2)";
const REFRESH: &str = "select * from auth.refresh_session($1)";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// the newest refresh token of the client's own session
    Refresh,
    /// a whole sign-in, of the client's own person
    Existing,
    /// a whole sign-in, each of a person who was never here
    New,
}

/// By what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// a connection for each client, one statement for each request
    Sql,
    /// HTTP, kept alive
    Gateway,
}

enum Server {
    Sql { connection: Connection, statements: [Statement; 4] },
    Gateway { http: reqwest::Client, url: String },
}

/// A client, with a session of its own.
pub struct Client {
    bench: Arc<Bench>,
    operation: Operation,
    server: Server,
    browser: Browser,
    who: String,
    refresh_token: String,
}

/// People are numbered; these are not yet in the directory.
static NEXT_PERSON: AtomicUsize = AtomicUsize::new(1000);

impl Client {
    /// Connects, and signs in.
    ///
    /// # Errors
    /// What the server says.
    pub async fn new(bench: Arc<Bench>, url: &str, way: Way, operation: Operation, number: usize) -> Result<Self> {
        let server = match way {
            Way::Sql => {
                let connection = bench.cluster.connect(DATABASE, ROLE).await?;
                let statements = [
                    connection.prepare(AUTHORIZE).await?,
                    connection.prepare(CALLBACK).await?,
                    connection.prepare(EXCHANGE).await?,
                    connection.prepare(REFRESH).await?,
                ];
                Server::Sql { connection, statements }
            }
            Way::Gateway => {
                let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build()?;
                Server::Gateway { http, url: url.to_owned() }
            }
        };
        let who = person(&bench.workos, number)?;
        let refresh_token = String::new();
        let mut client = Self { bench, operation, server, browser: Browser::new()?, who, refresh_token };
        client.refresh_token = client.sign_in(&client.who).await?;
        Ok(client)
    }

    /// Works for so long: how long each took, and the client again.
    ///
    /// # Errors
    /// What the server says.
    pub async fn work(mut self, duration: Duration) -> Result<(Vec<Duration>, Self)> {
        let begin = Instant::now();
        let mut times = Vec::new();
        while begin.elapsed() < duration {
            let who = match self.operation {
                Operation::New => person(&self.bench.workos, NEXT_PERSON.fetch_add(1, Ordering::Relaxed))?,
                Operation::Refresh | Operation::Existing => self.who.clone(),
            };
            let start = Instant::now();
            match self.operation {
                Operation::Refresh => self.refresh_token = self.refresh().await?,
                Operation::Existing | Operation::New => drop(self.sign_in(&who).await?),
            }
            times.push(start.elapsed());
        }
        Ok((times, self))
    }

    async fn refresh(&self) -> Result<String> {
        match &self.server {
            Server::Sql { connection, statements: [_, _, _, refresh] } => {
                Ok(connection.query_one(refresh, &[&self.refresh_token]).await?.get("refresh_token"))
            }
            Server::Gateway { http, url } => {
                let url = format!("{url}/token?grant_type=refresh_token");
                token(http, url, json!({ "refresh_token": self.refresh_token })).await
            }
        }
    }

    /// From the authorize URL to the session: its refresh token.
    async fn sign_in(&self, who: &str) -> Result<String> {
        let verifier = CodeVerifier::generate().map_err(|error| Error::Other(format!("no verifier: {error}")))?;
        let challenge = verifier.challenge();
        let to_workos = self.authorize(challenge.value()).await?;
        let Callback { code, state } = self.browser.sign_in(&to_workos, Some(who)).await?;
        let code = self.call_back(&code, &state).await?;
        match &self.server {
            Server::Sql { connection, statements: [_, _, exchange, _] } => {
                Ok(connection.query_one(exchange, &[&code, &verifier.expose()]).await?.get("refresh_token"))
            }
            Server::Gateway { http, url } => {
                let body = json!({ "auth_code": code, "code_verifier": verifier.expose() });
                token(http, format!("{url}/token?grant_type=pkce"), body).await
            }
        }
    }

    async fn authorize(&self, challenge: &str) -> Result<String> {
        match &self.server {
            Server::Sql { connection, statements: [authorize, ..] } => {
                Ok(connection.query_one(authorize, &[&REDIRECT_URI, &challenge]).await?.get(0))
            }
            Server::Gateway { http, url } => {
                let parameters = [
                    ("provider", "workos"),
                    ("organization", "org_acme"),
                    ("redirect_to", REDIRECT_URI),
                    ("code_challenge", challenge),
                    ("code_challenge_method", "s256"),
                ];
                location(http, &format!("{url}/authorize"), &parameters).await
            }
        }
    }

    /// With WorkOS's code: the application's.
    async fn call_back(&self, code: &str, state: &str) -> Result<String> {
        let end = match &self.server {
            Server::Sql { connection, statements: [_, callback, ..] } => {
                connection.query_one(callback, &[&code, &state]).await?.get(0)
            }
            Server::Gateway { http, url } => {
                location(http, &format!("{url}/callback"), &[("code", code), ("state", state)]).await?
            }
        };
        code_of(&end)
    }
}

/// The code that the application is given in the URL at the end of a sign-in.
///
/// # Errors
/// There is none.
pub fn code_of(end: &str) -> Result<String> {
    let code = Url::parse(end)
        .ok()
        .and_then(|url| url.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned()));
    code.ok_or_else(|| Error::Lost(format!("the application is given no code: {end}")))
}

/// Where a GET is redirected to.
///
/// # Errors
/// It is not, or there is no answer.
pub async fn location(http: &reqwest::Client, url: &str, parameters: &[(&str, &str)]) -> Result<String> {
    let url = Url::parse_with_params(url, parameters).map_err(|error| Error::Lost(format!("{url}: {error}")))?;
    let answer = http.get(url).send().await?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    // Read to its end, or the connection is not kept.
    let body = answer.text().await?;
    let location = headers.get(LOCATION).and_then(|location| location.to_str().ok());
    location.map(ToOwned::to_owned).ok_or_else(|| Error::Lost(format!("{status} instead of a redirect: {body}")))
}

/// The refresh token of the answer.
async fn token(http: &reqwest::Client, url: String, body: Value) -> Result<String> {
    let request = http.post(url).header("content-type", "application/json").body(body.to_string());
    let answer = request.send().await?;
    let (status, body) = (answer.status(), answer.bytes().await?);
    #[allow(clippy::disallowed_methods, reason = "no code of the extension: nothing of anybody's is kept")]
    let session: Option<Value> = serde_json::from_slice(&body).ok();
    let token = session.as_ref().and_then(|session| session.get("refresh_token")?.as_str());
    token.map(ToOwned::to_owned).ok_or_else(|| Error::Lost(format!("{status} instead of a session")))
}
