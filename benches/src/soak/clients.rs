//! Clients that know what must be true of every answer.

use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use workos_auth_core::pkce::CodeVerifier;
use workos_testbed::workos::REDIRECT_URI;
use workos_testbed::{Browser, Callback, Error, Result};

use crate::gateway::clients::{code_of, location};

/// Of the simulator's seed, so that it knows them again after a restart: people of organizations with one connection.
const PEOPLE: [(&str, &str); 3] =
    [("org_acme", "alice@acme.com"), ("org_acme", "anna@acme.com"), ("org_globex", "bob@globex.com")];
/// How many sessions a client keeps.
const SESSIONS: usize = 12;
/// How long a request is sent again.
const PATIENCE: Duration = Duration::from_secs(90);
const AGAIN: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(15);

/// What was done, by all clients together.
#[derive(Debug, Default)]
pub struct Counts {
    sign_ins: AtomicU64,
    refreshes: AtomicU64,
    reads: AtomicU64,
    sign_outs: AtomicU64,
    /// sign-ins that broke off, and were begun anew
    broken_off: AtomicU64,
    /// requests that were sent again
    again: AtomicU64,
}

impl Counts {
    /// Whatever ended well.
    pub fn operations(&self) -> u64 {
        [&self.sign_ins, &self.refreshes, &self.reads, &self.sign_outs]
            .map(|of| of.load(Ordering::Relaxed))
            .iter()
            .sum()
    }
}

impl Display for Counts {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let [sign_ins, refreshes, reads, sign_outs, broken_off, again] =
            [&self.sign_ins, &self.refreshes, &self.reads, &self.sign_outs, &self.broken_off, &self.again]
                .map(|count| count.load(Ordering::Relaxed));
        write!(
            f,
            "{sign_ins} sign-ins ({broken_off} broke off and were begun anew), {refreshes} refreshes, {reads} reads of the person, {sign_outs} sign-outs. \
             {again} requests were sent again."
        )
    }
}

struct Session {
    access_token: String,
    refresh_token: String,
}

/// A client with several sessions.
pub struct Client {
    http: reqwest::Client,
    browser: Browser,
    url: String,
    organization: &'static str,
    email: &'static str,
    sessions: Vec<Session>,
    turn: usize,
    counts: Arc<Counts>,
}

