//! WorkOS, asked by this server where the database may not talk to the outside: `--workos-by gateway`.
//!
//! What is sent, and what an answer means, is the database's to say. Bodies are neither read here nor written into the log: the request
//! holds WorkOS's API key, and the answer says who somebody is.

use std::error::Error as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Certificate, Client, Proxy, redirect, retry};
use serde_json::{Map, Value};
use tokio::time::Instant;
use url::Url;
use uuid::Uuid;
use workos_auth_core::workos::{HttpAnswer, JSON, MAX_ANSWER, wants_json};

/// How long an idle connection to WorkOS is kept.
const KEPT: Duration = Duration::from_secs(60);
/// The headers of an answer that the database looks at.
const TOLD_HEADERS: [&str; 2] = ["x-request-id", "retry-after"];

/// What the database has WorkOS asked.
#[allow(missing_debug_implementations, reason = "it holds WorkOS's API key")]
pub struct WorkosRequest {
    /// Names it.
    pub exchange_id: Uuid,
    /// Where to POST it.
    pub url: String,
    /// Its headers.
    pub headers: Map<String, Value>,
    /// Its body.
    pub body: String,
    /// The same as JSON, for a server that cannot read the body.
    pub json_body: String,
    /// How long connecting may take.
    pub connect_timeout: Duration,
    /// How long it may take in all.
    pub request_timeout: Duration,
}

/// What came back, or why nothing did.
#[allow(missing_debug_implementations, reason = "it may hold tokens")]
pub struct WorkosAnswer {
    /// The HTTP status.
    pub status: Option<i32>,
    /// The headers that the database looks at.
    pub headers: Map<String, Value>,
    /// The body, if it is text that Postgres can hold.
    pub body: Option<String>,
    /// The name of the error, as `auth.error_codes` has it.
    pub failure: Option<&'static str>,
}

/// The client, and what it is made with.
#[allow(missing_debug_implementations, reason = "the proxy's URL may hold a password")]
pub struct Workos {
    roots: Option<Vec<Certificate>>,
    proxy: Option<Proxy>,
    /// Made at the first request, and when the database has another `workos_auth.connect_timeout`.
    client: Mutex<Option<(Duration, Client)>>,
}

impl Workos {
    /// Reads the certificates. Connects to nothing yet.
    ///
    /// # Errors
    /// A certificate or the proxy cannot be used.
    pub fn new(ca_file: Option<&Path>, proxy_url: Option<&str>) -> Result<Self, String> {
        let roots = match ca_file {
            None => None,
            Some(path) => {
                let unusable = |why: String| format!("--workos-ca-file {}: {why}", path.display());
                let pem = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
                match Certificate::from_pem_bundle(&pem) {
                    Ok(roots) if !roots.is_empty() => Some(roots),
                    Ok(_) => return Err(unusable("it holds no certificate".into())),
                    Err(error) => return Err(unusable(causes(&error))),
                }
            }
        };
        let proxy = proxy_url.map(proxy).transpose()?;
        let workos = Self { roots, proxy, client: Mutex::new(None) };
        // What cannot be made is told at the start.
        workos.client(Duration::from_secs(1)).map_err(|error| format!("no client for WorkOS: {}", causes(&error)))?;
        Ok(workos)
    }

    /// Sends the request, within its time. It is sent again where no connection came about, and as JSON where the server cannot read a
    /// form: WorkOS sees a code once.
    pub async fn ask(&self, request: &WorkosRequest) -> WorkosAnswer {
        let deadline = Instant::now() + request.request_timeout;
        let answer = match self.post(request, &request.body, None, deadline).await {
            Ok(answer) if answer.wants_json() => self.post(request, &request.json_body, Some(JSON), deadline).await,
            other => other,
        };
        answer.unwrap_or_else(|failure| {
            tracing::warn!(failure = failure.name(), detail = failure.detail(), "WorkOS did not answer");
            WorkosAnswer { status: None, headers: Map::new(), body: None, failure: Some(failure.name()) }
        })
    }

