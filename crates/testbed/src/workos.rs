//! The extension set up against the simulator, and what a browser does in between.

use std::thread::sleep;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::redirect::Policy;
use tokio_postgres::Client;
use url::Url;
use workos_simulator::{Options, Simulator};

use crate::cluster::{Cluster, SUPERUSER};
use crate::error::{Error, Result};
use crate::extension::{create_extension, sql_version};

/// The client of the simulator's built-in seed.
pub const CLIENT_ID: &str = "client_demo";
/// Its API key, which is its client secret.
pub const CLIENT_SECRET: &str = "sk_test_demo";
/// Its redirect URI. Nothing listens there: the browser of [`browser_sign_in`] stops in front of it.
pub const REDIRECT_URI: &str = "http://localhost:3000/callback";
/// What the redirect allow list is filled with.
pub const REDIRECT_PATTERN: &str = "http://localhost:3000/**";

/// More redirects than any sign-in needs.
const LONGEST_CHAIN: usize = 10;

/// A WorkOS of one's own.
pub struct Workos {
    simulator: Simulator,
}

impl Workos {
    /// Starts the simulator with its built-in seed on a free port.
    ///
    /// # Errors
    /// No port can be bound.
    pub fn start() -> Result<Self> {
        Self::start_with(Options::default())
    }

    /// The same with a login page, on which a person is picked: for real browsers.
    ///
    /// # Errors
    /// No port can be bound.
    pub fn start_interactive() -> Result<Self> {
        Self::start_with(Options { interactive: true, ..Options::default() })
    }

    fn start_with(options: Options) -> Result<Self> {
        Ok(Self { simulator: Simulator::start(options).map_err(Error::io("start the simulator"))? })
    }

    /// Takes it away for so long, and starts it anew where it was, with its built-in seed. Blocks.
    ///
    /// # Errors
    /// Somebody else took its port meanwhile.
    pub fn restart(&mut self, away: Duration) -> Result<()> {
        let port = self.simulator.port();
        let start = |port| {
            let options = Options { port, ..Options::default() };
            Simulator::start(options).map_err(Error::io("start the simulator"))
        };
        // Another in its place: what is replaced stops.
        self.simulator = start(0)?;
        sleep(away);
        self.simulator = start(port)?;
        Ok(())
    }

    /// The simulator, for faults, recorded requests and the clock.
    pub fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    /// The base URL, to be given as `api_url`.
    pub fn url(&self) -> String {
        self.simulator.url().to_string()
    }

    /// Creates the extension in `database` and configures it. Returns the superuser's connection that did it.
    ///
    /// # Errors
    /// A statement fails: its SQLSTATE, message, detail and hint.
    pub async fn install(&self, cluster: &Cluster, database: &str) -> Result<Client> {
        self.install_version(cluster, database, sql_version().as_deref()).await
    }

    /// The same with the SQL of a release; without one, of the newest.
    ///
    /// # Errors
    /// As [`Workos::install`].
    pub async fn install_version(&self, cluster: &Cluster, database: &str, version: Option<&str>) -> Result<Client> {
        let client = cluster.connect(database, SUPERUSER).await?;
        client.batch_execute(&create_extension(version)).await?;
        self.configure(cluster, client).await
    }

    /// Configures the extension for this simulator: root key (made once for a cluster), provider, redirect allow list.
    ///
    /// # Errors
    /// As [`Workos::install`].
    pub async fn configure(&self, cluster: &Cluster, client: Client) -> Result<Client> {
        cluster.create_root_key(&client).await?;
        client
            .execute(
                "select auth.configure_workos(client_id => $1, redirect_uri => $2, client_secret => $3, api_url => $4)",
                &[&CLIENT_ID, &REDIRECT_URI, &CLIENT_SECRET, &self.url()],
            )
            .await?;
        client.execute("insert into auth.redirect_urls (pattern) values ($1)", &[&REDIRECT_PATTERN]).await?;
        Ok(client)
    }
}

/// What comes back to the application in the callback URL (RFC 6749, section 4.1.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The authorization code.
    pub code: String,
    /// The state; empty if none came back.
    pub state: String,
}

/// Goes where a browser goes with the authorize URL `url`, and stops at the application's redirect URI without
/// calling it. `login_hint` picks the person, unless the URL has one already; without any, WorkOS picks.
///
/// # Errors
/// [`Error::Refused`] if an error comes back instead of a code; [`Error::Lost`] if the browser ends anywhere else.
pub async fn browser_sign_in(url: &str, login_hint: Option<&str>) -> Result<Callback> {
    Browser::new()?.sign_in(url, login_hint).await
}

/// A browser that stays open, for those who sign in often. It has no cookies.
#[derive(Debug, Clone)]
pub struct Browser(reqwest::Client);