impl Client {
    /// One that is not signed in yet.
    ///
    /// # Errors
    /// The system has no certificates, or another of reqwest's reasons.
    pub fn new(url: &str, number: usize, counts: Arc<Counts>) -> Result<Self> {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).timeout(TIMEOUT).build()?;
        let (organization, email) = PEOPLE[number % PEOPLE.len()];
        let (browser, url) = (Browser::new()?, url.to_owned());
        Ok(Self { http, browser, url, organization, email, sessions: Vec::new(), turn: number, counts })
    }

    /// Works for so long, with an operation in every `pause`: the client again, and how many there were.
    ///
    /// # Errors
    /// A session was lost, or one that was ended goes on.
    pub async fn work(mut self, duration: Duration, pause: Duration) -> Result<(Self, u64)> {
        let begin = Instant::now();
        let mut operations = 0;
        while begin.elapsed() < duration {
            let start = Instant::now();
            self.operate().await?;
            operations += 1;
            tokio::time::sleep(pause.saturating_sub(start.elapsed())).await;
        }
        Ok((self, operations))
    }

    async fn operate(&mut self) -> Result<()> {
        self.turn += 1;
        let count = match self.turn % 10 {
            _ if self.sessions.is_empty() => {
                self.sign_in().await?;
                &self.counts.sign_ins
            }
            0 if self.sessions.len() < SESSIONS => {
                self.sign_in().await?;
                &self.counts.sign_ins
            }
            3 if self.sessions.len() >= SESSIONS => {
                self.sign_out().await?;
                &self.counts.sign_outs
            }
            6 => {
                self.read(self.turn % self.sessions.len()).await?;
                &self.counts.reads
            }
            _ => {
                self.refresh(self.turn % self.sessions.len()).await?;
                &self.counts.refreshes
            }
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Refreshes and reads with every session: how many there are.
    ///
    /// # Errors
    /// One is lost.
    pub async fn look_at_all(&mut self) -> Result<usize> {
        for index in 0..self.sessions.len() {
            self.refresh(index).await?;
            self.read(index).await?;
        }
        Ok(self.sessions.len())
    }

    async fn sign_in(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            match self.try_to_sign_in().await {
                Ok(session) => {
                    self.sessions.push(session);
                    return Ok(());
                }
                // While something restarts any of its five requests may be lost, and a person clicks again.
                Err(_) if begin.elapsed() < PATIENCE => {
                    self.counts.broken_off.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_to_sign_in(&self) -> Result<Session> {
        let verifier = CodeVerifier::generate().map_err(|error| Error::Other(format!("no verifier: {error}")))?;
        let challenge = verifier.challenge();
        let parameters = [
            ("provider", "workos"),
            ("organization", self.organization),
            ("redirect_to", REDIRECT_URI),
            ("code_challenge", challenge.value()),
            ("code_challenge_method", "s256"),
        ];
        let to_workos = location(&self.http, &format!("{}/authorize", self.url), &parameters).await?;
        let Callback { code, state } = self.browser.sign_in(&to_workos, Some(self.email)).await?;
        let end =
            location(&self.http, &format!("{}/callback", self.url), &[("code", &code), ("state", &state)]).await?;
        let body = json!({ "auth_code": code_of(&end)?, "code_verifier": verifier.expose() });
        let answer = self.http.post(format!("{}/token?grant_type=pkce", self.url)).json_body(&body).send().await?;
        let (status, body) = (answer.status(), answer.text().await?);
        session(&body).ok_or_else(|| Error::Lost(format!("{status} instead of a session: {body}")))
    }

    async fn refresh(&mut self, index: usize) -> Result<()> {
        let body = json!({ "refresh_token": self.sessions[index].refresh_token });
        let request = || self.http.post(format!("{}/token?grant_type=refresh_token", self.url)).json_body(&body);
        let (status, body) = self.ask(request).await?;
        self.sessions[index] = session(&body)
            .ok_or_else(|| Error::Lost(format!("a session is lost: its refresh is answered {status}: {body}")))?;
        Ok(())
    }

    async fn read(&self, index: usize) -> Result<()> {
        let (status, body) = self.user(&self.sessions[index]).await?;
        if status == StatusCode::OK {
            Ok(())
        } else {
            Err(Error::Lost(format!("a session is lost: its person is answered {status}: {body}")))
        }
    }

    async fn user(&self, session: &Session) -> Result<(StatusCode, String)> {
        self.ask(|| self.http.get(format!("{}/user", self.url)).bearer_auth(&session.access_token)).await
    }

    async fn sign_out(&mut self) -> Result<()> {
        let session = self.sessions.remove(0);
        let request = || self.http.post(format!("{}/logout?scope=local", self.url)).bearer_auth(&session.access_token);
        let (status, body) = self.ask(request).await?;
        // Whose answer was lost is signed out at the second request.
        if !(status.is_success() || status.is_client_error()) {
            return Err(Error::Lost(format!("a sign-out is answered {status}: {body}")));
        }
        let (status, body) = self.user(&session).await?;
        if status.is_success() {
            return Err(Error::Lost(format!("a session goes on after its sign-out: {status} {body}")));
        }
        let body = json!({ "refresh_token": session.refresh_token });
        let (status, body) = self
            .ask(|| self.http.post(format!("{}/token?grant_type=refresh_token", self.url)).json_body(&body))
            .await?;
        if status.is_success() {
            return Err(Error::Lost(format!("a session is refreshed after its sign-out: {status} {body}")));
        }
        Ok(())
    }

    /// The answer, if need be that to the same request sent again.
    async fn ask(&self, request: impl Fn() -> RequestBuilder) -> Result<(StatusCode, String)> {
        let begin = Instant::now();
        loop {
            let reason = match answer(request()).await {
                Ok((status, body)) if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    format!("{status} {body}")
                }
                Ok(answer) => return Ok(answer),
                Err(error) => error.to_string(),
            };
            if begin.elapsed() > PATIENCE {
                return Err(Error::Lost(format!("no answer for {PATIENCE:?}: {reason}")));
            }
            self.counts.again.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(AGAIN).await;
        }
    }
}

async fn answer(request: RequestBuilder) -> Result<(StatusCode, String)> {
    let answer = request.send().await?;
    Ok((answer.status(), answer.text().await?))
}

/// reqwest's own `json` is a feature that nothing else here needs.
trait JsonBody {
    fn json_body(self, body: &Value) -> Self;
}

impl JsonBody for RequestBuilder {
    fn json_body(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }
}

fn session(body: &str) -> Option<Session> {
    #[allow(clippy::disallowed_methods, reason = "no code of the extension: nothing of anybody's is kept")]
    let body: Value = serde_json::from_str(body).ok()?;
    let token = |name: &str| body.get(name)?.as_str().map(ToOwned::to_owned);
    Some(Session { access_token: token("access_token")?, refresh_token: token("refresh_token")? })
}