    async fn post(
        &self,
        request: &WorkosRequest,
        body: &str,
        content_type: Option<&str>,
        deadline: Instant,
    ) -> Result<WorkosAnswer, Failure> {
        let client = self.client(request.connect_timeout).map_err(Failure::Http)?;
        let mut tries = 0;
        loop {
            tries += 1;
            let mut post = client.post(&request.url).timeout(deadline.saturating_duration_since(Instant::now()));
            for (name, value) in &request.headers {
                let value = content_type.filter(|_| name == "content-type").or(value.as_str());
                post = post.header(name, value.unwrap_or_default());
            }
            match read(post.body(body.to_owned())).await {
                Err(Failure::Http(error)) if error.is_connect() && !error.is_timeout() && tries < 2 => {}
                other => return other,
            }
        }
    }

    fn client(&self, connect_timeout: Duration) -> reqwest::Result<Client> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, client)) = &*known
            && *of == connect_timeout
        {
            return Ok(client.clone());
        }
        let mut builder = Client::builder()
            .user_agent(concat!("workos-auth-gateway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect_timeout)
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            // Those of the environment.
            .no_proxy()
            .pool_idle_timeout(KEPT);
        if let Some(roots) = &self.roots {
            builder = builder.tls_certs_only(roots.iter().cloned());
        }
        if let Some(proxy) = &self.proxy {
            builder = builder.proxy(proxy.clone());
        }
        let client = builder.build()?;
        *known = Some((connect_timeout, client.clone()));
        Ok(client)
    }
}

/// The text may hold a password, so no error shows it.
fn proxy(text: &str) -> Result<Proxy, String> {
    let url = Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.path() == "/");
    url.filter(|url| url.query().is_none() && url.fragment().is_none())
        .and_then(|url| Proxy::https(url).ok())
        .ok_or_else(|| "--workos-proxy: it must be http://HOST:PORT".into())
}

async fn read(request: reqwest::RequestBuilder) -> Result<WorkosAnswer, Failure> {
    let mut response = request.send().await.map_err(Failure::Http)?;
    let mut headers = Map::new();
    for name in TOLD_HEADERS {
        if let Some(Ok(value)) = response.headers().get(name).map(|value| value.to_str()) {
            headers.insert(name.to_owned(), value.into());
        }
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Failure::Http)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let body = String::from_utf8(body).ok().filter(|body| !body.contains('\0'));
    Ok(WorkosAnswer { status: Some(response.status().as_u16().into()), headers, body, failure: None })
}

impl WorkosAnswer {
    fn wants_json(&self) -> bool {
        let status = self.status.and_then(|status| u16::try_from(status).ok()).unwrap_or_default();
        let body = self.body.as_deref().unwrap_or_default().as_bytes();
        wants_json(&HttpAnswer { status, request_id: None, retry_after: None, body })
    }
}

/// Why a request has no answer.
enum Failure {
    Http(reqwest::Error),
    TooLarge,
}

impl Failure {
    /// As `auth.error_codes` has it, and as the database finds it where it asks WorkOS itself.
    fn name(&self) -> &'static str {
        match self {
            Self::TooLarge => "workos_answer_too_large",
            // Name look-up and connecting: WorkOS has not seen the code.
            Self::Http(error) if error.is_connect() || error.is_builder() => "workos_unreachable",
            Self::Http(error) if error.is_timeout() => "workos_timeout",
            Self::Http(error) if error.is_request() => "workos_connection_lost",
            // The head of an answer came, and a body that ends too soon.
            Self::Http(_) => "workos_answer_malformed",
        }
    }

    fn detail(&self) -> String {
        match self {
            Self::TooLarge => format!("larger than {MAX_ANSWER} bytes"),
            Self::Http(error) => causes(error),
        }
    }
}

/// What an error says down to its root, without the URL.
fn causes(error: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = error.source();
    // Bounded, since nothing promises that a chain of sources ends.
    while let Some(error) = cause.filter(|_| causes.len() < 8) {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes.join(": ")
}