impl Browser {
    /// Opens it.
    ///
    /// # Errors
    /// The system has no certificates, or another of reqwest's reasons.
    pub fn new() -> Result<Self> {
        // Proxies of the environment are not for loopback, and redirects are the browser's to look at first.
        Ok(Self(reqwest::Client::builder().redirect(Policy::none()).no_proxy().build()?))
    }

    /// See [`browser_sign_in`].
    ///
    /// # Errors
    /// As [`browser_sign_in`].
    pub async fn sign_in(&self, url: &str, login_hint: Option<&str>) -> Result<Callback> {
        let mut next = Url::parse(url).map_err(|error| Error::Lost(format!("the authorize URL is none: {error}")))?;
        let redirect_uri = parameter(&next, "redirect_uri")
            .ok_or_else(|| Error::Lost("the authorize URL has no redirect_uri".into()))?;
        if let (Some(hint), None) = (login_hint, parameter(&next, "login_hint")) {
            next.query_pairs_mut().append_pair("login_hint", hint);
        }
        for _ in 0..LONGEST_CHAIN {
            let answer = self.0.get(next.clone()).send().await?;
            let status = answer.status();
            let Some(location) = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok()) else {
                return Err(Error::Lost(format!("{} answered {status}: {}", next.path(), answer.text().await?)));
            };
            next = next.join(location).map_err(|error| Error::Lost(format!("{status} to no URL: {error}")))?;
            if is_redirect_uri(&next, &redirect_uri) {
                return callback(&next);
            }
        }
        Err(Error::Lost(format!("more than {LONGEST_CHAIN} redirects")))
    }
}

fn callback(url: &Url) -> Result<Callback> {
    let state = parameter(url, "state");
    if let Some(error) = parameter(url, "error") {
        let description = parameter(url, "error_description").unwrap_or_default();
        return Err(Error::Refused { error, description, state });
    }
    let code = parameter(url, "code").ok_or_else(|| Error::Lost("the callback has neither code nor error".into()))?;
    Ok(Callback { code, state: state.unwrap_or_default() })
}

fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Everything but the query must be the redirect URI's (RFC 9700, section 4.1.3: exact comparison).
fn is_redirect_uri(url: &Url, redirect_uri: &str) -> bool {
    Url::parse(redirect_uri).is_ok_and(|expected| {
        (url.scheme(), url.host(), url.port_or_known_default(), url.path())
            == (expected.scheme(), expected.host(), expected.port_or_known_default(), expected.path())
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    /// Answers every request with the given response head, and returns where.
    async fn server(head: &'static str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ =
                    stream.write_all(format!("{head}content-length: 0\r\nconnection: close\r\n\r\n").as_bytes()).await;
            }
        });
        format!("http://127.0.0.1:{port}/sso/authorize?redirect_uri=http%3A%2F%2Fapp.test%2Fcallback")
    }

    #[tokio::test]
    async fn the_browser_stops_at_the_redirect_uri() {
        let url = server("HTTP/1.1 302 Found\r\nlocation: http://app.test/callback?code=c%201&state=s%2B\r\n").await;
        let callback = browser_sign_in(&url, None).await.unwrap();
        assert_eq!(callback, Callback { code: "c 1".into(), state: "s+".into() });
    }

    #[tokio::test]
    async fn a_refusal_is_told_apart_from_a_wrong_turn() {
        let url =
            server("HTTP/1.1 302 Found\r\nlocation: http://app.test/callback?error=access_denied&state=s\r\n").await;
        match browser_sign_in(&url, None).await.unwrap_err() {
            Error::Refused { error, description, state } => {
                assert_eq!((error.as_str(), description.as_str(), state.as_deref()), ("access_denied", "", Some("s")));
            }
            other => panic!("{other}"),
        }
        for head in [
            "HTTP/1.1 302 Found\r\nlocation: http://app.test/callback\r\n",
            "HTTP/1.1 200 OK\r\n",
            "HTTP/1.1 302 Found\r\nlocation: /again\r\n",
        ] {
            let error = browser_sign_in(&server(head).await, None).await.unwrap_err();
            assert!(matches!(error, Error::Lost(_)), "{head}: {error}");
        }
        assert!(matches!(browser_sign_in("no url", None).await.unwrap_err(), Error::Lost(_)));
        assert!(matches!(browser_sign_in("http://127.0.0.1:1/", None).await.unwrap_err(), Error::Lost(_)));
    }

    #[test]
    fn a_redirect_uri_is_compared_exactly() {
        let is = |url: &str| is_redirect_uri(&Url::parse(url).unwrap(), "http://app.test/callback");
        assert!(is("http://app.test/callback?code=1"));
        assert!(is("http://app.test:80/callback"));
        for other in ["https://app.test/callback", "http://app.test.evil.test/callback", "http://app.test/callback2"] {
            assert!(!is(other), "{other}");
        }
    }
}
